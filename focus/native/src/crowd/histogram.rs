//! Times sorted into buckets of six percent: what a million latencies come down to.

/// Buckets of one doubling.
const FINE: u64 = 16;
/// Up to some nineteen hours in microseconds.
const BUCKETS: usize = 528;

/// Counts of times in microseconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    counts: Box<[u32]>,
    total: u64,
    greatest: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS].into(), total: 0, greatest: 0 }
    }
}

fn bucket(micros: u64) -> usize {
    if micros < FINE {
        return micros as usize;
    }
    let doublings = u64::from(micros.ilog2()) - 4;
    (FINE * (doublings + 1) + (micros >> doublings) - FINE) as usize
}

/// The greatest time of a bucket.
fn upper(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    let doublings = (bucket / FINE).saturating_sub(1);
    if bucket < FINE { bucket } else { ((FINE + bucket % FINE + 1) << doublings) - 1 }
}

impl Histogram {
    /// Count one.
    pub fn note(&mut self, micros: u64) {
        if let Some(count) = self.counts.get_mut(bucket(micros).min(BUCKETS - 1)) {
            *count = count.saturating_add(1);
        }
        self.total += 1;
        self.greatest = self.greatest.max(micros);
    }

    /// Add another's counts.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.total += other.total;
        self.greatest = self.greatest.max(other.greatest);
    }

    /// Forget all.
    pub fn clear(&mut self) {
        self.counts.fill(0);
        (self.total, self.greatest) = (0, 0);
    }

    /// The greatest time of all.
    #[must_use]
    pub fn greatest(&self) -> u64 {
        self.greatest
    }

    /// The time that a `part` (0 to 1) of all do not exceed, six percent too long at most; 0 of none.
    #[must_use]
    pub fn quantile(&self, part: f64) -> u64 {
        let wanted = (part * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return upper(place).min(self.greatest);
            }
        }
        self.greatest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_a_bucket_at_most_six_percent_wide() {
        let mut before = 0;
        for micros in (0..5000).chain((0..50).map(|bits| (1_u64 << bits) / 3 + 5000)) {
            let place = bucket(micros);
            assert!(upper(place) >= micros && upper(place) - micros <= micros / 16, "{micros}");
            assert!(micros >= 5000 || (place >= before && place <= before + 1));
            before = place;
        }
    }

    #[test]
    fn quantiles_are_those_of_the_times_counted() {
        let (mut one, mut other) = (Histogram::default(), Histogram::default());
        assert_eq!(one.quantile(0.99), 0);
        (1..=500).for_each(|micros| one.note(micros));
        (501..=1000).for_each(|micros| other.note(micros));
        one.add(&other);
        assert!((500..=532).contains(&one.quantile(0.5)) && (990..=1000).contains(&one.quantile(0.99)));
        assert_eq!((one.quantile(1.0), one.greatest()), (1000, 1000));
        one.note(u64::MAX);
        assert_eq!(one.greatest(), u64::MAX);
        one.clear();
        assert_eq!(one, Histogram::default());
    }
}
