//! Which packets of a layer are missing, and which of them to ask for now (RFC 4585 §6.2.1).
//!
//! Pure bookkeeping, one per layer: time is an argument, nothing is sent from here.

use std::collections::VecDeque;

use super::Seconds;

/// Seconds before a missing packet is asked for again: a round trip until one is known.
const NACK_AGAIN: Seconds = 0.1;
/// Times that a packet is asked for.
const NACK_TIMES: u8 = 10;
/// A jump beyond this is a restart of the stream, not loss; later than this is too late.
pub const MOST_MISSING: i64 = 500;
/// Seconds after which a missing packet is of no use to anyone.
const OLDEST_MISSING: Seconds = 3.0;

#[derive(Clone, Copy, Debug)]
struct Wanted {
    index: i64,
    since: Seconds,
    asked: Seconds,
    times: u8,
}

/// Missing packets of one layer.
#[derive(Debug, Default)]
pub struct Missing {
    /// Ascending; [`MOST_MISSING`] at most.
    wanted: VecDeque<Wanted>,
    highest: Option<i64>,
}

impl Missing {
    /// A packet with this extended sequence number arrived, by any way.
    pub fn seen(&mut self, index: i64, now: Seconds) {
        let Some(highest) = self.highest.filter(|highest| (index - highest).abs() <= MOST_MISSING) else {
            self.highest = Some(index);
            self.wanted.clear();
            return;
        };
        if index > highest {
            for index in highest + 1..index {
                if self.wanted.len() >= MOST_MISSING as usize {
                    self.wanted.pop_front();
                }
                self.wanted.push_back(Wanted { index, since: now, asked: -1.0, times: 0 });
            }
            self.highest = Some(index);
        } else if let Ok(place) = self.wanted.binary_search_by_key(&index, |wanted| wanted.index) {
            self.wanted.remove(place);
        }
    }

    /// Put into `asking` the extended sequence numbers to ask for now, ascending; each is then held back for a while.
    pub fn due(&mut self, now: Seconds, asking: &mut Vec<i64>) {
        asking.clear();
        self.wanted.retain_mut(|wanted| {
            if wanted.times >= NACK_TIMES || now - wanted.since > OLDEST_MISSING {
                return false;
            }
            if now - wanted.asked >= NACK_AGAIN {
                wanted.asked = now;
                wanted.times += 1;
                asking.push(wanted.index);
            }
            true
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::Draw;

    fn missing(seen: &[i64]) -> Missing {
        let mut found = Missing::default();
        for &index in seen {
            found.seen(index, 0.0);
        }
        found
    }

    fn due(missing: &mut Missing, now: Seconds) -> Vec<i64> {
        let mut asking = vec![99];
        missing.due(now, &mut asking);
        asking
    }

    #[test]
    fn what_is_missing_is_asked_for_at_once_and_again_after_a_round_trip() {
        let mut gap = missing(&[10, 13]);
        assert_eq!(due(&mut gap, 0.0), [11, 12]);
        assert_eq!(due(&mut gap, NACK_AGAIN - 0.001), []);
        gap.seen(11, 0.05);
        assert_eq!(due(&mut gap, NACK_AGAIN), [12]);
    }

    #[test]
    fn what_never_comes_is_given_up() {
        let mut gap = missing(&[10, 12]);
        let asked: Vec<usize> = (0..15).map(|n| due(&mut gap, f64::from(n) * NACK_AGAIN * 1.001).len()).collect();
        assert_eq!(asked, [[1; 10].as_slice(), &[0; 5]].concat());
        assert_eq!(due(&mut missing(&[10, 12]), OLDEST_MISSING + 0.1), []);
    }

    #[test]
    fn a_jump_is_a_restart_and_not_five_hundred_questions() {
        assert_eq!(due(&mut missing(&[10, 510]), 0.0), (11..510).collect::<Vec<_>>());
        assert_eq!(due(&mut missing(&[10, 511]), 0.0), []);
    }

    #[test]
    fn only_what_did_not_come_is_asked_for_and_never_too_much() {
        let mut draw = Draw::new(7);
        for round in 0..300 {
            let spread = if round % 2 == 0 { 190 } else { 3000 };
            let seen: Vec<i64> = (0..draw.below(200)).map(|_| draw.below(spread) as i64).collect();
            let asking = due(&mut missing(&seen), 0.0);
            assert!(asking.is_sorted() && asking.len() <= MOST_MISSING as usize);
            assert!(spread > 190 || asking.iter().all(|index| !seen.contains(index)));
        }
    }
}
