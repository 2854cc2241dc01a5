"""What a participant sends: three layers of camera and a voice, looped, as RTP with RTX, sender reports and extensions.

Time is an argument: `send_due(now)` sends what is due and says when to come again. A
keyframe request makes the layer jump to the keyframe nearest to the common clock at its
next frame; sequence numbers, timestamps and picture ids go on as if nothing had happened.
"""

from __future__ import annotations

import random
from collections import Counter, OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import (
    HeaderExtensions,
    HeaderExtensionsMap,
    RtcpPsfbPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    RtpPacket,
    wrap_rtx,
)

from bench.participants import media, picture, sdp, vp8
from bench.participants.rtcp import Feedback

KEPT = 512
"Packets kept for retransmission a layer: over five seconds of the full one."
FRAME_TIME = 1.0 / picture.FPS
VOICE_TIME = 0.02
COMFORT = 20
"Frames of silence per packet that is sent: Opus DTX sends one every 400 ms."
NTP_UNIX = 2_208_988_800


def extension_map() -> HeaderExtensionsMap:
    """Return the header extension ids of our SDP, for aiortc's packet classes."""
    ids = HeaderExtensionsMap()
    extensions = [RTCRtpHeaderExtensionParameters(id=number, uri=uri) for number, uri in sdp.EXTENSIONS.items()]
    ids.configure(RTCRtpParameters(headerExtensions=extensions))
    return ids


@dataclass(slots=True)
class Sending:
    """One outgoing SSRC."""

    ssrc: int
    rtx_ssrc: int
    clock: int
    rid: str | None
    sequence: int
    rtx_sequence: int
    base: int
    "RTP timestamp at the call's second 0."
    packets: int = 0
    octets: int = 0
    last: int = 0
    "RTP timestamp of the newest packet."
    kept: OrderedDict[int, RtpPacket] = field(default_factory=OrderedDict)

    def timestamp(self, now: float) -> int:
        return (self.base + round(now * self.clock)) & 0xFFFFFFFF


@dataclass(slots=True)
class Place:
    """Where a layer is in its loop, and the ids that never jump."""

    at: int = 0
    jump: bool = True
    picture: int = 0
    tl0: int = 0


class Publisher:
    """The outgoing half of one call."""

    def __init__(self, person: media.Person, talks: Callable[[float], bool], chance: random.Random, cname: str) -> None:
        self.person, self.talks, self.cname = person, talks, cname
        self.ids = extension_map()
        self.transport_sequence = chance.getrandbits(16)
        self.audio = self._sending(chance, 48_000, None)
        self.layers = [self._sending(chance, 90_000, layer.rid) for layer in person.layers]
        self.places = [Place(picture=chance.getrandbits(15), tl0=chance.getrandbits(8)) for _ in person.layers]
        self.next_frame = self.next_voice = self.next_report = 0.0
        self.frame = 0
        "Frame number on the common clock of all layers."
        self.voice_at = self.silent = 0
        self.was_silent = True
        self.keyframe_requests = 0
        self.retransmitted = 0
        self.told_arrived = self.told_missing = 0
        "Packets that transport-wide feedback spoke of."
        self.faults: Counter[str] = Counter()
        self.misses = 0
        "NACKed packets that were no longer kept."

    def _sending(self, chance: random.Random, clock: int, rid: str | None) -> Sending:
        one = [chance.randrange(1, 1 << 32) for _ in range(3)]
        return Sending(one[0], one[1], clock, rid, chance.getrandbits(15), chance.getrandbits(15), one[2])

    def start(self, now: float) -> None:
        """Begin: the first frame, voice frame and report are due a little after `now`."""
        self.next_frame, self.next_voice, self.next_report = now, now, now + 0.5
        self.frame = int(now * picture.FPS)

    def send_due(self, now: float, wall: float, send: Callable[[bytes], None]) -> float:
        """Send all that is due at `now`; return when something is due next. `wall`: seconds since the epoch."""
        # Whoever comes late by more than this was stopped: it goes on, and does not catch up.
        if now - self.next_frame > 0.5:
            self.next_frame = self.next_voice = now
        while self.next_voice <= now:
            self._say(self.next_voice, send)
            self.next_voice += VOICE_TIME
        while self.next_frame <= now:
            self._show(self.next_frame, send)
            self.next_frame += FRAME_TIME
        if self.next_report <= now:
            self._report(now, wall, send)
            self.next_report = now + 1.0
        return min(self.next_frame, self.next_voice, self.next_report)

    def _say(self, due: float, send: Callable[[bytes], None]) -> None:
        talking = self.talks(due)
        if not talking:
            self.voice_at = 0
            self.silent += 1
            self.was_silent = True
            if self.silent % COMFORT != 1:
                return
        else:
            self.silent = 0
        at = self.voice_at % len(self.person.voice)
        packet = RtpPacket(sdp.OPUS, 0, self.audio.sequence, self.audio.timestamp(due), self.audio.ssrc)
        if talking:
            packet.payload = self.person.voice[at]
            packet.marker = int(self.was_silent)
            packet.extensions.audio_level = (True, self.person.levels[at])
            self.voice_at += 1
            self.was_silent = False
        else:
            packet.payload = b"\xf8\xff\xfe"  # 20 ms of CELT silence, as libwebrtc's encoder writes it
            packet.extensions.audio_level = (False, 127)
        packet.extensions.mid = "0"
        self._send(self.audio, packet, due, send)

    def _show(self, due: float, send: Callable[[bytes], None]) -> None:
        for sending, place, layer in zip(self.layers, self.places, self.person.layers, strict=True):
            length = len(layer.frames)
            if place.jump or place.at % media.GOP == 0:
                # At every keyframe the layer falls in with the common clock again.
                place.at = round(self.frame / media.GOP) * media.GOP % length
                place.jump = False
            pieces = vp8.cut(layer.frames[place.at])
            timestamp = sending.timestamp(due)
            for number, piece in enumerate(pieces):
                head = vp8.describe(number == 0, place.picture, place.tl0)
                last = int(number == len(pieces) - 1)
                packet = RtpPacket(sdp.VP8, last, sending.sequence, timestamp, sending.ssrc, head + piece)
                packet.extensions.mid, packet.extensions.rtp_stream_id = "1", sending.rid
                sending.kept[sending.sequence] = packet
                self._send(sending, packet, due, send)
            while len(sending.kept) > KEPT:
                sending.kept.popitem(last=False)
            place.at = (place.at + 1) % length
            place.picture = (place.picture + 1) & 0x7FFF
            place.tl0 = (place.tl0 + 1) & 0xFF
        self.frame += 1

    def _send(self, sending: Sending, packet: RtpPacket, now: float, send: Callable[[bytes], None]) -> None:
        self._stamp(packet.extensions, now)
        send(packet.serialize(self.ids))
        sending.sequence = (sending.sequence + 1) & 0xFFFF
        sending.packets += 1
        sending.octets += len(packet.payload)
        sending.last = packet.timestamp

    def _stamp(self, extensions: HeaderExtensions, now: float) -> None:
        extensions.transport_sequence_number = self.transport_sequence
        extensions.abs_send_time = round(now * (1 << 18)) & 0xFFFFFF
        self.transport_sequence = (self.transport_sequence + 1) & 0xFFFF

    def _report(self, now: float, wall: float, send: Callable[[bytes], None]) -> None:
        """One compound packet a stream, as browsers send them (RFC 3550 §6.4.1)."""
        ntp = round((wall + NTP_UNIX) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
        for sending in (self.audio, *self.layers):
            if not sending.packets:
                continue
            packets, octets = sending.packets & 0xFFFFFFFF, sending.octets & 0xFFFFFFFF
            info = RtcpSenderInfo(ntp, sending.timestamp(now), packets, octets)
            names = [RtcpSourceInfo(sending.ssrc, [(1, self.cname.encode())])]
            send(bytes(RtcpSrPacket(sending.ssrc, info)) + bytes(RtcpSdesPacket(names)))

    def hear(self, packet: object, now: float, send: Callable[[bytes], None]) -> None:
        """Take one RTCP packet: answer NACKs by RTX and keyframe requests by a jump; count the rest."""
        match packet:
            case RtcpPsfbPacket(fmt=1, media_ssrc=ssrc):
                self._keyframe(ssrc)
            case RtcpPsfbPacket(fmt=4, fci=fci):
                for at in range(0, len(fci) - 7, 8):
                    self._keyframe(int.from_bytes(fci[at : at + 4], "big"))
            case RtcpRtpfbPacket(fmt=1, media_ssrc=ssrc, lost=lost):
                for sending in self.layers:
                    if sending.ssrc == ssrc:
                        self._retransmit(sending, lost, now, send)
            case Feedback(media_ssrc=ssrc, arrived=arrived):
                # Chromium ignores feedback about an SSRC that is not its own (platform digest §2).
                if ssrc not in {one.ssrc for one in (self.audio, *self.layers)}:
                    self.faults["feedback_for_stranger"] += 1
                self.told_arrived += sum(arrived)
                self.told_missing += len(arrived) - sum(arrived)

    def _keyframe(self, ssrc: int) -> None:
        for sending, place in zip(self.layers, self.places, strict=True):
            if sending.ssrc == ssrc:
                place.jump = True
                self.keyframe_requests += 1

    def _retransmit(self, sending: Sending, lost: list[int], now: float, send: Callable[[bytes], None]) -> None:
        for number in lost:
            packet = sending.kept.get(number & 0xFFFF)
            if packet is None:
                self.misses += 1
                continue
            again = wrap_rtx(packet, sdp.RTX, sending.rtx_sequence, sending.rtx_ssrc)
            again.extensions = HeaderExtensions(mid="1", repaired_rtp_stream_id=sending.rid)
            self._stamp(again.extensions, now)
            sending.rtx_sequence = (sending.rtx_sequence + 1) & 0xFFFF
            send(again.serialize(self.ids))
            self.retransmitted += 1
