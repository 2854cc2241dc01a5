//! How long a worker lets things wait: feedback, which nobody waits for, and packets, for others to go with.
//!
//! Pure laws over time; `worker.rs` reads and sleeps by them.

use std::time::{Duration, Instant};

/// How long transport-wide feedback may wait to be read, or twice as long where the worker is awake then anyway: a tenth of what
/// passes between two of one subscriber's, and half of the engine's tick.
pub const FEEDBACK: Duration = Duration::from_millis(10);
/// So many times in a row it is not tried again whether waiting for other packets brings some.
const MOST_PASSED: u32 = 64;

/// A wait that took so long found nothing there at first: what ended it has just come.
const ASLEEP: Duration = Duration::from_micros(50);

/// How long to wait for other packets: until what is unread may have waited for `most`. `read`: since when it may lie
/// there, None where more had come than was read. From `asked` to `woke` there was nothing to do.
pub fn rest(most: Duration, read: Option<Instant>, asked: Instant, woke: Instant) -> Duration {
    let since = if woke.saturating_duration_since(asked) > ASLEEP { Some(woke) } else { read };
    since.map_or(Duration::ZERO, |since| (since + most).saturating_duration_since(woke))
}

/// When feedback is read: the first wakes the worker, and what comes soon after is read together.
#[derive(Debug, Default)]
pub struct Feedback {
    /// When some was found last; None: the next is waited for.
    found: Option<Instant>,
}

impl Feedback {
    /// By when to be awake for it; None: when it comes. `next`: when the worker is awake for something else; if that is about
    /// as soon, it is soon enough, and the two fall together from then on.
    pub fn deadline(&self, next: Option<Instant>) -> Option<Instant> {
        let found = self.found?;
        let near = next.filter(|next| (found + FEEDBACK / 2..=found + 2 * FEEDBACK).contains(next));
        Some(near.unwrap_or(found + FEEDBACK))
    }

    /// Whether it is waited for, and the worker woken when it comes.
    pub fn wakes(&self) -> bool {
        self.found.is_none()
    }

    /// Whether to look for some, being awake. Half the time is enough, so that regular packets bring no more turns.
    pub fn is_due(&self, now: Instant) -> bool {
        self.found.is_none_or(|found| now >= found + FEEDBACK / 2)
    }

    /// It was looked for.
    pub fn looked(&mut self, now: Instant, found: bool) {
        self.found = Some(now).filter(|_| found);
    }
}

/// Whether to wait for other packets: not where it brings none, for it costs a sleep, and latency.
#[derive(Debug, Default)]
pub struct Company {
    /// How often to pass after a wait in vain.
    passes: u32,
    left: u32,
}

impl Company {
    /// Whether to wait with a packet that has come.
    pub fn is_likely(&mut self) -> bool {
        let waits = self.left == 0;
        self.left = self.left.saturating_sub(1);
        waits
    }

    /// It was waited; whether others came.
    pub fn came(&mut self, others: bool) {
        self.passes = if others { 0 } else { (2 * self.passes + 1).min(MOST_PASSED) };
        self.left = self.passes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_waits_for_longer_than_it_may_and_who_is_behind_does_not_rest() {
        let start = Instant::now();
        let at = |micros: u64| start + Duration::from_micros(micros);
        let rested = |read: Option<u64>, asked, woke| {
            rest(Duration::from_millis(5), read.map(at), at(asked), at(woke)).as_micros()
        };
        // It slept until something came.
        assert_eq!(rested(Some(1000), 1500, 9000), 5000);
        assert_eq!(rested(None, 1500, 9000), 5000);
        // Something came while the turn before was at work: for 2 ms, and for longer than it may wait.
        assert_eq!(rested(Some(1000), 3000, 3010), 2990);
        assert_eq!(rested(Some(1000), 7000, 7010), 0);
        // It did not read all that there was.
        assert_eq!(rested(None, 3000, 3010), 0);
    }

    #[test]
    fn feedback_of_many_is_read_together_and_the_first_after_a_silence_at_once() {
        let start = Instant::now();
        let at = |micros| start + Duration::from_micros(micros);
        let mut feedback = Feedback::default();
        assert_eq!((feedback.deadline(None), feedback.is_due(start), feedback.wakes()), (None, true, true));
        feedback.looked(start, true);
        assert!(!feedback.wakes());
        assert_eq!(feedback.deadline(None), Some(start + FEEDBACK));
        assert!(!feedback.is_due(at(4999)) && feedback.is_due(at(5000)));
        feedback.looked(at(10_000), true);
        assert_eq!(feedback.deadline(None), Some(at(10_000) + FEEDBACK));
        feedback.looked(at(20_000), false);
        assert_eq!(feedback.deadline(None), None);
    }

    /// How often a worker is awake in a second that ticks each 20 ms, and is woken by a burst each 33 ms; and the longest wait.
    #[test]
    fn feedback_is_read_with_what_wakes_the_worker_anyway() {
        let start = Instant::now();
        let (mut feedback, mut turns, mut longest) = (Feedback::default(), 0, 0);
        let (mut now, mut tick, mut burst, mut looked) = (0, 20_000, 7000, 0);
        feedback.looked(start, true);
        while now < 1_000_000 {
            let deadline = feedback.deadline(Some(start + Duration::from_micros(tick))).expect("a time");
            now = burst.min(tick).min((deadline - start).as_micros() as u64);
            turns += 1;
            if now == tick {
                tick += 20_000;
            }
            if now == burst {
                burst += 33_333;
            }
            let at = start + Duration::from_micros(now);
            if feedback.is_due(at) {
                longest = longest.max(now - looked);
                looked = now;
                feedback.looked(at, true);
            }
        }
        assert!(turns <= 50 + 30 + 10, "{turns}");
        assert!(longest <= 20_000, "{longest}");
    }

    /// How many of so many packets were waited with, when company comes as `comes` says of each wait.
    fn waits(company: &mut Company, packets: u32, comes: impl Fn(u32) -> bool) -> u32 {
        let mut waits = 0;
        for number in 0..packets {
            if company.is_likely() {
                company.came(comes(number));
                waits += 1;
            }
        }
        waits
    }

    #[test]
    fn packets_far_apart_are_hardly_waited_with_and_near_ones_always() {
        let mut company = Company::default();
        assert_eq!(waits(&mut company, 1000, |_| true), 1000);
        let alone = waits(&mut company, 6500, |_| false);
        assert!((100..=110).contains(&alone), "{alone}");
        // Within 65 packets of the first that has company, all have.
        assert!(waits(&mut company, 1000, |_| true) >= 1000 - 64);
    }

    #[test]
    fn company_now_and_then_is_waited_for_now_and_then() {
        let found = waits(&mut Company::default(), 10_000, |number| number % 3 == 0);
        assert!((2000..9000).contains(&found), "{found}");
    }
}
