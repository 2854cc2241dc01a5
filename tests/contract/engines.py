"""The engines that the contract holds for, and one engine on the test's side of the contract.

A `Side` sees what the control plane sees: it submits commands and reads drained events.
A new engine joins the suite by one line in `ENGINES`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, TypeVar

import pytest

from focus.commands import Command, Credentials, Drop, Event, Open, Reachable, Role
from focus.engine import Engine, Settings
from focus.native import NativeEngine, available
from focus.reference.engine import ReferenceEngine
from focus.vocabulary import PeerId

Make = Callable[[Settings], Engine]
E = TypeVar("E")

ENGINES = [pytest.param(lambda settings: ReferenceEngine(settings, time.monotonic), id="reference")]
if available():
    ENGINES.append(pytest.param(NativeEngine, id="native"))
SPANNING = list(ENGINES)
"The same, and one whose peers land on either of two workers, as the kernel deals them out."
if available():
    SPANNING.append(pytest.param(lambda settings: NativeEngine(replace(settings, workers=2)), id="native-2"))
LOOPBACK = Settings(addresses=("127.0.0.1",))


class Bell:
    """Wakes whoever waits for a condition, each time that something happened."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)

    async def until(self, condition: Callable[[], E], seconds: float, what: str) -> E:
        """Return the first truthy value of `condition`, looked at whenever the bell rings."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while not (value := condition()):
            future = loop.create_future()
            self._waiting.append(future)
            try:
                await asyncio.wait_for(future, max(0.0, deadline - loop.time()))
            except TimeoutError:
                raise AssertionError(f"after {seconds:g} s still not: {what}") from None
        return value


class Side:
    """One engine, everything it ever said, and what was asked of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.events: list[Event] = []
        self.bell = Bell()
        engine.listen(self._wake)

    def _wake(self) -> None:
        self.events += self.engine.drain()
        self.bell.ring()

    def submit(self, *commands: Command) -> None:
        self.engine.submit(commands)

    def all(self, kind: type[E], after: int = 0, **fields: Any) -> list[E]:
        """Events of a kind whose fields have these values, oldest first, from the `after`th event on."""
        return [
            event
            for event in self.events[after:]
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items())
        ]

    async def saw(self, kind: type[E], seconds: float = 5.0, after: int = 0, **fields: Any) -> E:
        """The first such event, waited for."""
        found = await self.bell.until(lambda: self.all(kind, after, **fields), seconds, f"{kind.__name__} {fields}")
        return found[0]

    def mark(self) -> int:
        """Where the log ends now, for `after`."""
        return len(self.events)

    async def counted(self, reason: Drop, count: int, seconds: float = 3.0) -> None:
        """Wait until so many were dropped for this reason, and no more: engines count in their own time."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while (found := self.dropped(reason)) != count:
            assert found < count and loop.time() < deadline, f"{found} dropped as {reason}, not {count}"
            await asyncio.sleep(0)

    def dropped(self, reason: Drop) -> int:
        """How often the engine dropped something for this reason."""
        return dict(self.engine.counters().drops).get(reason, 0)


@asynccontextmanager
async def side(make: Make, settings: Settings = LOOPBACK) -> AsyncIterator[Side]:
    """An engine that is closed at the end, whatever happened."""
    engine = make(settings)
    try:
        yield Side(engine)
    finally:
        await engine.close()


def credentials(name: str) -> Credentials:
    """Credentials that are well formed and, by their name, told apart in a failure."""
    return Credentials(f"u{name}"[:8].ljust(4, "x"), f"p{name}".ljust(24, "x"))


async def join(answerer: Side, caller: Side, near: PeerId, far: PeerId, sctp: bool = True) -> None:
    """Connect two engines: `near` is the peer's name at the answerer, `far` at the caller. Nothing is awaited
    but the answerer's addresses."""
    port = 5000 if sctp else None
    here, there = credentials(near), credentials(far)
    answerer.submit(Open(near, Role.ANSWERER, here, there, (caller.engine.fingerprint,), port))
    reachable = await answerer.saw(Reachable, peer=near)
    caller.submit(
        Open(far, Role.CALLER, there, here, (answerer.engine.fingerprint,), port, candidates=reachable.candidates)
    )
