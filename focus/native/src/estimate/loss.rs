//! What the losses allow: the bandwidth under which what got lost is most likely.
//!
//! Pure. libwebrtc's second loss-based estimator: some loss is the path's own (radio), the rest is
//! what a full queue dropped; both are fitted to the last twenty observations. Beyond libwebrtc: what gets lost though nothing
//! waits in a queue, and was lost when less was sent too, is the path's own. More of it is tolerated, and it is no
//! reason to send less. What a policer drops meets no queue either, but less of it is lost at lower rates.

use std::collections::VecDeque;

use crate::media::Seconds;
use crate::pump::ahead::fetch;

/// Observations are at least so long.
const OBSERVATION: Seconds = 0.25;
const MOST: usize = 20;
/// So many without a loss, and what was lost before is of the past.
const OVER: usize = 8;
/// Observations before it says anything.
const LEAST: usize = 3;
/// Weight of an observation, to the power of its age.
const AGEING: f64 = 0.9;
/// Where more loss than that is no good whatever the bandwidth: unless the path's own is known to be more, up to the other.
const TOLERABLE: f64 = 0.05;
const MOST_TOLERABLE: f64 = 0.15;
/// So much more than that makes lower bandwidths likelier.
const TOO_MUCH: f64 = 0.1;
/// Bits a second: the estimate is capped at so much over the excess of loss.
const BALANCE: f64 = 75_000.0;
/// Growth within `GROWING` while losses are the limit.
const GROWTH: f64 = 1.3;
const GROWING: Seconds = 0.3;
const NEWTON: f64 = 0.75;
/// What gets lost is kept by rate, in steps of a quarter of an octave from the lowest.
const LOWEST: f64 = 30_000.0;
const STEPS: usize = 48;
const STEPS_OF_AN_OCTAVE: f64 = 4.0;
/// Of a step, the older observations weigh so much with each new one.
const KEPT: f64 = 0.9;
/// What is lost at a rate is held against what was lost at so much of it or less, over two octaves.
const LESS: f64 = 0.85;
const BELOW: usize = 8;
/// Packets that say something of losses.
const ENOUGH: f64 = 30.0;
/// Of the path's own loss.
const LEAST_INHERENT: f64 = 1e-3;

#[derive(Clone, Copy, Debug, Default)]
struct Observed {
    packets: f64,
    lost: f64,
    /// Bits a second that were sent.
    rate: f64,
    /// Something stood in the queue.
    queued: bool,
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
    /// Lost of so many packets while nothing stood in the queue, by rate.
    calm: [(f64, f64); STEPS],
    tolerable: f64,
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
            calm: [(0.0, 0.0); STEPS],
            tolerable: TOLERABLE,
        }
    }
}

impl Losses {
    /// One packet that was told of: when it left, its size, whether it arrived, and whether something stood in the queue.
    pub fn take(&mut self, sent: Seconds, bytes: u32, arrived: bool, queued: bool) {
        let first = *self.first.get_or_insert(sent);
        self.partial.packets += 1.0;
        self.partial.lost += f64::from(u8::from(!arrived));
        self.partial.queued |= queued;
        self.bits += 8.0 * f64::from(bytes);
        let span = sent - first;
        if span >= OBSERVATION {
            let done = Observed { rate: self.bits / span, ..std::mem::take(&mut self.partial) };
            if let Some(calm) = self.calm.get_mut(step(done.rate)).filter(|_| !done.queued) {
                *calm = (KEPT * calm.0 + done.lost, KEPT * calm.1 + done.packets);
            }
            self.window.push_back(done);
            if self.window.len() > MOST {
                self.window.pop_front();
            }
            if self.window.len() > OVER && self.window.iter().rev().take(OVER).all(|one| one.lost == 0.0) {
                self.window.drain(..self.window.len() - OVER);
            }
            (self.first, self.bits) = (None, 0.0);
        }
    }

    /// Packets are taken in soon. A hint only.
    pub fn fetch(&self) {
        fetch(&self.partial);
        fetch(&self.bits);
        fetch(&self.first);
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

    /// The part that may be lost at such a rate: what was lost without a queue when less was sent, or, where nobody ever sent less,
    /// at that rate.
    fn tolerable(&self, bps: f64) -> f64 {
        let known = [LESS * bps, bps].into_iter().find_map(|most| {
            let below = self.calm.iter().take(step(most) + 1).rev().take(BELOW);
            let (lost, packets) = below.fold((0.0, 0.0), |sum, calm| (sum.0 + calm.0, sum.1 + calm.1));
            (packets >= ENOUGH).then(|| lost / packets)
        });
        known.unwrap_or_default().clamp(TOLERABLE, MOST_TOLERABLE)
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
        self.tolerable = self.tolerable(self.best.bps.min(delay_based));
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
        let excess = average - self.tolerable;
        let cap = if excess > 0.0 { BALANCE / excess } else { f64::INFINITY };
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
        fit.inherent = fit.inherent.clamp(LEAST_INHERENT, self.tolerable + BALANCE / fit.bps);
        fit
    }

    fn likelihood(&self, fit: Fit, average: f64) -> f64 {
        let preference = |factor: f64| {
            let to_go = self.tolerable + TOO_MUCH - average;
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

/// Of a rate, where what gets lost at it is kept.
fn step(rate: f64) -> usize {
    let octaves = (rate / LOWEST).max(1.0).log2();
    ((STEPS_OF_AN_OCTAVE * octaves) as usize).min(STEPS - 1)
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
        let queued = each != 0;
        let spacing = 8000.0 / rate;
        let mut found = 0.0;
        for at in 0..(seconds / spacing) as u32 {
            let now = from + f64::from(at) * spacing;
            losses.take(now, 1000, each == 0 || at % each != 0, queued);
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
                short.take(now, bytes, true, false);
                long.take(now, bytes, true, false);
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

    /// What is allowed in the end on a path without a queue, which loses a tenth in bursts, or all above a rate. The sender goes
    /// to and fro below what it may.
    fn without_a_queue(own: u64, policed: f64) -> f64 {
        let (mut losses, mut draw) = (Losses::default(), Draw::new(5));
        let (mut now, mut allowed, mut burst, mut sum) = (0.0, 1e6, false, 0.0);
        for at in 0..600 {
            let rate = allowed * (0.75 + 0.25 * f64::from(at % 8) / 7.0);
            let packets = (rate * 0.1 / 8000.0) as u32;
            for packet in 0..packets {
                burst = if burst { draw.below(3) != 0 } else { draw.below(27) < own };
                let policed = draw.below(1000) < (1000.0 * (1.0 - policed / rate)).max(0.0) as u64;
                losses.take(now + 0.1 * f64::from(packet) / f64::from(packets), 1000, !burst && !policed, false);
            }
            now += 0.1;
            allowed = losses.bps(now, 2e6, Some(0.9 * rate), false);
            sum += if at >= 200 { allowed / 400.0 } else { 0.0 };
        }
        sum
    }

    #[test]
    fn what_is_lost_at_every_rate_without_a_queue_is_the_paths_own_and_what_less_sending_saves_is_not() {
        let own = without_a_queue(1, f64::INFINITY);
        assert!(own > 1.8e6, "{own}");
        let policed = without_a_queue(0, 1e6);
        assert!((0.9e6..1.5e6).contains(&policed), "{policed}");
    }
}
