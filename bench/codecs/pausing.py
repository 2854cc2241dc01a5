"""What a browser that does not know our demand message honours instead: `python -m bench.codecs.pausing`.

A Chromium and a Firefox publish a camera in two layers to a focus. One after another, the
focus's side of the session asks them to send less, in every way that a standard has for it,
and then to send all again. It prints what each then sends, and judges nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import struct
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from bench.browser import until, window
from bench.codecs.browsers import GUESTS, Browser, Chromium, Script, blank
from bench.codecs.meeting import Meeting, meeting
from bench.firefox import firefox
from focus.reference.engine import ReferenceEngine

LAYERS: list[dict[str, object]] = [
    {"rid": "f", "maxBitrate": 600_000},
    {"rid": "q", "maxBitrate": 150_000, "scaleResolutionDownBy": 2},
]
LOOK = 3.0
"Seconds for a way to show what it does; the second half counts."
BACK_WITHIN = 10.0
LITTLE = 30_000
"Bits a second that are asked for where a rate can be."

SENT = """
async (name) => {
  const sent = {};
  (await guests[name].pc.getStats()).forEach((s) => {
    if (s.type === 'outbound-rtp' && s.kind === 'video') {
      sent[s.rid ?? ''] = { packets: s.packetsSent, bytes: s.bytesSent, frames: s.framesEncoded, ssrc: s.ssrc,
                            keyframes: s.keyFramesEncoded ?? 0 };
    }
  });
  return sent;
}
"""
REMOTE = "(name) => guests[name].pc.remoteDescription.sdp"
OFFER = "async (name) => { await guests[name].pc.setLocalDescription(); }"

Sent = Mapping[str, Mapping[str, int]]
Step = Callable[[], Awaitable[None]]


def edited(sdp: str, setup: str, change: Mapping[str, str]) -> str:
    """The focus's side of a session with other words on its video line: by the beginning of a line, the whole line."""
    parts = sdp.split("\r\nm=")
    for place, part in enumerate(parts):
        lines = part.split("\r\n")
        lines = [f"a=setup:{setup}" if line.startswith("a=setup:") else line for line in lines]
        if part.startswith("video"):
            for begin, words in change.items():
                lines = [words if line.startswith(begin) else line for line in lines]
        parts[place] = "\r\n".join(lines)
    return "\r\nm=".join(parts)


class Publisher:
    """A browser that sends to a focus which nobody else uses."""

    def __init__(self, held: Meeting, script: Script, guest: Browser) -> None:
        self._held = held
        self._script = script
        self._guest = guest
        self._plain = ""

    async def start(self) -> None:
        """Dial, and wait until both layers flow."""
        await self._held.admit(self._guest)

        async def flows() -> bool:
            self._held.failed()
            sent = await self.sent()
            return len(sent) == len(LAYERS) and all(one["packets"] > 50 for one in sent.values())

        await until(flows, 40.0, f"{self._guest.name} sends both layers")
        self._plain = await self._script.run(REMOTE, self._guest.name)

    async def sent(self) -> Sent:
        """What it has sent of each layer."""
        found: Sent = await self._script.run(SENT, self._guest.name)
        return found

    async def offer(self, change: Mapping[str, str]) -> None:
        """Offer it the same session in other words."""
        await self._guest.take_offer(edited(self._plain, "actpass", change))

    async def answer(self, change: Mapping[str, str]) -> None:
        """Answer an offer of its own in other words."""
        await self._script.run(OFFER, self._guest.name)
        await self._guest.take_answer(edited(self._plain, "passive", change))

    async def rate(self, report: Callable[[list[int]], bytes]) -> None:
        """Send it an RTCP packet about its layers, as often as one would."""
        ssrcs = [one["ssrc"] for one in (await self.sent()).values()]
        engine = self._held.engine
        assert isinstance(engine, ReferenceEngine), "the one that lets us send RTCP by hand"
        [peer] = engine._peers.values()
        for _ in range(int(LOOK / 0.2)):
            peer.session.send(report(ssrcs))
            await asyncio.sleep(0.2)

    async def rates(self, seconds: float) -> dict[str, int]:
        """Kbit/s of each layer."""
        first, began = await self.sent(), time.monotonic()
        await asyncio.sleep(seconds)
        second, spent = await self.sent(), time.monotonic() - began
        return {rid: round((now["bytes"] - first[rid]["bytes"]) * 8e-3 / spent) for rid, now in second.items()}

    async def look(self, step: Step, back: Step) -> dict[str, Any]:
        """Take one step, see what is sent then, step back, and see how soon what flowed before flows again."""
        before = await self.rates(LOOK / 2)
        row: dict[str, Any] = {"before": before}
        await step()
        await asyncio.sleep(LOOK / 2)
        row["then"] = await self.rates(LOOK / 2)
        paused, asked = await self.sent(), time.monotonic()
        await back()

        async def flows() -> bool:
            # Firefox counts anew from nothing.
            now = await self.sent()
            return all(now[rid]["frames"] not in (0, paused[rid]["frames"]) for rid, kbps in before.items() if kbps)

        try:
            await until(flows, BACK_WITHIN, "all that flowed flows again", every=0.02)
            row["back_ms"] = round(1000 * (time.monotonic() - asked))
        except TimeoutError as error:
            row["back"] = str(error)
        await asyncio.sleep(LOOK)
        return row


def tmmbr(ssrcs: list[int]) -> bytes:
    """A temporary maximum of `LITTLE` for each stream (RFC 5104 §4.2.1)."""
    exponent = max(0, LITTLE.bit_length() - 17)
    item = exponent << 26 | (LITTLE >> exponent) << 9 | 40
    body = b"".join(struct.pack("!II", ssrc, item) for ssrc in ssrcs)
    return struct.pack("!BBHII", 0x80 | 3, 205, 2 + len(body) // 4, 1, 0) + body


def remb(ssrcs: list[int]) -> bytes:
    """The receiver's estimate of `LITTLE` for all streams together (draft-alvestrand-rmcat-remb)."""
    exponent = max(0, LITTLE.bit_length() - 18)
    item = len(ssrcs) << 24 | exponent << 18 | LITTLE >> exponent
    body = b"REMB" + struct.pack(f"!I{len(ssrcs)}I", item, *ssrcs)
    return struct.pack("!BBHII", 0x80 | 15, 206, 2 + len(body) // 4, 1, 0) + body


async def every_way(publisher: Publisher) -> dict[str, Any]:
    """One row for each way to ask."""
    simulcast = "a=simulcast:"
    ways: dict[str, tuple[Step, Step]] = {}
    said = (("offer", publisher.offer), ("answer", publisher.answer))
    changes = {
        "one rid paused": {simulcast: "a=simulcast:recv ~f;q"},
        "both rids paused": {simulcast: "a=simulcast:recv ~f;~q"},
        "inactive": {"a=recvonly": "a=inactive"},
    }
    for what, change in changes.items():
        for how, say in said:
            ways[f"{what}, {how}"] = (lambda say=say, change=change: say(change), lambda say=say: say({}))  # type: ignore[misc]
    rates = {"tmmbr": tmmbr, "remb": remb}
    for what, report in rates.items():
        ways[what] = (lambda report=report: publisher.rate(report), lambda: publisher.offer({}))  # type: ignore[misc]
    return {name: await publisher.look(*steps) for name, steps in ways.items()}


async def measure() -> dict[str, Any]:
    """Both browsers, one after another."""
    found: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(blank())
        scripts: dict[str, Script] = {
            "chromium": Chromium(await stack.enter_async_context(window(url))),
            "firefox": await stack.enter_async_context(firefox(url)),
        }
        for name, script in scripts.items():
            await script.run(GUESTS)
            guest = Browser(name, script, 640, 360, 30, LAYERS)
            async with meeting("python", ("opus", "vp8")) as held:
                publisher = Publisher(held, script, guest)
                await publisher.start()
                found[name] = await every_way(publisher)
    return {"bench": "pausing", "load": round(os.getloadavg()[0], 1), **found}


def main() -> int:
    """Look and print."""
    result = asyncio.run(measure())
    for browser in ("chromium", "firefox"):
        for way, row in result[browser].items():
            print(f"{browser:10}{way:26}{json.dumps(row)}")
    print(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
