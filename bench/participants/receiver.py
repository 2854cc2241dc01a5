"""What a participant receives: packets to tracks by SSRC, put in order, checked, asked for again when missing.

Time is an argument. It follows the focus's offers (`expect`): an SSRC on no m-line is
counted as a stranger. It sends NACKs, keyframe requests after a loss, a receiver report
a second, and transport-wide feedback when packets carry its numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from aiortc.rtp import RtcpPsfbPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpRtpfbPacket, RtcpSrPacket, RtpPacket

from bench.participants import twcc
from bench.participants.check import Check
from bench.participants.found import Found
from bench.participants.known import Known
from bench.participants.line import Track, changes
from bench.participants.order import Order
from bench.participants.publisher import extension_map
from bench.participants.sdp import Section

ASK_KEYFRAME = 0.5
"Seconds between two keyframe requests for one track."


@dataclass(slots=True)
class Incoming:
    """One received track on one m-line, for as long as it keeps its SSRC."""

    section: Section
    media_pt: int
    check: Check
    order: Order[tuple[int, bool, bytes]] = field(default_factory=Order)
    rtx_packets: int = 0
    needs_keyframe: bool = False
    asked_keyframe: float = 0.0
    report: tuple[int, float] = (0, 0.0)
    "Middle 32 bits of the newest sender report's NTP time, and when it came."
    received: int = 0
    told_expected: int = 0
    told_received: int = 0
    first: int = 0
    frame: Callable[[bytes], None] | None = None
    "Given every whole frame, for decoding."

    @property
    def name(self) -> tuple[str, str]:
        return self.section.stream, self.section.track

    @property
    def found(self) -> Found:
        return self.check

    @property
    def recovered(self) -> int:
        return self.order.recovered

    @property
    def duplicates(self) -> int:
        return self.order.duplicates


class Receiver:
    """The incoming half of one call."""

    def __init__(self, ssrc: int, known: Known) -> None:
        self.ssrc, self.known = ssrc, known
        "`ssrc`: one of our own, the sender of our feedback."
        self.ids = extension_map()
        self.live: dict[str, Incoming] = {}
        "By mid."
        self.past: list[Incoming] = []
        self.by_ssrc: dict[int, tuple[Incoming, bool]] = {}
        "To the track, and whether the SSRC is its RTX."
        self.drops: Counter[str] = Counter()
        self.arrivals = twcc.Arrivals()
        self.next_report = 0.0
        self.on_track: Callable[[Track], None] = lambda track: None

    def expect(self, sections: Iterable[Section]) -> None:
        """Follow the focus's newest offer."""
        ended, begun = changes({mid: track.section for mid, track in self.live.items()}, sections)
        for mid in ended:
            self._end(self.live[mid])
        for section in begun:
            self._begin(section)

    def _begin(self, section: Section) -> None:
        name = "vp8" if section.kind == "video" else "opus"
        pt = dict(reversed(section.codecs)).get(name, -1)
        track = self.live[section.mid] = Incoming(section, pt, Check(section.kind, self.known))
        for number, ssrc in enumerate(section.ssrcs[:2]):
            if ssrc in self.by_ssrc:
                self.drops["ssrc_used_twice"] += 1
            self.by_ssrc[ssrc] = (track, number == 1)
        self.on_track(track)

    def _end(self, track: Incoming) -> None:
        del self.live[track.section.mid]
        self.past.append(track)
        for ssrc in track.section.ssrcs[:2]:
            self.by_ssrc.pop(ssrc, None)

    def track(self, stream: str, name: str) -> Incoming | None:
        """Return the live track of these ids."""
        return next((one for one in self.live.values() if one.name == (stream, name)), None)

    def rtp(self, data: bytes, now: float) -> None:
        """Take one packet from the wire."""
        try:
            packet = RtpPacket.parse(data, self.ids)
        except ValueError:
            self.drops["malformed"] += 1
            return
        if packet.extensions.transport_sequence_number is not None:
            self.arrivals.note(packet.extensions.transport_sequence_number, packet.ssrc, now)
        found = self.by_ssrc.get(packet.ssrc)
        if found is None:
            # After an `inactive` a few packets may still be on their way.
            late = any(packet.ssrc in one.section.ssrcs for one in self.past)
            self.drops["after_end" if late else "stranger"] += 1
            return
        track, is_rtx = found
        if not packet.payload:
            self.drops["padding"] += 1
            if is_rtx:
                return
        number, payload = packet.sequence_number, packet.payload
        if is_rtx:
            track.rtx_packets += 1
            number, payload = int.from_bytes(payload[:2], "big"), payload[2:]
        elif packet.payload_type != track.media_pt:
            self.drops["wrong_payload_type"] += 1
            return
        if track.order.expected is None:
            track.first = number + 0x10000
        track.received += 1
        self._hand_on(track, track.order.put(number, (packet.timestamp, bool(packet.marker), payload), now), now)

    def _hand_on(self, track: Incoming, items: list[tuple[int, tuple[int, bool, bytes]]], now: float) -> None:
        for lost, (timestamp, marker, payload) in items:
            if not payload:
                continue
            keyframes = track.check.keyframes
            frame = track.check.take(timestamp, marker, payload, lost, now)
            if lost and track.check.kind == "video":
                track.needs_keyframe = True
            if track.check.keyframes > keyframes:
                track.needs_keyframe = False
            if frame is not None and track.frame is not None and not track.needs_keyframe:
                track.frame(frame)

    def rtcp(self, packet: object, now: float) -> None:
        """Note sender reports of our tracks."""
        if isinstance(packet, RtcpSrPacket) and packet.ssrc in self.by_ssrc:
            track = self.by_ssrc[packet.ssrc][0]
            track.report = (packet.sender_info.ntp_timestamp >> 16 & 0xFFFFFFFF, now)

    def send_due(self, now: float, send: Callable[[bytes], None]) -> None:
        """Send the feedback that is due: to be called every few tens of milliseconds."""
        for track in self.live.values():
            self._hand_on(track, track.order.release(now), now)
            # Without RTX (audio) nothing could come back.
            missing = track.order.ask(now) if len(track.section.ssrcs) > 1 else []
            if missing:
                send(bytes(RtcpRtpfbPacket(1, self.ssrc, track.section.ssrcs[0], missing)))
            track.needs_keyframe |= track.check.kind == "video" and track.order.stuck(now)
            if track.needs_keyframe and now - track.asked_keyframe >= ASK_KEYFRAME:
                track.asked_keyframe = now
                send(bytes(RtcpPsfbPacket(1, self.ssrc, track.section.ssrcs[0])))
        feedback = self.arrivals.feedback(self.ssrc, now)
        if feedback is not None:
            send(feedback)
        if now >= self.next_report:
            self.next_report = now + 1.0
            reports = [self._report(track, now) for track in self.live.values() if track.order.expected is not None]
            for at in range(0, max(1, len(reports)), 31):
                send(bytes(RtcpRrPacket(self.ssrc, reports[at : at + 31])))

    def _report(self, track: Incoming, now: float) -> RtcpReceiverInfo:
        """RFC 3550 §6.4.1. Interarrival jitter is not measured and told as 0."""
        expected = track.order.newest - track.first + 1
        new, got = expected - track.told_expected, track.received - track.told_received
        track.told_expected, track.told_received = expected, track.received
        middle, came = track.report
        return RtcpReceiverInfo(
            ssrc=track.section.ssrcs[0],
            fraction_lost=min(255, max(0, (new - got) * 256 // new)) if new > 0 else 0,
            packets_lost=max(0, expected - track.received),
            highest_sequence=(track.order.newest - 0x10000) & 0xFFFFFFFF,
            jitter=0,
            lsr=middle,
            dlsr=round((now - came) * 65536) & 0xFFFFFFFF if came else 0,
        )
