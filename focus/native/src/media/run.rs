//! Packets of one layer that came together go to one sink after the other, not packet by packet.
//!
//! So a sink's numbering, keys and room to write are in the processor's cache for all of them: with a hundred sinks
//! that is a tenth of what a packet costs. Nothing that they rest on may change in between: whoever
//! changes it calls [`Media::settle`] before. Each sink gets its packets in the order in which they came.

use super::cache::CACHED;
use super::pacer::Waiting;
use super::route::Forward;
use super::source::Track;
use super::table::{Peer, Slab, TrackKey};
use super::{Media, Seconds, Sinks};
use crate::command::{Drop, Event, Kind, Tally};

/// Packets of a run: more than a frame mostly has.
const MOST: usize = 64;
/// Packets that come of a run.
const MOST_OUT: usize = 8192;
/// A train of so many packets gains little by more of them: such trains leave as soon as there are ...
const LONG: usize = 8;
/// ... so many bytes of them, for the kernel to find them in the processor's cache, and the next ones their room.
const ENOUGH: u64 = 128 << 10;

/// Packets that a layer keeps and that wait to be forwarded.
#[derive(Debug, Default)]
pub struct Run {
    track: TrackKey,
    /// Of the layer in its track.
    place: usize,
    /// The layer's id.
    layer: u16,
    /// When they came.
    now: Seconds,
    /// In the order in which they came. Empty: nothing waits.
    indices: Vec<i64>,
    /// How many of the track's routes have got them.
    served: usize,
}

impl Run {
    /// Whether what waits is of this layer and came at this time, if anything waits.
    fn goes_on(&self, track: TrackKey, layer: u16, now: Seconds) -> bool {
        self.indices.is_empty() || self.track == track && self.layer == layer && self.now == now && self.served == 0
    }

    fn clear(&mut self) {
        self.indices.clear();
        self.served = 0;
    }

    /// Whether keeping this packet may take the place of one that waits.
    fn would_lose(&self, index: i64) -> bool {
        self.indices.first().is_some_and(|first| first.abs_diff(index) >= CACHED as u64 / 2)
    }
}

/// Have what the sinks after this one rest on fetched: of the third its route, of the second what that leads to, of the next
/// what lies behind that.
fn look_ahead<S: Sinks>(run: &Run, track: &Track, routes: &Slab<Forward>, peers: &Slab<Peer>, sinks: &S) {
    let packets = run.indices.len();
    let after = |place: usize| track.routes.get(run.served + place).copied();
    // Those that carry this layer: the others do not get as far.
    let carries = |key| routes.get(key).filter(|route: &&Forward| route.layer == Some(run.layer));
    if let Some(third) = after(3) {
        routes.fetch(third);
    }
    if let Some(second) = after(2).and_then(carries) {
        second.fetch(packets);
        peers.fetch(second.sink);
        sinks.fetch(second.sink);
    }
    if let Some(next) = after(1).and_then(carries) {
        peers.get(next.sink).into_iter().for_each(|peer| peer.fetch(packets));
        sinks.fetch_keys(next.sink);
    }
}

impl Media {
    /// Have nothing wait that a packet of this layer, kept under this index, would not go on with. None: of a layer
    /// that is not known yet.
    pub(super) fn make_way<S: Sinks>(
        &mut self,
        track: TrackKey,
        layer: Option<u16>,
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        if layer.is_none_or(|layer| !self.run.goes_on(track, layer, now)) {
            self.settle(sinks, tally);
        }
    }

    /// As `make_way`, once it is known where the packet will be kept.
    pub(super) fn make_room<S: Sinks>(&mut self, index: i64, sinks: &mut S, tally: &mut Tally) {
        if self.run.would_lose(index) {
            self.settle(sinks, tally);
        }
    }

    /// A layer keeps a packet: let it wait for others.
    pub(super) fn queue<S: Sinks>(
        &mut self,
        track: TrackKey,
        place: usize,
        index: i64,
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        let layer = self.tracks.get(track).and_then(|track| track.layers.get(place)).map(|layer| layer.id);
        self.make_way(track, layer, now, sinks, tally);
        let (Some(layer), Some(found)) = (layer, self.tracks.get(track)) else { return };
        let run = &mut self.run;
        (run.track, run.place, run.layer, run.now) = (track, place, layer, now);
        run.indices.push(index);
        if run.indices.len() >= MOST || run.indices.len() * found.routes.len() >= MOST_OUT {
            self.settle(sinks, tally);
        }
    }

    /// Send what waits to every sink of its track.
    pub fn settle<S: Sinks>(&mut self, sinks: &mut S, tally: &mut Tally) {
        while self.settle_part(sinks, tally) {}
    }

    /// As `settle`, until so much was sent as had better leave before more is: true then.
    pub fn settle_part<S: Sinks>(&mut self, sinks: &mut S, tally: &mut Tally) -> bool {
        if self.run.indices.is_empty() {
            return false;
        }
        let Self { run, tracks, routes, peers, edges, pacing, .. } = self;
        let found = tracks.get(run.track).and_then(|track| Some((track, track.layers.get(run.place)?)));
        let Some((track, layer)) = found.filter(|(_, layer)| layer.id == run.layer) else {
            run.clear();
            return false;
        };
        if track.routes.is_empty() && track.mirrors.is_empty() && track.home.is_none() {
            run.indices.iter().for_each(|_| tally.drop(Drop::NoRoute));
        }
        let before = tally.bytes_out;
        let most = if run.indices.len() < LONG { u64::MAX } else { ENOUGH };
        while let Some(&route) = track.routes.get(run.served) {
            if tally.bytes_out - before >= most {
                return true;
            }
            look_ahead(run, track, routes, peers, sinks);
            run.served += 1;
            let key = route;
            let Some(route) = routes.get_mut(route) else { continue };
            let Some(sink) = peers.get_mut(route.sink).filter(|_| sinks.connected(route.sink)) else {
                run.indices.iter().for_each(|_| tally.drop(Drop::SinkNotConnected));
                continue;
            };
            // Voices never wait.
            let mut held = sink.link.as_deref_mut().filter(|link| track.expect.kind == Kind::Video && link.holds());
            let base = held.is_some() && track.layers.iter().all(|other| !other.live || layer.rate <= other.rate);
            for &index in &run.indices {
                let Some(kept) = layer.cache.get(index) else { continue };
                let before = route.layer;
                let numbers = match route.pass(track, layer, kept) {
                    Ok(numbers) => numbers,
                    Err(why) => {
                        tally.drop(why);
                        continue;
                    }
                };
                if route.layer != before {
                    edges.push(Event::Switched { route: route.route.route, layer: Some(layer.rid.clone()) });
                }
                if let Some(link) = &mut held {
                    let (id, layer, size) = (route.route.route, layer.id, kept.size);
                    if link.wait(Waiting { route: key, id, layer, index, numbers, size }, base) {
                        tally.drop(Drop::PacerFull);
                    }
                    continue;
                }
                match route.send(layer.id, kept, numbers, run.now, &mut sink.departures, sinks) {
                    Some(bytes) => {
                        tally.packets_out += 1;
                        tally.bytes_out += bytes as u64;
                    }
                    None => tally.drop(Drop::SinkNotConnected),
                }
            }
            if held.is_some() {
                let peer = route.sink;
                if leave(sink, routes, tracks, run.now, sinks, tally) && !pacing.contains(&peer) {
                    pacing.push(peer);
                }
            }
        }
        run.clear();
        false
    }
}

/// Send what is due of the pictures that wait for a peer. False when nothing waits any more.
pub(super) fn leave<S: Sinks>(
    peer: &mut Peer,
    routes: &mut Slab<Forward>,
    tracks: &Slab<Track>,
    now: Seconds,
    sinks: &mut S,
    tally: &mut Tally,
) -> bool {
    let Some(link) = &mut peer.link else { return false };
    while let Some(one) = link.pop(now) {
        let route = routes.get_mut(one.route).filter(|route| route.route.route == one.id && route.layer.is_some());
        let found = route.and_then(|route| {
            let kept = tracks.get(route.track)?.known(one.layer)?.cache.get(one.index)?;
            Some((route, kept))
        });
        // Paused, gone, or no longer kept.
        let Some((route, kept)) = found else {
            tally.drop(Drop::PacerFull);
            continue;
        };
        match route.send(one.layer, kept, one.numbers, now, &mut peer.departures, sinks) {
            Some(bytes) => {
                tally.packets_out += 1;
                tally.bytes_out += bytes as u64;
            }
            None => tally.drop(Drop::SinkNotConnected),
        }
    }
    link.waits()
}
