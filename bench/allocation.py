"""How well links are shared out, in the nine cases of a forwarder's trouble: `make bench NAME=allocation`.

The real allocator (`focus/allocate.py`) in virtual time over a model of a subscriber's link: an
estimate that falls at once, climbs by 8 % a second and is doubled by a probe a second, as far as
the link and what could be used go; that wavers by some percent, comes late or not at all; rates
of layers that are measured each second. Each moment is held against the best that the link
carries, found by looking at everything: of the decisions that show as many people as fit (the
rule comes before utility), the one with the most utility; and, beside it, of all decisions whatever,
even those that show few so that one is large. Judged are the median of the first share in each case
and of the second over all, how often pictures change once the link is steady, how long more is sent than the link
carries, and how soon nine tenths are back. Loss and retransmission (d), feedback (g) and keyframes
(c) are the engine's, and measured there; here they are what they do to an estimate.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import statistics
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from focus.allocate import Allotment, allocate, need
from focus.ask import PAUSED, Ask, Class, Option
from focus.vocabulary import Rid

SHARE = 0.9
SWITCHES = 4.0
"A minute, of all pictures of a subscriber together, once its link is steady."
FREEZES = 0.5
"Seconds that pictures stand still in all, without being paused."
REGAIN = 6.0
STEADY = 15.0
"Seconds without a change of the link, after which it is steady."
TICK = 0.1
CLIMB = 1.08
"An estimate grows by so much each second."
PROBE = 2.0
"A probe that goes through shows so much more."
LADDER = ((Rid("q"), 150e3, 320 * 180.0), (Rid("h"), 500e3, 640 * 360.0), (Rid("f"), 2500e3, 1280 * 720.0))
VOICE = 40e3
LARGE, SMALL = 1280 * 720.0, 320 * 180.0


@dataclass(slots=True)
class Case:
    """A subscriber's link and what it watches."""

    name: str
    link: Callable[[float], float]
    "What it carries at a time, bits a second."
    seconds: float
    tiles: tuple[tuple[float, float, int], ...]
    "Pixels shown, weight, layers that its size asks for."
    voices: int = 3
    noise: float = 0.03
    late: float = 0.1
    "Seconds until the estimate knows of a change."
    lost: float = 0.0
    "Part of the estimates that do not come."
    without: Callable[[float], tuple[int, int] | None] = lambda now: None
    "A tile and how many of its layers flow at a time, where it is fewer."


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    shares: list[float] = field(default_factory=list)
    freely: list[float] = field(default_factory=list)
    "Of what there could be if nobody had to be seen."
    switches: int = 0
    steady: float = 0.0
    over: float = 0.0
    "Seconds in which more was sent than the link carries: pictures stand still."
    regain: float | None = None
    voices: bool = True
    pauses: int = 0


def asked(case: Case, now: float, rates: list[float]) -> dict[int, Ask]:
    """What the subscriber asks for now."""
    asks: dict[int, Ask] = {n: Ask(Class.AUDIO, (Option(Rid(""), VOICE),)) for n in range(case.voices)}
    gone = case.without(now)
    for n, (shown, weight, layers) in enumerate(case.tiles):
        flowing = min(layers, gone[1]) if gone is not None and gone[0] == n else layers
        options = tuple(Option(rid, bps * rates[n], pixels) for rid, bps, pixels in LADDER[:flowing])
        if options:
            asks[case.voices + n] = Ask(Class.CAMERA, options, shown, weight)
    return asks


def most(asks: list[Ask], budget: float) -> float:
    """The most utility that fits where as many people as fit are shown, those that count most first."""
    left = budget - sum(ask.costs[0] for ask in asks if ask.kind is Class.AUDIO)
    groups: Counter[tuple[tuple[float, ...], tuple[float, ...]]] = Counter()
    for ask in sorted(asks, key=lambda ask: ask.turn):
        if ask.kind is not Class.AUDIO and ask.costs[0] <= left:
            left -= ask.costs[0]
            groups[tuple(cost - ask.costs[0] for cost in ask.costs[:-1]), ask.worths[:-1]] += 1
    return _best(groups, left)


def most_freely(asks: list[Ask], budget: float) -> float:
    """The most utility that fits, whoever is seen."""
    left = max(0.0, budget - sum(ask.costs[0] for ask in asks if ask.kind is Class.AUDIO))
    pictures = [ask for ask in asks if ask.kind is not Class.AUDIO]
    return _best(Counter(((0.0, *ask.costs[:-1]), (0.0, *ask.worths[:-1])) for ask in pictures), left)


def _best(groups: Counter[tuple[tuple[float, ...], tuple[float, ...]]], left: float) -> float:
    """The most worth that fits, with one option of each that is counted."""
    # Cheapest first, and each better than the one before: what all looked at so far can be together.
    front = [(0.0, 0.0)]
    for (costs, worths), count in groups.items():
        # All ways to spread alike tiles over their options.
        spread = list(itertools.combinations_with_replacement(range(len(costs)), count))
        ways = [(sum(costs[p] for p in places), sum(worths[p] for p in places)) for places in spread]
        sums = sorted((a + c, -b - d) for a, b in front for c, d in ways if a + c <= left)
        front, top = [], -1.0
        for cost, worth in sums:
            if -worth > top:
                top = -worth
                front.append((cost, top))
    return front[-1][1]


def run(case: Case, seed: int) -> Outcome:
    """One case from beginning to end."""
    chance = random.Random(seed)
    outcome = Outcome()
    allotment: Allotment[int] = Allotment()
    estimate, told = case.link(0.0), case.link(0.0)
    rates = [1.0] * len(case.tiles)
    asks = asked(case, 0.0, rates)
    changed, lowest, rising = 0.0, False, None
    carried = case.link(0.0)
    for tick in range(int(case.seconds / TICK)):
        now = tick * TICK
        link = case.link(now)
        if link != carried:
            changed, rising = now, now if link > carried else None
            lowest, carried = True, link
        if tick % 10 == 0:
            rates = [chance.choice((0.97, 1.0, 1.03)) for _ in case.tiles]
        asks = asked(case, now, rates)
        every = list(asks.values())
        seen = case.link(max(0.0, now - case.late))
        if seen < estimate:
            estimate = seen
        else:
            grown = estimate * (PROBE if tick % 10 == 0 else CLIMB**TICK)
            estimate = min(seen, max(estimate, min(grown, need(every))))
        if chance.random() >= case.lost:
            noisy = estimate * (1 + chance.uniform(-case.noise, case.noise))
            if abs(noisy - told) > 0.03 * told:
                told = noisy
        before = dict(allotment.places)
        allotment = allocate(asks, told, allotment, now)
        moved = [key for key, place in allotment.places.items() if key in before and before[key] != place]
        outcome.pauses += sum(allotment.places[key] == PAUSED for key in moved)
        if now - changed > STEADY:
            outcome.switches += len(moved)
            outcome.steady += TICK
        outcome.voices = outcome.voices and all(allotment.places[n] == 0 for n in range(case.voices))
        sent = sum(ask.costs[allotment.places[key]] for key, ask in asks.items())
        bare = sum(ask.costs[0] for ask in every if ask.kind is Class.AUDIO)
        if sent > max(link * 1.05, bare) and now - changed > case.late + TICK:
            outcome.over += TICK
        top = most(every, link)
        got = sum(ask.worths[allotment.places[key]] for key, ask in asks.items())
        outcome.shares.append(min(1.0, got / top) if top else 1.0)
        free = most_freely(every, link)
        outcome.freely.append(min(1.0, got / free) if free else 1.0)
        if lowest and rising is not None and outcome.shares[-1] >= SHARE:
            outcome.regain = max(outcome.regain or 0.0, now - rising)
            rising = None
    if rising is not None and case.seconds - rising > REGAIN:
        outcome.regain = case.seconds - rising
    return outcome


def steps(*points: tuple[float, float]) -> Callable[[float], float]:
    """A link that changes at times: (seconds, bits a second)."""
    return lambda now: next(bps for since, bps in reversed(points) if now >= since)


NINE = ((LARGE, 4.0, 3), *((SMALL, 1.0, 1),) * 8)
GRID = ((640 * 360.0, 2.0, 2),) * 9
PAIR = ((LARGE, 2.0, 3), (LARGE, 2.0, 3))
CASES = (
    Case("a staircase, a stage", steps((0, 4e6), (40, 1.2e6), (80, 0.35e6), (120, 4e6)), 180, NINE),
    Case("a staircase, a grid", steps((0, 4e6), (40, 1.2e6), (80, 0.35e6), (120, 4e6)), 180, GRID),
    Case("b an estimate that climbs only while probed", steps((0, 1.2e6), (20, 9e6)), 90, PAIR),
    Case("c pictures of keyframe size", steps((0, 2e6), (30, 1.2e6), (33, 2e6)), 90, GRID),
    Case("d a link that loses a tenth", steps((0, 4e6), (20, 3.2e6)), 90, GRID, noise=0.08),
    Case("e a layer that stops and comes back", steps((0, 6e6),), 90, PAIR,
         without=lambda now: (0, 2) if 20 <= now < 40 else None),
    Case("f voices at 64 kbit/s", steps((0, 1e6), (20, 64e3), (50, 1e6)), 90, NINE),
    Case("g feedback that is lost and late", steps((0, 4e6), (40, 1.2e6), (80, 4e6)), 130, NINE, late=0.5, lost=0.2),
    *(Case(f"h one of thirty, {rate / 1e6:.1f} Mbit/s", steps((0, rate)), 60, GRID)
      for rate in (0.3e6 + 0.25e6 * n for n in range(30))),
    Case("i a relay's link halved", steps((0, 12e6), (30, 6e6), (60, 12e6)), 100, ((LARGE, 1.0, 3),) * 6, voices=10),
)  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.allocation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    shares: list[float] = []
    freely: list[float] = []
    for case in CASES:
        outcome = run(case, arguments.seed)
        shares += outcome.shares
        freely += outcome.freely
        rate = 60 * outcome.switches / outcome.steady if outcome.steady else 0.0
        row = {
            "case": case.name, "utility": round(statistics.median(outcome.shares), 3),
            "utility_freely": round(statistics.median(outcome.freely), 3),
            "utility_p10": round(statistics.quantiles(outcome.shares, n=10)[0], 3),
            "switches_per_minute": round(rate, 2), "frozen_s": round(outcome.over, 1),
            "regain_s": None if outcome.regain is None else round(outcome.regain, 1),
            "pauses": outcome.pauses, "voices": outcome.voices,
        }  # fmt: skip
        rows.append(row)
        print(json.dumps(row), flush=True)
    switches = max(row["switches_per_minute"] for row in rows)
    frozen = max(row["frozen_s"] for row in rows)
    regain = max(row["regain_s"] or 0.0 for row in rows)
    least, any_seen = min(row["utility"] for row in rows), statistics.median(freely)
    kept = min(least, any_seen) >= SHARE and switches < SWITCHES and frozen <= FREEZES and regain <= REGAIN
    kept = kept and all(row["voices"] for row in rows)
    print(
        json.dumps(
            {
                "bench": "allocation", "utility": round(statistics.median(shares), 3), "utility_least_case": least,
                "utility_freely": round(any_seen, 3),
                "utility_freely_least_case": min(row["utility_freely"] for row in rows),
                "switches_per_minute": switches, "frozen_s": frozen, "regain_s": regain, "cases": len(rows),
                "rows": rows, "pass": kept,
            }
        )
    )  # fmt: skip
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
