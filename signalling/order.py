"""Messages of a leg in the order that their sender gave them (MSC3401 `seq`).

Time is an argument. A message without a number is delivered at once; one that is ahead
waits for those before it, for a few seconds and within a bound, since a lost message must
not stall a call.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Line(Generic[T]):
    next: int
    touched: float
    held: dict[int, T] = field(default_factory=dict)
    since: float = 0.0
    given_up: list[int] = field(default_factory=list)
    "The newest numbers that were not waited for any longer, ascending."


class Order(Generic[T]):
    """Holds back what came too early, per sender."""

    def __init__(self, bound: int, patience: float, most: int = 10_000) -> None:
        self._bound = bound
        self._patience = patience
        self._most = most
        self._lines: dict[Hashable, _Line[T]] = {}

    def take(self, key: Hashable, seq: int | None, item: T, now: float) -> list[T]:
        """Put one message in; returns what may be delivered now, in order."""
        if seq is None:
            return [item]
        line = self._lines.get(key)
        if line is None:
            if len(self._lines) >= self._most:
                self._lines.pop(next(iter(self._lines)))
            line = self._lines[key] = _Line(0, now)
        line.touched = now
        if seq < line.next:
            # Late, or delivered again: homeservers promise a message once at least (digest §20.7).
            if seq not in line.given_up:
                return []
            line.given_up.remove(seq)
            return [item]
        if not line.held:
            line.since = now
        line.held[seq] = item
        ready = self._ready(line)
        if len(line.held) > self._bound:
            ready += self._skip(line)
        return ready

    def seen(self, key: Hashable, seq: int | None) -> bool:
        """Whether a message of this number was delivered already, or waits."""
        line = self._lines.get(key)
        if line is None or seq is None:
            return False
        return seq in line.held or seq < line.next and seq not in line.given_up

    def overdue(self, now: float) -> list[T]:
        """What waited too long: the missing ones are given up."""
        ready: list[T] = []
        for line in self._lines.values():
            if line.held and now - line.since > self._patience:
                ready += self._skip(line)
        return ready

    def forget(self, key: Hashable) -> None:
        """A leg is over."""
        self._lines.pop(key, None)

    def _ready(self, line: _Line[T]) -> list[T]:
        ready = []
        while line.next in line.held:
            ready.append(line.held.pop(line.next))
            line.next += 1
        return ready

    def _skip(self, line: _Line[T]) -> list[T]:
        first = min(line.held)
        lost = range(max(line.next, first - self._bound), first)
        line.given_up = [*line.given_up, *lost][-self._bound :]
        line.next = first
        return self._ready(line)
