//! How often something may happen: one instant per limit, no timer (a token bucket, as GCRA has it).

use std::time::{Duration, Instant};

/// A limit of `burst` events at once and one more each `every`.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    every: Duration,
    burst: u32,
    /// When the bucket will be full again.
    full: Option<Instant>,
}

impl Pace {
    pub(super) fn new(every: Duration, burst: u32) -> Self {
        Self { every, burst, full: None }
    }

    /// Count an event, unless it is one too many.
    pub(super) fn admit(&mut self, now: Instant) -> bool {
        let full = self.full.map_or(now, |full| full.max(now));
        if full.duration_since(now) > self.every.saturating_mul(self.burst.saturating_sub(1)) {
            return false;
        }
        self.full = full.checked_add(self.every);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let start = Instant::now();
        let mut pace = Pace::new(Duration::from_secs(2), 5);
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = |pace: &mut Pace, now| (0..20).filter(|_| pace.admit(now)).count();
        assert_eq!(admitted(&mut pace, at(0)), 5);
        assert_eq!(admitted(&mut pace, at(1)), 0);
        assert_eq!(admitted(&mut pace, at(2)), 1);
        assert_eq!(admitted(&mut pace, at(6)), 2);
        assert_eq!(admitted(&mut pace, at(600)), 5);
        assert_eq!(admitted(&mut pace, at(0)), 0, "a clock that jumps back gives nothing away");
    }
}
