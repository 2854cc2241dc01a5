"""A guest on aiortc's own RTCPeerConnection: a third WebRTC stack, with encoders and decoders of its own (FFmpeg's)."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import aioice.ice
import numpy
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
    VideoStreamTrack,
)
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, VideoFrame

RATE, FRAME = 48_000, 960
"Samples a second, and in one packet."
LOUD = 8000
"Amplitude of its tone, of 32767."


class Camera(VideoStreamTrack):
    """A moving edge."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__()
        self._size = width, height
        self._count = 0

    async def recv(self) -> VideoFrame:
        """The next picture, when it is due; 15 a second, as the others' cameras have."""
        await self.next_timestamp()
        pts, time_base = await self.next_timestamp()
        self._count += 1
        width, height = self._size
        picture = numpy.full((height, width, 3), 64, numpy.uint8)
        picture[:, : self._count * 8 % width] = 200
        frame = VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = pts, time_base
        return frame


class Tone(MediaStreamTrack):
    """440 Hz."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._began = 0.0

    async def recv(self) -> AudioFrame:
        """The next 20 ms, when they are due."""
        loop = asyncio.get_running_loop()
        self._began = self._began or loop.time()
        await asyncio.sleep(max(0.0, self._began + self._sent / RATE - loop.time()))
        when = (numpy.arange(FRAME) + self._sent) / RATE
        wave = (numpy.sin(when * 2 * numpy.pi * 440) * LOUD).astype(numpy.int16)
        frame = AudioFrame.from_ndarray(wave.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, Fraction(1, RATE)
        self._sent += FRAME
        return frame


def loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    """What aioice takes for the machine's addresses."""
    return ["127.0.0.1"]


@dataclass(slots=True)
class Seen:
    """What came on one line."""

    kind: str
    frames: int = 0
    width: int = 0
    height: int = 0
    energy: float = 0.0


@dataclass(slots=True)
class Aiortc:
    """See `meeting.Guest`."""

    name: str
    width: int = 320
    height: int = 240
    connection: RTCPeerConnection = field(init=False)
    _seen: dict[str, Seen] = field(default_factory=dict)
    _watching: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        # It leaves loopback out of its candidates; here everything is on it.
        aioice.ice.get_host_addresses = loopback
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.on("track", self._came)

    def _came(self, track: MediaStreamTrack) -> None:
        mid = next(line.mid for line in self.connection.getTransceivers() if line.receiver.track is track)
        seen = self._seen[mid or ""] = Seen(track.kind)
        self._watching.append(asyncio.create_task(self._watch(track, seen)))

    async def _watch(self, track: MediaStreamTrack, seen: Seen) -> None:
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                seen.frames += 1
                if isinstance(frame, VideoFrame):
                    seen.width, seen.height = frame.width, frame.height
                elif isinstance(frame, AudioFrame):
                    seen.energy += float(numpy.abs(frame.to_ndarray()).mean()) / 32768

    async def offer(self) -> str:
        """See `Guest`."""
        self.connection.createDataChannel("focus")
        for track in (Tone(), Camera(self.width, self.height)):
            self.connection.addTransceiver(track, direction="sendonly")
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def take_answer(self, sdp: str) -> None:
        """See `Guest`."""
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def take_offer(self, sdp: str) -> str:
        """See `Guest`."""
        await self.connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.connection.setLocalDescription(await self.connection.createAnswer())
        return str(self.connection.localDescription.sdp)

    async def received(self) -> list[dict[str, Any]]:
        """What it decoded, in the words of `browsers.Browser.received`; it does not tell in which codec that came."""
        return [
            {"kind": seen.kind, "mid": mid, "frames": seen.frames, "width": seen.width, "height": seen.height,
             "energy": seen.energy, "codec": ""}
            for mid, seen in self._seen.items()
        ]  # fmt: skip

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()
        for task in self._watching:
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)
