"""Senders of media for the contract suite: a camera's layer and a microphone, packet by packet.

They hold the counters that an encoder holds. What the body of each packet says is unique,
so that a test can tell which packet it sees again at a subscriber.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from far_end import FarEnd
from focus.commands import Codec, Expect, Extensions, Route
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, RouteId, TrackId
from media_bytes import read_vp8, rtp, vp8

VP8 = Codec("vp8", 90000, 96, 97)
OPUS = Codec("opus", 48000, 111, None)
SINK_VP8 = Codec("vp8", 90000, 120, 121)
SINK_OPUS = Codec("opus", 48000, 109, None)

PUBLISHED = Extensions(
    mid=4, rid=10, repaired_rid=11, transport_cc=3, audio_level=1, abs_send_time=2, video_orientation=13,
    playout_delay=5, dependency_descriptor=12, abs_capture_time=8,
)  # fmt: skip
RECEIVED = Extensions(
    mid=1, audio_level=5, abs_send_time=3, video_orientation=2, playout_delay=4, dependency_descriptor=7,
    abs_capture_time=6,
)  # fmt: skip

TRACK, SOUND = TrackId("t"), TrackId("s")
Q, H, F = Rid("q"), Rid("h"), Rid("f")
SIZES = {Q: (320, 180), H: (640, 360), F: (1280, 720), SINGLE: (640, 360)}
ROUTE_SSRC, ROUTE_RTX = 0x0A0B0C0D, 0x0A0B0C0E


def expect(end: FarEnd, rids: tuple[Rid, ...] = (), ssrcs: tuple[int, ...] = (), **changes: object) -> Expect:
    """A camera track published by a client."""
    fields: dict[str, object] = {
        "track": TRACK, "mid": "1", "kind": Kind.VIDEO, "codecs": (VP8,), "extensions": PUBLISHED,
    } | changes  # fmt: skip
    return Expect(peer=end.peer, rids=rids, ssrcs=ssrcs, **fields)  # type: ignore[arg-type]


def route(end: FarEnd, number: int = 1, **changes: object) -> Route:
    """The camera track forwarded to a client."""
    fields: dict[str, object] = {
        "track": TRACK, "mid": "w0", "codecs": (SINK_VP8,), "extensions": RECEIVED,
        "ssrc": ROUTE_SSRC + 0x10 * (number - 1), "rtx_ssrc": ROUTE_RTX + 0x10 * (number - 1),
    } | changes  # fmt: skip
    return Route(RouteId(number), peer=PeerId(end.peer), **fields)  # type: ignore[arg-type]


@dataclass(slots=True)
class Camera:
    """One layer of a camera, or all of it without simulcast."""

    end: FarEnd
    ssrc: int
    rid: Rid = SINGLE
    mid: str = "1"
    pt: int = 96
    named: bool = True
    "Whether the packets carry mid and rid."
    sequence: int = 65530
    "So that every test wraps."
    timestamp: int = 4294960000
    picture: int = 32765
    tl0: int = 253
    transport: list[int] = field(default_factory=lambda: [65500])
    "The transport-wide counter; share the list between the layers of one client."
    sent: list[bytes] = field(default_factory=list)
    "Everything sent, plain."

    def extensions(self) -> dict[int, bytes]:
        self.transport[0] = self.transport[0] + 1 & 0xFFFF
        found = {3: self.transport[0].to_bytes(2, "big")}
        if self.named:
            found[4] = self.mid.encode()
            if self.rid:
                found[10] = self.rid.encode()
        return found

    def build(
        self, keyframe: bool = False, packets: int = 1, size: tuple[int, int] | None = None,
        extra: dict[int, bytes] | None = None, temporal: int = 0, sync: bool = True,
    ) -> list[bytes]:
        """The packets of the next frame, a thirtieth of a second after the one before."""
        made = []
        tl0 = self.tl0 - (temporal > 0)
        for number in range(packets):
            body = f"{self.rid}:{self.sequence}".encode().ljust(40, b".")
            payload = vp8(
                self.picture, tl0, keyframe, size or SIZES[self.rid], start=number == 0, body=body,
                temporal=temporal, sync=sync,
            )
            made.append(
                rtp(
                    self.ssrc, self.sequence, self.timestamp, self.pt, payload,
                    self.extensions() | (extra or {}), marker=number == packets - 1,
                )
            )  # fmt: skip
            self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + 3000 & 0xFFFFFFFF
        self.picture = self.picture + 1 & 0x7FFF
        self.tl0 = self.tl0 + (temporal == 0) & 0xFF
        self.sent += made
        return made

    async def frame(self, keyframe: bool = False, packets: int = 1, **more: object) -> list[bytes]:
        """Send the next frame and return its packets."""
        made = self.build(keyframe, packets, **more)  # type: ignore[arg-type]
        await self.end.send(*made)
        return made

    async def padding(self) -> None:
        """Send a packet that is only padding, as a bandwidth probe is."""
        await self.end.send(
            rtp(self.ssrc, self.sequence, self.timestamp, self.pt, b"", self.extensions(), padding=200)
        )
        self.sequence = self.sequence + 1 & 0xFFFF


def layers(end: FarEnd, *rids: Rid) -> list[Camera]:
    """Cameras for the layers of one simulcast track: own SSRC, own clock, own picture ids, one transport counter."""
    counter = [65500]
    return [
        Camera(
            end, 0x1000 * (number + 1), rid, transport=counter, sequence=65530 - 1000 * number,
            timestamp=4294960000 - 123456789 * number, picture=32765 - 77 * number, tl0=253 - 9 * number,
        )
        for number, rid in enumerate(rids)
    ]  # fmt: skip


def bodies(payloads: list[bytes]) -> list[bytes]:
    """What of a VP8 payload must come through untouched."""
    return [read_vp8(payload).body for payload in payloads]
