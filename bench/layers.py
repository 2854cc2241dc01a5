"""A subscriber asks for three sizes in turn: `make bench NAME=layers`.

Once the top layer flows, 1280x720, 640x360 and 320x180 are asked for on the page's own
data channel. Bars: the decoded size follows within 1 s each time, no offer is made, no
decoder error; a second subscriber keeps its size and its frame rate.
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
from bench.stage import stage

SIZES = ((1280, 720), (640, 360), (320, 180), (1280, 720))


async def remote_video(seen: Window) -> dict[str, Any] | None:
    """The one remote picture's row, once it flows."""
    rows = [row for row in await seen.inbound("video") if row["frames"] > 0]
    return max(rows, key=lambda row: row["width"]) if rows else None


async def only_watch(seen: Window) -> None:
    """Turn camera and microphone off: the one who speaks and is seen stays large in every window."""
    await seen.page.keyboard.press("v")
    await seen.page.keyboard.press("m")


async def size_is(seen: Window, width: int) -> bool:
    row = await remote_video(seen)
    return row is not None and row["width"] == width


async def ask(seen: Window, stream: str, track: str, width: int, height: int) -> None:
    """Ask as the page asks (MSC3898 `m.call.track_subscription`)."""
    want = {"stream_id": stream, "track_id": track, "width": width, "height": height}
    content = {"subscribe": [want], "unsubscribe": []}
    await seen.say(json.dumps({"type": "m.call.track_subscription", "content": content}))


async def published(seen: Window) -> tuple[str, str]:
    """Stream and track id of the largest received picture, as the focus wrote them into its offer."""
    row = await remote_video(seen)
    if row is None:
        raise LookupError("the focus forwards no video to this page")
    sdp: str = await seen.page.evaluate("window.__connections.at(-1).remoteDescription.sdp")
    section = next(part.split("\r\n") for part in sdp.split("\r\nm=") if f"\r\na=mid:{row['mid']}\r\n" in part + "\r\n")
    stream, track = next(line[7:] for line in section if line.startswith("a=msid:")).split(" ")
    return stream, track


async def measure() -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(stage(people=0, page=True))
        await stack.enter_async_context(window(stand.page, 640, 480))
        first = await stack.enter_async_context(window(stand.page, 1700, 1000))
        await until(lambda: remote_video(first), 30, "a picture in the first window")
        await only_watch(first)
        await until(lambda: size_is(first, 1280), 60, "layer f in the first window")
        second = await stack.enter_async_context(window(stand.page, 1700, 1000))
        await until(lambda: remote_video(second), 30, "a picture in the second window")
        await only_watch(second)
        await until(lambda: size_is(second, 1280), 60, "layer f in the second window")
        await asyncio.sleep(3)

        stream, track = await published(first)
        version = await first.page.evaluate("window.__connections.at(-1).remoteDescription.sdp.split('\\n')[1]")
        rate_before = await frame_rate(second, 5)
        switches: list[dict[str, Any]] = []
        sizes_of_second: set[int] = set()
        loop = asyncio.get_running_loop()
        start = loop.time()
        before = await remote_video(second)
        for width, height in (*SIZES[1:], SIZES[1], SIZES[2], SIZES[0]):
            asked = loop.time()
            await ask(first, stream, track, width, height)
            try:
                await until(lambda width=width: size_is(first, width), 5, f"width {width}", every=0.02)
                took = loop.time() - asked
            except TimeoutError:
                took = -1.0
            switches.append({"width": width, "height": height, "seconds": round(took, 3)})
            await asyncio.sleep(2)
            row = await remote_video(second)
            sizes_of_second.add(row["width"] if row else 0)
        after = await remote_video(second)
        assert before is not None and after is not None, "a live stream does not go away"
        rate = (after["frames"] - before["frames"]) / (loop.time() - start)
        version_after = await first.page.evaluate("window.__connections.at(-1).remoteDescription.sdp.split('\\n')[1]")
        result: dict[str, Any] = {
            "bench": "layers",
            "load": os.getloadavg()[0],
            "switches": switches,
            "worst_seconds": max((s["seconds"] if s["seconds"] >= 0 else 99.0) for s in switches),
            "offers": 0 if version == version_after else 1,
            "page_errors": [e for e in first.errors if "decod" in e.lower()],
            "second": {"sizes": sorted(sizes_of_second), "fps_before": rate_before, "fps_during": round(rate, 1)},
        }
        result["pass"] = (
            result["worst_seconds"] <= 1.0
            and result["offers"] == 0
            and not result["page_errors"]
            and sizes_of_second == {1280}
            and rate >= 0.9 * rate_before
        )
        return result


async def frame_rate(seen: Window, seconds: float) -> float:
    """Frames decoded a second of the one remote picture."""
    before = await remote_video(seen)
    await asyncio.sleep(seconds)
    after = await remote_video(seen)
    assert before is not None and after is not None, "the picture flowed when this was called"
    frames, milliseconds = float(after["frames"] - before["frames"]), float(after["at"] - before["at"])
    return round(1000 * frames / milliseconds, 1)


def main() -> int:
    argparse.ArgumentParser(prog="bench.layers", description=__doc__).parse_args()
    result = asyncio.run(measure())
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
