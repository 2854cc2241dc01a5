"""Guests in real browsers: a page with nothing but peer connections, the same script in Chromium and Firefox.

It knows the W3C's interfaces and what they count. What the figures should be is the caller's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from bench.browser import Window

GUESTS = """
() => {
  const guests = (window.guests = {});
  let looking;
  const layering = () => {
    // Statistics name the mode that was asked for. Which layers there are, only the frames tell.
    looking ??= new Worker(URL.createObjectURL(new Blob([`onrtctransform = ({ transformer }) => {
      const tell = new TransformStream({ transform(frame, out) {
        const { spatialIndex, temporalIndex } = frame.getMetadata();
        postMessage([transformer.options.name, (spatialIndex ?? 0) + '.' + (temporalIndex ?? 0)]);
        out.enqueue(frame);
      } });
      transformer.readable.pipeThrough(tell).pipeTo(transformer.writable);
    }`])));
    looking.onmessage = ({ data: [name, layer] }) => guests[name]?.layers.add(layer);
    return looking;
  };
  window.layersOf = (name) => [...guests[name].layers].sort();
  window.dialUp = async (name, video, encodings) => {
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video });
    const pc = new RTCPeerConnection();
    pc.createDataChannel('focus');
    for (const track of stream.getTracks()) {
      const more = track.kind === 'video' && encodings ? { sendEncodings: encodings } : {};
      const { sender } = pc.addTransceiver(track, { direction: 'sendonly', streams: [stream], ...more });
      if (more.sendEncodings) sender.transform = new RTCRtpScriptTransform(layering(), { name });
    }
    pc.ontrack = ({ track }) => {
      // Whoever decodes must also paint and play. Small, for without a graphics card painting costs more than decoding.
      const element = document.createElement(track.kind);
      element.width = 64;
      element.autoplay = true;
      element.muted = track.kind === 'video';
      element.srcObject = new MediaStream([track]);
      document.body.append(element);
      void element.play().catch(() => undefined);
    };
    guests[name] = { pc, stream, layers: new Set() };
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  };
  window.takeAnswer = (name, sdp) => guests[name].pc.setRemoteDescription({ type: 'answer', sdp });
  window.takeOffer = async (name, sdp) => {
    const { pc } = guests[name];
    await pc.setRemoteDescription({ type: 'offer', sdp });
    await pc.setLocalDescription();
    return pc.localDescription.sdp;
  };
  window.counts = async (name, direction) => {
    const { pc } = guests[name];
    const mids = new Map(pc.getTransceivers().map((line) => [line.receiver.track.id, line.mid]));
    const report = await pc.getStats();
    const rows = [];
    report.forEach((s) => {
      if (s.type !== direction) return;
      rows.push({
        kind: s.kind, mid: s.mid ?? mids.get(s.trackIdentifier) ?? '', packets: s.packetsReceived ?? s.packetsSent ?? 0,
        frames: s.framesDecoded ?? s.framesEncoded ?? 0, width: s.frameWidth ?? 0, height: s.frameHeight ?? 0,
        energy: s.totalAudioEnergy ?? 0, codec: (report.get(s.codecId)?.mimeType ?? '').split('/').pop().toLowerCase(),
        mode: s.scalabilityMode ?? '', rid: s.rid ?? '',
      });
    });
    return rows;
  };
  window.sendIn = async (name, codec) => {
    const sender = guests[name].pc.getSenders().find((each) => each.track?.kind === 'video');
    const parameters = sender.getParameters();
    const known = parameters.codecs.find((each) => each.mimeType.toLowerCase() === `video/${codec}`);
    parameters.encodings.forEach((each) => { each.codec = known; });
    await sender.setParameters(parameters);
  };
  window.hangUp = (name) => {
    if (!guests[name]) return;
    const { pc, stream } = guests[name];
    pc.close();
    stream.getTracks().forEach((track) => track.stop());
    document.body.replaceChildren();
    delete guests[name];
  };
}
"""


class Script(Protocol):
    """Whatever runs JavaScript in a page."""

    async def run(self, script: str, *arguments: object) -> Any:
        """Call a function with JSON values."""


@dataclass(frozen=True, slots=True)
class Chromium:
    """See `Script`."""

    shown: Window

    async def run(self, script: str, *arguments: object) -> Any:
        """Call a function with JSON values."""
        return await self.shown.page.evaluate(f"(all) => ({script})(...all)", list(arguments))


@dataclass(slots=True)
class Browser:
    """A guest in a browser's page. See `meeting.Guest`."""

    name: str
    script: Script
    width: int = 640
    height: int = 360
    rate: int = 15
    encodings: list[dict[str, object]] | None = None

    async def offer(self) -> str:
        """Turn camera and microphone on, and dial."""
        picture = {"width": self.width, "height": self.height, "frameRate": self.rate}
        text: str = await self.script.run("(...all) => dialUp(...all)", self.name, picture, self.encodings)
        return text

    async def take_answer(self, sdp: str) -> None:
        """See `Guest`."""
        await self.script.run("(...all) => takeAnswer(...all)", self.name, sdp)

    async def take_offer(self, sdp: str) -> str:
        """See `Guest`."""
        text: str = await self.script.run("(...all) => takeOffer(...all)", self.name, sdp)
        return text

    async def received(self) -> list[dict[str, Any]]:
        """What it receives (W3C `inbound-rtp`, renamed)."""
        rows: list[dict[str, Any]] = await self.script.run("(name) => counts(name, 'inbound-rtp')", self.name)
        return rows

    async def sent(self) -> list[dict[str, Any]]:
        """What it sends (W3C `outbound-rtp`, renamed)."""
        rows: list[dict[str, Any]] = await self.script.run("(name) => counts(name, 'outbound-rtp')", self.name)
        return rows

    async def layers(self) -> list[str]:
        """The layers of the frames that it has sent, as "spatial.temporal", if it was asked for any."""
        found: list[str] = await self.script.run("(name) => layersOf(name)", self.name)
        return found

    async def send_in(self, codec: str) -> None:
        """Send pictures in another of the negotiated codecs, from now on. Firefox cannot."""
        await self.script.run("(...all) => sendIn(...all)", self.name, codec)

    async def close(self) -> None:
        """Hang up."""
        await self.script.run("(name) => hangUp(name)", self.name)


@asynccontextmanager
async def blank() -> AsyncIterator[str]:
    """The address of an empty page that may use camera and microphone."""

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>guests</title><body></body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()
