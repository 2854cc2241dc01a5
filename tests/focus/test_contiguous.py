"""What a subscriber gets is one continuous stream, whatever the layers behind it do."""

from __future__ import annotations

from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay import Relay, Stream, streams
from roster import VP8, F, H, Q

from focus.commands import Drop, Switched
from focus.reference.rewriter import Numbers, Rewriter
from focus.reference.rtcp import SenderReport
from focus.reference.rtp import Packet, expand
from focus.reference.source import Layer
from focus.reference.vp8 import Descriptor
from focus.vocabulary import SINGLE, Rid, RouteId
from media_bytes import Rtp, read_vp8, sender_report

T = TypeVar("T")


def pairs(items: list[T]) -> list[tuple[T, T]]:
    return list(zip(items, items[1:], strict=False))


def forward(first: int, second: int, width: int) -> int:
    """How far a wrapping counter went."""
    step = (second - first) & (1 << width) - 1
    return step - (1 << width) if step >> width - 1 else step


def steps(got: list[Rtp]) -> list[int]:
    return [forward(a.sequence, b.sequence, 16) for a, b in pairs(got)]


# Counters.


@pytest.mark.parametrize(
    ("value", "latest", "expanded", "newest"),
    [
        (3, 0, 3, 3),
        (1, 0xFFFF, 0x10001, 0x10001),
        (1, 0x3FFFF, 0x40001, 0x40001),
        (0xFFFF, 0x10001, 0xFFFF, 0x10001),
        (0xFFFF, 0x30001, 0x2FFFF, 0x30001),
    ],
)
def test_a_wrapped_counter_is_expanded_to_the_nearest_value(
    value: int, latest: int, expanded: int, newest: int
) -> None:
    assert expand(value, latest) == expanded
    assert max(latest, expanded) == newest


def test_the_first_value_of_a_counter_is_itself() -> None:
    assert expand(0xFFFF, None) == 0xFFFF


@given(st.integers(0, 1 << 40), st.integers(7, 16), st.data())
def test_expansion_undoes_wrapping_for_less_than_half_a_turn(latest: int, width: int, data: st.DataObject) -> None:
    half = (1 << width - 1) - 1
    true = data.draw(st.integers(max(0, latest - half), latest + half))
    assert expand(true & (1 << width) - 1, latest, width) == true


# The inputs of Waterfall's rewriter.


WATERFALL: list[tuple[int, int, int, tuple[int, int] | None]] = [
    # Sequence number, timestamp and SSRC in; sequence number and timestamp out. An SSRC is a layer; each new one is
    # taken for a switch. Waterfall kept every jump, as 10000 lost packets that a receiver asks for in vain, and
    # skipped a number at each switch. Here only a gap that may be loss is left open.
    (40000, 1000000, 1111, (0, 0)),
    (50000, 1200000, 1111, (1, 200000)),  # a jump is a restart of the sender's numbering
    (65000, 1500000, 1111, (2, 500000)),
    (10, 2000000, 1111, (3, 1000000)),  # 546 ahead, over the wrap: still more than loss can be
    (20, 2000000, 1111, (13, 1000000)),  # nine were lost, or are late: their numbers are kept for them
    (50000, 2000000, 1111, None),  # far too late: its number is taken
    (30, 2000000, 1111, (23, 1000000)),
    (10000, 20000, 2222, (24, 1001500)),  # a switch follows at once, a sixtieth of a second on
    (10001, 20001, 2222, (25, 1001501)),
    (60001, 20002, 2222, None),  # 15536 behind is nearer than 50000 ahead
    (60002, 20003, 2222, None),
    (0, 20004, 2222, None),
    (15000, 20005, 3333, (26, 1001502)),
    (0, 20005, 3333, None),
    (5, 20005, 3333, None),
    (5005, 20005, 3333, None),
    (5006, 2000500, 3333, None),
    (5006, 4294967295, 3333, None),
    (5006, 0, 3333, None),
    (64965, 1, 3333, None),
    (1000, 2000, 4444, (27, 1001503)),
]


def test_the_old_rewriters_gaps_are_not_copied() -> None:
    rewriter = Rewriter(0, 0, 90000)
    layer: Layer | None = None
    out: list[tuple[int, int] | None] = []
    for sequence, timestamp, ssrc, _ in WATERFALL:
        packet = Packet(ssrc, sequence, timestamp, 96, False, b"x", {}, 13, 0.0)
        switched = layer is None or layer.ssrc != ssrc
        if layer is None or switched:
            layer = Layer(SINGLE, ssrc, VP8)
        index = layer.number(packet, False, 0.0)
        if index is None:
            out.append(None)
            continue
        packet.index = index
        if switched:
            rewriter.switch(packet, None, None)
        numbers = rewriter.map(packet)
        out.append((numbers.sequence, numbers.timestamp) if numbers else None)
    assert out == [expected for _, _, _, expected in WATERFALL]


# Switches, loss, padding: whole packets through a publisher's and a subscriber's session.


def test_a_switch_leaves_no_gap_in_any_counter() -> None:
    relay = Relay()
    f, h, q = streams()
    relay.route.aim(Q)
    now = 0.0
    for number in range(40):
        if number == 10:
            relay.route.aim(F)
        if number == 25:
            relay.route.aim(H)
        # The wanted layer first: else the frame of the switch is shown twice, once from each layer.
        for stream in sorted((f, h, q), key=lambda stream: stream.rid != relay.route.target):
            relay.publish(stream.frame(keyframe=number % 5 == 0, packets=2), now)
        now += 1 / 30
    got = relay.got
    assert [event.layer for event in relay.events if isinstance(event, Switched)] == [Q, F, H]
    assert len(got) == 80 and set(steps(got)) == {1}
    pictures = [read_vp8(packet.payload).picture or 0 for packet in got[::2]]
    assert {forward(a, b, 15) for a, b in pairs(pictures)} == {1}
    levels = [read_vp8(packet.payload).tl0 or 0 for packet in got[::2]]
    assert {forward(a, b, 8) for a, b in pairs(levels)} == {1}
    clock = [forward(a.timestamp, b.timestamp, 32) for a, b in pairs(got[::2])]
    assert all(2997 <= ticks <= 3003 for ticks in clock), "a thirtieth of a second each, switches too"


def test_a_lost_packet_leaves_exactly_its_own_gap_and_fits_in_when_it_comes_late() -> None:
    relay = Relay((), ())
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    packets = [packet for number in range(10) for packet in camera.frame(keyframe=number == 0)]
    relay.publish([*packets[:4], *packets[6:], packets[5], packets[4]], 0.0)
    numbers = [packet.sequence for packet in relay.got]
    first = numbers[0]
    assert [n - first for n in numbers] == [0, 1, 2, 3, 6, 7, 8, 9, 5, 4]


def test_padding_leaves_no_gap() -> None:
    relay = Relay((), ())
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    for number in range(200):
        relay.publish(camera.frame(keyframe=number == 0), 0.0)
        relay.publish([camera.padding(), camera.padding()], 0.0)
    assert len(relay.got) == 200 and set(steps(relay.got)) == {1}
    assert relay.dropped(Drop.PADDING) == 400


def test_a_late_packet_from_before_a_switch_is_dropped() -> None:
    relay = Relay()
    f, _, q = streams()
    relay.route.aim(Q)
    relay.publish(q.frame(keyframe=True), 0.0)
    late = q.frame()
    before = f.frame()
    relay.route.aim(F)
    relay.publish(f.frame(keyframe=True), 0.1)
    relay.publish([*late, *before], 0.2)
    assert len(relay.got) == 2
    assert (relay.dropped(Drop.OTHER_LAYER), relay.dropped(Drop.TOO_OLD)) == (1, 1)


def test_the_same_packet_twice_is_forwarded_once() -> None:
    relay = Relay((), ())
    relay.route.aim(SINGLE)
    frame = Stream(0x1000).frame(keyframe=True)
    relay.publish([*frame, *frame], 0.0)
    assert len(relay.got) == 1 and relay.dropped(Drop.DUPLICATE) == 1


def test_a_pause_and_its_end_are_told_and_leave_no_gap() -> None:
    relay = Relay()
    f, _, _ = streams()
    relay.route.aim(F)
    relay.publish(f.frame(keyframe=True), 0.0)
    assert relay.route.aim(None), "a pause stops the stream at once"
    relay.publish(f.frame(), 1.0)
    relay.route.aim(F)
    relay.publish(f.frame(), 2.0)
    relay.publish(f.frame(keyframe=True), 3.0)
    assert steps(relay.got) == [1]
    assert forward(relay.got[0].timestamp, relay.got[1].timestamp, 32) == 3 * 90000, "the clock went on"
    assert (relay.dropped(Drop.OTHER_LAYER), relay.dropped(Drop.AWAITING_KEYFRAME)) == (1, 1)


def test_layers_are_lined_up_by_their_sender_reports() -> None:
    relay = Relay()
    f, _, q = streams()
    relay.route.aim(Q)
    relay.publish(q.frame(keyframe=True), 0.0)
    relay.publish(f.frame(keyframe=True), 0.0)
    # Both were captured at 1000 s of the sender's clock; f takes 30 ms longer to arrive.
    for stream in (q, f):
        relay.publisher.control(sender_report(stream.ssrc, 1000, stream.timestamp - 3000), 0.0)
    relay.route.aim(F)
    relay.publish(f.frame(keyframe=True), 1 / 30 + 0.03)
    assert forward(relay.got[0].timestamp, relay.got[1].timestamp, 32) == 3000


@given(st.floats(-1e9, 1e9), st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << 64) - 1))
def test_poisoned_sender_reports_never_turn_the_clock_back(arrived: float, rtp: int, ntp: int) -> None:
    rewriter = Rewriter(0, 5000, 90000)
    old, new = SenderReport(1, 0, 0, ()), SenderReport(2, ntp, rtp, ())
    rewriter.switch(packet := Packet(1, 1, 77, 96, False, b"x", {}, 13, 0.0, index=65537), old, None)
    first = rewriter.map(packet)
    rewriter.switch(packet := Packet(2, 9, 123, 96, False, b"x", {}, 13, arrived, index=65545), new, old)
    second = rewriter.map(packet)
    assert first is not None and second is not None
    assert forward(first.sequence, second.sequence, 16) == 1
    # At least a frame on, unless the clock of the arrival itself is beyond what 32 bits tell apart.
    assert forward(first.timestamp, second.timestamp, 32) >= 1500 or abs(arrived) > (1 << 31) / 90000


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("fhq"), st.booleans(), st.integers(1, 3), st.sampled_from(["send", "lose", "pad", "late"])
        ),
        max_size=60,
    ),
    st.lists(st.sampled_from([F, H, Q, None]), min_size=1, max_size=60),
)
def test_whatever_comes_no_number_is_used_twice_and_only_loss_leaves_gaps(
    frames: list[tuple[str, bool, int, str]], aims: list[Rid | None]
) -> None:
    relay = Relay()
    cameras = dict(zip("fhq", streams(), strict=True))
    late: list[bytes] = []
    lost = 0
    for number, (name, keyframe, packets, fate) in enumerate(frames):
        if number % 3 == 0:
            relay.route.aim(aims[number // 3 % len(aims)])
        stream, now = cameras[name], number / 30
        made = [stream.padding()] if fate == "pad" else stream.frame(keyframe, packets)
        if fate in ("lose", "late"):
            lost += len(made)
            late += made if fate == "late" else []
            continue
        relay.publish(made, now)
        if number % 7 == 0:
            relay.publish(late, now)
            late = []
    numbers = [packet.sequence for packet in relay.got]
    assert len(set(numbers)) == len(numbers), "one number under one key is one GCM nonce"
    if numbers:
        span = max(forward(numbers[0], n, 16) for n in numbers) + 1
        assert span - len(numbers) <= lost


# VP8.


def _descriptor(picture: int, wide: bool, tl0: int) -> Descriptor:
    return Descriptor(length=5, start=True, picture=picture, wide=wide, tl0=tl0, keyframe=True, width=0, height=0)


@pytest.mark.parametrize(("picture", "wide", "width"), [(126, False, 7), (32766, True, 15)])
def test_a_picture_id_that_wraps_goes_on_as_fifteen_bits(picture: int, wide: bool, width: int) -> None:
    rewriter = Rewriter(0, 0, 90000)
    layer = Layer(SINGLE, 1, VP8)
    out: list[Numbers] = []
    for number in range(6):
        packet = Packet(1, number, 3000 * number, 96, True, b"x", {}, 13, 0.0, index=65536 + number)
        value = picture + number & (1 << width) - 1
        packet.picture = expand(value, layer.picture, width)
        layer.picture = packet.picture
        packet.descriptor = _descriptor(value, wide, 254 + number & 0xFF)
        if number == 0:
            rewriter.switch(packet, None, None)
        numbers = rewriter.map(packet)
        assert numbers is not None
        out.append(numbers)
    assert [numbers.picture for numbers in out] == [0, 1, 2, 3, 4, 5]
    assert [numbers.tl0 for numbers in out] == [0, 1, 2, 3, 4, 5]


def test_a_switch_waits_for_a_keyframe_and_is_told() -> None:
    relay = Relay()
    f, _, _ = streams()
    relay.route.aim(F)
    relay.publish(f.frame(), 0.0)
    assert relay.dropped(Drop.AWAITING_KEYFRAME) == 1 and not relay.got
    relay.publish(f.frame(keyframe=True), 0.1)
    assert Switched(RouteId(1), F) in relay.events
