"""Memory of the engine for each subscriber of one publisher: `make bench NAME=memory`.

The engine runs in a process of its own; native clients dial it and receive a picture. What its
process holds with the publisher and one subscriber is compared with what it holds with all of
them, after seconds of traffic. The bar is 100 kB for each, everything that a transport and a route
take included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

from bench.crowd import Crowd
from bench.forwarding.apart import Apart
from bench.forwarding.native import PUBLISHER, QUIET, Stand, Traffic, pinned
from bench.packet import machine, stolen
from focus.vocabulary import PeerId

MOST = 100_000
"Bytes."
FLOW = 3.0
"Seconds of traffic, after which every buffer has what it will need."


async def measured(count: int, traffic: Traffic, cpus: frozenset[int]) -> dict[str, Any]:
    """Connect, let packets flow, and read what the engine's process holds."""
    engine = Apart("native", cpus)
    try:
        await engine.start()
        crowd = Crowd(opened=64, rest_ms=1.0)
        try:
            stand = Stand(engine, crowd, [PeerId("sink0")], traffic)
            await stand.connect()
            await flow(stand)
            one = (await engine.reading()).resident
            for number in range(1, count + 1):
                sink = PeerId(f"sink{number}")
                await stand.dial(sink)
                stand.route(sink)
                stand.sinks.append(sink)
            connected = (await engine.reading()).resident
            crowd.native.begin()
            await flow(stand)
            full = (await engine.reading()).resident
            figures = crowd.figures()
        finally:
            crowd.close()
    finally:
        await engine.close()
    return {
        "bench": "memory", "subscribers": count, "bytes_each": round((full - one) / count),
        "connected_bytes_each": round((connected - one) / count), "rss_bytes": full,
        "received": figures["received"], "corrupt": figures["corrupt"], "lost": figures["lost"],
        "pass": (full - one) / count <= MOST and figures["received"] > count and not figures["corrupt"],
    }  # fmt: skip


async def flow(stand: Stand) -> None:
    """Send for a while."""
    stand.crowd.native.play(PUBLISHER, 0x1000, stand.traffic.frames(FLOW))
    await asyncio.sleep(FLOW + QUIET)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench.memory", description=__doc__)
    parser.add_argument("--subscribers", type=int, default=1000)
    arguments = parser.parse_args()
    before = stolen()
    # A burst a frame, few frames: a thousand sinks share two CPUs with everything else.
    result = asyncio.run(measured(arguments.subscribers, Traffic(fps=5, burst=9), pinned()))
    verdict = result.pop("pass")
    print(json.dumps(result | machine(before) | {"pass": verdict}))
    return 0 if verdict else 1


if __name__ == "__main__":
    sys.exit(main())
