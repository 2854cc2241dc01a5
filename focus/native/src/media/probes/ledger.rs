//! The sink of the probes: whatever comes in, what leaves can be read, and no number goes out twice.

use std::collections::HashSet;

use super::{ROUTED, SINK};
use crate::media::{PeerKey, Sinks, rtcp as reports, rtp as packets};

/// What left, held to the promises that every sink relies on.
#[derive(Default)]
pub(super) struct Ledger {
    /// SSRC and extended sequence number: twice the same is one nonce for two packets.
    sealed: HashSet<(u32, u64)>,
    /// Of the first track's route.
    pub(super) numbers: Vec<u64>,
    /// All that left.
    pub(super) bytes: usize,
}

impl Sinks for Ledger {
    fn connected(&self, _: PeerKey) -> bool {
        true
    }

    fn rtp(
        &mut self,
        to: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize> {
        assert_eq!(to, SINK, "the publisher is sent nothing");
        let mut out = vec![0xEE; room];
        assert_eq!(write(&mut out), room, "exactly the room that was asked for");
        // Extensions are ours, so that it may be a little longer than what a peer may send.
        let head = packets::parse(out.get(..room.min(packets::LONGEST)).unwrap_or_default());
        let sequence = out.get(2..4).and_then(|two| two.try_into().ok()).map(u16::from_be_bytes);
        assert_eq!(sequence, Some(index as u16));
        let ssrc = out.get(8..12).and_then(|four| four.try_into().ok()).map(u32::from_be_bytes).expect("a header");
        assert!(room > packets::LONGEST || head.is_some_and(|head| head.ssrc == ssrc), "what is sent can be read");
        assert!(self.sealed.insert((ssrc, index)), "number {index} of {ssrc:x} went out twice");
        if ssrc == ROUTED {
            self.numbers.push(index);
        }
        self.bytes += room;
        Some(room)
    }

    fn rtcp(&mut self, _: PeerKey, compound: &[u8]) -> Option<usize> {
        assert!(!reports::parse(compound).any(|report| report == reports::Report::Malformed), "{compound:?}");
        self.bytes += compound.len();
        Some(compound.len())
    }
}
