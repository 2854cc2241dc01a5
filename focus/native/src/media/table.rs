//! Peers, tracks and routes by dense keys, so that the packet path hashes nothing.
//!
//! Names are for the control plane's commands only: see `mod.rs`.

use super::link::Link;
use super::twcc::{Arrivals, Departures};
use crate::command::{Name, Rid};
use crate::pump::ahead::fetch;

/// The engine's dense index of a peer.
pub type PeerKey = u32;
/// The place of a track.
pub type TrackKey = u32;
/// The place of a route.
pub type RouteKey = u32;

/// RTP packets taken from one peer in a second: five times what a busy camera sends.
pub const MOST_PACKETS: u32 = 3000;

/// Values by dense keys; a key that was freed is given again.
#[derive(Debug)]
pub struct Slab<T> {
    items: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { items: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Find a place.
    pub fn insert(&mut self, item: T) -> u32 {
        let key = self.free.pop().unwrap_or(self.items.len() as u32);
        self.put(key, item);
        key
    }

    /// Use a key that somebody else gave out.
    pub fn put(&mut self, key: u32, item: T) {
        let place = key as usize;
        if self.items.len() <= place {
            self.items.resize_with(place + 1, || None);
        }
        if let Some(slot) = self.items.get_mut(place) {
            *slot = Some(item);
        }
    }

    /// Take one out; its key is free. Not for keys of [`Slab::put`].
    pub fn remove(&mut self, key: u32) -> Option<T> {
        let item = self.take(key)?;
        self.free.push(key);
        Some(item)
    }

    /// Take one out whose key somebody else gave out.
    pub fn take(&mut self, key: u32) -> Option<T> {
        self.items.get_mut(key as usize)?.take()
    }

    /// The item with this key is looked at soon.
    pub fn fetch(&self, key: u32) {
        self.items.get(key as usize).into_iter().for_each(fetch);
    }

    /// The item with this key.
    #[must_use]
    pub fn get(&self, key: u32) -> Option<&T> {
        self.items.get(key as usize)?.as_ref()
    }

    /// The item with this key.
    pub fn get_mut(&mut self, key: u32) -> Option<&mut T> {
        self.items.get_mut(key as usize)?.as_mut()
    }
}

/// An incoming SSRC: whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The SSRC.
    pub ssrc: u32,
    /// Its track.
    pub track: TrackKey,
    /// Its layer.
    pub rid: Rid,
    /// It is a retransmission stream.
    pub repairing: bool,
}

/// What a peer publishes and what is forwarded to it.
#[derive(Debug)]
pub struct Peer {
    /// As the control plane calls it.
    pub name: Name,
    /// Tracks that it publishes, one for each mid, in the order in which they were last described.
    pub tracks: Vec<TrackKey>,
    /// Routes that end here, by their SSRC.
    pub sinks: Vec<(u32, RouteKey)>,
    /// By incoming SSRC; bounded.
    pub streams: Vec<Stream>,
    /// Of its packets, until they are told.
    pub arrivals: Arrivals,
    /// Of packets to it.
    pub departures: Departures,
    /// Packets that may still come in this second.
    pub left: u32,
    /// The newest estimate of what it can receive, in bits a second.
    pub estimate: u64,
    /// What its routes could use, in bits a second.
    pub need: f64,
    /// Its link, once it told of packets.
    pub link: Option<Box<Link>>,
}

impl Peer {
    /// A peer that does nothing yet.
    #[must_use]
    pub fn new(name: Name) -> Self {
        Self {
            name,
            tracks: Vec::new(),
            sinks: Vec::new(),
            streams: Vec::new(),
            arrivals: Arrivals::default(),
            departures: Departures::default(),
            left: MOST_PACKETS,
            estimate: 0,
            need: 0.0,
            link: None,
        }
    }

    /// So many packets leave here soon. A hint only, for what this points to.
    pub fn fetch(&self, packets: usize) {
        self.departures.fetch(packets);
        self.link.iter().for_each(|link| link.fetch());
    }

    /// The stream of an incoming SSRC.
    #[must_use]
    pub fn stream(&self, ssrc: u32) -> Option<&Stream> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc)
    }

    /// The route that ends here with an SSRC.
    #[must_use]
    pub fn sink(&self, ssrc: u32) -> Option<RouteKey> {
        self.sinks.iter().find(|sink| sink.0 == ssrc).map(|sink| sink.1)
    }
}
