"""The focus killed in a running call, again and again: `make bench NAME=restart`.

A demo runs the call; its supervisor starts the focus anew as systemd would. Measured from
`kill -9` until each person has moving pictures of everybody again: the synthetic
participants by what they receive, the page by what it decodes. Nobody clicks anything.
Short if somebody is not back within 30 s.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from contextlib import AsyncExitStack
from typing import Any

import aiohttp

from bench.browser import Window, until, window
from bench.participants import report
from bench.participants.run import Crowd, run_participants
from bench.stage import Stage, stage

BACK_WITHIN = 30.0
"Seconds after which somebody counts as lost."

LOOK = 0.1
"Seconds between looks: the resolution of what is printed."

PAGE = "page"


def seated(crowd: Crowd, others: int) -> set[str]:
    """Who is in a call in which the pictures of all `others` move."""
    found = set()
    for participant in crowd.participants:
        call = participant.call
        if call is not None and call.connected and participant.state == "dialling":
            fresh, wanted = report.flowing(call, call.seat.clock())
            if fresh == wanted == others:
                found.add(participant.seat.person.name)
    return found


class View:
    """Which of a page's received pictures move: frames are compared between two looks."""

    def __init__(self, page: Window) -> None:
        self.page = page
        self.frames: dict[int, int] = {}

    async def dials(self) -> int:
        """How many connections the page has made so far."""
        made: int = await self.page.page.evaluate("window.__connections.length")
        return made

    async def moving(self) -> int:
        """How many received pictures have gained a frame since the last look."""
        rows = await self.page.inbound("video")
        gained = sum(1 for row in rows if row["frames"] > self.frames.get(row["ssrc"], 0))
        self.frames = {row["ssrc"]: row["frames"] for row in rows}
        return gained


async def back(stand: Stage, crowd: Crowd, view: View | None, calls: dict[str, int]) -> dict[str, float]:
    """Kill the focus and return when each person was back, in seconds; who is missing is lost."""
    dials = await view.dials() if view is not None else 0
    os.kill(stand.pid("focus"), signal.SIGKILL)
    killed = time.monotonic()
    people = len(crowd.participants)
    others = people - 1 + (view is not None)
    times: dict[str, float] = {}
    while len(times) < people + (view is not None) and time.monotonic() - killed < BACK_WITHIN:
        await asyncio.sleep(LOOK)
        for participant in crowd.participants:
            name = participant.seat.person.name
            # Only a call that was dialled after the kill counts: the old one's pictures are fresh for a while.
            if name not in times and len(participant.calls) > calls[name] and name in seated(crowd, others):
                times[name] = time.monotonic() - killed
        # The same for the page: only pictures of a new connection count.
        if view is not None and PAGE not in times and await view.dials() > dials and await view.moving() >= people:
            times[PAGE] = time.monotonic() - killed
    return times


async def measure(people: int, kills: int, page: bool) -> dict[str, Any]:
    """Run the call, kill, and judge."""
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(stage(page=page))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        crowd = Crowd()
        accounts = await stand.accounts(people, session)
        crowd_runs = asyncio.ensure_future(
            run_participants(stand.homeserver, accounts, stand.room, stand.focus, people, crowd=crowd)
        )
        view = View(await stack.enter_async_context(window(stand.page))) if page else None

        async def everybody() -> bool:
            if crowd_runs.done():
                crowd_runs.result()
            return len(crowd.participants) == people and len(seated(crowd, people - 1 + page)) == people

        await until(everybody, 120, "everybody in the call")
        if view is not None:
            shown = view
            await until(lambda: all_move(shown, people), 60, "every picture on the page")
        rounds = []
        for number in range(kills):
            calls = {p.seat.person.name: len(p.calls) for p in crowd.participants}
            rounds.append(await back(stand, crowd, view, calls))
            print(f"kill {number + 1}: {len(rounds[-1])} back, last after {max(rounds[-1].values(), default=0):.1f} s")
            # A supervisor would slow down if the focus died again at once; a real one does not.
            await asyncio.sleep(2)
        crowd.leaving.set()
        await crowd_runs
    return judged(rounds, people, page)


async def all_move(view: View, people: int) -> bool:
    """Whether the page has as many moving pictures as there are others."""
    return await view.moving() >= people


def judged(rounds: list[dict[str, float]], people: int, page: bool) -> dict[str, Any]:
    """The figures of all kills together."""
    everybody = sorted(seconds for each in rounds for seconds in each.values())
    pages = sorted(each[PAGE] for each in rounds if PAGE in each)
    lost = len(rounds) * (people + page) - len(everybody)
    return {
        "bench": "restart",
        "kills": len(rounds),
        "people": people + page,
        "back_p50": report.quantile(everybody, 0.5),
        "back_p99": report.quantile(everybody, 0.99),
        "page_p50": report.quantile(pages, 0.5),
        "page_p99": report.quantile(pages, 0.99),
        "lost": lost,
        "load": os.getloadavg()[0],
        "pass": bool(rounds) and lost == 0,
    }


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.restart", description=__doc__)
    parser.add_argument("--people", type=int, default=5, help="synthetic participants")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--no-page", action="store_true", help="no browser")
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.people, arguments.kills, not arguments.no_page))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
