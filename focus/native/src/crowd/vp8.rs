//! VP8 in RTP (RFC 7741), as much as a synthetic client needs: describe what it sends, read what arrives.
//!
//! Written apart from the engine's on purpose: it judges the engine's mapping of picture ids, so it must not share its code.

/// Bytes of a descriptor that we write.
pub const DESCRIPTOR: usize = 6;

/// The payload descriptor of one packet: X, S, 15-bit I, L and T (layer 0 of one).
#[must_use]
pub fn describe(first: bool, picture: u16, tl0: u8) -> [u8; DESCRIPTOR] {
    let [high, low] = picture.to_be_bytes();
    [if first { 0x90 } else { 0x80 }, 0xE0, 0x80 | high & 0x7F, low, tl0, 0x20]
}

/// One received payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// It begins a frame (S bit on partition 0).
    pub first: bool,
    /// Picture id.
    pub picture: Option<u16>,
    /// TL0PICIDX.
    pub tl0: Option<u8>,
    /// Temporal layer, 0 where none is told.
    pub tid: u8,
    /// Width and height, on the first packet of a keyframe only.
    pub size: Option<(u16, u16)>,
    /// The codec's bytes.
    pub body: &'a [u8],
}

/// Read one payload; None when it is shorter than its descriptor says, or has nothing behind it.
#[must_use]
pub fn read(payload: &[u8]) -> Option<Part<'_>> {
    let (&head, mut rest) = payload.split_first()?;
    let (mut picture, mut tl0, mut tid) = (None, None, 0);
    let take = |rest: &mut &[u8]| -> Option<u8> {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        Some(byte)
    };
    if head & 0x80 != 0 {
        let flags = take(&mut rest)?;
        if flags & 0x80 != 0 {
            let high = take(&mut rest)?;
            let wide = high & 0x80 != 0;
            picture = Some(if wide { u16::from(high & 0x7F) << 8 | u16::from(take(&mut rest)?) } else { high.into() });
        }
        if flags & 0x40 != 0 {
            tl0 = Some(take(&mut rest)?);
        }
        if flags & 0x30 != 0 {
            let byte = take(&mut rest)?;
            tid = if flags & 0x20 != 0 { byte >> 6 } else { 0 };
        }
    }
    if rest.is_empty() {
        return None;
    }
    let first = head & 0x1F == 0x10;
    Some(Part { first, picture, tl0, tid, size: size(rest).filter(|_| first), body: rest })
}

/// Width and height of a keyframe that begins so (RFC 6386 §9.1).
fn size(frame: &[u8]) -> Option<(u16, u16)> {
    let &[tag, _, _, 0x9D, 0x01, 0x2A, w1, w2, h1, h2] = frame.first_chunk::<10>()? else { return None };
    (tag & 1 == 0).then(|| (u16::from_le_bytes([w1, w2]) & 0x3FFF, u16::from_le_bytes([h1, h2]) & 0x3FFF))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_described_is_read_and_every_prefix_is_refused() {
        let key = [0x10, 0, 0, 0x9D, 0x01, 0x2A, 0x00, 0x05, 0xD0, 0x02];
        let payload = [describe(true, 300, 7).as_slice(), &key].concat();
        let size = Some((1280, 720));
        let whole = Part { first: true, picture: Some(300), tl0: Some(7), tid: 0, size, body: &key };
        assert_eq!(read(&payload), Some(whole));
        for end in 0..=DESCRIPTOR {
            assert_eq!(read(&payload[..end]), None);
        }
        assert_eq!(read(&payload[..15]).unwrap().size, None);
        assert_eq!(read(&[describe(false, 300, 7).as_slice(), &key].concat()).unwrap().size, None);
    }
}
