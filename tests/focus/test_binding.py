"""Whose a stream is: found by its signalled SSRC, by mid and rid, and never by rid alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from relay import PUBLISHED, RECEIVED, SINK_VP8, Relay, Stream, streams
from roster import VP8, F, H, Q

import media_bytes as wire
from focus.commands import Appeared, Codec, Drop, Expect, Levels, Rates
from focus.reference.rtp import AROUND, Packet
from focus.reference.source import CACHED, Layer, Track
from focus.vocabulary import SINGLE, Kind, PeerId, Rid, TrackId

OPUS = Codec("opus", 48000, 111, None)


def expect(mid: str, rids: tuple[Rid, ...] = (F, H, Q), **changes: object) -> Track:
    fields = Expect(TrackId(f"t{mid}"), PeerId("p"), mid, Kind.VIDEO, (VP8,), PUBLISHED, rids)
    return Track(replace(fields, **changes))  # type: ignore[arg-type]


def test_two_simulcast_cameras_with_the_same_rids_are_told_apart_by_their_mid() -> None:
    # A screen share beside the camera: both have rids f, h, q.
    relay = Relay()
    screen = relay.publisher.tracks["3"] = expect("3")
    relay.publish(Stream(0x1000, F, mid="1").frame(keyframe=True), 0.0)
    relay.publish(Stream(0x5000, F, mid="3").frame(keyframe=True), 0.0)
    assert relay.track.layers[F].ssrc == 0x1000 and screen.layers[F].ssrc == 0x5000
    assert [event.track for event in relay.events if isinstance(event, Appeared)] == ["t", "t3"]


def test_once_bound_a_stream_needs_no_names() -> None:
    relay = Relay()
    camera = Stream(0x1000, F)
    relay.publish(camera.frame(keyframe=True), 0.0)
    relay.route.aim(F)
    relay.publish([wire.rtp(0x1000, camera.sequence, 0, 96, wire.vp8(1, 1, True))], 0.1)
    assert len(relay.got) == 1


@pytest.mark.parametrize(
    "extensions",
    [
        {},
        {10: b"f"},  # a rid without a mid
        {4: b"1"},  # a simulcast camera's packet without a rid
        {4: b"9", 10: b"f"},
        {4: b"1", 10: b"x"},
        {4: b"\xff", 10: b"f"},
    ],
)
def test_a_stream_that_names_nothing_we_expect_is_dropped_by_name(extensions: dict[int, bytes]) -> None:
    relay = Relay()
    relay.publish([wire.rtp(0x9000, 1, 1, 96, wire.vp8(1, 1, True), extensions)], 0.0)
    assert relay.dropped(Drop.UNKNOWN_SSRC) == 1 and not relay.track.layers


def test_a_signalled_ssrc_needs_no_names_and_an_unsignalled_one_only_where_nothing_else_fits() -> None:
    relay = Relay((), (0x1000, 0x1001))
    relay.publish([wire.rtp(0x1000, 1, 1, 96, wire.vp8(1, 1, True))], 0.0)
    assert relay.track.layers[SINGLE].ssrc == 0x1000
    relay.publish([wire.rtp(0x2000, 1, 1, 96, wire.vp8(1, 1, True))], 0.0)
    assert relay.dropped(Drop.UNKNOWN_SSRC) == 1
    free = Relay((), ())
    free.publish([wire.rtp(0x2000, 1, 1, 96, wire.vp8(1, 1, True))], 0.0)
    assert free.track.layers[SINGLE].ssrc == 0x2000


def test_a_layer_that_comes_back_on_a_new_ssrc_takes_its_old_place() -> None:
    relay = Relay()
    relay.route.aim(F)
    relay.publish(Stream(0x1000, F).frame(keyframe=True), 0.0)
    relay.publish(Stream(0x1999, F, sequence=5).frame(keyframe=True), 1.0)
    numbers = [packet.sequence for packet in relay.got]
    assert numbers[1] == numbers[0] + 1 and relay.track.layers[F].ssrc == 0x1999


def test_streams_of_one_peer_are_bounded() -> None:
    relay = Relay()
    for number in range(40):
        relay.publisher.tracks[f"x{number}"] = expect(f"x{number}", ())
        relay.publish([wire.rtp(0x100 + number, 1, 1, 96, wire.vp8(1, 1, True), {4: f"x{number}".encode()})], 0.0)
    assert relay.dropped(Drop.TOO_MANY_SSRCS) == 8


def test_a_payload_type_that_was_not_negotiated_is_dropped_by_name() -> None:
    relay = Relay((), (0x1000,))
    relay.publish([wire.rtp(0x1000, 1, 1, 100, b"x")], 0.0)
    assert relay.dropped(Drop.UNKNOWN_PAYLOAD_TYPE) == 1


@pytest.mark.parametrize("payload", [b"", b"\0"])
def test_a_repair_of_nothing_is_padding(payload: bytes) -> None:
    relay = Relay((), (0x1000, 0x1001))
    relay.publish(Stream(0x1000).frame(keyframe=True), 0.0)
    relay.publish([wire.rtp(0x1001, 1, 1, 97, payload)], 0.0)
    assert relay.dropped(Drop.PADDING) == 1


def test_a_repair_by_its_repaired_rid_fills_the_gap_of_its_layer() -> None:
    relay = Relay()
    f, _, _ = streams()
    relay.route.aim(F)
    first, lost, last = f.frame(keyframe=True)[0], f.frame()[0], f.frame()[0]
    relay.publish([first, last], 0.0)
    packet = wire.read(lost)
    repair = packet.sequence.to_bytes(2, "big") + packet.payload
    relay.publish([wire.rtp(0x7777, 1, packet.timestamp, 97, repair, {4: b"1", 11: b"f"})], 0.1)
    numbers = [packet.sequence for packet in relay.got]
    assert [number - numbers[0] for number in numbers] == [0, 2, 1]


# The cache.


def test_the_cache_keeps_the_newest_packets_and_no_packet_twice() -> None:
    layer = Layer(F, 1, VP8)
    packets = [Packet(1, 0, 0, 96, False, b"x", {}, 13, 0.0, index=number) for number in range(2 * CACHED)]
    assert all(layer.keep(packet) for packet in packets)
    assert layer.cached(CACHED - 1) is None
    assert layer.cached(CACHED) is packets[CACHED] and layer.cached(2 * CACHED - 1) is packets[-1]
    assert not layer.keep(packets[-1]), "it is there already"
    assert not layer.keep(packets[0]), "nobody knows any more whether it came"


@settings(deadline=None)
@given(st.lists(st.integers(0, 3 * CACHED), max_size=100))
def test_the_cache_never_takes_one_packet_twice(indices: list[int]) -> None:
    layer, taken = Layer(F, 1, VP8), set[int]()
    for index in indices:
        if layer.keep(Packet(1, 0, 0, 96, False, b"x", {}, 13, 0.0, index=index)):
            assert index not in taken
            taken.add(index)
            found = layer.cached(index)
            assert found is not None and found.index == index


# What is told about it.


def test_loudness_and_rates_are_told_as_they_were_measured() -> None:
    relay = Relay()
    ids = replace(PUBLISHED, audio_level=1)
    sound = expect("0", (), kind=Kind.AUDIO, codecs=(OPUS,), extensions=ids)
    relay.publisher.tracks["0"] = sound
    packet = wire.rtp(0x50, 1, 1, 111, b"sound", {4: b"0", 1: bytes((0x80 | 30,))})
    relay.publish([packet], 0.0)
    relay.publisher.levels(1)
    relay.publisher.levels(2)
    told = [event for event in relay.events if isinstance(event, Levels)]
    assert told == [Levels(TrackId("t0"), 97, bytes(49) + bytes((97,)))]
    relay.publisher.second(1.0)
    assert Rates(TrackId("t0"), ((SINGLE, 8 * (len(packet) + AROUND)),)) in relay.events


def test_renegotiated_numbers_apply_to_the_next_packet_of_the_same_stream() -> None:
    relay = Relay((), (0x1000,))
    relay.route.aim(SINGLE)
    camera = Stream(0x1000)
    relay.publish(camera.frame(keyframe=True), 0.0)
    codecs = (replace(SINK_VP8, pt=100),)
    moved = replace(relay.route.route, mid="w7", codecs=codecs, extensions=replace(RECEIVED, mid=9))
    relay.route.configure(moved)
    relay.publish(camera.frame(), 0.1)
    before, after = relay.got
    assert (before.pt, before.extensions) == (120, {1: b"w0"}) and (after.pt, after.extensions) == (100, {9: b"w7"})
    assert after.sequence == before.sequence + 1 and after.ssrc == before.ssrc
