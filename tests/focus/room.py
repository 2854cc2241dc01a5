"""One conference in virtual time, with callers like a participant and an engine without media."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from roster import CountedNames
from table import Table

from bench.participants import sdp
from focus.commands import Appeared, Connected, Event, Levels, Opened
from focus.conference import Running
from focus.limits import Limits
from focus.snapshot import Peer
from focus.vocabulary import (
    SINGLE,
    Alive,
    Answer,
    Answered,
    Asked,
    ConferenceId,
    Demand,
    Description,
    Join,
    Kind,
    Offer,
    Offered,
    Owner,
    PeerId,
    Ping,
    Purpose,
    Rid,
    Selected,
    Stream,
    Ticked,
    Told,
    TrackId,
    Want,
    Wanted,
)


def settled(told: list[Told]) -> list[Told]:
    """What was told of sessions and streams; what a publisher is asked to send is another matter."""
    return [effect for effect in told if not isinstance(effect, Demand)]


@dataclass(slots=True)
class Room:
    """A conference at work, its engine, and all that was told."""

    limits: Limits = field(default_factory=lambda: Limits(rest_hold=math.inf))
    "Callers say nothing of what they are asked to send, and keep their lines all the same."
    codecs: tuple[str, ...] = ("opus", "vp8")
    wide: bool = False
    now: float = 1000.0
    faults: Counter[str] = field(default_factory=Counter)
    engine: Table = field(default_factory=Table)
    told: list[Told] = field(default_factory=list)
    callers: dict[str, Caller] = field(default_factory=dict)
    running: Running = field(init=False)

    def __post_init__(self) -> None:
        name = ConferenceId("room")
        self.running = Running(name, self.limits, self.codecs, CountedNames(), self.engine.fingerprint, 1, self.wide)

    def post(self, *events: Asked | Event) -> list[Told]:
        """Let something happen, and all that the engine answers; what was told meanwhile is returned."""
        told: list[Told] = []
        pending: list[Asked | Event] = list(events)
        while pending:
            for event in pending:
                self.running.post(event)
            for effect in self.running.work(self.now, self.faults):
                if isinstance(effect, Told):
                    told.append(effect)
                else:
                    self.engine.submit((effect,))
            pending = [*self.engine.drain()]
        self.told += told
        return told

    def wait(self, seconds: float) -> list[Told]:
        """Let time pass, looking at deadlines as the switchboard does; callers answer what they are told."""
        told: list[Told] = []
        end = self.now + seconds
        while self.now < end:
            self.now = min(end, self.now + 0.25)
            now = self.post(Ticked())
            for caller in self.callers.values():
                now = caller.hear(now)
            told += now
        return told

    def peer(self, name: str) -> Peer:
        return self.running.conference.peers[PeerId(name)]

    def in_step(self) -> bool:
        """Whether each peer has what was published as one stream on lines of one stream, and nothing else there.
        That is what a browser plays together."""
        tracks = self.running.conference.tracks
        for peer in self.running.conference.peers.values():
            uses = [slot.use for slot in peer.slots if slot.use is not None and slot.use.track in tracks]
            ways = {(tracks[use.track].stream, use.stream) for use in uses}
            if any(len({*side}) != len(ways) for side in zip(*ways, strict=True)):
                return False
        return True

    def track(self, name: str, mid: str) -> TrackId:
        """The id of what a caller publishes on a line of its own."""
        peers = self.running.conference.of(PeerId(name))
        return next(track.id for track in peers if track.mid == mid)


@dataclass(slots=True)
class Caller:
    """A client that dials in, answers what it is offered and says that it lives."""

    room: Room
    name: str
    version: int = 1
    answering: bool = True
    "Whether it answers offers."
    alive: bool = True
    "Whether it answers pings."
    tells: bool = True
    "Whether it knows transport-wide feedback."
    local: sdp.Local = field(init=False)
    sections: tuple[sdp.Section, ...] = ()
    "The session as the focus described it last."
    offers: list[sdp.Remote] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room.callers[self.name] = self
        name = self.name
        self.local = sdp.Local(
            f"{name}ufrag", f"{name}password".ljust(24, "x"), "sha-256 " + ":".join(["AB"] * 32),
            f"{name}-stream", f"{name}-audio", f"{name}-video", 1234, "cname",
        )  # fmt: skip

    @property
    def peer(self) -> PeerId:
        return PeerId(self.name)

    @property
    def owner(self) -> Owner:
        return Owner(f"@{self.name}:example.org", "DEVICE")

    @property
    def stream(self) -> Stream:
        """Its metadata."""
        tracks = (
            Description(self.local.audio, Kind.AUDIO),
            Description(self.local.video, Kind.VIDEO, 1280, 720),
        )
        return Stream(self.local.stream, self.owner, Purpose.USERMEDIA, False, False, tracks)

    def dial(self) -> list[Told]:
        """Send the first offer."""
        text = self.known(sdp.offer(self.local))
        return self.hear(self.room.post(Join(self.peer, self.owner, text, (self.stream,))))

    def known(self, text: str) -> str:
        """A description in the words that it knows."""
        lines = text.split("\r\n")
        return "\r\n".join(line for line in lines if self.tells or "transport-" not in line)

    def join(self) -> Caller:
        """Come in and be connected, with a data channel and the answer applied."""
        self.dial()
        self.hear(self.room.post(Connected(self.peer), Opened(self.peer), Selected(self.peer)))
        return self

    def flow(self, *rids: str) -> None:
        """Its media flows: sound, and these layers of its camera."""
        sizes = {"f": (1280, 720), "h": (640, 360), "q": (320, 180)}
        track = self.room.track(self.name, "1")
        self.room.post(*[Appeared(track, Rid(rid), *sizes[rid]) for rid in rids])

    def sound(self) -> None:
        """Its microphone is heard."""
        self.room.post(Appeared(self.room.track(self.name, "0"), SINGLE, 0, 0))

    def want(self, other: Caller, width: int = 0, height: int = 0, pinned: bool = False) -> list[Told]:
        """Subscribe to somebody's microphone and camera."""
        wants = (
            Want(other.local.stream, other.local.audio),
            Want(other.local.stream, other.local.video, width, height, pinned),
        )
        return self.hear(self.room.post(Wanted(self.peer, wants, ())))

    def speak(self, seconds: float = 3.0) -> None:
        """Talk until the floor is taken."""
        track, recent = self.room.track(self.name, "0"), bytes((60, 60, *[105] * 8)) * 5
        for _ in range(int(seconds / 0.3)):
            self.room.now += 0.3
            self.room.post(Levels(track, recent[-1], recent))

    def unwant(self, other: Caller) -> list[Told]:
        stream = other.local.stream
        gone = ((stream, other.local.audio), (stream, other.local.video))
        return self.hear(self.room.post(Wanted(self.peer, (), gone)))

    def reoffer(self, text: str) -> list[Told]:
        return self.hear(self.room.post(Offered(self.peer, text, (self.stream,))))

    def hear(self, told: list[Told]) -> list[Told]:
        """Do what a client does on what it is told; returned is all that was told, answers' consequences too."""
        for effect in list(told):
            if effect.peer != self.peer:
                continue
            match effect:
                case Answer():
                    self.sections = sdp.read(effect.sdp).sections
                case Offer():
                    remote = sdp.read(effect.sdp)
                    self.offers.append(remote)
                    if self.answering:
                        self.sections = remote.sections
                        self.version += 1
                        text = self.known(sdp.answer(self.local, remote, self.version, True))
                        told += self.hear(self.room.post(Answered(self.peer, text, (self.stream,))))
                case Ping():
                    if self.alive:
                        told += self.room.post(Alive(self.peer))
                case _:
                    pass
        return told

    def line(self, track: str) -> sdp.Section:
        """The line on which the focus forwards a track to us."""
        return next(section for section in self.sections if section.track == track)
