//! Selection within a stream: which of its parts a route carries, those up to a spatial and a temporal id.
//!
//! Pure: packets in order in, yes or no out. Fewer at once, from the next picture on. More pictures a second at a
//! frame from which on they can be decoded; larger ones at a keyframe. All packets of a picture share one decision.

use super::cache::Kept;
use super::frame::Part;
use crate::command::Highest;

/// See the module.
#[derive(Debug)]
pub struct Within {
    wanted: Highest,
    carried: Highest,
    /// Timestamp of the newest picture.
    picture: Option<u32>,
}

impl Default for Within {
    fn default() -> Self {
        Self { wanted: Highest::ALL, carried: Highest::ALL, picture: None }
    }
}

impl Within {
    /// What to carry from now on.
    pub fn want(&mut self, wanted: Highest) {
        self.wanted = wanted;
    }

    /// Nothing is left out, and nothing is to be.
    #[must_use]
    pub fn whole(&self) -> bool {
        (self.wanted, self.carried) == (Highest::ALL, Highest::ALL)
    }

    /// A picture with this timestamp has begun, all of which is carried.
    pub fn begun(&mut self, picture: u32) {
        self.picture = Some(picture);
    }

    /// A stream begins, at its keyframe.
    pub fn begin(&mut self) {
        self.carried = self.wanted;
    }

    /// Whether a packet in order is carried. `settled`: it is of the stream that is wanted, which may rise.
    pub fn takes(&mut self, kept: &Kept, settled: bool) -> bool {
        let Self { wanted, ref mut carried, picture } = *self;
        let part = kept.part;
        if settled && kept.keyframe {
            *carried = wanted;
        } else if picture != Some(kept.timestamp) {
            *carried = carried.least(wanted);
            // The frame needs lower ids only: those that follow in its own id may need it.
            if settled && part.sync && carried.temporal.checked_add(1) == Some(part.temporal) {
                carried.temporal = part.temporal.min(wanted.temporal);
            }
        }
        self.picture = Some(kept.timestamp);
        let takes = self.carries(part);
        let carried = &mut self.carried;
        if takes && settled && part.opens > carried.temporal && (part.top || part.spatial == carried.spatial) {
            carried.temporal = part.opens.min(wanted.temporal).max(carried.temporal);
        }
        takes
    }

    /// Whether a part is among those that are carried.
    #[must_use]
    pub fn carries(&self, part: Part) -> bool {
        part.spatial <= self.carried.spatial && part.temporal <= self.carried.temporal
    }

    /// Whether a packet that came late may take the number that was kept for it. Nobody knew then what it was, and a
    /// picture more does no harm; but one of another size would.
    #[must_use]
    pub fn takes_late(&self, part: Part) -> bool {
        part.spatial <= self.carried.spatial
    }

    /// Whether a packet is the last of its picture as it is carried.
    #[must_use]
    pub fn ends(&self, part: Part) -> bool {
        part.ends && part.spatial == self.carried.spatial
    }

    /// Whether larger pictures wait for a keyframe, of a stream that has them up to a spatial id.
    #[must_use]
    pub fn awaits(&self, top: u8) -> bool {
        self.carried.spatial < self.wanted.spatial.min(top)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: Part = Part { spatial: 0, temporal: 0, sync: false, opens: 0, top: true, ends: true };

    /// What is carried of pictures that follow each other.
    fn carried(within: &mut Within, from: u32, parts: &[(Part, bool)]) -> Vec<bool> {
        let packets = (from..).zip(parts).map(|(timestamp, &(part, keyframe))| Kept {
            timestamp,
            keyframe,
            part,
            ..Kept::default()
        });
        packets.map(|packet| within.takes(&packet, true)).collect()
    }

    fn temporal(id: u8, sync: bool) -> (Part, bool) {
        (Part { temporal: id, sync, ..KEY }, false)
    }

    #[test]
    fn fewer_pictures_come_at_once_and_more_where_they_can_be_decoded() {
        let mut within = Within::default();
        assert!(within.whole());
        within.want(Highest::new(None, Some(0)));
        let group = [temporal(0, false), temporal(2, true), temporal(1, true), temporal(2, false)];
        assert_eq!(carried(&mut within, 0, &group), [true, false, false, false]);
        within.want(Highest::ALL);
        // The second id first, since the third may need it.
        let later = [group[0], group[3], group[2], group[3], group[0], group[1], group[2], group[3]];
        assert_eq!(carried(&mut within, 9, &later), [true, false, true, false, true, true, true, true]);
        within.want(Highest::new(None, Some(1)));
        assert_eq!(carried(&mut within, 20, &group), [true, false, true, false]);
        assert!(!within.whole());
        within.want(Highest::ALL);
        assert_eq!(carried(&mut within, 30, &[(KEY, true), group[3]]), [true, true]);
        assert!(within.whole());
    }

    #[test]
    fn a_frame_that_opens_what_follows_is_enough() {
        let mut within = Within::default();
        within.want(Highest::new(None, Some(0)));
        let opening = (Part { opens: 7, ..KEY }, false);
        assert_eq!(carried(&mut within, 0, &[opening, temporal(1, false)]), [true, false]);
        within.want(Highest::new(None, Some(1)));
        let group = [temporal(1, false), opening, temporal(2, false), temporal(1, false)];
        assert_eq!(carried(&mut within, 5, &group), [false, true, false, true]);
    }

    #[test]
    fn a_picture_that_has_begun_is_carried_to_its_end() {
        let mut within = Within::default();
        let packet = |timestamp, temporal, keyframe| Kept {
            timestamp,
            keyframe,
            part: Part { temporal, ..KEY },
            ..Kept::default()
        };
        assert!(within.takes(&packet(1, 1, false), true));
        within.want(Highest::new(None, Some(0)));
        assert!(within.takes(&packet(1, 1, false), true) && !within.takes(&packet(2, 1, false), true));
        within.want(Highest::ALL);
        assert!(!within.takes(&packet(2, 1, false), true));
        // What flows until another stream is switched to does not rise.
        assert!(within.takes(&packet(3, 0, true), false) && !within.takes(&packet(4, 1, false), false));
    }

    #[test]
    fn larger_pictures_wait_for_a_keyframe_and_the_marker_is_where_the_smaller_ones_end() {
        let mut within = Within::default();
        let picture = |timestamp, keyframe| {
            [0, 1, 2].map(|spatial| Kept {
                timestamp,
                keyframe: keyframe && spatial == 0,
                part: Part { spatial, ..KEY },
                ..Kept::default()
            })
        };
        let takes = |within: &mut Within, timestamp, keyframe| {
            picture(timestamp, keyframe)
                .map(|packet| within.takes(&packet, true) as u8 + within.ends(packet.part) as u8)
        };
        within.want(Highest::new(Some(1), None));
        assert_eq!(takes(&mut within, 1, false), [1, 2, 0]);
        assert!(!within.awaits(2));
        within.want(Highest::ALL);
        assert!(within.awaits(2) && !within.awaits(1));
        assert_eq!(takes(&mut within, 2, false), [1, 2, 0]);
        assert_eq!(takes(&mut within, 3, true), [1, 1, 1], "the sender's own marker stands");
        assert!(within.whole() && !within.awaits(2));
    }
}
