//! How loud a track has been: a level for each 20 ms of the last second, and when that is worth telling.
//!
//! It counts steps, not seconds, and knows nothing of who speaks: that is decided above. Of a track on
//! which nobody can be heard nothing is told.

/// Steps that are remembered: one second of 20 ms each.
pub const STEPS: usize = 50;
/// Loudness from which on somebody may be heard: -60 dBov.
const AUDIBLE: u8 = 67;
/// Steps between two tellings of what can be heard: 300 ms.
const EVERY: u64 = 15;
/// Steps that one level stands for, at most: packets of sound are up to 60 ms long.
const STANDS: u8 = 3;

/// See the module. Loudness is 0, silent, to 127, loudest.
#[derive(Debug)]
pub struct Loudness {
    /// Newest last.
    recent: [u8; STEPS],
    /// The loudest that came since the last step.
    fresh: Option<u8>,
    /// Steps since a level came.
    age: u8,
    /// Steps since somebody could be heard.
    quiet: usize,
    /// A level came once.
    known: bool,
}

impl Default for Loudness {
    fn default() -> Self {
        Self { recent: [0; STEPS], fresh: None, age: STANDS, quiet: STEPS, known: false }
    }
}

impl Loudness {
    /// A packet says how loud it is.
    pub fn hear(&mut self, level: u8) {
        self.fresh = self.fresh.max(Some(level));
    }

    /// 20 ms passed, the `beat`-th. Whether to tell now: at the first level of all, so that it is known that this
    /// track has such; when a voice begins; and at regular beats until it has been silent for a second.
    pub fn step(&mut self, beat: u64) -> bool {
        if self.fresh.is_none() && self.quiet >= STEPS && self.age >= STANDS {
            return false;
        }
        self.age = if self.fresh.is_some() { 0 } else { self.age.saturating_add(1) };
        let held = if self.age < STANDS { self.newest() } else { 0 };
        let level = self.fresh.take().unwrap_or(held);
        self.recent.rotate_left(1);
        if let Some(last) = self.recent.last_mut() {
            *last = level;
        }
        let begins = !self.known || level >= AUDIBLE && self.quiet >= STEPS;
        self.known = true;
        self.quiet = if level >= AUDIBLE { 0 } else { (self.quiet + 1).min(STEPS) };
        begins || self.quiet < STEPS && beat.is_multiple_of(EVERY)
    }

    /// The level of the newest step.
    #[must_use]
    pub fn newest(&self) -> u8 {
        self.recent.last().copied().unwrap_or(0)
    }

    /// The level of each remembered step, the newest last.
    #[must_use]
    pub fn recent(&self) -> &[u8] {
        &self.recent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beats at which something is told, of levels by step.
    fn told(levels: &[Option<u8>]) -> Vec<usize> {
        let mut loudness = Loudness::default();
        let mut step = |(at, level): (usize, &Option<u8>)| {
            level.iter().for_each(|level| loudness.hear(*level));
            loudness.step(at as u64).then_some(at)
        };
        levels.iter().enumerate().filter_map(&mut step).collect()
    }

    #[test]
    fn silence_is_told_once_and_a_voice_when_it_begins_and_until_it_is_over() {
        assert!(told(&[None; 200]).is_empty(), "a track without levels");
        assert_eq!(told(&[Some(AUDIBLE - 1); 200]), [0], "a track with levels, on which nobody is heard");
        let mut levels = vec![Some(10); 200];
        levels[47] = Some(AUDIBLE);
        assert_eq!(told(&levels), [0, 47, 60, 75, 90]);
        levels[80] = Some(127);
        assert_eq!(told(&levels), [0, 47, 60, 75, 90, 105, 120]);
    }

    #[test]
    fn a_level_stands_for_a_packet_and_not_for_a_gap() {
        let mut loudness = Loudness::default();
        for beat in 0..8 {
            if beat == 1 {
                loudness.hear(70);
                loudness.hear(60);
            }
            loudness.step(beat);
        }
        assert_eq!(loudness.recent()[STEPS - 7..], [70, 70, 70, 0, 0, 0, 0]);
        assert_eq!(loudness.newest(), 0);
    }
}
