//! Where the media path ends: packets for a peer are sealed by its transport straight into its lane of the outbox.
//!
//! It knows peers by their place, and nothing of who they are or what is routed to them.

use std::net::SocketAddr;

use crate::command::Name;
use crate::media::mirror::Shared;
use crate::media::{PeerKey, Sinks};
use crate::outbox::Outbox;
use crate::parcel::{Parcel, Record};
use crate::pump::ahead::fetch;
use crate::transport::srtp::header_length;
use crate::transport::{Out, TAIL, Transport};

/// Packets from this size on have their payload brought to a multiple of `STEP` by RTP padding, so that those of one frame,
/// which encoders split into sizes one byte apart, form one train: 0.6 % of the bytes on average. It is AES's block, and a rest
/// that fills none would be sealed by itself.
const EVENED: usize = 600;
const STEP: usize = 16;

/// A peer, but for its media.
pub(crate) struct Peer {
    pub name: Name,
    pub transport: Transport,
    pub connected: bool,
    /// It stays at this worker: its first check came.
    pub settled: bool,
    /// User fragments under which checks find it: a restart adds one.
    pub ufrags: Vec<String>,
    /// Addresses that authenticated checks came from.
    pub addresses: Vec<SocketAddr>,
}

/// Peers and what waits to be sent to them: where the media path ends.
pub(crate) struct Wires {
    pub peers: Vec<Option<Peer>>,
    pub outbox: Outbox,
    /// What waits to be handed to other workers, by worker; none when this one is alone.
    pub parcels: Vec<Parcel>,
}

impl Wires {
    /// A report of this peer's is opened now. A hint only.
    pub fn fetch_opening(&self, peer: PeerKey) {
        if let Some(Some(found)) = self.peers.get(peer as usize) {
            found.transport.fetch_opening();
        }
    }

    /// The peer at this place, if there is one.
    pub fn peer(&mut self, key: PeerKey) -> Option<&mut Peer> {
        self.peers.get_mut(key as usize)?.as_mut()
    }
}

/// A peer's lane, as its transport writes into it.
pub(crate) struct Lane<'a> {
    pub outbox: &'a mut Outbox,
    pub peer: PeerKey,
}

impl Out for Lane<'_> {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.outbox.push(self.peer, to, datagram);
    }
}

impl Sinks for Wires {
    fn connected(&self, peer: PeerKey) -> bool {
        matches!(self.peers.get(peer as usize), Some(Some(found)) if found.connected)
    }

    fn rtp(
        &mut self,
        peer: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize> {
        let found = self.peers.get_mut(peer as usize)?.as_mut()?;
        let to = found.transport.path()?;
        let lane = self.outbox.lane(peer);
        let buffer = lane.reserve(room + STEP + TAIL)?;
        let length = write(buffer.get_mut(..room)?);
        let length = even(buffer, length);
        let sealed = found.transport.seal_rtp(buffer, length, index).ok()?;
        lane.commit(to, sealed);
        Some(sealed)
    }

    fn rtcp(&mut self, peer: PeerKey, compound: &[u8]) -> Option<usize> {
        let found = self.peers.get_mut(peer as usize)?.as_mut()?;
        let to = found.transport.path()?;
        let lane = self.outbox.lane(peer);
        let buffer = lane.reserve(compound.len() + TAIL)?;
        buffer.get_mut(..compound.len())?.copy_from_slice(compound);
        let sealed = found.transport.seal_rtcp(buffer, compound.len()).ok()?;
        lane.commit(to, sealed);
        Some(sealed)
    }

    fn fetch(&self, peer: PeerKey) {
        if let Some(Some(found)) = self.peers.get(peer as usize) {
            fetch(&found.connected);
            found.transport.fetch();
        }
    }

    fn fetch_keys(&self, peer: PeerKey) {
        if let Some(Some(found)) = self.peers.get(peer as usize) {
            found.transport.fetch_keys();
        }
    }

    fn share(&mut self, worker: usize, shared: Shared, data: &[u8]) {
        if let Some(parcel) = self.parcels.get_mut(worker) {
            parcel.push(Record::Shared(shared), data);
        }
    }
}

/// Pad a large packet's payload to a multiple of `STEP` (RFC 3550 §5.1); returns the packet's new length.
fn even(buffer: &mut [u8], length: usize) -> usize {
    if length < EVENED || buffer.first().is_none_or(|first| first & 0x20 != 0) {
        return length;
    }
    let over = header_length(buffer).map_or(0, |header| length.saturating_sub(header) % STEP);
    if over == 0 {
        return length;
    }
    let end = length + STEP - over;
    let Some(padding) = buffer.get_mut(length..end) else { return length };
    padding.fill(0);
    if let Some(last) = padding.last_mut() {
        *last = u8::try_from(STEP - over).unwrap_or(0);
    }
    if let Some(first) = buffer.first_mut() {
        *first |= 0x20;
    }
    end
}
