//! How fast the estimate rises and how far it falls: additive increase near the link's capacity, multiplicative far
//! from it, and a step down to what gets through when a queue grows.
//!
//! Pure; what the queue does is `trend`'s to say.

use super::trend::Usage;
use crate::media::Seconds;

/// What is left of the throughput after overuse, so that the queue drains.
const BACK_OFF: f64 = 0.85;
/// A second's growth far from the capacity.
const GROWTH: f64 = 1.08;
/// Bits a second that growth adds at least, and that a step down takes in addition.
const LEAST_GROWTH: f64 = 1000.0;
const EXTRA: f64 = 5000.0;
/// The estimate never leads what gets through by more.
const LEAD: f64 = 1.5;
const LEAD_BPS: f64 = 10_000.0;
/// The path's answer to a change takes so long beyond the round trip.
const ANSWER: Seconds = 0.1;
/// Frames of a second and bytes of a packet that additive growth reckons with.
const FRAMES: f64 = 30.0;
const PACKET_BITS: f64 = 1200.0 * 8.0;
/// Bits a second that additive growth adds in a second at 1 Mbit/s while nothing stands in the queue.
const EVEN_GROWTH: f64 = 50_000.0;
/// The path counts as full for so long after each overuse: what is free on it then is what somebody gave up.
const FULL: Seconds = 20.0;
/// So long a probe that filled the path is believed: by then there was another, mostly.
const BELIEVED: Seconds = 5.0;
/// Before anything is known of the throughput, the estimate is halved that often.
const BLIND: Seconds = 0.2;

/// So much for 1 Mbit/s, and with the fourth root of the estimate for others: nearly the same for all who share a path, so that
/// they come to the same, and yet not out of proportion on a thin or a fat one.
#[must_use]
pub fn evenly(at_a_megabit: f64, bps: f64) -> f64 {
    at_a_megabit * (bps / 1e6).sqrt().sqrt()
}

/// A mean and a spread of the throughput at which queues began to grow.
#[derive(Debug, Default)]
struct Capacity {
    /// In kbit/s; None before the first overuse.
    mean: Option<f64>,
    /// Relative to the mean.
    spread: f64,
}

impl Capacity {
    fn take(&mut self, bps: f64) {
        let sample = bps / 1000.0;
        let mean = self.mean.map_or(sample, |mean| 0.95 * mean + 0.05 * sample);
        if self.mean.is_none() {
            self.spread = 0.4;
        }
        let norm = mean.max(1.0);
        let error = mean - sample;
        self.spread = (0.95 * self.spread + 0.05 * error * error / norm).clamp(0.4, 2.5);
        self.mean = Some(mean);
    }

    /// Lowest and highest throughput that agree with it.
    fn bounds(&self) -> Option<(f64, f64)> {
        let mean = self.mean?;
        let reach = 3.0 * (self.spread * mean).sqrt();
        Some((1000.0 * (mean - reach).max(0.0), 1000.0 * (mean + reach)))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Hold,
    Increase,
}

/// See the file's head. Bits a second.
#[derive(Debug)]
pub struct Aimd {
    bps: f64,
    least: f64,
    most: f64,
    state: State,
    capacity: Capacity,
    changed: Option<Seconds>,
    reduced: Option<Seconds>,
    /// To a known throughput.
    fell: Option<Seconds>,
    /// A probe filled the path when so much came through.
    full: Option<(Seconds, f64)>,
}

impl Aimd {
    /// Begin with an estimate, and keep it between bounds.
    #[must_use]
    pub fn new(start: f64, least: f64, most: f64) -> Self {
        Self {
            bps: start,
            least,
            most,
            state: State::Hold,
            capacity: Capacity::default(),
            changed: None,
            reduced: None,
            fell: None,
            full: None,
        }
    }

    /// The estimate.
    #[must_use]
    pub fn bps(&self) -> f64 {
        self.bps
    }

    /// Whether the path was full of late.
    #[must_use]
    pub fn has_met_the_capacity(&self, now: Seconds) -> bool {
        self.fell.is_some_and(|fell| now - fell < FULL)
    }

    /// A probe found that the path lets so much through, and no more: growth ends there, until another finds more, or for a
    /// while. Whoever uses less than its estimate would never learn by a queue that it is too high. It is no less than a
    /// fair share: a probe takes more of a full path than who sent it has.
    pub fn full(&mut self, now: Seconds, bps: f64) {
        self.full = Some((now, bps));
    }

    /// A measurement that is better than any reckoning, such as a probe's.
    pub fn set(&mut self, now: Seconds, bps: f64) {
        self.full = self.full.filter(|(_, full)| bps < *full);
        self.bps = bps.clamp(self.least, self.most);
        self.changed = Some(now);
    }

    /// Take what the newest feedback said. `room`: 1 while nothing stands in the queue, 0 when something does; None: growth
    /// would prove nothing, as the sender does not use what it has. Returns whether the estimate fell for overuse.
    pub fn take(&mut self, now: Seconds, usage: Usage, through: Option<f64>, rtt: Seconds, room: Option<f64>) -> bool {
        match usage {
            Usage::Over => self.fall(now, through, rtt),
            Usage::Under => {
                self.state = State::Hold;
                false
            }
            Usage::Normal => {
                if self.state == State::Hold {
                    self.state = State::Increase;
                    self.changed = Some(now);
                }
                self.rise(now, through, rtt, room);
                false
            }
        }
    }

    fn rise(&mut self, now: Seconds, through: Option<f64>, rtt: Seconds, room: Option<f64>) {
        let since = now - self.changed.replace(now).unwrap_or(now);
        let Some(through) = through else { return };
        if self.capacity.bounds().is_some_and(|bounds| through > bounds.1) {
            self.capacity = Capacity::default();
        }
        let Some(room) = room else { return };
        let full = self.full.filter(|(at, _)| now - at < BELIEVED).map_or(f64::INFINITY, |(_, full)| full);
        let limit = (LEAD * through + LEAD_BPS).min(full);
        if self.bps >= limit {
            return;
        }
        let grown = if self.has_met_the_capacity(now) {
            self.bps + since * self.additive(rtt, room)
        } else {
            self.bps + (self.bps * (GROWTH.powf(since.min(1.0)) - 1.0)).max(LEAST_GROWTH * since.min(1.0))
        };
        self.bps = grown.min(limit).clamp(self.least, self.most);
    }

    /// Bits a second to add in a second: about half a packet for each time that the path takes to answer; more while nothing
    /// stands in the queue, but no more than far from the capacity.
    fn additive(&self, rtt: Seconds, room: f64) -> f64 {
        let frame = self.bps / FRAMES;
        let packet = frame / (frame / PACKET_BITS).ceil().max(1.0);
        let even = evenly(EVEN_GROWTH, self.bps).min((GROWTH - 1.0) * self.bps);
        (packet / (2.0 * (rtt + ANSWER))).max(4000.0).max(room * even)
    }

    fn fall(&mut self, now: Seconds, through: Option<f64>, rtt: Seconds) -> bool {
        let since = self.reduced.map_or(f64::INFINITY, |reduced| now - reduced);
        let Some(through) = through else {
            if since >= BLIND {
                self.reduced = Some(now);
                self.set(now, self.bps / 2.0);
                return true;
            }
            return false;
        };
        if since < rtt.clamp(0.01, 0.2) && through >= 0.5 * self.bps {
            return false;
        }
        let mut target = BACK_OFF * through;
        if target > EXTRA {
            target -= EXTRA;
        }
        if target > self.bps {
            target = self.capacity.mean.map_or(target, |mean| BACK_OFF * 1000.0 * mean);
        }
        if self.capacity.bounds().is_some_and(|bounds| through < bounds.0) {
            self.capacity = Capacity::default();
        }
        self.capacity.take(through);
        self.bps = target.min(self.bps).clamp(self.least, self.most);
        self.state = State::Hold;
        self.changed = Some(now);
        self.reduced = Some(now);
        self.fell = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(aimd: &mut Aimd, from: f64, seconds: f64, through: f64) {
        for at in 0..(seconds * 10.0) as u32 {
            aimd.take(from + f64::from(at) * 0.1, Usage::Normal, Some(through), 0.05, Some(0.0));
        }
    }

    #[test]
    fn it_grows_by_eight_percent_a_second_and_never_far_beyond_what_gets_through() {
        let mut aimd = Aimd::new(1e6, 1e4, 1e8);
        normal(&mut aimd, 0.0, 5.1, 1e6);
        assert!((aimd.bps() / 1e6 - 1.08_f64.powi(5)).abs() < 0.01, "{}", aimd.bps());
        normal(&mut aimd, 5.1, 60.0, 1e6);
        assert_eq!(aimd.bps(), 1.5e6 + 1e4);
    }

    #[test]
    fn overuse_steps_down_to_what_gets_through_once_a_round_trip_and_then_it_creeps() {
        let mut aimd = Aimd::new(2e6, 1e4, 1e8);
        assert!(aimd.take(1.0, Usage::Over, Some(1.5e6), 0.1, Some(1.0)));
        assert_eq!(aimd.bps(), 0.85 * 1.5e6 - 5000.0);
        assert!(!aimd.take(1.05, Usage::Over, Some(1.4e6), 0.1, Some(1.0)), "the path has not answered yet");
        let after = aimd.bps();
        normal(&mut aimd, 1.2, 10.0, 1.25e6);
        let grown = aimd.bps() - after;
        assert!(grown > 1e4 && grown < 3e5, "{grown}: a creep near the capacity");
    }

    #[test]
    fn without_a_figure_of_the_throughput_it_is_halved() {
        let mut aimd = Aimd::new(2e6, 1e4, 1e8);
        assert!(aimd.take(1.0, Usage::Over, None, 0.1, Some(1.0)));
        assert!(!aimd.take(1.1, Usage::Over, None, 0.1, Some(1.0)));
        assert!(aimd.take(1.21, Usage::Over, None, 0.1, Some(1.0)));
        assert_eq!(aimd.bps(), 5e5);
    }

    #[test]
    fn who_does_not_use_what_there_is_proves_nothing() {
        let mut aimd = Aimd::new(1e6, 1e4, 1e8);
        for at in 0..100 {
            aimd.take(f64::from(at) * 0.1, Usage::Normal, Some(1e6), 0.05, None);
        }
        assert_eq!(aimd.bps(), 1e6);
    }

    #[test]
    fn on_a_full_path_all_grow_by_about_the_same_and_slower_with_something_in_the_queue() {
        let grown = |bps: f64, room: f64| {
            let mut aimd = Aimd::new(bps, 1e4, 1e8);
            aimd.take(0.0, Usage::Over, Some(bps), 0.1, None);
            let before = aimd.bps();
            for at in 1..=11 {
                aimd.take(f64::from(at) * 0.1, Usage::Normal, Some(bps), 0.1, Some(room));
            }
            aimd.bps() - before
        };
        assert!(grown(4e6, 1.0) < 1.6 * grown(1e6, 1.0), "{} and {}", grown(4e6, 1.0), grown(1e6, 1.0));
        assert!(grown(1e6, 0.0) < 0.6 * grown(1e6, 1.0));
        assert!(grown(1e5, 1.0) < 0.1 * 1e5);
    }
}
