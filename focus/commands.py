"""What crosses between the control plane and a media engine: commands down, events up.

Both engines keep this contract (design: one way each; nothing is asked and awaited).
Python names everything that goes over the wire here: ids, SSRCs, mids, ICE
credentials. A command for a peer that is gone is counted, not raised; a command said
twice changes nothing. Times are the engine's own affair.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from focus.vocabulary import Kind, PeerId, Rid, RouteId, TrackId


@dataclass(frozen=True, slots=True)
class Credentials:
    """ICE user fragment and password (RFC 8445 §5.3)."""

    ufrag: str
    pwd: str


class Role(StrEnum):
    """Which end of a transport the engine plays."""

    ANSWERER = "answerer"
    "ICE controlled and DTLS server; remote candidates are never dialled. The focus towards clients."
    CALLER = "caller"
    "ICE controlling and DTLS client; dials `Open.candidates`. Foci towards each other, and participants."


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host address at which an engine can be reached (RFC 8445 §5.1). UDP only."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Codec:
    """One negotiated payload format of a track, with the numbers of one peer's SDP."""

    name: str
    "Lower case: see `focus.codecs`."
    clock: int
    "RTP clock rate in Hz."
    pt: int
    rtx_pt: int | None
    "Payload type of RFC 4588 retransmissions, None if not negotiated."


@dataclass(frozen=True, slots=True)
class Extensions:
    """Header extension ids (RFC 8285) that a peer negotiated on one m-line; 0 means absent."""

    mid: int = 0
    rid: int = 0
    repaired_rid: int = 0
    transport_cc: int = 0
    audio_level: int = 0
    abs_send_time: int = 0
    video_orientation: int = 0
    playout_delay: int = 0
    dependency_descriptor: int = 0
    abs_capture_time: int = 0


# Commands.


@dataclass(frozen=True, slots=True)
class Open:
    """Bring up a peer's transport. Answered by `Reachable`, later `Connected` or `Lost`."""

    peer: PeerId
    role: Role
    local: Credentials
    remote: Credentials
    fingerprints: tuple[tuple[str, str], ...]
    "(hash name in lower case, colon-separated upper-case hex) of the peer's certificate; never empty."
    sctp_port: int | None
    "The peer's SCTP port, None when it offered no data channel."
    max_message: int = 262144
    "Largest data channel message that the peer takes, in bytes."
    candidates: tuple[Candidate, ...] = ()
    "Where a CALLER dials. An ANSWERER ignores them."


@dataclass(frozen=True, slots=True)
class Restart:
    """New ICE credentials for a live peer; the old path carries until the new one works."""

    peer: PeerId
    local: Credentials
    remote: Credentials
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Close:
    """End a peer: close its transport, free all it had. No `Lost` follows."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Expect:
    """Receive a track from a peer. Said again with other values, it replaces them."""

    track: TrackId
    peer: PeerId
    mid: str
    kind: Kind
    codecs: tuple[Codec, ...]
    extensions: Extensions
    rids: tuple[Rid, ...]
    "Simulcast layers in the order of the SDP, empty without simulcast."
    ssrcs: tuple[int, ...] = ()
    "Signalled media SSRC, then its RTX SSRC if any. Empty with simulcast."


@dataclass(frozen=True, slots=True)
class Forget:
    """Stop receiving a track. Its routes must have been unrouted before."""

    track: TrackId


@dataclass(frozen=True, slots=True)
class Route:
    """Forward a track to a peer, as one continuous stream on one SSRC.

    Said again with another mid, codec numbers or extension ids, the stream goes on with them.
    """

    route: RouteId
    track: TrackId
    peer: PeerId
    "The sink."
    mid: str
    "The sink's m-line."
    codecs: tuple[Codec, ...]
    """What the sink takes, with its payload type numbers; never empty, and all with one clock. A publisher may change
    from one to another at any packet. Packets of a codec that is not among them are dropped by name, and nobody is
    asked for a keyframe in it."""
    extensions: Extensions
    "With the sink's ids."
    ssrc: int
    rtx_ssrc: int | None


@dataclass(frozen=True, slots=True)
class Unroute:
    """Stop forwarding; the route's SSRC is never used again."""

    route: RouteId


@dataclass(frozen=True, slots=True)
class SetLayer:
    """Which layer a route should carry, and how much of it; None pauses it.

    The switch waits for a keyframe. Within a layer less comes at once; more pictures a second come from a frame on from
    which they can be decoded, larger ones from a keyframe on.
    """

    route: RouteId
    layer: Rid | None
    spatial: int | None = None
    "Highest spatial id (VP9, AV1) that is carried, None for all."
    temporal: int | None = None
    "Highest temporal id (VP8, VP9, AV1) that is carried, None for all."


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Ask the publisher for a keyframe of one layer. Merged and throttled by the engine."""

    track: TrackId
    layer: Rid


@dataclass(frozen=True, slots=True)
class Need:
    """What a peer's routes could use if its link carried it: nobody asks the link for more. 0 at first."""

    peer: PeerId
    bps: int


@dataclass(frozen=True, slots=True)
class Send:
    """Send one text message on a peer's data channel. Queued until the channel opens, bounded."""

    peer: PeerId
    text: str
    urgent: bool = False
    "It may overtake what was sent before, where the engine can: it need not wait for what was lost."


Command = Open | Restart | Close | Expect | Forget | Route | Unroute | SetLayer | Keyframe | Need | Send


# Events. Edges keep their order; levels (Estimate, Rates, Levels, Counters) overwrite.


@dataclass(frozen=True, slots=True)
class Reachable:
    """Where a peer can reach us. Comes once per `Open`, and once more per `Restart`."""

    peer: PeerId
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Connected:
    """ICE and DTLS are up and the certificate's fingerprint matched."""

    peer: PeerId


@dataclass(frozen=True, slots=True)
class Opened:
    """The peer's data channel is open: messages flow both ways."""

    peer: PeerId


class Loss(StrEnum):
    """Why a transport is gone."""

    ICE = "ice"
    "Consent expired (RFC 7675), or no valid check came in time."
    DTLS = "dtls"
    "The handshake failed or the fingerprint did not match."
    CLOSED = "closed"
    "The peer closed DTLS or SCTP in an orderly way."


@dataclass(frozen=True, slots=True)
class Lost:
    """A transport is gone and freed. The last event of a peer."""

    peer: PeerId
    loss: Loss


@dataclass(frozen=True, slots=True)
class Appeared:
    """Packets of a layer flow: at the first packet, and again when its picture size becomes known or changes."""

    track: TrackId
    layer: Rid
    width: int
    "From the newest keyframe; 0 for audio or while unknown."
    height: int


@dataclass(frozen=True, slots=True)
class Vanished:
    """A layer that had appeared sent nothing for two seconds (RTP or padding)."""

    track: TrackId
    layer: Rid


@dataclass(frozen=True, slots=True)
class Switched:
    """From this keyframe on, a route carries this layer. None: it is paused."""

    route: RouteId
    layer: Rid | None


@dataclass(frozen=True, slots=True)
class Message:
    """One text message from a peer's data channel. Binary ones are counted and dropped."""

    peer: PeerId
    text: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a peer's link carries, in bits a second (a level): what may be sent to it.

    The native engine estimates it from transport-wide feedback; where a peer sends none, and in the reference engine,
    it is what the peer says itself (REMB).
    """

    peer: PeerId
    bps: int


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured bit rates of a track's layers over the last second, with SRTP, UDP and IPv4 (a level)."""

    track: TrackId
    bps: tuple[tuple[Rid, int], ...]
    parts: tuple[tuple[Rid, int, int, int], ...] = ()
    """Layer, spatial id, temporal id, and the bit rate of all that is no higher than either. Only of layers that have
    several. The reference engine knows temporal ids of VP8 only."""


@dataclass(frozen=True, slots=True)
class Levels:
    """How loud a track is (RFC 6464, as loudness: 0 silent to 127 loudest; a level).

    Told at the first level of a track, when somebody begins to be heard on it (-60 dBov), and each 300 ms
    from then on until nobody was for a second.
    """

    track: TrackId
    loudness: int
    "Of the newest step."
    recent: bytes = b""
    "The last second in steps of 20 ms, the newest last."


Event = Reachable | Connected | Opened | Lost | Appeared | Vanished | Switched | Message | Estimate | Rates | Levels


class Drop(StrEnum):
    """Why a packet went no further. Every exit of the packet path names one."""

    NOT_DEMUXED = "not_demuxed"
    TOO_SHORT = "too_short"
    MALFORMED = "malformed"
    AUTHENTICATION = "authentication"
    REPLAYED = "replayed"
    DUPLICATE = "duplicate"
    "It came already, or was repaired already. Chromium fills what it may send with such."
    TOO_FAST = "too_fast"
    UNKNOWN_SSRC = "unknown_ssrc"
    UNKNOWN_PAYLOAD_TYPE = "unknown_payload_type"
    TOO_MANY_SSRCS = "too_many_ssrcs"
    NO_ROUTE = "no_route"
    OTHER_LAYER = "other_layer"
    AWAITING_KEYFRAME = "awaiting_keyframe"
    OTHER_CODEC = "other_codec"
    TOO_OLD = "too_old"
    PADDING = "padding"
    SINK_NOT_CONNECTED = "sink_not_connected"
    CACHE_MISS = "cache_miss"
    RTX_LIMIT = "rtx_limit"
    PACER_FULL = "pacer_full"
    "It waited for its turn on a narrow link, and later ones pushed it out, or nobody wants it any more."
    MALFORMED_RTCP = "malformed_rtcp"
    FOREIGN_RTCP = "foreign_rtcp"
    MESSAGE_BINARY = "message_binary"
    MESSAGE_QUEUE_FULL = "message_queue_full"
    MESSAGE_OVERRUN = "message_overrun"
    "More unfinished messages than was allowed; it ends the peer."
    UNKNOWN_PEER = "unknown_peer"
    "A command named a peer, track or route that is gone."


@dataclass(frozen=True, slots=True)
class Counters:
    """Totals since the engine started."""

    packets_in: int
    packets_out: int
    bytes_in: int
    bytes_out: int
    rtx_out: int
    keyframe_requests: int
    drops: tuple[tuple[Drop, int], ...]
    probes_out: int = 0
    "Packets that asked a link for more."
