"""An engine as its contract has it, without media: the table of peers, tracks and routes that commands make.

It checks that every command is legal where it comes and answers `Open` and `Restart` with
an address. What `changes` makes of two plans is held against it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from focus.commands import (
    Candidate,
    Close,
    Command,
    Counters,
    Event,
    Expect,
    Forget,
    Keyframe,
    Need,
    Open,
    Reachable,
    Restart,
    Route,
    Send,
    SetLayer,
    Unroute,
)
from focus.vocabulary import PeerId, Rid, RouteId, TrackId

ADDRESS = (Candidate("192.0.2.1", 4000),)


@dataclass(slots=True)
class Table:
    """See `focus.engine.Engine`."""

    name = "table"
    codecs = ("opus", "vp8", "vp9", "h264", "av1")
    wide = False

    peers: dict[PeerId, Open] = field(default_factory=dict)
    restarts: dict[PeerId, Restart] = field(default_factory=dict)
    tracks: dict[TrackId, Expect] = field(default_factory=dict)
    routes: dict[RouteId, Route] = field(default_factory=dict)
    layers: dict[RouteId, Rid | None] = field(default_factory=dict)
    parts: dict[RouteId, tuple[int | None, int | None]] = field(default_factory=dict)
    needs: dict[PeerId, int] = field(default_factory=dict)
    sent: list[Send] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    used: set[RouteId] = field(default_factory=set)
    ssrcs: set[tuple[PeerId, int]] = field(default_factory=set)
    "Of every route there ever was to a peer that is here: one number sealed twice is one GCM nonce used twice."
    wake: Callable[[], None] = lambda: None
    closed: bool = False
    gathering: bool = False
    "It does not know its addresses yet."

    fingerprint: tuple[str, str] = ("sha-256", ":".join(["0F"] * 32))

    def listen(self, wake: Callable[[], None]) -> None:
        self.wake = wake

    def drain(self) -> list[Event]:
        events, self.events = self.events, []
        return events

    def say(self, *events: Event) -> None:
        """Something happens at the engine."""
        self.events += events
        self.wake()

    def carrying(self) -> set[str]:
        """The sinks' lines on which something is forwarded."""
        return {route.mid for number, route in self.routes.items() if self.layers[number] is not None}

    def counters(self) -> Counters:
        return Counters(0, 0, 0, 0, 0, 0, ())

    async def close(self) -> None:
        self.closed = True

    def submit(self, commands: Sequence[Command]) -> None:
        for command in commands:
            self._obey(command)

    def _gathered(self, peer: PeerId) -> None:
        if not self.gathering:
            self.events.append(Reachable(peer, ADDRESS))

    def _obey(self, command: Command) -> None:
        match command:
            case Open():
                assert command.peer not in self.peers, "opened twice"
                self.peers[command.peer] = command
                self._gathered(command.peer)
            case Restart():
                assert command.peer in self.peers
                self.restarts[command.peer] = command
                self._gathered(command.peer)
            case Close():
                del self.peers[command.peer]
                self.ssrcs = {used for used in self.ssrcs if used[0] != command.peer}
                self.restarts.pop(command.peer, None)
                self.needs.pop(command.peer, None)
                assert not [t for t in self.tracks.values() if t.peer == command.peer], "its tracks go first"
                assert not [r for r in self.routes.values() if r.peer == command.peer], "its routes go first"
            case Expect():
                assert command.peer in self.peers
                self.tracks[command.track] = command
            case Forget():
                del self.tracks[command.track]
                assert not [r for r in self.routes.values() if r.track == command.track], "routes go before tracks"
            case Route():
                assert command.peer in self.peers and command.track in self.tracks
                known = self.routes.pop(command.route, None)
                if known is not None:
                    assert (known.track, known.peer, known.ssrc) == (command.track, command.peer, command.ssrc)
                    self.routes[command.route] = command
                    return
                assert command.route not in self.used, "a route's number, like its SSRC, is used once"
                ssrcs = {(command.peer, ssrc) for ssrc in (command.ssrc, command.rtx_ssrc) if ssrc is not None}
                assert not ssrcs & self.ssrcs, "and an SSRC begins once under one key"
                assert command.mid not in {r.mid for r in self.routes.values() if r.peer == command.peer}
                self.used.add(command.route)
                self.ssrcs |= ssrcs
                self.routes[command.route] = command
            case Unroute():
                del self.routes[command.route]
                self.layers.pop(command.route, None)
                self.parts.pop(command.route, None)
            case SetLayer():
                assert command.route in self.routes
                self.layers[command.route] = command.layer
                self.parts[command.route] = (command.spatial, command.temporal)
            case Keyframe():
                assert command.track in self.tracks
            case Need():
                assert command.peer in self.peers
                self.needs[command.peer] = command.bps
            case Send():
                self.sent.append(command)
