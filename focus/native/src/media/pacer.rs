//! Pictures on their way to a peer whose link is narrow: they wait here, so that a frame does not become a queue at
//! the bottleneck, and voices and repairs, which never wait, pass them.
//!
//! A leaky bucket. What waits is named by its place in its layer's cache and has its number; its bytes are written when
//! it leaves. The lowest layers go first. Packets of one route keep their order.

use std::collections::VecDeque;

use super::Seconds;
use super::rewriter::Numbers;
use super::table::RouteKey;
use crate::command::RouteId;

/// Between wake-ups, and so much may leave at one; but never less than two packets.
pub const EACH: Seconds = 0.005;
const LEAST_AT_ONCE: f64 = 2400.0;
/// Nothing is expected to wait longer: then more leaves.
const LONGEST: Seconds = 0.2;
/// Packets that wait at one peer; more push out the oldest.
const MOST: usize = 512;

/// A packet that waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Waiting {
    /// Its route.
    pub route: RouteKey,
    /// Keys are given again; this is not.
    pub id: RouteId,
    /// Its layer.
    pub layer: u16,
    /// Its place in the layer's cache.
    pub index: i64,
    /// What it is called.
    pub numbers: Numbers,
    /// Bytes, about.
    pub size: u16,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Pacer {
    /// Of the lowest layers, and of the others.
    queues: [VecDeque<Waiting>; 2],
    /// Bytes that wait.
    bytes: usize,
    /// Bytes that left and have not drained.
    level: f64,
    at: Seconds,
    /// Bytes a second.
    rate: f64,
    /// Bytes a second at which all that waits leaves in time.
    urgent: f64,
}

impl Pacer {
    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Let a packet wait. Returns whether another was pushed out for it.
    pub fn push(&mut self, waiting: Waiting, base: bool) -> bool {
        let [first, rest] = &mut self.queues;
        let full = first.len() + rest.len() >= MOST;
        if full {
            // Of the others first; and the oldest, which is of the least use.
            let oldest = rest.pop_front().or_else(|| first.pop_front());
            self.bytes -= oldest.map_or(0, |oldest| usize::from(oldest.size));
        }
        // A route whose packets wait stays where it is.
        let of = |one: &Waiting| one.route == waiting.route;
        let base = if base { !rest.iter().any(of) } else { first.iter().any(of) };
        self.bytes += usize::from(waiting.size);
        self.urgent = self.urgent.max(self.bytes as f64 / LONGEST);
        if base {
            first.push_back(waiting)
        } else {
            rest.push_back(waiting)
        }
        full
    }

    /// What may leave now, at so many bits a second; None: nothing more.
    pub fn pop(&mut self, now: Seconds, bps: f64) -> Option<Waiting> {
        self.drain(now, bps);
        if self.level > 0.0 && self.level + LEAST_AT_ONCE / 2.0 > (self.rate * EACH).max(LEAST_AT_ONCE) {
            return None;
        }
        let [first, rest] = &mut self.queues;
        let found = first.pop_front().or_else(|| rest.pop_front())?;
        self.bytes -= usize::from(found.size);
        if self.bytes == 0 {
            self.urgent = 0.0;
        }
        self.level += f64::from(found.size);
        Some(found)
    }

    /// So many bytes left that did not wait.
    pub fn passed(&mut self, bytes: usize) {
        self.level += bytes as f64;
    }

    /// When to look again, if anything waits.
    #[must_use]
    pub fn due(&self) -> Option<Seconds> {
        // All peers' at once: a wake-up costs more than a packet.
        let next = self.at + (self.level / self.rate.max(1.0)).min(EACH);
        (!self.is_empty()).then(|| ((next / EACH).floor() + 1.0) * EACH)
    }

    fn drain(&mut self, now: Seconds, bps: f64) {
        self.level = (self.level - self.rate * (now - self.at).max(0.0)).max(0.0);
        self.at = now;
        self.rate = (bps / 8.0).max(self.urgent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(route: RouteKey, index: i64) -> Waiting {
        Waiting { route, id: u64::from(route), layer: 0, index, numbers: Numbers::default(), size: 1200 }
    }

    /// Indices by when they left.
    fn leave(pacer: &mut Pacer, from: u32, to: u32, bps: f64) -> Vec<(u32, i64)> {
        let mut left = vec![];
        for at in from..to {
            while let Some(one) = pacer.pop(f64::from(at) * 0.001, bps) {
                left.push((at, one.index));
            }
        }
        left
    }

    #[test]
    fn a_frame_leaves_in_pieces_at_the_rate_it_is_given() {
        let mut pacer = Pacer::default();
        (0..10).for_each(|index| assert!(!pacer.push(waiting(1, index), true)));
        let left = leave(&mut pacer, 0, 1000, 1.5e6);
        assert_eq!(left.iter().map(|one| one.1).collect::<Vec<_>>(), (0..10).collect::<Vec<_>>());
        assert!(left.iter().filter(|one| one.0 == 0).count() <= 2, "{left:?}");
        // 12 kB at 1.5 Mbit/s take 64 ms, less what leaves at once.
        assert!((45..=64).contains(&left[9].0), "{left:?}");
        assert!(pacer.is_empty() && pacer.due().is_none());
    }

    #[test]
    fn the_lowest_layers_go_first_and_a_route_keeps_its_order() {
        let mut pacer = Pacer::default();
        for (route, index, base) in [(1, 0, false), (2, 1, true), (1, 2, true), (2, 3, false)] {
            pacer.push(waiting(route, index), base);
        }
        let left: Vec<i64> = leave(&mut pacer, 0, 100, 1e6).iter().map(|one| one.1).collect();
        assert_eq!(left, [1, 3, 0, 2]);
    }

    #[test]
    fn nothing_waits_longer_than_a_fifth_of_a_second_and_what_waits_is_bounded() {
        let mut pacer = Pacer::default();
        (0..100).for_each(|index| assert!(!pacer.push(waiting(1, index), false)));
        let left = leave(&mut pacer, 0, 1000, 3e5);
        assert!(left.len() == 100 && left[99].0 <= 205, "{left:?}");
        let pushed = (0..600).filter(|index| pacer.push(waiting(1, *index), false)).count();
        assert_eq!((pushed, pacer.bytes), (600 - MOST, MOST * 1200));
        assert_eq!(pacer.pop(2.0, 1e6).map(|one| one.index), Some(88), "the oldest went");
    }
}
