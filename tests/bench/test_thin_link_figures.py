"""What a viewer behind a thin link saw is judged as a viewer would."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from bench.thin_link import PEOPLE, RATES, fell, judge_bystander, judge_link, phases, rose
from bench.watching import Look, Tile, concealed, frozen, longest_wait

PHASE = 20.0
STARTS = [(PHASE * number, bps) for number, bps in enumerate(RATES)]
SMALL, FULL = (320, 180), (1280, 720)
Fate = Callable[[float, int], Tile]


def tile(at: float, size: tuple[int, int] = SMALL, *, paused: bool = False) -> Tile:
    frames = int(at * 15)
    return Tile(*size, frames=frames, waited=frames / 15, squared=frames / 15**2, paused=paused)


def looks(fate: Fate, until: float = 4 * PHASE, made_up: float = 0.0, people: int = PEOPLE) -> list[Look]:
    """Ten looks a second at all tiles and three voices."""
    found = []
    for number in range(int(until * 10)):
        at = number / 10
        tiles = {f"s{place}": fate(at, place) for place in range(people)}
        heard = {f"v{place}": (number * 5, int(number * 4800 * made_up), number * 4800) for place in range(3)}
        found.append(Look(at, tiles, heard))
    return found


def follows(down: float, up: float) -> Fate:
    """One is large, and what the link does not carry is paused after `down` seconds, back after `up`."""

    def fate(at: float, place: int) -> Tile:
        phase, within = divmod(at, PHASE)
        wide = phase == 0 or phase == 3 and within >= up or phase in (1, 2) and within < down
        if place == 0:
            return tile(at, FULL if wide else SMALL)
        return tile(at, paused=place > 1 and (phase == 2 and within >= down or phase == 3 and within < up))

    return fate


@pytest.mark.parametrize(
    ("down", "up", "holds"), [(1.0, 3.0, True), (1.9, 5.9, True), (2.5, 3.0, False), (1.0, 6.5, False)]
)
def test_tiles_must_follow_the_link_down_and_up_in_time(down: float, up: float, holds: bool) -> None:
    found = judge_link(looks(follows(down, up)), STARTS)
    assert found["held"] is holds
    assert found["up_s"] == pytest.approx(up, abs=0.15) and max(found["down_s"]) == pytest.approx(down, abs=0.15)


def test_a_tile_that_comes_back_too_early_does_not_follow() -> None:
    def fate(at: float, place: int) -> Tile:
        made = follows(1.0, 3.0)(at, place)
        return replace(made, paused=False) if 50 <= at < 50.5 else made

    cut = phases(looks(fate), STARTS)
    assert fell(cut[2]) == pytest.approx(10.4, abs=0.11)
    assert rose(cut[3], 10 * cut[0].steady) == float("inf")


@pytest.mark.parametrize(("made_up", "holds"), [(0.009, True), (0.02, False)])
def test_voices_must_be_heard(made_up: float, holds: bool) -> None:
    found = judge_link(looks(follows(1.0, 3.0), made_up=made_up), STARTS)
    assert found["held"] is holds and found["concealed"] == pytest.approx([made_up] * 3, rel=0.01)


def test_only_the_voices_that_most_came_of_count() -> None:
    first = Look(0, {}, {"a": (0, 0, 0), "b": (0, 0, 0)})
    last = Look(9, {}, {"a": (450, 90, 9000), "b": (20, 9000, 9000), "new": (5, 1, 2)})
    assert concealed([first, last], 1) == [0.01]


@pytest.mark.parametrize(
    ("paused", "expected"),
    [
        pytest.param((99, 99), 2.0, id="nobody said so"),
        pytest.param((8.5, 11), 0.5, id="half a second before it was said"),
        pytest.param((7, 11), 0, id="it was said"),
        pytest.param((7, 9), 0.5, id="half a second may pass after a pause"),
    ],
)
def test_a_picture_that_stands_still_counts_unless_it_was_said_to_be_paused(
    paused: tuple[float, float], expected: float
) -> None:
    """It freezes from 8 to 10."""

    def fate(at: float, place: int) -> Tile:
        moved = at if at < 8 or at >= 10 else 8.0
        return tile(moved, paused=paused[0] <= at < paused[1])

    seen = looks(lambda at, place: fate(at, place) if place == 0 else tile(at), 15)
    assert frozen(seen).get("s0", 0) == pytest.approx(expected, abs=0.11)
    assert frozen(seen).keys() <= {"s0"}


def test_a_picture_that_never_moves_again_is_frozen() -> None:
    seen = looks(lambda at, place: tile(min(at, 5.0) if place == 4 else at), 10)
    assert frozen(seen) == {"s4": pytest.approx(4.9, abs=0.11)}


@pytest.mark.parametrize(("wait", "expected"), [(0.2, 0), (0.23, 0.23), (0.4, 0.4)])
def test_a_wait_counts_by_what_the_browser_measured_and_not_by_when_it_was_looked_at(
    wait: float, expected: float
) -> None:
    """Looks are 0.1 s apart; between two of them is the end of one long wait."""

    def fate(at: float, place: int) -> Tile:
        if place or at < 5:
            return tile(at)
        before = tile(5)
        if at < 5 + wait:
            return before
        late = tile(at - wait)
        return replace(
            late, frames=late.frames + 1, waited=late.waited + wait, squared=late.squared + wait**2
        )

    assert frozen(looks(fate, 10)) == ({"s0": pytest.approx(expected)} if expected else {})


def test_of_two_waits_the_longer_is_known_and_of_more_what_it_cannot_exceed() -> None:
    def after(*waits: float) -> float:
        before = tile(1)
        squares = sum(wait**2 for wait in waits)
        return longest_wait(
            before,
            replace(
                before,
                frames=before.frames + len(waits),
                waited=before.waited + sum(waits),
                squared=before.squared + squares,
            ),
        )

    assert after(0.3) == pytest.approx(0.3)
    assert after(0.05, 0.25) == pytest.approx(0.25)
    assert 0.1 <= after(0.02, 0.1, 0.03) < 0.11


def sharp(at: float, place: int) -> Tile:
    return tile(at, FULL if place == 0 else SMALL)


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        pytest.param({}, True, id="nothing changes"),
        pytest.param({"width": 640, "height": 360}, False, id="a lower layer"),
        pytest.param({"paused": True}, False, id="paused"),
        pytest.param({"frames": 450}, False, id="a freeze"),
    ],
)
def test_a_bystander_must_notice_nothing(change: Mapping[str, int], holds: bool) -> None:
    def fate(at: float, place: int) -> Tile:
        made = sharp(at, place)
        return replace(made, **change) if place == 0 and 30 <= at < 31 else made  # type: ignore[arg-type]

    assert judge_bystander(looks(fate))["held"] is holds


def test_a_bystander_must_see_everybody() -> None:
    assert not judge_bystander(looks(sharp, people=PEOPLE - 1))["held"]
