"""Picture and sound through the focus beside a direct call: `make bench NAME=quality`.

Three calls one after another in one run: two Chromiums directly, then through the focus
with plain to-device messages, then with Olm. In each, one publishes 1280x720 and the other
shows it large. Bars: frames decoded at least 90 % of the direct pair's, no more freezes than
it, and the playout times of audio and video within 100 ms of each other.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from typing import Any

from bench.browser import Window, until, window
from bench.direct import connect
from bench.stage import Stage, stage

TOP_LAYER = 1_700_000
"Bits a second: the page's ceiling for its layer f."
LONGEST_START = 45.0
"Seconds until 1280x720 must flow; Chromium takes up to 18 s to start its top layer on a busy machine."


async def top_layer(receiver: Window) -> list[dict[str, Any]]:
    """Return the video rows once one has the full size."""
    return [row for row in await receiver.inbound("video") if row["width"] >= 1280]


async def figures(receiver: Window, seconds: float) -> dict[str, float]:
    """Count what the receiver decodes in `seconds`, and how far sound and picture are apart."""
    first = max(await receiver.inbound("video"), key=lambda row: row["width"])
    apart: list[float] = []
    for _ in range(int(seconds)):
        await asyncio.sleep(1)
        rows = [row for row in await receiver.inbound() if row["playout"]]
        audio = [row["playout"] for row in rows if row["kind"] == "audio"]
        video = [row["playout"] for row in rows if row["kind"] == "video"]
        if audio and video:
            apart.append(abs(audio[0] - video[0]))
    last = max(await receiver.inbound("video"), key=lambda row: row["width"])
    spent = (last["at"] - first["at"]) / 1000
    apart.sort()
    return {
        "seconds": round(spent, 1),
        "frames": last["frames"] - first["frames"],
        "frames_per_second": round((last["frames"] - first["frames"]) / spent, 2),
        "width": last["width"],
        "height": last["height"],
        "freezes": last["freezes"] - first["freezes"],
        "lost": last["lost"] - first["lost"],
        "apart_ms_median": round(apart[len(apart) // 2], 1) if apart else -1,
        "apart_ms_worst": round(apart[-1], 1) if apart else -1,
    }


async def direct(seconds: float) -> dict[str, float]:
    """The yardstick."""
    async with AsyncExitStack() as stack:
        _, receiver = await connect(stack, TOP_LAYER)
        await until(lambda: top_layer(receiver), LONGEST_START, "the direct pair at 1280x720")
        return await figures(receiver, seconds)


async def through_focus(stand: Stage, to_device: str, seconds: float) -> dict[str, float]:
    """The same through the focus and the shipped page; the receiver's own camera is off."""
    url = stand.page.replace("#", f"?to_device={to_device}#", 1)
    async with window(url, 640, 480) as _, window(url, 1700, 1000) as receiver:
        await until(lambda: receiver.inbound("video"), 30, "any picture")
        await receiver.page.keyboard.press("v")
        await until(lambda: top_layer(receiver), LONGEST_START, "the focus at 1280x720")
        return await figures(receiver, seconds)


async def measure(seconds: float, modes: list[str]) -> dict[str, Any]:
    """Run the calls in turn and judge."""
    result: dict[str, Any] = {"bench": "quality", "load": os.getloadavg()[0], "direct": await direct(seconds)}
    async with stage(people=0, page=True) as stand:
        for mode in modes:
            result[mode] = await through_focus(stand, mode, seconds)
    base = result["direct"]
    result["ratio"] = min(round(result[m]["frames_per_second"] / base["frames_per_second"], 3) for m in modes)
    result["pass"] = all(
        result[m]["frames_per_second"] >= 0.9 * base["frames_per_second"]
        and result[m]["freezes"] <= base["freezes"]
        and 0 <= result[m]["apart_ms_median"] <= 100
        for m in modes
    )
    return result


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.quality", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--modes", default="plain,olm", help="comma-separated: plain, olm")
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.seconds, arguments.modes.split(",")))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
