//! The column of a received packet, top to bottom: parse, bind to a layer, repair, account, remember, forward to
//! every sink. Each exit names its reason.

use std::time::Instant;

use super::extensions::{find, read};
use super::mirror::{self, What};
use super::rtp::{AROUND, Header, parse};
use super::source::{Arrival, Track};
use super::table::{Peer, Slab, Stream, TrackKey};
use super::{Media, PeerKey, Sinks};
use crate::command::{Drop, Event, Rid, Tally};

/// Streams per transport.
const MOST_SSRCS: usize = 32;

impl Media {
    /// A decrypted RTP packet arrived.
    pub fn rtp<S: Sinks>(&mut self, now: Instant, from: PeerKey, packet: &[u8], sinks: &mut S, tally: &mut Tally) {
        self.take(now, from, packet, sinks, tally);
        self.settle(sinks, tally);
    }

    /// As `rtp`, but it may wait for others of its layer, until `settle`.
    pub fn take<S: Sinks>(&mut self, now: Instant, from: PeerKey, packet: &[u8], sinks: &mut S, tally: &mut Tally) {
        if let Err(why) = self.receive(now, from, packet, sinks, tally) {
            tally.drop(why);
        }
    }

    fn receive<S: Sinks>(
        &mut self,
        at: Instant,
        from: PeerKey,
        data: &[u8],
        sinks: &mut S,
        tally: &mut Tally,
    ) -> Result<(), Drop> {
        let now = self.seconds(at);
        let peer = self.peers.get_mut(from).ok_or(Drop::UnknownPeer)?;
        peer.left = peer.left.checked_sub(1).ok_or(Drop::TooFast)?;
        let mut header = parse(data).ok_or(Drop::Malformed)?;
        let stream_at = peer.streams.iter().position(|stream| stream.ssrc == header.ssrc);
        let stream_at = stream_at.map_or_else(|| bind(peer, &self.tracks, &header, data), Ok)?;
        let Some(stream) = peer.streams.get(stream_at) else { return Err(Drop::UnknownSsrc) };
        let key = stream.track;
        let track = self.tracks.get_mut(key).ok_or(Drop::UnknownSsrc)?;
        let (copied, number) = read(&header, data, &track.expect.extensions);
        if let Some(number) = number {
            peer.arrivals.note(number, header.ssrc, now);
        }
        let codec = if stream.repairing {
            // Turn an RTX packet back into the one that it repeats (RFC 4588 §4).
            let codec = track.repaired(header.payload_type).ok_or(Drop::UnknownPayloadType)?;
            let original = header.payload.of(data).first_chunk().copied();
            let repeated = original.and_then(|original| Some((original, track.layer(&stream.rid)?.ssrc())));
            let (original, ssrc) = repeated.ok_or(Drop::Padding)?;
            header.ssrc = ssrc;
            header.sequence = u16::from_be_bytes(original);
            header.payload = header.payload.after(2);
            codec
        } else {
            track.codec(header.payload_type).ok_or(Drop::UnknownPayloadType)?
        };
        let repairing = stream.repairing;
        // A layer that begins anew takes the place of one of which packets may wait.
        let layer = track.layers.iter().find(|layer| layer.ssrc() == header.ssrc).map(|layer| layer.id);
        self.make_way(key, layer, now, sinks, tally);
        let stream = self.peers.get(from).and_then(|peer| peer.streams.get(stream_at)).ok_or(Drop::UnknownSsrc)?;
        let track = self.tracks.get_mut(key).ok_or(Drop::UnknownSsrc)?;
        let place = track.bind(&stream.rid, header.ssrc, &codec);
        let layer = track.layers.get_mut(place).ok_or(Drop::UnknownSsrc)?;
        layer.format = Some((codec.format, codec.clock));
        layer.last = now;
        layer.bytes += u64::from(header.size) + AROUND as u64;
        let index = layer.number(header.sequence, header.timestamp, repairing, now).ok_or(Drop::TooOld)?;
        self.make_room(index, sinks, tally);
        let track = self.tracks.get_mut(key).ok_or(Drop::UnknownSsrc)?;
        let layer = track.layers.get_mut(place).ok_or(Drop::UnknownSsrc)?;
        let arrival = Arrival { header: &header, data, codec, kind: track.expect.kind, copied };
        let resized = match layer.take(&arrival, index, now) {
            Ok(resized) => resized,
            Err(why @ (Drop::Padding | Drop::Malformed)) => {
                // A packet that no sink gets, and none shall miss.
                let id = layer.id;
                self.settle(sinks, tally);
                let track = self.tracks.get(key).ok_or(Drop::UnknownSsrc)?;
                for &route in &track.routes {
                    if let Some(route) = self.routes.get_mut(route) {
                        route.skip(id, index);
                    }
                }
                if let Some(layer) = track.layers.get(place).filter(|_| !track.mirrors.is_empty()) {
                    mirror::share(track, layer, at, &What::Skip(index), &[], sinks);
                }
                return Err(why);
            }
            Err(why) => return Err(why),
        };
        if resized || !layer.live {
            layer.live = true;
            self.edges.push(Event::Appeared {
                track: track.expect.track.clone(),
                layer: layer.rid.clone(),
                width: layer.width,
                height: layer.height,
            });
        }
        if let Some(level) = arrival.loudness() {
            track.loudness.hear(level);
        }
        if !track.mirrors.is_empty() {
            self.spread(key, place, index, at, sinks);
        }
        self.queue(key, place, index, now, sinks, tally);
        Ok(())
    }

    /// Hand a packet that a layer keeps to the workers that mirror its track.
    fn spread<S: Sinks>(&mut self, track: TrackKey, place: usize, index: i64, at: Instant, sinks: &mut S) {
        let Some(track) = self.tracks.get(track) else { return };
        let Some(layer) = track.layers.get(place) else { return };
        if let Some(kept) = layer.cache.get(index) {
            mirror::share(track, layer, at, &What::Packet(kept.head()), &kept.data, sinks);
        }
    }
}

/// Find whose an unknown SSRC is: signalled, else by mid and rid, else by payload type (RFC 8843 §9.2). The place of
/// its stream.
fn bind(peer: &mut Peer, tracks: &Slab<Track>, header: &Header, data: &[u8]) -> Result<usize, Drop> {
    let listed = || peer.tracks.iter().filter_map(|key| Some((*key, tracks.get(*key)?)));
    let found = signalled(listed(), header)
        .or_else(|| named(listed(), header, data))
        .or_else(|| only(listed(), header.payload_type));
    let (track, rid, repairing) = found.ok_or(Drop::UnknownSsrc)?;
    if peer.streams.len() >= MOST_SSRCS {
        return Err(Drop::TooManySsrcs);
    }
    // A layer that comes back on a new SSRC frees the place of its old one.
    peer.streams.retain(|old| old.track != track || old.rid != rid || old.repairing != repairing);
    peer.streams.push(Stream { ssrc: header.ssrc, track, rid, repairing });
    Ok(peer.streams.len() - 1)
}

type Found = (TrackKey, Rid, bool);

fn signalled<'a>(mut tracks: impl Iterator<Item = (TrackKey, &'a Track)>, header: &Header) -> Option<Found> {
    tracks.find_map(|(key, track)| {
        let place = track.expect.ssrcs.iter().position(|ssrc| *ssrc == header.ssrc)?;
        Some((key, Rid::from(""), place != 0))
    })
}

fn named<'a>(mut tracks: impl Iterator<Item = (TrackKey, &'a Track)>, header: &Header, data: &[u8]) -> Option<Found> {
    let (key, track) = tracks
        .find(|(_, track)| find(header, data, track.expect.extensions.mid) == Some(track.expect.mid.as_bytes()))?;
    let ids = &track.expect.extensions;
    let repairing = track.repaired(header.payload_type).is_some();
    if track.expect.rids.is_empty() {
        return Some((key, Rid::from(""), repairing));
    }
    let (rid, repaired) = (find(header, data, ids.rid), find(header, data, ids.repaired_rid));
    let name = repaired.filter(|name| !name.is_empty()).or(rid).unwrap_or_default();
    let rid = track.expect.rids.iter().find(|rid| rid.as_bytes() == name)?;
    Some((key, rid.clone(), repaired.is_some() || repairing))
}

fn only<'a>(tracks: impl Iterator<Item = (TrackKey, &'a Track)>, pt: u8) -> Option<Found> {
    let mut fitting = tracks.filter(|(_, track)| track.codec(pt).is_some() && track.expect.rids.is_empty());
    let (key, track) = fitting.next()?;
    (fitting.next().is_none() && track.expect.ssrcs.is_empty()).then(|| (key, Rid::from(""), false))
}
