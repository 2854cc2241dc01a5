"""What rate control costs a packet: `make bench NAME=packet_cost`.

The engine of the commit before rate control, built out of the history, and the one that is here
carry the same bursts to sinks of one kind, in turns, on one CPU. All sinks answer with
transport-wide feedback. As the first stretch after a start begins, the engine that is here is told
that each sink could use three times what is sent, of a link that is not known to carry it: in that
stretch it probes and paces (`opening`). From then on it goes on estimating with each feedback. The
figure is the median of the ratios of neighbours in time, those of the openings among them.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import random
import statistics
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.forwarding import cost
from bench.forwarding.cases import BURSTS
from bench.forwarding.elsewhere import ROOT, Elsewhere, Unattainable, checked_out
from bench.forwarding.native import Stand, pinned, standing
from bench.packet import machine, stolen
from focus.commands import Drop, Estimate, Need
from focus.native import Unavailable

BEFORE = "63dddd6"
"The commit before rate control."
MOST_RATIO = 1.15
"Cost of a packet now over that before."
WANTED = 8_000_000
"Bits a second that a sink could use: three times what is sent."


@dataclass(slots=True)
class Taken:
    """Stretches of both engines, in turns."""

    before: list[cost.Taken] = field(default_factory=list)
    now: list[cost.Taken] = field(default_factory=list)
    openings: list[int] = field(default_factory=list)
    "Which of them are."
    probes: int = 0
    paced_out: int = 0
    "Packets that waited and then were not sent."
    estimates: list[int] = field(default_factory=list)
    "In bits a second, at the end, of each sink."


def spread(ratios: list[float]) -> list[float]:
    """Least, quartiles and most."""
    return [round(one, 3) for one in (min(ratios), *statistics.quantiles(ratios, n=4), max(ratios))]


def judged(taken: Taken) -> dict[str, Any]:
    """The figures, and whether the bar holds. Pure."""
    rows = {"before": cost.row(taken.before, []), "now": cost.row(taken.now, taken.before)}
    ratios = [now.us / before.us for now, before in zip(taken.now, taken.before, strict=True)]
    steady = [ratio for place, ratio in enumerate(ratios) if place not in taken.openings]
    # Estimating, probing, and nothing lost: else it is the cost of something else.
    estimate = statistics.median(taken.estimates)
    works = taken.probes > 0 and estimate > WANTED and taken.paced_out == 0
    ratio = rows["now"]["ratio"]
    return {
        "us_per_packet": rows["now"]["us_per_packet"], "before_us_per_packet": rows["before"]["us_per_packet"],
        "ratio": ratio, "ratio_spread": spread(ratios), "ratios": [round(one, 3) for one in ratios],
        "opening_ratio": round(statistics.median(ratios[place] for place in taken.openings), 3),
        "steady_ratio": round(statistics.median(steady), 3),
        "probes": taken.probes, "estimate_bps": round(estimate),
        "loss": rows["now"]["loss"], "rows": rows,
        "pass": works and all(cost.whole(one) for one in rows.values()) and ratio <= MOST_RATIO,
    }  # fmt: skip


async def dialled(stack: AsyncExitStack, tree: Path, sinks: int, cpus: frozenset[int]) -> Stand:
    """An engine with its code from a tree, and everybody connected to it."""
    return (await standing(stack, "native", sinks, BURSTS, cpus, make=functools.partial(Elsewhere, tree)))[0]


def estimates(stand: Stand) -> list[int]:
    """What the engine says of each sink's link."""
    newest = {event.peer: event.bps for event in stand.engine.events if isinstance(event, Estimate)}
    return [newest.get(sink, 0) for sink in stand.sinks]


async def once(
    taken: Taken, before: Path, sinks: int, seconds: float, pairs: int, cpus: frozenset[int], chance: random.Random
) -> None:
    """Both engines started anew, and pairs of stretches in an order that is drawn for each; the first pair opens."""
    async with AsyncExitStack() as stack:
        old, new = [await dialled(stack, tree, sinks, cpus) for tree in (before, ROOT)]
        taken.openings.append(len(taken.now))
        for pair in range(pairs):
            for stand in chance.sample([old, new], 2):
                if stand is old:
                    taken.before.append(await old.forward(seconds))
                    continue
                if pair == 0:
                    new.engine.submit(*(Need(sink, WANTED) for sink in new.sinks))
                taken.now.append(await new.forward(seconds))
        counters = (await new.engine.reading()).counters
        taken.probes += counters.probes_out
        taken.paced_out += dict(counters.drops).get(Drop.PACER_FULL, 0)
        taken.estimates += estimates(new)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.packet_cost", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seconds", type=float, default=3.0, help="of one stretch (default: 3)")
    parser.add_argument("--starts", type=int, default=3, help="how often both engines start anew (default: 3)")
    parser.add_argument("--pairs", type=int, default=5, help="stretches of each after a start, in turns (default: 5)")
    parser.add_argument("--seed", type=int, help="of the order of the turns (default: drawn)")
    parser.add_argument("--before", default=BEFORE, help=f"the commit that it is held against (default: {BEFORE})")
    arguments = parser.parse_args()
    seed = random.randrange(2**32) if arguments.seed is None else arguments.seed
    taken, chance = Taken(), random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="weir-before-") as folder:
        try:
            tree = checked_out(arguments.before, Path(folder))
        except (Unattainable, Unavailable) as error:
            print(f"packet_cost: {error}", file=sys.stderr)
            return 2
        before, cpus = stolen(), pinned()
        for _ in range(arguments.starts):
            asyncio.run(
                once(taken, tree, arguments.subscribers, arguments.seconds, arguments.pairs, cpus, chance)
            )
    found = judged(taken)
    print(cost.table(found["rows"]))
    verdict = found.pop("pass")
    result = {"bench": "packet_cost", "before": arguments.before, "subscribers": arguments.subscribers,
              "packet_bytes": BURSTS.size, "burst": BURSTS.burst, "starts": arguments.starts,
              "pairs": len(taken.now), "seed": seed, **found, **machine(before), "pass": verdict}  # fmt: skip
    print(json.dumps(result))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
