//! Short bursts that ask how much more would get through: when to send one, and what it found.
//!
//! Pure. Nothing is asked that nobody would use: `wanted` is what the subscriber's tracks could
//! take. The rules are libwebrtc's but for one: who could use more is asked every few seconds, idle
//! or not, since a sender stuck on a discrete layer is neither idle nor able to grow, and since a
//! link that got wider shows by nothing else.

use super::aimd::evenly;
use crate::media::Seconds;

/// The first two, as multiples of where the estimate begins.
const FIRST: [f64; 2] = [3.0, 6.0];
/// A probe that found so much of its rate is followed by one at twice the estimate.
const FURTHER: f64 = 0.7;
const DOUBLE: f64 = 2.0;
/// The one that is sent every few seconds asks for so much where the path has been full.
const CAUTIOUS: f64 = 1.5;
/// On such a path, one that came through raises the estimate by so many bits a second at 1 Mbit/s, and each that follows at
/// once by twice as much: what others left for a moment is not taken as a whole, and what is free for good is, soon.
const STEP: f64 = 100_000.0;
/// But by no more than that of the estimate.
const MOST_STEP: f64 = 0.5;
/// Less than that above the estimate is not worth a probe.
const MORE: f64 = 1.05;
/// Nothing comes back of a probe after that.
const PATIENCE: Seconds = 1.0;
/// Between probes while more could be used, from half of it to one and a half, so that no two who share a path ask at the same time
/// again and again: 3 % of the bytes, and a queue of 15 ms where the path is full.
const EACH: Seconds = 1.7;
/// What a fall leaves free is there to drain the queue, and for all.
const AFTER_A_FALL: Seconds = 0.7;
/// A fall below so much of the estimate, which may be over soon.
const FALL: f64 = 0.66;
const BACK: f64 = 0.85;
const RECOVERY: Seconds = 5.0;
/// A probe lasts that long at least, and is that many packets.
pub const LEAST_SECONDS: Seconds = 0.015;
/// Where the path has been full, others may share it: then as long as one of their frames takes to come again, so that no
/// gap between two is taken for room.
const SHARED_SECONDS: Seconds = 0.04;
/// See [`LEAST_SECONDS`].
pub const LEAST_PACKETS: u32 = 5;
/// Of its packets and bytes, so much must be told of.
const TOLD: f64 = 0.6;
/// An answer that much faster than it was sent is a compressed queue, not a fast path.
const COMPRESSED: f64 = 2.0;
/// Below so much of the sending rate the path was full.
const FULL: f64 = 0.92;
/// What a full path let through may be others' share too: ask for a little less, which must pass whole.
const CAREFUL: f64 = 0.9;
/// Bytes of a probe's packet.
const SMALLEST: u32 = 200;
const LARGEST: u32 = 1100;
/// Clusters out at one time.
const MOST_OUT: usize = 4;

/// What to send.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cluster {
    /// Bits a second.
    pub bps: f64,
    /// Bytes at least; and [`LEAST_PACKETS`].
    pub bytes: u32,
    /// Bytes of each of its packets, about: small ones on a thin path, so that they make no queue.
    pub packet: u32,
}

/// What a packet that arrived means to the probes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Taken {
    /// It is of none.
    Foreign,
    /// It is of one, which is not complete, or found nothing.
    Part,
    /// It completes one. Bits a second, and whether the path was full.
    Found(f64, bool),
}

/// What the probes must know of the estimate.
#[derive(Clone, Copy, Debug)]
pub struct Ground {
    /// The estimate, bits a second.
    pub bps: f64,
    /// What could be used.
    pub wanted: f64,
    /// Since when the sender does not use what it has.
    pub limited: Option<Seconds>,
    /// A queue grows, or losses are the limit: nothing is asked.
    pub blocked: bool,
    /// The path has been full.
    pub met: bool,
}

#[derive(Clone, Copy, Debug)]
struct Out {
    bps: f64,
    /// The path had been full.
    met: bool,
    at: Seconds,
    /// Transport-wide numbers, extended. The last one is not known while it leaves.
    first: i64,
    last: Option<i64>,
    /// Told of as arrived: how many, their bytes, first and last departure and arrival, and the sizes that do not count.
    count: u32,
    bytes: f64,
    sent: (Seconds, Seconds),
    arrived: (Seconds, Seconds),
    first_bytes: f64,
    last_bytes: f64,
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Probes {
    begun: bool,
    pending: Vec<f64>,
    out: Vec<Out>,
    last: Option<Seconds>,
    wanted: f64,
    /// Far, and from where.
    fell: Option<(Seconds, f64)>,
    /// At all.
    fallen: Option<Seconds>,
    met: bool,
    /// Probes in a row that came through a path that had been full.
    streak: i32,
    /// From 0 to 1.
    chance: f64,
}

impl Probes {
    /// The probe to send now, if any.
    pub fn due(&mut self, now: Seconds, ground: Ground) -> Option<Cluster> {
        self.out.retain(|out| now - out.at < PATIENCE);
        let rose = ground.wanted > 1.1 * self.wanted;
        if ground.blocked || ground.wanted <= ground.bps {
            self.pending.clear();
            return None;
        }
        if !self.begun {
            self.begun = true;
            self.pending.extend(FIRST.iter().rev().map(|factor| factor * ground.bps));
        } else if self.pending.is_empty() && self.out.is_empty() {
            self.ask(now, ground, rose);
        }
        (self.wanted, self.met) = (ground.wanted, ground.met);
        if self.out.len() >= MOST_OUT {
            return None;
        }
        let bps = self.pending.pop()?.min(2.0 * ground.wanted);
        self.last = Some(now);
        let seconds = if ground.met { SHARED_SECONDS } else { LEAST_SECONDS };
        let bytes = (bps * seconds / 8.0).ceil() as u32;
        Some(Cluster { bps, bytes, packet: (bytes / LEAST_PACKETS).clamp(SMALLEST, LARGEST) })
    }

    fn ask(&mut self, now: Seconds, ground: Ground, rose: bool) {
        let since = self.last.map_or(f64::INFINITY, |last| now - last);
        if let Some((at, before)) = self.fell {
            if now - at > RECOVERY {
                self.fell = None;
            } else if since >= RECOVERY && ground.limited.is_some() {
                self.fell = None;
                self.pending.push(BACK * before);
                return;
            }
        }
        if rose && ground.limited.is_some() {
            self.pending.extend([DOUBLE * ground.wanted, ground.wanted]);
        } else if since >= (0.5 + self.chance) * EACH && self.fallen.is_none_or(|at| now - at >= AFTER_A_FALL) {
            // The last digits of an estimate are chance enough.
            let digits = ground.bps.to_bits().wrapping_mul(0x9E37_79B9_7F4A_7C15);
            (self.streak, self.chance) = (0, (digits >> 40) as f64 / f64::from(1 << 24));
            self.pending.push(if ground.met { CAUTIOUS } else { DOUBLE } * ground.bps);
        }
    }

    /// The probe of this rate left as the packets of these transport-wide numbers.
    pub fn left(&mut self, now: Seconds, bps: f64, numbers: std::ops::RangeInclusive<i64>) {
        let (first, last) = (*numbers.start(), *numbers.end());
        if !self.out.last().is_some_and(|out| out.last.is_none() && out.first == first) {
            self.begins(now, bps, first);
        }
        if let Some(out) = self.out.last_mut() {
            (out.at, out.last) = (now, Some(last));
        }
    }

    /// It came to nothing: what left of it was no probe.
    pub fn give_up(&mut self) {
        self.out.retain(|out| out.last.is_some());
    }

    /// A probe of this rate leaves from that number on. On a short path the first of it is told of before the last left.
    pub fn begins(&mut self, now: Seconds, bps: f64, first: i64) {
        let never = (f64::INFINITY, f64::NEG_INFINITY);
        self.out.push(Out {
            bps,
            met: self.met,
            at: now,
            first,
            last: None,
            count: 0,
            bytes: 0.0,
            sent: never,
            arrived: never,
            first_bytes: 0.0,
            last_bytes: 0.0,
        });
    }

    /// Whether something is yet to be told of a probe.
    #[must_use]
    pub fn is_out(&self) -> bool {
        !self.out.is_empty()
    }

    /// A packet arrived, while the estimate is `bps`.
    pub fn take(&mut self, number: i64, sent: Seconds, arrived: Seconds, bytes: u32, bps: f64) -> Taken {
        let Some(place) = self.out.iter().position(|out| out.holds(number)) else { return Taken::Foreign };
        let Some(out) = self.out.get_mut(place) else { return Taken::Foreign };
        out.take(sent, arrived, f64::from(bytes));
        if out.last != Some(number) && out.all().is_none_or(|all| f64::from(out.count) < all) {
            return Taken::Part;
        }
        let done = self.out.remove(place);
        let Some((found, full)) = done.found() else { return Taken::Part };
        if full {
            self.streak = 0;
            self.pending.extend(Some(CAREFUL * found).filter(|asked| *asked > MORE * bps));
            return Taken::Found(found, full);
        }
        let step = evenly(STEP, bps) * 2_f64.powi(self.streak);
        let (most, factor) =
            if done.met { (bps + step.min(MOST_STEP * bps), CAUTIOUS) } else { (f64::INFINITY, DOUBLE) };
        self.streak += i32::from(done.met);
        let raised = found.min(most);
        if found > FURTHER * done.bps {
            self.pending.push(factor * raised);
        }
        Taken::Found(raised, full)
    }

    /// The estimate fell: it may be for a moment only.
    pub fn fell(&mut self, now: Seconds, before: f64, after: f64) {
        self.pending.clear();
        (self.streak, self.fallen) = (0, Some(now));
        if after < FALL * before {
            self.fell = Some((now, before));
        }
    }
}

impl Out {
    fn holds(&self, number: i64) -> bool {
        number >= self.first && self.last.is_none_or(|last| number <= last)
    }

    /// How many packets left, once they have.
    fn all(&self) -> Option<f64> {
        Some((self.last? - self.first + 1) as f64)
    }

    fn take(&mut self, sent: Seconds, arrived: Seconds, bytes: f64) {
        self.count += 1;
        self.bytes += bytes;
        if arrived < self.arrived.0 {
            (self.arrived.0, self.first_bytes) = (arrived, bytes);
        }
        self.arrived.1 = self.arrived.1.max(arrived);
        if sent > self.sent.1 {
            (self.sent.1, self.last_bytes) = (sent, bytes);
        }
        self.sent.0 = self.sent.0.min(sent);
    }

    /// Bits a second, and whether the path was full.
    fn found(&self) -> Option<(f64, bool)> {
        if f64::from(self.count) < TOLD * self.all()? || self.count < 2 {
            return None;
        }
        let (leaving, arriving) = (self.sent.1 - self.sent.0, self.arrived.1 - self.arrived.0);
        if !(leaving > 0.0 && leaving <= 1.0 && arriving > 0.0 && arriving <= 1.0) {
            return None;
        }
        let sent = 8.0 * (self.bytes - self.last_bytes) / leaving;
        let came = 8.0 * (self.bytes - self.first_bytes) / arriving;
        if came > COMPRESSED * sent {
            return None;
        }
        Some((came.min(sent), came < FULL * sent))
    }
}

#[cfg(test)]
#[path = "probes_tests.rs"]
mod tests;
