"""A viewer whose link loses a tenth of what comes: `make bench NAME=loss`.

Two real Chromiums: one sends its camera in layers with its microphone muted, the other shows it large behind an
emulated link that loses packets at random on their way to it. Bars: video at 15 frames a second or more in every five
seconds, no more than 1.3 retransmissions for each packet that was lost, and in every five seconds no more than two
keyframe requests a second for each layer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bench.browser import Window, until, window
from bench.link import Carried, link
from bench.link.namespace import HOME
from bench.stage import stage
from tests.wire import Conditions

LOST, DELAY = 0.1, 0.02
SECONDS, EACH = 60.0, 5.0
SETTLING = 15.0
FPS, RESENT, REQUESTS = 15.0, 1.3, 2.0

SENT = """
async () => {
  const layers = {};
  (await window.__connections.at(-1).getStats()).forEach((s) => {
    if (s.type === 'outbound-rtp' && s.kind === 'video') layers[s.rid || ''] = s.pliCount || 0;
  });
  return layers;
}
"""


@dataclass(frozen=True, slots=True)
class Moment:
    """What was counted by a moment."""

    at: float
    frames: int
    "Decoded by the viewer."
    requests: dict[str, int]
    "Keyframe requests that the publisher got, by layer."


def judged(moments: Sequence[Moment], resent: float, carried: Carried) -> dict[str, Any]:
    """The figures, and whether the bars hold. `resent`: by the focus, between the first moment and the last."""
    spans = list(zip(moments, moments[1:], strict=False))
    rates = [(after.frames - before.frames) / (after.at - before.at) for before, after in spans]
    asked = [
        (count - before.requests.get(layer, 0)) / (after.at - before.at)
        for before, after in spans for layer, count in after.requests.items()
    ]  # fmt: skip
    ratio = resent / max(1, carried.lost)
    return {
        "fps": round(sum(rates) / len(rates), 2),
        "least_fps": round(min(rates), 2),
        "resent_per_lost": round(ratio, 3),
        "requests_a_second": round(max(asked, default=0.0), 2),
        "lost": carried.lost,
        "lost_share": round(carried.lost / max(1, carried.sent), 4),
        "resent": int(resent),
        "pass": min(rates) >= FPS and ratio <= RESENT and max(asked, default=0.0) <= REQUESTS and carried.lost > 0,
    }


async def large(page: Window) -> bool:
    """Whether it gets a picture of some size."""
    return any(row["width"] >= 640 and row["frames"] > 5 for row in await page.inbound("video"))


async def moment(publisher: Window, viewer: Window) -> Moment:
    """Count."""
    rows = await viewer.inbound("video")
    frames = sum(row["frames"] for row in rows)
    return Moment(asyncio.get_running_loop().time(), frames, await publisher.page.evaluate(SENT))


async def measure(seconds: float, settling: float) -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        laid = await stack.enter_async_context(link(Conditions(delay=DELAY)))
        stand = await stack.enter_async_context(stage(people=0, page=True, address=HOME))
        session = await stack.enter_async_context(aiohttp.ClientSession())
        for url in (stand.page, stand.homeserver):
            await stack.enter_async_context(laid.space.around(urlsplit(url).port or 80))
        publisher = await stack.enter_async_context(window(stand.page, 640, 480))
        viewer = await stack.enter_async_context(window(stand.page, camera=False, inside=laid.space))
        await until(lambda: large(viewer), 60, "a picture behind the link")
        # A voice is not sent again, and what of it is lost asks for nothing.
        await publisher.page.keyboard.press("m")
        await laid.set(Conditions(delay=DELAY, lost=LOST), Conditions(delay=DELAY))
        await asyncio.sleep(settling)
        resent = await stand.metric(session, "weir_retransmissions_total")
        await laid.set(Conditions(delay=DELAY, lost=LOST), Conditions(delay=DELAY))
        moments = [await moment(publisher, viewer)]
        while moments[-1].at - moments[0].at < seconds:
            await asyncio.sleep(EACH)
            moments.append(await moment(publisher, viewer))
            frames = moments[-1].frames - moments[-2].frames
            print(f"{moments[-1].at - moments[0].at:5.1f} s: {frames / EACH:.1f} frames a second", flush=True)
        again = await stand.metric(session, "weir_retransmissions_total")
        carried = await laid.set(Conditions(delay=DELAY))
        if resent is None or again is None:
            raise RuntimeError("the focus does not say how much it sent again")
        size = max(row["width"] for row in await viewer.inbound("video"))
        return {"width": size, **judged(moments, again - resent, carried)}


def main() -> int:
    """Measure, print JSON; 1 if a bar is missed."""
    parser = argparse.ArgumentParser(prog="bench.loss", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"measured (default: {SECONDS:.0f})")
    parser.add_argument("--settling", type=float, default=SETTLING, help=f"of loss before (default: {SETTLING:.0f})")
    arguments = parser.parse_args()
    found = asyncio.run(measure(arguments.seconds, arguments.settling))
    print(json.dumps({"bench": "loss", **found, "load": round(os.getloadavg()[0], 2)}))
    return 0 if found["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
