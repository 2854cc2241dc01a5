"""The reference engine: commands in, events out, everything per packet below.

It keeps the table of peers, tracks and routes that the control plane commands, wakes the
listener, and drives the timers. What a packet does is in `session.py`.
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
    Estimate,
    Event,
    Expect,
    Forget,
    Keyframe,
    Levels,
    Loss,
    Lost,
    Message,
    Open,
    Opened,
    Rates,
    Reachable,
    Restart,
    Route,
    Send,
    SetLayer,
    Switched,
    Unroute,
)
from focus.engine import Settings
from focus.reference.counters import Tally
from focus.reference.route import Forward
from focus.reference.session import Session
from focus.reference.source import Track
from focus.reference.transport import Transport
from focus.vocabulary import PeerId, RouteId, TrackId

TICK = 0.02
"Seconds between looks at what is missing; other timers are multiples."


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

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings = settings
        self.clock = clock
        self._certificate = RTCCertificate.generateCertificate()
        self._tally = Tally()
        self._peers: dict[PeerId, Peer] = {}
        self._tracks: dict[TrackId, tuple[Session, Track]] = {}
        self._routes: dict[RouteId, Forward] = {}
        self._edges: list[Event] = []
        self._levels: dict[tuple[type[Event], str], Event] = {}
        self._wake: Callable[[], None] = lambda: None
        self._closing: set[asyncio.Task[None]] = set()
        self._timer = asyncio.get_running_loop().create_task(self._run())

    @property
    def fingerprint(self) -> tuple[str, str]:
        """SHA-256 of the certificate made for this process; its key is never written down (security D9)."""
        first = self._certificate.getFingerprints()[0]
        return first.algorithm, first.value

    def listen(self, wake: Callable[[], None]) -> None:
        """Set whom to wake."""
        self._wake = wake

    def emit(self, event: Event) -> None:
        """Queue an event: edges in order, levels the newest only."""
        empty = not self._edges and not self._levels
        match event:
            case Estimate():
                self._levels[type(event), event.peer] = event
            case Rates() | Levels():
                self._levels[type(event), event.track] = event
            case _:
                self._edges.append(event)
        if empty:
            self._wake()

    def drain(self) -> list[Event]:
        """Take everything queued."""
        events = [*self._edges, *self._levels.values()]
        self._edges, self._levels = [], {}
        return events

    def counters(self) -> Counters:
        """Totals since start."""
        return self._tally.frozen()

    def submit(self, commands: Sequence[Command]) -> None:
        """Carry out commands in order; one that names what is gone is counted."""
        for command in commands:
            if not self._obey(command):
                self._tally.drop(Drop.UNKNOWN_PEER)

    def _obey(self, command: Command) -> bool:
        match command:
            case Open():
                return self._open(command)
            case Close():
                return self._close(command.peer)
            case Expect():
                return self._expect(command)
            case Forget():
                return self._forget(command.track)
            case Route():
                return self._route(command)
            case Unroute():
                return self._unroute(command.route)
            case SetLayer():
                return self._aim(command)
            case Keyframe():
                found = self._tracks.get(command.track)
                layer = found[1].layers.get(command.layer) if found else None
                if layer is not None:
                    layer.ask()
                return found is not None
            case Send() | Restart():
                peer = self._peers.get(command.peer)
                if peer is None or peer.transport is None:
                    return False
                if isinstance(command, Send):
                    peer.transport.say(command.text)
                else:
                    peer.transport.restart(command.local, command.remote, command.candidates)
                return True

    def _open(self, command: Open) -> bool:
        if command.peer in self._peers:
            return True
        session = Session(command.peer, self._tally, self.emit, lambda data: self._send(command.peer, data))
        session.neighbours = self._session
        peer = self._peers[command.peer] = Peer(command, self, session)
        peer.transport = Transport(command, self.settings, self._certificate, self._tally, peer)
        return True

    def _send(self, peer: PeerId, data: bytes) -> bool:
        found = self._peers.get(peer)
        return found is not None and found.transport is not None and found.transport.send_media(data)

    def _session(self, peer: PeerId) -> Session | None:
        found = self._peers.get(peer)
        return found.session if found else None

    def _close(self, name: PeerId) -> bool:
        peer = self._peers.pop(name, None)
        if peer is None:
            return False
        for route in [r for r in self._routes.values() if r.route.peer == name]:
            self._unroute(route.route.route)
        for track in [t for t, (session, _) in self._tracks.items() if session is peer.session]:
            self._forget(track)
        for key in [key for key in self._levels if key[1] == name]:
            del self._levels[key]
        if peer.transport is not None:
            task = asyncio.get_running_loop().create_task(peer.transport.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        return True

    def lose(self, name: PeerId, loss: Loss) -> None:
        """A transport ended by itself: free the peer, then say so."""
        if self._close(name):
            self.emit(Lost(name, loss))

    def _expect(self, command: Expect) -> bool:
        peer = self._peers.get(command.peer)
        if peer is None:
            return False
        found = self._tracks.get(command.track)
        if found is not None:
            found[0].tracks.pop(found[1].expect.mid, None)
            found[1].configure(command)
            found[0].tracks[command.mid] = found[1]
            return True
        track = Track(command)
        self._tracks[command.track] = (peer.session, track)
        peer.session.tracks[command.mid] = track
        return True

    def _forget(self, name: TrackId) -> bool:
        found = self._tracks.pop(name, None)
        if found is None:
            return False
        session, track = found
        for route in list(track.routes):
            self._unroute(route.route.route)
        session.forget(track)
        for key in [key for key in self._levels if key[1] == name]:
            del self._levels[key]
        return True

    def _route(self, command: Route) -> bool:
        found, sink = self._tracks.get(command.track), self._peers.get(command.peer)
        if found is None or sink is None:
            return False
        known = self._routes.get(command.route)
        if known is not None:
            known.configure(command)
            return True
        route = Forward(command, found[0].peer)
        self._routes[command.route] = route
        found[1].routes.append(route)
        sink.session.sinks[command.ssrc] = route
        return True

    def _unroute(self, name: RouteId) -> bool:
        route = self._routes.pop(name, None)
        if route is None:
            return False
        found = self._tracks.get(route.route.track)
        if found is not None and route in found[1].routes:
            found[1].routes.remove(route)
        sink = self._peers.get(route.route.peer)
        if sink is not None:
            sink.session.sinks.pop(route.route.ssrc, None)
        return True

    def _aim(self, command: SetLayer) -> bool:
        route = self._routes.get(command.route)
        if route is None:
            return False
        if route.aim(command.layer):
            self.emit(Switched(command.route, None))
        found = self._tracks.get(route.route.track)
        if found is not None:
            # At once, not at the next tick: a person waits for this picture.
            awaited = route.waiting_for(found[1].layers)
            if awaited is not None:
                awaited.ask()
                found[0].request_keyframes(self.clock())
        return True

    async def _run(self) -> None:
        """The engine's only timer."""
        beat = 0
        while True:
            await asyncio.sleep(TICK)
            now = self.clock()
            beat += 1
            for peer in list(self._peers.values()):
                peer.session.tick(now)
                if beat % 3 == 0:
                    peer.session.feedback()
                if beat % 10 == 0:
                    peer.session.levels()
                if beat % 50 == 0:
                    peer.session.second(now)

    async def close(self) -> None:
        """End every peer and free every socket."""
        self._timer.cancel()
        for name in list(self._peers):
            self._close(name)
        if self._closing:
            await asyncio.wait(list(self._closing))
