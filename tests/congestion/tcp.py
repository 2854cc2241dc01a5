"""A sender that behaves as TCP does, to compete with media (RFC 8867, 5.6 and 5.7), in virtual time.

Reno with selective acknowledgements: slow start, additive increase, half the window for a loss,
one packet after a silence (RFC 5681, RFC 6675). It carries no bytes, only sizes.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from tests.congestion.clock import Clock, Post

SEGMENT = 1460
HEADERS = 40
REORDERED = 3
"Later segments that must be acknowledged before an earlier one counts as lost."
LEAST_WAIT = 1.0
"Seconds of silence at least, before the window begins anew."


class Tcp:
    """One transfer, of so many bytes or for ever."""

    def __init__(
        self,
        clock: Clock,
        there: Post[int],
        back: Post[int],
        size: int | None = None,
        done: Callable[[], None] | None = None,
    ) -> None:
        self._clock, self._there, self._back, self._done = clock, there, back, done
        there.deliver, back.deliver = self._arrived, self._acknowledged
        self._left = None if size is None else -(-size // SEGMENT)
        "Segments to send."
        self._window, self._threshold = 10.0, float("inf")
        self._next = 0
        self._out: dict[int, float] = {}
        "Segments on their way, in order, and when they left."
        self._recover = -1
        self._rtt: float | None = None
        self._swing = 0.0
        self._heard = clock.now
        self.received: list[tuple[float, int]] = []
        self._send()
        clock.at(clock.now + LEAST_WAIT, self._look)

    def _send(self) -> None:
        while len(self._out) < int(self._window) and self._left != 0:
            if self._left is not None:
                self._left -= 1
            self._out[self._next] = self._clock.now
            self._there.post(self._next, SEGMENT + HEADERS)
            self._next += 1

    def _arrived(self, number: int) -> None:
        self.received.append((self._clock.now, SEGMENT + HEADERS))
        self._back.post(number, HEADERS)

    def _acknowledged(self, number: int) -> None:
        now = self._clock.now
        sent = self._out.pop(number, None)
        if sent is None:
            return
        self._heard = now
        self._sample(now - sent)
        if self._window < self._threshold:
            self._window += 1
        else:
            self._window += 1 / self._window
        lost = [one for one in self._out if one < number - REORDERED]
        if lost:
            self._again(lost)
            if max(lost) > self._recover:
                self._recover = self._next
                self._window = self._threshold = max(2.0, self._window / 2)
        self._send()
        if self._left == 0 and not self._out and self._done is not None:
            done, self._done = self._done, None
            done()

    def _sample(self, rtt: float) -> None:
        if self._rtt is None:
            self._rtt, self._swing = rtt, rtt / 2
        else:
            self._swing += 0.25 * (abs(rtt - self._rtt) - self._swing)
            self._rtt += 0.125 * (rtt - self._rtt)

    def _again(self, lost: list[int]) -> None:
        for number in lost:
            del self._out[number]
        if self._left is not None:
            self._left += len(lost)

    def _look(self) -> None:
        if self._left == 0 and not self._out:
            return
        now = self._clock.now
        wait = max(LEAST_WAIT, (self._rtt or 0.0) + 4 * self._swing)
        if now - self._heard >= wait and self._out:
            self._threshold, self._window = max(2.0, self._window / 2), 1.0
            self._recover, self._heard = self._next, now
            self._again(list(self._out))
            self._send()
        self._clock.at(now + 0.1, self._look)


class ShortTransfers:
    """Transfer after transfer of 100 kB to 1 MB, with a pause of ten seconds at the mean before each."""

    def __init__(self, clock: Clock, wires: Callable[[], tuple[Post[int], Post[int]]], chance: random.Random) -> None:
        self._clock, self._wires, self._chance = clock, wires, chance
        self.transfers: list[Tcp] = []
        self._pause()

    @property
    def received(self) -> list[tuple[float, int]]:
        """When, and how many bytes."""
        return [one for transfer in self.transfers for one in transfer.received]

    def _pause(self) -> None:
        self._clock.at(self._clock.now + self._chance.expovariate(1 / 10), self._begin)

    def _begin(self) -> None:
        size = self._chance.randint(100_000, 1_000_000)
        self.transfers.append(Tcp(self._clock, *self._wires(), size, self._pause))
