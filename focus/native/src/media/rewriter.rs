//! One continuous stream out of several layers: sequence, timestamp, picture id, tl0 index, AV1 frame number.
//!
//! The state of one route's numbering, pure: packets in, numbers out, time nowhere but in the
//! packets. Output is contiguous across switches, and a gap in the input leaves the same gap, so
//! that a late or repaired packet still fits. No number goes out twice.

use std::collections::VecDeque;

use super::Seconds;
use super::cache::Kept;
use super::rtcp::SenderReport;
use crate::command::Format;
use crate::pump::ahead::fetch;

/// Offset changes remembered within one layer, for late packets.
const FORGET: usize = 64;
/// A jump in the input beyond this many packets is a restart, not loss.
const RESTARTED: i64 = 500;

/// What a packet is called on its way out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Extended; its low 16 bits go out.
    pub sequence: i64,
    /// On the route's clock.
    pub timestamp: u32,
    /// 15 bits of a picture id; of AV1 16 of a frame number.
    pub picture: u16,
    /// TL0PICIDX.
    pub tl0: u8,
    /// The last packet of its picture, as it is carried.
    pub marker: bool,
}

/// Packets, or pictures, from one on are called by so much less.
#[derive(Clone, Copy, Debug)]
struct Since {
    from: i64,
    offset: i64,
    /// So many before the first were left out: they have no number.
    out: i64,
}

/// What was left out of a row of numbers, newest last.
#[derive(Debug, Default)]
struct Offsets(VecDeque<Since>);

impl Offsets {
    fn begin(&mut self, from: i64, offset: i64) {
        self.0.clear();
        self.0.push_back(Since { from, offset, out: 0 });
    }

    /// What to take off a number; None when it was left out, or is older than what is remembered.
    fn of(&self, number: i64) -> Option<i64> {
        let since = self.0.iter().rev().find(|since| since.from - since.out <= number)?;
        (number >= since.from).then_some(since.offset)
    }

    /// Whether the one before this was left out.
    fn ends_at(&self, number: i64) -> bool {
        self.0.back().is_some_and(|since| since.from == number && since.out > 0)
    }

    /// Close the gap that these would leave. Nothing from the first of them on may have been named yet.
    fn leave_out(&mut self, first: i64, last: i64) {
        let gap = last + 1 - first;
        let Some(newest) = self.0.back_mut() else { return };
        if newest.from == first {
            *newest = Since { from: last + 1, offset: newest.offset + gap, out: newest.out + gap };
            return;
        }
        let offset = newest.offset + gap;
        if self.0.len() >= FORGET {
            self.0.pop_front();
        }
        self.0.push_back(Since { from: last + 1, offset, out: gap });
    }
}

/// Maps the packets of whichever layer is current into one stream.
#[derive(Debug)]
pub struct Rewriter {
    clock: u32,
    /// Extended sequence number of the newest packet out.
    last: i64,
    last_timestamp: u32,
    /// How far switches had to push the clock ahead of where it should be: given back at the next ones.
    lead: i64,
    /// What is taken off the layer's timestamps.
    pub timestamp_offset: u32,
    started: bool,
    start: i64,
    newest: i64,
    /// Of indices; never empty.
    offsets: Offsets,
    /// Timestamp of what was left out last.
    left_out: u32,
    picture_offset: i64,
    /// Instead of that, once a picture was left out of a stream whose receivers take a gap for loss: VP8. In other
    /// formats frames name each other by differences of their numbers.
    pictures: Offsets,
    newest_picture: i64,
    tl0_offset: i64,
    last_picture: i64,
    last_tl0: i64,
    /// Of AV1 frames; counted apart, since a sender may change from one format to another and back.
    frame_offset: i64,
    last_frame: Option<i64>,
    arrived: Seconds,
}

impl Rewriter {
    /// Nothing sent yet. The first sequence number stays below 2^15, so that no receiver mistakes its rollover.
    #[must_use]
    pub fn new(first_sequence: u16, first_timestamp: u32, clock: u32) -> Self {
        Self {
            clock,
            last: i64::from(first_sequence) - 1,
            last_timestamp: first_timestamp,
            lead: 0,
            timestamp_offset: 0,
            started: false,
            start: 0,
            newest: 0,
            offsets: Offsets(VecDeque::from([Since { from: 0, offset: 0, out: 0 }])),
            left_out: 0,
            picture_offset: 0,
            pictures: Offsets::default(),
            newest_picture: 0,
            tl0_offset: 0,
            last_picture: -1,
            last_tl0: -1,
            frame_offset: 0,
            last_frame: None,
            arrived: 0.0,
        }
    }

    /// Begin a layer at this packet, its keyframe's first. Reports: of the new and the old layer.
    pub fn switch(&mut self, packet: &Kept, report: Option<SenderReport>, old: Option<SenderReport>) {
        let expected = self.continued(packet, report, old);
        self.begin(packet, expected);
    }

    /// Go on after a pause with the layer that was carried before it: its own clock says how long that was.
    pub fn resume(&mut self, packet: &Kept) {
        let clock = i64::from(self.clock);
        let passed = packet.timestamp.wrapping_sub(self.timestamp_offset).wrapping_sub(self.last_timestamp);
        let (passed, waited) = (i64::from(passed as i32), self.waited(packet));
        // A sender may have begun its clock anew meanwhile.
        let ahead = if (passed - waited).abs() <= clock { passed } else { waited };
        let expected = self.ahead(ahead);
        self.begin(packet, expected);
    }

    fn begin(&mut self, packet: &Kept, expected: u32) {
        self.start = packet.index;
        self.newest = packet.index;
        self.reset(packet.index);
        self.timestamp_offset = packet.timestamp.wrapping_sub(expected);
        self.pictures.0.clear();
        if let Some(numbering) = packet.numbering {
            self.picture_offset = packet.picture - (self.last_picture + 1);
            self.newest_picture = packet.picture;
            self.tl0_offset = i64::from(numbering.tl0.map_or(0, |tl0| tl0.0)) - (self.last_tl0 + 1);
        }
        if let (Some(number), Some(last)) = (packet.number, self.last_frame) {
            // A receiver takes a keyframe with an older number for one that came late, and waits for ever.
            self.frame_offset = number - (last + 1);
        }
        self.started = true;
    }

    /// The timestamp that the stream should have at this packet.
    fn continued(&mut self, packet: &Kept, report: Option<SenderReport>, old: Option<SenderReport>) -> u32 {
        if !self.started {
            return self.last_timestamp;
        }
        let clock = f64::from(self.clock);
        let by_report = report.zip(old).and_then(|(report, old)| {
            // Both layers of one encoder share the sender's wall clock: go through it.
            let since = f64::from(packet.timestamp.wrapping_sub(report.rtp) as i32);
            let ntp = wall(report) + since / clock;
            let there = f64::from(old.rtp) + (ntp - wall(old)) * clock;
            let reference = (there.round_ties_even() as i64 as u32).wrapping_sub(self.timestamp_offset);
            let ahead = i64::from(reference.wrapping_sub(self.last_timestamp) as i32);
            (ahead.abs() <= 10 * i64::from(self.clock)).then_some(ahead)
        });
        let ahead = by_report.unwrap_or_else(|| self.waited(packet));
        self.ahead(ahead)
    }

    /// Ticks of the clock since the newest packet came.
    fn waited(&self, packet: &Kept) -> i64 {
        ((packet.arrived - self.arrived) * f64::from(self.clock)) as i64
    }

    /// The timestamp so far ahead of the newest one; less by what earlier switches pushed it.
    fn ahead(&mut self, ahead: i64) -> u32 {
        let ahead = ahead - self.lead;
        let taken = ahead.max(if self.lead > 0 { 1 } else { i64::from(self.clock / 60) });
        // A false report has no hold on us for longer.
        self.lead = (taken - ahead).min(i64::from(self.clock));
        self.last_timestamp.wrapping_add(taken as u32)
    }

    /// Sequence number and timestamp of the newest that left.
    #[must_use]
    pub fn newest(&self) -> (u16, u32) {
        (self.last as u16, self.last_timestamp)
    }

    /// A packet is mapped soon. A hint only.
    pub fn fetch(&self) {
        self.offsets.0.back().into_iter().for_each(fetch);
    }

    /// Timestamp of the newest picture that left, as its sender has it.
    #[must_use]
    pub fn picture(&self) -> u32 {
        self.last_timestamp.wrapping_add(self.timestamp_offset)
    }

    /// Whether a packet comes after all others of the current layer.
    #[must_use]
    pub fn in_order(&self, index: i64) -> bool {
        index > self.newest
    }

    /// An in-order packet of the current layer carries nothing: close the gap that it would leave.
    pub fn skip(&mut self, index: i64) {
        if self.in_order(index) {
            self.advance(index);
            self.offsets.leave_out(index, index);
        }
    }

    /// An in-order packet of the current layer is not carried: close the gap that it would leave, and with it that of
    /// packets of its picture that did not come.
    pub fn leave_out(&mut self, packet: &Kept) {
        let index = packet.index;
        let before = self.newest + 1;
        let together = self.left_out == packet.timestamp && self.offsets.ends_at(before) && index - before < RESTARTED;
        self.advance(index);
        self.offsets.leave_out(if together { before } else { index }, index);
        self.left_out = packet.timestamp;
        let counted = packet.format == Format::Vp8 && packet.numbering.is_some_and(|held| held.picture.is_some());
        if counted && packet.picture > self.newest_picture {
            if self.pictures.0.is_empty() {
                self.pictures.begin(i64::MIN, self.picture_offset);
            }
            self.newest_picture = packet.picture;
            self.pictures.leave_out(packet.picture, packet.picture);
        }
    }

    /// Go on to an in-order packet.
    fn advance(&mut self, index: i64) {
        if index - self.newest > RESTARTED {
            // The numbers of what was jumped over are taken: nothing older can be placed any more. Two packets
            // under one number would be one GCM nonce used twice.
            self.start = index;
            self.reset(index);
        }
        self.newest = index;
    }

    /// From here on, numbers follow the newest one out.
    fn reset(&mut self, index: i64) {
        self.offsets.begin(index, index - (self.last + 1));
    }

    /// Number a packet of the current layer; None when it is older than what can be placed.
    pub fn map(&mut self, packet: &Kept) -> Option<Numbers> {
        let index = packet.index;
        if index < self.start {
            return None;
        }
        let counted = !self.pictures.0.is_empty() && packet.numbering.is_some();
        let picture_offset = if counted { self.pictures.of(packet.picture) } else { Some(self.picture_offset) };
        let Some(picture_offset) = picture_offset else {
            // Its picture was left out, and has no number.
            self.skip(index);
            return None;
        };
        if index > self.newest {
            self.advance(index);
        }
        let offset = self.offsets.of(index)?;
        let sequence = index - offset;
        if sequence > self.last {
            self.last = sequence;
            self.arrived = packet.arrived;
        }
        let timestamp = packet.timestamp.wrapping_sub(self.timestamp_offset);
        if timestamp.wrapping_sub(self.last_timestamp) as i32 > 0 {
            self.last_timestamp = timestamp;
        }
        let mut numbers = Numbers { sequence, timestamp, picture: 0, tl0: 0, marker: packet.marker };
        if let Some(numbering) = packet.numbering {
            self.newest_picture = self.newest_picture.max(packet.picture);
            let extended = packet.picture - picture_offset;
            let tl0 = i64::from(numbering.tl0.map_or(0, |tl0| tl0.0)) - self.tl0_offset;
            if extended > self.last_picture {
                self.last_picture = extended;
                if numbering.tl0.is_some() {
                    self.last_tl0 = tl0 & 0xFF;
                }
            }
            numbers.picture = (extended & 0x7FFF) as u16;
            numbers.tl0 = tl0 as u8;
        }
        if let Some(number) = packet.number {
            let extended = number - self.frame_offset;
            self.last_frame = self.last_frame.max(Some(extended));
            numbers.picture = extended as u16;
        }
        Some(numbers)
    }
}

/// Seconds of the sender's wall clock.
fn wall(report: SenderReport) -> f64 {
    report.ntp as f64 / 4_294_967_296.0
}

#[cfg(test)]
#[path = "rewriter_tests.rs"]
mod tests;
