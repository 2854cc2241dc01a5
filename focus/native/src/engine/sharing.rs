//! An engine as one of several workers: what it does so that together they are one.
//!
//! Alone, it does nothing of this. It hands things to others by `parcels`, and tells which
//! addresses it took and gave up by `moved`; who carries that is the pump's affair.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use crate::command::{Command, Event, Name};
use crate::media::PeerKey;
use crate::media::mirror::Shared;
use crate::parcel::Parcel;
use crate::sharing::Sharing;

/// An address that an engine took for a peer, or gave up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// The address.
    pub address: SocketAddr,
    /// It was taken.
    pub taken: bool,
}

impl Engine {
    /// Be one of so many workers; 1 is to be alone.
    pub fn among(&mut self, workers: usize) {
        self.wires.parcels.resize_with(if workers > 1 { workers } else { 0 }, Parcel::default);
    }

    pub(super) fn is_alone(&self) -> bool {
        self.wires.parcels.is_empty()
    }

    /// What waits to be handed over, by worker; none when alone. `clear` what was.
    pub fn parcels(&mut self) -> &mut [Parcel] {
        &mut self.wires.parcels
    }

    /// Addresses that were taken or given up since the list was emptied, in order; none when alone.
    pub fn moved(&mut self) -> &mut Vec<Moved> {
        &mut self.moved
    }

    /// Carry out an order; one about what is gone is nothing.
    pub fn share(&mut self, now: Instant, sharing: Sharing) {
        self.forward_all();
        match sharing {
            Sharing::Settle { peer } => self.settle(&peer),
            Sharing::Abandon { peer } => self.abandon(now, &peer),
            Sharing::Again(command) => self.again(now, command),
            Sharing::Mirror { expect, home } => self.media.mirror(expect, home),
            Sharing::Unmirror { track } => {
                self.media.forget(&track);
            }
            Sharing::Feed { track, worker } => {
                self.media.feed(now, &track, worker, &mut self.wires);
            }
            Sharing::Starve { track, worker } => self.media.starve(&track, worker),
            Sharing::Disown { address } => self.disown(address),
        }
    }

    /// Take in what another worker shares.
    pub fn shared(&mut self, shared: Shared, data: &[u8]) {
        self.media.shared(shared, data, &mut self.wires, &mut self.tally);
    }

    fn settle(&mut self, name: &Name) {
        if let Some(peer) = self.keys.get(name).copied().and_then(|key| self.wires.peer(key)) {
            peer.settled = true;
        }
    }

    fn abandon(&mut self, now: Instant, name: &Name) {
        // It never had a path, so its goodbye goes nowhere.
        self.close(now, name);
    }

    fn again(&mut self, now: Instant, command: Command) {
        let opened = match &command {
            Command::Open(open) => Some(open.peer.clone()),
            _ => None,
        };
        let before = self.events.len();
        self.submit(now, command);
        if let Some(peer) = opened {
            self.settle(&peer);
        }
        let mut place = 0;
        self.events.retain(|event| {
            place += 1;
            place <= before || !matches!(event, Event::Reachable { .. })
        });
    }

    fn disown(&mut self, address: SocketAddr) {
        let before = self.addresses.remove(&address);
        if let Some(before) = before.and_then(|key| self.wires.peer(key)) {
            before.addresses.retain(|other| *other != address);
        }
    }

    /// From now on, what is no check and comes from there is this peer's. Whose it was before.
    pub(super) fn take_address(&mut self, address: SocketAddr, key: PeerKey) -> Option<PeerKey> {
        let before = self.addresses.insert(address, key);
        if before.is_none() && !self.is_alone() {
            self.moved.push(Moved { address, taken: true });
        }
        before
    }

    /// What comes from there is nobody's, if it was this peer's.
    pub(super) fn give_up_address(&mut self, address: SocketAddr, key: PeerKey) {
        if self.addresses.get(&address) == Some(&key) {
            self.addresses.remove(&address);
            if !self.is_alone() {
                self.moved.push(Moved { address, taken: false });
            }
        }
    }
}
