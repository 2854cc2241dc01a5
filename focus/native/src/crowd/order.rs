//! Packets of one stream put in order: a gap is waited for, then given up and counted.
//!
//! Time is an argument. Each packet comes once, with its extended number: the book sees to both.

use std::collections::BTreeMap;

use crate::media::Seconds;

/// Seconds until a missing packet counts as lost: what a browser's jitter buffer would wait at most.
const PATIENCE: Seconds = 1.0;
/// Seconds: some NACKs went unanswered.
const STUCK: Seconds = 0.3;

/// What is put in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Packet {
    pub timestamp: u32,
    pub marker: bool,
    pub payload: Vec<u8>,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Order {
    /// The number of the next packet to hand on.
    expected: Option<i64>,
    newest: i64,
    waiting: BTreeMap<i64, Packet>,
    /// Missing numbers, and since when.
    holes: BTreeMap<i64, Seconds>,
}

impl Order {
    /// Take a packet; `hand` gets what can be handed on, in order: numbers lost just before it, and the packet.
    pub fn put(&mut self, index: i64, packet: Packet, now: Seconds, hand: impl FnMut(u64, Packet)) {
        let expected = *self.expected.get_or_insert(index);
        if index < expected {
            return;
        }
        for missing in (self.newest + 1).max(expected)..index {
            self.holes.insert(missing, now);
        }
        self.holes.remove(&index);
        self.newest = self.newest.max(index);
        self.waiting.insert(index, packet);
        self.release(now, hand);
    }

    /// Hand on what can be handed on now, giving up what is missing for too long.
    pub fn release(&mut self, now: Seconds, mut hand: impl FnMut(u64, Packet)) {
        let mut lost = 0;
        while let Some(expected) = self.expected.filter(|_| !self.waiting.is_empty()) {
            if let Some(packet) = self.waiting.remove(&expected) {
                hand(std::mem::take(&mut lost), packet);
            } else {
                if self.holes.get(&expected).is_some_and(|since| now - since < PATIENCE) {
                    break;
                }
                self.holes.remove(&expected);
                lost += 1;
            }
            self.expected = Some(expected + 1);
        }
    }

    /// Whether a packet is missing for so long that a decoder would ask for a keyframe.
    #[must_use]
    pub fn stuck(&self, now: Seconds) -> bool {
        self.holes.first_key_value().is_some_and(|(_, since)| now - since > STUCK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(order: &mut Order, index: i64, now: Seconds) -> Vec<(u64, u32)> {
        let mut out = vec![];
        let packet = Packet { timestamp: index as u32, ..Packet::default() };
        order.put(index, packet, now, |lost, packet| out.push((lost, packet.timestamp)));
        out
    }

    #[test]
    fn a_gap_holds_back_until_it_is_filled() {
        let mut order = Order::default();
        assert_eq!(put(&mut order, 10, 0.0), [(0, 10)]);
        assert_eq!(put(&mut order, 12, 0.0), []);
        assert!(!order.stuck(STUCK) && order.stuck(STUCK + 0.01));
        assert_eq!(put(&mut order, 11, 0.5), [(0, 11), (0, 12)]);
        assert!(!order.stuck(9.0));
        assert_eq!(put(&mut order, 9, 0.5), []);
    }

    #[test]
    fn a_gap_is_given_up_after_a_while_and_counted() {
        let mut order = Order::default();
        put(&mut order, 10, 0.0);
        put(&mut order, 13, 0.0);
        let mut out = vec![];
        order.release(PATIENCE - 0.01, |lost, packet| out.push((lost, packet.timestamp)));
        assert_eq!(out, []);
        order.release(PATIENCE + 0.01, |lost, packet| out.push((lost, packet.timestamp)));
        assert_eq!(out, [(2, 13)]);
    }
}
