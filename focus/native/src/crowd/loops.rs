//! What synthetic people show and say: encoded once, looped by whoever sends it, known to whoever receives it.
//!
//! A frame is sent in pieces that follow from its length alone, so that a receiver can tell each
//! piece by its bytes: of whom it is, from which layer, and which frame.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};
use std::ops::Range;

/// Bytes of a frame in one packet: with headers, SRTP and RTX well under 1200.
const PIECE: usize = 1100;
/// 20 ms of CELT silence, as libwebrtc's encoder writes it.
pub const SILENCE: &[u8] = &[0xF8, 0xFF, 0xFE];

/// One simulcast layer of a camera: VP8 frames.
#[derive(Debug, Default)]
pub struct Layer(pub Vec<Vec<u8>>);

impl Layer {
    /// Whether a frame is a keyframe (RFC 6386 §9.1).
    #[must_use]
    pub fn is_key(&self, frame: usize) -> bool {
        self.0.get(frame).and_then(|bytes| bytes.first()).is_some_and(|first| first & 1 == 0)
    }

    /// The keyframe nearest to a frame's number, which counts on past the loop's end; 0 when there is none.
    #[must_use]
    pub fn key_near(&self, frame: u64) -> usize {
        let length = self.0.len().max(1);
        let at = (frame % length as u64) as usize;
        let away = |key: &usize| (*key).abs_diff(at).min(length - (*key).abs_diff(at));
        (0..self.0.len()).filter(|key| self.is_key(*key)).min_by_key(away).unwrap_or(0)
    }
}

/// All that one person sends.
#[derive(Debug, Default)]
pub struct Person {
    /// Full size first.
    pub layers: Vec<Layer>,
    /// Opus packets of 20 ms, and the RFC 6464 level of each.
    pub voice: Vec<(Vec<u8>, u8)>,
}

/// Where in all loops a frame is: person, layer, frame.
pub type Place = (u32, u32, u32);

/// See the file's head.
#[derive(Debug, Default)]
pub struct Loops {
    people: Vec<Person>,
    /// By the hash of its first piece.
    starts: HashMap<u64, Vec<Place>>,
    words: HashSet<u64>,
    hash: RandomState,
}

/// The pieces of a frame of so many bytes.
pub fn cut(length: usize) -> impl ExactSizeIterator<Item = Range<usize>> {
    let step = length.div_ceil(length.div_ceil(PIECE).max(1)).max(1);
    (0..length.div_ceil(step)).map(move |piece| piece * step..length.min((piece + 1) * step))
}

impl Loops {
    /// Of these people.
    #[must_use]
    pub fn new(people: Vec<Person>) -> Self {
        let mut made = Self { people: Vec::new(), ..Self::default() };
        for (person, number) in people.iter().zip(0..) {
            for (layer, rank) in person.layers.iter().zip(0..) {
                for (bytes, at) in layer.0.iter().zip(0..) {
                    let start = cut(bytes.len()).next().and_then(|piece| bytes.get(piece)).unwrap_or_default();
                    made.starts.entry(made.hash.hash_one(start)).or_default().push((number, rank, at));
                }
            }
            made.words.extend(person.voice.iter().map(|(bytes, _)| made.hash.hash_one(bytes.as_slice())));
        }
        Self { people, ..made }
    }

    /// Somebody, if there are so many.
    #[must_use]
    pub fn person(&self, number: u32) -> Option<&Person> {
        self.people.get(number as usize)
    }

    /// A layer of somebody's camera.
    #[must_use]
    pub fn layer(&self, person: u32, layer: u32) -> Option<&Layer> {
        self.person(person)?.layers.get(layer as usize)
    }

    /// A frame's bytes; none where there is no such frame.
    #[must_use]
    pub fn frame(&self, place: Place) -> &[u8] {
        let found = self.layer(place.0, place.1).and_then(|layer| layer.0.get(place.2 as usize));
        found.map_or(&[], Vec::as_slice)
    }

    /// Every place where a frame begins with these bytes as its first piece; none for a stranger's.
    pub fn find<'a>(&'a self, start: &'a [u8]) -> impl Iterator<Item = Place> + 'a {
        let places = self.starts.get(&self.hash.hash_one(start)).into_iter().flatten().copied();
        places.filter(move |place| {
            let bytes = self.frame(*place);
            cut(bytes.len()).next().and_then(|piece| bytes.get(piece)) == Some(start)
        })
    }

    /// Whether a place is right behind another in the loop.
    #[must_use]
    pub fn follows(&self, before: Place, after: Place) -> bool {
        let length = self.layer(before.0, before.1).map_or(1, |layer| layer.0.len().max(1)) as u32;
        (before.0, before.1, (before.2 + 1) % length) == after
    }

    /// Whether somebody says this.
    #[must_use]
    pub fn says(&self, packet: &[u8]) -> bool {
        self.words.contains(&self.hash.hash_one(packet))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_the_whole_frame_and_none_is_too_long() {
        for length in (1..50).chain([1100, 1101, 2200, 2201, 9999, 60_000]) {
            let pieces: Vec<_> = cut(length).collect();
            assert!(pieces.iter().all(|piece| !piece.is_empty() && piece.len() <= PIECE), "{length}");
            assert_eq!(pieces.iter().map(Range::len).sum::<usize>(), length);
            assert!(pieces.is_sorted_by(|one, next| one.end == next.start));
        }
        assert_eq!(cut(0).len(), 0);
    }

    #[test]
    fn the_nearest_keyframe_may_lie_over_the_end_of_the_loop() {
        let layer = Layer((0..30).map(|at| vec![u8::from(at % 15 != 0); 20]).collect());
        for (frame, key) in [(0, 0), (7, 0), (8, 15), (22, 15), (23, 0), (29, 0), (30, 0), (38, 15)] {
            assert_eq!(layer.key_near(frame), key, "{frame}");
        }
        assert_eq!(Layer::default().key_near(5), 0);
    }
}
