"""A conference at one moment: peers, what they publish, what they want, what was agreed.

Frozen values only. `step.py` moves them, `settle.py` makes them consistent, `plan.py`
reads them. Nothing here decides, draws chance or knows the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from msgspec import Struct, field

from focus.allocate import Allotment
from focus.ask import Ask
from focus.commands import Candidate, Credentials
from focus.description import NOTHING as UNKNOWN
from focus.description import Line
from focus.limits import Limits
from focus.speaker import Speech
from focus.vocabulary import ConferenceId, Kind, Owner, PeerId, Reason, Rid, RouteId, Stream, TrackId, Want

NOTHING: Mapping[Rid, tuple[int, int]] = MappingProxyType({})
UNSHARED: Allotment[RouteId] = Allotment()


class Published(Struct, frozen=True):
    """A track that a peer sends us."""

    id: TrackId
    peer: PeerId
    mid: str
    stream: str
    "Advertised stream id: frozen at first sight, unique in the conference."
    name: str
    "Advertised track id, likewise."
    own_stream: str
    "The stream id in the publisher's newest SDP: its metadata is keyed by it."
    own_name: str
    line: Line
    layers: Mapping[Rid, tuple[int, int]] = field(default_factory=lambda: NOTHING)
    "Layers that flow now, with picture size (0, 0 while unknown)."
    rising: float | None = None
    "Since when a picture in layers flows that did not flow before, until it has had time to come up (monotonic)."

    @property
    def kind(self) -> Kind:
        """Audio or video."""
        assert self.line.kind is not None, "only audio and video lines are published"
        return self.line.kind

    def like(self, other: Published) -> bool:
        """Whether the same track is described in the same words, whatever flows of it."""
        return self is other or (
            self.line is other.line and (self.own_stream, self.own_name) == (other.own_stream, other.own_name)
        )


Tile = tuple[int, int, bool]
"Width and height in which somebody shows a track, pixels, and whether it is pinned."


class Take(NamedTuple):
    """A track that a peer gets, on a line that was agreed, and how large it shows it."""

    route: RouteId
    track: TrackId
    want: Want
    tile: Tile


NOBODYS = TrackId("")
"The track of a line that is ready and carries nothing yet."


class Use(Struct, frozen=True):
    """What one of our m-lines carries: a track on its way to a peer."""

    track: TrackId
    route: RouteId
    stream: str
    name: str
    ssrc: int
    rtx_ssrc: int | None
    lent: bool = False
    "Its line was agreed before anybody knew for what, or is beside one that was: a message names stream and track."

    @property
    def spare(self) -> bool:
        """Nothing yet."""
        return self.track == NOBODYS


class Slot(Struct, frozen=True):
    """One of the m-lines that we added to a peer's session, in use or waiting for another."""

    mid: str
    kind: Kind
    use: Use | None
    "What it should carry."
    agreed: Use | None
    "What the last completed negotiation says that it carries."
    accepted: bool
    "The peer takes it: false when it answered inactive."
    line: Line | None = None
    "The peer's view of it, from the last time that it took it: payload types and extension ids."


class Outstanding(Struct, frozen=True):
    """Our offer that waits for its answer."""

    deadline: float
    order: tuple[str, ...]
    "The mids in the offer."
    uses: Mapping[str, Use | None]
    "What each slot in it was said to carry."
    resting: frozenset[str] = frozenset()
    "Mids of the peer's lines that it said inactive of, though the peer would send."


class Said(Struct, frozen=True):
    """A session description that we sent; the number tells two alike apart."""

    number: int
    sdp: str


class Written(Struct, frozen=True):
    """A section of our last offer."""

    made_of: tuple[object, ...]
    "What its text says: the same values, the same text."
    text: str


class Duty(Struct, frozen=True):
    """What a publisher is asked to send of one of its pictures: see `demand.py`."""

    layers: tuple[Rid, ...]
    "Smallest first; `SINGLE` alone without simulcast. None: nobody watches."
    spare: tuple[tuple[Rid, float], ...]
    "Those among them that nobody needs any more, and since when (monotonic seconds)."
    silent: float | None
    "Since when it is needed and nothing of it flows."
    bare: float | None
    "Since when nothing is asked for."


class Tuned(Struct, frozen=True):
    """What is known of a picture whose rates a publisher may be told: see `tuning.py`."""

    own: Mapping[Rid, float] = field(default_factory=dict)
    "Bits a second that its layers take by themselves, smallest layer first."
    parts: Mapping[Rid, float] = field(default_factory=dict)
    "What the best rates so far are of those."
    stands: Mapping[Rid, float] = field(default_factory=dict)
    "What is called for, likewise."
    lower: float | None = None
    "Since when less is called for than is told."


class Tuning(Struct, frozen=True):
    """Where the search for the rates of a conference is."""

    tracks: Mapping[TrackId, Tuned] = field(default_factory=dict)
    again: float = 0.0
    "When to look next."
    looks: int = 0
    gain: float = 0.0
    "What the best rates gain, as a part of what those with thin links have at publishers' own."
    still: int = 0
    "Looks since that grew."
    told: frozenset[TrackId] = frozenset()
    "Pictures of which any rate is told."
    links: Mapping[PeerId, float] = field(default_factory=dict)
    "Bits a second of thin links, without their wavering."
    changed: float = 0.0
    "When what is called for changed last."


class Held(Struct, frozen=True):
    """Pictures that a peer's link does not carry, as it is told of them."""

    mids: tuple[str, ...] = ()
    "Of the lines that would carry them."
    number: int = 0
    "Of changes so far."
    told: int = 0
    "How often this change was told."
    since: float = 0.0
    "When it came (monotonic seconds)."


NONE_HELD = Held()


class Peer(Struct, frozen=True):
    """One participant's leg."""

    id: PeerId
    owner: Owner
    session: int
    "The number of its session in our o= lines."
    local: Credentials
    remote: Credentials
    fingerprints: tuple[tuple[str, str], ...]
    mixed: bool
    joined: float
    "When it dialled, monotonic seconds; deadlines count from here until it is answered."
    lines: tuple[Line, ...]
    "All m-lines of the session in order, as the peer described them last."
    streams: tuple[Stream, ...]
    "What it said of its own streams."
    known: Mapping[str, Line] = field(default_factory=lambda: UNKNOWN)
    "The lines of its newest description by the texts that said them."
    candidates: tuple[Candidate, ...] | None = None
    "Where it can reach us, None while the engine gathers."
    restarts: int = 0
    slots: tuple[Slot, ...] = ()
    wants: Mapping[tuple[str, str], Want] = field(default_factory=lambda: MappingProxyType({}))
    duties: Mapping[TrackId, Duty] = field(default_factory=lambda: MappingProxyType({}))
    "What it is asked to send of its pictures."
    rates: Mapping[TrackId, Mapping[Rid, int]] = field(default_factory=dict)
    "Bits a second that it is told for layers of its pictures; of others its own stand."
    obeys: bool = False
    "It said that it sends no more than that."
    spares: bool = False
    "It takes lines that are ready before anybody knows for what: see `lines.py`."
    resting: frozenset[str] = frozenset()
    "Mids of its lines that should be inactive, as it does not obey and nobody watches."
    rested: frozenset[str] = frozenset()
    "Those of which the last completed negotiation says so."
    owed: bool = True
    "Its newest offer has no answer yet."
    outstanding: Outstanding | None = None
    unanswered: int = 0
    "Offers in a row that timed out."
    answer: Said | None = None
    offer: Said | None = None
    written: Mapping[str, Written] = field(default_factory=dict)
    "Sections of `offer` by mid; see `compose.offer`."
    version: int = 0
    "The number in the o= line of the last description we wrote."
    answered_at: float = 0.0
    connected_at: float | None = None
    opened_at: float | None = None
    selected: bool = False
    pinged_at: float = 0.0
    pings: int = 0
    alive_at: float = 0.0
    takes: tuple[Take, ...] = ()
    "What it gets of what it wants, as of the last settling."
    estimate: int | None = None
    "Bits a second that its link carries, None while nobody knows."
    estimated_at: float = 0.0
    "When that was told last, to a second (monotonic): who tells it itself may have stopped."
    allotment: Allotment[RouteId] = field(default_factory=lambda: UNSHARED)
    "What its routes have of that."
    need: int = 0
    "Bits a second that they could use."
    held: Held = NONE_HELD

    def says(self, other: Peer) -> bool:
        """Whether it says the same of its streams as another, which was itself earlier."""
        return self is other or (self.owner == other.owner and self.streams == other.streams)

    @property
    def channel(self) -> Line | None:
        """Its data channel's m-line, if it offered one."""
        return next((line for line in self.lines if line.sctp_port is not None), None)


class Roster(Struct, frozen=True):
    """What everybody publishes, looked up once for all who look: see `view.look`."""

    named: Mapping[tuple[str, str], Published]
    "Tracks by advertised stream and track id."
    own: Mapping[PeerId, tuple[Published, ...]]
    "What each peer that publishes anything publishes, in the order of its m-lines."
    streams: Mapping[PeerId, tuple[Stream, ...]]
    "Their streams as others are told of them, in the order of their joining."
    ranked: Mapping[TrackId, tuple[tuple[Rid, tuple[float, float]], ...]]
    "Layers and their sizes in pixels, smallest first; none where there is nothing to choose."
    sent: Mapping[TrackId, frozenset[str]]
    "Codecs that a track may come in."
    screens: frozenset[TrackId] = frozenset()
    "Pictures of screens."
    devices: Mapping[Owner, frozenset[PeerId]] = field(default_factory=dict)
    "Peers of each owner that publish anything."
    voices: frozenset[TrackId] = frozenset()
    "Sound of people, where levels are told with it."
    sounding: int = 0
    "Peers that send sound."

    def own_of(self, owner: Owner) -> frozenset[PeerId]:
        """Whose tracks are not for this owner's peers: they are its own."""
        return self.devices.get(owner, NOBODY)


EMPTY = Roster({}, {}, {}, {}, {})
NOBODY: frozenset[PeerId] = frozenset()


class Conference(Struct, frozen=True):
    """Everything that a conference is."""

    id: ConferenceId
    limits: Limits
    codecs: tuple[str, ...]
    "What is negotiated, most wanted first (`codecs.carried`)."
    wide: bool = False
    "Subscribers are asked for transport-wide feedback: the engine reads it."
    peers: Mapping[PeerId, Peer] = field(default_factory=lambda: MappingProxyType({}))
    tracks: Mapping[TrackId, Published] = field(default_factory=lambda: MappingProxyType({}))
    rates: Mapping[TrackId, Mapping[Rid, int]] = field(default_factory=lambda: MappingProxyType({}))
    "Bits a second that each layer is taken for: see `rates.py`."
    parts: Mapping[TrackId, Mapping[tuple[Rid, int, int], int]] = field(default_factory=lambda: MappingProxyType({}))
    "The same of what a layer has up to a spatial and a temporal id, where it has several."
    rated: Mapping[TrackId, float] = field(default_factory=lambda: MappingProxyType({}))
    "When either moved."
    speakers: tuple[TrackId, ...] = ()
    "Voices in the order in which they had the floor: who has it now first. Tracks that are gone are left out."
    speech: Speech[TrackId] = Speech()
    "Who was heard when."
    withheld: frozenset[TrackId] = frozenset()
    "Voices that nobody gets: see `voices.listen`."
    tuning: Tuning = Tuning()
    "What publishers are told of rates follows from it."
    ended: tuple[tuple[PeerId, Reason], ...] = ()
    "Peers that we ended since the last plan was carried out, to be told."
    routes: int = 0
    "The number of the newest route."
    roster: Roster = EMPTY
    "Of what is published, as of the last settling."
    asked: Mapping[TrackId, dict[Tile, Ask]] = field(default_factory=dict)
    "What is asked of each track by how it is shown, likewise: see `budget.asked`."
    due: Mapping[PeerId, float] = field(default_factory=dict)
    "When to look at each peer again if nothing happens to it, likewise."
    sought: Mapping[TrackId, Mapping[PeerId, int]] = field(default_factory=dict)
    "Who needs each picture up to which of its layers, likewise: see `demand.seek`."
    review: float = 0.0
    "When to look again at what publishers are asked for if nothing happens, likewise."

    def like(self, other: Conference) -> bool:
        """Whether the same is published and said of it here as there: nobody gets to know more of others.

        Who publishes nothing makes no difference to anybody, coming or going; nor does which layers flow.
        """
        if self.tracks is not other.tracks:
            if self.tracks.keys() != other.tracks.keys():
                return False
            if not all(track.like(other.tracks[name]) for name, track in self.tracks.items()):
                return False
        return all(self.peers[track.peer].says(other.peers[track.peer]) for track in self.tracks.values())

    def of(self, peer: PeerId) -> list[Published]:
        """What a peer publishes, in the order of its m-lines."""
        return [track for track in self.tracks.values() if track.peer == peer]
