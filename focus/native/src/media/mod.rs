//! The packet path on decrypted packets: from a publisher's packet to each subscriber's.
//!
//! `Media` is the table of peers, tracks and routes that the control plane commands. What a packet
//! does is in `ingress`, what a report does in `control`, what time does in `timers`; each file
//! below them has one idea. It knows no socket, no clock and no cipher: packets leave by [`Sinks`],
//! and `now` is an argument, so that it runs in virtual time and beside the reference engine.

#![forbid(unsafe_code)]

pub mod av1;
#[cfg(any(test, feature = "probes"))]
#[cfg_attr(not(test), allow(dead_code, missing_docs))]
pub(crate) mod bytes;
pub mod cache;
mod control;
pub mod dependency;
pub mod extensions;
pub mod frame;
pub mod h264;
mod ingress;
mod link;
pub mod loudness;
pub mod mirror;
pub mod missing;
mod pacer;
pub mod parts;
#[cfg(any(test, feature = "probes"))]
pub(crate) mod probes;
pub mod reception;
pub mod repair;
mod resting;
pub mod rewriter;
pub mod route;
pub mod rtcp;
pub mod rtp;
mod run;
pub mod source;
#[cfg(test)]
mod steady_state;
pub mod table;
#[cfg(test)]
mod tests;
mod timers;
pub mod twcc;
pub mod vp8;
pub mod vp9;
pub mod within;

use std::collections::HashMap;
use std::time::Instant;

use crate::command::{Event, Expect, Highest, Name, Rid, Route, RouteId, Tally};
use resting::Resting;
use route::Forward;
use run::Run;
use source::Track;
pub use table::PeerKey;
use table::{Peer, RouteKey, Slab, TrackKey};
use timers::Turn;
use twcc::Told;

/// Time since the engine's epoch. In floating point, as the reference engine has it: the same input gives the same bits.
pub type Seconds = f64;

/// The sender of our RTCP towards publishers. It sends no media, so any value serves.
const OUR_SSRC: u32 = 1;

/// Whole microseconds.
fn micros(time: Seconds) -> i64 {
    (time * 1e6) as i64
}

/// Where packets go. It seals them; so it alone knows what they cost on the wire.
pub trait Sinks {
    /// Whether what is sent to this peer can arrive.
    fn connected(&self, peer: PeerKey) -> bool;

    /// Send one RTP packet to a peer: `write` fills exactly `room` bytes of plaintext and returns their number; `index`
    /// is the extended sequence number on the SSRC in them. Returns bytes on the wire, None if it was not sent.
    fn rtp(
        &mut self,
        peer: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize>;

    /// Send one compound RTCP packet to a peer. Returns bytes on the wire, None if it was not sent.
    fn rtcp(&mut self, peer: PeerKey, compound: &[u8]) -> Option<usize>;

    /// Something is sent to this peer soon. A hint only.
    fn fetch(&self, peer: PeerKey) {
        let _ = peer;
    }

    /// As `fetch`, which was asked before, for what lies further away.
    fn fetch_keys(&self, peer: PeerKey) {
        let _ = peer;
    }

    /// Hand something of a track to another worker. Where there is only one, nothing asks for it.
    fn share(&mut self, worker: usize, shared: mirror::Shared, data: &[u8]) {
        let _ = (worker, shared, data);
    }
}

/// A level for the control plane: only the newest value counts, which is kept with its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Estimate(PeerKey),
    Rates(TrackKey),
    Loudness(TrackKey),
}

/// See the module.
#[derive(Debug)]
pub struct Media {
    epoch: Instant,
    /// Ticks so far.
    beat: u64,
    /// Peers ever opened.
    opened: u64,
    peers: Slab<Peer>,
    /// In the order in which they were opened.
    order: Vec<Turn>,
    resting: Resting,
    tracks: Slab<Track>,
    routes: Slab<Forward>,
    /// Packets that wait to be forwarded: whatever changes what they rest on has them forwarded before.
    run: Run,
    by_name: HashMap<Name, TrackKey>,
    by_id: HashMap<RouteId, RouteKey>,
    /// Tracks whose publishers other workers have.
    mirrored: Vec<TrackKey>,
    edges: Vec<Event>,
    levels: Vec<Level>,
    /// Peers to which a probe is leaving.
    probing: Vec<PeerKey>,
    /// Peers for which pictures wait.
    pacing: Vec<PeerKey>,
    /// Room for one compound packet.
    scratch: Vec<u8>,
    /// Room for what one layer misses.
    asking: Vec<i64>,
    /// Room for what one feedback tells: one for all peers, so that it is in the processor's cache.
    told: Vec<Told>,
}

impl Media {
    /// An empty table. `epoch` is the zero of the times that it tells to others.
    #[must_use]
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            beat: 0,
            opened: 0,
            peers: Slab::default(),
            order: Vec::new(),
            resting: Resting::default(),
            tracks: Slab::default(),
            routes: Slab::default(),
            run: Run::default(),
            by_name: HashMap::new(),
            by_id: HashMap::new(),
            mirrored: Vec::new(),
            edges: Vec::new(),
            levels: Vec::new(),
            probing: Vec::new(),
            pacing: Vec::new(),
            scratch: Vec::with_capacity(rtp::LONGEST),
            asking: Vec::with_capacity(missing::MOST_MISSING as usize),
            told: Vec::with_capacity(twcc::MOST_STATUSES),
        }
    }

    fn seconds(&self, now: Instant) -> Seconds {
        now.saturating_duration_since(self.epoch).as_secs_f64()
    }

    /// A peer that may publish and receive. Said twice, it changes nothing.
    pub fn open(&mut self, peer: PeerKey, name: Name) {
        if self.peers.get(peer).is_none() {
            self.peers.put(peer, Peer::new(name));
            self.order.push(Turn { peer, before: self.opened, sends: false });
            self.opened += 1;
            self.note_rest(peer);
        }
    }

    /// Free a peer, its tracks and its routes.
    pub fn close(&mut self, peer: PeerKey) {
        let Some(gone) = self.peers.get(peer) else { return };
        let mut ending: Vec<RouteId> = Vec::new();
        ending.extend(gone.sinks.iter().filter_map(|sink| self.routes.get(sink.1)).map(|route| route.route.route));
        // One whose SSRC was given to another route is in no list of the peer's.
        ending.extend(
            self.by_id.iter().filter(|id| self.routes.get(*id.1).is_some_and(|r| r.sink == peer)).map(|id| *id.0),
        );
        for route in ending {
            self.unroute(route);
        }
        let by_peer = |track: &TrackKey| self.tracks.get(*track).is_some_and(|track| track.peer == peer);
        let names = self.by_name.iter().filter(|track| by_peer(track.1)).map(|track| track.0.clone());
        for name in names.collect::<Vec<_>>() {
            self.forget(&name);
        }
        self.levels.retain(|level| *level != Level::Estimate(peer));
        self.order.retain(|one| one.peer != peer);
        self.probing.retain(|key| *key != peer);
        self.pacing.retain(|key| *key != peer);
        self.peers.take(peer);
    }

    /// Receive a track. Said again with other values, it replaces them; layers that flow go on. False for a peer that
    /// is gone.
    pub fn expect(&mut self, peer: PeerKey, expect: Expect) -> bool {
        if self.peers.get(peer).is_none() {
            return false;
        }
        let key = match self.by_name.get(&expect.track) {
            Some(&key) => {
                let Some(track) = self.tracks.get_mut(key) else { return false };
                let publisher = track.peer;
                let before = std::mem::replace(&mut track.expect, expect);
                self.unlist(publisher, &before.mid, Some(key));
                key
            }
            None => {
                let name = expect.track.clone();
                let key = self.tracks.insert(Track::new(peer, expect));
                self.by_name.insert(name, key);
                key
            }
        };
        self.list(key);
        true
    }

    /// Take a mid out of a publisher's list. `renamed`: a track whose mid just changed, and was this one.
    fn unlist(&mut self, publisher: PeerKey, mid: &str, renamed: Option<TrackKey>) {
        let Some(peer) = self.peers.get_mut(publisher) else { return };
        let tracks = &self.tracks;
        let called = |key| tracks.get(key).is_some_and(|track| track.expect.mid == mid);
        peer.tracks.retain(|key| renamed != Some(*key) && !called(*key));
    }

    /// Put a track into its publisher's list, in the place of another with its mid.
    fn list(&mut self, key: TrackKey) {
        let Some(track) = self.tracks.get(key) else { return };
        self.order.iter_mut().filter(|turn| turn.peer == track.peer).for_each(|turn| turn.sends = true);
        let Some(peer) = self.peers.get_mut(track.peer) else { return };
        let same = |other: &TrackKey| self.tracks.get(*other).is_some_and(|other| other.expect.mid == track.expect.mid);
        match peer.tracks.iter_mut().find(|other| same(other)) {
            Some(place) => *place = key,
            None => peer.tracks.push(key),
        }
    }

    /// Stop receiving a track. False when it is gone.
    pub fn forget(&mut self, track: &Name) -> bool {
        let Some(key) = self.by_name.remove(track) else { return false };
        let Some(found) = self.tracks.get(key) else { return false };
        let publisher = found.peer;
        let mid = found.expect.mid.clone();
        let routes: Vec<RouteId> =
            found.routes.iter().filter_map(|route| self.routes.get(*route)).map(|route| route.route.route).collect();
        for route in routes {
            self.unroute(route);
        }
        self.unlist(publisher, &mid, None);
        if let Some(peer) = self.peers.get_mut(publisher) {
            peer.streams.retain(|stream| stream.track != key);
        }
        self.levels.retain(|level| !matches!(level, Level::Rates(of) | Level::Loudness(of) if *of == key));
        self.mirrored.retain(|mirror| *mirror != key);
        self.tracks.remove(key);
        true
    }

    /// Forward a track to a peer. Said again, the stream goes on with the new numbers. False when either is gone.
    pub fn route(&mut self, sink: PeerKey, route: Route) -> bool {
        let Some(&track) = self.by_name.get(&route.track) else { return false };
        let Some(source) = self.tracks.get_mut(track) else { return false };
        let publisher = source.expect.peer.clone();
        let Some(peer) = self.peers.get_mut(sink) else { return false };
        if let Some(known) = self.by_id.get(&route.route) {
            if let Some(known) = self.routes.get_mut(*known) {
                known.configure(route);
            }
            return true;
        }
        let (id, ssrc) = (route.route, route.ssrc);
        let key = self.routes.insert(Forward::new(route, track, sink, publisher));
        self.by_id.insert(id, key);
        source.routes.push(key);
        match peer.sinks.iter_mut().find(|sink| sink.0 == ssrc) {
            Some(place) => place.1 = key,
            None => peer.sinks.push((ssrc, key)),
        }
        true
    }

    /// Stop forwarding. False when the route is gone.
    pub fn unroute(&mut self, route: RouteId) -> bool {
        let Some(gone) = self.by_id.remove(&route).and_then(|key| Some((key, self.routes.remove(key)?))) else {
            return false;
        };
        let (key, gone) = gone;
        if let Some(track) = self.tracks.get_mut(gone.track) {
            track.routes.retain(|other| *other != key);
        }
        if let Some(sink) = self.peers.get_mut(gone.sink) {
            sink.sinks.retain(|other| other.0 != gone.route.ssrc);
        }
        true
    }

    /// Which layer a route should carry, and how much of it; None pauses it. The switch waits for a keyframe, which is
    /// asked for at once. False when the route is gone.
    pub fn set_layer<S: Sinks>(
        &mut self,
        now: Instant,
        route: RouteId,
        layer: Option<Rid>,
        highest: Highest,
        sinks: &mut S,
        tally: &mut Tally,
    ) -> bool {
        let Some(forward) = self.by_id.get(&route).and_then(|key| self.routes.get_mut(*key)) else { return false };
        if forward.aim(layer, highest) {
            self.edges.push(Event::Switched { route, layer: None });
        }
        let Some(track) = self.tracks.get_mut(forward.track) else { return true };
        let awaited = forward.waiting_for(track).and_then(|place| track.layers.get_mut(place));
        if let Some(awaited) = awaited {
            awaited.ask();
            // At once, not at the next tick: a person waits for this picture.
            let (key, publisher, now) = (forward.track, track.peer, self.seconds(now));
            self.request_keyframes(publisher, now, sinks, tally);
            self.wish(key, now, sinks);
        }
        true
    }

    /// Ask the publisher for a keyframe of one layer, at the next tick. False when the track is gone.
    pub fn keyframe(&mut self, track: &Name, layer: &Rid) -> bool {
        let Some(track) = self.by_name.get(track).and_then(|key| self.tracks.get_mut(*key)) else { return false };
        let place = track.place(layer);
        if let Some(layer) = place.and_then(|place| track.layers.get_mut(place)) {
            layer.ask();
        }
        true
    }

    /// Whether there are events to drain.
    #[must_use]
    pub fn pending(&self) -> bool {
        !self.edges.is_empty() || !self.levels.is_empty()
    }

    /// Take the edges in their order.
    pub fn drain_edges(&mut self, events: &mut Vec<Event>) {
        events.append(&mut self.edges);
    }

    /// Take the newest levels.
    pub fn drain_levels(&mut self, events: &mut Vec<Event>) {
        for level in self.levels.drain(..) {
            events.extend(match level {
                Level::Estimate(key) => {
                    let peer = self.peers.get(key);
                    peer.map(|peer| Event::Estimate { peer: peer.name.clone(), bps: peer.estimate })
                }
                Level::Rates(key) => self.tracks.get(key).map(|track| Event::Rates {
                    track: track.expect.track.clone(),
                    bps: track.rates.clone(),
                    parts: track.parts.clone(),
                }),
                Level::Loudness(key) => self.tracks.get(key).map(|track| Event::Levels {
                    track: track.expect.track.clone(),
                    loudness: track.loudness.newest(),
                    recent: track.loudness.recent().into(),
                }),
            });
        }
    }

    /// Take everything queued: edges in order, then the newest levels.
    pub fn drain(&mut self, events: &mut Vec<Event>) {
        self.drain_edges(events);
        self.drain_levels(events);
    }

    /// A level changed.
    fn tell(levels: &mut Vec<Level>, level: Level) {
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
}
