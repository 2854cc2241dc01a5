"""From asking for another size to its first packet: `make bench NAME=switch_time`.

Synthetic people look at each other through a focus of their own processes, and each makes another picture large every
ten to twenty seconds. A switch lasts from the message on the data channel to the first packet of the first keyframe in
the size that was asked for: to the focus, from there to the publisher, whose next frame it is (15 a second), and back.
Bar: half of them within the publisher's round trip, which is nothing on loopback, and 80 ms.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from bench.participants.report import quantile
from bench.participants.run import Crowd, run_participants
from bench.stage import stage

PEOPLE, SECONDS = 6, 90.0
BAR_MS = 80.0
ENOUGH = 20


def judged(tracks: Sequence[Sequence[float]]) -> dict[str, Any]:
    """The figures and the verdict. `tracks`: of each picture, seconds of its switches; the first began it."""
    times = sorted(1000 * seconds for track in tracks for seconds in track[1:])
    return {
        "ms_p50": round(quantile(times, 0.5), 1),
        "ms_p90": round(quantile(times, 0.9), 1),
        "ms_most": round(quantile(times, 1.0), 1),
        "switches": len(times),
        "bar_ms": BAR_MS,
        "pass": len(times) >= ENOUGH and quantile(times, 0.5) < BAR_MS,
    }


async def measure(people: int, seconds: float) -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(stage(people=0, page=False))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        accounts = await stand.accounts(people, session)
        crowd = Crowd()
        await run_participants(
            stand.homeserver, accounts, stand.room, stand.focus, people, crowd=crowd, stack="native", seconds=seconds
        )  # fmt: skip
        lines = [call.line for one in crowd.participants for call in one.calls]
        return judged([track.found.switches for line in lines for track in line.tracks()])


def main() -> int:
    """Measure, print JSON; 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.switch_time", description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE, help=f"in the call (default: {PEOPLE})")
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"of the call (default: {SECONDS:.0f})")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.people, arguments.seconds))
    print(json.dumps({"bench": "switch_time", **found, "load": round(os.getloadavg()[0], 2)}))
    return 0 if found["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
