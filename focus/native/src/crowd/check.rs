//! What a synthetic person demands of a track: packets in order go in, counts of faults come out.
//!
//! A clean track has no fault of any kind: time never runs back, picture ids and TL0PICIDX go up by
//! one a frame across every layer switch, a keyframe is first, and what is known from the loops is
//! the successor of what was before, byte for byte. What is not known (a browser's) is not compared.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::loops::{Loops, Place};
use super::order::{Order, Packet};
use super::vp8;
use crate::media::Seconds;

/// Seconds over which arrivals of frames are kept.
const RECENT: Seconds = 4.0;
/// Frames; more than any camera makes in that time.
const MOST_RECENT: usize = 256;
/// Frames kept for who decodes; of more, the oldest go.
const MOST_KEPT: usize = 64;
/// Nobody is asked for a picture narrower than this.
const SMALLEST: u16 = 320;
/// Seconds between two requests for a keyframe.
const ASK_KEYFRAME: Seconds = 0.5;

/// The book's figures.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// By name.
    pub faults: BTreeMap<&'static str, u64>,
    /// Packets and bytes handed on.
    pub packets: u64,
    /// See `packets`.
    pub octets: u64,
    /// Frames begun.
    pub frames: u64,
    /// Of these: keyframes.
    pub keyframes: u64,
    /// Frames and sounds that were known, and as they were sent.
    pub known: u64,
    /// Of the newest keyframe.
    pub size: (u16, u16),
    /// When the first keyframe began to arrive.
    pub first_frame: Option<Seconds>,
    /// When the newest frame began to arrive.
    pub newest_frame: Option<Seconds>,
    /// Between two frames.
    pub longest_gap: Seconds,
    /// From each asked size to the first keyframe of it.
    pub switches: Vec<Seconds>,
    /// What is asked for, and since when it is missing.
    pub wanted: Option<(u16, u16)>,
    /// See `wanted`.
    pub wanted_at: Option<Seconds>,
    /// Beginnings of frames lately.
    pub arrivals: VecDeque<Seconds>,
}

/// See the file's head.
#[derive(Debug)]
pub struct Check {
    /// See `Found`.
    pub found: Found,
    order: Order,
    judge: Judge,
}

#[derive(Debug)]
struct Judge {
    video: bool,
    loops: Arc<Loops>,
    timestamp: Option<u32>,
    picture: Option<u16>,
    tl0: Option<u8>,
    begun: bool,
    marker: bool,
    /// Where the frame under way may be from, and how many bytes of it are here.
    places: Vec<Place>,
    bytes: usize,
    /// A voice of ours.
    recognised: bool,
    needs_keyframe: bool,
    asked_keyframe: Seconds,
    /// Of the frame under way, for who decodes; None while a part of it is missing.
    frame: Option<Vec<u8>>,
    kept: Option<VecDeque<Vec<u8>>>,
}

/// Whether a layer is the right one for what is wanted: not smaller (within 10 %), and no half would do.
fn fits(size: (u16, u16), wanted: (u16, u16)) -> bool {
    let enough = |part: f64| {
        f64::from(size.0) / part >= 0.9 * f64::from(wanted.0) && f64::from(size.1) / part >= 0.9 * f64::from(wanted.1)
    };
    enough(1.0) && (!enough(2.0) || size.0 <= SMALLEST)
}

impl Check {
    /// Nothing came yet. `loops`: what may be recognised.
    #[must_use]
    pub fn new(video: bool, loops: Arc<Loops>) -> Self {
        let judge = Judge {
            video,
            loops,
            timestamp: None,
            picture: None,
            tl0: None,
            begun: false,
            marker: true,
            places: Vec::new(),
            bytes: 0,
            recognised: false,
            needs_keyframe: false,
            asked_keyframe: -1.0,
            frame: None,
            kept: None,
        };
        Self { found: Found::default(), order: Order::default(), judge }
    }

    /// Another size is asked for.
    pub fn want(&mut self, wanted: (u16, u16), now: Seconds) {
        if self.found.wanted != Some(wanted) {
            (self.found.wanted, self.found.wanted_at) = (Some(wanted), Some(now));
            self.found.settle(now);
        }
    }

    /// A packet came, for the first time.
    pub fn put(&mut self, index: i64, packet: Packet, now: Seconds) {
        let Self { found, order, judge } = self;
        order.put(index, packet, now, |lost, packet| judge.take(found, &packet, lost, now));
    }

    /// Whole frames that a decoder could take, since it was last asked: the first question begins to keep them.
    pub fn frames(&mut self) -> VecDeque<Vec<u8>> {
        self.judge.kept.replace(VecDeque::new()).unwrap_or_default()
    }

    /// Give up what is missing for too long. Whether to ask for a keyframe now.
    pub fn visit(&mut self, now: Seconds) -> bool {
        let Self { found, order, judge } = self;
        order.release(now, |lost, packet| judge.take(found, &packet, lost, now));
        judge.needs_keyframe |= judge.video && order.stuck(now);
        let due = judge.needs_keyframe && now - judge.asked_keyframe >= ASK_KEYFRAME;
        if due {
            judge.asked_keyframe = now;
        }
        due
    }
}

impl Found {
    fn fault(&mut self, name: &'static str, count: u64) {
        if count > 0 {
            *self.faults.entry(name).or_default() += count;
        }
    }

    fn settle(&mut self, now: Seconds) {
        if let (Some(wanted), Some(at)) = (self.wanted, self.wanted_at)
            && self.size.0 > 0
            && fits(self.size, wanted)
        {
            self.switches.push(now - at);
            self.wanted_at = None;
        }
    }
}

impl Judge {
    fn take(&mut self, found: &mut Found, packet: &Packet, lost: u64, now: Seconds) {
        // Padding only.
        if packet.payload.is_empty() {
            return;
        }
        found.packets += 1;
        found.octets += packet.payload.len() as u64;
        found.fault("lost", lost);
        let back = self.timestamp.is_some_and(|before| (packet.timestamp.wrapping_sub(before) as i32) < 0);
        found.fault("time_backwards", back.into());
        if self.video {
            self.needs_keyframe |= lost > 0;
            self.picture(found, packet, lost, now);
        } else {
            let known = self.loops.says(&packet.payload);
            let corrupt = self.recognised && !known && packet.payload != super::loops::SILENCE;
            found.fault("corrupt", corrupt.into());
            found.known += u64::from(known);
            self.recognised |= known;
        }
        self.timestamp = Some(packet.timestamp);
    }

    fn picture(&mut self, found: &mut Found, packet: &Packet, lost: u64, now: Seconds) {
        let Some(part) = vp8::read(&packet.payload) else { return found.fault("malformed", 1) };
        if part.first {
            self.begin(found, &part, packet.timestamp, lost, now);
        } else {
            found.fault("headless_frame", (self.marker && lost == 0).into());
            let another = self.timestamp.is_some_and(|before| before != packet.timestamp);
            found.fault("time_within_frame", (another && lost == 0).into());
            if lost > 0 {
                self.places.clear();
                self.frame = None;
            }
            self.compare(found, part.body);
        }
        self.keep(part.body, packet.marker);
        self.marker = packet.marker;
        if packet.marker && !self.places.is_empty() {
            let Self { loops, bytes, places, .. } = self;
            places.retain(|place| loops.frame(*place).len() == *bytes);
            found.fault("corrupt", places.is_empty().into());
            found.known += u64::from(!places.is_empty());
        }
    }

    /// For who decodes: the next bytes of a frame, and whether they are its last.
    fn keep(&mut self, body: &[u8], last: bool) {
        let (Some(kept), Some(frame)) = (&mut self.kept, &mut self.frame) else { return };
        frame.extend(body);
        if last && !self.needs_keyframe {
            kept.push_back(std::mem::take(frame));
            if kept.len() > MOST_KEPT {
                kept.pop_front();
            }
        }
    }

    /// The next bytes of the frame under way.
    fn compare(&mut self, found: &mut Found, body: &[u8]) {
        let Self { loops, bytes, places, .. } = self;
        let known = !places.is_empty();
        places.retain(|place| loops.frame(*place).get(*bytes..*bytes + body.len()) == Some(body));
        found.fault("corrupt", (known && places.is_empty()).into());
        *bytes += body.len();
    }

    fn begin(&mut self, found: &mut Found, part: &vp8::Part<'_>, timestamp: u32, lost: u64, now: Seconds) {
        found.frames += 1;
        if let Some(size) = part.size {
            found.keyframes += 1;
            found.size = size;
            found.first_frame.get_or_insert(now);
            found.settle(now);
            self.needs_keyframe = false;
        } else {
            found.fault("first_not_keyframe", (!self.begun).into());
        }
        if self.begun && lost == 0 {
            found.fault("unfinished_frame", (!self.marker).into());
            found.fault("time_stands", (self.timestamp == Some(timestamp)).into());
            let next = self.picture.map(|before| (before + 1) & 0x7FFF);
            found.fault("picture_id", (next.is_some() && part.picture != next).into());
            let next = self.tl0.map(|before| before.wrapping_add(u8::from(part.tid == 0)));
            found.fault("tl0picidx", (next.is_some() && part.tl0 != next).into());
        }
        (self.begun, self.picture, self.tl0) = (true, part.picture, part.tl0);
        let places: Vec<Place> = self.loops.find(part.body).collect();
        if part.size.is_none() && lost == 0 && !places.is_empty() && !self.places.is_empty() {
            let splice =
                places.iter().any(|after| self.places.iter().any(|before| self.loops.follows(*before, *after)));
            found.fault("wrong_splice", (!splice).into());
        }
        (self.places, self.bytes) = (places, part.body.len());
        self.frame = self.kept.is_some().then(Vec::new);
        if let Some(before) = found.newest_frame {
            found.longest_gap = found.longest_gap.max(now - before);
        }
        found.newest_frame = Some(now);
        found.arrivals.push_back(now);
        while found.arrivals.len() > MOST_RECENT || found.arrivals.front().is_some_and(|at| *at < now - RECENT) {
            found.arrivals.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::loops::{Layer, Person, cut};
    use super::*;

    fn frame(at: usize, width: u16, salt: u8) -> Vec<u8> {
        let ([w1, w2], [h1, h2]) = (width.to_le_bytes(), (width / 16 * 9).to_le_bytes());
        let mut bytes = vec![u8::from(!at.is_multiple_of(5)), 0, 0, 0x9D, 0x01, 0x2A, w1, w2, h1, h2, salt, at as u8];
        bytes.resize(2500, salt ^ at as u8);
        bytes
    }

    fn loops() -> Arc<Loops> {
        let layer = |width, salt| Layer((0..10).map(|at| frame(at, width, salt)).collect());
        let voice = (0..10).map(|at| (vec![at; 40], 20)).collect();
        Arc::new(Loops::new(vec![Person { layers: vec![layer(1280, 3), layer(320, 77)], voice }]))
    }

    /// A track of these frames: layer and place.
    fn packets(loops: &Loops, frames: &[(u32, u32)]) -> Vec<Packet> {
        let mut out = vec![];
        for (picture, (layer, at)) in frames.iter().enumerate() {
            let bytes = loops.frame((0, *layer, *at));
            let count = cut(bytes.len()).len();
            for (number, piece) in cut(bytes.len()).enumerate() {
                let head = vp8::describe(number == 0, picture as u16, picture as u8);
                let payload = [head.as_slice(), &bytes[piece]].concat();
                out.push(Packet { timestamp: picture as u32 * 6000, marker: number + 1 == count, payload });
            }
        }
        out
    }

    fn judged(packets: Vec<Packet>, video: bool) -> Found {
        let mut check = Check::new(video, loops());
        for (index, packet) in packets.into_iter().enumerate() {
            check.put(100 + index as i64, packet, index as f64 / 45.0);
        }
        check.found
    }

    fn faults(change: impl Fn(&mut Vec<Packet>)) -> Vec<&'static str> {
        let mut made = packets(&loops(), &[(0, 0), (0, 1), (0, 2), (1, 5), (1, 6)]);
        change(&mut made);
        judged(made, true).faults.into_keys().collect()
    }

    #[test]
    fn a_clean_track_has_no_fault_across_a_switch_and_all_of_it_is_known() {
        let found = judged(packets(&loops(), &[(0, 0), (0, 1), (0, 2), (1, 5), (1, 6)]), true);
        assert_eq!((found.faults.len(), found.frames, found.known, found.size), (0, 5, 5, (320, 180)));
    }

    #[test]
    fn every_fault_has_its_name() {
        assert_eq!(faults(|packets| packets[4].payload[500] ^= 1), ["corrupt"]);
        assert_eq!(faults(|packets| packets[5].payload.truncate(700)), ["corrupt"]);
        assert_eq!(faults(|packets| packets[6].payload[3] ^= 1), ["picture_id"]);
        assert_eq!(faults(|packets| packets[6].payload[4] ^= 1), ["tl0picidx"]);
        assert_eq!(faults(|packets| packets[7].timestamp = 1), ["time_backwards", "time_within_frame"]);
        assert_eq!(faults(|packets| packets[8].payload.truncate(2)), ["malformed", "unfinished_frame"]);
        assert_eq!(faults(|packets| drop(packets.drain(..3))), ["first_not_keyframe"]);
        assert_eq!(faults(|packets| drop(packets.drain(3..6))), ["picture_id", "tl0picidx", "wrong_splice"]);
        assert_eq!(faults(|packets| packets[5].marker = false), ["unfinished_frame"]);
    }

    #[test]
    fn a_voice_once_known_must_stay_what_was_said() {
        let said = |byte| Packet { payload: vec![byte; 40], ..Packet::default() };
        let found = judged(vec![said(99), said(1), said(2), said(99)], false);
        assert_eq!((found.known, found.faults.get("corrupt")), (2, Some(&1)));
    }

    #[test]
    fn what_never_comes_is_lost_and_a_keyframe_is_asked_for_until_one_comes() {
        let mut check = Check::new(true, loops());
        let made = packets(&loops(), &[(0, 0), (0, 1), (0, 2), (1, 5)]);
        for (index, packet) in made.iter().enumerate().filter(|(index, _)| *index != 4 && *index < 9) {
            check.put(index as i64, packet.clone(), 0.0);
        }
        let asked: Vec<bool> = [0.1, 0.4, 0.5, 1.1].into_iter().map(|now| check.visit(now)).collect();
        assert_eq!(asked, [false, true, false, true]);
        assert_eq!(check.found.faults.get("lost"), Some(&1));
        for (index, packet) in made.iter().enumerate().skip(9) {
            check.put(index as i64, packet.clone(), 1.2);
        }
        assert!(!check.visit(3.0));
    }

    #[test]
    fn a_size_that_is_asked_for_is_timed_until_its_keyframe() {
        let mut check = Check::new(true, loops());
        check.want((320, 180), 0.0);
        for (index, packet) in packets(&loops(), &[(0, 0), (1, 5)]).into_iter().enumerate() {
            check.put(index as i64, packet, index as f64);
        }
        assert_eq!((check.found.switches.as_slice(), check.found.wanted_at), ([3.0].as_slice(), None));
    }

    #[test]
    fn who_decodes_gets_whole_frames_from_a_keyframe_on() {
        let (loops, mut check) = (loops(), Check::new(true, loops()));
        let made = packets(&loops, &[(0, 0), (0, 1), (0, 2), (0, 3), (1, 5), (1, 6)]);
        assert!(check.frames().is_empty());
        for (index, packet) in made.into_iter().enumerate().filter(|(index, _)| *index != 4) {
            check.put(index as i64, packet, if index < 9 { 0.0 } else { 2.0 });
            check.visit(if index < 9 { 0.0 } else { 2.0 });
        }
        let frames: Vec<_> = [(0, 0, 0), (0, 1, 5), (0, 1, 6)].map(|place| loops.frame(place).to_vec()).into();
        assert_eq!(check.frames(), frames);
        assert!(check.frames().is_empty());
    }
}
