"""VP8 in RTP (RFC 7741), as much as a participant needs: cut frames into payloads, read what arrives.

Pure, and written apart from the focus on purpose: it judges the focus's own mapping of
picture ids, so it must not share its code.
"""

from __future__ import annotations

from dataclasses import dataclass

PAYLOAD = 1100
"Bytes of a frame per packet: with headers, SRTP and RTX well under 1200."


@dataclass(frozen=True, slots=True)
class Part:
    """One received payload."""

    first: bool
    "It starts a frame (S bit on partition 0)."
    picture: int | None
    "15-bit picture id; 7-bit ones are not expected and come back as they are."
    tl0: int | None
    "TL0PICIDX, 8 bits."
    tid: int
    "Temporal layer, 0 where none is told."
    size: tuple[int, int] | None
    "Width and height, on the first packet of a keyframe only."
    body: bytes
    "The codec's bytes, without the descriptor."


def cut(frame: bytes) -> tuple[bytes, ...]:
    """Cut one encoded frame into even pieces of at most `PAYLOAD` bytes."""
    pieces = max(1, -(-len(frame) // PAYLOAD))
    step = -(-len(frame) // pieces)
    return tuple(frame[at : at + step] for at in range(0, len(frame), step))


def describe(first: bool, picture: int, tl0: int) -> bytes:
    """Return the payload descriptor of one packet: X, S, 15-bit I, L and T (layer 0, one temporal layer)."""
    return bytes((0x90 if first else 0x80, 0xE0, 0x80 | (picture >> 8) & 0x7F, picture & 0xFF, tl0 & 0xFF, 0x20))


def read(payload: bytes) -> Part:
    """Read one payload. Raises `ValueError` when it is shorter than its descriptor says."""
    try:
        head, at = payload[0], 1
        picture: int | None = None
        tl0: int | None = None
        tid = 0
        if head & 0x80:
            flags, at = payload[1], 2
            if flags & 0x80:
                picture, at = payload[at], at + 1
                if picture & 0x80:
                    picture, at = (picture & 0x7F) << 8 | payload[at], at + 1
            if flags & 0x40:
                tl0, at = payload[at], at + 1
            if flags & 0x30:
                tid = payload[at] >> 6 if flags & 0x20 else 0
                at += 1
        if at >= len(payload):
            raise ValueError("a VP8 payload without a body")
    except IndexError:
        raise ValueError("a VP8 descriptor is cut off") from None
    first = bool(head & 0x10) and head & 0x0F == 0
    body = payload[at:]
    return Part(first, picture, tl0, tid, picture_size(body) if first else None, body)


def picture_size(frame: bytes) -> tuple[int, int] | None:
    """Return width and height if this is the start of a keyframe (RFC 6386 §9.1), else None."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    return (frame[6] | frame[7] << 8) & 0x3FFF, (frame[8] | frame[9] << 8) & 0x3FFF
