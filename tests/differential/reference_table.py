"""The reference engine's table without transports: the law that other tables are compared with."""

from __future__ import annotations

from collections.abc import Sequence

from actions import Sent, Totals
from focus.commands import Close, Command, Drop, Event, Need, Open, Restart, Send
from focus.reference.counters import Tally
from focus.reference.rtp import is_rtcp
from focus.reference.session import Session
from focus.reference.table import Table
from focus.vocabulary import PeerId


class ReferenceTable:
    """See `actions.Table`."""

    def __init__(self) -> None:
        self._tally = Tally()
        self._table = Table(self._tally)
        self._peers: dict[PeerId, Session] = {}
        self._sent: list[Sent] = []

    def submit(self, now: float, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Open(peer):
                    if peer not in self._peers:
                        self._open(peer)
                case Close(peer):
                    self._peers.pop(peer, None)
                    if not self._table.close(peer):
                        self._tally.drop(Drop.UNKNOWN_PEER)
                case Send() | Restart():
                    raise TypeError("a table has no transports")
                case Need():
                    pass
                case _:
                    self._table.obey(command, now)

    def _open(self, peer: PeerId) -> None:
        def send(data: bytes) -> bool:
            if session.connected:
                self._sent.append((peer, "rtcp" if is_rtcp(data) else "rtp", data))
            return session.connected

        session = self._peers[peer] = self._table.open(peer, send)

    def connect(self, now: float, peer: PeerId) -> None:
        if peer in self._peers:
            self._peers[peer].connected = True

    def rtp(self, now: float, peer: PeerId, packet: bytes) -> None:
        if peer in self._peers:
            self._peers[peer].media(packet, now)

    def rtcp(self, now: float, peer: PeerId, compound: bytes) -> None:
        if peer in self._peers:
            self._peers[peer].control(compound, now)

    def tick(self, now: float) -> None:
        self._table.tick(now)

    def take(self) -> list[Sent]:
        sent, self._sent = self._sent, []
        return sent

    def drain(self) -> list[Event]:
        return self._table.drain()

    def totals(self) -> Totals:
        tally = self._tally
        drops = {str(reason): count for reason, count in tally.drops.items() if count}
        return drops | {"rtx_out": tally.rtx_out, "keyframe_requests": tally.keyframe_requests}
