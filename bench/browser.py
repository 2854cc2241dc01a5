"""Real Chromiums with fake cameras, as acceptance runs and tests drive them.

It knows pages and WebRTC statistics. It does not know what the figures should be. The
page under test is the shipped one: an init script keeps the peer connections it makes,
so that their statistics can be read, and changes nothing else.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import BrowserContext, Page, async_playwright

from bench.link.space import Space

CHROMIUM = "/usr/bin/chromium"
FAKE_CAMERA = ["--use-fake-device-for-media-stream=fps=30"]
ARGUMENTS = [
    "--use-fake-ui-for-media-stream",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--allow-loopback-in-peer-connection",
    # A window behind another one must decode as if it were in front: a person looks at it.
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
    "--disable-background-timer-throttling",
]

KEEP_CONNECTIONS = """
(() => {
  const Real = window.RTCPeerConnection;
  window.__connections = [];
  window.__channels = [];
  window.RTCPeerConnection = new Proxy(Real, {
    construct(target, args) {
      const pc = new target(...args);
      window.__connections.push(pc);
      const create = pc.createDataChannel.bind(pc);
      pc.createDataChannel = (...rest) => { const dc = create(...rest); window.__channels.push(dc); return dc; };
      return pc;
    },
  });
})();
"""

READ_INBOUND = """
async () => {
  const rows = [];
  for (const pc of window.__connections || []) {
    if (pc.connectionState === 'closed') continue;
    const byMid = new Map();
    for (const t of pc.getTransceivers()) byMid.set(t.mid, t);
    const report = await pc.getStats();
    report.forEach((s) => {
      if (s.type !== 'inbound-rtp') return;
      const t = byMid.get(s.mid);
      rows.push({
        kind: s.kind, mid: s.mid, ssrc: s.ssrc, at: s.timestamp,
        live: Boolean(t && (t.currentDirection || '').includes('recv')),
        frames: s.framesDecoded || 0, width: s.frameWidth || 0, height: s.frameHeight || 0,
        keyframes: s.keyFramesDecoded || 0, packets: s.packetsReceived || 0, lost: s.packetsLost || 0,
        freezes: s.freezeCount || 0, dropped: s.framesDropped || 0, plis: s.pliCount || 0, nacks: s.nackCount || 0,
        playout: s.estimatedPlayoutTimestamp || 0, concealed: s.concealedSamples || 0,
        samples: s.totalSamplesReceived || 0, decoder: s.decoderImplementation || '',
      });
    });
  }
  return rows;
}
"""

READ_TILES = """
() => [...document.querySelectorAll('[data-user]')].map((tile) => {
  const video = tile.querySelector('video');
  return {
    user: tile.dataset.user, device: tile.dataset.device, purpose: tile.dataset.purpose || '',
    large: tile.dataset.large === 'true',
    width: video ? video.videoWidth : 0, height: video ? video.videoHeight : 0,
    frames: video && video.getVideoPlaybackQuality ? video.getVideoPlaybackQuality().totalVideoFrames : 0,
  };
})
"""


@dataclass(slots=True)
class Window:
    """One Chromium with one page."""

    context: BrowserContext
    page: Page
    errors: list[str]
    "Uncaught page errors and console errors, newest last."

    async def run(self, script: str, *arguments: object) -> Any:
        """Call a JavaScript function with JSON values and return what it, or its promise, returns."""
        return await self.page.evaluate(f"(all) => ({script.strip()})(...all)", [*arguments])

    async def inbound(self, kind: str | None = None) -> list[dict[str, Any]]:
        """Statistics of every received stream (W3C `inbound-rtp`, renamed), live ones only."""
        rows: list[dict[str, Any]] = await self.page.evaluate(READ_INBOUND)
        return [row for row in rows if row["live"] and (kind is None or row["kind"] == kind)]

    async def tiles(self) -> list[dict[str, Any]]:
        """What each tile on the page shows: whose it is, its picture's size, frames painted so far."""
        rows: list[dict[str, Any]] = await self.page.evaluate(READ_TILES)
        return rows

    async def say(self, text: str) -> None:
        """Send a text on the page's newest data channel, as the page itself would."""
        await self.page.evaluate("(text) => window.__channels.at(-1).send(text)", text)


@asynccontextmanager
async def window(
    url: str | None, width: int = 1280, height: int = 800, *, camera: bool = True, inside: Space | None = None
) -> AsyncIterator[Window]:
    """Start a Chromium of its own, with a fresh profile, and open `url` in it.

    `camera`: with a fake camera and microphone, or none at all. `inside`: in a network namespace.
    """
    async with async_playwright() as playwright:
        with tempfile.TemporaryDirectory(prefix="weir-chromium-", ignore_cleanup_errors=True) as profile:
            context = await playwright.chromium.launch_persistent_context(
                profile,
                executable_path=inside.wrapper(CHROMIUM, Path(profile)) if inside is not None else CHROMIUM,
                headless=True,
                args=[*ARGUMENTS, *(FAKE_CAMERA if camera else [])],
                permissions=["camera", "microphone"],
                viewport={"width": width, "height": height},
            )
            try:
                page = context.pages[0] if context.pages else await context.new_page()
                await context.add_init_script(KEEP_CONNECTIONS)
                shown = Window(context, page, [])
                page.on("pageerror", lambda error: shown.errors.append(str(error)))
                page.on("console", lambda line: shown.errors.append(line.text) if line.type == "error" else None)
                if url is not None:
                    await page.goto(url)
                yield shown
            finally:
                await context.close()


async def until(condition: Any, seconds: float, what: str, every: float = 0.1) -> Any:
    """Wait until `await condition()` is truthy and return it; raise `TimeoutError` naming `what`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        value = await condition()
        if value:
            return value
        if loop.time() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s still not: {what}")
        await asyncio.sleep(every)
