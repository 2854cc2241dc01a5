//! What is received: a published track and its layers, each with its statistics and its cache.
//!
//! A layer knows its packets; a track knows its layers and the routes that it feeds. Neither
//! knows transports: the table that owns them sends what they ask for.

use std::collections::VecDeque;

use super::Seconds;
use super::cache::{Cache, Kept};
use super::dependency::Templates;
use super::extensions::{Copied, DEPENDENCY, LOUDNESS};
use super::frame::understand;
use super::loudness::Loudness;
use super::missing::Missing;
use super::parts::Parts;
use super::reception::Reception;
use super::rtp::{AROUND, Header, expand};
use super::table::{PeerKey, RouteKey};
use crate::command::{Codec, Drop, Expect, Format, Kind, Rid};

/// Seconds between keyframe requests to one layer, whoever asks.
const KEYFRAME_EVERY: Seconds = 0.5;
/// Layers of a track that were replaced by others on a new SSRC, and whose packets can still be asked for again.
/// Each has a cache: a sender that changes its SSRC again and again takes no more memory.
const RETIRED: usize = 4;

/// One incoming stream of a track: one SSRC, from its first packet to its last.
#[derive(Debug)]
pub struct Layer {
    /// Tells this layer from the others that the track has and had.
    pub id: u16,
    /// Its name.
    pub rid: Rid,
    /// Format and clock of its newest packet, None before one came here.
    pub format: Option<(Format, u32)>,
    /// Counts its packets.
    pub reception: Reception,
    /// Whether it is worth asking for what is missing: sound is concealed sooner than it is repaired.
    repairable: bool,
    /// What to ask for.
    pub missing: Missing,
    /// Its newest packets.
    pub cache: Cache,
    /// Picture size, 0 while unknown.
    pub width: u16,
    /// See `width`.
    pub height: u16,
    /// Received since the last full second.
    pub bytes: u64,
    /// Bits received in the last full second.
    pub rate: u64,
    /// The same by spatial and temporal id.
    pub parts: Parts,
    /// When the newest packet came.
    pub last: Seconds,
    /// It was told that packets of it flow.
    pub live: bool,
    /// Extended picture id of the newest packet.
    picture: Option<i64>,
    /// Extended AV1 frame number of the newest packet.
    frame: Option<i64>,
    /// Of its newest keyframe's dependency descriptor.
    templates: Templates,
    requested_at: Seconds,
    requested: bool,
}

impl Layer {
    fn new(id: u16, rid: Rid, ssrc: u32, codec: &Codec) -> Self {
        let pictures = matches!(codec.format, Format::Vp8 | Format::Vp9 | Format::H264 | Format::Av1);
        Self {
            id,
            rid,
            format: None,
            reception: Reception::new(ssrc, codec.clock),
            repairable: codec.rtx_pt.is_some() || pictures,
            missing: Missing::default(),
            cache: Cache::default(),
            width: 0,
            height: 0,
            bytes: 0,
            rate: 0,
            parts: Parts::default(),
            last: -1.0,
            live: false,
            picture: None,
            frame: None,
            templates: Templates::default(),
            requested_at: -1.0,
            requested: false,
        }
    }

    /// The stream.
    #[must_use]
    pub fn ssrc(&self) -> u32 {
        self.reception.ssrc
    }

    /// The extended sequence number of a packet; None when it is too far from the newest one.
    pub fn number(&mut self, sequence: u16, timestamp: u32, repaired: bool, now: Seconds) -> Option<i64> {
        let index =
            if repaired { self.reception.place(sequence)? } else { self.reception.count(sequence, timestamp, now)? };
        if self.repairable {
            self.missing.seen(index, now);
        }
        Some(index)
    }

    /// Want a keyframe; the request leaves as soon as the throttle allows.
    pub fn ask(&mut self) {
        self.requested = true;
    }

    /// Whether to ask the publisher for a keyframe now; it then counts as asked.
    pub fn keyframe_due(&mut self, now: Seconds) -> bool {
        let due = self.requested && now - self.requested_at >= KEYFRAME_EVERY;
        if due {
            self.requested_at = now;
            self.requested = false;
        }
        due
    }

    /// Keep a packet that another worker understood. False when it was kept before.
    pub fn repeat(&mut self, head: Kept, data: &[u8], kind: Kind, now: Seconds) -> bool {
        self.last = now;
        self.bytes += u64::from(head.size) + AROUND as u64;
        self.format = Some((head.format, head.clock));
        let Some(kept) = self.cache.admit(head.index) else { return false };
        self.parts.count(head.part, head.size + AROUND as u16);
        let bytes = kept.filled(data, kind);
        if head.keyframe {
            self.requested = false;
        }
        *kept = Kept { arrived: now, data: bytes, ..head };
        true
    }

    /// A second passed: what came in it is its rate.
    pub fn measure(&mut self) {
        self.rate = std::mem::take(&mut self.bytes) * 8;
        self.parts.measure();
    }

    /// Understand a packet once for all sinks, and keep it. `Ok(true)` if the picture size is new.
    pub fn take(&mut self, arrival: &Arrival<'_>, index: i64, now: Seconds) -> Result<bool, Drop> {
        let Arrival { header, data, codec, kind, copied } = *arrival;
        let kept = self.cache.admit(index).ok_or(Drop::Duplicate)?;
        let payload = header.payload.of(data);
        if payload.is_empty() {
            return Err(Drop::Padding);
        }
        let frame = match kind {
            Kind::Video => {
                let dependency = copied.get(DEPENDENCY).copied().flatten().map(|place| place.of(data));
                if let Some(descriptor) = dependency.filter(|_| codec.format == Format::Av1) {
                    self.templates.learn(index, descriptor);
                }
                understand(codec.format, payload, dependency, &self.templates)
            }
            // The numbers of a picture in a line of sound cannot be rewritten.
            Kind::Audio if codec.format == Format::Vp8 => None,
            Kind::Audio => understand(Format::Opus, payload, None, &self.templates),
        };
        let frame = frame.ok_or(Drop::Malformed)?;
        let picture = frame.numbering.and_then(|numbering| {
            let (picture, _) = numbering.picture?;
            Some(expand(i64::from(picture), self.picture, if numbering.wide { 15 } else { 7 }))
        });
        self.picture = self.picture.max(picture);
        let number = frame.number.map(|number| expand(i64::from(number), self.frame, 16));
        self.frame = self.frame.max(number);
        self.parts.count(frame.part, header.size + AROUND as u16);
        let bytes = kept.filled(data, kind);
        *kept = Kept {
            index,
            timestamp: header.timestamp,
            marker: header.marker,
            size: header.size,
            format: codec.format,
            clock: codec.clock,
            arrived: now,
            keyframe: frame.keyframe,
            part: frame.part,
            picture: picture.unwrap_or(0),
            numbering: frame.numbering,
            number,
            copied,
            payload: header.payload,
            data: bytes,
        };
        if kind == Kind::Audio || !frame.keyframe {
            return Ok(false);
        }
        // Whoever asked before now has it. Who lost it asks again.
        self.requested = false;
        let resized = frame.width > 0 && (frame.width, frame.height) != (self.width, self.height);
        if resized {
            (self.width, self.height) = (frame.width, frame.height);
        }
        Ok(resized)
    }
}

/// A packet as it is taken: repaired, its codec known.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Of the packet that a repair repeats.
    pub header: &'a Header,
    /// The whole datagram, decrypted.
    pub data: &'a [u8],
    /// By the publisher's payload type.
    pub codec: Codec,
    /// Of the track.
    pub kind: Kind,
    /// Extensions that every sink gets.
    pub copied: Copied,
}

impl Arrival<'_> {
    /// RFC 6464, as loudness: 0 silent to 127 loudest.
    #[must_use]
    pub fn loudness(&self) -> Option<u8> {
        let place = self.copied.get(LOUDNESS).copied().flatten()?;
        place.of(self.data).first().filter(|_| self.kind == Kind::Audio).map(|level| 127 - (level & 0x7F))
    }
}

/// A track as the control plane told to expect it.
#[derive(Debug)]
pub struct Track {
    /// Who sends it.
    pub peer: PeerKey,
    /// The description.
    pub expect: Expect,
    /// In the order in which they first came.
    pub layers: Vec<Layer>,
    /// Newest last.
    retired: VecDeque<Layer>,
    /// The worker that has its publisher, when that is another one.
    pub home: Option<usize>,
    /// Workers that mirror it.
    pub mirrors: Vec<usize>,
    /// Where it goes.
    pub routes: Vec<RouteKey>,
    /// How loud it is.
    pub loudness: Loudness,
    /// The newest measured rates.
    pub rates: Vec<(Rid, u64)>,
    /// Of each part of a layer that has several: spatial id, temporal id, bits a second with all that it needs.
    pub parts: Vec<(Rid, u8, u8, u64)>,
    next: u16,
}

impl Track {
    /// A track of which nothing came yet.
    #[must_use]
    pub fn new(peer: PeerKey, expect: Expect) -> Self {
        Self {
            peer,
            expect,
            layers: Vec::new(),
            retired: VecDeque::new(),
            home: None,
            mirrors: Vec::new(),
            routes: Vec::new(),
            loudness: Loudness::default(),
            rates: Vec::new(),
            parts: Vec::new(),
            next: 0,
        }
    }

    /// The codec of a payload type.
    #[must_use]
    pub fn codec(&self, pt: u8) -> Option<Codec> {
        // Of two with one number, the last.
        self.expect.codecs.iter().rev().find(|codec| codec.pt == pt).copied()
    }

    /// The codec that a payload type retransmits.
    #[must_use]
    pub fn repaired(&self, pt: u8) -> Option<Codec> {
        self.expect.codecs.iter().rev().find(|codec| codec.rtx_pt == Some(pt)).copied()
    }

    /// The place of the layer with this name.
    #[must_use]
    pub fn place(&self, rid: &str) -> Option<usize> {
        self.layers.iter().position(|layer| *layer.rid == *rid)
    }

    /// The layer with this name.
    #[must_use]
    pub fn layer(&self, rid: &str) -> Option<&Layer> {
        self.layers.get(self.place(rid)?)
    }

    /// The place of the layer for an SSRC; a new SSRC under a known name starts the layer anew.
    pub fn bind(&mut self, rid: &Rid, ssrc: u32, codec: &Codec) -> usize {
        // Without simulcast there is one layer, whatever was named before.
        let name = if self.expect.rids.is_empty() { "" } else { &**rid };
        let known = self.place(name);
        if let Some(layer) = known.and_then(|at| self.layers.get_mut(at)) {
            if layer.ssrc() != ssrc {
                let fresh = Layer::new(self.next, layer.rid.clone(), ssrc, codec);
                self.next = self.next.wrapping_add(1);
                retire(&mut self.retired, std::mem::replace(layer, fresh));
            }
        } else {
            let rid = if name.len() == rid.len() { rid.clone() } else { Rid::from(name) };
            self.layers.push(Layer::new(self.next, rid, ssrc, codec));
            self.next = self.next.wrapping_add(1);
        }
        known.unwrap_or(self.layers.len() - 1)
    }

    /// The place of a mirrored layer; a new id under a known name starts the layer anew.
    pub fn adopt(&mut self, id: u16, rid: &Rid) -> usize {
        if let Some(place) = self.layers.iter().position(|layer| layer.id == id) {
            return place;
        }
        // Nothing of it is told to its publisher from here: neither SSRC nor clock matters.
        let codec = Codec { format: Format::Other, clock: 1, pt: 0, rtx_pt: None };
        let fresh = Layer::new(id, rid.clone(), 0, &codec);
        let known = self.place(rid);
        match known.and_then(|at| self.layers.get_mut(at)) {
            Some(layer) => retire(&mut self.retired, std::mem::replace(layer, fresh)),
            None => self.layers.push(fresh),
        }
        known.unwrap_or(self.layers.len() - 1)
    }

    /// A layer that this track has or, not long ago, had.
    #[must_use]
    pub fn known(&self, id: u16) -> Option<&Layer> {
        self.layers.iter().chain(&self.retired).find(|layer| layer.id == id)
    }
}

fn retire(retired: &mut VecDeque<Layer>, layer: Layer) {
    if retired.len() >= RETIRED {
        retired.pop_front();
    }
    retired.push_back(layer);
}
