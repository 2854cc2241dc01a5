"""What a receiver tells a sender: reports, what is missing, when packets arrived. In virtual time."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay import Relay, Stream
from roster import F

import media_bytes as wire
from focus.commands import Drop, Vanished
from focus.reference.feedback import MOST_MISSING, NACK_AGAIN, NACK_TIMES, OLDEST_MISSING, Arrivals, Missing, Reception
from focus.reference.rtcp import SenderReport
from focus.reference.source import RETIRED
from focus.vocabulary import SINGLE

# Missing packets.


def missing(*seen: int, now: float = 0.0) -> Missing:
    found = Missing()
    for index in seen:
        found.seen(index, now)
    return found


def test_what_is_missing_is_asked_for_at_once_and_again_after_a_round_trip() -> None:
    gap = missing(10, 13)
    assert gap.due(0.0) == [11, 12]
    assert gap.due(NACK_AGAIN - 0.001) == []
    gap.seen(11, 0.05)
    assert gap.due(NACK_AGAIN) == [12]


def test_what_never_comes_is_given_up() -> None:
    gap = missing(10, 12)
    asked = [gap.due(number * NACK_AGAIN * 1.001) for number in range(NACK_TIMES + 5)]
    assert [len(one) for one in asked] == [1] * NACK_TIMES + [0] * 5
    late = missing(10, 12)
    assert late.due(OLDEST_MISSING + 0.1) == []


def test_a_jump_is_a_restart_and_not_five_hundred_questions() -> None:
    assert missing(10, 10 + MOST_MISSING).due(0.0) == list(range(11, 10 + MOST_MISSING))
    assert missing(10, 12 + MOST_MISSING).due(0.0) == []


@given(st.lists(st.integers(0, 3000), max_size=200))
def test_only_what_did_not_come_is_asked_for(seen: list[int]) -> None:
    gap = missing(*seen)
    due = gap.due(0.0)
    assert due == sorted(set(due)) and len(due) <= MOST_MISSING
    if all(abs(a - b) < 200 for a, b in zip(seen, seen[1:], strict=False)):
        assert not set(due) & set(seen)


def test_a_missing_packet_is_asked_for_under_its_sixteen_bits_and_repaired_by_rtx() -> None:
    relay = Relay((), (0x1000, 0x1001))
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    frames = [camera.frame(keyframe=number == 0)[0] for number in range(10)]
    relay.publish([*frames[:5], *frames[7:]], 0.0)
    relay.publisher.tick(0.02)
    [nack] = [packet for packet in relay.asked if packet.kind == 205]
    assert wire.nacked(nack) == [65535, 0] and nack.media == 0x1000
    lost = wire.read(frames[5])
    repaired = wire.rtp(0x1001, 1, lost.timestamp, 97, struct.pack("!H", lost.sequence) + lost.payload, {4: b"1"})
    relay.publish([repaired], 0.05)
    numbers = [packet.sequence for packet in relay.got]
    assert [n - numbers[0] & 0xFFFF for n in numbers] == [0, 1, 2, 3, 4, 7, 8, 9, 5]
    relay.asked.clear()
    relay.publisher.tick(0.2)
    assert [wire.nacked(packet) for packet in relay.asked if packet.kind == 205] == [[0]]


# Keyframes.


def test_keyframe_requests_are_merged_and_throttled() -> None:
    relay = Relay((), (0x1000,))
    relay.route.aim(SINGLE)
    relay.publish(Stream(0x1000).frame(keyframe=True), 0.0)
    for number in range(100):
        relay.subscriber.control(wire.pli(1, relay.route.route.ssrc), number / 100)
        relay.subscriber.control(wire.fir(1, relay.route.route.ssrc), number / 100)
        relay.publisher.tick(number / 100)
    assert len([packet for packet in relay.asked if packet.kind == 206]) == 2, "one each half second"
    assert {packet.media for packet in relay.asked} == {0x1000}


def test_a_keyframe_answers_everybody_who_waited() -> None:
    relay = Relay((), (0x1000,))
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    relay.publish(camera.frame(keyframe=True), 0.0)
    relay.subscriber.control(wire.pli(1, relay.route.route.ssrc), 0.1)
    relay.publish(camera.frame(keyframe=True), 0.15)
    relay.publisher.tick(1.0)
    assert not relay.asked


def test_a_keyframe_is_asked_for_until_the_wanted_layer_sends_one() -> None:
    relay = Relay()
    camera = Stream(0x1000, "f")  # type: ignore[arg-type]
    relay.publish(camera.frame(), 0.0)
    relay.route.aim(camera.rid)
    for number in range(1, 150):
        relay.publish(camera.frame(), number / 50)
        relay.publisher.tick(number / 50)
    assert len(relay.asked) == 6
    relay.publish(camera.frame(keyframe=True), 3.0)
    relay.publisher.tick(4.0)
    assert len(relay.asked) == 6 and relay.got


def test_reports_about_streams_that_are_not_theirs_are_counted_and_ignored() -> None:
    relay = Relay((), (0x1000,))
    relay.publish(Stream(0x1000).frame(keyframe=True), 0.0)
    relay.publisher.control(wire.pli(1, relay.route.route.ssrc), 0.0)
    relay.subscriber.control(wire.sender_report(0x1000, 5, 5) + wire.nack(1, 0x1000, 1), 0.0)
    relay.subscriber.control(wire.rtcp(1, 203, struct.pack("!I", 0x1000)), 0.0)
    assert relay.dropped(Drop.FOREIGN_RTCP) == 4
    assert relay.publisher.tracks["1"].layers[SINGLE].reception.report is None


# Retransmission to a subscriber.


def sending(frames: int = 5) -> Relay:
    relay = Relay((), (0x1000,))
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    for number in range(frames):
        relay.publish(camera.frame(keyframe=number == 0), 0.0)
    return relay


def nacked(relay: Relay, *sequences: int, now: float) -> list[wire.Rtp]:
    """What comes back for a NACK."""
    before = len(relay.got)
    relay.subscriber.control(wire.nack(1, relay.route.route.ssrc, *sequences), now)
    return relay.got[before:]


def test_a_lost_packet_is_sent_again_as_rtx_with_the_same_content() -> None:
    relay = sending()
    lost = relay.got[2]
    [again] = nacked(relay, lost.sequence, now=0.1)
    assert (again.pt, again.ssrc, again.timestamp) == (121, relay.route.route.rtx_ssrc, lost.timestamp)
    assert again.payload == struct.pack("!H", lost.sequence) + lost.payload


def test_the_same_packet_is_sent_again_only_so_often() -> None:
    relay = sending()
    number = relay.got[2].sequence
    assert len(nacked(relay, *[number] * 50, now=0.1)) == 1
    assert nacked(relay, number, now=0.15) == []
    assert len(nacked(relay, number, now=0.2)) == 1 and len(nacked(relay, number, now=0.31)) == 1
    assert nacked(relay, number, now=0.5) == []
    assert relay.dropped(Drop.RTX_LIMIT) == 51


def test_a_storm_of_nacks_gets_a_bounded_rate() -> None:
    relay = sending(900)
    numbers = [packet.sequence for packet in relay.got][-400:]
    again = [packet for at in range(0, 400, 100) for packet in nacked(relay, *numbers[at : at + 100], now=0.1)]
    assert 0 < sum(len(packet.payload) for packet in again) <= 8000
    assert relay.dropped(Drop.RTX_LIMIT) == 400 - len(again)


def test_what_was_never_sent_or_is_long_gone_is_not_sent() -> None:
    relay = sending(600)
    assert nacked(relay, relay.got[0].sequence, relay.got[-1].sequence + 1, now=0.1) == []
    assert relay.dropped(Drop.CACHE_MISS) == 2


@pytest.mark.parametrize(("changes", "kept"), [(RETIRED, True), (RETIRED + 1, False)])
def test_a_sender_that_changes_its_ssrc_again_and_again_takes_no_more_memory(changes: int, kept: bool) -> None:
    relay = Relay()
    relay.route.aim(F)
    for number in range(changes + 1):
        relay.publish(Stream(0x1000 + number, F).frame(keyframe=True), number / 10)
    assert len(relay.got) == changes + 1
    assert bool(nacked(relay, relay.got[0].sequence, now=2.0)) == kept


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=60))
def test_no_rtx_number_is_used_twice(asked: list[int]) -> None:
    relay = sending(30)
    first = relay.got[0].sequence
    for at, number in enumerate(asked):
        nacked(relay, first + number & 0xFFFF, now=0.1 + at / 5)
    numbers = [packet.sequence for packet in relay.got if packet.ssrc == relay.route.route.rtx_ssrc]
    assert len(set(numbers)) == len(numbers)


# Reception reports.


def test_a_report_says_what_was_lost() -> None:
    reception = Reception(7, 90000)
    for sequence in [65534, 65535, 0, 2, 3, 5, 6, 7]:
        reception.count(sequence, 0, 0.0)
    block = reception.block(1.0)
    assert block is not None
    assert (block.lost, block.fraction, block.highest & 0xFFFF) == (2, 2 * 256 // 10, 7)
    reception.count(8, 0, 1.0)
    again = reception.block(2.0)
    assert again is not None and (again.lost, again.fraction) == (2, 0)


def test_a_report_measures_the_way_back() -> None:
    reception = Reception(7, 90000)
    assert reception.block(0.0) is None
    reception.count(1, 0, 0.0)
    reception.reported(SenderReport(7, 0x1122_3344_5566_7788, 0, ()), 1.0)
    block = reception.block(1.5)
    assert block is not None and (block.last_sr, block.delay) == (0x3344_5566, 32768)


def test_jitter_grows_with_uneven_arrival() -> None:
    even, uneven = Reception(1, 90000), Reception(1, 90000)
    for number in range(200):
        even.count(number, 3000 * number, number / 30)
        uneven.count(number, 3000 * number, number / 30 + (number % 2) * 0.01)
    assert even.jitter < 1 < 800 < uneven.jitter <= 900


# Transport-wide arrivals.


def told(packets: list[bytes]) -> tuple[list[int], dict[int, int]]:
    """Numbers that packets of feedback tell, in order, and arrival in quarter milliseconds where one is told."""
    numbers: list[int] = []
    arrived: dict[int, int] = {}
    for data in packets:
        [packet] = wire.read_rtcp(data)
        assert (packet.count, packet.kind) == (15, 205)
        base, status, head = struct.unpack_from("!HHI", packet.body, 8)
        symbols: list[int] = []
        at = 16
        while len(symbols) < status:
            (chunk,) = struct.unpack_from("!H", packet.body, at)
            assert chunk >> 14 == 3, "two-bit status vectors only"
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
            at += 2
        clock = (head >> 8) * 256
        for offset, symbol in enumerate(symbols[:status]):
            number = base + offset & 0xFFFF
            numbers.append(number)
            if symbol == 1:
                clock, at = clock + packet.body[at], at + 1
            elif symbol == 2:
                clock, at = clock + struct.unpack_from("!h", packet.body, at)[0], at + 2
            if symbol:
                arrived[number] = clock
    return numbers, arrived


def test_arrivals_are_told_with_the_gaps_between_them_over_the_wrap() -> None:
    arrivals = Arrivals()
    for number, now in ((65533, 1.0), (65535, 1.01), (2, 1.0051)):
        arrivals.note(number, 0x77, now)
    packets = arrivals.feedback(1)
    [packet] = wire.read_rtcp(packets[0])
    assert packet.media == 0x77, "one of the sender's own, or it is ignored"
    numbers, arrived = told(packets)
    assert numbers == [65533, 65534, 65535, 0, 1, 2]
    assert arrived == {65533: 4000, 65535: 4040, 2: 4020}
    assert arrivals.feedback(1) == [], "nothing is told twice"
    arrivals.note(5, 0x77, 1.1)
    assert told(arrivals.feedback(1))[0] == [3, 4, 5], "what got lost between two reports is told as lost"


@settings(deadline=None)
@given(
    st.integers(0, 0xFFFF),
    st.lists(st.tuples(st.integers(1, 40), st.floats(0, 20)), min_size=1, max_size=120),
    st.integers(1, 30),
)
def test_every_arrival_is_told_once_whatever_the_gaps_and_times(
    first: int, packets: list[tuple[int, float]], batch: int
) -> None:
    arrivals = Arrivals()
    noted: dict[int, float] = {}
    index, now, counts, seen = first, 1.0, [], dict[int, int]()
    for at, (step, pause) in enumerate(packets):
        index, now = index + step, now + pause
        arrivals.note(index & 0xFFFF, 1, now)
        noted[index & 0xFFFF] = now
        if at % batch == 0 or at == len(packets) - 1:
            made = arrivals.feedback(1)
            counts += [wire_count(data) for data in made]
            seen |= told(made)[1]
    assert set(seen) == set(noted)
    assert counts == [number & 0xFF for number in range(len(counts))]
    for number, arrived in seen.items():
        assert abs(arrived / 4000 % 1073741 - noted[number]) < 0.001


def wire_count(data: bytes) -> int:
    """The running number of a feedback packet."""
    return data[19]


def test_a_flood_of_numbers_is_bounded() -> None:
    arrivals = Arrivals()
    for number in range(5000):
        arrivals.note(number, 1, 1.0)
    packets = arrivals.feedback(1)
    assert len(told(packets)[1]) == 2000 and all(len(packet) < 1500 for packet in packets)


# Silence.


@pytest.mark.parametrize(("quiet", "gone"), [(1.9, False), (2.1, True)])
def test_a_layer_that_is_silent_for_two_seconds_has_vanished(quiet: float, gone: bool) -> None:
    relay = Relay((), (0x1000,))
    relay.publish(Stream(0x1000).frame(keyframe=True), 0.0)
    relay.publisher.tick(quiet)
    assert any(isinstance(event, Vanished) for event in relay.events) == gone
