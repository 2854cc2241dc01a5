"""The words of a conference: identities, descriptions, what is asked of it and what it answers.

Everything here is a frozen value. This file decides nothing and imports nothing but
types; `commands.py` holds the words that cross to a media engine, `snapshot.py` the
state that these events move.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Protocol

ConferenceId = NewType("ConferenceId", str)
"Opaque to the focus; a face makes it (for Matrix: room and call id together)."

PeerId = NewType("PeerId", str)
"One media transport, for its whole life. A client that dials again is a new peer."

TrackId = NewType("TrackId", str)
"One published track inside one process. Never shown to a client: see `Track.stream`, `Track.name`."

RouteId = NewType("RouteId", int)
"One track forwarded to one peer, from subscription to unsubscription."

Rid = NewType("Rid", str)
"A simulcast layer's RFC 8852 id. The only layer of a track without simulcast is `SINGLE`."

SINGLE = Rid("")


class Kind(StrEnum):
    """What a track carries."""

    AUDIO = "audio"
    VIDEO = "video"


class Purpose(StrEnum):
    """What a stream is for (MSC3077)."""

    USERMEDIA = "m.usermedia"
    SCREENSHARE = "m.screenshare"


class Names(Protocol):
    """The only source of chance. Tests pass a counted one."""

    def token(self, size: int) -> str:
        """Return `size` characters of `[A-Za-z0-9]`, unguessable."""

    def ssrc(self) -> int:
        """Return a random 32-bit SSRC, never 0."""


@dataclass(frozen=True, slots=True)
class Owner:
    """Who a peer is, as authenticated by its face. Never as claimed by the client."""

    user: str
    device: str


@dataclass(frozen=True, slots=True)
class Description:
    """One track inside a stream, as its publisher describes it (MSC3898 `tracks`)."""

    name: str
    "The track id in the publisher's first SDP msid."
    kind: Kind
    width: int = 0
    "Full capture width in pixels, 0 if not told. Video only."
    height: int = 0
    "Full capture height in pixels, 0 if not told. Video only."


@dataclass(frozen=True, slots=True)
class Stream:
    """A media stream as told to peers (MSC3077 `sdp_stream_metadata`, one entry)."""

    id: str
    owner: Owner
    purpose: Purpose
    audio_muted: bool
    video_muted: bool
    tracks: tuple[Description, ...]


@dataclass(frozen=True, slots=True)
class Want:
    """A peer's wish to receive one track, and how large it shows it."""

    stream: str
    track: str
    width: int = 0
    "Pixels; 0 means no size was told: the smallest layer for video, ignored for audio."
    height: int = 0
    pinned: bool = False
    "Somebody chose to look at this one."


class Reason(StrEnum):
    """Why a peer's call ended or was refused; the words of MSC2746 and MSC3401."""

    USER_HANGUP = "user_hangup"
    "The client said so, or left the room."
    ICE_FAILED = "ice_failed"
    "No connection was ever made within the time allowed."
    ICE_TIMEOUT = "ice_timeout"
    "The connection was lost after it had worked."
    KEEP_ALIVE = "keep_alive_timeout"
    "Pings stayed unanswered."
    REPLACED = "replaced"
    "The same device dialled again."
    INVITE_TIMEOUT = "invite_timeout"
    BAD_DESCRIPTION = "set_remote_description"
    "The client's SDP was not acceptable."
    BUSY = "user_busy"
    "A limit of the focus was reached."
    CALL_ENDED = "call_ended"
    "The call was terminated, or the peer is no longer admitted."
    UNKNOWN = "unknown_error"
    "Our fault: a bug was contained."


# What a face asks of a conference. `sdp` is text as received: conference code parses it.


@dataclass(frozen=True, slots=True)
class Join:
    """A new peer dials in with an offer. Answered by `Answer` or by `Ended`."""

    peer: PeerId
    owner: Owner
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """A live peer offers anew: it starts or stops a track, or restarts ICE. Answered by `Answer`, if acceptable."""

    peer: PeerId
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A peer's answer to our `Offer`. Ignored when none is outstanding."""

    peer: PeerId
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Selected:
    """The peer has applied our first answer, so an offer will not be lost (msc3401 digest, 20.1)."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Wanted:
    """A change of subscription: `unwanted` first, then `wants`. Unknown tracks are kept for later."""

    peer: PeerId
    wants: tuple[Want, ...]
    unwanted: tuple[tuple[str, str], ...]
    "Pairs of stream id and track id."


@dataclass(frozen=True, slots=True)
class Described:
    """A peer's newest description of its own streams: mutes, sizes, purposes. The full set."""

    peer: PeerId
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Alive:
    """A peer answered our `Ping`."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Obeys:
    """A peer does what `Demand` asks."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class TakesSpares:
    """A peer takes m-lines whose ids say nothing, and reads from `Assigned` what they carry."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Left:
    """A face ends a peer: hangup, kick, ban, replacement. No `Ended` is told for it."""

    peer: PeerId
    reason: Reason


@dataclass(frozen=True, slots=True)
class Ticked:
    """Time passed: look at deadlines. `now` comes beside the event, as everywhere."""


Asked = Join | Offered | Answered | Selected | Wanted | Described | Alive | Obeys | TakesSpares | Left | Ticked


# What a conference tells a face about one of its peers.


@dataclass(frozen=True, slots=True)
class Answer:
    """Our answer to the peer's newest offer. `streams` is all that the peer may subscribe to."""

    peer: PeerId
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """Our offer; at most one is outstanding per peer. To be carried on the data channel."""

    peer: PeerId
    sdp: str
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class View:
    """The full set of streams that a peer may subscribe to, told on change only."""

    peer: PeerId
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class Ping:
    """Ask the peer for a sign of life on the data channel; it comes back as `Alive`."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Needed:
    """How much of one of a peer's pictures is needed."""

    stream: str
    "Stream id and track id as in the peer's newest description."
    track: str
    layers: tuple[Rid, ...]
    "Smallest first; `SINGLE` alone without simulcast. None: nobody watches."
    rates: tuple[tuple[Rid, int], ...] = ()
    "Bits a second that layers should take at most; those that are not named, as many as the peer gives them itself."


@dataclass(frozen=True, slots=True)
class Demand:
    """What a peer should send of all its pictures, told when its channel opens and on change. The full set."""

    peer: PeerId
    pictures: tuple[Needed, ...]


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks: ids of streams in the order in which they had the floor, who has it now first. The full list, told
    when the channel opens and on change; one of the peer's own may be among them."""

    peer: PeerId
    order: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Paused:
    """Pictures that a peer wants and does not get, since its link does not carry them. The full list, told on change,
    and again a little later: where a link is too thin for pictures, messages get lost too."""

    peer: PeerId
    number: int
    "Goes up by one with each change: one may overtake another."
    mids: tuple[str, ...]
    "Of the lines of ours that would carry them."


@dataclass(frozen=True, slots=True)
class Assigned:
    """What lines carry from now on that were ready before: told once of each, only to who takes them."""

    peer: PeerId
    tracks: tuple[tuple[str, str, str], ...]
    "Track id in the line's description, then the stream id and track id that are advertised."


@dataclass(frozen=True, slots=True)
class Ended:
    """The focus ended this peer; the face tells the client why. Nothing follows for this peer."""

    peer: PeerId
    reason: Reason


Told = Answer | Offer | View | Ping | Demand | Speakers | Paused | Assigned | Ended
