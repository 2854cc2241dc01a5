//! The streams of a peer, each with the indices seen on it; bounded, whatever SSRCs the peer thinks of.

use super::replay::Window;

/// Streams with replay state for each of RTP and RTCP; beyond it the one longest unheard is forgotten (security R5).
const MOST_STREAMS: usize = 512;

/// Replay windows by SSRC. Sorted, not hashed: SSRCs are the peer's choice, and most peers have few.
pub(super) struct Streams<const WORDS: usize> {
    /// SSRC and its place in `windows`, in order of SSRC.
    places: Vec<(u32, u16)>,
    /// Each with the time of its last packet, in packets.
    windows: Vec<(u64, Window<WORDS>)>,
    packets: u64,
}

impl<const WORDS: usize> Streams<WORDS> {
    pub(super) fn new() -> Self {
        Self { places: Vec::new(), windows: Vec::new(), packets: 0 }
    }

    pub(super) fn find(&self, ssrc: u32) -> Option<&Window<WORDS>> {
        let at = self.places.binary_search_by_key(&ssrc, |place| place.0).ok()?;
        let (_, place) = self.places.get(at)?;
        self.windows.get(usize::from(*place)).map(|(_, window)| window)
    }

    /// The window of an SSRC that is authentic; a new one if need be.
    pub(super) fn at(&mut self, ssrc: u32) -> &mut Window<WORDS> {
        self.packets += 1;
        let place = match self.places.binary_search_by_key(&ssrc, |place| place.0) {
            Ok(at) => usize::from(self.places[at].1),
            Err(_) => self.add(ssrc),
        };
        let (last, window) = &mut self.windows[place];
        *last = self.packets;
        window
    }

    fn add(&mut self, ssrc: u32) -> usize {
        let place = if self.windows.len() < MOST_STREAMS {
            self.windows.push((0, Window::new()));
            self.windows.len() - 1
        } else {
            let oldest = (0..self.windows.len()).min_by_key(|place| self.windows[*place].0).unwrap_or(0);
            self.windows[oldest] = (0, Window::new());
            self.places.retain(|(_, place)| usize::from(*place) != oldest);
            oldest
        };
        let at = self.places.partition_point(|(known, _)| *known < ssrc);
        self.places.insert(at, (ssrc, place as u16));
        place
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_kept_apart_and_the_one_longest_unheard_makes_room() {
        let mut streams = Streams::<1>::new();
        let flood = 3 * MOST_STREAMS as u32;
        for number in 0..flood {
            for ssrc in [u32::MAX, number.wrapping_mul(0x9E37_79B9)] {
                assert!(streams.at(ssrc).is_new(u64::from(number)));
                streams.at(ssrc).mark(u64::from(number));
                assert!(streams.find(ssrc).is_some_and(|window| !window.is_new(u64::from(number))));
            }
        }
        assert_eq!((streams.windows.len(), streams.places.len()), (MOST_STREAMS, MOST_STREAMS));
        assert!(streams.places.is_sorted());
        assert!(streams.find(0).is_none() && streams.find(u32::MAX).is_some());
    }
}
