//! RTP, RTCP and VP8 as bytes, written and read by the tests themselves; and a seeded generator.

/// A seeded generator (splitmix64).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub fn bytes(&mut self, most: u64) -> Vec<u8> {
        let length = self.below(most + 1);
        (0..length).map(|_| self.next() as u8).collect()
    }
}

/// Write one packet, extensions in the one-byte form where they fit.
#[allow(clippy::too_many_arguments)]
pub fn packet(
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    pt: u8,
    payload: &[u8],
    extensions: &[(u8, &[u8])],
    marker: bool,
    padding: u8,
) -> Vec<u8> {
    let mut data = vec![0x80, pt | u8::from(marker) << 7];
    data[0] |= u8::from(!extensions.is_empty()) << 4 | u8::from(padding > 0) << 5;
    data.extend(sequence.to_be_bytes());
    data.extend(timestamp.to_be_bytes());
    data.extend(ssrc.to_be_bytes());
    if !extensions.is_empty() {
        let mut block = vec![];
        let wide = extensions.iter().any(|(_, value)| value.len() > 16);
        for (id, value) in extensions {
            if wide {
                block.extend([*id, value.len() as u8]);
            } else {
                block.push(id << 4 | (value.len() - 1) as u8);
            }
            block.extend(*value);
        }
        block.resize(block.len().next_multiple_of(4), 0);
        data.extend(if wide { [0x10, 0x00] } else { [0xBE, 0xDE] });
        data.extend([0, (block.len() / 4) as u8]);
        data.extend(block);
    }
    data.extend(payload);
    if padding > 0 {
        data.resize(data.len() + usize::from(padding) - 1, 0);
        data.push(padding);
    }
    data
}

/// A packet as a receiver reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    pub pt: u8,
    pub marker: bool,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub extensions: Vec<(u8, Vec<u8>)>,
    pub payload: Vec<u8>,
}

pub fn read(data: &[u8]) -> Read {
    let header = super::rtp::parse(data).expect("what is sent can be read");
    Read {
        pt: header.payload_type,
        marker: header.marker,
        sequence: header.sequence,
        timestamp: header.timestamp,
        ssrc: header.ssrc,
        extensions: header.elements(data).map(|(id, place)| (id, place.of(data).to_vec())).collect(),
        payload: header.payload.of(data).to_vec(),
    }
}

/// A VP8 payload: descriptor (RFC 7741 §4.2), the first bytes of a frame, then `body`.
pub fn vp8(
    picture: Option<u16>,
    tl0: Option<u8>,
    keyframe: bool,
    size: (u16, u16),
    start: bool,
    body: &[u8],
    wide: bool,
) -> Vec<u8> {
    let flags = u8::from(picture.is_some()) << 7 | u8::from(tl0.is_some()) << 6 | u8::from(tl0.is_some()) << 5;
    let mut out = vec![u8::from(flags != 0) << 7 | u8::from(start) << 4];
    if flags != 0 {
        out.push(flags);
    }
    match picture {
        Some(picture) if wide => out.extend((0x8000 | picture & 0x7FFF).to_be_bytes()),
        Some(picture) => out.push((picture & 0x7F) as u8),
        None => {}
    }
    if let Some(tl0) = tl0 {
        out.extend([tl0, 0x20]);
    }
    if start && keyframe {
        out.extend(b"\x10\x00\x00\x9d\x01\x2a");
        out.extend(size.0.to_le_bytes());
        out.extend(size.1.to_le_bytes());
    } else if start {
        out.extend(b"\x31\x00\x00");
    }
    out.extend(body);
    out
}

/// An AV1 dependency descriptor with a structure of templates: one for each layer, each a target of its own, with
/// frames 1 and 16 behind it, and `chains` of them (AV1 RTP payload format, annex A.8).
pub fn structure(number: u16, layers: u32, chains: u32, sizes: &[(u32, u32)]) -> Vec<u8> {
    let mut bits = vec![];
    let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    put(0b11_000_000, 8);
    put(u32::from(number), 16);
    put(0b10_000, 5);
    put(0, 6);
    // More targets than layers: there are no more chains than targets.
    let targets = layers + 6;
    put(targets - 1, 5);
    for layer in 1..=layers {
        put(if layer < layers { 2 } else { 3 }, 2);
    }
    for _ in 0..layers * targets {
        put(2, 2);
    }
    for _ in 0..layers {
        for (value, count) in [(1, 1), (0, 4), (1, 1), (15, 4), (0, 1)] {
            put(value, count);
        }
    }
    // Numbers below a limit, of which the least take a bit less.
    let below = |value: u32, limit: u32| {
        let width = limit.ilog2() + 1;
        let short = (1 << width) - limit;
        if value < short { (value, width - 1) } else { (value + short, width) }
    };
    let (value, count) = below(chains, targets + 1);
    put(value, count);
    if chains > 0 {
        for target in 0..targets {
            let (value, count) = below(target % chains, chains);
            put(value, count);
        }
        for _ in 0..layers * chains {
            put(5, 4);
        }
    }
    put(u32::from(!sizes.is_empty()), 1);
    for &(width, height) in sizes {
        put(width - 1, 16);
        put(height - 1, 16);
    }
    bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, &bit)| u8::from(bit) << (7 - at)).sum()).collect()
}

/// An AV1 dependency descriptor as libwebrtc has it: one template for each spatial and temporal id, the first called
/// `first`, and one target for each, in the same order. Layers need those below them.
pub fn scalable(number: u16, spatial: u32, temporal: u32, first: u32) -> Vec<u8> {
    let mut bits = vec![];
    let mut put = |value: u32, count: u32| bits.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
    put(0b11, 2);
    put(first, 6);
    put(u32::from(number), 16);
    put(0b10_000, 5);
    put(first, 6);
    put(spatial * temporal - 1, 5);
    let all = || (0..spatial).flat_map(|s| (0..temporal).map(move |t| (s, t)));
    for (s, t) in all() {
        put(
            if t + 1 < temporal {
                1
            } else if s + 1 < spatial {
                2
            } else {
                3
            },
            2,
        );
    }
    for (s, t) in all() {
        for target in all() {
            let discardable = t > 0 && t + 1 == temporal;
            let there = s <= target.0 && t <= target.1;
            put(
                if !there {
                    0
                } else if s < target.0 {
                    3
                } else if discardable {
                    1
                } else {
                    2
                },
                2,
            );
        }
    }
    // No differences, no chains, no sizes.
    put(0, spatial * temporal);
    put(0, (spatial * temporal + 1).ilog2());
    put(0, 2);
    bits.chunks(8).map(|byte| byte.iter().enumerate().map(|(at, &bit)| u8::from(bit) << (7 - at)).sum()).collect()
}

/// A VP9 payload that has ids: spatial, temporal and whether one may switch up there (RFC 9628 §4.2).
pub fn vp9(picture: u16, tl0: u8, ids: (u8, u8, bool), inter: bool, first: bool, last: bool) -> Vec<u8> {
    let flags = 0xA0 | u8::from(inter) << 6 | u8::from(first) << 3 | u8::from(last) << 2;
    let [high, low] = (0x8000 | picture).to_be_bytes();
    let (spatial, temporal, switches) = ids;
    vec![flags, high, low, temporal << 5 | u8::from(switches) << 4 | spatial << 1, tl0, b'x', b'y', b'z']
}

/// One RTCP packet with a body.
pub fn rtcp(count: u8, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0x80 | count, kind];
    out.extend(((body.len() / 4) as u16).to_be_bytes());
    out.extend(body);
    out
}

pub fn words(list: &[u32]) -> Vec<u8> {
    list.iter().flat_map(|word| word.to_be_bytes()).collect()
}

pub fn pli(sender: u32, media: u32) -> Vec<u8> {
    rtcp(1, 206, &words(&[sender, media]))
}

pub fn fir(sender: u32, media: u32) -> Vec<u8> {
    rtcp(4, 206, &words(&[sender, 0, media, 0x0100_0000]))
}

pub fn nack(sender: u32, media: u32, sequences: &[u16]) -> Vec<u8> {
    let pairs = sequences.iter().map(|&s| u32::from(s) << 16);
    rtcp(1, 205, &words(&[sender, media].into_iter().chain(pairs).collect::<Vec<_>>()))
}

pub fn sender_report(ssrc: u32, ntp: f64, rtp: u32) -> Vec<u8> {
    let ntp = (ntp * 4_294_967_296.0) as u64;
    rtcp(0, 200, &words(&[ssrc, (ntp >> 32) as u32, ntp as u32, rtp, 0, 0]))
}

/// The packets of a compound: count, kind, body.
pub fn split(data: &[u8]) -> Vec<(u8, u8, Vec<u8>)> {
    let mut found = vec![];
    let mut rest = data;
    while rest.len() >= 4 {
        let length = 4 + 4 * usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        found.push((rest[0] & 31, rest[1], rest[4..length].to_vec()));
        rest = &rest[length..];
    }
    found
}

pub fn word(body: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(body[at..at + 4].try_into().unwrap())
}

/// Sequence numbers of a NACK's body.
pub fn nacked(body: &[u8]) -> Vec<u16> {
    let mut found = vec![];
    for pair in body[8..].chunks(4) {
        let (base, mask) = (u16::from_be_bytes([pair[0], pair[1]]), u16::from_be_bytes([pair[2], pair[3]]));
        found.push(base);
        found.extend((0..16).filter(|bit| mask >> bit & 1 == 1).map(|bit| base.wrapping_add(bit + 1)));
    }
    found
}
