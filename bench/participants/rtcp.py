"""Received RTCP as aiortc's classes, with transport-wide feedback read here, which aiortc does not know.

Pure. Each packet of a compound is parsed alone, so that one of an unknown kind costs only itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import unpack_from

from aiortc.rtp import AnyRtcpPacket, RtcpPacket


@dataclass(frozen=True, slots=True)
class Feedback:
    """Which of our packets arrived (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1)."""

    ssrc: int
    media_ssrc: int
    base: int
    arrived: tuple[bool, ...]
    "From `base` on."


def parse(data: bytes) -> list[AnyRtcpPacket | Feedback]:
    """Read a compound. Raises `ValueError` when it is not well formed."""
    found: list[AnyRtcpPacket | Feedback] = []
    at = 0
    while at < len(data):
        if len(data) < at + 4:
            raise ValueError("an RTCP header is cut off")
        first, kind, words = unpack_from("!BBH", data, at)
        end = at + 4 + 4 * words
        if end > len(data):
            raise ValueError("an RTCP packet is cut off")
        if (kind, first & 0x1F) == (205, 15):
            found.append(feedback(data[at + 4 : end]))
        else:
            found += RtcpPacket.parse(data[at:end])
        at = end
    return found


def feedback(body: bytes) -> Feedback:
    """Read one transport-wide feedback after its header. The arrival times are not read."""
    if len(body) < 16:
        raise ValueError("transport feedback is cut off")
    ssrc, media_ssrc, base, count = unpack_from("!IIHH", body)
    arrived: list[bool] = []
    at = 16
    while len(arrived) < count:
        if at + 2 > len(body):
            raise ValueError("transport feedback has too few chunks")
        (chunk,) = unpack_from("!H", body, at)
        at += 2
        if not chunk & 0x8000:
            arrived += [bool(chunk >> 13 & 3)] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            arrived += [bool(chunk >> 2 * (6 - i) & 3) for i in range(7)]
        else:
            arrived += [bool(chunk >> (13 - i) & 1) for i in range(14)]
    return Feedback(ssrc, media_ssrc, base, tuple(arrived[:count]))
