//! H.264 payloads (RFC 6184 §5): where a stream can begin, and how large its pictures are.
//!
//! There are no ids to rewrite. A keyframe begins with its parameter sets or, where those went
//! ahead, with its first slice. The size is read from a sequence parameter set that is in the clear.

use super::frame::Frame;

const IDR: u8 = 5;
const SPS: u8 = 7;
const STAP_A: u8 = 24;
const FU_A: u8 = 28;

/// Look at a payload.
#[must_use]
pub fn parse(payload: &[u8]) -> Frame {
    let Some((&head, rest)) = payload.split_first() else { return Frame::default() };
    match head & 0x1F {
        IDR => Frame { keyframe: true, ..Frame::default() },
        SPS => sized(rest),
        STAP_A => aggregate(rest),
        FU_A => {
            let start = rest.first().is_some_and(|&unit| unit & 0x80 != 0 && matches!(unit & 0x1F, IDR | SPS));
            Frame { keyframe: start, ..Frame::default() }
        }
        _ => Frame::default(),
    }
}

/// The units of a STAP-A, each behind its length.
fn aggregate(mut rest: &[u8]) -> Frame {
    let mut found = Frame::default();
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let Some((unit, after)) = after.split_at_checked(usize::from(u16::from_be_bytes(*length))) else { break };
        match unit.split_first().map(|(head, body)| (head & 0x1F, body)) {
            Some((SPS, body)) => return sized(body),
            Some((IDR, _)) => found.keyframe = true,
            _ => {}
        }
        rest = after;
    }
    found
}

fn sized(sps: &[u8]) -> Frame {
    let (width, height) = size(sps).unwrap_or_default();
    Frame { keyframe: true, width, height, ..Frame::default() }
}

/// Bits of a raw byte sequence, emulation prevention taken out (H.264 §7.3.1).
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    zeros: usize,
    byte: u8,
    left: u8,
}

impl Bits<'_> {
    fn bit(&mut self) -> Option<u32> {
        if self.left == 0 {
            let mut byte = *self.data.get(self.at)?;
            self.at += 1;
            if self.zeros >= 2 && byte == 3 {
                self.zeros = 0;
                byte = *self.data.get(self.at)?;
                self.at += 1;
            }
            self.zeros = if byte == 0 { self.zeros + 1 } else { 0 };
            (self.byte, self.left) = (byte, 8);
        }
        self.left -= 1;
        Some(u32::from(self.byte >> self.left & 1))
    }

    fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value: u32, _| Some(value << 1 | self.bit()?))
    }

    /// An unsigned Exp-Golomb number (§9.1).
    fn number(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
            if zeros > 31 {
                return None;
            }
        }
        ((1_u32 << zeros) - 1).checked_add(self.bits(zeros)?)
    }

    /// A signed one.
    fn signed(&mut self) -> Option<i32> {
        let number = self.number()?;
        let half = i32::try_from(number.div_ceil(2)).ok()?;
        Some(if number % 2 == 1 { half } else { -half })
    }

    fn scaling_list(&mut self, size: u32) -> Option<()> {
        let (mut last, mut next) = (8_i32, 8_i32);
        for _ in 0..size {
            if next != 0 {
                next = (last.wrapping_add(self.signed()?)) & 0xFF;
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }
}

/// Picture size of a sequence parameter set, without its unit header (§7.3.2.1.1).
fn size(sps: &[u8]) -> Option<(u16, u16)> {
    let mut bits = Bits { data: sps, at: 0, zeros: 0, byte: 0, left: 0 };
    let profile = bits.bits(8)?;
    bits.bits(16)?;
    bits.number()?;
    let mut chroma = 1;
    let mut planes = false;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.number()?;
        if chroma == 3 {
            planes = bits.bit()? == 1;
        }
        bits.number()?;
        bits.number()?;
        bits.bit()?;
        if bits.bit()? == 1 {
            for list in 0..if chroma == 3 { 12 } else { 8 } {
                if bits.bit()? == 1 {
                    bits.scaling_list(if list < 6 { 16 } else { 64 })?;
                }
            }
        }
    }
    bits.number()?;
    match bits.number()? {
        0 => {
            bits.number()?;
        }
        1 => {
            bits.bit()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.number().filter(|&cycle| cycle < 256)? {
                bits.signed()?;
            }
        }
        _ => {}
    }
    bits.number()?;
    bits.bit()?;
    let width = bits.number()?.checked_add(1)?.checked_mul(16)?;
    let units = bits.number()?.checked_add(1)?;
    let fields = 2 - bits.bit()?;
    let height = units.checked_mul(16)?.checked_mul(fields)?;
    if fields == 2 {
        bits.bit()?;
    }
    bits.bit()?;
    let mut crop = [0; 4];
    if bits.bit()? == 1 {
        for side in &mut crop {
            *side = bits.number()?;
        }
    }
    let [left, right, top, bottom] = crop;
    let flat = if planes { 0 } else { chroma };
    let across = if matches!(flat, 1 | 2) { 2 } else { 1 };
    let down = if flat == 1 { 2 * fields } else { fields };
    let width = width.checked_sub(left.checked_add(right)?.checked_mul(across)?)?;
    let height = height.checked_sub(top.checked_add(bottom)?.checked_mul(down)?)?;
    Some((u16::try_from(width).ok()?, u16::try_from(height).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::Draw;

    /// Constrained baseline, 640 x 360, of 23 macroblocks' height with the last eight rows cropped.
    const SMALL: &[u8] = &[0x67, 0x42, 0xC0, 0x1E, 0xDA, 0x02, 0x80, 0xBF, 0xE5];

    /// Writes an SPS bit by bit.
    struct Writer(Vec<bool>);

    impl Writer {
        fn bits(&mut self, value: u32, count: u32) {
            self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        }

        fn number(&mut self, value: u32) {
            let length = 32 - (value + 1).leading_zeros();
            self.bits(0, length - 1);
            self.bits(value + 1, length);
        }

        fn bytes(mut self) -> Vec<u8> {
            self.bits(1, 1);
            let raw: Vec<u8> = self
                .0
                .chunks(8)
                .map(|byte| byte.iter().enumerate().map(|(at, &bit)| u8::from(bit) << (7 - at)).sum())
                .collect();
            let mut out: Vec<u8> = vec![0x67];
            for byte in raw {
                if out.ends_with(&[0, 0]) && byte <= 3 {
                    out.push(3);
                }
                out.push(byte);
            }
            out
        }
    }

    fn sps(profile: u32, width: u32, height: u32) -> Vec<u8> {
        let mut writer = Writer(vec![]);
        writer.bits(profile, 8);
        writer.bits(0, 16);
        writer.number(0);
        if profile == 100 {
            for value in [1, 0, 0] {
                writer.number(value);
            }
            writer.bits(0, 2);
        }
        for value in [0, 2, 1] {
            writer.number(value);
        }
        writer.bits(0, 1);
        writer.number(width.div_ceil(16) - 1);
        writer.number(height.div_ceil(16) - 1);
        writer.bits(0b111, 3);
        for crop in [0, (width.next_multiple_of(16) - width) / 2, 0, (height.next_multiple_of(16) - height) / 2] {
            writer.number(crop);
        }
        writer.bits(0, 1);
        writer.bytes()
    }

    #[test]
    fn the_size_is_that_of_the_parameter_set() {
        for (profile, width, height) in [(66, 640, 360), (66, 1280, 720), (100, 1920, 1080), (66, 322, 182)] {
            let frame = parse(&sps(profile, width, height));
            assert_eq!((frame.keyframe, u32::from(frame.width), u32::from(frame.height)), (true, width, height));
        }
    }

    #[test]
    fn a_stream_begins_at_parameter_sets_or_at_a_picture_of_its_own() {
        let stap = [&[0x78, 0, 2, 0x68, 0xCE, 0, SMALL.len() as u8], SMALL, &[0, 2, 0x65, 0x88]].concat();
        let slice = [0x78, 0, 2, 0x68, 0xCE, 0, 2, 0x65, 0x88];
        for (payload, keyframe) in [
            (SMALL, true),
            (&stap, true),
            (&slice, true),
            (&[0x65, 0x88], true),
            (&[0x7C, 0x85], true),
            (&[0x7C, 0x05], false),
            (&[0x7C, 0x81], false),
            (&[0x41, 0x9A], false),
            (&[0x68, 0xCE], false),
            (&[0x78, 0, 2, 0x41, 0x9A], false),
            (&[0x78, 0, 200, 0x65, 0x9A], false),
            (&[0x7C], false),
            (&[], false),
        ] {
            assert_eq!(parse(payload).keyframe, keyframe, "{payload:02x?}");
        }
    }

    #[test]
    fn one_that_is_cut_or_corrupted_anywhere_is_read() {
        let mut draw = Draw::new(10);
        for whole in [sps(66, 640, 360), sps(100, 1920, 1080), SMALL.to_vec()] {
            for end in 0..whole.len() {
                let _ = parse(&whole[..end]);
            }
            for _ in 0..10_000 {
                let mut twin = whole.clone();
                for _ in 0..=draw.below(4) {
                    let at = 1 + draw.below(twin.len() as u64 - 1) as usize;
                    twin[at] = draw.next() as u8;
                }
                assert!(parse(&twin).keyframe);
            }
        }
        for _ in 0..20_000 {
            let mut any = draw.bytes(60);
            if let Some(head) = any.first_mut().filter(|_| draw.below(2) == 0) {
                *head = [0x67, 0x78, 0x7C][draw.below(3) as usize];
            }
            let _ = parse(&any);
        }
    }
}
