"""Ten speakers to fifty listeners: `make bench NAME=audio`.

Each speaker sends Opus in packets of 20 ms, all of one size, without a pause; each listener gets
all ten and answers as a client does. The speakers' phases are spread evenly over the 20 ms, so
that no two packets come together by chance. Measured at once, and with 5 ms of coalescing: then
what came meanwhile leaves for each listener as one train. A third row gives each speaker a size of
their own, as a coder with a variable rate would: a train ends where another size follows. It is
held to no bar.

The bare loop cannot have ten streams a sink. It sends the same number of packets of the same size
to the same sinks: single ones 2 ms apart, and threes 6 ms apart, which is what 5 ms of waiting
makes of packets that are 2 ms apart.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from bench.forwarding import cost
from bench.forwarding.calls import PACKETS_A_SECOND, Source, calling, voice
from bench.forwarding.native import Traffic, pinned
from bench.packet import machine, stolen
from focus.vocabulary import Kind, PeerId

SPEAKERS = 10
LISTENERS = 50
SIZE = 160
"Bytes of a packet before it is sealed: RTP header and extensions 28, Opus 132: 53 kbit/s."
COALESCE = 5.0
"Milliseconds: as long as a receiver's estimator takes what comes for one burst."
BAR_US = 3.0
"With coalescing."
LIVEKIT_US = 20
"LiveKit 1.13.5 on this kind of machine: 19.3 to 21.9 (`bench/README.md`)."
THREES = 3


def meeting(size: Callable[[int], int]) -> list[Source]:
    """Who speaks to whom. `size`: of each speaker's packets."""
    listeners = tuple(PeerId(f"listener{number}") for number in range(LISTENERS))
    return [
        Source(
            PeerId(f"speaker{number}"), Kind.AUDIO, voice(0x1000 + number, size(number)), listeners, number / SPEAKERS
        )
        for number in range(SPEAKERS)
    ]  # fmt: skip


def singles() -> Traffic:
    """What the bare loop sends beside packets that leave at once."""
    return Traffic(SPEAKERS * PACKETS_A_SECOND, 1, SIZE)


def threes() -> Traffic:
    """What it sends beside packets that waited for others."""
    return Traffic(SPEAKERS * PACKETS_A_SECOND / THREES, THREES, SIZE)


async def of(
    sources: list[Source], like: Traffic, seconds: float, rounds: int, cpus: frozenset[int], coalesce: float
) -> dict[str, Any]:
    """One row: stretches of the engine and of the bare loop in turn."""
    engine: list[cost.Taken] = []
    looped: list[cost.Taken] = []
    async with AsyncExitStack() as stack:
        stand, pool = await calling(stack, sources, like, cpus, coalesce)
        for _ in range(rounds):
            engine.append(await stand.forward(seconds))
            looped.append(await stand.loop(seconds, pool))
    return cost.row(engine, looped)


def judged(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The figures, and whether the bar holds."""
    waiting, once = rows["5 ms"], rows["at once"]
    good = all(cost.whole(one) for one in rows.values()) and waiting["us_per_packet"] <= BAR_US
    return {
        "us_per_packet": waiting["us_per_packet"], "bare_us_per_packet": waiting["bare_us_per_packet"],
        "ratio": waiting["ratio"], "at_once_us_per_packet": once["us_per_packet"],
        "at_once_bare_us_per_packet": once["bare_us_per_packet"], "at_once_ratio": once["ratio"],
        "own_sizes_us_per_packet": rows["5 ms, own sizes"]["us_per_packet"],
        "packets_per_second": waiting["packets_per_second"], "loss": max(one["loss"] for one in rows.values()),
        "latency_us": waiting["latency_us"], "train_histogram": waiting["train_histogram"],
        "livekit_us_per_packet": LIVEKIT_US, "rows": dict(rows), "pass": good,
    }  # fmt: skip


async def measure(seconds: float, rounds: int, cpus: frozenset[int]) -> dict[str, Any]:
    """All rows."""
    same, own = meeting(lambda number: SIZE), meeting(lambda number: SIZE - 18 + 4 * (7 * number % SPEAKERS))
    return judged(
        {
            "at once": await of(same, singles(), seconds, rounds, cpus, 0.0),
            "5 ms": await of(same, threes(), seconds, rounds, cpus, COALESCE),
            "5 ms, own sizes": await of(own, threes(), seconds, 2, cpus, COALESCE),
        }
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.audio", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="of one stretch (default: 5)")
    parser.add_argument("--rounds", type=int, default=6, help="stretches of engine and bare loop in turn (default: 6)")
    arguments = parser.parse_args()
    before, cpus = stolen(), pinned()
    own, start = time.process_time(), time.monotonic()
    found = asyncio.run(measure(arguments.seconds, arguments.rounds, cpus))
    print(cost.table(found["rows"]))
    verdict = found.pop("pass")
    result = {
        "bench": "audio", "speakers": SPEAKERS, "listeners": LISTENERS, "packet_bytes": SIZE, **found,
        **machine(before), "sinks": "plain sockets, left alone for 1 ms at a time",
        "sinks_cores": round((time.process_time() - own) / (time.monotonic() - start), 3), "pass": verdict,
    }  # fmt: skip
    print(json.dumps(result))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
