"""Virtual time for many ends at once: what is to happen when, in order. It knows nothing of what happens."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import TypeVar

from tests.wire import Wire

T = TypeVar("T")


class Clock:
    """The time, and what is due."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def at(self, when: float, call: Callable[[], None]) -> None:
        """Have `call` made then; at once where that is past. Calls of one time are made in the order of asking."""
        heapq.heappush(self._due, (max(when, self.now), next(self._order), call))

    def run(self, until: float) -> None:
        """Let time pass."""
        while self._due and self._due[0][0] <= until:
            self.now, _, call = heapq.heappop(self._due)
            call()
        self.now = until


class Post(Wire[T]):
    """A wire that hands over what arrives."""

    clock: Clock
    deliver: Callable[[T], None]

    def post(self, what: T, size: int) -> bool:
        """Send now. Whether it will arrive."""
        arrivals = self.send(self.clock.now, what, size)
        for arrival in arrivals:
            self.clock.at(arrival, self._arrived)
        return bool(arrivals)

    def _arrived(self) -> None:
        for what in self.due(self.clock.now):
            self.deliver(what)
