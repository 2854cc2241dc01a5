//! Whether the sender uses what it has: a budget that fills at two thirds of the estimate and is spent by what leaves.
//!
//! Pure. Who sends less than that proves nothing about the path (libwebrtc calls it ALR).

use crate::media::Seconds;

/// Of the estimate.
const SHARE: f64 = 0.65;
/// The budget holds that much of it.
const WINDOW: Seconds = 0.5;
const BEGINS: f64 = 0.8;
const ENDS: f64 = 0.5;

/// See the file's head.
#[derive(Debug, Default)]
pub struct Limited {
    /// Bits unspent; below zero when more was sent.
    budget: f64,
    at: Option<Seconds>,
    since: Option<Seconds>,
}

impl Limited {
    /// So many bytes left while the estimate was `bps`.
    pub fn left(&mut self, now: Seconds, bytes: usize, bps: f64) {
        let most = SHARE * bps * WINDOW;
        let passed = now - self.at.replace(now).unwrap_or(now);
        self.budget = (self.budget + SHARE * bps * passed - 8.0 * bytes as f64).clamp(-most, most.max(0.0));
        let full = if most > 0.0 { self.budget / most } else { 0.0 };
        if self.since.is_none() && full > BEGINS {
            self.since = Some(now);
        } else if self.since.is_some() && full < ENDS {
            self.since = None;
        }
    }

    /// Since when too little is sent; None while enough is.
    #[must_use]
    pub fn since(&self) -> Option<Seconds> {
        self.since
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sender_at_half_the_estimate_is_limited_and_one_at_most_of_it_is_not() {
        let mut limited = Limited::default();
        let mut send = |from: u32, part: f64| {
            for at in from..from + 200 {
                limited.left(f64::from(at) * 0.01, (part * 1e6 / 800.0) as usize, 1e6);
            }
            limited.since().is_some()
        };
        assert!(send(0, 0.5));
        assert!(!send(200, 0.8));
        assert!(send(400, 0.3));
    }
}
