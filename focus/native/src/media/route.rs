//! One track forwarded to one peer: which packets pass, and as what.
//!
//! The column from a layer's packet to the sink's bytes: layer? keyframe? number, header,
//! descriptor. It decides when a switch happens (at a keyframe) and answers the sink's NACKs.
//! It knows no socket: [`Sinks`] sends the bytes.

use super::cache::Kept;
use super::extensions::{Block, Copied, Own};
use super::frame::copy;
use super::repair::Repair;
use super::rewriter::{Numbers, Rewriter};
use super::source::{Layer, Track};
use super::table::{PeerKey, TrackKey};
use super::twcc::Departures;
use super::within::Within;
use super::{Seconds, Sinks};
use crate::command::{Codec, Drop, Format, Highest, Name, Rid, Route};
use crate::pump::ahead::fetch;

/// A route at work.
#[derive(Debug)]
pub struct Forward {
    /// As the control plane wants it.
    pub route: Route,
    /// The track.
    pub track: TrackKey,
    /// The sink.
    pub sink: PeerKey,
    /// The publisher's name, a random token, is the CNAME too: what comes from one peer has one clock (RFC 3550
    /// §6.5.1).
    pub publisher: Name,
    /// The wanted layer.
    pub target: Option<Rid>,
    /// How much of it.
    within: Within,
    /// The layer that is forwarded now, by its id.
    pub layer: Option<u16>,
    /// The layer that was forwarded when this was paused.
    rested: Option<u16>,
    /// Sent, for reports.
    pub packets: u32,
    /// See `packets`.
    pub octets: u32,
    /// The current layer's report has not been passed on yet.
    pub report_due: bool,
    /// Its numbering.
    pub rewriter: Rewriter,
    /// Its retransmission.
    pub repair: Repair,
}

/// One packet as it leaves a route.
struct Outgoing<'a> {
    kept: &'a Kept,
    numbers: Numbers,
    pt: u8,
    ssrc: u32,
    index: u64,
    /// The number that a retransmission repeats (RFC 4588 §4).
    original: Option<u16>,
}

impl Forward {
    /// A route that waits to be aimed. Its first numbers derive from the SSRC that the control plane drew, so that the
    /// engine needs no chance of its own.
    #[must_use]
    pub fn new(route: Route, track: TrackKey, sink: PeerKey, publisher: Name) -> Self {
        let ssrc = route.ssrc;
        Self {
            track,
            sink,
            publisher,
            target: None,
            within: Within::default(),
            layer: None,
            rested: None,
            packets: 0,
            octets: 0,
            report_due: true,
            rewriter: Rewriter::new((ssrc & 0x7FFF) as u16, ssrc.wrapping_mul(2_654_435_761), route.clock()),
            repair: Repair::new((ssrc >> 16 & 0x7FFF) as u16),
            route,
        }
    }

    /// Take renegotiated numbers; the stream, its SSRC and its numbering go on.
    pub fn configure(&mut self, route: Route) {
        self.route = Route { mid: route.mid, codecs: route.codecs, extensions: route.extensions, ..self.route.clone() };
    }

    /// Set the wanted layer, and how much of it. True if that stops the stream at once.
    pub fn aim(&mut self, target: Option<Rid>, highest: Highest) -> bool {
        self.target = target;
        if self.within.whole() {
            self.within.begun(self.rewriter.picture());
        }
        self.within.want(highest);
        let stops = self.target.is_none() && self.layer.is_some();
        if stops {
            self.rested = self.layer.take();
        }
        stops
    }

    /// The place of the layer whose keyframe this route waits for, None when it has what it wants.
    #[must_use]
    pub fn waiting_for(&self, track: &Track) -> Option<usize> {
        // Told without a look at names, which lie elsewhere: each route is asked each 20 ms.
        if let ([only], Some(layer)) = (track.layers.as_slice(), self.layer)
            && layer == only.id
            && !self.within.awaits(only.parts.top())
        {
            return None;
        }
        let place = track.place(self.target.as_deref()?)?;
        let wanted = track.layers.get(place)?;
        let has = self.layer == Some(wanted.id) && !self.within.awaits(wanted.parts.top());
        (!has && self.takes(wanted)).then_some(place)
    }

    /// Whether the sink could use a keyframe of a layer, as it is sent now.
    #[must_use]
    pub fn takes(&self, layer: &Layer) -> bool {
        layer.format.is_none_or(|(format, clock)| self.codec(format, clock).is_some())
    }

    /// The sink's numbers for a format. Two that are not understood are told apart by their clocks.
    fn codec(&self, format: Format, clock: u32) -> Option<&Codec> {
        let same = |codec: &&Codec| codec.format == format && (format != Format::Other || codec.clock == clock);
        self.route.codecs.iter().find(same)
    }

    /// So many packets leave here soon. A hint only, for what this points to.
    pub fn fetch(&self, packets: usize) {
        fetch(self.route.codecs.as_slice());
        fetch(self.route.mid.as_bytes());
        self.rewriter.fetch();
        self.repair.fetch(self.rewriter.newest().0.wrapping_add(1), packets);
    }

    /// Number a packet that `layer` keeps, or say why not. May switch to `layer`: compare `self.layer` after.
    pub fn pass(&mut self, track: &Track, layer: &Layer, kept: &Kept) -> Result<Numbers, Drop> {
        if self.layer != Some(layer.id) {
            // Layer first: most packets of a simulcast sender stop here.
            if self.target.as_deref() != Some(&*layer.rid) {
                return Err(Drop::OtherLayer);
            }
            if self.codec(kept.format, kept.clock).is_none() {
                return Err(Drop::OtherCodec);
            }
            if !kept.keyframe {
                return Err(Drop::AwaitingKeyframe);
            }
            let report = |layer: &Layer| layer.reception.report.map(|(report, _)| report);
            let old = self.layer.and_then(|id| track.known(id)).and_then(report);
            if self.layer.is_none() && self.rested == Some(layer.id) {
                self.rewriter.resume(kept);
            } else {
                self.rewriter.switch(kept, report(layer), old);
            }
            self.layer = Some(layer.id);
            self.within.begin();
            self.report_due = true;
        } else if self.codec(kept.format, kept.clock).is_none() {
            return Err(Drop::OtherCodec);
        } else if !self.within.whole() {
            return self.pass_part(layer, kept);
        }
        self.call(kept)
    }

    /// As `pass`, of a stream of which not all is carried.
    fn pass_part(&mut self, layer: &Layer, kept: &Kept) -> Result<Numbers, Drop> {
        let settled = self.target.as_deref() == Some(&*layer.rid);
        if !self.rewriter.in_order(kept.index) {
            if !self.within.takes_late(kept.part) {
                return Err(Drop::OtherLayer);
            }
        } else if !self.within.takes(kept, settled) {
            self.rewriter.leave_out(kept);
            return Err(Drop::OtherLayer);
        }
        self.call(kept)
    }

    /// Number a packet.
    fn call(&mut self, kept: &Kept) -> Result<Numbers, Drop> {
        let mut numbers = self.rewriter.map(kept).ok_or(Drop::TooOld)?;
        numbers.marker |= self.within.ends(kept.part);
        Ok(numbers)
    }

    /// An in-order packet of a layer is nothing for anyone.
    pub fn skip(&mut self, layer: u16, index: i64) {
        if self.layer == Some(layer) {
            self.rewriter.skip(index);
        }
    }

    /// Send a packet of a layer that passed. Bytes on the wire, None if it was not sent.
    pub fn send<S: Sinks>(
        &mut self,
        layer: u16,
        kept: &Kept,
        numbers: Numbers,
        now: Seconds,
        departures: &mut Departures,
        sinks: &mut S,
    ) -> Option<usize> {
        // Not before: what waits for its turn must not leave again before it left.
        if self.route.rtx_ssrc.is_some() {
            self.repair.note(&numbers, layer, kept.index);
        }
        let payload = kept.numbering.map_or(kept.payload().len(), |numbering| numbering.length(kept.payload()));
        self.packets = self.packets.wrapping_add(1);
        self.octets = self.octets.wrapping_add(payload as u32);
        let pt = self.codec(kept.format, kept.clock)?.pt;
        let (ssrc, index) = (self.route.ssrc, numbers.sequence as u64);
        self.dump(&Outgoing { kept, numbers, pt, ssrc, index, original: None }, now, departures, sinks)
    }

    /// Answer the sink's NACK for one of our sequence numbers with an RTX packet (RFC 4588). Bytes on the wire, None
    /// if it was not sent.
    pub fn resend<S: Sinks>(
        &mut self,
        track: &Track,
        sequence: u16,
        now: Seconds,
        departures: &mut Departures,
        sinks: &mut S,
    ) -> Result<Option<usize>, Drop> {
        // Without RTX the same number would have to carry the same bytes: not kept, so not sent.
        let Some(ssrc) = self.route.rtx_ssrc else { return Err(Drop::CacheMiss) };
        let sent = self.repair.find(sequence).ok_or(Drop::CacheMiss)?;
        let kept = track.known(sent.layer).and_then(|layer| layer.cache.find(sent.index)).ok_or(Drop::CacheMiss)?;
        let pt = self.codec(kept.format, kept.clock).and_then(|codec| codec.rtx_pt).ok_or(Drop::CacheMiss)?;
        let index = self.repair.allow(sequence, kept.size, now)?;
        let numbers = sent.numbers(index);
        Ok(self.dump(&Outgoing { kept, numbers, pt, ssrc, index, original: Some(sequence) }, now, departures, sinks))
    }

    /// Whether the sink takes retransmissions, so that probes may look like them.
    #[must_use]
    pub fn pads(&self) -> bool {
        self.route.rtx_ssrc.is_some() && self.route.codecs.iter().any(|codec| codec.rtx_pt.is_some())
    }

    /// Send one of the newest packets again, `back` before the last, though nobody asked. Bytes on the wire, None if it
    /// is not kept.
    pub fn repeat<S: Sinks>(
        &mut self,
        track: &Track,
        back: u16,
        now: Seconds,
        departures: &mut Departures,
        sinks: &mut S,
    ) -> Option<usize> {
        let ssrc = self.route.rtx_ssrc?;
        let sequence = self.rewriter.newest().0.wrapping_sub(back);
        let sent = self.repair.find(sequence)?;
        let kept = track.known(sent.layer)?.cache.find(sent.index)?;
        let pt = self.codec(kept.format, kept.clock)?.rtx_pt?;
        let index = self.repair.unasked();
        let numbers = sent.numbers(index);
        self.dump(&Outgoing { kept, numbers, pt, ssrc, index, original: Some(sequence) }, now, departures, sinks)
    }

    /// Send a retransmission of nothing: so many bytes of padding (RFC 3550 §5.1), 255 at most. Bytes on the wire, None if
    /// it was not sent.
    pub fn pad<S: Sinks>(
        &mut self,
        bytes: u32,
        now: Seconds,
        departures: &mut Departures,
        sinks: &mut S,
    ) -> Option<usize> {
        let ssrc = self.route.rtx_ssrc?;
        let pt = self.route.codecs.iter().find_map(|codec| codec.rtx_pt)?;
        let index = self.repair.unasked();
        let own = Own::new(now, departures.next(), None);
        let block = Block::new(&self.route.extensions, self.route.mid.as_bytes(), &own, &Copied::default(), &[]);
        let (extensions, padding) = (block.length(), bytes.clamp(1, 255) as u8);
        let room = 12 + extensions + usize::from(padding);
        let timestamp = self.rewriter.newest().1;
        let mut write = |out: &mut [u8]| {
            let Some((head, rest)) = out.split_first_chunk_mut::<12>() else { return 0 };
            let first = if extensions > 0 { 0xB0 } else { 0xA0 };
            let [s1, s2] = (index as u16).to_be_bytes();
            let [t1, t2, t3, t4] = timestamp.to_be_bytes();
            let [c1, c2, c3, c4] = ssrc.to_be_bytes();
            *head = [first, pt, s1, s2, t1, t2, t3, t4, c1, c2, c3, c4];
            let Some((extended, rest)) = rest.split_at_mut_checked(extensions) else { return 0 };
            block.write(extended);
            rest.fill(0);
            if let Some(last) = rest.last_mut() {
                *last = padding;
            }
            room
        };
        let sent = sinks.rtp(self.sink, index, room, &mut write);
        if sent.is_some() && self.route.extensions.transport_cc != 0 {
            departures.left(now, room);
        }
        sent
    }

    /// Measure a packet, and write it where the sink wants it.
    fn dump<S: Sinks>(
        &self,
        outgoing: &Outgoing<'_>,
        now: Seconds,
        departures: &mut Departures,
        sinks: &mut S,
    ) -> Option<usize> {
        let &Outgoing { kept, numbers, pt, ssrc, index, original } = outgoing;
        let ids = &self.route.extensions;
        let own = Own::new(now, departures.next(), kept.number.map(|_| numbers.picture));
        let block = Block::new(ids, self.route.mid.as_bytes(), &own, &kept.copied, &kept.data);
        let payload = kept.payload();
        let body = kept.numbering.map_or(payload.len(), |numbering| numbering.length(payload));
        let repeats = if original.is_some() { 2 } else { 0 };
        let extensions = block.length();
        let room = 12 + extensions + repeats + body;
        let mut write = |out: &mut [u8]| {
            let Some((head, rest)) = out.split_first_chunk_mut::<12>() else { return 0 };
            let [s1, s2] = (numbers.sequence as u16).to_be_bytes();
            let [t1, t2, t3, t4] = numbers.timestamp.to_be_bytes();
            let [c1, c2, c3, c4] = ssrc.to_be_bytes();
            let first = if extensions > 0 { 0x90 } else { 0x80 };
            *head = [first, u8::from(numbers.marker) << 7 | pt, s1, s2, t1, t2, t3, t4, c1, c2, c3, c4];
            let Some((extended, rest)) = rest.split_at_mut_checked(extensions) else { return 0 };
            block.write(extended);
            let Some((repeated, rest)) = rest.split_at_mut_checked(repeats) else { return 0 };
            if let Some(original) = original {
                copy(&original.to_be_bytes(), repeated);
            }
            match kept.numbering {
                Some(numbering) => numbering.write(payload, rest, numbers.picture, numbers.tl0),
                None => copy(payload, rest),
            }
            room
        };
        let bytes = sinks.rtp(self.sink, index, room, &mut write);
        if bytes.is_some() && ids.transport_cc != 0 {
            departures.left(now, room);
        }
        bytes
    }
}
