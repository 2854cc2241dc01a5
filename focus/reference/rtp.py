"""RTP packets: what one says about itself (RFC 3550 §5.1, RFC 8285), parsed once at ingress.

This file knows bytes. It does not know peers, layers or time beyond what it is told.
Every parser returns None for what it cannot read, and never raises.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from focus.reference.vp8 import Descriptor

HEADER = struct.Struct("!BBHII")
ONE_BYTE = 0xBEDE
TWO_BYTE = 0x1000
LONGEST = 1500
"Bytes. A datagram beyond the Ethernet MTU was never sent by a WebRTC sender."
AROUND = 16 + 8 + 20
"What SRTP (a tag of GCM), UDP and IPv4 put around a packet."


@dataclass(slots=True)
class Packet:
    """One received RTP packet, decrypted."""

    ssrc: int
    sequence: int
    "As received, 16 bits."
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes
    "Without padding. Empty in a packet that is only padding."
    extensions: dict[int, bytes]
    "By the sender's id."
    size: int
    "Bytes, not sealed."
    arrived: float
    "Monotonic seconds."
    index: int = -1
    "Extended sequence number, set by the layer that received it."
    keyframe: bool = False
    "First packet of a keyframe, or any packet of audio."
    copied: list[tuple[str, bytes]] = field(default_factory=list)
    "Extensions that every sink gets, by their name in `commands.Extensions`."
    descriptor: Descriptor | None = None
    "The VP8 payload descriptor, None for other codecs."
    codec: str = ""
    "Name of its codec, by the publisher's payload type."
    picture: int = 0
    "Extended VP8 picture id."


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP on one port (RFC 5761 §4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse(data: bytes, arrived: float) -> Packet | None:
    """Parse one plain RTP packet. None when any length in it does not hold (security R3, R4)."""
    size = len(data)
    if size < 12 or size > LONGEST:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    at = 12 + 4 * (first & 0x0F)
    extensions: dict[int, bytes] = {}
    if first & 0x10:
        if at + 4 > size:
            return None
        profile, words = struct.unpack_from("!HH", data, at)
        at += 4
        end = at + 4 * words
        if end > size:
            return None
        extensions = parse_extensions(profile, data[at:end])
        at = end
    if at > size:
        return None
    end = size
    if first & 0x20:
        padding = data[-1] if size > at else 0
        if padding == 0 or at + padding > size:
            return None
        end -= padding
    return Packet(
        ssrc, sequence, timestamp, second & 0x7F, bool(second & 0x80), data[at:end], extensions, size, arrived
    )


def parse_extensions(profile: int, block: bytes) -> dict[int, bytes]:
    """Header extensions by id (RFC 8285 §4.2, §4.3). What follows a broken element is left out."""
    found: dict[int, bytes] = {}
    at, end = 0, len(block)
    if profile == ONE_BYTE:
        while at < end:
            head = block[at]
            at += 1
            if head == 0:
                continue
            name, length = head >> 4, (head & 0x0F) + 1
            if name == 15 or at + length > end:
                break
            found[name] = block[at : at + length]
            at += length
    elif profile & 0xFFF0 == TWO_BYTE:
        while at < end:
            name = block[at]
            at += 1
            if name == 0:
                continue
            if at >= end or at + 1 + block[at] > end:
                break
            length = block[at]
            found[name] = block[at + 1 : at + 1 + length]
            at += 1 + length
    return found


def dump_extensions(elements: list[tuple[int, bytes]]) -> bytes:
    """Write an extension block, one-byte form where it fits (RFC 8285 §4.1.2). Empty for no elements."""
    if not elements:
        return b""
    if all(0 < name < 15 and 0 < len(value) <= 16 for name, value in elements):
        profile = ONE_BYTE
        body = b"".join(bytes(((name << 4) | (len(value) - 1),)) + value for name, value in elements)
    else:
        profile = TWO_BYTE
        body = b"".join(bytes((name, len(value))) + value for name, value in elements)
    body += bytes(-len(body) % 4)
    return struct.pack("!HH", profile, len(body) // 4) + body


def expand(value: int, latest: int | None, width: int = 16) -> int:
    """Extend a wrapping counter to the value nearest to `latest`; the value itself when there is none.

    Never below zero. The vectors of the protocol digest (§17, counter expansion) hold.
    """
    if latest is None:
        return value
    span = 1 << width
    candidate = (latest & ~(span - 1)) | value
    if candidate + span // 2 < latest:
        candidate += span
    elif candidate > latest + span // 2 and candidate >= span:
        candidate -= span
    return candidate
