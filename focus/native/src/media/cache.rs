//! A layer's newest packets, kept once for all its sinks: for retransmission, and to take none twice.
//!
//! Slots are used again and again: once each has held a packet of full size, nothing is allocated.

use super::Seconds;
use super::extensions::Copied;
use super::frame::{Numbering, Part};
use super::rtp::{LONGEST, Span};
use crate::command::{Format, Kind};

/// Packets kept per layer: over a second of the top layer; a power of two.
pub const CACHED: usize = 512;

/// One received packet, and what was understood of it.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Extended sequence number.
    pub index: i64,
    /// Of the publisher's codec clock.
    pub timestamp: u32,
    /// The marker bit.
    pub marker: bool,
    /// Bytes on the wire, as it was received.
    pub size: u16,
    /// What it is, by the publisher's payload type.
    pub format: Format,
    /// Hz: two formats that are not understood are told apart by it.
    pub clock: u32,
    /// When it came.
    pub arrived: Seconds,
    /// A stream can begin with it.
    pub keyframe: bool,
    /// Where its frame stands in the stream.
    pub part: Part,
    /// VP8 or VP9 picture id, extended; 0 where it has none.
    pub picture: i64,
    /// Of VP8 and VP9.
    pub numbering: Option<Numbering>,
    /// AV1 frame number, extended.
    pub number: Option<i64>,
    /// Extensions that every sink gets.
    pub copied: Copied,
    /// Where its payload is.
    pub payload: Span,
    /// The whole packet.
    pub data: Vec<u8>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            index: -1,
            timestamp: 0,
            marker: false,
            size: 0,
            format: Format::Other,
            clock: 0,
            arrived: 0.0,
            keyframe: false,
            part: Part::default(),
            picture: 0,
            numbering: None,
            number: None,
            copied: Copied::default(),
            payload: Span::default(),
            data: Vec::new(),
        }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Cache {
    slots: Box<[Kept]>,
}

impl Default for Cache {
    fn default() -> Self {
        Self { slots: std::iter::repeat_with(Kept::default).take(CACHED).collect() }
    }
}

impl Cache {
    /// The slot for a packet with this extended sequence number. None when it came before, or too late to know whether
    /// it did.
    ///
    /// So no packet is ever taken twice, by whatever way it comes: sinks number it by its index, and one number sealed
    /// twice is one GCM nonce used twice.
    pub fn admit(&mut self, index: i64) -> Option<&mut Kept> {
        let slot = self.slots.get_mut(index as usize % CACHED).filter(|held| held.index < index)?;
        slot.index = index;
        slot.data.clear();
        Some(slot)
    }

    /// A packet by its extended sequence number, while it is kept.
    #[must_use]
    pub fn get(&self, index: i64) -> Option<&Kept> {
        self.slots.get(index as usize % CACHED).filter(|held| held.index == index)
    }

    /// A packet by the low bits of that number.
    #[must_use]
    pub fn find(&self, index: u32) -> Option<&Kept> {
        self.slots.get(index as usize % CACHED).filter(|held| held.index >= 0 && held.index as u32 == index)
    }
}

impl Kept {
    /// Its memory, with the bytes of another packet in it.
    pub fn filled(&mut self, data: &[u8], kind: Kind) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.data);
        if kind == Kind::Video && bytes.capacity() < LONGEST {
            // At once and for good, so that later packets allocate nothing.
            bytes.reserve_exact(LONGEST);
        }
        bytes.extend_from_slice(data);
        bytes
    }

    /// All but its bytes.
    #[must_use]
    pub fn head(&self) -> Self {
        Self { data: Vec::new(), ..*self }
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.payload.of(&self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_is_taken_once_and_kept_until_its_place_is_needed() {
        let mut cache = Cache::default();
        assert!(cache.admit(0).is_some() && cache.admit(0).is_none());
        assert!(cache.admit(70_000).is_some() && cache.get(70_000).is_some());
        assert_eq!(cache.find(70_000).map(|kept| kept.index), Some(70_000));
        assert!(cache.admit(70_000 + CACHED as i64).is_some());
        assert!(cache.get(70_000).is_none() && cache.admit(70_000).is_none(), "too late to know");
        assert!(cache.find(5).is_none());
    }
}
