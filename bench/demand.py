"""Nobody watches, then somebody does: `make bench NAME=demand`.

Two real pages. The first publishes its camera; the second unsubscribes from it on its own
data channel, waits, and subscribes again. Bars, at the worst of `ROUNDS`: the publisher
sends its last packet of video within 2 s of the first, and the subscriber has a decoded
frame within 300 ms of the second. Sound goes on throughout.
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

from bench.browser import Window, until, window
from bench.layers import only_watch, published, remote_video, size_is
from bench.stage import stage

SILENT_WITHIN = 2.0
BACK_WITHIN_MS = 300.0
ROUNDS = 5
WATCHED = 4.0
"Seconds that it is watched between two rounds."
QUIET = 3.0
"Seconds that nothing must come in once it has stopped."

COUNT_SENT = """
async () => {
  const sent = { video: 0, audio: 0, at: performance.timeOrigin + performance.now() };
  (await window.__connections.at(-1).getStats()).forEach((s) => {
    if (s.type === 'outbound-rtp') sent[s.kind] += s.packetsSent || 0;
  });
  return sent;
}
"""

WATCH_AGAIN = """
async ([want, patience]) => {
  const pc = window.__connections.at(-1);
  const decoded = async () => {
    let frames = 0;
    (await pc.getStats()).forEach((s) => {
      if (s.type === 'inbound-rtp' && s.kind === 'video') frames += s.framesDecoded || 0;
    });
    return frames;
  };
  const before = await decoded();
  const asked = performance.now();
  window.__channels.at(-1).send(JSON.stringify({
    type: 'm.call.track_subscription', content: { subscribe: [want], unsubscribe: [] },
  }));
  while (performance.now() - asked < patience) {
    // Chromium renews its statistics every 50 ms only: the figure may be that much too high.
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (await decoded() > before) return performance.now() - asked;
  }
  return -1;
}
"""


async def unsubscribe(seen: Window, stream: str, track: str) -> None:
    """Want a picture no more, as the page would say it."""
    content = {"subscribe": [], "unsubscribe": [{"stream_id": stream, "track_id": track}]}
    await seen.say(json.dumps({"type": "m.call.track_subscription", "content": content}))


async def silence(publisher: Window) -> dict[str, float]:
    """Wait until a page sends no more video, for `QUIET` seconds. When the last packets left, and what sound did."""
    loop = asyncio.get_running_loop()
    first = before = await publisher.page.evaluate(COUNT_SENT)
    last = began = loop.time()
    while loop.time() - last < QUIET:
        if loop.time() - began > 20:
            raise TimeoutError("after 20 s still not: nothing but sound")
        await asyncio.sleep(0.05)
        now = await publisher.page.evaluate(COUNT_SENT)
        if now["video"] > before["video"]:
            last = loop.time()
        before = now
    return {"seconds": last - began, "audio": before["audio"] - first["audio"]}


async def measure(rounds: int) -> dict[str, Any]:
    """Run the call and judge."""
    async with AsyncExitStack() as stack:
        stand = await stack.enter_async_context(stage(people=0, page=True))
        publisher = await stack.enter_async_context(window(stand.page, 640, 480))
        watcher = await stack.enter_async_context(window(stand.page, 1700, 1000))
        await until(lambda: remote_video(watcher), 30, "a picture in the second window")
        await only_watch(watcher)
        await until(lambda: size_is(watcher, 1280), 60, "layer f in the second window")
        stream, track = await published(watcher)
        want = {"stream_id": stream, "track_id": track, "width": 1280, "height": 720}
        silences: list[float] = []
        pictures: list[float] = []
        audio: list[float] = []
        for _ in range(rounds):
            await asyncio.sleep(WATCHED)
            await unsubscribe(watcher, stream, track)
            quiet = await silence(publisher)
            silences.append(round(quiet["seconds"], 2))
            audio.append(quiet["audio"])
            pictures.append(round(await watcher.page.evaluate(WATCH_AGAIN, [want, 10_000]), 1))
        await until(lambda: size_is(watcher, 1280), 30, "layer f again")
        result: dict[str, Any] = {
            "bench": "demand",
            "load": os.getloadavg()[0],
            "rounds": rounds,
            "seconds_to_silence": max(silences),
            "ms_to_picture": max(pictures) if min(pictures) >= 0 else 99_999.0,
            "seconds_to_silence_median": statistics.median(silences),
            "ms_to_picture_median": statistics.median(pictures),
            "silences": silences,
            "pictures": pictures,
            "audio_packets": audio,
            "page_errors": [error for error in publisher.errors + watcher.errors if "decod" in error.lower()],
        }
        result["pass"] = (
            result["seconds_to_silence"] <= SILENT_WITHIN
            and result["ms_to_picture"] <= BACK_WITHIN_MS
            and min(audio) > 0
            and not result["page_errors"]
        )
        return result


def main() -> int:
    """Measure, print and judge."""
    parser = argparse.ArgumentParser(prog="bench.demand", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="how often the picture is left and taken again")
    result = asyncio.run(measure(parser.parse_args().rounds))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
