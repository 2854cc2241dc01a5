"""A seeded network in virtual time: delay, jitter, losses, reordering, duplicates, and a rate with its queue.

It says when what is sent arrives, and how often. Time is an argument and chance a seeded
source, so that the same packets meet the same fate in every run. It looks into nothing.
"""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass
from typing import Generic, TypeVar

from tests.bottleneck import Bottleneck

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Bursts:
    """Losses that come together (Gilbert and Elliott): a packet's chance to begin one, and to end it."""

    begins: float
    ends: float
    lost: float = 1.0
    "Chance of a loss within a burst."

    @property
    def share(self) -> float:
        """Of all packets, how many are lost in the long run."""
        return self.lost * self.begins / (self.begins + self.ends)


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
    bursts: Bursts | None = None
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
    """One direction of a path, and what is on it. With a `shared` bottleneck, that one's rate and queue count."""

    def __init__(self, conditions: Conditions, chance: random.Random, shared: Bottleneck | None = None) -> None:
        self.conditions = conditions
        self._chance = chance
        self._sent = 0
        self._bursting = False
        self._shared = shared
        self._own = Bottleneck(())
        self._newest = 0.0
        self._carried: list[tuple[float, int, T]] = []

    def send(self, now: float, what: T, size: int) -> list[float]:
        """Put a packet of `size` bytes on the wire. When it will arrive: never, once or twice."""
        conditions, chance = self.conditions, self._chance
        self._sent += 1
        pattern = conditions.pattern
        if pattern and pattern[(self._sent - 1) % len(pattern)] or chance.random() < conditions.lost:
            return []
        if conditions.bursts is not None and self._lost_in_a_burst(conditions.bursts):
            return []
        left = self._pass(now, size)
        if left is None:
            return []
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

    def _lost_in_a_burst(self, bursts: Bursts) -> bool:
        turns = bursts.ends if self._bursting else bursts.begins
        if self._chance.random() < turns:
            self._bursting = not self._bursting
        return self._bursting and self._chance.random() < bursts.lost

    def _pass(self, now: float, size: int) -> float | None:
        """When a packet has left the bottleneck; None: lost there."""
        if self._shared is not None:
            return self._shared.take(now, size)
        if self.conditions.rate is None:
            return now
        self._own.steps, self._own.queue = ((0.0, self.conditions.rate),), self.conditions.queue
        return self._own.take(now, size)

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
