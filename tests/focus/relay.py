"""One publisher and one subscriber of the reference engine in virtual time: bytes in, bytes out, no transport."""

from __future__ import annotations

from dataclasses import dataclass, field

from roster import VP8, F, H, Q

from focus.commands import Codec, Drop, Event, Expect, Extensions, Route
from focus.reference.counters import Tally
from focus.reference.route import Forward
from focus.reference.session import Session
from focus.reference.source import Track
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, RouteId, TrackId
from media_bytes import Rtcp, Rtp, read, read_rtcp, rtp, vp8

PUBLISHED = Extensions(mid=4, rid=10, repaired_rid=11, transport_cc=3)
RECEIVED = Extensions(mid=1)
SINK_VP8 = Codec("vp8", 90000, 120, 121)
SIZES = {F: (1280, 720), H: (640, 360), Q: (320, 180), SINGLE: (640, 360)}


@dataclass(slots=True)
class Stream:
    """One layer as an encoder numbers it."""

    ssrc: int
    rid: Rid = SINGLE
    sequence: int = 65530
    "So that every test wraps."
    timestamp: int = 4294960000
    picture: int = 32765
    tl0: int = 253
    mid: str = "1"

    def extensions(self) -> dict[int, bytes]:
        return {4: self.mid.encode()} | ({10: self.rid.encode()} if self.rid else {})

    def frame(self, keyframe: bool = False, packets: int = 1) -> list[bytes]:
        """The packets of the next frame, a thirtieth of a second after the one before."""
        made = []
        for number in range(packets):
            payload = vp8(self.picture, self.tl0, keyframe, SIZES[self.rid], start=number == 0, body=b"body")
            made.append(
                rtp(
                    self.ssrc, self.sequence, self.timestamp, 96, payload, self.extensions(),
                    marker=number == packets - 1,
                )
            )  # fmt: skip
            self.sequence = self.sequence + 1 & 0xFFFF
        self.timestamp = self.timestamp + 3000 & 0xFFFFFFFF
        self.picture = self.picture + 1 & 0x7FFF
        self.tl0 = self.tl0 + 1 & 0xFF
        return made

    def padding(self) -> bytes:
        """A packet that is only padding, as a bandwidth probe is."""
        made = rtp(self.ssrc, self.sequence, self.timestamp, 96, b"", self.extensions(), padding=100)
        self.sequence = self.sequence + 1 & 0xFFFF
        return made


def streams() -> tuple[Stream, Stream, Stream]:
    """Layers f, h and q of one camera, each with counters of its own, all near their wraps."""
    return (
        Stream(0x1000, F),
        Stream(0x2000, H, 65000, 4171504211, 32688, 244),
        Stream(0x3000, Q, 10, 99, 5, 255),
    )


@dataclass(slots=True)
class Relay:
    """Two sessions and a route between them."""

    rids: tuple[Rid, ...] = (F, H, Q)
    ssrcs: tuple[int, ...] = ()
    codec: Codec = VP8
    tally: Tally = field(default_factory=Tally)
    events: list[Event] = field(default_factory=list)
    got: list[Rtp] = field(default_factory=list)
    "Media that left for the subscriber."
    asked: list[Rtcp] = field(default_factory=list)
    "RTCP that left for the publisher."
    told: list[Rtcp] = field(default_factory=list)
    "RTCP that left for the subscriber."
    publisher: Session = field(init=False)
    subscriber: Session = field(init=False)
    track: Track = field(init=False)
    route: Forward = field(init=False)

    def __post_init__(self) -> None:
        p, s = PeerId("p"), PeerId("s")
        self.publisher = Session(p, self.tally, self.events.append, self._to_publisher)
        self.subscriber = Session(s, self.tally, self.events.append, self._to_subscriber)
        self.publisher.neighbours = self.subscriber.neighbours = {p: self.publisher, s: self.subscriber}.get
        self.subscriber.connected = True
        self.track = Track(
            Expect(TrackId("t"), p, "1", Kind.VIDEO, (self.codec,), PUBLISHED, self.rids, self.ssrcs)
        )
        self.publisher.tracks["1"] = self.track
        self.route = Forward(
            Route(RouteId(1), TrackId("t"), s, "w0", (SINK_VP8,), RECEIVED, 0x0A0B7FF0, 0x0A0B7FF1), p
        )
        self.track.routes.append(self.route)
        self.subscriber.sinks[self.route.route.ssrc] = self.route

    def _to_publisher(self, data: bytes) -> bool:
        self.asked += read_rtcp(data)
        return True

    def _to_subscriber(self, data: bytes) -> bool:
        if 192 <= data[1] <= 223:
            self.told += read_rtcp(data)
        else:
            self.got.append(read(data))
        return True

    def publish(self, packets: list[bytes], now: float) -> None:
        for packet in packets:
            self.publisher.media(packet, now)

    def dropped(self, reason: Drop) -> int:
        return self.tally.drops[reason]
