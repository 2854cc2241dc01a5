//! How long the queue on the path is now: the newest delay over the least of late, and how much less to send while it
//! is long.
//!
//! Pure. The two clocks need not agree: only differences count.

use crate::media::Seconds;

/// The least delay is looked for in the newest one to two of these.
const HALF: Seconds = 60.0;
/// Up to here a queue is a burst that will be gone by itself.
const SHORT: Seconds = 0.03;
/// A longer one is to be gone in about so many seconds.
const DRAINED: Seconds = 0.55;
const STANDING: Seconds = 0.5;
/// Never less than that of the estimate.
const LEAST: f64 = 0.5;
/// A queue that stays though so little of what made it is sent, and for so long, is none of ours: the path got longer, or
/// others fill it.
const YIELDED: f64 = 0.6;
const PATIENCE: Seconds = 1.5;
/// It stays when the least delay of a second differs by less than this from that of the second before.
const STILL: Seconds = 0.005;
const SECOND: Seconds = 1.0;

/// See the file's head.
#[derive(Debug, Default)]
pub struct Queue {
    /// Least delay of this half of the window, and of the one before.
    least: Option<Seconds>,
    before: Option<Seconds>,
    begun: Seconds,
    newest: Seconds,
    long: Option<Seconds>,
    /// Least delay of this second and of the one before.
    second: Recent,
    /// The estimate when it got long, and since when much less is sent.
    made_by: Option<f64>,
    yielded: Option<Seconds>,
}

#[derive(Debug, Default)]
struct Recent {
    begun: Seconds,
    least: Option<Seconds>,
    /// Of the last second that is over, and of the one before that.
    last: Option<Seconds>,
    before: Option<Seconds>,
}

impl Recent {
    fn take(&mut self, now: Seconds, delay: Seconds) {
        if now - self.begun > SECOND {
            self.before = self.last;
            self.last = self.least.take();
            self.begun = now;
        }
        self.least = Some(self.least.map_or(delay, |least| least.min(delay)));
    }

    /// The least of late, unless it falls or grows.
    fn still(&self) -> Option<Seconds> {
        let (last, before) = (self.last?, self.before?);
        ((last - before).abs() < STILL).then_some(last.min(before).min(self.least.unwrap_or(last)))
    }
}

impl Queue {
    /// A packet's delay, on whatever clocks.
    pub fn take(&mut self, now: Seconds, delay: Seconds) {
        if now - self.begun > HALF {
            self.before = self.least.take();
            self.begun = now;
        }
        self.least = Some(self.least.map_or(delay, |least| least.min(delay)));
        self.newest = delay;
        self.second.take(now, delay);
        self.long = if self.seconds() > SHORT { self.long.or(Some(now)) } else { None };
    }

    /// The estimate is `bps` now. Where yielding does not shorten the queue, what is left of it counts as the path's own
    /// delay from now on.
    pub fn yielded(&mut self, now: Seconds, bps: f64) {
        if self.long.is_none() {
            (self.made_by, self.yielded) = (None, None);
            return;
        }
        if bps > YIELDED * *self.made_by.get_or_insert(bps) {
            self.yielded = None;
            return;
        }
        let since = *self.yielded.get_or_insert(now);
        if let Some(still) = self.second.still().filter(|_| now - since > PATIENCE) {
            (self.least, self.before, self.begun) = (Some(still), None, now);
            (self.long, self.made_by, self.yielded) = (None, None, None);
        }
    }

    /// Whether it has been too long for half a second: then more is sent than the path carries, though no trend says so.
    #[must_use]
    pub fn stands(&self, now: Seconds) -> bool {
        self.long.is_some_and(|since| now - since > STANDING)
    }

    /// The least delay of late; None before the first packet.
    #[must_use]
    pub fn floor(&self) -> Option<Seconds> {
        self.least.into_iter().chain(self.before).min_by(f64::total_cmp)
    }

    /// Seconds that a packet waits now.
    #[must_use]
    pub fn seconds(&self) -> Seconds {
        self.floor().map_or(0.0, |floor| self.newest - floor)
    }

    /// What part of the estimate to send, so that it drains.
    #[must_use]
    pub fn part(&self) -> f64 {
        (1.0 - (self.seconds() - SHORT).max(0.0) / DRAINED).max(LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_need_not_agree_and_a_short_queue_is_let_be() {
        let mut queue = Queue::default();
        for (now, delay, part) in
            [(1.0, -500.0, 1.0), (1.1, -499.98, 1.0), (1.2, -499.62, 0.5), (1.3, -499.86, 0.8), (1.4, -500.0, 1.0)]
        {
            queue.take(now, delay);
            assert!((queue.part() - part).abs() < 1e-6, "{now}: {}", queue.part());
        }
    }

    #[test]
    fn a_path_that_got_longer_is_no_queue_for_ever() {
        let mut queue = Queue::default();
        for at in 0..200 {
            queue.take(f64::from(at), if at < 10 { 0.05 } else { 0.15 });
        }
        assert_eq!(queue.seconds(), 0.0);
    }

    #[test]
    fn a_queue_that_yielding_does_not_shorten_is_none_of_ours_and_one_that_shrinks_is() {
        let run = |falls: f64| {
            let mut queue = Queue::default();
            for at in 0..60 {
                let now = f64::from(at) * 0.1;
                queue.take(now, if at < 10 { 0.05 } else { (0.25 - falls * (now - 1.0)).max(0.05) });
                queue.yielded(now, if at < 15 { 1e6 } else { 4e5 });
            }
            queue.seconds()
        };
        assert_eq!(run(0.0), 0.0);
        assert!(run(0.02) > 0.05);
    }
}
