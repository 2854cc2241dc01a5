"""A participant's sender against a participant's receiver in virtual time: the judge must be right before it judges."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from aiortc.rtp import RtcpPsfbPacket, RtpPacket

from bench.participants import media, rtcp, sdp, vp8
from bench.participants.known import Known
from bench.participants.publisher import Publisher, extension_map
from bench.participants.receiver import Receiver


def small_person(number: int) -> media.Person:
    """A person whose loops are made up: keyframe headers are real, the rest is not."""
    chance = random.Random(number)
    layers = []
    for rid, width, height, size in (("f", 1280, 720, 4000), ("h", 640, 360, 1500), ("q", 320, 180, 500)):
        frames = []
        for at in range(2 * media.GOP):
            head = b"\x10\0\0\x9d\x01\x2a" + width.to_bytes(2, "little") + height.to_bytes(2, "little")
            frames.append((head if at % media.GOP == 0 else b"\x11") + chance.randbytes(size))
        layers.append(media.Layer(rid, width, height, size * 120, frames))
    return media.Person(f"P{number}", layers, [chance.randbytes(60) for _ in range(50)], [30] * 50)


@dataclass
class Wire:
    """One layer of a publisher to a receiver, 20 ms away, dropping what `drops` says of number and SSRC."""

    drops: Callable[[int, int], bool] = lambda n, ssrc: False
    now: float = 0.0
    queue: list[tuple[float, int, bool, bytes]] = field(default_factory=list)
    sent: int = 0
    layer: str = "f"

    def __post_init__(self) -> None:
        self.person = small_person(0)
        self.publisher = Publisher(self.person, lambda now: now < 3, random.Random(1), "c")
        self.publisher.start(0.0)
        self.receiver = Receiver(99, Known([self.person]))
        at = [layer.rid for layer in self.person.layers].index(self.layer)
        self.sending = self.publisher.layers[at]
        codecs = (("vp8", sdp.VP8), ("rtx", sdp.RTX))
        video = (self.sending.ssrc, self.sending.rtx_ssrc)
        audio = (self.publisher.audio.ssrc,)
        self.receiver.expect(
            [
                sdp.Section("video", "w0", "sendonly", "s", "v", video, codecs, False),
                sdp.Section("audio", "w1", "sendonly", "s", "a", audio, (("opus", sdp.OPUS),), False),
            ]
        )
        self.wanted = {*video, *audio}

    @property
    def video(self) -> str:
        return "w0"

    def forward(self, data: bytes) -> None:
        ssrc = int.from_bytes(data[8:12], "big")
        rtcp = 200 <= data[1] <= 206
        if not rtcp and ssrc not in self.wanted:
            return
        if not rtcp:
            self.sent += 1
            if self.drops(self.sent, ssrc):
                return
        heapq.heappush(self.queue, (self.now + 0.02, len(self.queue) + self.sent * 1000, True, data))

    def back(self, data: bytes) -> None:
        heapq.heappush(self.queue, (self.now + 0.02, len(self.queue) + self.sent * 1000, False, data))

    def run(self, seconds: float) -> None:
        end = self.now + seconds
        due = feedback = self.now
        while self.now < end:
            while self.queue and self.queue[0][0] <= self.now:
                _, _, onward, data = heapq.heappop(self.queue)
                if not onward or 200 <= data[1] <= 206:
                    for packet in rtcp.parse(data):
                        if onward:
                            self.receiver.rtcp(packet, self.now)
                        else:
                            self.publisher.hear(packet, self.now, self.forward)
                else:
                    self.receiver.rtp(data, self.now)
            if due <= self.now:
                due = self.publisher.send_due(self.now, 1e9 + self.now, self.forward)
            if feedback <= self.now:
                self.receiver.send_due(self.now, self.back)
                feedback = self.now + 0.03
            self.now += 0.005


def test_a_clean_wire_has_no_fault() -> None:
    wire = Wire()
    wire.run(5.0)
    video, audio = wire.receiver.live["w0"].check, wire.receiver.live["w1"].check
    assert not +video.faults and not +audio.faults and not wire.receiver.drops
    assert video.frames == pytest.approx(75, abs=2)
    assert video.size == (1280, 720) and video.keyframes in (1, 2)
    assert video.longest_gap < 0.1


def test_silence_is_nearly_no_packets() -> None:
    wire = Wire()
    wire.run(3.0)
    talking = wire.receiver.live["w1"].check.packets
    wire.run(4.0)
    assert talking > 140
    assert 8 <= wire.receiver.live["w1"].check.packets - talking <= 12, "one packet each 400 ms"


def test_lost_packets_come_back_by_rtx_and_leave_no_fault() -> None:
    wire = Wire(drops=lambda n, ssrc: n % 17 == 0 and n % 2 == 1)
    wire.run(5.0)
    track = wire.receiver.live["w0"]
    assert track.order.recovered > 5
    assert not +track.check.faults


def test_what_stays_lost_is_counted_and_a_keyframe_is_asked_for() -> None:
    wire = Wire()
    wire.drops = lambda n, ssrc: 100 < n < 130 or ssrc == wire.sending.rtx_ssrc
    wire.run(8.0)
    track = wire.receiver.live["w0"]
    assert track.check.faults["lost"] > 10
    assert wire.publisher.keyframe_requests >= 1
    assert not track.needs_keyframe, "the keyframe came"


def test_a_keyframe_request_is_answered_within_a_frame_and_nothing_else_jumps() -> None:
    wire = Wire()
    wire.run(1.5)
    before = wire.receiver.live["w0"].check.keyframes
    wire.publisher.hear(RtcpPsfbPacket(1, 99, wire.sending.ssrc), wire.now, wire.forward)
    wire.run(0.1)
    check = wire.receiver.live["w0"].check
    assert check.keyframes == before + 1
    assert not +check.faults, "sequence, time and picture ids went on"


def test_two_layers_spliced_without_a_keyframe_are_noticed() -> None:
    wire = Wire()
    wire.run(1.5)
    track, ids = wire.receiver.live["w0"], extension_map()
    order, check = track.order, track.check
    assert check._part is not None and check._part.picture is not None and check._part.tl0 is not None
    stranger = wire.person.layers[1].frames[20]
    head = vp8.describe(True, (check._part.picture + 1) & 0x7FFF, (check._part.tl0 + 1) & 0xFF)
    packet = RtpPacket(sdp.VP8, 0, order.newest + 1 & 0xFFFF, (check._timestamp or 0) + 6000, wire.sending.ssrc)
    packet.payload = head + vp8.cut(stranger)[0]
    wire.receiver.rtp(packet.serialize(ids), wire.now)
    assert check.faults["wrong_splice"] == 1


def test_a_stranger_ssrc_and_a_wrong_payload_type_are_counted() -> None:
    wire = Wire()
    ids = extension_map()
    wire.receiver.rtp(RtpPacket(96, 0, 1, 1, 12345, b"xx").serialize(ids), 0.0)
    wire.receiver.rtp(RtpPacket(100, 0, 1, 1, wire.sending.ssrc, b"xx").serialize(ids), 0.0)
    wire.receiver.rtp(b"\x80", 0.0)
    assert wire.receiver.drops == {"stranger": 1, "wrong_payload_type": 1, "malformed": 1}


def test_a_layer_that_jumped_falls_in_with_the_common_clock() -> None:
    wire = Wire()
    wire.run(1.2)
    wire.publisher.hear(RtcpPsfbPacket(1, 99, wire.sending.ssrc), wire.now, wire.forward)
    wire.run(20)
    apart = {abs(place.at - wire.publisher.places[0].at) for place in wire.publisher.places}
    assert max(apart) <= media.GOP // 2 + 1 or max(apart) >= 3 * media.GOP // 2 - 1
