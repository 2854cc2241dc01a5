//! AV1 payloads (AV1 RTP payload format 1.0): where a stream can begin.
//!
//! The dependency descriptor says it where one is sent, also of encrypted frames: only a keyframe
//! brings a new structure of templates. Else the aggregation header does.

use super::frame::Frame;

/// Bytes of a descriptor without optional parts (annex A.8.2).
const MANDATORY: usize = 3;
const START_OF_FRAME: u8 = 0x80;
const STRUCTURE_PRESENT: u8 = 0x80;
/// Of the aggregation header (§4.4): the first unit goes on from the packet before.
const CONTINUES: u8 = 0x80;
/// Of the aggregation header: the first packet of a coded video sequence.
const NEW_SEQUENCE: u8 = 0x08;

/// Look at a payload and its dependency descriptor.
#[must_use]
pub fn parse(payload: &[u8], dependency: Option<&[u8]>) -> Frame {
    let keyframe = match dependency.filter(|descriptor| descriptor.len() >= MANDATORY) {
        Some(descriptor) => {
            let present = descriptor.get(MANDATORY).is_some_and(|flags| flags & STRUCTURE_PRESENT != 0);
            present && descriptor.first().is_some_and(|first| first & START_OF_FRAME != 0)
        }
        None => payload.first().is_some_and(|head| head & (CONTINUES | NEW_SEQUENCE) == NEW_SEQUENCE),
    };
    Frame { keyframe, ..Frame::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(parse(payload, dependency).keyframe, keyframe, "{payload:02x?} {dependency:02x?}");
        }
    }
}
