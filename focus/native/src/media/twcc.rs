//! Transport-wide arrivals (draft-holmer-rmcat-transport-wide-cc-extensions-01): told to who sends to us, and read
//! from who receives from us.
//!
//! Pure bookkeeping: time is an argument, nothing is sent from here. What is read is kept for the estimator.

use super::missing::MOST_MISSING;
use super::rtcp::{RTPFB, begin, end, put};
use super::rtp::{AROUND, expand};
use super::{Seconds, micros};
use crate::pump::ahead::fetch;

/// Arrivals kept until they are told: more than come in a period of feedback, from anyone.
const MOST_ARRIVALS: usize = 2000;
/// Statuses written into one packet of feedback, and one more.
const MOST_WRITTEN: usize = 1000;
/// Statuses read from one packet of feedback, and no more.
pub const MOST_STATUSES: usize = 1024;
/// Bytes of one packet of feedback. Differs from the reference engine, whose packets with many wide deltas may
/// outgrow a datagram.
const LONGEST_FEEDBACK: usize = 1380;
/// Departures that are fetched before they are told of.
const MOST_AHEAD: i64 = 64;
/// Packets whose departure is remembered: seconds of what one subscriber gets, 16 kB; a power of two.
const DEPARTURES: usize = 2048;

/// Arrival times by transport-wide sequence number, until they are told.
#[derive(Debug, Default)]
pub struct Arrivals {
    /// Extended sequence number and microseconds, ascending, no two alike.
    times: Vec<(i64, i64)>,
    highest: Option<i64>,
    told: Option<i64>,
    count: u8,
    /// One of the sender's own SSRCs: Chromium ignores feedback that names any other.
    media_ssrc: u32,
}

impl Arrivals {
    /// A packet with this transport-wide number arrived.
    pub fn note(&mut self, sequence: u16, ssrc: u32, now: Seconds) {
        let index = expand(i64::from(sequence), self.highest, 16);
        if self.highest.is_none_or(|highest| index > highest) {
            self.highest = Some(index);
        }
        if self.told.is_some_and(|told| index <= told) || self.times.len() >= MOST_ARRIVALS {
            return;
        }
        self.media_ssrc = ssrc;
        if self.times.last().is_none_or(|last| last.0 < index) {
            self.times.push((index, micros(now)));
        } else if let Err(place) = self.times.binary_search_by_key(&index, |time| time.0) {
            self.times.insert(place, (index, micros(now)));
        }
    }

    /// Write what has not been told yet, a packet at a time, each handed to `each`. Gaps between told packets are
    /// told as lost. `out` is room for one packet.
    pub fn feedback(&mut self, sender: u32, out: &mut Vec<u8>, mut each: impl FnMut(&[u8])) {
        let mut arrivals = self.times.as_slice();
        while let Some(&(first, _)) = arrivals.first() {
            // What got lost between two packets of feedback must be told too: begin after the last one told.
            let after = self.told.map_or(first, |told| told + 1);
            let base = if first - after <= MOST_MISSING { after } else { first };
            out.clear();
            let told = write(out, sender, self.media_ssrc, self.count, arrivals, base);
            let Some(&(last, _)) = told.checked_sub(1).and_then(|at| arrivals.get(at)) else { break };
            each(out);
            self.count = self.count.wrapping_add(1);
            self.told = Some(last);
            arrivals = arrivals.get(told..).unwrap_or_default();
        }
        self.times.clear();
    }
}

/// Write one packet of feedback for arrivals that begin at or after `base`, from which on numbers are told. Returns
/// how many arrivals it tells. A delta that does not fit ends it.
fn write(out: &mut Vec<u8>, sender: u32, media: u32, count: u8, arrivals: &[(i64, i64)], base: i64) -> usize {
    let Some(&(_, first)) = arrivals.first() else { return 0 };
    let reference = first.div_euclid(64_000);
    // First pass: how many fit.
    let (mut told, mut symbols, mut deltas, mut last) = (0, 0_usize, 0, reference * 256);
    for &(sequence, micros) in arrivals {
        let next = usize::try_from(sequence - base).unwrap_or(usize::MAX);
        let delta = micros.div_euclid(250) - last;
        let size = if (0..=255).contains(&delta) { 1 } else { 2 };
        if next > MOST_WRITTEN || !(-32768..=32767).contains(&delta) {
            break;
        }
        if 20 + (next + 1).div_ceil(7) * 2 + deltas + size > LONGEST_FEEDBACK {
            break;
        }
        (told, symbols, deltas, last) = (told + 1, next + 1, deltas + size, last + delta);
    }
    let at = begin(out, 15, RTPFB);
    let head = (base as u32 & 0xFFFF) << 16 | symbols as u32 & 0xFFFF;
    put(out, &[sender, media, head, (reference as u32 & 0xFF_FFFF) << 8 | u32::from(count)]);
    let told_now = || arrivals.iter().take(told);
    // Second: statuses, seven to a chunk of two-bit symbols; then deltas.
    let (mut word, mut filled, mut next, mut last) = (0_u16, 0, base, reference * 256);
    let mut symbol = |out: &mut Vec<u8>, symbol: u16| {
        word = word << 2 | symbol;
        filled += 1;
        if filled == 7 {
            out.extend((0xC000 | word).to_be_bytes());
            (word, filled) = (0, 0);
        }
    };
    for &(sequence, micros) in told_now() {
        for _ in next..sequence {
            symbol(out, 0);
        }
        let quarter = micros.div_euclid(250);
        symbol(out, if (0..=255).contains(&(quarter - last)) { 1 } else { 2 });
        (next, last) = (sequence + 1, quarter);
    }
    if filled != 0 {
        out.extend((0xC000 | word << (2 * (7 - filled))).to_be_bytes());
    }
    let mut last = reference * 256;
    for &(_, micros) in told_now() {
        let quarter = micros.div_euclid(250);
        match u8::try_from(quarter - last) {
            Ok(delta) => out.push(delta),
            Err(_) => out.extend(((quarter - last) as i16).to_be_bytes()),
        }
        last = quarter;
    }
    let padding = (out.len() - at).next_multiple_of(4) - (out.len() - at);
    if padding > 0 {
        out.resize(out.len() + padding - 1, 0);
        out.push(padding as u8);
        if let Some(first) = out.get_mut(at) {
            *first |= 0x20;
        }
    }
    end(out, at);
    told
}

/// Read feedback (its body after the two SSRCs): `each` gets transport-wide sequence numbers in order, and when the
/// packet arrived, in quarters of a millisecond on the receiver's clock, None for what did not. False when malformed:
/// then nothing was told.
pub fn read(body: &[u8], mut each: impl FnMut(u16, Option<i64>)) -> bool {
    let Some(&[b1, b2, s1, s2, r1, r2, r3, _]) = body.first_chunk::<8>() else { return false };
    let (base, count) = (u16::from_be_bytes([b1, b2]), usize::from(u16::from_be_bytes([s1, s2])));
    let Some(rest) = body.get(8..).filter(|_| count <= MOST_STATUSES) else { return false };
    // Chunks say which of the deltas behind them there are, so their end and the deltas' sizes are found first.
    let (mut seen, mut chunks, mut deltas) = (0, 0, 0);
    while seen < count {
        let Some(chunk) = chunk_at(rest, chunks).filter(|chunk| chunk.length() > 0) else { return false };
        for place in 0..chunk.length().min(count - seen) {
            deltas += chunk.symbol(place).size();
        }
        (seen, chunks) = (seen + chunk.length(), chunks + 1);
    }
    let Some(mut told) = rest.get(2 * chunks..).filter(|told| told.len() >= deltas) else { return false };
    let mut clock = i64::from(u32::from_be_bytes([0, r1, r2, r3])) * 256;
    let mut sequence = base;
    let mut left = count;
    for at in 0..chunks {
        let Some(chunk) = chunk_at(rest, at) else { return false };
        for place in 0..chunk.length().min(left) {
            let size = chunk.symbol(place).size();
            let (delta, after) = told.split_at_checked(size).unwrap_or_default();
            told = after;
            let step = match *delta {
                [near] => Some(i64::from(near)),
                [high, low] => Some(i64::from(i16::from_be_bytes([high, low]))),
                _ => None,
            };
            clock += step.unwrap_or(0);
            each(sequence, step.map(|_| clock));
            sequence = sequence.wrapping_add(1);
        }
        left = left.saturating_sub(chunk.length());
    }
    true
}

/// A packet status chunk (§3.1.3, §3.1.4).
#[derive(Clone, Copy)]
struct Chunk(u16);

/// A packet status symbol (§3.1.1): 0 not received, 1 and 2 a delta of so many bytes.
#[derive(Clone, Copy)]
struct Symbol(u16);

fn chunk_at(chunks: &[u8], at: usize) -> Option<Chunk> {
    Some(Chunk(u16::from_be_bytes(*chunks.get(2 * at..)?.first_chunk()?)))
}

impl Chunk {
    fn length(self) -> usize {
        match self.0 >> 14 {
            0 | 1 => usize::from(self.0 & 0x1FFF),
            2 => 14,
            _ => 7,
        }
    }

    fn symbol(self, place: usize) -> Symbol {
        Symbol(match self.0 >> 14 {
            0 | 1 => self.0 >> 13 & 3,
            2 => self.0 >> 13_usize.saturating_sub(place) & 1,
            _ => self.0 >> 12_usize.saturating_sub(2 * place) & 3,
        })
    }
}

impl Symbol {
    fn size(self) -> usize {
        match self.0 {
            1 => 1,
            2 => 2,
            // Three is reserved: nothing was received, as far as anybody knows.
            _ => 0,
        }
    }
}

/// What became of one packet that was sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// Transport-wide number, extended.
    pub sequence: i64,
    /// When it left.
    pub sent: Seconds,
    /// Bytes of its plaintext.
    pub size: u16,
    /// When it arrived, in quarters of a millisecond of the receiver's clock. None: not received.
    pub arrived: Option<i64>,
}

/// Departures of packets to one peer.
#[derive(Debug, Default)]
pub struct Departures {
    /// The next transport-wide number.
    next: i64,
    /// The newest, by number. Empty until the first packet leaves with one.
    ring: Vec<Left>,
    /// When the newest left, in microseconds.
    newest: i64,
    /// The first that the peer has told nothing of.
    untold: i64,
    /// Bytes that left, and as of when somebody looked.
    bytes: u64,
    looked: u64,
}

/// A packet that left: 8 bytes, since nobody's are in the processor's cache when the next ones leave.
#[derive(Clone, Copy, Debug, Default)]
struct Left {
    /// Low bits of the microseconds.
    at: u32,
    /// Bytes; 0 for none that left.
    size: u16,
}

impl Departures {
    /// So many packets leave soon. A hint only.
    pub fn fetch(&self, packets: usize) {
        let from = self.next as usize & (DEPARTURES - 1);
        self.ring.get(from..(from + packets).min(DEPARTURES)).into_iter().for_each(fetch);
    }

    /// The peer tells of what it has not told of yet. A hint only.
    pub fn fetch_told(&self) {
        let from = self.untold as usize & (DEPARTURES - 1);
        let count = (self.next - self.untold).clamp(0, MOST_AHEAD) as usize;
        self.ring.get(from..(from + count).min(DEPARTURES)).into_iter().for_each(fetch);
    }

    /// The number for the packet that leaves now.
    pub fn next(&self) -> u16 {
        self.next as u16
    }

    /// A packet left with [`Departures::next`]: so many bytes, with [`AROUND`] them.
    pub fn left(&mut self, now: Seconds, size: usize) {
        let size = size + AROUND;
        if self.ring.is_empty() {
            self.ring.resize(DEPARTURES, Left::default());
        }
        self.newest = (now * 1e6 + 0.5) as i64;
        if let Some(place) = self.ring.get_mut(self.next as usize & (DEPARTURES - 1)) {
            let size = u16::try_from(size).unwrap_or(u16::MAX);
            *place = Left { at: self.newest as u32, size };
        }
        self.bytes += size as u64;
        self.next += 1;
    }

    /// Read a peer's feedback into `told`, in place of what is there. False when malformed.
    pub fn heard(&mut self, body: &[u8], told: &mut Vec<Told>) -> bool {
        let &mut Self { next, ref ring, newest, .. } = self;
        told.clear();
        let whole = read(body, |number, arrived| {
            let sequence = expand(i64::from(number), Some(next), 16);
            // Each number leaves, one after the other: of those that have not been written over, the place says which it is.
            let kept = (next - DEPARTURES as i64..next).contains(&sequence);
            let left = ring.get(sequence as usize & (DEPARTURES - 1)).filter(|left| kept && left.size > 0);
            if let Some(left) = left {
                let before = (newest as u32).wrapping_sub(left.at);
                let sent = (newest - i64::from(before)) as f64 / 1e6;
                told.push(Told { sequence, sent, size: left.size, arrived });
            }
        });
        if let Some(last) = told.last() {
            self.untold = self.untold.max(last.sequence + 1);
        }
        whole
    }

    /// The next transport-wide number, extended.
    #[must_use]
    pub fn number(&self) -> i64 {
        self.next
    }

    /// Bytes that left since this was asked last.
    pub fn unlooked(&mut self) -> usize {
        (self.bytes - std::mem::replace(&mut self.looked, self.bytes)) as usize
    }

    /// Bytes that ever left, with those around them.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

#[cfg(test)]
#[path = "twcc_tests.rs"]
mod tests;
