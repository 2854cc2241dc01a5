"""The reference engine: commands in, events out, everything per packet below.

It gives each peer of the table a transport, and the table a clock. What commands do to
tracks and routes is in `table.py`, what a packet does in `session.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiortc import RTCCertificate

from focus.commands import (
    Candidate,
    Close,
    Command,
    Connected,
    Counters,
    Drop,
    Event,
    Loss,
    Lost,
    Message,
    Need,
    Open,
    Opened,
    Reachable,
    Restart,
    Send,
)
from focus.engine import Settings
from focus.reference.counters import Tally
from focus.reference.session import Session
from focus.reference.table import TICK, Table
from focus.reference.transport import Transport
from focus.vocabulary import PeerId


@dataclass(slots=True)
class Peer:
    """A peer: its transport and its media. It is what the transport reports to."""

    command: Open
    engine: ReferenceEngine
    session: Session
    transport: Transport | None = None

    def reachable(self, candidates: tuple[Candidate, ...]) -> None:
        self.engine.emit(Reachable(self.command.peer, candidates))

    def connected(self) -> None:
        self.session.connected = True
        self.engine.emit(Connected(self.command.peer))

    def opened(self) -> None:
        self.engine.emit(Opened(self.command.peer))

    def message(self, text: str) -> None:
        self.engine.emit(Message(self.command.peer, text))

    def media(self, data: bytes, control: bool) -> None:
        now = self.engine.clock()
        if control:
            self.session.control(data, now)
        else:
            self.session.media(data, now)

    def lost(self, loss: Loss) -> None:
        self.engine.lose(self.command.peer, loss)


class ReferenceEngine:
    """See `focus.engine.Engine`. Must be made inside a running event loop."""

    codecs = ("opus", "vp8")
    wide = False

    name = "python"

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self._certificate = RTCCertificate.generateCertificate()
        self._tally = Tally()
        self._table = Table(self._tally)
        self._peers: dict[PeerId, Peer] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._timer = asyncio.get_running_loop().create_task(self._run())

    @property
    def fingerprint(self) -> tuple[str, str]:
        """SHA-256 of the certificate made for this process; its key is never written down (security D9)."""
        first = self._certificate.getFingerprints()[0]
        return first.algorithm, first.value

    def listen(self, wake: Callable[[], None]) -> None:
        """Set whom to wake."""
        self._table.wake = wake

    def emit(self, event: Event) -> None:
        """Queue what a transport reports."""
        self._table.emit(event)

    def drain(self) -> list[Event]:
        """Take everything queued."""
        return self._table.drain()

    def counters(self) -> Counters:
        """Totals since start."""
        return self._tally.frozen()

    def submit(self, commands: Sequence[Command]) -> None:
        """Carry out commands in order; one that names what is gone is counted."""
        for command in commands:
            match command:
                case Open():
                    self._open(command)
                case Close():
                    if not self._close(command.peer):
                        self._tally.drop(Drop.UNKNOWN_PEER)
                case Send() | Restart():
                    self._to_transport(command)
                case Need():
                    # Nothing asks the link for more here.
                    if command.peer not in self._peers:
                        self._tally.drop(Drop.UNKNOWN_PEER)
                case _:
                    self._table.obey(command, self.clock())

    def _open(self, command: Open) -> None:
        if command.peer in self._peers:
            return
        session = self._table.open(command.peer, lambda data: self._send(command.peer, data))
        peer = self._peers[command.peer] = Peer(command, self, session)
        peer.transport = Transport(command, self.settings, self._certificate, self._tally, peer)

    def _send(self, peer: PeerId, data: bytes) -> bool:
        found = self._peers.get(peer)
        return found is not None and found.transport is not None and found.transport.send_media(data)

    def _to_transport(self, command: Send | Restart) -> None:
        peer = self._peers.get(command.peer)
        if peer is None or peer.transport is None:
            self._tally.drop(Drop.UNKNOWN_PEER)
        elif isinstance(command, Send):
            peer.transport.say(command.text)
        else:
            peer.transport.restart(command.local, command.remote, command.candidates)

    def _close(self, name: PeerId) -> bool:
        peer = self._peers.pop(name, None)
        if peer is None:
            return False
        self._table.close(name)
        if peer.transport is not None:
            task = asyncio.get_running_loop().create_task(peer.transport.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return True

    def lose(self, name: PeerId, loss: Loss) -> None:
        """A transport ended by itself: free the peer, then say so."""
        if self._close(name):
            self.emit(Lost(name, loss))

    async def _run(self) -> None:
        """The engine's only timer."""
        while True:
            await asyncio.sleep(TICK)
            self._table.tick(self.clock())

    async def close(self) -> None:
        """End every peer and free every socket."""
        self._timer.cancel()
        for name in list(self._peers):
            self._close(name)
        if self._closing:
            await asyncio.wait(list(self._closing))
