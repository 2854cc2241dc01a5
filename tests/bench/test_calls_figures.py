"""Benches of many publishers: who gets whom, and a verdict that is against what is dear, lossy or never ran."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

import pytest

from bench import audio, rooms
from bench.forwarding import calls, cost
from bench.forwarding.cost import FAULTS, Taken
from bench.rooms import Picture
from focus.native import available

CPUS = frozenset(os.sched_getaffinity(0))


def row(us: float, lost: int = 0) -> dict[str, Any]:
    crowd = {"received": 1000 - lost, **dict.fromkeys(FAULTS, 0)}
    crowd |= {f"latency_us_{part}": 100 for part in ("p50", "p99", "most")}
    return cost.row([Taken(1.0, us * (1000 - lost) / 1e6, 1000, crowd, {}, 0)], [])


@pytest.mark.parametrize(
    ("us", "once", "lost", "passes"),
    [
        pytest.param(2.9, 6.0, (0, 0, 0), True, id="cheap when packets wait"),
        pytest.param(3.1, 2.0, (0, 0, 0), False, id="dear when they wait"),
        pytest.param(2.9, 6.0, (1, 0, 0), False, id="one lost at once"),
        pytest.param(2.9, 6.0, (0, 1, 0), False, id="one lost of those that wait"),
        pytest.param(2.9, 6.0, (0, 0, 1), False, id="one lost of those of other sizes"),
    ],
)
def test_voices_pass_when_waiting_makes_them_cheap_and_none_is_lost(
    us: float, once: float, lost: tuple[int, int, int], passes: bool
) -> None:
    rows = {"at once": row(once, lost[0]), "5 ms": row(us, lost[1]), "5 ms, own sizes": row(9.0, lost[2])}
    found = audio.judged(rows)
    assert found["pass"] is passes
    assert (found["us_per_packet"], found["at_once_us_per_packet"]) == (us, once)


def test_the_bare_loop_sends_as_many_packets_as_ten_speakers() -> None:
    sources = audio.meeting(lambda number: audio.SIZE)
    packets = sum(one.frames(6.0) for one in sources)
    assert packets == 3000
    assert [like.frames(6.0) * like.burst for like in (audio.singles(), audio.threes())] == [packets, packets]
    assert {len(one.sinks) for one in sources} == {50} and len({one.phase for one in sources}) == 10


@pytest.mark.parametrize(("lost", "later", "passes"), [(0, 0, True), (1, 0, False), (0, 1, False)])
def test_rooms_pass_when_nothing_is_lost(lost: int, later: int, passes: bool) -> None:
    found = rooms.judged({"a": row(5.0, 9), "b": row(4.0, lost), "b, 5 ms": row(3.0, later)}, "b", "b, 5 ms")
    assert (found["pass"], found["us_per_packet"]) == (passes, 4.0)


@pytest.mark.parametrize(("us", "lost", "fits"), [(790.0, 0, True), (810.0, 0, False), (100.0, 1, False)])
def test_a_picture_fits_when_all_of_it_arrives_and_the_engine_has_room(us: float, lost: int, fits: bool) -> None:
    assert rooms.fits(row(us, lost)) is fits


def test_everybody_gets_a_voice_and_a_picture_of_everybody_else_in_the_room() -> None:
    sources = rooms.everybody(rooms.PICTURES[0], 20, 10)
    got = Counter((sink, one.kind) for one in sources for sink in one.sinks)
    assert len(got) == 400 and set(got.values()) == {9}
    assert all(one.peer.split()[0] == sink.split()[0] != one.peer for one in sources for sink in one.sinks)
    numbers = [number for one in sources for number in (one.stream.ssrc, one.stream.rtx_ssrc) if number is not None]
    assert len(set(numbers)) == len(numbers) == 600
    assert all(0 <= one.phase < 1 for one in sources)


if available():

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    async def test_two_small_rooms_hear_and_see_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(calls, "WARM_UP", 0.3)
        found = await rooms.of(Picture(2, 300), 2, 3, 1.0, 1, CPUS, 0.0)
        assert cost.whole(found) and found["loss"] == 0, found
        assert found["us_per_packet"] > 0 and sum(found["train_histogram"].values()) > 0
        # Two voices and two pictures each; the stretch is a little longer than what is sent in it.
        expected = 6 * 2 * (50 + 2 * rooms.FPS)
        assert 0.5 * expected < found["packets_per_second"] <= expected
