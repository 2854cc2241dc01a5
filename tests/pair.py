"""The native engine and its callers on seeded wires, in virtual time: real ICE, DTLS, SRTP and SCTP, and no waiting.

A `Network` steps from one thing that is due to the next: a datagram arrives, or somebody's
timer is up. Each caller has a wire of its own in each direction, whose conditions a test
may change on the way.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from focus.commands import Candidate, Command, Credentials, Event, Open, Restart, Role
from focus.native import virtual
from focus.vocabulary import PeerId
from tests.wire import Conditions, Wire

if TYPE_CHECKING:
    from focus.native import _native

E = TypeVar("E")

HOME = ("192.0.2.1", 3478)
SCTP_PORT = 5000


def credentials(name: str, generation: int = 0) -> Credentials:
    """Well formed, and told apart by name and generation."""
    return Credentials(f"{name}{generation}frag", f"{name}{generation}".ljust(24, "x"))


class Far:
    """One caller, and its way to the engine."""

    def __init__(self, name: str, place: int, up: Conditions, down: Conditions, chance: random.Random) -> None:
        _, caller = virtual()
        self.peer = PeerId(name)
        self.address = (f"198.51.100.{place}", 40000)
        self.end: _native.Caller = caller(chance.getrandbits(63))
        self.up = Wire[bytes](up, chance)
        self.down = Wire[bytes](down, chance)
        self.events: list[Event] = []
        self.heard: list[tuple[float, str, bytes]] = []
        "Media that arrived: when, `rtp` or `rtcp`, and the packet."

    def all(self, kind: type[E]) -> list[E]:
        """Its events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]


class Network:
    """An engine, callers, and the time."""

    def __init__(self, seed: int) -> None:
        core, _ = virtual()
        self.chance = random.Random(seed)
        self.engine: _native.Core = core(*HOME, self.chance.getrandbits(63))
        self.now = 0.0
        self.callers: dict[tuple[str, int], Far] = {}
        self.events: list[Event] = []
        "The engine's."

    def call(self, name: str, up: Conditions, down: Conditions | None = None) -> Far:
        """Somebody dials over a wire of these conditions."""
        far = Far(name, len(self.callers) + 1, up, up if down is None else down, self.chance)
        self.callers[far.address] = far
        near, theirs = credentials("near" + name), credentials("far" + name)
        self.submit(Open(far.peer, Role.ANSWERER, near, theirs, (far.end.fingerprint,), SCTP_PORT))
        prints, home = (self.engine.fingerprint,), (Candidate(*HOME),)
        far.end.submit(
            self.now, [Open(far.peer, Role.CALLER, theirs, near, prints, SCTP_PORT, candidates=home)]
        )
        return far

    def restart(self, far: Far, generation: int) -> None:
        """Both ends take new ICE credentials, as after an offer and its answer."""
        near, theirs = (credentials(side + far.peer, generation) for side in ("near", "far"))
        self.submit(Restart(far.peer, near, theirs))
        far.end.submit(self.now, [Restart(far.peer, theirs, near, (Candidate(*HOME),))])

    def cut(self, far: Far) -> None:
        """From now on nothing passes, either way."""
        for wire in (far.up, far.down):
            wire.conditions = replace(wire.conditions, pattern=(True,))

    def heal(self, far: Far, conditions: Conditions) -> None:
        """Both ways are like this from now on."""
        far.up.conditions = far.down.conditions = conditions

    def submit(self, *commands: Command) -> None:
        """Have the engine carry out commands."""
        self.engine.submit(self.now, commands)

    def run(self, seconds: float) -> None:
        """Let so much time pass."""
        until = self.now + seconds
        self._exchange()
        while (at := self._next()) <= until:
            self.now = max(self.now, at)
            self._step()
        self.now = until

    def until(self, condition: Callable[[], object], seconds: float) -> None:
        """Let time pass until `condition` holds. Raises `AssertionError` when it does not in so many seconds."""
        until = self.now + seconds
        self._exchange()
        while not condition():
            at = self._next()
            assert at <= until, f"not within {seconds:g} s; the engine said {self.events}"
            self.now = max(self.now, at)
            self._step()

    def all(self, kind: type[E]) -> list[E]:
        """The engine's events of a kind."""
        return [event for event in self.events if isinstance(event, kind)]

    def _next(self) -> float:
        """When something is due."""
        due = [self.engine.deadline()]
        for far in self.callers.values():
            due += [far.end.deadline(), far.up.next, far.down.next]
        return min((at for at in due if at is not None), default=float("inf"))

    def _step(self) -> None:
        """Do all that is due now."""
        for far in self.callers.values():
            for datagram in far.up.due(self.now):
                self.engine.receive(self.now, *far.address, datagram)
            for datagram in far.down.due(self.now):
                far.end.receive(self.now, *HOME, datagram)
            if _due(far.end.deadline(), self.now):
                far.end.tick(self.now)
        if _due(self.engine.deadline(), self.now):
            self.engine.tick(self.now)
        self._exchange()

    def _exchange(self) -> None:
        """Put what was sent on the wires, and write down what was said."""
        for host, port, datagram in self.engine.take():
            far = self.callers.get((host, port))
            if far is not None:
                far.down.send(self.now, datagram, len(datagram))
        self.events += self.engine.drain()
        for far in self.callers.values():
            for host, port, datagram in far.end.take():
                if (host, port) == HOME:
                    far.up.send(self.now, datagram, len(datagram))
            far.events += far.end.drain()
            far.heard += [(self.now, kind, packet) for kind, packet in far.end.heard()]


def _due(at: float | None, now: float) -> bool:
    # What is due a few nanoseconds from now is due: times cross into the engine as binary fractions.
    return at is not None and at <= now + 1e-9
