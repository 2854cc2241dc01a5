"""What tests ask of packets that came, and of an engine until they do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cameras import ROUTE_SSRC
from engines import Side
from far_end import FarEnd
from focus.vocabulary import Rid, RouteId
from media_bytes import Rtp

ONE = RouteId(1)


def contiguous(packets: list[Rtp]) -> bool:
    """Whether each sequence number follows the one before."""
    return all(b.sequence == (a.sequence + 1) & 0xFFFF for a, b in zip(packets, packets[1:], strict=False))


def forward(first: int, second: int, width: int = 32) -> int:
    """How far a wrapping counter went."""
    step = (second - first) & (1 << width) - 1
    return step - (1 << width) if step >> width - 1 else step


def carries(end: FarEnd, layer: Rid, count: int) -> bool:
    """Whether so many packets came, the newest of this layer."""
    got = end.of(ROUTE_SSRC)
    return len(got) >= count and f"{layer}:".encode() in got[-1].payload


def came(end: FarEnd, body: bytes) -> bool:
    """Whether a packet with this body came."""
    return any(body == got.payload[-40:] for got in end.of(ROUTE_SSRC))


def ticking(focus: Side, condition: Callable[[], bool]) -> Callable[[], bool]:
    """A condition on counters, which ring no bell: look again soon."""
    loop = asyncio.get_running_loop()

    def look() -> bool:
        loop.call_later(0.02, focus.bell.ring)
        return condition()

    return look
