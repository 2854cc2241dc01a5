"""Twelve people in a call for five minutes: `make soak`.

Ten synthetic participants in a process of their own and two Chromiums on the shipped page.
Every tile must decode: in the browsers by the decoder's own count, in the participants by
frames that are whole, in order, and byte for byte those that were sent. CPU and memory of
the focus's process are printed at one minute and at the end.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.browser import Window, until, window
from bench.stage import Stage, stage

SETTLE = 90.0
"Seconds for every tile to move once everybody is in."

EVERY = 10.0
"Seconds between two looks; a tile that gained no frame between two looks stood still."


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used."""

    at: float
    cpu: float
    "Seconds of processor time."
    rss: int
    "Bytes."


def usage(pid: int) -> Usage:
    """Read it from the kernel. Raises `OSError` when the process is gone."""
    # /proc/PID/stat: the command, in brackets, may hold spaces; utime and stime are fields 14 and 15, rss is 24.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return Usage(time.monotonic(), cpu, int(fields[21]) * os.sysconf("SC_PAGE_SIZE"))


async def frames(pages: list[Window]) -> list[dict[int, int]]:
    """For each page: frames decoded so far of each received picture, by SSRC."""
    return [{row["ssrc"]: row["frames"] for row in await page.inbound("video")} for page in pages]


def still(before: list[dict[int, int]], after: list[dict[int, int]], others: int) -> int:
    """How many of the tiles that each page should show gained no frame."""
    moving = [
        sum(1 for ssrc, count in now.items() if count > then.get(ssrc, 0))
        for then, now in zip(before, after, strict=True)
    ]
    return sum(max(0, others - each) for each in moving)


async def watch(stand: Stage, pages: list[Window], others: int, seconds: float) -> dict[str, Any]:
    """Look at tiles and at the focus until the time is over."""
    pid = stand.pid("focus")
    start = last = usage(pid)
    marks: dict[str, dict[str, float]] = {}
    stood, worst = 0, 0
    before = await frames(pages)
    while last.at - start.at < seconds:
        await asyncio.sleep(EVERY)
        now, after = usage(pid), await frames(pages)
        count = still(before, after, others)
        stood, worst = stood + count, max(worst, count)
        minutes = int((now.at - start.at) / 60)
        print(
            f"{now.at - start.at:5.0f} s  focus {(now.cpu - last.cpu) / (now.at - last.at):5.1%} of a core,"
            f" {now.rss / 1e6:.0f} MB; tiles standing still {count}",
            flush=True,
        )
        if minutes >= 1 and "1 min" not in marks:
            marks["1 min"] = mark(start, now)
        last, before = now, after
    marks["end"] = mark(start, last)
    return {"focus": marks, "stood_still": stood, "stood_still_worst": worst, "same_focus": stand.pid("focus") == pid}


def mark(start: Usage, now: Usage) -> dict[str, float]:
    """Figures at one moment."""
    return {
        "seconds": round(now.at - start.at, 1),
        "cores": round((now.cpu - start.cpu) / (now.at - start.at), 3),
        "rss_mb": round(now.rss / 1e6, 1),
    }


async def report(stand: Stage) -> dict[str, Any]:
    """Have the participants leave and read what they report."""
    os.kill(stand.pid("participants"), signal.SIGTERM)
    log = stand.data / "participants.log"

    async def written() -> dict[str, Any] | None:
        lines = [line for line in log.read_text().splitlines() if line.startswith("{")]
        found: dict[str, Any] | None = json.loads(lines[-1]) if lines else None
        return found

    result: dict[str, Any] = await until(written, 30, "the participants' report")
    return result


async def measure(people: int, browsers: int, seconds: float) -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(stage(people, page=browsers > 0))
        pages = [await stack.enter_async_context(window(stand.page)) for _ in range(browsers)]
        others = people + browsers - 1

        async def all_move() -> bool:
            before = await frames(pages)
            await asyncio.sleep(2)
            return still(before, await frames(pages), others) == 0

        await until(all_move, SETTLE, f"{others} moving tiles in each browser")
        watched = await watch(stand, pages, others, seconds)
        told = await report(stand)
        errors = [error for page in pages for error in page.errors]
    silent = [each["name"] for each in told["each"] if each.get("flowing", 0) != others]
    return {
        "bench": "soak", "people": people + browsers, "seconds": seconds, **watched,
        "participants_clean": told["clean"], "participants_faults": told["faults"], "missing_pictures": silent,
        "page_errors": errors[:5], "load": os.getloadavg()[0],
        "pass": watched["stood_still"] == 0 and watched["same_focus"] and told["clean"] and not silent,
    }  # fmt: skip


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.soak", description=__doc__)
    parser.add_argument("--people", type=int, default=10, help="synthetic participants")
    parser.add_argument("--browsers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300)
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.people, arguments.browsers, arguments.seconds))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
