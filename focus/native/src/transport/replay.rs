//! Which packet indices have been seen (RFC 3711 §3.3.2), and which index a sequence number means (§3.3.1).

/// The last `64 * WORDS` indices up to the highest one seen.
#[derive(Clone, Debug)]
pub(crate) struct Window<const WORDS: usize> {
    highest: u64,
    /// A ring: index `i` has bit `i mod (64 * WORDS)`.
    seen: [u64; WORDS],
    empty: bool,
}

impl<const WORDS: usize> Window<WORDS> {
    const BITS: u64 = 64 * WORDS as u64;

    pub(crate) fn new() -> Self {
        Self { highest: 0, seen: [0; WORDS], empty: true }
    }

    fn place(index: u64) -> (usize, u64) {
        let bit = index % Self::BITS;
        ((bit / 64) as usize, 1 << (bit % 64))
    }

    /// Whether the index is new: neither seen, nor so old that nobody knows.
    pub(crate) fn is_new(&self, index: u64) -> bool {
        if self.empty || index > self.highest {
            return true;
        }
        let (word, bit) = Self::place(index);
        self.highest - index < Self::BITS && self.seen.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Mark an index that `is_new`. Only after authentication.
    pub(crate) fn mark(&mut self, index: u64) {
        if self.empty || index > self.highest {
            let steps = if self.empty { Self::BITS } else { index - self.highest };
            if steps >= Self::BITS {
                self.seen = [0; WORDS];
            } else {
                for passed in self.highest + 1..index {
                    let (word, bit) = Self::place(passed);
                    if let Some(word) = self.seen.get_mut(word) {
                        *word &= !bit;
                    }
                }
            }
            (self.highest, self.empty) = (index, false);
        }
        let (word, bit) = Self::place(index);
        if let Some(word) = self.seen.get_mut(word) {
            *word |= bit;
        }
    }

    /// The 48-bit index nearest to the highest one that ends in this sequence number. Of the first
    /// packet the rollover counter is 0.
    pub(crate) fn estimate(&self, sequence: u16) -> u64 {
        if self.empty {
            return u64::from(sequence);
        }
        let behind = (self.highest as u16).wrapping_sub(sequence);
        if behind < 0x8000 {
            // Before index 0 there is nothing: then it is ahead.
            self.highest.checked_sub(u64::from(behind)).unwrap_or(u64::from(sequence))
        } else {
            self.highest + u64::from(behind.wrapping_neg())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_index_passes_once() {
        let mut window = Window::<2>::new();
        for (index, new) in [
            (5_u64, true),
            (5, false),
            (4, true),
            (4, false),
            (200, true),
            (73, true),
            (73, false),
            (72, false),
            (199, true),
            (200, false),
            (5, false),
            (10_000, true),
            (200, false),
            (9_873, true),
            (9_872, false),
        ] {
            assert_eq!(window.is_new(index), new, "{index}");
            if new {
                window.mark(index);
            }
        }
    }

    #[test]
    fn the_window_agrees_with_a_list() {
        let (mut window, mut seen, mut highest) = (Window::<16>::new(), std::collections::HashSet::new(), 0_u64);
        let mut state = 7_u64;
        for _ in 0..50_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let index = (highest + (state >> 33) % 40).saturating_sub((state >> 50) % 1_100);
            let new = !seen.contains(&index) && (seen.is_empty() || highest.saturating_sub(index) < 1_024);
            assert_eq!(window.is_new(index), new, "{index} of {highest}");
            if new {
                window.mark(index);
                seen.insert(index);
                highest = highest.max(index);
            }
        }
    }

    #[test]
    fn a_sequence_number_means_the_nearest_index() {
        let mut window = Window::<16>::new();
        assert_eq!(window.estimate(65_535), 65_535);
        window.mark(65_535);
        assert_eq!((window.estimate(65_534), window.estimate(0), window.estimate(0x8000)), (65_534, 0x1_0000, 0x8000));
        assert_eq!(window.estimate(0x7ffe), 0x1_7ffe);
        window.mark(0x1_0002);
        assert_eq!((window.estimate(65_535), window.estimate(3), window.estimate(0x8003)), (65_535, 0x1_0003, 0x8003));
        let mut window = Window::<16>::new();
        window.mark(3);
        assert_eq!(window.estimate(65_000), 65_000, "nothing was sent before the first packet");
    }
}
