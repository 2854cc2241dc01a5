//! How much gets through: bits a second that arrived, robust against a pause on either side.
//!
//! Pure. libwebrtc's robust throughput estimator: the window's longest gap does not count, and
//! a sender that paused does not look like a thin path.

use std::collections::VecDeque;

use crate::media::Seconds;

/// Packets at most.
const MOST: usize = 500;
/// Packets at least, before there is a figure.
const LEAST: usize = 10;
/// Packets from which on a second is enough.
const ENOUGH: usize = 20;
const SHORT: Seconds = 1.0;
const LONG: Seconds = 5.0;

#[derive(Clone, Copy, Debug)]
struct One {
    sent: Seconds,
    arrived: Seconds,
    bytes: u32,
}

/// The newest packets that arrived.
#[derive(Debug, Default)]
pub struct Throughput {
    window: VecDeque<One>,
}

impl Throughput {
    /// A packet arrived. To be called in the order of arrival.
    pub fn take(&mut self, sent: Seconds, arrived: Seconds, bytes: u32) {
        if self.window.capacity() == 0 {
            self.window.reserve(MOST + 1);
        }
        if self.window.back().is_some_and(|last| arrived < last.arrived) {
            // Of a feedback that was overtaken; put where it belongs.
            let place = self.window.partition_point(|one| one.arrived <= arrived);
            self.window.insert(place, One { sent, arrived, bytes });
        } else {
            self.window.push_back(One { sent, arrived, bytes });
        }
        while self.window.len() > MOST || self.span() > LONG || (self.window.len() > ENOUGH && self.span() > SHORT) {
            self.window.pop_front();
        }
    }

    fn span(&self) -> Seconds {
        self.window.front().zip(self.window.back()).map_or(0.0, |(first, last)| last.arrived - first.arrived)
    }

    /// Bits a second of the newest arrivals, over so many seconds or [`LEAST`] packets if these took longer; None while
    /// too little has come.
    #[must_use]
    pub fn bps(&self, seconds: Seconds) -> Option<f64> {
        let most = self.window.len().checked_sub(LEAST)?;
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
            let size = f64::from(one.bytes);
            bytes += size;
            first_sent = one.sent.min(first_sent);
            if one.sent > last_sent {
                (last_sent, last_bytes) = (one.sent, size);
            }
        }
        let oldest = window().next()?;
        // Neither the first packet's bytes came within the span, nor the last one's left within it.
        let arriving = (newest - oldest.arrived - longest + second).max(1e-3);
        let leaving = (last_sent - first_sent).max(1e-3);
        Some(8.0 * ((bytes - f64::from(oldest.bytes)) / arriving).min((bytes - last_bytes) / leaving))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(packets: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
        let mut throughput = Throughput::default();
        packets.into_iter().for_each(|(sent, arrived)| throughput.take(sent, arrived, 1000));
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
    fn the_order_of_feedback_does_not_matter() {
        let packets: Vec<_> = (0..100).map(|at| (f64::from(at) * 0.01, f64::from(at) * 0.01)).collect();
        let mut shuffled = packets.clone();
        for pair in shuffled.chunks_exact_mut(2) {
            pair.swap(0, 1);
        }
        assert_eq!(fed(packets), fed(shuffled));
    }
}
