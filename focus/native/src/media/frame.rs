//! What a packet's payload says about its frame, for every format that the packet path understands.
//!
//! Only payload descriptors, unit headers and the bytes that end-to-end encryption leaves clear
//! are looked at. Parsers are total: for any input a value, or None where the descriptor is cut.

use super::dependency::Templates;
use super::{av1, h264, vp8, vp9};
use crate::command::Format;

/// The picture id and tl0 index of a VP8 or VP9 descriptor, and where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Picture id as sent, 7 or 15 bits wide, and its place in the payload.
    pub picture: Option<(u16, u8)>,
    /// The picture id has 15 bits.
    pub wide: bool,
    /// TL0PICIDX, and its place in the payload; always behind the picture id.
    pub tl0: Option<(u8, u8)>,
}

/// Where a frame stands among those of its stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Spatial id.
    pub spatial: u8,
    /// Temporal id.
    pub temporal: u8,
    /// It needs frames of lower temporal ids only.
    pub sync: bool,
    /// Who has it can decode what follows up to this temporal id.
    pub opens: u8,
    /// `opens` holds whatever spatial ids are carried, not only for those up to its own.
    pub top: bool,
    /// The last packet of its frame, where a picture has several.
    pub ends: bool,
}

/// What was understood of a payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// A stream can begin with this packet: the first of a keyframe.
    pub keyframe: bool,
    /// Pixels, from a keyframe's first packet where it says so, else 0.
    pub width: u16,
    /// See `width`.
    pub height: u16,
    /// Among those of its stream.
    pub part: Part,
    /// Of VP8 and VP9.
    pub numbering: Option<Numbering>,
    /// Of AV1: the frame number in its dependency descriptor.
    pub number: Option<u16>,
}

/// Look at a video payload, which is not empty, and at its dependency descriptor, with the templates that it rests on.
/// None when it is of no use.
#[must_use]
pub fn understand(format: Format, payload: &[u8], dependency: Option<&[u8]>, templates: &Templates) -> Option<Frame> {
    match format {
        Format::Vp8 => vp8::parse(payload),
        Format::Vp9 => vp9::parse(payload),
        Format::H264 => Some(h264::parse(payload)),
        Format::Av1 => Some(av1::parse(payload, dependency, templates)),
        // What is not understood cannot be gated.
        Format::Opus | Format::Other => Some(Frame { keyframe: true, ..Frame::default() }),
    }
}

impl Numbering {
    /// Bytes of a payload once it is renumbered: a picture id always has 15 bits, so that lengths are constant.
    #[must_use]
    pub fn length(&self, payload: &[u8]) -> usize {
        payload.len() + usize::from(self.picture.is_some() && !self.wide)
    }

    /// Write a payload with another picture id and tl0 index into `out`, which has [`Numbering::length`] bytes.
    /// Nothing is changed where the sender has no picture ids.
    pub fn write(&self, payload: &[u8], out: &mut [u8], picture: u16, tl0: u8) {
        let place = usize::from(self.picture.map_or(0, |picture| picture.1));
        let ids = if self.wide { 2 } else { 1 };
        let parts = self.picture.and_then(|_| {
            let (before, rest) = payload.split_at_checked(place)?;
            Some((before, rest.get(ids..)?))
        });
        let Some((before, after)) = parts else { return copy(payload, out) };
        let Some((head, rest)) = out.split_at_mut_checked(place) else { return };
        let Some((id, tail)) = rest.split_at_mut_checked(2) else { return };
        copy(before, head);
        id.copy_from_slice(&(0x8000 | picture).to_be_bytes());
        copy(after, tail);
        let level = self.tl0.and_then(|(_, at)| tail.get_mut(usize::from(at).checked_sub(place + ids)?));
        if let Some(level) = level {
            *level = tl0;
        }
    }
}

/// Copy as much as there is room for.
pub(super) fn copy(from: &[u8], to: &mut [u8]) {
    let length = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
    }
}

/// Bytes from the front, and how many were taken.
pub(super) struct Cursor<'a> {
    pub data: &'a [u8],
    pub at: usize,
}

impl Cursor<'_> {
    pub fn byte(&mut self) -> Option<u8> {
        let byte = *self.data.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    pub fn pair(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes([self.byte()?, self.byte()?]))
    }

    /// A picture id of 7 or 15 bits: its value, its place, and whether it has 15.
    pub fn picture(&mut self) -> Option<(u16, u8, bool)> {
        let place = u8::try_from(self.at).ok()?;
        let high = self.byte()?;
        let picture = u16::from(high & 0x7F);
        Some(if high & 0x80 != 0 {
            (picture << 8 | u16::from(self.byte()?), place, true)
        } else {
            (picture, place, false)
        })
    }
}

/// Bits from the front.
pub(super) struct Bits<'a> {
    pub data: &'a [u8],
    pub at: usize,
}

impl Bits<'_> {
    pub fn bits(&mut self, count: u32) -> Option<u32> {
        (0..count).try_fold(0, |value, _| {
            let byte = *self.data.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    pub fn skip(&mut self, count: u32) -> Option<()> {
        self.at += count as usize;
        (self.at <= 8 * self.data.len()).then_some(())
    }

    /// A number below a positive `limit`: the least of them take a bit less (annex A.8.1, `ns`).
    pub fn below(&mut self, limit: u32) -> Option<u32> {
        let width = limit.checked_ilog2()? + 1;
        let short = (1 << width) - limit;
        let value = self.bits(width - 1)?;
        Some(if value < short { value } else { (value << 1 | self.bits(1)?) - short })
    }
}
