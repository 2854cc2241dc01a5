"""RTCP by its effect: what a peer knows after all reports that it was sent in one step. It knows no engine."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from actions import Sent
from focus.vocabulary import PeerId
from media_bytes import Rtcp, nacked, read_rtcp

Fields = tuple[int, ...]


@dataclass(slots=True)
class Told:
    """What one peer was told."""

    missing: dict[int, set[int]] = field(default_factory=dict)
    "Sequence numbers that are missing, by SSRC."
    pictures: list[str] = field(default_factory=list)
    "SSRCs of which a keyframe is wanted, sorted."
    received: dict[int, Fields] = field(default_factory=dict)
    "The report blocks by SSRC: fraction, lost, highest, last report."
    sent: dict[int, Fields] = field(default_factory=dict)
    "The sender reports by SSRC: packets, octets."
    rounded: dict[str, int] = field(default_factory=dict)
    "What is computed from fractions, by its name and SSRC; one more or less is the same."
    names: dict[int, bytes] = field(default_factory=dict)
    "The CNAMEs by SSRC."
    arrivals: dict[int, int] = field(default_factory=dict)
    "By transport-wide number: arrival in quarters of a millisecond, -1 for a packet that did not come."
    feedback: list[str] = field(default_factory=list)
    "Of each packet of transport-wide feedback: the media SSRC, and its running number."
    others: list[str] = field(default_factory=list)
    "Anything else."


def tell(sent: list[Sent]) -> dict[PeerId, Told]:
    """Read all reports of a step, by receiver."""
    found: dict[PeerId, Told] = {}
    for peer, kind, data in sent:
        if kind == "rtcp":
            told = found.setdefault(peer, Told())
            for packet in read_rtcp(data):
                _read(told, packet)
    for told in found.values():
        told.pictures = sorted(set(told.pictures))
    return found


def _read(told: Told, packet: Rtcp) -> None:
    match packet.kind, packet.count:
        case 200, _:
            _, ntp, timestamp, packets, octets = struct.unpack_from("!IQIII", packet.body)
            told.sent[packet.sender] = (packets, octets)
            told.rounded |= {f"ntp {packet.sender:#x}": ntp >> 16, f"timestamp {packet.sender:#x}": timestamp}
            _blocks(told, packet, 24)
        case 201, _:
            _blocks(told, packet, 4)
        case 202, 1:
            told.names[packet.sender] = packet.body[6 : 6 + packet.body[5]]
        case 205, 1:
            told.missing.setdefault(packet.media, set()).update(nacked(packet))
        case 205, 15:
            _arrivals(told, packet)
        case 206, 1:
            told.pictures.append(f"{packet.media:#x}")
        case _:
            told.others.append(f"{packet.kind}/{packet.count} {packet.body.hex()}")


def _blocks(told: Told, packet: Rtcp, at: int) -> None:
    for place in range(packet.count):
        ssrc, loss, highest, jitter, report, delay = struct.unpack_from("!IIIIII", packet.body, at + 24 * place)
        told.received[ssrc] = (loss >> 24, loss & 0xFFFFFF, highest, report)
        told.rounded |= {f"jitter {ssrc:#x}": jitter, f"delay {ssrc:#x}": delay}


def _arrivals(told: Told, packet: Rtcp) -> None:
    """draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1, both kinds of chunk."""
    base, count, head = struct.unpack_from("!HHI", packet.body, 8)
    told.feedback.append(f"{packet.media:#x} {head & 0xFF}")
    symbols: list[int] = []
    at = 16
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", packet.body, at)
        at += 2
        if not chunk >> 15:
            symbols += [chunk >> 13 & 3] * (chunk & 0x1FFF)
        elif chunk >> 14 & 1:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    clock = (head >> 8) * 256
    for place, symbol in enumerate(symbols[:count]):
        if symbol == 1:
            clock, at = clock + packet.body[at], at + 1
        elif symbol == 2:
            clock, at = clock + struct.unpack_from("!h", packet.body, at)[0], at + 2
        told.arrivals[base + place & 0xFFFF] = clock if symbol else -1
