"""Both engines, fed the same packets, commands and losses, do the same; and a difference would be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from actions import Action, Connect, Control, Media, Miss, Step, Submit, Tick, Timed
from compare import Chosen
from focus.commands import Drop, Estimate, Levels
from focus.native import available
from focus.reference import feedback, rewriter, route, rtcp, session, source, vp8
from focus.reference.rewriter import Numbers, Rewriter
from focus.reference.rtp import Packet
from media_bytes import Rtp, read, read_vp8
from native_table import NativeTable
from oracle import Make, judge, law
from reference_table import ReferenceTable
from scenario import scenario

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUICK = range(200)
FED_BACK = 290
"A seed in which feedback tells of packets, and later REMB comes."
"Seeds; `bench/differential.py`, and with it `make soak`, runs 10,000."
OTHERS = [pytest.param(ReferenceTable, id="reference")]
"Compared with the law. The reference engine itself has no chance of its own: it does the same again."
if available():
    OTHERS.append(pytest.param(NativeTable, id="native"))
kept = cache(law)


def test_one_seed_is_one_scenario() -> None:
    assert all(scenario(seed) == scenario(seed) for seed in range(5))
    assert scenario(1) != scenario(2)


@pytest.mark.parametrize("make", OTHERS)
def test_both_do_the_same(make: Make) -> None:
    differences = [str(one) for seed in QUICK for one in judge(seed, *kept(seed), make).differences]
    assert not differences, "\n".join(differences[:5])


def test_scenarios_reach_every_drop_of_the_packet_path_and_every_event() -> None:
    reached: set[str] = set()
    kinds: set[type[Action]] = set()
    for seed in QUICK:
        actions, steps = kept(seed)
        kinds |= {type(action) for _, action in scenario(seed).actions}
        reached |= {type(event).__name__ for step in steps for event in step.events}
        reached |= (steps[-1].totals or {}).keys()
    transports = {"not_demuxed", "too_short", "authentication", "replayed"}
    ours = {"pacer_full"}
    "The law does not pace."
    packets = {str(reason) for reason in Drop if not reason.startswith("message")} - transports - ours
    assert packets <= reached, packets - reached
    assert {"Appeared", "Vanished", "Switched", "Estimate", "Rates", "Levels"} <= reached
    assert {"rtx_out", "keyframe_requests"} <= reached
    assert kinds == {Submit, Connect, Media, Control, Miss, Tick}


def test_every_counter_wraps_on_its_way_out() -> None:
    wrapped: Counter[str] = Counter()
    for seed in QUICK:
        newest: dict[int, tuple[Rtp, int]] = {}
        for _, kind, data in (sent for step in kept(seed)[1] for sent in step.sent):
            if kind != "rtp":
                continue
            packet = read(data)
            picture = read_vp8(packet.payload).picture or 0 if packet.pt == 120 and packet.payload else 0
            before, picture_before = newest.get(packet.ssrc, (packet, picture))
            wrapped["sequence"] += before.sequence - packet.sequence > 1 << 15
            wrapped["timestamp"] += before.timestamp - packet.timestamp > 1 << 31
            wrapped["picture"] += picture_before - picture > 1 << 14
            newest[packet.ssrc] = packet, picture
    assert min(wrapped.values()) > 0, wrapped


def test_every_chosen_difference_is_explained() -> None:
    manual = (Path(__file__).resolve().parents[2] / "focus/native/README.md").read_text()
    differences = manual.split("## Differences", 1)[1].split("\n## ", 1)[0]
    assert all(f"`{name}`" in differences for name in Chosen)


def late(self: Rewriter, packet: Packet) -> Numbers | None:
    """A rewriter that is off by one, but only after a wrap."""
    numbers = original_map(self, packet)
    if numbers is None or self.last < 1 << 16 and numbers.picture < 1 << 14:
        return numbers
    return Numbers(numbers.sequence, numbers.timestamp, numbers.picture + 1, numbers.tl0)


original_map = Rewriter.map
BROKEN: tuple[tuple[Any, str, Any], ...] = (
    (Rewriter, "map", late),
    (Rewriter, "skip", lambda self, index: None),
    (rewriter, "RESTARTED", 499),
    (route, "RESEND_TIMES", 2),
    (route, "RESEND_AFTER", 0.12),
    (route, "LEAST_RTX", 8100),
    (source, "KEYFRAME_EVERY", 0.52),
    (session, "SILENT", 1.9),
    (session, "LAGGING", 0.72),
    (source, "CACHED", 128),
    (source, "COPIED", source.COPIED[1:]),
    (source, "MOST_MISSING", 100),
    (feedback, "NACK_AGAIN", 0.12),
    (feedback, "NACK_TIMES", 9),
    (feedback, "MOST_MISSING", 499),
    (rtcp, "MOST_NACKS", 255),
    (session, "MOST_SSRCS", 31),
    (session, "MOST_PACKETS", 2999),
    (vp8, "rewrite", lambda payload, descriptor, picture, tl0: payload),
)


@pytest.mark.parametrize(("where", "name", "value"), BROKEN, ids=lambda value: getattr(value, "__name__", str(value)))
def test_a_broken_twin_is_found(where: Any, name: str, value: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    recorded: Callable[[int], tuple[list[Timed], list[Step]]] = kept
    scenarios = [(seed, *recorded(seed)) for seed in QUICK]
    monkeypatch.setattr(where, name, value)
    assert any(judge(*one, ReferenceTable).differences for one in scenarios)


def test_a_level_and_an_edge_that_differ_are_found() -> None:
    class Louder(ReferenceTable):
        def drain(self) -> list[Any]:
            return [
                Levels(event.track, event.loudness + 1) if isinstance(event, Levels) else event
                for event in super().drain()
            ]

    found = [str(one) for seed in QUICK for one in judge(seed, *kept(seed), Louder).differences]
    assert found and all("levels" in one for one in found)


def test_an_estimate_that_differs_is_found_unless_feedback_told_of_packets() -> None:
    class Doubtful(ReferenceTable):
        def drain(self) -> list[Any]:
            return [
                Estimate(event.peer, event.bps + 1) if isinstance(event, Estimate) else event
                for event in super().drain()
            ]

    found = judge(FED_BACK, *kept(FED_BACK), Doubtful)
    assert found.differences and all(one.what == "levels" for one in found.differences)
    assert Chosen.LINK_ESTIMATED not in found.chosen


@pytest.mark.skipif(not available(), reason="only the native engine estimates links")
def test_what_follows_from_an_estimate_of_a_link_is_not_compared() -> None:
    actions, steps = kept(FED_BACK)
    found = judge(FED_BACK, actions, steps, NativeTable)
    assert not found.differences and found.chosen[Chosen.LINK_ESTIMATED] == 1
    # What came before is.
    first = next(place for place, step in enumerate(steps) if step.sent)
    spoilt = [*steps[:first], Step([], steps[first].events, steps[first].totals), *steps[first + 1 :]]
    assert judge(FED_BACK, actions, spoilt, NativeTable).differences
