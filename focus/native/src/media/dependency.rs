//! The dependency descriptor (AV1 RTP payload format 1.0, annex A.8): what its templates say of a frame.
//!
//! A keyframe brings a structure of templates; other frames name one of them. A stream is decoded up to one of several
//! targets, and a template says what its frames are to each: nothing, something, or a point from which on it can be decoded.

use super::frame::{Bits, Part};

/// Bytes of a descriptor without optional parts.
pub const MANDATORY: usize = 3;
/// Of the first byte.
pub const START_OF_FRAME: u8 = 0x80;
const END_OF_FRAME: u8 = 0x40;
const TEMPLATE: u8 = 0x3F;
/// Of the byte behind the mandatory ones: what follows.
const STRUCTURE_PRESENT: u8 = 0x80;
const ACTIVE_TARGETS_PRESENT: u8 = 0x40;
const CUSTOM_INDICATIONS: u8 = 0x20;
/// Bits of the descriptor before the structure of templates.
const BEFORE_STRUCTURE: usize = 8 * MANDATORY + 5;
/// Templates in a structure: their ids have six bits.
const MOST_TEMPLATES: usize = 64;
/// A frame's indication for a target: the target can be decoded from there on.
const SWITCH: u64 = 2;

/// What a frame is, until it says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    /// Two bits for each target, those of the first the lowest.
    indications: u64,
}

/// The templates of one stream. Empty before its first keyframe.
#[derive(Debug, Default)]
pub struct Templates {
    /// Index of the packet that brought them.
    since: i64,
    /// Id of the first.
    first: u8,
    templates: Vec<Template>,
    /// Highest spatial and temporal id of each target.
    targets: Vec<(u8, u8)>,
    /// The size of the greatest layer, 0 where it is not said.
    pub size: (u16, u16),
}

/// Whether a descriptor brings a structure of templates.
#[must_use]
pub fn structured(descriptor: &[u8]) -> bool {
    descriptor.get(MANDATORY).is_some_and(|flags| flags & STRUCTURE_PRESENT != 0)
}

impl Templates {
    /// Look at a packet's descriptor: one with a structure replaces what an earlier one brought.
    pub fn learn(&mut self, index: i64, descriptor: &[u8]) {
        if !structured(descriptor) || index < self.since {
            return;
        }
        self.since = index;
        (self.size, self.first) = ((0, 0), 0);
        self.templates.clear();
        self.targets.clear();
        let mut bits = Bits { data: descriptor, at: BEFORE_STRUCTURE };
        if self.read(&mut bits).is_none() {
            self.size = (0, 0);
            self.templates.clear();
            self.targets.clear();
        }
    }

    /// Where a frame stands. In the only part there is when its template is not known.
    #[must_use]
    pub fn part(&self, descriptor: &[u8]) -> Part {
        let first = descriptor.first().copied().unwrap_or_default();
        let ends = first & END_OF_FRAME != 0;
        let place = (first & TEMPLATE).wrapping_sub(self.first) & TEMPLATE;
        let Some(template) = self.templates.get(usize::from(place)) else { return Part { ends, ..Part::default() } };
        let indications = self.custom(descriptor).unwrap_or(template.indications);
        let switches = self
            .targets
            .iter()
            .enumerate()
            .filter(|&(place, target)| target.0 == template.spatial && indications >> (2 * place) & 3 == SWITCH);
        let opens = switches.map(|(_, target)| target.1).max().unwrap_or_default();
        let top = self.templates.iter().all(|other| other.spatial <= template.spatial);
        Part { spatial: template.spatial, temporal: template.temporal, sync: false, opens, top, ends }
    }

    /// A frame's own indications, where it has such.
    fn custom(&self, descriptor: &[u8]) -> Option<u64> {
        let flags = descriptor.get(MANDATORY).filter(|flags| *flags & CUSTOM_INDICATIONS != 0)?;
        let mut bits = Bits { data: descriptor, at: BEFORE_STRUCTURE };
        if flags & STRUCTURE_PRESENT != 0 {
            Self::default().read(&mut bits)?;
        }
        let targets = self.targets.len();
        if flags & ACTIVE_TARGETS_PRESENT != 0 {
            bits.skip(targets as u32)?;
        }
        indications(&mut bits, targets)
    }

    /// Read a structure (annex A.8.3).
    fn read(&mut self, bits: &mut Bits<'_>) -> Option<()> {
        self.first = bits.bits(6)? as u8;
        let targets = bits.bits(5)? + 1;
        let (mut spatial, mut temporal) = (0, 0);
        loop {
            self.templates.push(Template { spatial, temporal, indications: 0 });
            match bits.bits(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => break,
            }
            if self.templates.len() == MOST_TEMPLATES {
                return None;
            }
        }
        self.targets.resize(targets as usize, (0, 0));
        for template in &mut self.templates {
            template.indications = indications(bits, targets as usize)?;
            for (place, target) in self.targets.iter_mut().enumerate() {
                if template.indications >> (2 * place) & 3 != 0 {
                    *target = (template.spatial.max(target.0), template.temporal.max(target.1));
                }
            }
        }
        let templates = self.templates.len() as u32;
        for _ in 0..templates {
            while bits.bits(1)? == 1 {
                bits.skip(4)?;
            }
        }
        let chains = bits.below(targets + 1)?;
        if chains > 0 {
            for _ in 0..targets {
                bits.below(chains)?;
            }
            bits.skip(4 * templates * chains)?;
        }
        if bits.bits(1)? == 1 {
            let mut greatest = (0, 0);
            for _ in 0..=spatial {
                let (width, height) = (bits.bits(16)? + 1, bits.bits(16)? + 1);
                greatest = (width.max(greatest.0), height.max(greatest.1));
            }
            let narrow = u16::try_from(greatest.0).ok().zip(u16::try_from(greatest.1).ok());
            self.size = narrow.unwrap_or_default();
        }
        Some(())
    }
}

fn indications(bits: &mut Bits<'_>, targets: usize) -> Option<u64> {
    (0..targets).try_fold(0, |all, place| Some(all | u64::from(bits.bits(2)?) << (2 * place)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{Draw, scalable};

    fn part(templates: &Templates, descriptor: &[u8]) -> (u8, u8, u8, bool, bool) {
        let Part { spatial, temporal, opens, top, ends, sync } = templates.part(descriptor);
        assert!(!sync);
        (spatial, temporal, opens, top, ends)
    }

    #[test]
    fn a_frame_stands_where_its_template_says() {
        let mut templates = Templates::default();
        assert_eq!(templates.part(b"\x80\x00\x01"), Part::default());
        templates.learn(5, &scalable(1, 2, 3, 60));
        for (descriptor, expected) in [
            // Ids begin at 60 and go on at 0.
            (&b"\x3C\x00\x02"[..], (0, 0, 2, false, false)),
            (b"\x7D\x00\x02", (0, 1, 2, false, true)),
            (b"\xBE\x00\x02", (0, 2, 0, false, false)),
            (b"\x3F\x00\x02", (1, 0, 2, true, false)),
            (b"\x40\x00\x02", (1, 1, 2, true, true)),
            (b"\x01\x00\x02", (1, 2, 0, true, false)),
            // No such template.
            (b"\x42\x00\x02", (0, 0, 0, false, true)),
            // Indications of its own, behind targets that are active, say "switch" for the last one.
            (b"\x01\x00\x02\x60\x00\x04", (1, 2, 2, true, false)),
            (b"\x01\x00\x02\x20\x00", (1, 2, 0, true, false)),
        ] {
            assert_eq!(part(&templates, descriptor), expected, "{descriptor:02x?}");
        }
        templates.learn(4, &scalable(1, 1, 1, 0));
        assert_eq!(templates.part(b"\x41\x00\x02").spatial, 1, "what comes late is not news");
        templates.learn(6, &scalable(1, 1, 1, 0)[..5]);
        assert_eq!(templates.part(b"\x41\x00\x02"), Part { ends: true, ..Part::default() });
    }

    #[test]
    fn one_that_is_cut_or_corrupted_anywhere_is_read() {
        let mut draw = Draw::new(16);
        let whole = scalable(7, 3, 3, 9);
        let mut templates = Templates::default();
        for index in 0..20_000 {
            let mut twin = whole.clone();
            let at = draw.below(twin.len() as u64) as usize;
            twin[at] = draw.next() as u8;
            twin.truncate(draw.below(1 + whole.len() as u64) as usize);
            templates.learn(index, &twin);
            let part = templates.part(&twin);
            assert!(part.spatial < 64 && part.temporal < 64);
            let _ = templates.part(&draw.bytes(12));
        }
    }
}
