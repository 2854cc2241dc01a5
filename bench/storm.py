"""A join storm: `make bench NAME=storm`. 200 people join within 5 s while 100 watch.

One person sends a picture; 100 watch it; then 200 more come to watch it, at an even pace, into the
same call. Everything is real but the homeserver: state and messages come to the focus through a
pipe, its control plane admits, plans and describes, and each newcomer brings up ICE, DTLS and a
data channel, asks for the picture and answers the offer that brings it. The focus has a process
and a CPU of its own.

The figure is the 99th percentile, over all who watched before, of the time from one frame's arrival to
the next while the storm lasts: from the first invite until the last newcomer sees the picture. A
join takes from invite to picture.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Any

from bench.browser import until
from bench.crowd import Crowd, Stream
from bench.forwarding.native import CODEC, EXTENSIONS, OPENED, REST, pinned
from bench.joining.apart import Focus
from bench.joining.audience import Guest, Hall
from bench.packet import machine, stolen
from bench.participants.report import quantile
from focus.limits import Limits

CAMERA = Stream(0x1000, "", CODEC, EXTENSIONS, rtx_ssrc=0x1001)
"30 frames a second of 9 packets of 1200 bytes: 2.6 Mbit/s."
BAR_MS = 100
WITHIN = 30.0
"Seconds for one person to be in, and for all of a storm after the last came."
PATIENCE = 10.0
"Seconds that a newcomer may take."
FAULTS = ("lost", "duplicates", "backwards", "corrupt", "misplaced")


@dataclass(frozen=True, slots=True)
class Storm:
    """What was seen."""

    watching: int
    calm: Mapping[str, int]
    "What the books of those who watch say of a while before the storm."
    during: Mapping[str, int]
    seconds: float
    "From the first invite until the last was in."
    cpu: float
    "Seconds of CPU time of the focus's process in it."
    joins: Sequence[float | None]
    "Seconds from invite to picture of each newcomer; None for who did not get it."
    ended: Mapping[str, str]
    "Whose call ended, and why."
    faults: Mapping[str, int]


def judged(storm: Storm) -> dict[str, Any]:
    """The figures, and whether the bar holds."""
    took = sorted(one for one in storm.joins if one is not None)
    wrong = {name: storm.during[name] for name in FAULTS if storm.during[name]}
    good = (
        storm.during["received"] > 0
        and storm.during["gap_us_p99"] < 1000 * BAR_MS
        and len(took) == len(storm.joins)
        and max(took, default=0.0) <= PATIENCE
        and not wrong
        and not storm.ended
    )
    return {
        "gap_ms_p99": round(storm.during["gap_us_p99"] / 1000, 1),
        "gap_ms_most": round(storm.during["gap_us_most"] / 1000, 1),
        "calm_gap_ms_p99": round(storm.calm["gap_us_p99"] / 1000, 1),
        "calm_gap_ms_most": round(storm.calm["gap_us_most"] / 1000, 1),
        "watching": storm.watching, "joined": f"{len(took)} of {len(storm.joins)}",
        "join_ms": {"p50": round(1000 * quantile(took, 0.5)), "p99": round(1000 * quantile(took, 0.99)),
                    "most": round(1000 * max(took, default=0.0))},
        "storm_seconds": round(storm.seconds, 2), "focus_cores": round(storm.cpu / storm.seconds, 3),
        "focus_cpu_ms_per_join": round(1000 * storm.cpu / max(1, len(storm.joins)), 2),
        "wrong": wrong, "ended": dict(storm.ended), "faults": dict(storm.faults), "pass": good,
    }  # fmt: skip


async def measure(watching: int, joins: int, seconds: float, calm: float, cpus: frozenset[int]) -> Storm:
    """Fill the call, wait, and let the storm in."""
    async with AsyncExitStack() as stack:
        focus = Focus(cpus, profiled=False, limits=Limits(participants=watching + joins + 1))
        stack.push_async_callback(focus.close)
        hall = Hall(focus)
        stack.callback(hall.close)
        # Two crowds, since a crowd's figures are those of all its books.
        before, after = (Crowd(opened=OPENED, rest_ms=REST) for _ in range(2))
        for crowd in (before, after):
            crowd.on_event = hall.heard
            stack.callback(crowd.close)
        sender = hall.enter(before, CAMERA)
        await seated(sender)
        before.native.play(sender.peer, CAMERA.ssrc)
        for _ in range(watching):
            await seated(hall.enter(before))
        await asyncio.sleep(1.0)
        before.native.begin()
        await asyncio.sleep(calm)
        quiet = dict(before.figures())

        before.native.begin()
        used, start = await focus.used(), time.monotonic()
        newcomers: list[Guest] = []
        for number in range(joins):
            await asyncio.sleep(start + number * seconds / joins - time.monotonic())
            newcomers.append(hall.enter(after))

        async def over() -> bool:
            return all(one.joined is not None or one.ended for one in newcomers)

        with suppress(TimeoutError):
            await until(over, WITHIN, "all newcomers are in", every=0.01)
        took = time.monotonic() - start
        # A gap is seen when it ends.
        await asyncio.sleep(0.5)
        during, use = dict(before.figures()), await focus.used()
        ended = {str(one.peer): one.ended for one in hall.guests.values() if one.ended}
        waits = [None if one.joined is None else one.joined - one.invited for one in newcomers]
        return Storm(watching, quiet, during, took, use.cpu - used.cpu, waits, ended, use.faults | dict(hall.faults))


async def seated(guest: Guest) -> None:
    """Wait until somebody is in. Raises `TimeoutError`."""

    async def there() -> bool:
        if guest.ended:
            raise RuntimeError(f"{guest.peer} could not join: {guest.ended}")
        return guest.joined is not None

    await until(there, WITHIN, f"{guest.peer} is in", every=0.01)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.storm", description=__doc__)
    parser.add_argument("--watching", type=int, default=100, help="people who watch before (default: 100)")
    parser.add_argument("--joins", type=int, default=200, help="newcomers (default: 200)")
    parser.add_argument("--seconds", type=float, default=5.0, help="within which they come (default: 5)")
    parser.add_argument("--calm", type=float, default=5.0, help="seconds before the storm (default: 5)")
    arguments = parser.parse_args()
    start, cpus = stolen(), pinned()
    found = judged(
        asyncio.run(measure(arguments.watching, arguments.joins, arguments.seconds, arguments.calm, cpus))
    )
    verdict = found.pop("pass")
    print(json.dumps({"bench": "storm", **found, **machine(start), "bar_ms": BAR_MS, "pass": verdict}))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
