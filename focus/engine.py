"""The contract of a media engine, as a Protocol, and the choice of one.

An engine obeys a table of routes that the control plane computes. It decides nothing
that outlives a packet. `tests/contract/` is the suite that every engine must pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from focus.commands import Command, Counters, Event


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


class Engine(Protocol):
    """What the control plane sees of an engine. All calls come from one event loop's thread."""

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
