//! AV1 payloads (AV1 RTP payload format 1.0): where a stream can begin, how large its pictures are, its frames' numbers.
//!
//! The dependency descriptor says it where one is sent, also of encrypted frames: only a keyframe
//! brings a new structure of templates. Else the aggregation header does, and the sequence header
//! that a coded video sequence begins with. Chromium sends a descriptor only where layers were asked for.

use super::dependency::{self, MANDATORY, START_OF_FRAME, Templates};
use super::frame::{Bits, Frame};

/// Of the aggregation header (§4.4): the first unit goes on from the packet before.
const CONTINUES: u8 = 0x80;
/// Of the aggregation header: the first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;
/// Of the aggregation header: how many elements there are; the last of so many has no length. 0: each has one.
const COUNT: u8 = 0x30;
/// An OBU's type (AV1 §6.2.2).
const SEQUENCE_HEADER: u8 = 1;
/// Level from which on a sequence has a tier (AV1 §5.5.1).
const TIERED: u32 = 7;

/// Look at a payload and its dependency descriptor, with the templates that it rests on.
#[must_use]
pub fn parse(payload: &[u8], dependency: Option<&[u8]>, templates: &Templates) -> Frame {
    let Some(descriptor) = dependency.filter(|descriptor| descriptor.len() >= MANDATORY) else {
        let keyframe = payload.first().is_some_and(|head| head & (CONTINUES | NEW_SEQUENCE) == NEW_SEQUENCE);
        let (width, height) = keyframe.then(|| sequence_size(payload)).flatten().unwrap_or_default();
        return Frame { keyframe, width, height, ..Frame::default() };
    };
    let begins = descriptor.first().is_some_and(|first| first & START_OF_FRAME != 0);
    let keyframe = begins && dependency::structured(descriptor);
    let (width, height) = if keyframe { templates.size } else { (0, 0) };
    let part = templates.part(descriptor);
    Frame { keyframe, width, height, part, number: number(descriptor), numbering: None }
}

/// The frame number in a descriptor; None where it is cut.
fn number(descriptor: &[u8]) -> Option<u16> {
    descriptor.get(1..MANDATORY)?.try_into().ok().map(u16::from_be_bytes)
}

/// Write another frame number into a descriptor.
pub fn renumber(descriptor: &mut [u8], number: u16) {
    if let Some(place) = descriptor.get_mut(1..MANDATORY) {
        place.copy_from_slice(&number.to_be_bytes());
    }
}

/// The size in a packet's sequence header: None where it has none, or a cut one.
fn sequence_size(payload: &[u8]) -> Option<(u16, u16)> {
    let (head, mut rest) = payload.split_first()?;
    let mut left = u32::from(head & COUNT) >> 4;
    while !rest.is_empty() {
        let bare = left == 1;
        left = left.saturating_sub(1);
        let length = if bare { rest.len() } else { leb128(&mut rest)? };
        let (unit, after) = rest.split_at_checked(length)?;
        rest = if bare { &[] } else { after };
        let (first, mut body) = unit.split_first()?;
        if first >> 3 & 15 != SEQUENCE_HEADER {
            continue;
        }
        if first & 4 != 0 {
            body = body.get(1..)?;
        }
        if first & 2 != 0 {
            leb128(&mut body)?;
        }
        return maximum(&mut Bits { data: body, at: 0 });
    }
    None
}

/// A number of seven bits a byte, the least first (AV1 §4.10.5), off the front.
fn leb128(data: &mut &[u8]) -> Option<usize> {
    let mut value = 0;
    for place in 0..4 {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        value |= usize::from(byte & 0x7F) << (7 * place);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// The greatest size that a sequence header allows (AV1 §5.5.1).
fn maximum(bits: &mut Bits<'_>) -> Option<(u16, u16)> {
    bits.skip(4)?;
    if bits.bits(1)? == 1 {
        // Of a still picture: the level only.
        bits.skip(5)?;
    } else {
        let mut delay = None;
        if bits.bits(1)? == 1 {
            bits.skip(64)?;
            if bits.bits(1)? == 1 {
                let mut zeros = 0;
                while bits.bits(1)? == 0 {
                    zeros += 1;
                }
                bits.skip(zeros)?;
            }
            if bits.bits(1)? == 1 {
                delay = Some(bits.bits(5)? + 1);
                bits.skip(42)?;
            }
        }
        let displayed = bits.bits(1)? == 1;
        for _ in 0..=bits.bits(5)? {
            bits.skip(12)?;
            if bits.bits(5)? > TIERED {
                bits.skip(1)?;
            }
            if let Some(delay) = delay {
                let modelled = bits.bits(1)?;
                bits.skip(modelled * (2 * delay + 1))?;
            }
            if displayed {
                let said = bits.bits(1)?;
                bits.skip(4 * said)?;
            }
        }
    }
    let (across, down) = (bits.bits(4)? + 1, bits.bits(4)? + 1);
    let (width, height) = (bits.bits(across)? + 1, bits.bits(down)? + 1);
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{Draw, structure};

    /// As the first packet of a stream.
    fn parsed(payload: &[u8], dependency: Option<&[u8]>) -> Frame {
        let mut templates = Templates::default();
        dependency.into_iter().for_each(|descriptor| templates.learn(0, descriptor));
        parse(payload, dependency, &templates)
    }

    #[test]
    fn a_stream_begins_with_a_structure_of_templates_or_a_new_sequence() {
        for (payload, dependency, keyframe) in [
            (&b"\x18"[..], None, true),
            (b"\x98", None, false),
            (b"\x10", None, false),
            (b"", None, false),
            (b"\x10", Some(&b"\x80\x00\x01\x80\x00"[..]), true),
            (b"\x10", Some(b"\x00\x00\x01\x80\x00"), false),
            (b"\x18", Some(b"\x80\x00\x01\x40\x00"), false),
            (b"\x18", Some(b"\xC0\x00\x01"), false),
            (b"\x18", Some(b"\xC0\x00"), true),
            (b"\x18", Some(b""), true),
        ] {
            assert_eq!(parsed(payload, dependency).keyframe, keyframe, "{payload:02x?} {dependency:02x?}");
        }
    }

    #[test]
    fn the_size_is_that_of_the_structures_greatest_layer() {
        for (layers, chains, sizes, size) in [
            (1, 0, &[(320, 180)][..], (320, 180)),
            (3, 1, &[(320, 180), (640, 360), (1280, 720)], (1280, 720)),
            (3, 9, &[(1280, 720), (640, 360), (320, 180)], (1280, 720)),
            (2, 2, &[], (0, 0)),
            (1, 1, &[(65536, 65536)], (0, 0)),
        ] {
            let frame = parsed(b"\x18", Some(&structure(7, layers, chains, sizes)));
            assert_eq!((frame.keyframe, frame.number), (true, Some(7)));
            assert_eq!((frame.width, frame.height), size, "{layers} {chains} {sizes:?}");
        }
    }

    /// Sequence headers written bit by bit: a bare one, and one with everything that may be in it.
    fn sequences() -> [Vec<u8>; 2] {
        let bare: &[(u32, u32)] = &[(0, 4), (0, 1), (0, 2), (0, 5), (0, 12), (5, 5)];
        let whole = [
            &[(0, 4), (0, 1), (1, 1), (1, 32), (30, 32), (1, 1), (1, 3), (2, 2), (1, 1), (9, 5), (1, 32), (3, 10)][..],
            &[(1, 1), (1, 5), (0x101, 12), (8, 5), (1, 1), (1, 1), (7, 10), (7, 10), (0, 1), (1, 1), (9, 4)],
            &[(0x103, 12), (7, 5), (0, 1), (0, 1)],
        ]
        .concat();
        [bare, &whole].map(|fields| {
            let size = [(9, 4), (8, 4), (639, 10), (359, 9), (0, 7)];
            let each = fields.iter().chain(&size);
            let bits: Vec<bool> =
                each.flat_map(|&(value, count)| (0..count).rev().map(move |bit| value >> bit & 1 == 1)).collect();
            let byte = |byte: &[bool]| byte.iter().enumerate().map(|(at, &bit)| u8::from(bit) << (7 - at)).sum();
            bits.chunks(8).map(byte).collect()
        })
    }

    #[test]
    fn without_a_descriptor_the_size_is_that_of_the_sequence_header() {
        for header in sequences() {
            let length = header.len() as u8 + 1;
            for payload in [
                [&[0x18, 0x08][..], &header].concat(),
                [&[0x28, length, 0x08][..], &header, b"\x30frame"].concat(),
                [&[0x08, 2, 0x12, 0, length, 0x08][..], &header, b"\x06\x30frame"].concat(),
                [&[0x08, length + 2, 0x0E, 0x08, length - 1][..], &header].concat(),
            ] {
                let frame = parsed(&payload, None);
                assert_eq!((frame.keyframe, frame.width, frame.height), (true, 640, 360), "{payload:02x?}");
                assert_eq!(parsed(&payload, Some(b"\x80\x00\x01")), Frame { number: Some(1), ..Frame::default() });
            }
        }
        assert_eq!(parsed(b"\x18\x30frame", None), Frame { keyframe: true, ..Frame::default() });
    }

    #[test]
    fn a_sequence_header_that_is_cut_or_corrupted_anywhere_is_read() {
        let mut draw = Draw::new(15);
        for header in sequences() {
            let whole = [&[0x28, header.len() as u8 + 1, 0x08][..], &header, b"\x30frame"].concat();
            for end in 0..2 + header.len() {
                assert_eq!(parsed(&whole[..end], None).width, 0, "{end}");
            }
            for _ in 0..20_000 {
                let mut twin = whole.clone();
                let at = draw.below(twin.len() as u64) as usize;
                twin[at] = draw.next() as u8;
                twin.truncate(draw.below(1 + whole.len() as u64) as usize);
                let _ = parsed(&twin, None);
            }
        }
    }

    #[test]
    fn one_that_is_cut_or_corrupted_anywhere_is_read() {
        let mut draw = Draw::new(14);
        let whole = structure(7, 3, 9, &[(320, 180), (640, 360), (1280, 720)]);
        for end in 0..whole.len() {
            let frame = parsed(b"\x18", Some(&whole[..end]));
            assert_eq!((frame.width, frame.height), (0, 0), "{end}");
        }
        for _ in 0..20_000 {
            let mut twin = whole.clone();
            let at = draw.below(twin.len() as u64) as usize;
            twin[at] = draw.next() as u8;
            twin.truncate(draw.below(1 + whole.len() as u64) as usize);
            let before = parsed(b"\x18", Some(&twin));
            renumber(&mut twin, 0x1234);
            let after = parsed(b"\x18", Some(&twin));
            assert_eq!(after, Frame { number: before.number.map(|_| 0x1234), ..before });
        }
    }
}
