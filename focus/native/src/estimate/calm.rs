//! Whether a delay is a queue, or a receiver that was late to look: its least of the last moments says it.
//!
//! Pure. Behind a queue every packet is late. Behind a process that did not get the processor, a page that collects its garbage
//! or a radio that slept, many are, but the last of those that waited are not: they had just been sent. What such a
//! receiver gets is not worth less, and an estimate that falls with each of its pauses ends at nothing.

use crate::media::Seconds;

/// The least delay is looked for in the newest one to two of these.
const MOMENT: Seconds = 0.1;
/// So much above the least of all is no queue.
const NONE: Seconds = 0.008;
/// A queue of so much is known sooner: in the newest one to two of these.
const DEEP: Seconds = 0.03;
const SOON: Seconds = 0.015;

/// See the file's head.
#[derive(Debug, Default)]
pub struct Calm {
    late: Least,
    soon: Least,
}

/// The least delay of one to two moments, on whatever clocks.
#[derive(Debug, Default)]
struct Least {
    begun: Seconds,
    now: Option<Seconds>,
    before: Option<Seconds>,
}

impl Least {
    fn take(&mut self, arrived: Seconds, delay: Seconds, moment: Seconds) {
        if arrived - self.begun > moment {
            self.before = self.now.take().filter(|_| arrived - self.begun < 2.0 * moment);
            self.begun = arrived;
        }
        self.now = Some(self.now.map_or(delay, |least| least.min(delay)));
    }

    fn above(&self, floor: Option<Seconds>) -> Option<Seconds> {
        let least = self.now.into_iter().chain(self.before).min_by(f64::total_cmp);
        least.zip(floor).map(|(least, floor)| least - floor)
    }
}

impl Calm {
    /// A packet arrived, by the receiver's clock, and was that long under way, on whatever clocks.
    pub fn take(&mut self, arrived: Seconds, delay: Seconds) {
        self.late.take(arrived, delay, MOMENT);
        self.soon.take(arrived, delay, SOON);
    }

    /// Whether some packet of late was hardly slower than the fastest ever, which took `floor`.
    #[must_use]
    pub fn calm(&self, floor: Option<Seconds>) -> bool {
        self.standing(floor).is_some_and(|standing| standing < NONE)
    }

    /// Seconds that all packets of late waited at least, where the fastest ever took `floor`: what stands in the queue, without
    /// the frames that come and go. None before the first.
    #[must_use]
    pub fn standing(&self, floor: Option<Seconds>) -> Option<Seconds> {
        self.late.above(floor)
    }

    /// Whether every packet just now waited long.
    #[must_use]
    pub fn deep(&self, floor: Option<Seconds>) -> bool {
        self.soon.before.is_some() && self.soon.above(floor).is_some_and(|least| least > DEEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_late_to_look_is_calm_and_who_is_behind_a_queue_is_not() {
        let mut calm = Calm::default();
        // A pause of 300 ms: all that was sent meanwhile comes at once, the last of it as fast as ever.
        for sent in 0..60 {
            let sent = f64::from(sent) * 0.005;
            calm.take(0.3, 0.3 - sent + 0.001);
        }
        assert!(calm.calm(Some(0.001)));
        let mut calm = Calm::default();
        for sent in 0..60 {
            let delay = 0.001 + 0.2 * f64::from(sent) * 0.01;
            calm.take(f64::from(sent) * 0.01 + delay, delay);
        }
        assert!(!calm.calm(Some(0.001)));
        assert!(!Calm::default().calm(None));
    }

    #[test]
    fn a_queue_is_deep_once_every_newest_packet_waited_and_not_for_one_that_was_late() {
        let run = |waits: fn(u32) -> f64| {
            let mut calm = Calm::default();
            for at in 0..40 {
                let delay = 0.001 + waits(at);
                calm.take(f64::from(at) * 0.005 + delay, delay);
            }
            calm.deep(Some(0.001))
        };
        assert!(run(|at| f64::from(at) * 0.003), "it grows");
        assert!(!run(|_| 0.02), "it is short");
        assert!(!run(|at| if at % 4 == 0 { 0.0 } else { 0.2 }), "some were late");
        assert!(!Calm::default().deep(None));
    }
}
