"""What is sent: VP8 frames of equal packets at a fixed pace, open loop, whatever becomes of them.

A packet's body is filler but for its first bytes, which the engine reads, and its number
in the last eight. It knows no socket: `send` seals and sends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from aiortc.rtp import RtpPacket

from bench.forwarding.viewer import NUMBER
from bench.participants import sdp, vp8
from bench.participants.publisher import extension_map
from focus.commands import Codec, Extensions

KEYFRAME_EVERY = 30
"Frames. Keyframes are no larger than others here: the pace stays even."
CLOCK = 90_000
CODEC = Codec("vp8", CLOCK, sdp.VP8, None)
EXTENSIONS = Extensions(abs_send_time=2, transport_cc=3, mid=4)
"As the participants' SDP has them."
MID = "1"
DELTA = b"\x31\x00\x00"
KEY = b"\x10\x00\x00\x9d\x01\x2a\x00\x05\xd0\x02"
"First bytes of a 1280x720 keyframe (RFC 6386 §9.1)."


@dataclass(frozen=True, slots=True)
class Shape:
    """The traffic of one publisher."""

    rate: int
    "Packets a second, a multiple of `fps`."
    fps: int = 30
    size: int = 1200
    "Bytes of an RTP packet before it is sealed."

    @property
    def burst(self) -> int:
        """Packets a frame."""
        return self.rate // self.fps


class Camera:
    """One stream of packets, numbered from 0 on over its whole life."""

    def __init__(self, shape: Shape, ssrc: int, send: Callable[[bytes], None]) -> None:
        self.shape, self.ssrc, self._send = shape, ssrc, send
        self.sent: list[float] = []
        "When each packet left, in seconds since the epoch, by its number."
        self.behind: list[float] = []
        "Seconds that each frame left later than it was due."
        self._ids = extension_map()
        self._frame = 0

    async def run(self, seconds: float) -> None:
        """Send for so long, on an absolute schedule."""
        loop = asyncio.get_running_loop()
        start = loop.time()
        for frame in range(round(seconds * self.shape.fps)):
            due = start + frame / self.shape.fps
            await asyncio.sleep(due - loop.time())
            self.behind.append(loop.time() - due)
            self._show(round(due * CLOCK))

    def _show(self, timestamp: int) -> None:
        """Send one frame."""
        keyframe = self._frame % KEYFRAME_EVERY == 0
        for piece in range(self.shape.burst):
            number = len(self.sent)
            last = piece == self.shape.burst - 1
            packet = RtpPacket(sdp.VP8, last, number & 0xFFFF, timestamp & 0xFFFFFFFF, self.ssrc)
            packet.extensions.mid = MID
            packet.extensions.transport_sequence_number = number & 0xFFFF
            packet.extensions.abs_send_time = round(time.monotonic() * (1 << 18)) & 0xFFFFFF
            head = vp8.describe(piece == 0, self._frame & 0x7FFF, self._frame & 0xFF)
            if piece == 0:
                head += KEY if keyframe else DELTA
            filler = bytes(self.shape.size - len(packet.serialize(self._ids)) - len(head) - NUMBER)
            packet.payload = head + filler + number.to_bytes(NUMBER, "big")
            data = packet.serialize(self._ids)
            self.sent.append(time.time())
            self._send(data)
        self._frame += 1
