"""The VP8 payload descriptor (RFC 7741 §4.2): read, and rewritten for one continuous stream.

Only the descriptor and the first ten payload bytes are looked at: end-to-end encrypted
frames leave those clear (protocol digest §13.2). Nothing here raises for any input.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a VP8 packet says about its frame."""

    length: int
    "Bytes of the descriptor."
    start: bool
    "First packet of a frame's first partition."
    picture: int | None
    "Picture id as sent, 7 or 15 bits wide."
    wide: bool
    "The picture id has 15 bits."
    tl0: int | None
    keyframe: bool
    "This is the first packet of a keyframe."
    width: int
    "Pixels, from a keyframe's first packet, else 0."
    height: int
    temporal: int = 0
    "Temporal id."
    sync: bool = False
    "The frame needs frames of lower temporal ids only."


def parse(payload: bytes) -> Descriptor | None:
    """Read a descriptor; None when it is cut short."""
    size = len(payload)
    if size < 1:
        return None
    first = payload[0]
    start = bool(first & 0x10) and first & 0x07 == 0
    at = 1
    picture: int | None = None
    tl0: int | None = None
    wide = sync = False
    temporal = 0
    if first & 0x80:
        if size < 2:
            return None
        flags = payload[1]
        at = 2
        if flags & 0x80:
            if at >= size:
                return None
            picture = payload[at] & 0x7F
            wide = bool(payload[at] & 0x80)
            at += 1
            if wide:
                if at >= size:
                    return None
                picture = (picture << 8) | payload[at]
                at += 1
        if flags & 0x40:
            if at >= size:
                return None
            tl0 = payload[at]
            at += 1
        if flags & 0x30:
            if at >= size:
                return None
            if flags & 0x20:
                temporal, sync = payload[at] >> 6, bool(payload[at] & 0x20)
            at += 1
    keyframe = start and at < size and payload[at] & 0x01 == 0
    width = height = 0
    if keyframe and size >= at + 10 and payload[at + 3 : at + 6] == b"\x9d\x01\x2a":
        width = (payload[at + 6] | payload[at + 7] << 8) & 0x3FFF
        height = (payload[at + 8] | payload[at + 9] << 8) & 0x3FFF
    return Descriptor(at, start, picture, wide, tl0, keyframe, width, height, temporal, sync)


def rewrite(payload: bytes, descriptor: Descriptor, picture: int, tl0: int) -> bytes:
    """Put another picture id (always 15 bits, so that the length is constant) and tl0 index in."""
    if descriptor.picture is None:
        return payload
    head = bytearray(payload[:2])
    head.append(0x80 | (picture >> 8) & 0x7F)
    head.append(picture & 0xFF)
    at = 4 if descriptor.wide else 3
    if descriptor.tl0 is not None:
        head.append(tl0 & 0xFF)
        at += 1
    return bytes(head) + payload[at:]
