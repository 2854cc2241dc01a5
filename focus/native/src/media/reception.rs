//! Statistics of one received SSRC, for receiver reports (RFC 3550 §6.4, A.3, A.8).
//!
//! It numbers what arrives, and says when the sender began its numbering anew.

use super::Seconds;
use super::missing::MOST_MISSING;
use super::rtcp::{Block, SenderReport};
use super::rtp::expand;

/// See the module.
#[derive(Debug)]
pub struct Reception {
    /// The stream.
    pub ssrc: u32,
    /// Hz.
    clock: f64,
    first: i64,
    /// Extended; None before the first packet.
    highest: Option<i64>,
    received: i64,
    jitter: f64,
    /// The sender's newest report, and when it came.
    pub report: Option<(SenderReport, Seconds)>,
    transit: Option<f64>,
    expected_before: i64,
    received_before: i64,
}

impl Reception {
    /// Nothing received yet on `ssrc`, whose codec's clock has `clock` Hz.
    #[must_use]
    pub fn new(ssrc: u32, clock: u32) -> Self {
        Self {
            ssrc,
            clock: f64::from(clock),
            first: 0,
            highest: None,
            received: 0,
            jitter: 0.0,
            report: None,
            transit: None,
            expected_before: 0,
            received_before: 0,
        }
    }

    /// The extended sequence number for a packet that was not received on this SSRC, but repairs it: reports to the
    /// sender leave it out. None when it is too far from the newest one.
    #[must_use]
    pub fn place(&self, sequence: u16) -> Option<i64> {
        let newest = self.highest?;
        let index = expand(i64::from(sequence), Some(newest), 16);
        ((index - newest).abs() <= MOST_MISSING).then_some(index)
    }

    /// Account one packet and return its extended sequence number; None when it comes far too late.
    pub fn count(&mut self, sequence: u16, timestamp: u32, now: Seconds) -> Option<i64> {
        let index = match self.highest {
            None => {
                // Room below, so that a packet that overtook the first one still has a number.
                let index = i64::from(sequence) + (1 << 16);
                self.first = index;
                self.highest = Some(index);
                index
            }
            Some(highest) => {
                let index = expand(i64::from(sequence), Some(highest), 16);
                if index < highest - MOST_MISSING {
                    return None;
                }
                if index > highest + MOST_MISSING {
                    // The sender restarted its numbering. Going on from here keeps the loss figure honest.
                    self.first = index;
                    (self.received, self.expected_before, self.received_before) = (0, 0, 0);
                }
                self.highest = Some(highest.max(index));
                index
            }
        };
        self.received += 1;
        let transit = now * self.clock - f64::from(timestamp);
        if let Some(before) = self.transit {
            let difference = (transit - before).abs();
            if difference < 10.0 * self.clock {
                self.jitter += (difference - self.jitter) / 16.0;
            }
        }
        self.transit = Some(transit);
        Some(index)
    }

    /// Make the block for the next receiver report; None before the first packet.
    pub fn block(&mut self, now: Seconds) -> Option<Block> {
        let highest = self.highest?;
        let expected = highest - self.first + 1;
        let span = expected - self.expected_before;
        let lost = span - (self.received - self.received_before);
        (self.expected_before, self.received_before) = (expected, self.received);
        let fraction = if span > 0 && lost > 0 { (lost * 256 / span).min(255) } else { 0 };
        let (last_sr, delay) = self.report.map_or((0, 0), |(report, at)| {
            let delay = ((now - at) * 65536.0) as i64;
            ((report.ntp >> 16) as u32, delay.clamp(0, i64::from(u32::MAX)) as u32)
        });
        Some(Block {
            ssrc: self.ssrc,
            fraction: fraction as u8,
            lost: expected - self.received,
            highest: highest as u32,
            jitter: self.jitter as i64 as u32,
            last_sr,
            delay,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_lost() {
        let mut reception = Reception::new(7, 90_000);
        for sequence in [65534, 65535, 0, 2, 3, 5, 6, 7] {
            reception.count(sequence, 0, 0.0);
        }
        let block = reception.block(1.0).unwrap();
        assert_eq!((block.lost, block.fraction, block.highest & 0xFFFF), (2, 51, 7));
        reception.count(8, 0, 1.0);
        let block = reception.block(2.0).unwrap();
        assert_eq!((block.lost, block.fraction), (2, 0));
    }

    #[test]
    fn a_report_measures_the_way_back() {
        let mut reception = Reception::new(7, 90_000);
        assert_eq!(reception.block(0.0), None);
        reception.count(1, 0, 0.0);
        reception.report = Some((SenderReport { ssrc: 7, ntp: 0x1122_3344_5566_7788, rtp: 0 }, 1.0));
        let block = reception.block(1.5).unwrap();
        assert_eq!((block.last_sr, block.delay), (0x3344_5566, 32768));
    }

    #[test]
    fn jitter_grows_with_uneven_arrival() {
        let (mut even, mut uneven) = (Reception::new(1, 90_000), Reception::new(1, 90_000));
        for number in 0..200_u16 {
            let at = f64::from(number) / 30.0;
            even.count(number, 3000 * u32::from(number), at);
            uneven.count(number, 3000 * u32::from(number), at + f64::from(number % 2) * 0.01);
        }
        let jitter = uneven.block(9.0).unwrap().jitter;
        assert!(even.block(9.0).unwrap().jitter < 1 && jitter > 800 && jitter <= 900);
    }

    #[test]
    fn a_jump_far_ahead_starts_anew_and_one_far_behind_is_too_late() {
        let mut reception = Reception::new(1, 90_000);
        assert_eq!(reception.count(5000, 0, 0.0), Some(70536));
        assert_eq!(reception.count(4500, 0, 0.0), Some(70036));
        assert_eq!(reception.count(4499, 0, 0.0), None);
        assert_eq!(reception.place(5501), None);
        assert_eq!(reception.place(5500), Some(71036));
        assert_eq!(reception.count(30000, 0, 0.0), Some(95536));
        assert_eq!(reception.block(0.0).unwrap().lost, 0);
        assert_eq!(Reception::new(1, 1).place(1), None);
    }
}
