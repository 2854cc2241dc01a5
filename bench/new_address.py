"""A client's address changes in a call: `make bench NAME=new_address`.

A real Chromium in a network namespace of its own watches two synthetic participants. Its link is taken down and another
one brought up, so that it has another address, again and again. The gap is the longest time between two looks, each
20 ms, at which more packets had come. It must stay the participant that it was: one peer connection, and no
new dial.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
from contextlib import AsyncExitStack
from typing import Any
from urllib.parse import urlsplit

from bench.browser import Window, until, window
from bench.namespace import LINKS, namespace
from bench.stage import stage

PEOPLE = 2
TRIALS = 20
WATCHED = 6.0
"Seconds after a change; the next one comes then."
BAR_P50, BAR_P99 = 1.5, 3.0

LOOK = """
(seconds) => new Promise((done) => {
  const pc = window.__connections.at(-1);
  const end = performance.now() + 1000 * seconds;
  let last = -1, at = performance.now(), gap = 0;
  const look = async () => {
    // A stream may end, and its packets with it: any other number says that something came.
    let packets = 0;
    (await pc.getStats()).forEach((s) => {
      if (s.type === 'inbound-rtp') packets += s.packetsReceived || 0;
    });
    const now = performance.now();
    if (packets !== last) { gap = Math.max(gap, now - at); at = now; last = packets; }
    if (now < end) return setTimeout(look, 20);
    done({ gap: Math.max(gap, now - at) / 1000, connections: window.__connections.length });
  };
  look();
})
"""


async def trials(count: int) -> dict[str, Any]:
    """Change the address so many times."""
    async with AsyncExitStack() as stack:
        net = stack.enter_context(namespace())
        stand = await stack.enter_async_context(stage(people=PEOPLE, page=True, address=net.focus))
        for url in (stand.page, stand.homeserver):
            await stack.enter_async_context(net.around(urlsplit(url).port or 80))
        seen = await stack.enter_async_context(window(stand.page, inside=net))

        async def hears_all() -> bool:
            return len([row for row in await seen.inbound("audio") if row["packets"] > 50]) >= PEOPLE

        await until(hears_all, 60, "sound of everybody")
        before = await connections(seen)
        gaps: list[float] = []
        for number in range(count):
            looked = asyncio.create_task(seen.page.evaluate(LOOK, WATCHED))
            await asyncio.sleep(0.5)
            net.use(LINKS[(number + 1) % 2])
            found = await looked
            gaps.append(float(found["gap"]))
            print(f"change {number + 1:2}: {gaps[-1]:.2f} s without media", flush=True)
        after = await connections(seen)
    gaps.sort()
    p50 = statistics.median(gaps)
    p99 = gaps[min(len(gaps) - 1, int(0.99 * len(gaps)))]
    held = p50 <= BAR_P50 and p99 <= BAR_P99 and before == after
    return {
        "p50_s": round(p50, 2),
        "p99_s": round(p99, 2),
        "changes": count,
        "same_participant": before == after,
        "load": round(os.getloadavg()[0], 2),
        "bars_s": [BAR_P50, BAR_P99],
        "held": held,
    }


async def connections(seen: Window) -> int:
    """How many peer connections the page ever made."""
    return int(await seen.page.evaluate("window.__connections.length"))


def main() -> int:
    """Measure, print JSON; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--changes", type=int, default=TRIALS)
    found = asyncio.run(trials(parser.parse_args().changes))
    print(json.dumps(found))
    return 0 if found["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
