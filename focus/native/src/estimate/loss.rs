//! What the losses allow: the bandwidth under which what got lost is most likely.
//!
//! Pure. libwebrtc's second loss-based estimator: some loss is the path's own (radio), the rest is
//! what a full queue dropped; both are fitted to the last twenty observations.

use std::collections::VecDeque;

use crate::media::Seconds;

/// Observations are at least so long.
const OBSERVATION: Seconds = 0.25;
const MOST: usize = 20;
/// Observations before it says anything.
const LEAST: usize = 3;
/// Weight of an observation, to the power of its age.
const AGEING: f64 = 0.9;
/// Where more loss than that is no good whatever the bandwidth.
const TOLERABLE: f64 = 0.05;
/// Bits a second: the estimate is capped at so much over the excess of loss.
const BALANCE: f64 = 75_000.0;
/// Growth within `GROWING` while losses are the limit.
const GROWTH: f64 = 1.3;
const GROWING: Seconds = 0.3;
const NEWTON: f64 = 0.75;
/// Part of the packets.
const LOSSY: f64 = 0.03;
/// Of the path's own loss.
const LEAST_INHERENT: f64 = 1e-3;

#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    packets: f64,
    lost: f64,
    /// Bits a second that were sent.
    rate: f64,
}

#[derive(Clone, Copy, Debug)]
struct Fit {
    bps: f64,
    /// The path's own loss.
    inherent: f64,
}

/// See the file's head.
#[derive(Debug)]
pub struct Losses {
    window: VecDeque<Observed>,
    partial: Observed,
    bits: f64,
    first: Option<Seconds>,
    best: Fit,
    limited: bool,
    grown: Option<(Seconds, f64)>,
}

impl Default for Losses {
    fn default() -> Self {
        Self {
            window: VecDeque::with_capacity(MOST + 1),
            partial: Observed::default(),
            bits: 0.0,
            first: None,
            best: Fit { bps: f64::INFINITY, inherent: 0.01 },
            limited: false,
            grown: None,
        }
    }
}

impl Losses {
    /// One packet that was told of: when it left, its size, and whether it arrived.
    pub fn take(&mut self, sent: Seconds, bytes: u32, arrived: bool) {
        let first = *self.first.get_or_insert(sent);
        self.partial.packets += 1.0;
        self.partial.lost += f64::from(u8::from(!arrived));
        self.bits += 8.0 * f64::from(bytes);
        let span = sent - first;
        if span >= OBSERVATION {
            let done = Observed { rate: self.bits / span, ..std::mem::take(&mut self.partial) };
            self.window.push_back(done);
            if self.window.len() > MOST {
                self.window.pop_front();
            }
            (self.first, self.bits) = (None, 0.0);
        }
    }

    /// Of the window, weighted by age.
    fn average(&self) -> f64 {
        let mut sum = (0.0, 0.0);
        for (weight, one) in self.weighted() {
            sum = (sum.0 + weight * one.lost, sum.1 + weight * one.packets);
        }
        if sum.1 > 0.0 { sum.0 / sum.1 } else { 0.0 }
    }

    fn weighted(&self) -> impl Iterator<Item = (f64, &Observed)> {
        self.window.iter().rev().scan(1.0, |weight, one| {
            let this = *weight;
            *weight *= AGEING;
            Some((this, one))
        })
    }

    /// More gets lost, over the last seconds, than a queue that overflows now and then explains.
    #[must_use]
    pub fn lossy(&self) -> bool {
        self.average() > LOSSY
    }

    /// Whether losses, and not delay, are the limit.
    #[must_use]
    pub fn limits(&self) -> bool {
        self.limited
    }

    /// What losses allow, given what the delay allows and what gets through; `idle`: the sender does not use it all.
    pub fn bps(&mut self, now: Seconds, delay_based: f64, through: Option<f64>, idle: bool) -> f64 {
        if self.window.len() < LEAST {
            return delay_based;
        }
        if !self.limited && self.window.iter().all(|one| one.lost == 0.0) {
            // Most links, most of the time. Without loss the highest candidate is the likeliest, and none is below what
            // the delay allows: what follows would say the same, at a fifth of what a packet costs.
            self.best = Fit { bps: delay_based, inherent: LEAST_INHERENT };
            return delay_based;
        }
        self.likeliest(now, delay_based, through, idle)
    }

    fn likeliest(&mut self, now: Seconds, delay_based: f64, through: Option<f64>, idle: bool) -> f64 {
        if !self.best.bps.is_finite() {
            self.best.bps = delay_based;
        }
        let average = self.average();
        let bound = if self.limited { self.growth(now) } else { f64::INFINITY };
        let mut found: Option<(f64, Fit)> = None;
        let candidates = [
            Some(1.02 * self.best.bps),
            Some(self.best.bps),
            Some(0.95 * self.best.bps),
            through.filter(|_| !idle),
            Some(delay_based).filter(|bps| *bps > self.best.bps),
        ];
        for bps in candidates.into_iter().flatten() {
            let fit = self.fitted(Fit { bps: bps.min(bound).max(1000.0), inherent: self.best.inherent });
            let value = self.likelihood(fit, average);
            if found.is_none_or(|found| value > found.0) {
                found = Some((value, fit));
            }
        }
        let Some((_, mut best)) = found else { return delay_based };
        if average > best.inherent && best.bps > self.best.bps {
            best.bps = self.best.bps;
        }
        self.best = best;
        let cap = if average > TOLERABLE { BALANCE / (average - TOLERABLE) } else { f64::INFINITY };
        let allowed = best.bps.min(cap);
        self.limited = allowed < delay_based;
        if self.limited {
            allowed
        } else {
            self.grown = None;
            self.best.bps = delay_based;
            delay_based
        }
    }

    /// The most that an estimate may have grown to.
    fn growth(&mut self, now: Seconds) -> f64 {
        let (since, base) = *self.grown.get_or_insert((now, self.best.bps));
        if now - since >= GROWING {
            self.grown = Some((now, self.best.bps));
        }
        GROWTH * base.min(self.best.bps)
    }

    /// One Newton step on the inherent loss.
    fn fitted(&self, mut fit: Fit) -> Fit {
        let (mut first, mut second) = (0.0, 0.0);
        for (weight, one) in self.weighted() {
            let loss = chance(fit, one.rate);
            let got = one.packets - one.lost;
            first += weight * (one.lost / loss - got / (1.0 - loss));
            second -= weight * (one.lost / (loss * loss) + got / (1.0 - loss).powi(2));
        }
        if second < 0.0 {
            fit.inherent -= NEWTON * first / second;
        }
        fit.inherent = fit.inherent.clamp(LEAST_INHERENT, 0.05 + BALANCE / fit.bps);
        fit
    }

    fn likelihood(&self, fit: Fit, average: f64) -> f64 {
        let preference = |factor: f64| {
            let to_go = 0.15 - average;
            factor * to_go / (0.002 + to_go.abs())
        };
        let kbps = fit.bps / 1000.0;
        let bias = preference(0.0002) * kbps + preference(0.02) * (1.0 + kbps).ln();
        self.weighted()
            .map(|(weight, one)| {
                let loss = chance(fit, one.rate);
                weight * (one.lost * loss.ln() + (one.packets - one.lost) * (1.0 - loss).ln() + bias * one.packets)
            })
            .sum()
    }
}

/// How likely a packet is to be lost when so much is sent.
fn chance(fit: Fit, rate: f64) -> f64 {
    let dropped = if rate > fit.bps { (rate - fit.bps) / rate } else { 0.0 };
    (fit.inherent + (1.0 - fit.inherent) * dropped).clamp(1e-6, 1.0 - 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::Draw;

    /// Send at a rate for some seconds; every so many packets one is lost. Returns the estimate at the end.
    fn run(losses: &mut Losses, from: f64, seconds: f64, rate: f64, each: u32, delay_based: f64) -> f64 {
        let spacing = 8000.0 / rate;
        let mut found = 0.0;
        for at in 0..(seconds / spacing) as u32 {
            let now = from + f64::from(at) * spacing;
            losses.take(now, 1000, each == 0 || at % each != 0);
            if at % 20 == 0 {
                found = losses.bps(now, delay_based, Some(0.97 * rate), false);
            }
        }
        found
    }

    #[test]
    fn without_losses_the_delay_decides() {
        assert_eq!(run(&mut Losses::default(), 0.0, 10.0, 1e6, 0, 2e6), 2e6);
    }

    #[test]
    fn without_losses_weighing_them_would_say_the_same() {
        let mut draw = Draw::new(8);
        for _ in 0..300 {
            let (mut short, mut long) = (Losses::default(), Losses::default());
            let mut delay_based = 1e6;
            for at in 0..400 {
                let now = 0.01 * f64::from(at);
                let bytes = 100 + draw.below(1400) as u32;
                short.take(now, bytes, true);
                long.take(now, bytes, true);
                delay_based *= 0.95 + 0.1 * draw.below(1000) as f64 / 1000.0;
                let (through, idle) = (Some(5000.0 * draw.below(800) as f64), draw.below(2) == 0);
                if at % 10 == 0 && short.window.len() >= LEAST {
                    assert_eq!(short.bps(now, delay_based, through, idle), delay_based);
                    if !long.best.bps.is_finite() {
                        long.best.bps = delay_based;
                    }
                    assert_eq!(long.likeliest(now, delay_based, through, idle), delay_based);
                    assert_eq!((short.best.inherent, short.limited), (long.best.inherent, long.limited));
                    assert_eq!(short.best.bps, long.best.bps);
                }
            }
        }
    }

    #[test]
    fn a_little_loss_at_any_rate_is_the_paths_own() {
        let mut losses = Losses::default();
        assert!(run(&mut losses, 0.0, 20.0, 1e6, 100, 1.2e6) > 1e6);
    }

    #[test]
    fn a_third_lost_means_far_less_and_it_comes_back_when_the_loss_is_over() {
        let mut losses = Losses::default();
        run(&mut losses, 0.0, 5.0, 1e6, 0, 1.2e6);
        let low = run(&mut losses, 5.0, 10.0, 1e6, 3, 1.2e6);
        assert!(low < 7e5, "{low}");
        assert!(losses.limits());
        let back = run(&mut losses, 15.0, 20.0, 6e5, 0, 1.2e6);
        assert!(back > 1.1e6, "{back}");
    }
}
