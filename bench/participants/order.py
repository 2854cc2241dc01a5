"""Received packets put in order: what is missing, when to ask for it, when to give up.

Pure; time is an argument. One `Order` a stream. Sequence numbers go in as the 16 bits of
the wire and are widened here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic, TypeVar

PATIENCE = 1.0
"Seconds until a missing packet counts as lost: what a browser's jitter buffer would wait at most."
ASK_AFTER = 0.02
"Seconds before the first NACK: reordering on one machine is shorter."
ASK_AGAIN = 0.1
"Seconds between NACKs of the same packet: above a usual round trip."
STUCK = 0.3
"Seconds: three NACKs went unanswered."

Item = TypeVar("Item")


@dataclass(slots=True)
class Hole:
    """One missing packet."""

    since: float
    asked: float = 0.0


@dataclass(slots=True)
class Order(Generic[Item]):
    """Reorders, and counts what never came."""

    expected: int | None = None
    "Widened number of the next packet to hand on."
    newest: int = 0
    waiting: dict[int, Item] = field(default_factory=dict)
    holes: dict[int, Hole] = field(default_factory=dict)
    duplicates: int = 0
    recovered: int = 0
    "Packets that came after they had been asked for."

    def widen(self, number: int) -> int:
        """Return the number nearest to the newest that ends in these 16 bits."""
        return self.newest + ((number - self.newest + 0x8000) & 0xFFFF) - 0x8000

    def put(self, number: int, item: Item, now: float) -> list[tuple[int, Item]]:
        """Take a packet; return what can be handed on, in order: (numbers lost just before it, packet)."""
        if self.expected is None:
            self.newest = self.expected = number + 0x10000
        wide = self.widen(number)
        if wide < self.expected or wide in self.waiting:
            self.duplicates += 1
            return []
        for missing in range(max(self.newest + 1, self.expected), wide):
            self.holes[missing] = Hole(now)
        hole = self.holes.pop(wide, None)
        if hole is not None and hole.asked:
            self.recovered += 1
        self.newest = max(self.newest, wide)
        self.waiting[wide] = item
        return self.release(now)

    def release(self, now: float) -> list[tuple[int, Item]]:
        """Return what can be handed on now, giving up holes older than `PATIENCE`."""
        out: list[tuple[int, Item]] = []
        lost = 0
        while self.expected is not None and self.waiting:
            if self.expected in self.waiting:
                out.append((lost, self.waiting.pop(self.expected)))
                lost = 0
            else:
                hole = self.holes.get(self.expected)
                if hole is not None and now - hole.since < PATIENCE:
                    break
                self.holes.pop(self.expected, None)
                lost += 1
            self.expected += 1
        return out

    def stuck(self, now: float) -> bool:
        """Say whether a packet is missing for so long that a decoder would ask for a keyframe."""
        hole = next(iter(self.holes.values()), None)
        return hole is not None and now - hole.since > STUCK

    def ask(self, now: float) -> list[int]:
        """Return the 16-bit numbers to put into a NACK now, in order."""
        out: list[int] = []
        for number, hole in self.holes.items():
            if now - hole.since >= ASK_AFTER and now - hole.asked >= ASK_AGAIN:
                hole.asked = now
                out.append(number & 0xFFFF)
        return out
