"""What the packet bench says of what it saw: costs, ratios, rates to try, and a verdict that no lost packet escapes."""

from __future__ import annotations

import struct

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bench.forwarding import viewer
from bench.forwarding.camera import Shape
from bench.forwarding.figures import Series, Stretch, judged, rates, row, table
from bench.forwarding.viewer import Viewer

KEY, SSRC = bytes(range(16)), 7


def stretch(cpu: float, sent: int = 1000, received: int = 1000, faults: int = 0) -> Stretch:
    return Stretch(10.0, cpu, sent, received, faults, tuple(number / 1000 for number in range(100)))


def series(*engine: Stretch, subscribers: int = 50) -> Series:
    return Series(subscribers, engine, (stretch(0.01),), 0.02, "SRTP_AEAD_AES_128_GCM", 0.001)


def test_a_row_gives_medians_and_their_range() -> None:
    found = row(series(stretch(0.04), stretch(0.05), stretch(0.09)))
    assert (found["us_per_packet"], found["us_range"]) == (50.0, [40.0, 90.0])
    assert (found["bare_us_per_packet"], found["ratio"]) == (10.0, 5.0)
    assert found["packets_per_second"] == 100
    assert found["latency_us"] == {"p50": 50_000, "p99": 99_000}


def test_the_most_viewers_give_the_figure_and_every_number_a_row() -> None:
    found = judged("reference", Shape(270), {"reference": [series(stretch(0.05)), series(stretch(0.1), subscribers=1)]})
    assert (found["subscribers"], found["us_per_packet"], found["reference_us_per_packet"]) == (50, 50.0, 50.0)
    assert found["burst"] == 9
    rows = table(found["rows"]["reference"]).splitlines()
    assert [line.split()[0] for line in rows] == ["viewers", "1", "50"]


@pytest.mark.parametrize(
    ("wrong", "loss"), [(stretch(0.05, received=999), 0.001), (stretch(0.05, faults=1), 0.0)], ids=["lost", "broken"]
)
def test_a_stretch_with_a_lost_or_broken_packet_is_no_baseline(wrong: Stretch, loss: float) -> None:
    found = judged("reference", Shape(270), {"reference": [series(wrong)]})
    assert (found["pass"], found["loss"]) == (False, loss)


def test_a_series_that_ended_before_the_bare_loop_still_has_a_row() -> None:
    found = row(Series(50, (stretch(0.05, received=0),), (), 0.0, "", 0.0))
    assert (found["loss"], found["bare_us_per_packet"], found["ratio"]) == (1.0, None, None)
    assert "100.0000%" in table([found])


@pytest.mark.parametrize(
    ("rate", "tried"), [(270, [270, 120, 60, 30]), (30, [30]), (10, [30]), (1600, [1590, 780, 390, 180, 90, 30])]
)
def test_the_rate_is_halved_to_one_packet_a_frame(rate: int, tried: list[int]) -> None:
    assert list(rates(rate, 30)) == tried


def sealed(number: int, key: bytes = KEY, ssrc: int = SSRC) -> bytes:
    header = struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, 0, ssrc)
    body = number.to_bytes(viewer.NUMBER, "big")
    return header + AESGCM(key).encrypt(viewer.nonce(ssrc, number), body, header)


def watched(*packets: bytes, first: int = 0) -> Viewer:
    book = Viewer()
    book.begin(SSRC, viewer.bare(KEY, SSRC, first), [float(number) for number in range(200)])
    for packet in packets:
        book.take(packet, 1000.0)
    return book


@pytest.mark.parametrize(("first", "behind"), [(0x80, b""), (0xA0, b"\0\0\3"), (0xA0, b"\1")])
def test_the_number_is_the_end_of_the_payload_and_not_of_its_padding(first: int, behind: bytes) -> None:
    header = struct.pack("!BBHII", first, 96, 1, 0, SSRC)
    assert viewer.number_of(header + b"picture" + (258).to_bytes(viewer.NUMBER, "big") + behind) == 258


def test_a_viewer_counts_what_came_in_order_and_how_long_it_took() -> None:
    book = watched(*(sealed(number) for number in range(100)))
    assert (book.received, book.faults) == (100, {})
    assert book.latencies[:2] == [1000.0, 999.0]


def test_a_viewer_follows_sequence_numbers_over_their_wrap() -> None:
    first = 0x1FFF0
    assert watched(*(sealed(first + number) for number in range(70)), first=first).faults == {}


@pytest.mark.parametrize(
    ("packets", "received", "faults"),
    [
        ([sealed(0), sealed(2)], 2, {"out of order": 1}),
        ([sealed(0), sealed(0)], 2, {"out of order": 1}),
        ([sealed(0, key=bytes(16))], 0, {"sealed wrong": 1}),
        ([sealed(0)[:-1]], 0, {"sealed wrong": 1}),
        ([sealed(0, ssrc=8)], 0, {"other stream": 1}),
        ([bytes((0x80, 200)) + bytes(26)], 0, {}),
    ],
    ids=["gap", "twice", "other key", "truncated", "other stream", "a report"],
)
def test_a_viewer_notices_what_is_wrong(packets: list[bytes], received: int, faults: dict[str, int]) -> None:
    book = watched(*packets)
    assert (book.received, dict(book.faults)) == (received, faults)
