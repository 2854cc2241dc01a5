//! What waits to be sent: a lane for each peer, in which datagrams of one size lie side by side.
//!
//! Equal datagrams to one address form one message that the kernel cuts up itself (UDP_SEGMENT).
//! This file knows sizes and order, and no socket. A lane's memory goes on to another when it was
//! sent, newest first: so it is mostly in the processor's cache, and in steady state nothing is allocated.

use std::net::SocketAddr;
use std::ops::Range;

/// Segments of one message: the kernel's limit is 128, and 64 KiB with all headers comes first for large ones.
const MOST_SEGMENTS: usize = 64;
/// Bytes of one message: IPv4 carries 65,507 in a datagram, before it is cut.
const MOST_BYTES: usize = 64_000;
/// Bytes that may wait in one lane; more is the mark of a loop that does not flush.
const LONGEST_LANE: usize = 4 << 20;
/// Bytes of memory that a lane may pass on; more is given back.
const LONGEST_SPARE: usize = 256 << 10;

/// One call's worth for the kernel: `segment`-sized datagrams, of which the last may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The destination.
    pub to: SocketAddr,
    /// Where its bytes lie in the lane.
    pub bytes: Range<usize>,
    /// Size of each datagram but the last.
    pub segment: usize,
    open: bool,
}

impl Message {
    /// How many datagrams it is.
    #[must_use]
    pub fn datagrams(&self) -> usize {
        self.bytes.len().div_ceil(self.segment.max(1))
    }
}

/// What waits for one peer, in order.
#[derive(Debug, Default)]
pub struct Lane {
    bytes: Vec<u8>,
    used: usize,
    messages: Vec<Message>,
    listed: bool,
}

impl Lane {
    /// Messages in the order in which they must leave.
    #[must_use]
    pub fn messages(&self) -> &[Message] {
        &self.messages
    }

    /// A message's bytes.
    #[must_use]
    pub fn bytes(&self, message: &Message) -> &[u8] {
        self.bytes.get(message.bytes.clone()).unwrap_or_default()
    }

    /// `room` bytes to write the next datagram into; nothing waits until `commit`. None when the lane is full.
    pub fn reserve(&mut self, room: usize) -> Option<&mut [u8]> {
        let end = self.used.checked_add(room).filter(|end| *end <= LONGEST_LANE)?;
        if self.bytes.len() < end {
            self.bytes.resize(end.next_power_of_two(), 0);
        }
        self.bytes.get_mut(self.used..end)
    }

    /// Let the first `length` reserved bytes wait for `to`.
    pub fn commit(&mut self, to: SocketAddr, length: usize) {
        let (start, end) = (self.used, self.used + length);
        self.used = end;
        if let Some(last) = self.messages.last_mut() {
            let fits = last.open && last.to == to && length <= last.segment;
            if fits && last.datagrams() < MOST_SEGMENTS && end - last.bytes.start <= MOST_BYTES {
                last.bytes.end = end;
                // A shorter one ends a message: only the last may be shorter.
                last.open = length == last.segment;
                return;
            }
        }
        self.messages.push(Message { to, bytes: start..end, segment: length, open: true });
    }

    /// Forget what was sent; returns its memory.
    fn clear(&mut self) -> Vec<u8> {
        self.used = 0;
        self.messages.clear();
        self.listed = false;
        std::mem::take(&mut self.bytes)
    }
}

/// All lanes.
#[derive(Debug, Default)]
pub struct Outbox {
    lanes: Vec<Lane>,
    waiting: Vec<u32>,
    /// Memory of lanes that were sent, the newest last.
    spare: Vec<Vec<u8>>,
}

impl Outbox {
    /// The lane of a peer. It counts as waiting from now on.
    pub fn lane(&mut self, peer: u32) -> &mut Lane {
        let place = peer as usize;
        if self.lanes.len() <= place {
            self.lanes.resize_with(place + 1, Lane::default);
        }
        let lane = &mut self.lanes[place];
        if !lane.listed {
            lane.listed = true;
            lane.bytes = self.spare.pop().unwrap_or_default();
            self.waiting.push(peer);
        }
        lane
    }

    /// Copy a datagram into a lane.
    pub fn push(&mut self, peer: u32, to: SocketAddr, datagram: &[u8]) {
        let lane = self.lane(peer);
        if let Some(room) = lane.reserve(datagram.len()) {
            room.copy_from_slice(datagram);
            lane.commit(to, datagram.len());
        }
    }

    /// Lanes in which something may wait, each once.
    pub fn waiting(&self) -> impl Iterator<Item = &Lane> {
        self.waiting.iter().filter_map(|peer| self.lanes.get(*peer as usize))
    }

    /// As `waiting`, each with its peer.
    pub fn lanes(&self) -> impl Iterator<Item = (u32, &Lane)> {
        self.waiting.iter().filter_map(|peer| Some((*peer, self.lanes.get(*peer as usize)?)))
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting().all(|lane| lane.messages.is_empty())
    }

    /// Forget all that waits: it was sent.
    pub fn clear(&mut self) {
        for peer in self.waiting.drain(..) {
            if let Some(lane) = self.lanes.get_mut(peer as usize) {
                let bytes = lane.clear();
                if bytes.len() <= LONGEST_SPARE {
                    self.spare.push(bytes);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn sizes(outbox: &Outbox) -> Vec<(usize, usize)> {
        outbox.waiting().flat_map(|lane| lane.messages()).map(|one| (one.segment, one.datagrams())).collect()
    }

    #[test]
    fn equal_datagrams_form_one_message() {
        let mut outbox = Outbox::default();
        for length in [100, 100, 100, 60, 100, 120, 100] {
            outbox.push(3, address(1), &vec![0; length]);
        }
        assert_eq!(sizes(&outbox), [(100, 4), (100, 1), (120, 2)]);
    }

    #[test]
    fn another_address_begins_another_message() {
        let mut outbox = Outbox::default();
        outbox.push(0, address(1), &[0; 10]);
        outbox.push(0, address(2), &[0; 10]);
        assert_eq!(sizes(&outbox), [(10, 1), (10, 1)]);
    }

    #[test]
    fn a_message_stays_within_the_kernels_limits() {
        let mut outbox = Outbox::default();
        for _ in 0..200 {
            outbox.push(0, address(1), &[0; 1200]);
        }
        let found = sizes(&outbox);
        assert_eq!(found.iter().map(|(_, count)| count).sum::<usize>(), 200);
        assert!(found.iter().all(|(size, count)| size * count <= MOST_BYTES && *count <= MOST_SEGMENTS));
    }

    #[test]
    fn what_was_sent_is_forgotten_and_its_memory_used_again() {
        let mut outbox = Outbox::default();
        outbox.push(1, address(1), b"one");
        outbox.clear();
        assert!(outbox.is_empty());
        outbox.push(1, address(1), b"two");
        let lane = outbox.waiting().next().expect("a lane waits");
        assert_eq!(lane.bytes(&lane.messages()[0]), b"two");
    }

    #[test]
    fn memory_goes_from_lane_to_lane_the_newest_first_and_a_huge_one_is_given_back() {
        let mut outbox = Outbox::default();
        for (peer, size) in [(0, 100), (1, 3000), (2, LONGEST_SPARE + 1)] {
            outbox.push(peer, address(1), &vec![0; size]);
        }
        outbox.clear();
        assert_eq!(outbox.lane(7).bytes.len(), 4096);
        assert_eq!(outbox.lane(8).bytes.len(), 128);
        assert_eq!(outbox.lane(9).bytes.len(), 0);
    }

    #[test]
    fn each_lane_waits_once() {
        let mut outbox = Outbox::default();
        for peer in [1, 2, 1, 1, 2] {
            outbox.lane(peer);
        }
        outbox.push(1, address(1), b"one");
        assert_eq!(outbox.waiting().count(), 2);
    }

    #[test]
    fn a_lane_that_is_never_flushed_takes_no_more() {
        let mut outbox = Outbox::default();
        for _ in 0..10_000 {
            outbox.push(0, address(1), &[0; 1200]);
        }
        assert!(outbox.lane(0).used <= LONGEST_LANE);
    }
}
