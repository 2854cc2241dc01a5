//! The VP8 payload descriptor (RFC 7741 §4.2).
//!
//! Only the descriptor and the first ten bytes of a frame are looked at: end-to-end encrypted
//! frames leave those clear.

use super::frame::{Cursor, Frame, Numbering, Part};

/// Read a descriptor; None when it is cut short.
#[must_use]
pub fn parse(payload: &[u8]) -> Option<Frame> {
    let mut cursor = Cursor { data: payload, at: 0 };
    let first = cursor.byte()?;
    let start = first & 0x10 != 0 && first & 0x07 == 0;
    let mut numbering = Numbering::default();
    let mut part = Part { top: true, ..Part::default() };
    if first & 0x80 != 0 {
        let flags = cursor.byte()?;
        if flags & 0x80 != 0 {
            let (picture, place, wide) = cursor.picture()?;
            numbering.picture = Some((picture, place));
            numbering.wide = wide;
        }
        if flags & 0x40 != 0 {
            let place = cursor.at as u8;
            numbering.tl0 = Some((cursor.byte()?, place));
        }
        if flags & 0x30 != 0 {
            let ids = cursor.byte()?;
            if flags & 0x20 != 0 {
                part.temporal = ids >> 6;
                part.sync = ids & 0x20 != 0;
            }
        }
    }
    let frame = payload.get(cursor.at..).unwrap_or_default();
    let keyframe = start && frame.first().is_some_and(|byte| byte & 0x01 == 0);
    let (mut width, mut height) = (0, 0);
    if let (true, Some(&[_, _, _, 0x9D, 0x01, 0x2A, w1, w2, h1, h2])) = (keyframe, frame.first_chunk()) {
        // The upper two bits are scaling.
        width = u16::from_le_bytes([w1, w2]) & 0x3FFF;
        height = u16::from_le_bytes([h1, h2]) & 0x3FFF;
    }
    Some(Frame { keyframe, width, height, part, numbering: Some(numbering), number: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{Draw, vp8};

    fn written(payload: &[u8], picture: u16, tl0: u8) -> Vec<u8> {
        let numbering = parse(payload).unwrap().numbering.unwrap();
        let mut out = vec![0; numbering.length(payload)];
        numbering.write(payload, &mut out, picture, tl0);
        out
    }

    #[test]
    fn a_descriptor_is_read() {
        for (picture, tl0, keyframe, wide, size) in [
            (None, None, true, true, (320, 180)),
            (Some(5), None, true, false, (320, 180)),
            (Some(300), Some(7), false, true, (0, 0)),
            (Some(300), Some(7), true, true, (1280, 720)),
            (Some(1), Some(7), true, false, (640 | 0x4000, 360 | 0x8000)),
        ] {
            let payload = vp8(picture, tl0, keyframe, size, true, b"", wide);
            let frame = parse(&payload).unwrap();
            let numbering = frame.numbering.unwrap();
            assert_eq!((numbering.picture.map(|p| p.0), numbering.tl0.map(|t| t.0)), (picture, tl0));
            assert_eq!(
                (frame.keyframe, frame.width, frame.height),
                (keyframe, size.0 & 0x3FFF, size.1 & 0x3FFF),
                "{payload:02x?}"
            );
            for end in 0..payload.len() {
                let _ = parse(&payload[..end]);
            }
        }
        for cut in [&b""[..], b"\x90", b"\x90\xf0\x80", b"\x90\x80", b"\x90\x20", b"\x90\x40"] {
            assert_eq!(parse(cut), None);
        }
    }

    #[test]
    fn a_rewritten_descriptor_says_the_new_numbers_and_the_frame_is_untouched() {
        let mut draw = Draw::new(8);
        for _ in 0..20_000 {
            let payload = draw.bytes(40);
            let Some(before) = parse(&payload).and_then(|frame| frame.numbering) else { continue };
            let (picture, tl0) = (draw.below(1 << 15) as u16, draw.next() as u8);
            let out = written(&payload, picture, tl0);
            let after = parse(&out).unwrap().numbering.unwrap();
            if before.picture.is_none() {
                assert_eq!(out, payload);
                continue;
            }
            assert_eq!((after.picture.map(|p| p.0), after.wide), (Some(picture), true));
            assert_eq!(after.tl0.map(|t| t.0), before.tl0.map(|_| tl0));
            let (end_before, end_after) = (if before.wide { 4 } else { 3 }, 4);
            let behind = usize::from(before.tl0.is_some());
            assert_eq!(out[end_after + behind..], payload[end_before + behind..]);
        }
    }
}
