//! RTCP: the packets that the engine reads and writes (RFC 3550 §6, 4585, 5104).
//!
//! This file knows bytes. Reading borrows from the compound packet; what is malformed ends it.
//! Writers append to a buffer that its owner uses again and again.

/// Packet types.
pub const SENDER_REPORT: u8 = 200;
/// See [`SENDER_REPORT`].
pub const RECEIVER_REPORT: u8 = 201;
/// See [`SENDER_REPORT`].
pub const SDES: u8 = 202;
/// See [`SENDER_REPORT`].
pub const BYE: u8 = 203;
/// Transport layer feedback (RFC 4585 §6.2).
pub const RTPFB: u8 = 205;
/// Payload-specific feedback (RFC 4585 §6.3).
pub const PSFB: u8 = 206;
/// Sequence numbers read from one NACK, and no more.
pub const MOST_NACKS: usize = 256;
/// Report blocks that one packet has room for: its count has five bits.
pub const MOST_BLOCKS: usize = 31;

/// One block of a sender or receiver report (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The stream that it is about.
    pub ssrc: u32,
    /// Loss since the last report, in 256ths.
    pub fraction: u8,
    /// Packets lost in all; below zero when duplicates came. 24 bits on the wire.
    pub lost: i64,
    /// Extended highest sequence number received.
    pub highest: u32,
    /// In units of the clock.
    pub jitter: u32,
    /// Middle of the NTP time of the last sender report.
    pub last_sr: u32,
    /// Since that report, in 65536ths of a second.
    pub delay: u32,
}

/// What a sender report says of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderReport {
    /// Who sends.
    pub ssrc: u32,
    /// 64-bit NTP timestamp.
    pub ntp: u64,
    /// The same moment on the stream's clock.
    pub rtp: u32,
}

/// One packet of a compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Report<'a> {
    /// RFC 3550 §6.4.1.
    Sender(SenderReport),
    /// RFC 3550 §6.4.2; its blocks, 24 bytes each.
    Receiver(&'a [u8]),
    /// The stream, and pairs of base and mask: see [`nacked`].
    Nack(u32, &'a [u8]),
    /// The stream whose picture is lost.
    PictureLoss(u32),
    /// FIR entries of 8 bytes: see [`first_words`]. It means the same as a PLI to a forwarder.
    FullIntra(&'a [u8]),
    /// Receiver estimated maximum bit rate, in bits a second.
    Remb(u64),
    /// SSRCs that leave: see [`words`].
    Bye(&'a [u8]),
    /// The stream that transport-wide feedback names, and what follows it: see `twcc`.
    Arrivals(u32, &'a [u8]),
    /// The rest of the compound packet cannot be read.
    Malformed,
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*data.get(at..)?.first_chunk()?))
}

/// The reports of a compound packet. Packets of kinds unknown here are skipped.
#[derive(Clone, Debug)]
pub struct Reports<'a> {
    rest: &'a [u8],
}

/// Read a compound packet.
#[must_use]
pub fn parse(data: &[u8]) -> Reports<'_> {
    Reports { rest: data }
}

impl<'a> Reports<'a> {
    /// The next packet, without what is not understood: `Some(None)`; None where lengths do not hold.
    fn step(&mut self) -> Option<Option<Report<'a>>> {
        let &[first, kind, w1, w2] = self.rest.first_chunk()?;
        let length = 4 + 4 * usize::from(u16::from_be_bytes([w1, w2]));
        if first >> 6 != 2 {
            return None;
        }
        let (packet, rest) = self.rest.split_at_checked(length)?;
        let mut body = packet.get(4..)?;
        if first & 0x20 != 0 {
            let padding = usize::from(*body.last()?);
            if padding == 0 {
                return None;
            }
            body = body.get(..body.len().checked_sub(padding)?)?;
        }
        let report = one(first & 0x1F, kind, body)?;
        self.rest = rest;
        Some(report)
    }
}

impl<'a> Iterator for Reports<'a> {
    type Item = Report<'a>;

    fn next(&mut self) -> Option<Report<'a>> {
        while !self.rest.is_empty() {
            match self.step() {
                Some(Some(report)) => return Some(report),
                Some(None) => {}
                None => {
                    self.rest = &[];
                    return Some(Report::Malformed);
                }
            }
        }
        None
    }
}

fn one(count: u8, kind: u8, body: &[u8]) -> Option<Option<Report<'_>>> {
    let blocks = usize::from(count) * 24;
    Some(Some(match (kind, count) {
        (SENDER_REPORT, _) => {
            body.get(24..24 + blocks)?;
            let ntp = u64::from(word(body, 4)?) << 32 | u64::from(word(body, 8)?);
            Report::Sender(SenderReport { ssrc: word(body, 0)?, ntp, rtp: word(body, 12)? })
        }
        (RECEIVER_REPORT, _) => Report::Receiver(body.get(4..4 + blocks)?),
        (BYE, _) => Report::Bye(body.get(..4 * usize::from(count))?),
        (RTPFB, 1) => Report::Nack(word(body, 4)?, body.get(8..)?),
        (RTPFB, 15) => Report::Arrivals(word(body, 4)?, body.get(8..)?),
        (PSFB, 1) => Report::PictureLoss(word(body, 4)?),
        // RFC 5104 §4.3.1.1: whole entries, and at least one.
        (PSFB, 4) if body.len() < 16 || !body.len().is_multiple_of(8) => return None,
        (PSFB, 4) => Report::FullIntra(body.get(8..)?),
        (PSFB, 15) if body.get(8..12) == Some(b"REMB") => {
            let word = word(body, 12)?;
            let bps = u128::from(word & 0x3FFFF) << (word >> 18 & 0x3F);
            Report::Remb(u64::try_from(bps).unwrap_or(u64::MAX))
        }
        _ => return Some(None),
    }))
}

/// Sequence numbers that the pairs of a NACK name (RFC 4585 §6.2.1), [`MOST_NACKS`] at most.
pub fn nacked(pairs: &[u8]) -> impl Iterator<Item = u16> {
    let bits = |pair: &[u8]| {
        let &[b1, b2, m1, m2] = pair.first_chunk()?;
        let (base, mask) = (u16::from_be_bytes([b1, b2]), u16::from_be_bytes([m1, m2]));
        let rest = (0..16_u16).filter(move |bit| mask >> bit & 1 == 1).map(move |bit| base.wrapping_add(bit + 1));
        Some(std::iter::once(base).chain(rest))
    };
    pairs.chunks_exact(4).filter_map(bits).flatten().take(MOST_NACKS)
}

/// The SSRCs of a BYE.
pub fn words(data: &[u8]) -> impl Iterator<Item = u32> {
    data.chunks_exact(4).filter_map(|chunk| word(chunk, 0))
}

/// The SSRCs of a FIR's entries.
pub fn first_words(entries: &[u8]) -> impl Iterator<Item = u32> {
    entries.chunks_exact(8).filter_map(|entry| word(entry, 0))
}

/// The report blocks of a sender or receiver report.
pub fn blocks(data: &[u8]) -> impl Iterator<Item = Block> {
    data.chunks_exact(24).filter_map(|chunk| {
        let loss = word(chunk, 4)?;
        let lost = i64::from(loss & 0xFF_FFFF);
        Some(Block {
            ssrc: word(chunk, 0)?,
            fraction: (loss >> 24) as u8,
            lost: if lost >> 23 == 1 { lost - (1 << 24) } else { lost },
            highest: word(chunk, 8)?,
            jitter: word(chunk, 12)?,
            last_sr: word(chunk, 16)?,
            delay: word(chunk, 20)?,
        })
    })
}

/// Begin a packet; [`end`] fills in its length.
pub(super) fn begin(out: &mut Vec<u8>, count: u8, kind: u8) -> usize {
    let at = out.len();
    out.extend([0x80 | count, kind, 0, 0]);
    at
}

/// End a packet that began at `at`.
pub(super) fn end(out: &mut [u8], at: usize) {
    let words = (out.len().saturating_sub(at) / 4).saturating_sub(1);
    if let Some(length) = out.get_mut(at + 2..at + 4) {
        length.copy_from_slice(&(words as u16).to_be_bytes());
    }
}

pub(super) fn put(out: &mut Vec<u8>, list: &[u32]) {
    for word in list {
        out.extend(word.to_be_bytes());
    }
}

/// Write a sender report without blocks. `packets` and `octets` wrap.
pub fn sender_report(out: &mut Vec<u8>, report: SenderReport, packets: u32, octets: u32) {
    let at = begin(out, 0, SENDER_REPORT);
    put(out, &[report.ssrc, (report.ntp >> 32) as u32, report.ntp as u32, report.rtp, packets, octets]);
    end(out, at);
}

/// Write a receiver report of at most [`MOST_BLOCKS`] blocks.
pub fn receiver_report(out: &mut Vec<u8>, ssrc: u32, blocks: &[Block]) {
    let blocks = blocks.get(..MOST_BLOCKS).unwrap_or(blocks);
    let at = begin(out, blocks.len() as u8, RECEIVER_REPORT);
    put(out, &[ssrc]);
    for block in blocks {
        let lost = block.lost.clamp(-(1 << 23), (1 << 23) - 1) as u32 & 0xFF_FFFF;
        let loss = u32::from(block.fraction) << 24 | lost;
        put(out, &[block.ssrc, loss, block.highest, block.jitter, block.last_sr, block.delay]);
    }
    end(out, at);
}

/// Write an SDES packet with a CNAME (RFC 3550 §6.5.1).
pub fn source_description(out: &mut Vec<u8>, ssrc: u32, cname: &str) {
    let text = cname.as_bytes();
    let text = text.get(..255).unwrap_or(text);
    let at = begin(out, 1, SDES);
    put(out, &[ssrc]);
    out.extend([1, text.len() as u8]);
    out.extend(text);
    out.push(0);
    out.resize(at + (out.len() - at).next_multiple_of(4), 0);
    end(out, at);
}

/// Write a PLI (RFC 4585 §6.3.1).
pub fn picture_loss(out: &mut Vec<u8>, sender: u32, media: u32) {
    let at = begin(out, 1, PSFB);
    put(out, &[sender, media]);
    end(out, at);
}

/// Write a generic NACK (RFC 4585 §6.2.1) for sequence numbers that ascend, by their low 16 bits.
pub fn nack(out: &mut Vec<u8>, sender: u32, media: u32, sequences: &[i64]) {
    let at = begin(out, 1, RTPFB);
    put(out, &[sender, media]);
    let mut pair: Option<(u16, u16)> = None;
    for &sequence in sequences {
        let sequence = sequence as u16;
        pair = match pair {
            Some((base, mask)) if (1..=16).contains(&sequence.wrapping_sub(base)) => {
                Some((base, mask | 1 << (sequence.wrapping_sub(base) - 1)))
            }
            before => {
                if let Some((base, mask)) = before {
                    put(out, &[u32::from(base) << 16 | u32::from(mask)]);
                }
                Some((sequence, 0))
            }
        };
    }
    if let Some((base, mask)) = pair {
        put(out, &[u32::from(base) << 16 | u32::from(mask)]);
    }
    end(out, at);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::bytes::{self, Draw};

    fn remb(bps: u64, exponent: u32) -> Vec<u8> {
        let head = [1, 0, u32::from_be_bytes(*b"REMB")];
        bytes::rtcp(
            15,
            206,
            &bytes::words(&[&head[..], &[1 << 24 | exponent << 18 | (bps >> exponent) as u32, 7]].concat()),
        )
    }

    fn compound() -> Vec<u8> {
        [
            bytes::sender_report(1, 1000.5, 77),
            bytes::rtcp(0, 201, &bytes::words(&[2])),
            bytes::pli(3, 4),
            bytes::fir(3, 5),
            bytes::nack(3, 6, &[10, 65535]),
            bytes::rtcp(0, 204, &bytes::words(&[9, 9])),
            remb(1_000_000, 2),
            bytes::rtcp(1, 203, &bytes::words(&[8])),
        ]
        .concat()
    }

    #[test]
    fn a_compound_packet_is_read_whole() {
        let data = compound();
        let found: Vec<_> = parse(&data).collect();
        let ntp = (1000.5 * 4_294_967_296.0) as u64;
        assert_eq!(found[0], Report::Sender(SenderReport { ssrc: 1, ntp, rtp: 77 }));
        assert_eq!(found[1..3], [Report::Receiver(&[]), Report::PictureLoss(4)]);
        let Report::FullIntra(entries) = found[3] else { panic!() };
        assert_eq!(first_words(entries).collect::<Vec<_>>(), [5]);
        let Report::Nack(6, pairs) = found[4] else { panic!() };
        assert_eq!(nacked(pairs).collect::<Vec<_>>(), [10, 65535]);
        assert_eq!(found[5], Report::Remb(1_000_000));
        let Report::Bye(leaving) = found[6] else { panic!() };
        assert_eq!((words(leaving).collect::<Vec<_>>(), found.len()), (vec![8], 7));
    }

    #[test]
    fn a_compound_packet_cut_anywhere_gives_what_came_before() {
        let data = compound();
        let whole: Vec<_> = parse(&data).collect();
        for cut in 0..data.len() {
            let mut found: Vec<_> = parse(&data[..cut]).collect();
            if found.last() == Some(&Report::Malformed) {
                found.pop();
            }
            assert_eq!(found[..], whole[..found.len()]);
        }
    }

    #[test]
    fn any_bytes_are_reports_and_what_is_malformed_ends_them() {
        let mut draw = Draw::new(3);
        for _ in 0..20_000 {
            let mut data = if draw.below(2) == 0 { compound() } else { draw.bytes(200) };
            for _ in 0..draw.below(4) {
                let at = draw.below(data.len() as u64) as usize;
                if let Some(byte) = data.get_mut(at) {
                    *byte = draw.next() as u8;
                }
            }
            let found: Vec<_> = parse(&data).collect();
            let bad = found.iter().position(|report| *report == Report::Malformed);
            assert!(bad.is_none_or(|at| at + 1 == found.len()));
        }
    }

    #[test]
    fn malformed_reports_are_told() {
        let with = |mut data: Vec<u8>, first: u8, last: Option<u8>| {
            data[0] = first;
            if let Some(last) = last {
                *data.last_mut().unwrap() = last;
            }
            data
        };
        for data in [
            vec![0x80],
            vec![0x80, 0xC8, 0, 6],
            with(bytes::pli(1, 2), 0x40, None),
            with(bytes::pli(1, 2), 0xA1, Some(0)),
            with(bytes::pli(1, 2), 0xA1, Some(255)),
            with(bytes::sender_report(1, 0.0, 0), 0x9F, None),
            with(bytes::rtcp(1, 203, &[0; 4]), 0x9F, None),
            bytes::rtcp(15, 206, &[&[0; 8][..], b"REMB"].concat()),
            bytes::rtcp(1, 205, &[]),
            bytes::rtcp(4, 206, &[0; 8]),
            bytes::rtcp(4, 206, &[0; 20]),
        ] {
            assert_eq!(parse(&data).last(), Some(Report::Malformed), "{data:02x?}");
        }
    }

    #[test]
    fn an_estimate_beyond_all_bounds_is_the_greatest() {
        assert_eq!(parse(&remb(u64::from(u32::MAX), 63)).next(), Some(Report::Remb(0)));
        let mut data = remb(0, 0);
        data[17..20].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
        assert_eq!(parse(&data).next(), Some(Report::Remb(u64::MAX)));
    }

    #[test]
    fn a_nack_asks_for_a_bounded_number() {
        let pairs = [0, 0, 255, 255].repeat(300);
        assert_eq!(nacked(&pairs).count(), MOST_NACKS);
        assert_eq!(nacked(&pairs[..3]).count(), 0);
    }

    #[test]
    fn a_nack_says_exactly_what_is_missing() {
        let mut draw = Draw::new(4);
        for _ in 0..500 {
            let mut at = draw.below(1 << 20) as i64;
            let missing: Vec<i64> = (0..1 + draw.below(200))
                .map(|_| {
                    at += 1 + draw.below(20) as i64;
                    at
                })
                .collect();
            let mut out = vec![];
            nack(&mut out, 1, 2, &missing);
            let (count, kind, body) = bytes::split(&out).remove(0);
            assert_eq!((count, kind, bytes::word(&body, 4)), (1, 205, 2));
            assert_eq!(bytes::nacked(&body), missing.iter().map(|&s| s as u16).collect::<Vec<_>>());
        }
    }

    #[test]
    fn reports_are_written_as_they_are_read() {
        let block =
            Block { ssrc: 7, fraction: 128, lost: -5, highest: 0x1FFFF, jitter: 90, last_sr: 0xABCD, delay: 65536 };
        let mut out = vec![];
        receiver_report(&mut out, 1, &[block; 40]);
        let Some(Report::Receiver(data)) = parse(&out).next() else { panic!() };
        assert_eq!(blocks(data).collect::<Vec<_>>(), [block; MOST_BLOCKS]);
        out.clear();
        source_description(&mut out, 9, "name");
        let (count, kind, body) = bytes::split(&out).remove(0);
        assert_eq!((count, kind, &body[..], out.len()), (1, 202, &b"\0\0\0\x09\x01\x04name\0\0"[..], 16));
        out.clear();
        let report = SenderReport { ssrc: 5, ntp: 0x1122_3344_5566_7788, rtp: 99 };
        sender_report(&mut out, report, 1, 2);
        assert_eq!(parse(&out).collect::<Vec<_>>(), [Report::Sender(report)]);
    }
}
