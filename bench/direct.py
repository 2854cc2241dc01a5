"""A direct call between two Chromiums, as the yardstick of what the focus may cost.

Same browser, same fake camera at 1280x720 and 30 frames a second, same codec and same
bit rate ceiling as the page's top layer; no server between. Signalling is done by hand.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from bench.browser import Window, window

SEND = """
async (maxBitrate) => {
  const stream = await navigator.mediaDevices.getUserMedia(
    {audio: true, video: {width: 1280, height: 720, frameRate: 30}});
  const pc = window.pc = new RTCPeerConnection({bundlePolicy: 'max-bundle'});
  for (const track of stream.getTracks()) {
    const sendEncodings = track.kind === 'video' ? [{maxBitrate}] : undefined;
    const t = pc.addTransceiver(track, {direction: 'sendonly', streams: [stream], sendEncodings});
    if (track.kind === 'video') {
      const all = RTCRtpReceiver.getCapabilities('video').codecs;
      t.setCodecPreferences(all.filter((c) => ['video/VP8', 'video/rtx'].includes(c.mimeType)));
    }
  }
  await pc.setLocalDescription();
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
  });
  return pc.localDescription.sdp;
}
"""

RECEIVE = """
async (sdp) => {
  await navigator.mediaDevices.getUserMedia({audio: true});  // host candidates with addresses, as a caller has
  const pc = window.pc = new RTCPeerConnection();
  const video = document.body.appendChild(document.createElement('video'));
  video.autoplay = true; video.style.width = '1280px';
  pc.ontrack = (event) => { video.srcObject = event.streams[0]; };
  await pc.setRemoteDescription({type: 'offer', sdp});
  await pc.setLocalDescription();
  await new Promise((done) => {
    if (pc.iceGatheringState === 'complete') done();
    pc.onicegatheringstatechange = () => pc.iceGatheringState === 'complete' && done();
  });
  return pc.localDescription.sdp;
}
"""


async def blank_site(stack: AsyncExitStack) -> str:
    """Serve an empty page on loopback, since cameras need a secure origin, and return its address."""

    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="<!doctype html><title>direct</title><body>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, "localhost", 0)
    await site.start()
    port: int = runner.addresses[0][1]
    return f"http://localhost:{port}/"


async def connect(stack: AsyncExitStack, max_bitrate: int) -> tuple[Window, Window]:
    """Bring up a direct pair; the second window receives. `max_bitrate` in bits a second."""
    url = await blank_site(stack)
    sender = await stack.enter_async_context(window(url))
    receiver = await stack.enter_async_context(window(url, 1400, 900))
    offer: Any = await sender.page.evaluate(SEND, max_bitrate)
    answer: Any = await receiver.page.evaluate(RECEIVE, offer)
    await sender.page.evaluate("(sdp) => window.pc.setRemoteDescription({type: 'answer', sdp})", answer)
    return sender, receiver
