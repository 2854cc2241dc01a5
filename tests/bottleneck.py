"""The narrow place of a path in virtual time: a rate that may change, and a queue that all who pass share.

Drop-tail by time: what would wait longer than the queue is long is lost. Rates are steps over
time, so that what waits across a step leaves at the rates that hold then. No chance is in here.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field
from typing import NamedTuple

Steps = tuple[tuple[float, float], ...]
"From when on which rate, in seconds and bits a second; ordered, the first from 0."


def rate_at(steps: Steps, now: float) -> float:
    """The rate at a time."""
    return steps[max(0, bisect_right(steps, (now, float("inf"))) - 1)][1]


def bits_between(steps: Steps, start: float, end: float) -> float:
    """What could pass from one time to another."""
    total, at = 0.0, start
    for (_, rate), until in zip(steps, [when for when, _ in steps[1:]] + [end], strict=True):
        if (part := min(until, end) - at) > 0:
            total += part * rate
            at += part
    return total


class Passed(NamedTuple):
    """One packet that came to the bottleneck."""

    at: float
    wait: float | None
    "Seconds in the queue; None: lost."
    size: int
    "Bytes."


@dataclass
class Bottleneck:
    """See the file's head."""

    steps: Steps
    queue: float = 0.3
    "Seconds."
    book: list[Passed] | None = None
    "Who wants to know what became of each packet puts a list here."
    _free: float = field(default=0.0, init=False)
    "When all that waits has left."

    def take(self, now: float, size: int) -> float | None:
        """A packet of so many bytes comes, no earlier than the one before. When it has left; None: lost."""
        wait = max(0.0, self._free - now)
        lost = wait > self.queue
        if self.book is not None:
            self.book.append(Passed(now, None if lost else wait, size))
        if lost:
            return None
        self._free = self._after(now + wait, size * 8)
        return self._free

    def _after(self, start: float, bits: float) -> float:
        """When so many bits have left that begin to leave at `start`."""
        place = max(0, bisect_right(self.steps, (start, float("inf"))) - 1)
        while place + 1 < len(self.steps):
            until, rate = self.steps[place + 1][0], self.steps[place][1]
            if (until - start) * rate >= bits:
                break
            bits -= (until - start) * rate
            start = until
            place += 1
        return start + bits / self.steps[place][1]
