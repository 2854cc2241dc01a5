"""RTP, RTCP and VP8 as bytes: read right when whole, and a value or a named drop for anything else."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from relay import Relay, Stream

import media_bytes as wire
from focus.commands import Drop
from focus.reference import rtcp, rtp, vp8
from focus.vocabulary import SINGLE

# RTP.


WHOLE = wire.rtp(0x1234, 65535, 0xFFFFFFFF, 96, b"payload", {4: b"1", 10: b"f"}, marker=True)
PADDED = wire.rtp(0x1234, 7, 9, 111, b"payload", {}, padding=8)


def test_a_packet_is_read_whole() -> None:
    packet = rtp.parse(WHOLE, 5.0)
    assert packet is not None
    assert (packet.ssrc, packet.sequence, packet.timestamp, packet.payload_type) == (0x1234, 65535, 0xFFFFFFFF, 96)
    assert packet.marker and packet.payload == b"payload" and packet.extensions == {4: b"1", 10: b"f"}
    assert (packet.size, packet.arrived) == (len(WHOLE), 5.0)


def test_padding_is_not_payload() -> None:
    packet = rtp.parse(PADDED, 0.0)
    assert packet is not None and packet.payload == b"payload"
    only = rtp.parse(wire.rtp(1, 1, 1, 96, b"", padding=255), 0.0)
    assert only is not None and only.payload == b""


@pytest.mark.parametrize(
    "data",
    [
        b"",
        WHOLE[:11],
        bytes((0x40,)) + WHOLE[1:],  # version 1
        bytes((0x9F,)) + WHOLE[1:30],  # fifteen CSRCs that are not there
        WHOLE[:12] + b"\xbe\xde\xff\xff" + WHOLE[16:],  # an extension block of 256 KiB
        WHOLE[:14],
        PADDED[:-1] + b"\0",  # no padding, said the padding
        PADDED[:-1] + b"\xff",  # more padding than packet
        wire.rtp(1, 1, 1, 96, b"") [:12].replace(b"\x80", b"\xa0", 1),  # padding without a byte of it
        WHOLE + bytes(1500),
    ],
)  # fmt: skip
def test_a_packet_whose_lengths_do_not_hold_is_dropped_by_name(data: bytes) -> None:
    assert rtp.parse(data, 0.0) is None
    relay = Relay()
    relay.publish([data], 0.0)
    assert relay.dropped(Drop.MALFORMED) == 1


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_packet_cut_anywhere_is_read_or_dropped(end: int) -> None:
    packet = rtp.parse(WHOLE[:end], 0.0)
    assert packet is None or b"payload".startswith(packet.payload)


@given(st.binary(max_size=1600))
@example(b"\x90" + bytes(11) + b"\x10\x00\x00\x01\x05\xff\x00\x00")
def test_any_bytes_are_a_packet_or_none(data: bytes) -> None:
    packet = rtp.parse(data, 0.0)
    assert packet is None or (len(packet.payload) <= len(data) and 0 <= packet.sequence < 1 << 16)


ELEMENTS = st.dictionaries(st.integers(1, 14), st.binary(min_size=1, max_size=16), max_size=8)
LONG = st.dictionaries(st.integers(1, 255), st.binary(max_size=255), max_size=4)


@given(st.one_of(ELEMENTS, LONG))
def test_extensions_come_back_as_they_were_written(elements: dict[int, bytes]) -> None:
    block = rtp.dump_extensions(list(elements.items()))
    assert len(block) % 4 == 0
    packet = rtp.parse(bytes((0x90 if block else 0x80, 96)) + bytes(10) + block, 0.0)
    assert packet is None and len(block) > 1400 or packet is not None and packet.extensions == elements


# RTCP.


COMPOUND = (
    wire.sender_report(1, 1000.5, 77, 3, 400) + wire.receiver_report(2) + wire.pli(3, 4) + wire.fir(3, 5)
    + wire.nack(3, 6, 10, 65535) + wire.remb(3, 1_000_000, 7) + wire.rtcp(1, 203, struct.pack("!I", 8))
)  # fmt: skip


def test_a_compound_packet_is_read_whole() -> None:
    ntp = int(1000.5 * 2**32)
    assert list(rtcp.parse(COMPOUND)) == [
        rtcp.SenderReport(1, ntp, 77, ()),
        rtcp.ReceiverReport(2, ()),
        rtcp.PictureLoss(4),
        rtcp.PictureLoss(5),
        rtcp.Nack(6, (10, 65535)),
        rtcp.Remb(1_000_000 // 4 * 4, (7,)),
        rtcp.Bye((8,)),
    ]


@pytest.mark.parametrize("end", range(len(COMPOUND)))
def test_a_compound_packet_cut_anywhere_gives_what_came_before(end: int) -> None:
    whole = list(rtcp.parse(COMPOUND))
    found = list(rtcp.parse(COMPOUND[:end]))
    *good, last = found or [None]
    if last is not None:
        good.append(last)
    assert good == whole[: len(good)]


@settings(deadline=None)
@given(st.integers(0, len(COMPOUND) - 1), st.binary(min_size=1, max_size=4))
def test_a_corrupted_compound_packet_never_stops_the_engine(at: int, noise: bytes) -> None:
    relay = Relay()
    relay.publisher.control(COMPOUND[:at] + noise + COMPOUND[at + len(noise) :], 0.0)


@given(st.binary(max_size=1500))
def test_any_bytes_are_reports_or_malformed(data: bytes) -> None:
    found = list(rtcp.parse(data))
    assert None not in found[:-1], "what is malformed ends the packet"
    relay = Relay()
    relay.publisher.control(data, 0.0)
    assert relay.dropped(Drop.MALFORMED_RTCP) == (bool(found) and found[-1] is None)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",
        b"\x80\xc8\x00\x06",  # longer than it is
        b"\x40" + wire.pli(1, 2)[1:],  # version 1
        b"\xa1" + wire.pli(1, 2)[1:-1] + b"\0",  # padding of none
        b"\xa1" + wire.pli(1, 2)[1:-1] + b"\xff",
        b"\x9f" + wire.sender_report(1, 0, 0)[1:],  # 31 blocks that are not there
        b"\x9f" + wire.rtcp(1, 203, bytes(4))[1:],  # 31 leavers that are not there
        wire.rtcp(15, 206, bytes(8) + b"REMB"),
        wire.rtcp(1, 205, b""),
    ],
)
def test_malformed_reports_are_counted(data: bytes) -> None:
    assert list(rtcp.parse(data))[-1:] == [None]


def test_a_nack_asks_for_a_bounded_number() -> None:
    pairs = struct.pack("!HH", 0, 0xFFFF) * 300
    [nack] = rtcp.parse(wire.rtcp(1, 205, bytes(8) + pairs))
    assert isinstance(nack, rtcp.Nack) and len(nack.sequences) == rtcp.MOST_NACKS


@given(st.lists(st.integers(0, 0xFFFF), min_size=1, max_size=200, unique=True))
def test_a_nack_says_exactly_what_is_missing(sequences: list[int]) -> None:
    packet = rtcp.nack(1, 2, sorted(sequences))
    [read] = wire.read_rtcp(packet)
    assert sorted(wire.nacked(read)) == sorted(sequences)


def test_reports_are_written_as_others_read_them() -> None:
    block = rtcp.ReportBlock(7, 128, -5, 0x1FFFF, 90, 0xABCD, 65536)
    [read] = rtcp.parse(rtcp.receiver_report(1, [block]))
    assert read == rtcp.ReceiverReport(1, (block,))
    [described] = wire.read_rtcp(rtcp.source_description(9, "name"))
    assert (described.count, described.kind, described.sender) == (1, 202, 9) and b"\x01\x04name\0" in described.body


# VP8.


DESCRIPTORS = [
    (wire.vp8(None, None, True), None, None, True),
    (wire.vp8(5, None, True, wide=False), 5, None, True),
    (wire.vp8(300, 7, False), 300, 7, False),
    (wire.vp8(300, 7, True, (1280, 720)), 300, 7, True),
]


@pytest.mark.parametrize(("payload", "picture", "tl0", "keyframe"), DESCRIPTORS)
def test_a_descriptor_is_read(payload: bytes, picture: int | None, tl0: int | None, keyframe: bool) -> None:
    found = vp8.parse(payload)
    assert found is not None
    assert (found.picture, found.tl0, found.keyframe) == (picture, tl0, keyframe)


@pytest.mark.parametrize("payload", [payload for payload, *_ in DESCRIPTORS])
def test_a_descriptor_cut_anywhere_is_read_or_none(payload: bytes) -> None:
    for end in range(len(payload)):
        vp8.parse(payload[:end])
    assert vp8.parse(b"") is None and vp8.parse(b"\x90") is None and vp8.parse(b"\x90\xf0\x80") is None


@given(st.binary(max_size=40), st.integers(0, 0x7FFF), st.integers(0, 255))
def test_a_rewritten_descriptor_says_the_new_numbers_and_the_frame_is_untouched(
    payload: bytes, picture: int, tl0: int
) -> None:
    found = vp8.parse(payload)
    if found is None:
        return
    out = vp8.rewrite(payload, found, picture, tl0)
    again = vp8.parse(out)
    assert again is not None and out[again.length :] == payload[found.length :]
    if found.picture is not None:
        assert again.picture == picture and again.wide
        assert again.tl0 == (tl0 if found.tl0 is not None else None)


@settings(deadline=None)
@given(st.lists(st.binary(max_size=60), max_size=20))
def test_any_payload_is_forwarded_or_dropped_by_name(payloads: list[bytes]) -> None:
    relay = Relay((), ())
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    relay.publish(camera.frame(keyframe=True), 0.0)
    for payload in payloads:
        relay.publish([wire.rtp(0x1000, camera.sequence, 0, 96, payload, {4: b"1"})], 0.0)
        camera.sequence = camera.sequence + 1 & 0xFFFF
    assert len(relay.got) + sum(relay.tally.drops.values()) == 1 + len(payloads)
