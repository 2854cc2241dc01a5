"""The native engine's table without transports, which is compared with the law."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from actions import Sent, Totals
from focus.commands import Command, Event
from focus.native import table
from focus.vocabulary import PeerId

fresh = cache(table)
"Asked once, since it reads all sources."


class NativeTable:
    """See `actions.Table`. Raises `focus.native.Unavailable` where the module is not built."""

    def __init__(self) -> None:
        self._table = fresh()()

    def submit(self, now: float, commands: Sequence[Command]) -> None:
        self._table.submit(now, commands)

    def connect(self, now: float, peer: PeerId) -> None:
        self._table.connect(peer)

    def rtp(self, now: float, peer: PeerId, packet: bytes) -> None:
        self._table.rtp(now, peer, packet)

    def rtcp(self, now: float, peer: PeerId, compound: bytes) -> None:
        self._table.rtcp(now, peer, compound)

    def tick(self, now: float) -> None:
        self._table.tick(now)

    def take(self) -> list[Sent]:
        return list[Sent](self._table.take())

    def drain(self) -> list[Event]:
        return self._table.drain()

    def totals(self) -> Totals:
        return self._table.totals()
