"""CPU of the focus for one join into a call of one, two, ten and fifty: `make bench NAME=join_cpu`.

The control plane with the native engine runs in a process of its own, fed through a pipe
instead of a homeserver; the people run in another. All but one are in the call; then one
after another comes, until everybody has a line for everything of everybody, and goes again.
The figure is the CPU time of the focus's process from before a newcomer's member entry until
everybody's answers are in, less what the call costs when nothing happens. It holds ICE, DTLS,
SRTP keys, the data channel, signalling, SDP and planning, for the newcomer and for all others,
each of whom is made an offer. There is no media. What a join into an empty call costs (`alone_ms`)
is a floor: no way of telling the others can bring the figure below it. So is the part that is not
the control plane's (`engine_ms`): transports, and what kernel and engine spend on the messages.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from bench.browser import until
from bench.joining.apart import Focus
from bench.joining.people import Room

BAR_MS = 3.0
ALONE, BAR_PEOPLE = 1, 10
IDLE = 4.0
"Seconds over which the cost of the call at rest is read."
CALM = 0.5
"Seconds that the last answers get to be read."
WITHIN = 60.0
"Seconds for a newcomer to be in."


async def size(people: int, joins: int, cpus: frozenset[int], profiled: bool) -> dict[str, Any]:
    """Measure joins into a call that has so many people afterwards."""

    async def settled() -> bool:
        return room.settled()

    focus = Focus(cpus, profiled)
    try:
        room = Room(focus)
        for _ in range(people - 1):
            room.dial()
            await until(settled, WITHIN, "everybody has everybody", every=0.02)
        await asyncio.sleep(CALM)
        before, start = await focus.used(), time.monotonic()
        await asyncio.sleep(IDLE)
        after = await focus.used()
        took = time.monotonic() - start
        rest, idle = (after.cpu - before.cpu) / took, (after.python - before.python) / took
        costs: list[float] = []
        ours: list[float] = []
        for _ in range(joins):
            before, start = await focus.used(), time.monotonic()
            newcomer = room.dial()
            await until(settled, WITHIN, "everybody has everybody", every=0.02)
            await asyncio.sleep(CALM)
            after = await focus.used()
            took = time.monotonic() - start
            costs.append(after.cpu - before.cpu - rest * took)
            ours.append(after.python - before.python - idle * took)
            assert after.figures.peers == people, "all are there"
            await room.leave(newcomer)
            await asyncio.sleep(CALM)
        for call in tuple(room.calls):
            await room.leave(call)
    finally:
        await focus.close()
    return {
        "people": people, "joins": joins, "cpu_ms": round(1000 * statistics.median(costs), 2),
        "python_ms": round(1000 * statistics.median(ours), 2),
        "cpu_ms_least": round(1000 * min(costs), 2), "cpu_ms_most": round(1000 * max(costs), 2),
        "rest_cores": round(rest, 4), "faults": after.faults,
    }  # fmt: skip


def judged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of all sizes, and whether the bar holds. One that was not measured is None."""
    of = {row["people"]: row for row in rows}
    figure = of[BAR_PEOPLE]["cpu_ms"] if BAR_PEOPLE in of else None
    return {
        "cpu_ms_per_join": figure, "bar_ms": BAR_MS,
        "alone_ms": of[ALONE]["cpu_ms"] if ALONE in of else None,
        "engine_ms": round(figure - of[BAR_PEOPLE]["python_ms"], 2) if figure is not None else None,
        "by_people": {str(people): row["cpu_ms"] for people, row in of.items()}, "rows": list(rows),
        "pass": figure is not None and figure <= BAR_MS,
    }  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.join_cpu", description=__doc__)
    parser.add_argument("--people", default="1,2,10,50", help="sizes of the call (default: 1,2,10,50)")
    parser.add_argument("--joins", type=int, default=10, help="newcomers at each size (default: 10)")
    parser.add_argument("--profile", action="store_true", help="print where the control plane's time goes")
    arguments = parser.parse_args()
    cpus = sorted(os.sched_getaffinity(0))
    # What is measured has a CPU of its own.
    os.sched_setaffinity(0, {cpus[0]})
    rows = []
    for people in (int(number) for number in arguments.people.split(",")):
        rows.append(asyncio.run(size(people, arguments.joins, frozenset({cpus[-1]}), arguments.profile)))
        print(json.dumps(rows[-1]), flush=True)
    found = judged(rows)
    print(json.dumps({"bench": "join_cpu", **found, "load": os.getloadavg()[0]}))
    return 0 if found["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
