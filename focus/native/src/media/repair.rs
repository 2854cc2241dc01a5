//! NACK in, RTX out: which packets a sink may have again, and how often (RFC 4588).
//!
//! A packet is never sent again under its own number: that number would have to carry the same
//! bytes. This file remembers what left a route, and bounds what leaves it again.

use super::Seconds;
use super::rewriter::Numbers;
use crate::command::Drop;
use crate::pump::ahead::fetch;

/// Sent packets that can still be asked for again; a power of two.
const REMEMBERED: usize = 1024;
/// Seconds before the same packet is sent again.
const RESEND_AFTER: Seconds = 0.1;
/// Times that the same packet is sent again within a second.
const RESEND_TIMES: u8 = 3;
/// Bytes a second of retransmission that a route always has.
const LEAST_RTX: u64 = 64_000 / 8;

/// What left a route under one sequence number: 16 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Low bits of the packet's index in its layer.
    pub index: u32,
    timestamp: u32,
    sequence: u16,
    picture: u16,
    /// Of the layer within its track.
    pub layer: u16,
    tl0: u8,
    /// As it left, if it did.
    marker: Option<bool>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Again {
    /// The second in which it was sent again; others do not count any more.
    epoch: u32,
    sequence: u16,
    times: u8,
    at: Seconds,
}

/// Retransmission of one route.
#[derive(Debug)]
pub struct Repair {
    /// By sequence number. Empty until something is sent.
    sent: Vec<Sent>,
    /// By sequence number. Empty until something is sent again.
    again: Vec<Again>,
    epoch: u32,
    counted: usize,
    /// The newest RTX sequence number, extended.
    sequence: u64,
    budget: u64,
}

impl Sent {
    /// What it was called, under another number.
    #[must_use]
    pub fn numbers(&self, index: u64) -> Numbers {
        let &Self { timestamp, picture, tl0, marker, .. } = self;
        Numbers { sequence: index as i64, timestamp, picture, tl0, marker: marker.unwrap_or_default() }
    }
}

impl Repair {
    /// Nothing sent yet; RTX numbers follow `before`.
    #[must_use]
    pub fn new(before: u16) -> Self {
        Self { sent: vec![], again: vec![], epoch: 1, counted: 0, sequence: u64::from(before), budget: LEAST_RTX }
    }

    /// So many packets leave soon, the first under this number. A hint only.
    pub fn fetch(&self, first: u16, packets: usize) {
        let from = usize::from(first) % REMEMBERED;
        self.sent.get(from..(from + packets).min(REMEMBERED)).into_iter().for_each(fetch);
    }

    /// A packet left.
    pub fn note(&mut self, numbers: &Numbers, layer: u16, index: i64) {
        if self.sent.is_empty() {
            self.sent.resize(REMEMBERED, Sent::default());
        }
        let &Numbers { timestamp, picture, tl0, marker, .. } = numbers;
        let sequence = numbers.sequence as u16;
        if let Some(place) = self.sent.get_mut(usize::from(sequence) % REMEMBERED) {
            *place = Sent { index: index as u32, timestamp, sequence, picture, layer, tl0, marker: Some(marker) };
        }
    }

    /// What left under this number, while it is remembered.
    #[must_use]
    pub fn find(&self, sequence: u16) -> Option<Sent> {
        let place = self.sent.get(usize::from(sequence) % REMEMBERED)?;
        (place.marker.is_some() && place.sequence == sequence).then_some(*place)
    }

    /// Let a packet of `size` bytes leave again, under the RTX number that is returned, extended.
    pub fn allow(&mut self, sequence: u16, size: u16, now: Seconds) -> Result<u64, Drop> {
        if self.again.is_empty() {
            self.again.resize(REMEMBERED, Again::default());
        }
        let size = u64::from(size);
        let epoch = self.epoch;
        let place = self.again.get_mut(usize::from(sequence) % REMEMBERED).ok_or(Drop::CacheMiss)?;
        let before = Some(*place).filter(|again| again.epoch == epoch && again.sequence == sequence);
        let (at, times) = before.map_or((-1.0, 0), |again| (again.at, again.times));
        if times >= RESEND_TIMES || now - at < RESEND_AFTER || self.budget < size {
            return Err(Drop::RtxLimit);
        }
        let full = self.counted >= REMEMBERED;
        if full {
            // As if a second had passed: so many at once are bounded by their bytes alone.
            (self.epoch, self.counted) = (epoch.wrapping_add(1), 0);
        }
        if before.is_none() || full {
            self.counted += 1;
        }
        *place = Again { epoch: self.epoch, sequence, times: times + 1, at: now };
        self.budget -= size;
        self.sequence += 1;
        Ok(self.sequence)
    }

    /// The RTX number for a packet that nobody asked for, extended.
    pub fn unasked(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// A second passed: refill what may be retransmitted, half of what the layer sends in bits a second.
    pub fn second(&mut self, rate: u64) {
        self.budget = LEAST_RTX.max(rate / 16);
        self.epoch = self.epoch.wrapping_add(1);
        self.counted = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_never_sent_or_is_long_gone_is_not_found() {
        let mut repair = Repair::new(0);
        assert_eq!(repair.find(0), None);
        for sequence in 65_000..67_000 {
            repair.note(&Numbers { sequence, timestamp: 7, picture: 8, tl0: 9, marker: true }, 3, sequence + 5);
        }
        let found = repair.find((66_999_u32 & 0xFFFF) as u16).unwrap();
        assert_eq!((found.index, found.layer), (67_004, 3));
        assert_eq!(found.numbers(5), Numbers { sequence: 5, timestamp: 7, picture: 8, tl0: 9, marker: true });
        assert_eq!((repair.find(65_000), repair.find(2000)), (None, None));
        assert_eq!(size_of::<Sent>(), 16);
    }

    #[test]
    fn the_same_packet_is_sent_again_only_so_often() {
        let mut repair = Repair::new(9);
        assert_eq!(repair.allow(5, 100, 0.1), Ok(10));
        for (now, allowed) in [(0.1, false), (0.15, false), (0.21, true), (0.32, true), (0.5, false)] {
            assert_eq!(repair.allow(5, 100, now).is_ok(), allowed, "{now}");
        }
        repair.second(0);
        assert_eq!(repair.allow(5, 100, 0.9), Ok(13));
    }

    #[test]
    fn a_storm_gets_a_bounded_rate_and_no_number_twice() {
        let mut repair = Repair::new(0);
        let mut numbers: Vec<u64> = (0..2000).filter_map(|sequence| repair.allow(sequence, 100, 0.1).ok()).collect();
        assert_eq!(numbers.len() as u64, LEAST_RTX / 100);
        repair.second(16 * 20_000);
        numbers.extend((0..5000).filter_map(|sequence| repair.allow(sequence, 1, 1.1).ok()));
        assert_eq!(numbers.len() as u64, LEAST_RTX / 100 + 5000);
        assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]));
    }
}
