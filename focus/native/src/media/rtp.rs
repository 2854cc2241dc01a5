//! RTP packets: what one says about itself (RFC 3550 §5.1, RFC 8285), parsed once at ingress.
//!
//! This file knows bytes. It does not know peers, layers or time. Nothing is copied: what was
//! found is told as places in the datagram, so that it can be kept beside the bytes.

/// Bytes. A datagram beyond the Ethernet MTU was never sent by a WebRTC sender.
pub const LONGEST: usize = 1500;
/// What UDP and IPv4 put around a packet.
pub const UDP: usize = 8 + 20;
/// And SRTP within them (a tag of GCM, RFC 7714): a path carries that too, and of a voice it is a third.
pub const AROUND: usize = UDP + 16;
/// RFC 8285 §4.2.
pub const ONE_BYTE: u16 = 0xBEDE;
/// RFC 8285 §4.3; the low four bits are the application's.
pub const TWO_BYTE: u16 = 0x1000;

/// A place in a datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub at: u16,
    /// Bytes.
    pub len: u16,
}

impl Span {
    fn new(at: usize, end: usize) -> Option<Self> {
        Some(Self { at: u16::try_from(at).ok()?, len: u16::try_from(end.checked_sub(at)?).ok()? })
    }

    /// Its bytes; empty where the datagram is another one.
    #[must_use]
    pub fn of(self, data: &[u8]) -> &[u8] {
        let at = usize::from(self.at);
        data.get(at..at + usize::from(self.len)).unwrap_or_default()
    }

    /// Without its first bytes; empty when there are fewer.
    #[must_use]
    pub fn after(self, bytes: u16) -> Self {
        let cut = bytes.min(self.len);
        Self { at: self.at.saturating_add(cut), len: self.len - cut }
    }
}

/// One RTP packet's fixed header, and where its parts are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Synchronisation source.
    pub ssrc: u32,
    /// Sequence number as received.
    pub sequence: u16,
    /// In units of the codec's clock.
    pub timestamp: u32,
    /// Seven bits.
    pub payload_type: u8,
    /// The marker bit.
    pub marker: bool,
    /// Without padding. Empty in a packet that is only padding.
    pub payload: Span,
    /// Bytes of the whole packet, for rates.
    pub size: u16,
    profile: u16,
    block: Span,
}

/// Tell RTCP from RTP on one port (RFC 5761 §4).
#[must_use]
pub fn is_rtcp(data: &[u8]) -> bool {
    matches!(data.get(1), Some(192..=223))
}

/// Parse one plain RTP packet. None when any length in it does not hold.
#[must_use]
pub fn parse(data: &[u8]) -> Option<Header> {
    if data.len() > LONGEST {
        return None;
    }
    let (&[first, second, s1, s2, t1, t2, t3, t4, c1, c2, c3, c4], _) = data.split_first_chunk::<12>()?;
    if first >> 6 != 2 {
        return None;
    }
    let mut at = 12 + 4 * usize::from(first & 0x0F);
    let (mut profile, mut block) = (0, Span::default());
    if first & 0x10 != 0 {
        let &[p1, p2, w1, w2] = data.get(at..)?.first_chunk::<4>()?;
        let end = at + 4 + 4 * usize::from(u16::from_be_bytes([w1, w2]));
        if end > data.len() {
            return None;
        }
        profile = u16::from_be_bytes([p1, p2]);
        block = Span::new(at + 4, end)?;
        at = end;
    }
    let mut end = data.len();
    if at > end {
        return None;
    }
    if first & 0x20 != 0 {
        let padding = if end > at { usize::from(*data.last()?) } else { 0 };
        if padding == 0 || at + padding > end {
            return None;
        }
        end -= padding;
    }
    Some(Header {
        ssrc: u32::from_be_bytes([c1, c2, c3, c4]),
        sequence: u16::from_be_bytes([s1, s2]),
        timestamp: u32::from_be_bytes([t1, t2, t3, t4]),
        payload_type: second & 0x7F,
        marker: second & 0x80 != 0,
        payload: Span::new(at, end)?,
        size: u16::try_from(data.len()).ok()?,
        profile,
        block,
    })
}

impl Header {
    /// Header extension elements in order (RFC 8285 §4.2, §4.3): id and place. What follows a broken one is left out.
    #[must_use]
    pub fn elements<'a>(&self, data: &'a [u8]) -> Elements<'a> {
        let wide = self.profile & 0xFFF0 == TWO_BYTE;
        let known = wide || self.profile == ONE_BYTE;
        let block = if known { self.block } else { Span::default() };
        let at = usize::from(block.at);
        Elements { data, wide, at, end: at + usize::from(block.len) }
    }
}

/// See [`Header::elements`].
#[derive(Debug)]
pub struct Elements<'a> {
    data: &'a [u8],
    wide: bool,
    at: usize,
    end: usize,
}

impl Iterator for Elements<'_> {
    type Item = (u8, Span);

    fn next(&mut self) -> Option<Self::Item> {
        while self.at < self.end {
            let head = *self.data.get(self.at)?;
            self.at += 1;
            if head == 0 {
                continue;
            }
            let (id, length) = if self.wide {
                let length = usize::from(*self.data.get(self.at).filter(|_| self.at < self.end)?);
                self.at += 1;
                (head, length)
            } else {
                (head >> 4, usize::from(head & 0x0F) + 1)
            };
            if (!self.wide && id == 15) || self.at + length > self.end {
                self.at = self.end;
                return None;
            }
            let place = Span::new(self.at, self.at + length)?;
            self.at += length;
            return Some((id, place));
        }
        None
    }
}

/// Extend a wrapping counter of `width` bits to the value nearest to `latest`; the value itself when there is none.
/// Never below zero.
#[must_use]
pub fn expand(value: i64, latest: Option<i64>, width: u32) -> i64 {
    let Some(latest) = latest else { return value };
    let span = 1_i64 << width;
    let candidate = (latest & !(span - 1)) | value;
    if candidate + span / 2 < latest {
        candidate + span
    } else if candidate > latest + span / 2 && candidate >= span {
        candidate - span
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{Draw, packet};

    fn elements(data: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let header = parse(data).unwrap();
        header.elements(data).map(|(id, place)| (id, place.of(data).to_vec())).collect()
    }

    fn whole() -> Vec<u8> {
        packet(0x1234, 65535, 0xFFFF_FFFF, 96, b"payload", &[(4, b"1"), (10, b"f")], true, 0)
    }

    #[test]
    fn a_packet_is_read_whole() {
        let data = whole();
        let header = parse(&data).unwrap();
        assert_eq!(
            (header.ssrc, header.sequence, header.timestamp, header.payload_type, header.marker),
            (0x1234, 65535, 0xFFFF_FFFF, 96, true)
        );
        assert_eq!((header.payload.of(&data), usize::from(header.size)), (&b"payload"[..], data.len()));
        assert_eq!(elements(&data), [(4, b"1".to_vec()), (10, b"f".to_vec())]);
    }

    #[test]
    fn padding_is_not_payload() {
        let padded = packet(0x1234, 7, 9, 111, b"payload", &[], false, 8);
        assert_eq!(parse(&padded).unwrap().payload.of(&padded), b"payload");
        let only = packet(1, 1, 1, 96, b"", &[], false, 255);
        assert_eq!(parse(&only).unwrap().payload.len, 0);
    }

    #[test]
    fn a_packet_whose_lengths_do_not_hold_is_none() {
        let good = whole();
        let padded = packet(0x1234, 7, 9, 111, b"payload", &[], false, 8);
        let with = |data: &[u8], at: usize, byte: u8| {
            let mut twin = data.to_vec();
            twin[at] = byte;
            twin
        };
        let huge = [&good[..12], b"\xbe\xde\xff\xff", &good[16..]].concat();
        let long = [&good[..], &[0; 1500]].concat();
        for data in [
            vec![],
            good[..11].to_vec(),
            with(&good, 0, 0x40),
            with(&good, 0, 0x9F),
            huge,
            good[..14].to_vec(),
            with(&padded, padded.len() - 1, 0),
            with(&padded, padded.len() - 1, 255),
            with(&packet(1, 1, 1, 96, b"", &[], false, 0), 0, 0xA0),
            long,
        ] {
            assert_eq!(parse(&data), None, "{data:02x?}");
        }
    }

    #[test]
    fn a_packet_cut_or_corrupted_anywhere_is_read_or_none() {
        let good = whole();
        for end in 0..good.len() {
            if let Some(header) = parse(&good[..end]) {
                assert!(b"payload".starts_with(header.payload.of(&good[..end])));
            }
        }
        let mut draw = Draw::new(1);
        for _ in 0..20_000 {
            let mut twin = good.clone();
            for _ in 0..=draw.below(4) {
                let at = draw.below(twin.len() as u64) as usize;
                twin[at] = draw.below(256) as u8;
            }
            if let Some(header) = parse(&twin) {
                let seen: usize = header.elements(&twin).map(|(_, place)| place.of(&twin).len()).sum();
                assert!(seen + header.payload.of(&twin).len() <= twin.len());
            }
        }
    }

    #[test]
    fn both_forms_of_extensions_are_read_up_to_what_is_broken() {
        let wide = |block: &[u8]| {
            let mut data = packet(1, 1, 1, 96, b"", &[], false, 0);
            data[0] |= 0x10;
            data.extend([0x10, 0x00, 0, (block.len() / 4) as u8]);
            data.extend(block);
            data
        };
        assert_eq!(elements(&wide(b"\x05\x00\x0f\x02ab\x00\x00")), [(5, vec![]), (15, b"ab".to_vec())]);
        assert_eq!(elements(&wide(b"\x05\xff\x00\x00")), []);
        assert_eq!(elements(&wide(b"\x00\x00\x00\x05")), []);
        let narrow = |block: &[u8]| {
            let mut data = wide(block);
            data[12..14].copy_from_slice(&[0xBE, 0xDE]);
            data
        };
        assert_eq!(elements(&narrow(b"\x10a\xf0b\x20c\x00\x00")), [(1, b"a".to_vec())]);
        assert_eq!(elements(&narrow(b"\x10a\x2f\x00")), [(1, b"a".to_vec())]);
    }

    #[test]
    fn a_wrapped_counter_is_expanded_to_the_nearest_value() {
        for (value, latest, expanded) in [
            (3, 0, 3),
            (1, 0xFFFF, 0x10001),
            (1, 0x3FFFF, 0x40001),
            (0xFFFF, 0x10001, 0xFFFF),
            (0xFFFF, 0x30001, 0x2FFFF),
        ] {
            assert_eq!(expand(value, Some(latest), 16), expanded);
        }
        assert_eq!(expand(0xFFFF, None, 16), 0xFFFF);
        let mut draw = Draw::new(2);
        for _ in 0..10_000 {
            let (latest, width) = (draw.below(1 << 40) as i64, 7 + draw.below(10) as u32);
            let half = (1_i64 << (width - 1)) - 1;
            let near = (latest + draw.below(2 * half as u64 + 1) as i64 - half).max(0);
            assert_eq!(expand(near & ((1 << width) - 1), Some(latest), width), near);
        }
    }
}
