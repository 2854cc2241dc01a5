"""What can happen to an engine's table in a scenario, and what it then did: plain values.

`Table` is the shape that every side of the comparison has; `play` runs a scenario on one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from focus.commands import Command, Event
from focus.vocabulary import PeerId
from media_bytes import nack, receiver_report


@dataclass(frozen=True, slots=True)
class Submit:
    """The control plane says something."""

    command: Command


@dataclass(frozen=True, slots=True)
class Connect:
    """A peer's transport is up."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Media:
    """A decrypted RTP packet arrives."""

    peer: PeerId
    packet: bytes


@dataclass(frozen=True, slots=True)
class Control:
    """A decrypted compound RTCP packet arrives."""

    peer: PeerId
    compound: bytes


@dataclass(frozen=True, slots=True)
class Miss:
    """A subscriber asks for packets again: those so many before the newest that it was sent on an SSRC."""

    peer: PeerId
    ssrc: int
    back: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Tick:
    """The engine's timer."""


Action = Submit | Connect | Media | Control | Miss | Tick
Timed = tuple[float, Action]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Everything that happens, in order of time."""

    seed: int
    actions: tuple[Timed, ...]


Sent = tuple[PeerId, str, bytes]
"To whom, `rtp` or `rtcp`, and what."
Totals = dict[str, int]
"Packets that went no further, by reason, and what else an engine counts."


class Table(Protocol):
    """An engine's table without transports. `now` in seconds; time never goes back."""

    def submit(self, now: float, commands: Sequence[Command]) -> None: ...
    def connect(self, now: float, peer: PeerId) -> None: ...
    def rtp(self, now: float, peer: PeerId, packet: bytes) -> None: ...
    def rtcp(self, now: float, peer: PeerId, compound: bytes) -> None: ...
    def tick(self, now: float) -> None: ...

    def take(self) -> list[Sent]:
        """What was sent since the last call, in order."""

    def drain(self) -> list[Event]:
        """As `Engine.drain`."""

    def totals(self) -> Totals: ...


@dataclass(frozen=True, slots=True)
class Step:
    """What a table did upon one action."""

    sent: list[Sent]
    events: list[Event]
    totals: Totals | None
    "So far; with ticks only."


def play(actions: Iterable[Timed], table: Table) -> list[Step]:
    """Carry out a scenario. What subscribers miss must have been made concrete before."""
    steps = []
    for now, action in actions:
        match action:
            case Media(peer, packet):
                table.rtp(now, peer, packet)
            case Tick():
                table.tick(now)
            case Control(peer, compound):
                table.rtcp(now, peer, compound)
            case Submit(command):
                table.submit(now, (command,))
            case Connect(peer):
                table.connect(now, peer)
            case Miss():
                raise TypeError("a miss is a NACK only for a table that has sent something: `record` first")
        steps.append(Step(table.take(), table.drain(), table.totals() if isinstance(action, Tick) else None))
    return steps


def record(scenario: Scenario, table: Table) -> tuple[list[Timed], list[Step]]:
    """Play on the table that is the law; return also the actions with its subscribers' NACKs as bytes."""
    newest: dict[tuple[PeerId, int], int] = {}
    concrete: list[Timed] = []
    steps: list[Step] = []
    for now, action in scenario.actions:
        if isinstance(action, Miss):
            last = newest.get((action.peer, action.ssrc), 0)
            wanted = [last - back & 0xFFFF for back in action.back]
            action = Control(action.peer, receiver_report(1) + nack(1, action.ssrc, *wanted))
        concrete.append((now, action))
        steps += play(concrete[-1:], table)
        for peer, kind, data in steps[-1].sent:
            if kind == "rtp":
                sequence, _, ssrc = struct.unpack_from("!HII", data, 2)
                newest[peer, ssrc] = sequence
    return concrete, steps
