//! The VP9 payload descriptor (RFC 9628 §4.2).
//!
//! A keyframe's start is the beginning of a frame of the lowest spatial layer that refers to no
//! other picture.

use super::frame::{Cursor, Frame, Numbering, Part};

/// Read a descriptor; None when it is cut short.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Frame> {
    let mut cursor = Cursor { data: payload, at: 0 };
    let first = cursor.byte()?;
    let [has_picture, inter, layered, flexible, begins, ends, structured] =
        [7, 6, 5, 4, 3, 2, 1].map(|bit| first >> bit & 1 == 1);
    let mut numbering = Numbering::default();
    if has_picture {
        let (picture, place, wide) = cursor.picture()?;
        numbering.picture = Some((picture, place));
        numbering.wide = wide;
    }
    let mut part = Part { ends, top: true, ..Part::default() };
    if layered {
        let ids = cursor.byte()?;
        (part.temporal, part.spatial) = (ids >> 5, ids >> 1 & 7);
        // By the letter, what follows needs nothing higher from before; as libwebrtc sends it, the frame needs lower
        // ids only. Of the lowest both say that all can follow.
        let switches = ids & 0x10 != 0;
        part.sync = switches && part.temporal > 0;
        part.opens = if switches && part.temporal == 0 { u8::MAX } else { 0 };
        if !flexible {
            let place = cursor.at as u8;
            numbering.tl0 = Some((cursor.byte()?, place));
        }
    }
    if flexible && inter {
        // Up to three references, each saying whether another follows.
        for _ in 0..3 {
            if cursor.byte()? & 1 == 0 {
                break;
            }
        }
    }
    let (width, height) = if structured { structure(&mut cursor)? } else { (0, 0) };
    let keyframe = !inter && begins && part.spatial == 0;
    Some(Frame {
        keyframe,
        width: if keyframe { width } else { 0 },
        height: if keyframe { height } else { 0 },
        part,
        numbering: Some(numbering),
        number: None,
    })
}

/// Read the scalability structure (§4.2.1): the size of its greatest layer, 0 where it names none.
fn structure(cursor: &mut Cursor<'_>) -> Option<(u16, u16)> {
    let head = cursor.byte()?;
    let (mut width, mut height) = (0, 0);
    if head & 0x10 != 0 {
        for _ in 0..=head >> 5 {
            width = cursor.pair()?.max(width);
            height = cursor.pair()?.max(height);
        }
    }
    if head & 0x08 != 0 {
        for _ in 0..cursor.byte()? {
            for _ in 0..cursor.byte()? >> 2 & 3 {
                cursor.byte()?;
            }
        }
    }
    Some((width, height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::Draw;

    /// A keyframe's first packet as Chromium sends it for L3T3_KEY: picture 300, three sizes, a group of one.
    const KEY: &[u8] =
        b"\xAA\x81\x2C\x00\x07\x58\x01\x40\x00\xB4\x02\x80\x01\x68\x05\x00\x02\xD0\x01\x04\x05\x83\x49\x83\x42";

    #[test]
    fn a_keyframe_of_three_layers_is_read() {
        let frame = parse(KEY).unwrap();
        assert_eq!((frame.keyframe, frame.width, frame.height), (true, 1280, 720));
        let numbering = frame.numbering.unwrap();
        assert_eq!((numbering.picture, numbering.tl0, numbering.wide), (Some((300, 1)), Some((7, 4)), true));
    }

    #[test]
    fn only_the_lowest_layers_beginning_without_reference_is_a_keyframe() {
        for (payload, keyframe) in [
            (&b"\x88\x05\x00"[..], true),
            (b"\xC8\x05\x00", false),
            (b"\x80\x05\x00", false),
            (b"\xA8\x05\x02\x07", false),
            (b"\xB8\x05\x00\x00", true),
            (b"\x08\x00", true),
        ] {
            assert_eq!(parse(payload).unwrap().keyframe, keyframe, "{payload:02x?}");
        }
    }

    #[test]
    fn it_is_renumbered_with_fifteen_bits_wherever_the_numbers_are() {
        for (payload, expected) in [
            (&b"\xA8\x05\x02\x07frame"[..], &b"\xA8\x81\x2D\x02\x63frame"[..]),
            (b"\xA8\x85\x00\x02\x07frame", b"\xA8\x81\x2D\x02\x63frame"),
            (b"\xB8\x05\x02frame", b"\xB8\x81\x2D\x02frame"),
            (b"\x08frame", b"\x08frame"),
        ] {
            let numbering = parse(payload).unwrap().numbering.unwrap();
            let mut out = vec![0; numbering.length(payload)];
            numbering.write(payload, &mut out, 301, 99);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn one_that_is_cut_or_corrupted_anywhere_is_read_or_none() {
        for end in 0..21 {
            // The descriptor ends with its group of one picture, and that one's only reference.
            assert_eq!(parse(&KEY[..end]), None, "{end}");
        }
        let mut draw = Draw::new(9);
        for _ in 0..20_000 {
            let mut twin = KEY.to_vec();
            let at = draw.below(twin.len() as u64) as usize;
            twin[at] = draw.next() as u8;
            twin.truncate(draw.below(30) as usize);
            if let Some(numbering) = parse(&twin).and_then(|frame| frame.numbering) {
                let mut out = vec![0; numbering.length(&twin)];
                numbering.write(&twin, &mut out, 1, 1);
            }
        }
    }
}
