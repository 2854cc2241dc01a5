"""The table that commands make: peers, their tracks, the routes between them, and the beat of every timer.

It obeys the commands about media, queues the events, and calls each peer's session when its
time has come. It touches no socket and no clock: a peer is opened with a way to send to it, and
`now` is an argument. So the oracle of the differential test runs it as it stands.
"""

from __future__ import annotations

from collections.abc import Callable

from focus.commands import (
    Drop,
    Estimate,
    Event,
    Expect,
    Forget,
    Keyframe,
    Levels,
    Rates,
    Route,
    SetLayer,
    Switched,
    Unroute,
)
from focus.reference.counters import Tally
from focus.reference.route import Forward
from focus.reference.session import Session
from focus.reference.source import Track
from focus.vocabulary import PeerId, RouteId, TrackId

TICK = 0.02
"Seconds between looks at what is missing; other timers are multiples."
FEEDBACK, SECOND = 3, 50
"Ticks between transport-wide feedback, and what happens once a second."


class Table:
    """Who publishes what, and who gets it."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.wake: Callable[[], None] = lambda: None
        "Called when the first event is queued."
        self._sessions: dict[PeerId, Session] = {}
        self._tracks: dict[TrackId, tuple[Session, Track]] = {}
        self._routes: dict[RouteId, Forward] = {}
        self._edges: list[Event] = []
        self._levels: dict[tuple[type[Event], str], Event] = {}
        self._beat = 0
        self._turns: dict[PeerId, int] = {}
        "How many peers were opened before each: when in a second it is told of what it gets."
        self._opened = 0

    # Events.

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
            self.wake()

    def drain(self) -> list[Event]:
        """Take everything queued."""
        events = [*self._edges, *self._levels.values()]
        self._edges, self._levels = [], {}
        return events

    def _silence(self, name: str) -> None:
        """Take back the levels of a peer or track that is gone."""
        for key in [key for key in self._levels if key[1] == name]:
            del self._levels[key]

    # Peers.

    def open(self, name: PeerId, send: Callable[[bytes], bool]) -> Session:
        """Add a peer; `send` is its session's way out."""
        session = Session(name, self.tally, self.emit, send)
        session.neighbours = self._sessions.get
        self._sessions[name] = session
        self._turns[name] = self._opened
        self._opened += 1
        return session

    def close(self, name: PeerId) -> bool:
        """Free all that a peer had. False if it is not there."""
        session = self._sessions.pop(name, None)
        if session is None:
            return False
        del self._turns[name]
        for route in [r for r in self._routes.values() if r.route.peer == name]:
            self._unroute(route.route.route)
        for track in [t for t, (owner, _) in self._tracks.items() if owner is session]:
            self._forget(track)
        self._silence(name)
        return True

    # Commands.

    def obey(self, command: Expect | Forget | Route | Unroute | SetLayer | Keyframe, now: float) -> None:
        """Carry out a command; one that names what is gone is counted."""
        if not self._obey(command, now):
            self.tally.drop(Drop.UNKNOWN_PEER)

    def _obey(self, command: Expect | Forget | Route | Unroute | SetLayer | Keyframe, now: float) -> bool:
        match command:
            case Expect():
                return self._expect(command)
            case Forget():
                return self._forget(command.track)
            case Route():
                return self._route(command)
            case Unroute():
                return self._unroute(command.route)
            case SetLayer():
                return self._aim(command, now)
            case Keyframe():
                found = self._tracks.get(command.track)
                layer = found[1].layers.get(command.layer) if found else None
                if layer is not None:
                    layer.ask()
                return found is not None

    def _expect(self, command: Expect) -> bool:
        session = self._sessions.get(command.peer)
        if session is None:
            return False
        found = self._tracks.get(command.track)
        if found is not None:
            found[0].tracks.pop(found[1].expect.mid, None)
            found[1].configure(command)
            found[0].tracks[command.mid] = found[1]
            return True
        track = Track(command)
        self._tracks[command.track] = (session, track)
        session.tracks[command.mid] = track
        return True

    def _forget(self, name: TrackId) -> bool:
        found = self._tracks.pop(name, None)
        if found is None:
            return False
        session, track = found
        for route in list(track.routes):
            self._unroute(route.route.route)
        session.forget(track)
        self._silence(name)
        return True

    def _route(self, command: Route) -> bool:
        found, sink = self._tracks.get(command.track), self._sessions.get(command.peer)
        if found is None or sink is None:
            return False
        known = self._routes.get(command.route)
        if known is not None:
            known.configure(command)
            return True
        route = Forward(command, found[0].peer)
        self._routes[command.route] = route
        found[1].routes.append(route)
        sink.sinks[command.ssrc] = route
        return True

    def _unroute(self, name: RouteId) -> bool:
        route = self._routes.pop(name, None)
        if route is None:
            return False
        found = self._tracks.get(route.route.track)
        if found is not None and route in found[1].routes:
            found[1].routes.remove(route)
        sink = self._sessions.get(route.route.peer)
        if sink is not None:
            sink.sinks.pop(route.route.ssrc, None)
        return True

    def _aim(self, command: SetLayer, now: float) -> bool:
        route = self._routes.get(command.route)
        if route is None:
            return False
        if route.aim(command.layer, command.spatial, command.temporal):
            self.emit(Switched(command.route, None))
        found = self._tracks.get(route.route.track)
        if found is not None:
            # At once, not at the next tick: a person waits for this picture.
            awaited = route.waiting_for(found[1].layers)
            if awaited is not None:
                awaited.ask()
                found[0].request_keyframes(now)
        return True

    # Timers.

    def tick(self, now: float) -> None:
        """Every `TICK`: each session does what is due."""
        self._beat += 1
        for name, session in list(self._sessions.items()):
            session.tick(now)
            if self._beat % FEEDBACK == 0:
                session.feedback()
            session.levels(self._beat)
            if self._beat % SECOND == 0:
                session.second(now)
            if (self._beat + self._turns[name]) % SECOND == 0:
                session.report_all(now)
