"""Different WebRTC stacks in one call, in every codec that they have: `make bench NAME=codecs`.

One call for each codec, through a focus that prefers it: Chromium twice and, where they have
the codec, Firefox twice and aiortc. Everybody must decode everybody else's picture, in its
size and in that codec, and hear them. The last one comes late and must see the others soon. Where a
stream has layers, one asks for it smaller and larger, and must get that.
Then one Chromium changes codecs in the middle of a call.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

from bench.browser import until, window
from bench.codecs.aiortc_guest import Aiortc
from bench.codecs.browsers import GUESTS, Browser, Chromium, Script, blank
from bench.codecs.meeting import Meeting, meeting
from bench.codecs.watch import Member, all_see_all, first_pictures, look, rates
from bench.firefox import firefox
from focus.codecs import PREFERRED

WITHIN = 60.0
"Seconds for a call to come together."
LATE = 2.0
"Seconds in which a late guest must see everybody: on two cores, while all others encode and decode."
LEAST_RATE = 5.0
"Frames a second, of the 15 that are sent: it flows. Quality is `make bench NAME=quality`."

LAYERS = 9
"In L3T3_KEY: three sizes, each at three rates."
RESIZED = 3.0
"Seconds in which a picture in layers must have the size in which it is shown: on two cores, while all encode."


@dataclass(frozen=True, slots=True)
class Call:
    """One call."""

    codec: str
    stacks: tuple[str, ...]
    "Who takes part; the last one comes late."
    mode: str = ""
    "How Chromium layers its one stream (W3C WebRTC-SVC), empty for plainly."

    @property
    def name(self) -> str:
        """What `--call` knows it by."""
        return f"{self.codec}-layers" if self.mode else self.codec


SHAPES = ((640, 360), (480, 384), (320, 240), (360, 240), (480, 200))
"Pixels: no two guests have a picture of one shape, so that it shows whose it is."
LAYERED = ((1024, 576), (1024, 640), (480, 384))
"The same where there are layers: Chromium leaves out those below 240 x 135 in VP9, and below 256 x 144 in AV1."

CALLS = (
    Call("vp8", ("chromium", "firefox", "aiortc", "firefox", "chromium")),
    Call("vp9", ("chromium", "firefox", "firefox", "chromium")),
    Call("vp9", ("chromium", "chromium", "firefox"), "L3T3_KEY"),
    Call("h264", ("chromium", "aiortc", "chromium")),
    Call("av1", ("chromium", "firefox", "chromium")),
    Call("av1", ("chromium", "chromium", "firefox"), "L3T3_KEY"),
)

CHANGE = "change"
"What `--call` knows the change of codec in mid-call by."


def order(first: str) -> tuple[str, ...]:
    """The default order, but for one that comes first."""
    return first, *(name for name in PREFERRED if name != first)


def member(call: Call, place: int, scripts: Mapping[str, Script]) -> Member:
    """A guest, with a picture of a size of its own."""
    stack = call.stacks[place]
    name = f"{stack}{place}"
    if stack == "aiortc":
        return Aiortc(name)
    shape = (LAYERED if call.mode else SHAPES)[place]
    layers: list[dict[str, object]] | None = [{"scalabilityMode": call.mode}] if call.mode else None
    return Browser(name, scripts[stack], *shape, 15, layers if stack == "chromium" else None)


async def layers(members: list[Member]) -> dict[str, int]:
    """How many layers those send who were asked for some."""
    asked = [guest for guest in members if isinstance(guest, Browser) and guest.encodings]
    return {guest.name: len(await guest.layers()) for guest in asked}


async def resized(held: Meeting, members: list[Member]) -> list[float]:
    """Have the first show the second in a quarter of the size, in a half and whole. Seconds until each was decoded."""
    viewer, shown = members[:2]
    took = []
    for part in (4, 2, 1):
        size = shown.width // part, shown.height // part
        held.show(viewer.name, shown.name, *size)
        began, before = time.monotonic(), (await look(held, members, viewer.name))[viewer.name, shown.name].frames

        async def follows(size: tuple[int, int] = size, before: int = before) -> bool:
            sight = (await look(held, members, viewer.name))[viewer.name, shown.name]
            return sight.size == size and sight.frames > before

        await until(follows, WITHIN, f"{viewer.name} has {shown.name} in {size[0]}x{size[1]}", every=0.05)
        took.append(round(time.monotonic() - began, 2))
    return took


async def run(call: Call, engine: str, scripts: Mapping[str, Script]) -> dict[str, Any]:
    """Hold one call and return what was seen. Raises `TimeoutError` naming who lacks what."""
    members = [member(call, place, scripts) for place in range(len(call.stacks))]
    *first, late = members
    async with meeting(engine, order(call.codec)) as held:
        for guest in first:
            await held.admit(guest)
        if len(first) > 1:
            await all_see_all(held, first, call.codec, WITHIN)
        await held.admit(late)
        soon = await first_pictures(held, first, late, WITHIN)
        seen = await all_see_all(held, members, call.codec, WITHIN, whole=bool(call.mode))
        fluent = await rates(held, members, seen, 3.0)
        layered = await layers(members)
        sizes = await resized(held, members) if call.mode else []
        kept = min(fluent.values()) >= LEAST_RATE and soon <= LATE and {*layered.values()} <= {LAYERS}
        return {
            "codec": call.codec,
            "mode": call.mode,
            "stacks": list(call.stacks),
            "pairs": len(fluent),
            "least_fps": round(min(fluent.values()), 1),
            "late_seconds": round(soon, 2),
            "layers": layered,
            "resized_seconds": sizes,
            "fps": {f"{one} of {other}": round(rate, 1) for (one, other), rate in sorted(fluent.items())},
            "load": round(os.getloadavg()[0], 1),
            "pass": kept and max(sizes, default=0.0) <= RESIZED,
        }


async def change(engine: str, scripts: Mapping[str, Script]) -> dict[str, Any]:
    """One Chromium goes through all codecs while another watches."""
    one, two = Browser("changing", scripts["chromium"]), Browser("watching", scripts["chromium"], 320, 180)
    async with meeting(engine, PREFERRED) as held:
        await held.admit(one)
        await held.admit(two)
        await all_see_all(held, [one, two], PREFERRED[0], WITHIN)
        followed = []
        for codec in (*PREFERRED[1:], PREFERRED[0]):
            await one.send_in(codec)
            before = (await look(held, [one, two]))["watching", "changing"].frames

            async def follows(codec: str = codec, before: int = before) -> bool:
                sight = (await look(held, [one, two]))["watching", "changing"]
                return sight.codec == codec and sight.frames > before + 10

            await until(follows, WITHIN, f"the picture in {codec}")
            followed.append(codec)
        return {"changes": followed, "pass": True}


async def measure(engine: str, wanted: set[str]) -> dict[str, Any]:
    """Hold all calls in turn and judge."""
    result: dict[str, Any] = {"bench": "codecs", "engine": engine, "load": os.getloadavg()[0], "calls": []}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(blank())
        scripts: dict[str, Script] = {"chromium": Chromium(await stack.enter_async_context(window(url)))}
        scripts["firefox"] = await stack.enter_async_context(firefox(url))
        for script in scripts.values():
            await script.run(GUESTS)
        for call in CALLS:
            if call.name not in wanted:
                continue
            try:
                told = await run(call, engine, scripts)
            except TimeoutError as error:
                told = {"codec": call.codec, "mode": call.mode, "lacks": str(error), "pass": False}
            print(json.dumps(told), file=sys.stderr, flush=True)
            result["calls"].append(told)
        if CHANGE in wanted:
            try:
                result["change"] = await change(engine, scripts)
            except TimeoutError as error:
                result["change"] = {"lacks": str(error), "pass": False}
    calls = result["calls"]
    result["judged"] = f"{sum(call['pass'] for call in calls)} of {len(calls)}"
    result["pairs"] = sum(call.get("pairs", 0) for call in calls)
    result["least_fps"] = min((call.get("least_fps", 0.0) for call in calls), default=0.0)
    result["late_seconds"] = max((call.get("late_seconds", 0.0) for call in calls), default=0.0)
    result["resized_seconds"] = max((took for call in calls for took in call.get("resized_seconds", ())), default=0.0)
    result["pass"] = all(call["pass"] for call in calls) and result.get("change", {"pass": True})["pass"]
    return result


def main() -> int:
    """Print the figures as JSON on the last line; 0 when everybody saw everybody."""
    parser = argparse.ArgumentParser(prog="bench.codecs", description=__doc__)
    parser.add_argument("--engine", default="native", choices=("native", "python"))
    every = [*(call.name for call in CALLS), CHANGE]
    parser.add_argument("--call", action="append", choices=every, help="only this one; may be said again")
    arguments = parser.parse_args()
    result = asyncio.run(measure(arguments.engine, set(arguments.call or every)))
    print(json.dumps(result))
    return 0 if result["pass"] else 1


if __name__ == "__main__":
    sys.exit(main())
