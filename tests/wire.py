"""A seeded network in virtual time: delay, jitter, loss, reordering, duplicates, and a rate with its queue.

It says when what is sent arrives, and how often. Time is an argument and chance a seeded
source, so that the same packets meet the same fate in every run. It looks into nothing.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Conditions:
    """What one direction of a path does to packets. Times in seconds, chances from 0 to 1."""

    delay: float = 0.02
    jitter: float = 0.0
    "Most that comes on top of the delay. It alone never reorders."
    pattern: tuple[bool, ...] = ()
    "Repeated over the packets: True loses one."
    lost: float = 0.0
    "Chance of a loss beside the pattern."
    overtaken: float = 0.0
    "Chance that a packet is held back, so that later ones come first."
    held: float = 0.03
    "How long such a packet is held back at most."
    doubled: float = 0.0
    rate: float | None = None
    "Bits a second, None without a limit."
    queue: float = 0.2
    "Seconds of queue before the bottleneck; what would wait longer is lost."


class Wire(Generic[T]):
    """One direction of a path, and what is on it."""

    def __init__(self, conditions: Conditions, chance: random.Random) -> None:
        self.conditions = conditions
        self._chance = chance
        self._sent = 0
        self._free = 0.0
        "When the bottleneck has sent all that waits before it."
        self._newest = 0.0
        self._carried: list[tuple[float, int, T]] = []

    def send(self, now: float, what: T, size: int) -> list[float]:
        """Put a packet of `size` bytes on the wire. When it will arrive: never, once or twice."""
        conditions, chance = self.conditions, self._chance
        self._sent += 1
        pattern = conditions.pattern
        if pattern and pattern[(self._sent - 1) % len(pattern)] or chance.random() < conditions.lost:
            return []
        left = now
        if conditions.rate is not None:
            if self._free - now > conditions.queue:
                return []
            left = self._free = max(now, self._free) + size * 8 / conditions.rate
        arrival = left + conditions.delay + chance.random() * conditions.jitter
        if chance.random() < conditions.overtaken:
            arrival += chance.random() * conditions.held
        else:
            arrival = self._newest = max(arrival, self._newest)
        arrivals = [arrival]
        if chance.random() < conditions.doubled:
            arrivals.append(arrival + chance.random() * conditions.held)
        for copy, at in enumerate(arrivals):
            heapq.heappush(self._carried, (at, 2 * self._sent + copy, what))
        return arrivals

    def due(self, now: float) -> list[T]:
        """Take what has arrived by now, in order of arrival."""
        arrived = []
        while self._carried and self._carried[0][0] <= now:
            arrived.append(heapq.heappop(self._carried)[2])
        return arrived

    @property
    def next(self) -> float | None:
        """When the next packet arrives, None when there is none."""
        return self._carried[0][0] if self._carried else None
