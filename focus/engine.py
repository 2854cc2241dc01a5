"""The contract of a media engine, as a Protocol, and the choice of one.

An engine obeys a table of routes that the control plane computes. It decides nothing
that outlives a packet. `tests/contract/` is the suite that every engine must pass.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from focus.commands import Command, Counters, Event

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What an engine is built with."""

    addresses: tuple[str, ...] = ()
    "IP addresses to bind; empty means every address of the machine but loopback."
    announce: tuple[str, ...] = ()
    "Public addresses told to clients instead of the bound ones (1:1 NAT), same order."
    port_low: int = 0
    "First UDP port of the range, 0 for any."
    port_high: int = 0
    coalesce: float = 0.0
    "Milliseconds that packets may wait for others to leave with, at most 5. The native engine's affair."
    workers: int = 1
    "Threads that carry packets, at most 16; 0: one for each processor. The native engine's affair."


class Engine(Protocol):
    """What the control plane sees of an engine. All calls come from one event loop's thread."""

    @property
    def name(self) -> str:
        """As `choose` knows it: `native` or `python`."""

    @property
    def codecs(self) -> tuple[str, ...]:
        """The payload formats that it can forward, by their names in `focus.codecs`."""

    @property
    def wide(self) -> bool:
        """Whether it reads the transport-wide feedback of those that it sends to; it then numbers what it sends."""

    @property
    def fingerprint(self) -> tuple[str, str]:
        """Hash name and digest of our DTLS certificate, as SDP wants them: ("sha-256", "AA:BB:...")."""

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from the event loop, whenever events go from none to some."""

    def submit(self, commands: Sequence[Command]) -> None:
        """Carry out commands in order. Never raises for a peer's sake."""

    def drain(self) -> list[Event]:
        """Take all events so far: edges in order, then the newest of each level."""

    def counters(self) -> Counters:
        """Totals since start."""

    async def close(self) -> None:
        """End every peer and free every socket."""


def choose(name: str, settings: Settings) -> Engine:
    """Make the engine of that name: `native`, `python`, or `auto` for the fastest that is there.

    Must be called inside a running event loop. Raises `focus.native.Unavailable` for `native`
    where it is not built, and `OSError` when an address cannot be bound.
    """
    # Each engine is loaded only where it runs: aiortc takes most of a second.
    from focus.native import NativeEngine, Unavailable

    why = ""
    if name in ("native", "auto"):
        try:
            engine = NativeEngine(settings)
        except Unavailable as error:
            if name == "native":
                raise
            why = str(error)
        else:
            log.info("the native engine carries media")
            return engine
    from focus.reference.engine import ReferenceEngine

    log.info("the reference engine carries media%s", f": {why}" if why else "")
    return ReferenceEngine(settings, time.monotonic)
