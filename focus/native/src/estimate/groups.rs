//! Packets that left together, as one sample: how much longer it took a burst to arrive than to leave.
//!
//! A sender's burst of 5 ms, and what arrives in a burst behind a queue, is one group; the delay
//! between two groups is what the trend is made of. Pure; it knows no rate.

use crate::media::Seconds;

/// Packets that left so close together are one group.
const TOGETHER: Seconds = 0.005;
/// A burst of arrivals is no longer than this.
const LONGEST_BURST: Seconds = 0.1;
/// Groups that arrive before the one before them, until the receiver's clock is believed to have been set.
const MOST_BACKWARDS: u8 = 3;
/// An arrival that much later than our own clock saw it: the receiver's clock jumped.
const JUMP: Seconds = 3.0;

/// From one group to the next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Seconds between their last departures.
    pub sent: Seconds,
    /// Seconds between their last arrivals, on the receiver's clock.
    pub arrived: Seconds,
}

#[derive(Clone, Copy, Debug)]
struct Group {
    first_sent: Seconds,
    last_sent: Seconds,
    first_arrived: Seconds,
    last_arrived: Seconds,
    /// When the feedback about it came.
    heard: Seconds,
}

/// The group that is being gathered, and the one before it.
#[derive(Debug, Default)]
pub struct Groups {
    current: Option<Group>,
    before: Option<Group>,
    backwards: u8,
}

impl Groups {
    /// A packet that left at `sent` arrived at `arrived` (the receiver's clock); we heard of it `now`. Returns the step
    /// between the two groups before it when it begins a new one.
    pub fn take(&mut self, now: Seconds, sent: Seconds, arrived: Seconds) -> Option<Step> {
        let fresh =
            Group { first_sent: sent, last_sent: sent, first_arrived: arrived, last_arrived: arrived, heard: now };
        let Some(current) = &mut self.current else {
            self.current = Some(fresh);
            return None;
        };
        if sent < current.first_sent {
            return None;
        }
        if current.holds(sent, arrived) {
            current.last_sent = current.last_sent.max(sent);
            current.last_arrived = arrived;
            current.heard = now;
            return None;
        }
        let done = *current;
        let before = self.before.replace(done);
        self.current = Some(fresh);
        let before = before?;
        let step = Step { sent: done.last_sent - before.last_sent, arrived: done.last_arrived - before.last_arrived };
        if step.arrived - (done.heard - before.heard) >= JUMP {
            *self = Self::default();
            return None;
        }
        if step.arrived < 0.0 {
            self.backwards += 1;
            if self.backwards >= MOST_BACKWARDS {
                *self = Self::default();
            }
            return None;
        }
        self.backwards = 0;
        Some(step)
    }
}

impl Group {
    fn holds(&self, sent: Seconds, arrived: Seconds) -> bool {
        let (step_sent, step_arrived) = (sent - self.last_sent, arrived - self.last_arrived);
        let queued =
            step_arrived - step_sent < 0.0 && step_arrived <= TOGETHER && arrived - self.first_arrived < LONGEST_BURST;
        step_sent == 0.0 || queued || sent - self.first_sent <= TOGETHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps in whole milliseconds of packets given in milliseconds.
    fn steps(packets: &[(i32, i32)]) -> Vec<(i32, i32)> {
        let mut groups = Groups::default();
        let whole = |seconds: f64| (seconds * 1000.0).round() as i32;
        let taken = packets.iter().filter_map(|&(sent, arrived)| {
            let arrived = f64::from(arrived) / 1000.0;
            groups.take(arrived, f64::from(sent) / 1000.0, arrived)
        });
        taken.map(|step| (whole(step.sent), whole(step.arrived))).collect()
    }

    #[test]
    fn what_leaves_within_five_milliseconds_is_one_group() {
        assert_eq!(steps(&[(0, 10), (3, 13), (5, 15), (20, 30), (40, 52), (60, 70)]), [(15, 15), (20, 22)]);
    }

    #[test]
    fn what_arrives_in_a_burst_behind_a_queue_is_one_group() {
        // All left 10 ms apart and came out of a queue together.
        assert_eq!(steps(&[(0, 10), (20, 50), (30, 51), (40, 52), (60, 75), (80, 95)]), [(40, 42), (20, 23)]);
    }

    #[test]
    fn late_ones_of_an_older_group_count_for_nothing() {
        assert_eq!(steps(&[(0, 10), (20, 30), (10, 31), (40, 50), (60, 70)]), [(20, 20), (20, 20)]);
    }

    #[test]
    fn a_receiver_whose_clock_was_set_begins_anew() {
        let mut packets: Vec<_> = (0..10).map(|at| (20 * at, 20 * at + 10_000)).collect();
        packets.extend((10..20).map(|at| (20 * at, 20 * at)));
        let found = steps(&packets);
        assert!(found.iter().all(|step| *step == (20, 20)), "{found:?}");
        let mut groups = Groups::default();
        let far = (0..20).filter_map(|at: i32| {
            let now = f64::from(at) / 50.0;
            groups.take(now, now, if at < 10 { now } else { now + 100.0 })
        });
        assert!(far.collect::<Vec<_>>().iter().all(|step| step.arrived < 0.05), "a jump ahead is no delay");
    }
}
