//! One stream that a synthetic client sends: frames at an even pace, marked or from a loop, and any packet of them again.
//!
//! It knows the schedule and the bytes, and neither key nor socket. What was sent is remembered as
//! 32 bytes a packet: the rest follows from them.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::head::Head;
use super::loops::{self, Loops};
use super::mark::{self, Mark, TRAILER};
use super::vp8::{self, DESCRIPTOR};
use crate::command::{Codec, Extensions, Format};
use crate::media::extensions::Own;
use crate::media::rtcp::SenderReport;
use crate::media::{Seconds, rtp};

/// Packets that can be had again; a power of two.
const REMEMBERED: usize = 512;
/// Frames of silence for each packet that is sent of it: Opus DTX sends one every 400 ms.
const COMFORT: u64 = 20;
/// A person who was stopped for longer than this goes on from here, and does not catch up.
const STOPPED: Duration = Duration::from_millis(500);

/// What a client is to send.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub struct Stream {
    pub ssrc: u32,
    pub rtx_ssrc: Option<u32>,
    pub mid: String,
    /// Empty without simulcast.
    pub rid: String,
    pub codec: Codec,
    pub extensions: Extensions,
    /// Frames a second.
    pub fps: f64,
    /// Packets a frame.
    pub burst: u16,
    /// Bytes of a packet before it is sealed.
    pub size: u16,
    /// Frames from one keyframe to the next, if nobody asks; 0 for the first alone.
    pub keyframe_every: u64,
    /// Of the picture.
    pub width: u16,
    pub height: u16,
    /// RFC 6464, in -dBov.
    pub level: u8,
}

/// What is in a stream's packets.
#[derive(Clone, Debug, Default)]
pub enum Content {
    /// Equal packets with a mark.
    #[default]
    Marked,
    /// A layer of a person's camera, looped: person and layer.
    Camera(Arc<Loops>, u32, u32),
    /// A person's voice, looped while the person talks.
    Voice(Arc<Loops>, u32),
}

/// One packet that was sent: all that it takes to write it again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note {
    number: u64,
    frame: u64,
    piece: u16,
    keyframe: bool,
    marker: bool,
    timestamp: u32,
    sent: u64,
    /// In the loop; None is silence.
    at: Option<u32>,
}

/// See the file's head.
#[derive(Debug)]
pub struct Sender {
    /// As it was asked for.
    pub stream: Stream,
    /// Packets sent, without those sent again.
    pub packets: u64,
    /// Packets sent again.
    pub repairs: u64,
    /// Keyframes that receivers asked for.
    pub keyframe_requests: u64,
    head: Head,
    repair: Option<Head>,
    started: Instant,
    /// Frames since `started`, and how many there may be.
    shown: u64,
    most: Option<u64>,
    frame: u64,
    wanted: bool,
    notes: Box<[Note]>,
    content: Content,
    /// The next frame's place in the loop.
    at: u32,
    /// Whether a voice is heard.
    pub talking: bool,
    /// Frames of silence so far, since when the person last talked.
    silent: u64,
    octets: u32,
}

impl Sender {
    /// A stream that waits to be played.
    #[must_use]
    pub fn new(now: Instant, stream: Stream, content: Content) -> Self {
        let head = Head::new(&stream, stream.ssrc, stream.codec.pt, stream.extensions.rid);
        let repair = stream.rtx_ssrc.zip(stream.codec.rtx_pt);
        Self {
            repair: repair.map(|(ssrc, pt)| Head::new(&stream, ssrc, pt, stream.extensions.repaired_rid)),
            head,
            stream,
            packets: 0,
            repairs: 0,
            keyframe_requests: 0,
            started: now,
            shown: 0,
            most: Some(0),
            frame: 0,
            wanted: true,
            notes: vec![Note::default(); REMEMBERED].into(),
            content,
            at: 0,
            talking: false,
            silent: 0,
            octets: 0,
        }
    }

    /// Send so many frames from now on, None without end; 0 stops.
    pub fn play(&mut self, now: Instant, frames: Option<u64>) {
        (self.started, self.shown, self.most) = (now, 0, frames);
    }

    /// When the next frame is due: on an absolute schedule, whatever became of those before.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        let more = self.most.is_none_or(|most| self.shown < most);
        more.then(|| self.started + Duration::from_secs_f64(self.shown as f64 / self.stream.fps.max(0.01)))
    }

    /// Somebody cannot go on without a keyframe.
    pub fn ask(&mut self) {
        self.wanted = true;
        self.keyframe_requests += 1;
    }

    /// The numbers of the next frame's packets, if it is due: none for silence. `wall`: nanoseconds since the Unix epoch.
    pub fn frame(&mut self, now: Instant, epoch: Instant, wall: u64) -> Option<Range<u64>> {
        let first = self.packets;
        let mut due = self.due().filter(|due| *due <= now)?;
        if !matches!(self.content, Content::Marked) && now - due > STOPPED {
            self.shown = ((now - self.started).as_secs_f64() * self.stream.fps) as u64;
            due = self.due().filter(|due| *due <= now)?;
        }
        let seconds = due.saturating_duration_since(epoch).as_secs_f64();
        let timestamp = (seconds * f64::from(self.stream.codec.clock)) as u64 as u32;
        let (pieces, note) = self.next_frame((seconds * self.stream.fps).round() as u64);
        for piece in 0..pieces {
            let marker = note.marker || (self.stream.codec.format != Format::Opus && piece + 1 == pieces);
            let note = Note { number: self.packets, piece, marker, timestamp, sent: wall, ..note };
            self.octets = self.octets.wrapping_add(self.body(&note) as u32);
            if let Some(place) = self.notes.get_mut(self.packets as usize % REMEMBERED) {
                *place = note;
            }
            self.packets += 1;
        }
        self.frame += 1;
        self.shown += 1;
        Some(first..self.packets)
    }

    /// How many packets the next frame has, and what is the same for all of them. `clock`: frames since the epoch.
    fn next_frame(&mut self, clock: u64) -> (u16, Note) {
        let mut note = Note { frame: self.frame, ..Note::default() };
        match &self.content {
            Content::Marked => {
                let every = self.stream.keyframe_every;
                note.keyframe = std::mem::take(&mut self.wanted) || (every > 0 && self.frame.is_multiple_of(every));
                (self.stream.burst.max(1), note)
            }
            Content::Camera(loops, person, rank) => {
                let Some(layer) = loops.layer(*person, *rank).filter(|layer| !layer.0.is_empty()) else {
                    return (0, note);
                };
                // At each keyframe a layer falls in with the others, so that their pictures are of one time.
                if std::mem::take(&mut self.wanted) || layer.is_key(self.at as usize) {
                    self.at = layer.key_near(clock) as u32;
                    note.keyframe = true;
                }
                note.at = Some(self.at);
                let pieces = loops::cut(loops.frame((*person, *rank, self.at)).len()).len() as u16;
                self.at = (self.at + 1) % layer.0.len() as u32;
                (pieces, note)
            }
            Content::Voice(loops, person) => {
                let length = loops.person(*person).map_or(0, |person| person.voice.len()) as u32;
                if !self.talking || length == 0 {
                    self.at = 0;
                    self.silent += 1;
                    return (u16::from((self.silent - 1).is_multiple_of(COMFORT)), note);
                }
                note.marker = self.at == 0;
                note.at = Some(self.at % length);
                self.at += 1;
                self.silent = 0;
                (1, note)
            }
        }
    }

    /// The number that a sequence number means, if it is still remembered.
    #[must_use]
    pub fn remembered(&self, sequence: u16) -> Option<u64> {
        let back = (self.first() + self.packets).wrapping_sub(1) as u16;
        let number = self.packets.checked_sub(1)?.checked_sub(u64::from(back.wrapping_sub(sequence)))?;
        self.notes.get(number as usize % REMEMBERED).filter(|note| note.number == number).map(|note| note.number)
    }

    /// Below 2^15, so that no receiver mistakes its rollover.
    fn first(&self) -> u64 {
        u64::from(self.stream.ssrc & 0x7FFF)
    }

    /// The extended sequence number of a packet.
    #[must_use]
    pub fn index(&self, number: u64) -> u64 {
        self.first() + number
    }

    /// Write a packet that a frame gave; its bytes.
    pub fn write(&self, number: u64, own: &Own, out: &mut [u8]) -> usize {
        let Some(note) = self.notes.get(number as usize % REMEMBERED) else { return 0 };
        let room = out.len();
        let sequence = self.index(number) as u16;
        if let Content::Voice(..) = self.content
            && let Some(place) = self.head.level
        {
            let rest = self.head.write(out, sequence, note.timestamp, note.marker, own);
            self.payload(note, rest);
            if let Some(level) = out.get_mut(place) {
                *level = note.at.map_or(127, |_| 0x80 | self.loudness(note) & 0x7F);
            }
            return room;
        }
        let rest = self.head.write(out, sequence, note.timestamp, note.marker, own);
        self.payload(note, rest);
        room
    }

    fn loudness(&self, note: &Note) -> u8 {
        let Content::Voice(loops, person) = &self.content else { return self.stream.level };
        let said = note.at.and_then(|at| loops.person(*person)?.voice.get(at as usize));
        said.map_or(127, |(_, level)| *level)
    }

    /// A packet is to be sent again, on the stream for that (RFC 4588 §4): its index there. None without such a stream.
    pub fn again(&mut self) -> Option<u64> {
        self.repair.as_ref()?;
        self.repairs += 1;
        Some(self.first() + self.repairs)
    }

    /// The bytes of what `again` allowed.
    pub fn rewrite(&self, number: u64, index: u64, own: &Own, out: &mut [u8]) -> usize {
        let note = self.notes.get(number as usize % REMEMBERED);
        let (Some(head), Some(note)) = (&self.repair, note) else { return 0 };
        let room = out.len();
        let rest = head.write(out, index as u16, note.timestamp, note.marker, own);
        let Some((original, rest)) = rest.split_first_chunk_mut() else { return 0 };
        *original = (self.index(number) as u16).to_be_bytes();
        self.payload(note, rest);
        room
    }

    /// The bytes of one packet of a loop, without the descriptor.
    fn piece(&self, note: &Note) -> &[u8] {
        let (bytes, piece) = match &self.content {
            Content::Marked => return &[],
            Content::Camera(loops, person, rank) => {
                let bytes = note.at.map_or(&[][..], |at| loops.frame((*person, *rank, at)));
                (bytes, loops::cut(bytes.len()).nth(note.piece.into()))
            }
            Content::Voice(loops, person) => {
                let said = note.at.and_then(|at| loops.person(*person)?.voice.get(at as usize));
                return said.map_or(loops::SILENCE, |(bytes, _)| bytes);
            }
        };
        piece.and_then(|piece| bytes.get(piece)).unwrap_or_default()
    }

    /// Pictures of a loop begin at any number, as a browser's do.
    fn describe(&self, note: &Note) -> [u8; DESCRIPTOR] {
        let first = if let Content::Marked = self.content { 0 } else { u64::from(self.stream.ssrc >> 16) };
        let picture = (first + note.frame) as u16;
        vp8::describe(note.piece == 0, picture & 0x7FFF, picture as u8)
    }

    fn payload(&self, note: &Note, out: &mut [u8]) {
        let mut body = out;
        let (width, height) = (self.stream.width.to_le_bytes(), self.stream.height.to_le_bytes());
        // RFC 6386 §9.1: a keyframe's tag, start code and size; any other frame's tag.
        let key = [0x10, 0, 0, 0x9D, 0x01, 0x2A, width[0], width[1], height[0], height[1]];
        let marked = matches!(self.content, Content::Marked);
        let tag: &[u8] = match (marked, note.piece == 0, note.keyframe) {
            (false, ..) => self.piece(note),
            (true, false, _) => &[],
            (true, true, true) => &key,
            (true, true, false) => &[0x31, 0, 0],
        };
        let vp8 = self.stream.codec.format == Format::Vp8;
        let descriptor = self.describe(note);
        let parts = [if vp8 { &descriptor[..] } else { &[] }, if vp8 || !marked { tag } else { &[] }];
        for part in parts {
            let Some((place, rest)) = body.split_at_mut_checked(part.len()) else { return };
            place.copy_from_slice(part);
            body = rest;
        }
        if marked {
            mark::write(body, Mark { publisher: self.stream.ssrc, number: note.number as u32, sent: note.sent });
        }
    }

    /// Bytes of a packet's payload.
    fn body(&self, note: &Note) -> usize {
        match &self.content {
            Content::Marked => {
                let least = self.head.bytes.len() + DESCRIPTOR + 10 + TRAILER;
                usize::from(self.stream.size).clamp(least, rtp::LONGEST - 64) - self.head.bytes.len()
            }
            Content::Camera(..) => DESCRIPTOR + self.piece(note).len(),
            Content::Voice(..) => self.piece(note).len(),
        }
    }

    /// Bytes of a packet that is remembered, and of the same sent again.
    #[must_use]
    pub fn room(&self, number: u64) -> (usize, usize) {
        let body = self.notes.get(number as usize % REMEMBERED).map_or(0, |note| self.body(note));
        let again = self.repair.as_ref().map_or(0, |head| head.bytes.len() + 2);
        (self.head.bytes.len() + body, again + body)
    }

    /// What a report says of its clock, with packets and bytes sent; None before the first packet.
    #[must_use]
    pub fn report(&self, now: Seconds, wall: u64) -> Option<(SenderReport, u32, u32)> {
        let packets = u32::try_from(self.packets & 0xFFFF_FFFF).ok().filter(|count| *count > 0)?;
        // NTP's epoch is 1900 (RFC 5905 §6).
        let seconds = wall / 1_000_000_000 + 2_208_988_800;
        let fraction = ((wall % 1_000_000_000) << 32) / 1_000_000_000;
        let rtp = (now * f64::from(self.stream.codec.clock)) as u64 as u32;
        let report = SenderReport { ssrc: self.stream.ssrc, ntp: seconds << 32 | fraction, rtp };
        Some((report, packets, self.octets))
    }
}
