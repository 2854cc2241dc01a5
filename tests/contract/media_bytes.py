"""RTP, RTCP and VP8 as bytes, written and read by the test itself, not by the code under test."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rtp:
    """A packet as a receiver reads it."""

    pt: int
    marker: bool
    sequence: int
    timestamp: int
    ssrc: int
    extensions: dict[int, bytes]
    payload: bytes


def rtp(
    ssrc: int,
    sequence: int,
    timestamp: int,
    pt: int,
    payload: bytes,
    extensions: Mapping[int, bytes] | None = None,
    marker: bool = False,
    padding: int = 0,
) -> bytes:
    """Write one packet, extensions in the one-byte form."""
    first = 0x80 | (0x10 if extensions else 0) | (0x20 if padding else 0)
    head = struct.pack(
        "!BBHII", first, pt | (0x80 if marker else 0), sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc
    )
    if extensions:
        block = b"".join(bytes((name << 4 | len(value) - 1,)) + value for name, value in extensions.items())
        block += bytes(-len(block) % 4)
        head += struct.pack("!HH", 0xBEDE, len(block) // 4) + block
    return head + payload + (bytes(padding - 1) + bytes((padding,)) if padding else b"")


def read(data: bytes) -> Rtp:
    """Read one packet; both extension forms of RFC 8285."""
    first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", data)
    at = 12 + 4 * (first & 15)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        profile, words = struct.unpack_from("!HH", data, at)
        at += 4
        block, at = data[at : at + 4 * words], at + 4 * words
        while block:
            if block[0] == 0:
                block = block[1:]
            elif profile == 0xBEDE:
                length = (block[0] & 15) + 1
                extensions[block[0] >> 4] = block[1 : 1 + length]
                block = block[1 + length :]
            else:
                extensions[block[0]] = block[2 : 2 + block[1]]
                block = block[2 + block[1] :]
    end = len(data) - (data[-1] if first & 0x20 else 0)
    return Rtp(second & 0x7F, bool(second & 0x80), sequence, timestamp, ssrc, extensions, data[at:end])


def vp8(
    picture: int | None = 0,
    tl0: int | None = 0,
    keyframe: bool = False,
    size: tuple[int, int] = (320, 180),
    start: bool = True,
    body: bytes = b"",
    wide: bool = True,
    temporal: int = 0,
    sync: bool = True,
) -> bytes:
    """Write a VP8 payload: descriptor (RFC 7741 §4.2), the first bytes of a frame, then `body`."""
    flags = (0x80 if picture is not None else 0) | (0x40 if tl0 is not None else 0) | (0x20 if tl0 is not None else 0)
    out = bytearray((0x80 | (0x10 if start else 0), flags) if flags else (0x10 if start else 0,))
    if picture is not None:
        out += struct.pack("!H", 0x8000 | picture & 0x7FFF) if wide else bytes((picture & 0x7F,))
    if tl0 is not None:
        out += bytes((tl0 & 0xFF, temporal << 6 | sync << 5))
    if start and keyframe:
        out += b"\x10\x00\x00\x9d\x01\x2a" + struct.pack("<HH", *size)
    elif start:
        out += b"\x31\x00\x00"
    return bytes(out) + body


@dataclass(frozen=True, slots=True)
class Vp8:
    """A VP8 payload as a receiver reads it."""

    picture: int | None
    tl0: int | None
    temporal: int
    keyframe: bool
    size: tuple[int, int] | None
    body: bytes
    "Everything after the descriptor."


def read_vp8(payload: bytes) -> Vp8:
    """Read a VP8 payload."""
    first, at = payload[0], 1
    picture = tl0 = None
    temporal = 0
    if first & 0x80:
        flags, at = payload[1], 2
        if flags & 0x80:
            if payload[at] & 0x80:
                picture, at = struct.unpack_from("!H", payload, at)[0] & 0x7FFF, at + 2
            else:
                picture, at = payload[at], at + 1
        if flags & 0x40:
            tl0, at = payload[at], at + 1
        if flags & 0x30:
            temporal, at = payload[at] >> 6, at + 1
    body = payload[at:]
    keyframe = bool(first & 0x10) and first & 7 == 0 and body[:1] != b"" and body[0] & 1 == 0
    size = None
    if keyframe and len(body) >= 10:
        width, height = struct.unpack_from("<HH", body, 6)
        size = (width & 0x3FFF, height & 0x3FFF)
    return Vp8(picture, tl0, temporal, keyframe, size, body)


@dataclass(frozen=True, slots=True)
class Rtcp:
    """One packet of a compound one."""

    count: int
    kind: int
    body: bytes

    @property
    def sender(self) -> int:
        return int.from_bytes(self.body[:4], "big")

    @property
    def media(self) -> int:
        """The media source of a feedback packet (RFC 4585 §6.1)."""
        return int.from_bytes(self.body[4:8], "big")


def read_rtcp(data: bytes) -> Iterator[Rtcp]:
    """Split a compound packet."""
    while data:
        first, kind, words = struct.unpack_from("!BBH", data)
        body = data[4 : 4 * (words + 1)]
        yield Rtcp(first & 31, kind, body[: -body[-1]] if first & 0x20 else body)
        data = data[4 * (words + 1) :]


def rtcp(count: int, kind: int, body: bytes) -> bytes:
    """Write one RTCP packet."""
    return struct.pack("!BBH", 0x80 | count, kind, len(body) // 4) + body


def receiver_report(ssrc: int) -> bytes:
    """An empty receiver report, which compound packets begin with."""
    return rtcp(0, 201, struct.pack("!I", ssrc))


def sender_report(ssrc: int, ntp_seconds: float, timestamp: int, packets: int = 1, octets: int = 1) -> bytes:
    """A sender report; `ntp_seconds` since 1900."""
    return rtcp(0, 200, struct.pack("!IQIII", ssrc, int(ntp_seconds * 2**32), timestamp & 0xFFFFFFFF, packets, octets))


def pli(sender: int, media: int) -> bytes:
    """Picture loss indication (RFC 4585 §6.3.1)."""
    return rtcp(1, 206, struct.pack("!II", sender, media))


def fir(sender: int, media: int, number: int = 1) -> bytes:
    """Full intra request (RFC 5104 §4.3.1)."""
    return rtcp(4, 206, struct.pack("!IIIBxxx", sender, 0, media, number))


def nack(sender: int, media: int, *sequences: int) -> bytes:
    """Generic NACK (RFC 4585 §6.2.1), one pair for each sequence number."""
    return rtcp(1, 205, struct.pack("!II", sender, media) + b"".join(struct.pack("!HH", s, 0) for s in sequences))


def nacked(packet: Rtcp) -> list[int]:
    """The sequence numbers in a NACK."""
    found = []
    for at in range(8, len(packet.body), 4):
        base, mask = struct.unpack_from("!HH", packet.body, at)
        found += [base] + [(base + bit + 1) & 0xFFFF for bit in range(16) if mask >> bit & 1]
    return found


def remb(sender: int, bps: int, *ssrcs: int) -> bytes:
    """Receiver estimated maximum bitrate (draft-alvestrand-rmcat-remb)."""
    exponent = max(0, bps.bit_length() - 18)
    word = len(ssrcs) << 24 | exponent << 18 | bps >> exponent
    return rtcp(15, 206, struct.pack("!II4sI", sender, 0, b"REMB", word) + struct.pack(f"!{len(ssrcs)}I", *ssrcs))
