//! How much gets through: bits a second that arrived, robust against a pause on either side.
//!
//! Pure. libwebrtc's robust throughput estimator: the window's longest gap does not count, and
//! a sender that paused does not look like a thin path.

use std::collections::VecDeque;

use crate::media::Seconds;
use crate::pump::ahead::fetch;

/// Packets at most.
const MOST: usize = 500;
/// Packets at least, before there is a figure.
const LEAST: usize = 10;
/// Packets from which on a second is enough.
const ENOUGH: usize = 20;
const SHORT: Seconds = 1.0;
const LONG: Seconds = 5.0;

/// Packets that left together and arrived together: mostly those of a frame.
#[derive(Clone, Copy, Debug)]
struct Run {
    sent: Seconds,
    arrived: Seconds,
    /// Of the first packet, and of all.
    first: u32,
    bytes: u32,
    packets: usize,
}

/// The newest packets that arrived.
#[derive(Debug, Default)]
pub struct Throughput {
    window: VecDeque<Run>,
    packets: usize,
}

impl Throughput {
    /// Packets that left together arrived together; sizes in bytes. To be called in the order of arrival.
    pub fn take(&mut self, sent: Seconds, arrived: Seconds, sizes: impl Iterator<Item = u32>) {
        let mut run = Run { sent, arrived, first: 0, bytes: 0, packets: 0 };
        for size in sizes {
            if run.packets == 0 {
                run.first = size;
            }
            run.bytes += size;
            run.packets += 1;
        }
        self.packets += run.packets;
        if self.window.capacity() == 0 {
            self.window.reserve(MOST + 1);
        }
        if self.window.back().is_some_and(|last| arrived < last.arrived) {
            // Of a feedback that was overtaken; put where it belongs.
            let place = self.window.partition_point(|one| one.arrived <= arrived);
            self.window.insert(place, run);
        } else {
            self.window.push_back(run);
        }
        while let Some(oldest) = self.window.front() {
            let (without, span) = (self.packets - oldest.packets, self.span());
            if self.packets <= MOST && span <= LONG && (without < ENOUGH || span <= SHORT) {
                break;
            }
            self.packets = without;
            self.window.pop_front();
        }
    }

    /// Packets are taken in soon. A hint only.
    pub fn fetch(&self) {
        fetch(self);
        self.window.front().into_iter().chain(self.window.back()).for_each(fetch);
    }

    fn span(&self) -> Seconds {
        self.window.front().zip(self.window.back()).map_or(0.0, |(first, last)| last.arrived - first.arrived)
    }

    /// Bits a second of the newest arrivals, over so many seconds or [`LEAST`] packets if these took longer; None while
    /// too little has come.
    #[must_use]
    pub fn bps(&self, seconds: Seconds) -> Option<f64> {
        self.rates(seconds, LEAST).map(|(arriving, leaving)| arriving.min(leaving))
    }

    /// The same, by when they arrived, and by when they had left, of so many packets at least.
    #[must_use]
    pub fn rates(&self, seconds: Seconds, least: usize) -> Option<(f64, f64)> {
        let mut most = self.window.len();
        let mut packets = 0;
        while packets < least {
            most = most.checked_sub(1)?;
            packets += self.window.get(most)?.packets;
        }
        let newest = self.window.back()?.arrived;
        let begin = self.window.partition_point(|one| newest - one.arrived > seconds).min(most);
        let window = || self.window.range(begin..);
        let (mut longest, mut second) = (0.0_f64, 0.0_f64);
        let mut bytes = 0.0;
        let (mut first_sent, mut last_sent, mut last_bytes) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        let mut before = None;
        for one in window() {
            let gap = one.arrived - before.replace(one.arrived).unwrap_or(one.arrived);
            if gap > longest {
                (longest, second) = (gap, longest);
            } else if gap > second {
                second = gap;
            }
            bytes += f64::from(one.bytes);
            first_sent = one.sent.min(first_sent);
            if one.sent > last_sent {
                (last_sent, last_bytes) = (one.sent, f64::from(one.first));
            }
        }
        let oldest = window().next()?;
        // Neither the first packet's bytes came within the span, nor the last one's left within it.
        let arriving = (newest - oldest.arrived - longest + second).max(1e-3);
        let leaving = (last_sent - first_sent).max(1e-3);
        Some((8.0 * (bytes - f64::from(oldest.first)) / arriving, 8.0 * (bytes - last_bytes) / leaving))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::Draw;

    fn fed(packets: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
        let mut throughput = Throughput::default();
        packets.into_iter().for_each(|(sent, arrived)| throughput.take(sent, arrived, [1000].into_iter()));
        throughput.bps(1.0)
    }

    fn about(found: Option<f64>, bps: f64) {
        let found = found.expect("a figure");
        assert!((found - bps).abs() < 0.02 * bps, "{found} is not {bps}");
    }

    #[test]
    fn there_is_no_figure_before_ten_packets() {
        assert_eq!(fed((0..9).map(|at| (f64::from(at), f64::from(at)))), None);
    }

    #[test]
    fn a_steady_stream_a_queue_and_a_pause() {
        let each = |spacing: f64| move |at: u32| f64::from(at) * spacing;
        about(fed((0..200).map(|at| (each(0.01)(at), each(0.01)(at) + 0.05))), 8e5);
        about(fed((0..200).map(|at| (each(0.005)(at), each(0.01)(at) + 0.05))), 8e5);
        // All arrives late but for one gap: the gap does not count.
        about(fed((0..100).map(|at| (each(0.01)(at), each(0.01)(at) + if at > 80 { 0.2 } else { 0.0 }))), 8e5);
    }

    #[test]
    fn what_left_and_arrived_together_is_the_same_in_one_and_one_by_one() {
        let mut draw = Draw::new(7);
        let (mut together, mut apart) = (Throughput::default(), Throughput::default());
        for frame in 0..300 {
            let (sent, packets) = (f64::from(frame) * 0.033, 1 + draw.below(12));
            let arrived = sent + draw.below(20) as f64 * 0.002;
            let sizes: Vec<_> = (0..packets).map(|_| 100 + draw.below(1000) as u32).collect();
            sizes.iter().for_each(|size| apart.take(sent, arrived, [*size].into_iter()));
            together.take(sent, arrived, sizes.into_iter());
            for window in [0.25, 1.0] {
                let (one, other) = (together.bps(window), apart.bps(window));
                // The window's end may fall within a frame.
                assert!(one.zip(other).is_none_or(|(one, other)| (one / other - 1.0).abs() < 0.1), "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn the_order_of_feedback_does_not_matter() {
        let packets: Vec<_> = (0..100).map(|at| (f64::from(at) * 0.01, f64::from(at) * 0.01)).collect();
        let mut shuffled = packets.clone();
        for pair in shuffled.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        assert_eq!(fed(packets), fed(shuffled));
    }
}
