"""A picture that is sent as its estimate says, and its receiver: what RFC 8867 calls a media flow, in virtual time.

Frames come 30 times a second, with a size that follows the estimate within 10 % and a lag of a
tenth of a second, and leave paced. Probes leave as packets of their own. The receiver tells of
each packet in transport-wide feedback. What the estimate is, `Estimate` decides, not this file.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from tests.congestion.clock import Clock, Post

FRAME = 1 / 30
LAG = 0.1
"Seconds after which the source is at two thirds of a change."
SWING = 0.1
"A frame is larger or smaller than its share by as much."
LARGEST = 1200
PACE = 2.5
"Times the estimate: how fast a frame leaves."
LOOK = 0.01
"Seconds between two looks whether a probe is due."
OVERHEAD = 50
"Bytes of feedback beside two for each packet."


class Estimates(Protocol):
    """What decides how much may be sent: the native engine's estimator, as `focus.native.estimate` hands it out."""

    @property
    def bps(self) -> float: ...
    def want(self, bps: float) -> None: ...
    def left(self, now: float, size: int) -> None: ...
    def probe(self, now: float) -> tuple[float, int, int] | None: ...
    def probed(self, now: float, bps: float, first: int, last: int) -> None: ...
    def told(self, now: float, fates: Sequence[tuple[int, float, int, float | None]]) -> bool: ...
    def tick(self, now: float) -> bool: ...


class Packet(NamedTuple):
    """A packet on its way."""

    number: int
    sent: float
    size: int
    padding: bool
    "Of a probe: no picture is in it."


Fate = tuple[int, float, int, float | None]
"Number, when it was sent, bytes, when it arrived or None."


@dataclass
class Probe:
    """One that is being sent."""

    bps: float
    bytes: int
    packet: int
    first: int
    begun: float


class Media:
    """See the file's head. It sends from `start` on, but for the times when it is paused."""

    def __init__(
        self,
        clock: Clock,
        estimate: Estimates,
        there: Post[Packet],
        back: Post[list[Fate]],
        chance: random.Random,
        *,
        start: float = 0.0,
        paused: tuple[float, float] | None = None,
        most: float = 10e6,
        feedback: float = 0.1,
    ) -> None:
        self._clock, self._estimate, self._there, self._back = clock, estimate, there, back
        there.deliver, back.deliver = self._arrived, self._told
        self._chance, self._paused, self._most, self._every = chance, paused, most, feedback
        self._rate: float | None = None
        self._waiting: deque[int] = deque()
        self._probe: Probe | None = None
        self._asleep = True
        self._number = 0
        self._sent: dict[int, Packet] = {}
        "Not told of yet."
        self._came: dict[int, float] = {}
        self._newest = -1
        self._told_to = -1
        self.received: list[tuple[float, int]] = []
        "When, and how many bytes of picture."
        self.estimates: list[tuple[float, float]] = []
        clock.at(start, self._frame)
        clock.at(start, self._look)
        clock.at(start + feedback, self._tell)

    def _idle(self) -> bool:
        return self._paused is not None and self._paused[0] <= self._clock.now < self._paused[1]

    def _frame(self) -> None:
        now = self._clock.now
        self._clock.at(now + FRAME, self._frame)
        target = min(self._estimate.bps, self._most)
        self.estimates.append((now, target))
        if self._rate is None:
            self._rate = target
        self._rate += (target - self._rate) * (1 - math.exp(-FRAME / LAG))
        if self._idle():
            return
        size = self._rate * FRAME / 8 * (1 + self._chance.uniform(-SWING, SWING))
        packets = max(1, math.ceil(size / LARGEST))
        self._waiting += [max(100, round(size / packets))] * packets
        self._wake()

    def _look(self) -> None:
        now = self._clock.now
        self._clock.at(now + LOOK, self._look)
        self._estimate.tick(now)
        self._estimate.want(0.0 if self._idle() else self._most)
        if self._probe is None and (cluster := self._estimate.probe(now)) is not None:
            self._probe = Probe(*cluster, first=self._number, begun=now)
            self._wake()

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._pass()

    def _pass(self) -> None:
        """Send the next packet, and come again when the one after it may leave."""
        probe = self._probe
        if probe is not None:
            size, rate = probe.packet, probe.bps
        elif self._waiting:
            size, rate = self._waiting.popleft(), PACE * self._estimate.bps
        else:
            self._asleep = True
            return
        now = self._clock.now
        packet = Packet(self._number, now, size, probe is not None)
        self._number += 1
        self._sent[packet.number] = packet
        self._estimate.left(now, size)
        self._there.post(packet, size)
        if probe is not None:
            count = self._number - probe.first
            if count >= 5 and count * size >= probe.bytes:
                self._estimate.probed(probe.begun, probe.bps, probe.first, packet.number)
                self._probe = None
        self._clock.at(now + size * 8 / rate, self._pass)

    def _arrived(self, packet: Packet) -> None:
        now = self._clock.now
        if not packet.padding:
            self.received.append((now, packet.size))
        if packet.number > self._told_to:
            self._came[packet.number] = now
            self._newest = max(self._newest, packet.number)

    def _tell(self) -> None:
        self._clock.at(self._clock.now + self._every, self._tell)
        if self._newest <= self._told_to:
            return
        fates: list[Fate] = []
        for number in range(self._told_to + 1, self._newest + 1):
            packet = self._sent.pop(number)
            fates.append((number, packet.sent, packet.size, self._came.pop(number, None)))
        self._told_to = self._newest
        self._back.post(fates, OVERHEAD + 2 * len(fates))

    def _told(self, fates: list[Fate]) -> None:
        self._estimate.told(self._clock.now, fates)
