"""What a second worker costs: `make bench NAME=workers`.

Two native engines, one with one worker and one with two, carry the same call in turns: one
publisher, many sinks, bursts as a camera sends them. With two workers the sinks are on both,
so every packet crosses once. Both engines are kept to one and the same CPU: the figure is
what the crossing costs, and not what two busy CPUs take from each other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from bench.forwarding import cost
from bench.forwarding.cases import BURSTS
from bench.forwarding.native import pinned, standing
from bench.packet import machine, stolen

WORKERS = 2
MOST_RATIO = 1.1
"Cost of a packet with two workers over that with one."
LEAST_SHARE = 0.2
"Of the packets, at either worker: the kernel deals sinks out by chance."


def total(stretches: Sequence[cost.Taken], name: str) -> int:
    """What all stretches together counted under a name."""
    return sum(one.counted.get(name, 0) for one in stretches)


def judged(one: Sequence[cost.Taken], two: Sequence[cost.Taken]) -> dict[str, Any]:
    """The figures, and whether the bar holds. Stretches of both, in turns."""
    rows = {"one worker": cost.row(one, []), "two workers": cost.row(two, one)}
    sent = [total(two, f"worker_{worker}_sent") for worker in range(WORKERS)]
    shares = [round(count / max(1, sum(sent)), 3) for count in sent]
    found = rows["two workers"]
    good = all(cost.whole(one) for one in rows.values()) and found["ratio"] <= MOST_RATIO
    spans = min(shares) >= LEAST_SHARE and total(two, "mirrored") > 0
    return {
        "us_per_packet": found["us_per_packet"], "one_worker_us_per_packet": rows["one worker"]["us_per_packet"],
        "ratio": found["ratio"], "loss": found["loss"], "faults": found["faults"], "shares": shares,
        "mirrored": total(two, "mirrored"), "handed_over": total(two, "handed_over"),
        "overrun": total(two, "overrun"), "rows": rows,
        "pass": good and spans and total(two, "overrun") == 0,
    }  # fmt: skip


async def measure(sinks: int, seconds: float, rounds: int, cpus: frozenset[int]) -> dict[str, Any]:
    """Both engines are up all the time; packets flow through one of them."""
    taken: dict[int, list[cost.Taken]] = {1: [], WORKERS: []}
    async with AsyncExitStack() as stack:
        stands = {
            workers: (await standing(stack, "native", sinks, BURSTS, cpus, workers=workers))[0] for workers in taken
        }
        for _ in range(rounds):
            for workers, stand in stands.items():
                taken[workers].append(await stand.forward(seconds))
    return judged(taken[1], taken[WORKERS])


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.workers", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=100, help="how many (default: 100)")
    parser.add_argument("--seconds", type=float, default=5.0, help="of one stretch (default: 5)")
    parser.add_argument("--rounds", type=int, default=6, help="stretches of each in turn (default: 6)")
    arguments = parser.parse_args()
    before, cpus = stolen(), pinned()
    found = asyncio.run(measure(arguments.subscribers, arguments.seconds, arguments.rounds, cpus))
    print(cost.table(found["rows"]))
    verdict = found.pop("pass")
    result = {"bench": "workers", "subscribers": arguments.subscribers, "packet_bytes": BURSTS.size,
              "burst": BURSTS.burst, **found, **machine(before), "pass": verdict}  # fmt: skip
    print(json.dumps(result))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
