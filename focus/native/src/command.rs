//! What crosses between the control plane and this engine: commands down, events up, and why packets were dropped.
//!
//! The mirror of `focus/commands.py`, field by field; that file has the words' meaning. Plain
//! values: nothing here acts, and nothing here knows Python.

use std::net::SocketAddr;
use std::sync::Arc;

/// A peer's or a track's name, as the control plane made it.
pub type Name = Arc<str>;

/// A route's number, unique in the process.
pub type RouteId = u64;

/// A simulcast layer's RFC 8852 id; empty for the only layer of a track without simulcast.
pub type Rid = Arc<str>;

/// ICE user fragment and password (RFC 8445 §5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User fragment.
    pub ufrag: String,
    /// Password.
    pub pwd: String,
}

/// Which end of a transport the engine plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// ICE controlled and lite, DTLS server: towards clients.
    Answerer,
    /// ICE controlling, DTLS client: towards foci, and for participants.
    Caller,
}

/// What a track carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Sound.
    Audio,
    /// Pictures.
    Video,
}

/// A payload format that the packet path understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 7587.
    Opus,
    /// RFC 7741.
    Vp8,
    /// RFC 9628.
    Vp9,
    /// RFC 6184.
    H264,
    /// AV1 RTP payload format 1.0.
    Av1,
    /// Forwarded without understanding it.
    Other,
}

impl Format {
    /// From the lower-case name of an `a=rtpmap`.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "opus" => Self::Opus,
            "vp8" => Self::Vp8,
            "vp9" => Self::Vp9,
            "h264" => Self::H264,
            "av1" => Self::Av1,
            _ => Self::Other,
        }
    }
}

/// One negotiated payload format, with the numbers of one peer's SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codec {
    /// What it is.
    pub format: Format,
    /// RTP clock rate in Hz.
    pub clock: u32,
    /// Payload type.
    pub pt: u8,
    /// Payload type of RFC 4588 retransmissions.
    pub rtx_pt: Option<u8>,
}

/// Header extension ids (RFC 8285) that a peer negotiated on one m-line; 0 means absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Extensions {
    pub mid: u8,
    pub rid: u8,
    pub repaired_rid: u8,
    pub transport_cc: u8,
    pub audio_level: u8,
    pub abs_send_time: u8,
    pub video_orientation: u8,
    pub playout_delay: u8,
    pub dependency_descriptor: u8,
    pub abs_capture_time: u8,
}

/// Bring up a peer's transport.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Open {
    pub peer: Name,
    pub role: Role,
    pub local: Credentials,
    pub remote: Credentials,
    /// Hash name in lower case, digest of the peer's certificate; never empty.
    pub fingerprints: Vec<(String, Vec<u8>)>,
    pub sctp_port: Option<u16>,
    /// Largest data channel message that the peer takes, in bytes.
    pub max_message: u32,
    /// Where a `Caller` dials.
    pub candidates: Vec<SocketAddr>,
}

/// Receive a track from a peer. Said again with other values, it replaces them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Expect {
    pub track: Name,
    pub peer: Name,
    pub mid: String,
    pub kind: Kind,
    pub codecs: Vec<Codec>,
    pub extensions: Extensions,
    /// In the order of the SDP; empty without simulcast.
    pub rids: Vec<Rid>,
    /// Signalled media SSRC, then its RTX SSRC if any.
    pub ssrcs: Vec<u32>,
}

/// Forward a track to a peer, as one continuous stream on one SSRC. Said again, it replaces the numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Route {
    pub route: RouteId,
    pub track: Name,
    pub peer: Name,
    pub mid: String,
    /// What the sink takes, never empty; a publisher may change from one to another at any packet.
    pub codecs: Vec<Codec>,
    pub extensions: Extensions,
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
}

impl Route {
    /// The clock that all of its codecs share, in Hz.
    #[must_use]
    pub fn clock(&self) -> u32 {
        self.codecs.first().map_or(90_000, |codec| codec.clock)
    }
}

/// Ids of the highest layers to carry within a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Highest {
    /// Of pictures of one size.
    pub spatial: u8,
    /// Of pictures at one rate.
    pub temporal: u8,
}

impl Highest {
    /// Whatever the stream has.
    pub const ALL: Self = Self { spatial: u8::MAX, temporal: u8::MAX };

    /// None for all.
    #[must_use]
    pub fn new(spatial: Option<u8>, temporal: Option<u8>) -> Self {
        Self { spatial: spatial.unwrap_or(u8::MAX), temporal: temporal.unwrap_or(u8::MAX) }
    }

    /// What both let pass.
    #[must_use]
    pub fn least(self, other: Self) -> Self {
        Self { spatial: self.spatial.min(other.spatial), temporal: self.temporal.min(other.temporal) }
    }
}

/// Commands of the control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Command {
    Open(Open),
    Restart { peer: Name, local: Credentials, remote: Credentials, candidates: Vec<SocketAddr> },
    Close { peer: Name },
    Expect(Expect),
    Forget { track: Name },
    Route(Route),
    Unroute { route: RouteId },
    SetLayer { route: RouteId, layer: Option<Rid>, highest: Highest },
    Keyframe { track: Name, layer: Rid },
    Need { peer: Name, bps: u64 },
    Send { peer: Name, text: String, urgent: bool },
}

/// Why a transport is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Consent expired (RFC 7675), or no valid check came in time.
    Ice,
    /// The handshake failed or the fingerprint did not match.
    Dtls,
    /// The peer closed DTLS or SCTP in an orderly way.
    Closed,
}

/// Events of the engine. The last three are levels: only the newest for each key counts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Event {
    Reachable { peer: Name, candidates: Vec<SocketAddr> },
    Connected { peer: Name },
    Opened { peer: Name },
    Lost { peer: Name, loss: Loss },
    Appeared { track: Name, layer: Rid, width: u16, height: u16 },
    Vanished { track: Name, layer: Rid },
    Switched { route: RouteId, layer: Option<Rid> },
    Message { peer: Name, text: String },
    Estimate { peer: Name, bps: u64 },
    Rates { track: Name, bps: Vec<(Rid, u64)>, parts: Vec<(Rid, u8, u8, u64)> },
    Levels { track: Name, loudness: u8, recent: Box<[u8]> },
}

macro_rules! drops {
    ($($(#[$about:meta])* $name:ident = $word:literal,)*) => {
        /// Why a packet went no further. Every exit of the packet path names one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs)]
        pub enum Drop { $($(#[$about])* $name,)* }

        impl Drop {
            /// Every reason, in order: a reason's place is `reason as usize`.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The word of `focus.commands.Drop`, which metrics print.
            #[must_use]
            pub fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

drops! {
    NotDemuxed = "not_demuxed",
    TooShort = "too_short",
    Malformed = "malformed",
    Authentication = "authentication",
    Replayed = "replayed",
    /// It came already, or was repaired already. Chromium fills what it may send with such.
    Duplicate = "duplicate",
    TooFast = "too_fast",
    UnknownSsrc = "unknown_ssrc",
    UnknownPayloadType = "unknown_payload_type",
    TooManySsrcs = "too_many_ssrcs",
    NoRoute = "no_route",
    OtherLayer = "other_layer",
    AwaitingKeyframe = "awaiting_keyframe",
    OtherCodec = "other_codec",
    TooOld = "too_old",
    Padding = "padding",
    SinkNotConnected = "sink_not_connected",
    CacheMiss = "cache_miss",
    RtxLimit = "rtx_limit",
    /// It waited for its turn on a narrow link, and later ones pushed it out, or nobody wants it any more.
    PacerFull = "pacer_full",
    MalformedRtcp = "malformed_rtcp",
    ForeignRtcp = "foreign_rtcp",
    MessageBinary = "message_binary",
    MessageQueueFull = "message_queue_full",
    /// More unfinished messages than was allowed; it ends the peer.
    MessageOverrun = "message_overrun",
    /// A command named a peer, track or route that is gone.
    UnknownPeer = "unknown_peer",
}

/// Totals since the engine started.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Tally {
    pub packets_in: u64,
    pub packets_out: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub rtx_out: u64,
    pub keyframe_requests: u64,
    pub probes_out: u64,
    /// By place in `Drop::ALL`.
    pub drops: Vec<u64>,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            packets_in: 0,
            packets_out: 0,
            bytes_in: 0,
            bytes_out: 0,
            rtx_out: 0,
            keyframe_requests: 0,
            probes_out: 0,
            drops: vec![0; Drop::ALL.len()],
        }
    }
}

impl Tally {
    /// Count a dropped packet.
    pub fn drop(&mut self, why: Drop) {
        if let Some(count) = self.drops.get_mut(why as usize) {
            *count += 1;
        }
    }
}
