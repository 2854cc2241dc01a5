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
    /// Receiver estimated maximum bit rate, in bits a second, and the streams that it is of: see [`words`].
    Remb(u64, &'a [u8]),
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
            let named = body.get(16..).unwrap_or_default();
            let named = named.get(..4 * (word >> 24) as usize).unwrap_or(named);
            Report::Remb(u64::try_from(bps).unwrap_or(u64::MAX), named)
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
#[path = "rtcp_tests.rs"]
mod tests;
