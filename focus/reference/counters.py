"""Totals of an engine: what came, what went, and why packets stopped."""

from __future__ import annotations

from collections import Counter

from focus.commands import Counters, Drop


class Tally:
    """The running totals. One per engine, touched on the packet path: plain attributes only."""

    def __init__(self) -> None:
        self.packets_in = self.packets_out = self.bytes_in = self.bytes_out = 0
        self.rtx_out = self.keyframe_requests = 0
        self.drops: Counter[Drop] = Counter()

    def drop(self, reason: Drop) -> None:
        """Count one packet or command that went no further."""
        self.drops[reason] += 1

    def frozen(self) -> Counters:
        """The totals as the control plane sees them."""
        return Counters(
            self.packets_in,
            self.packets_out,
            self.bytes_in,
            self.bytes_out,
            self.rtx_out,
            self.keyframe_requests,
            tuple(sorted(self.drops.items())),
        )
