//! One stream that a synthetic client sends: frames of equal packets at an even pace, and any of them again.
//!
//! It knows the schedule and the bytes, and neither key nor socket. What was sent is remembered as
//! 32 bytes a packet: the rest follows from them.

use std::ops::Range;
use std::time::{Duration, Instant};

use super::mark::{self, Mark, TRAILER};
use crate::command::{Codec, Extensions, Format};
use crate::media::extensions::Own;
use crate::media::rtcp::SenderReport;
use crate::media::rtp::ONE_BYTE;
use crate::media::{Seconds, rtp};

/// Packets that can be had again; a power of two.
const REMEMBERED: usize = 512;
/// A VP8 payload descriptor: X, S, 15-bit picture id, TL0PICIDX, layer 0 of one (RFC 7741 §4.2).
const DESCRIPTOR: usize = 6;

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

/// One packet that was sent: all that it takes to write it again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Note {
    number: u64,
    frame: u64,
    piece: u16,
    keyframe: bool,
    timestamp: u32,
    sent: u64,
}

/// The header of a stream's packets, and where in it what changes is.
#[derive(Debug)]
struct Head {
    bytes: Vec<u8>,
    send_time: Option<usize>,
    transport: Option<usize>,
}

impl Head {
    fn new(stream: &Stream, ssrc: u32, pt: u8, rid: u8) -> Self {
        let mut bytes = vec![0x90, pt, 0, 0, 0, 0, 0, 0];
        bytes.extend(ssrc.to_be_bytes());
        bytes.extend(ONE_BYTE.to_be_bytes());
        bytes.extend([0, 0]);
        let ids = &stream.extensions;
        let mut add = |id: u8, value: &[u8]| {
            if id == 0 || value.is_empty() {
                return None;
            }
            bytes.push(id << 4 | (value.len() as u8 - 1) & 0x0F);
            bytes.extend(value);
            Some(bytes.len() - value.len())
        };
        add(ids.mid, stream.mid.as_bytes().get(..16).unwrap_or(stream.mid.as_bytes()));
        add(rid, stream.rid.as_bytes().get(..16).unwrap_or(stream.rid.as_bytes()));
        // Marked as voice (RFC 6464 §3).
        add(ids.audio_level, &[0x80 | stream.level & 0x7F]);
        let send_time = add(ids.abs_send_time, &[0; 3]);
        let transport = add(ids.transport_cc, &[0; 2]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        let words = (bytes.len() as u16 - 16) / 4;
        bytes[14..16].copy_from_slice(&words.to_be_bytes());
        Self { bytes, send_time, transport }
    }

    /// Write it with its numbers; what follows it.
    fn write<'a>(&self, out: &'a mut [u8], sequence: u16, timestamp: u32, marker: bool, own: &Own) -> &'a mut [u8] {
        let Some((head, rest)) = out.split_at_mut_checked(self.bytes.len()) else { return &mut [] };
        head.copy_from_slice(&self.bytes);
        head[1] |= u8::from(marker) << 7;
        head[2..4].copy_from_slice(&sequence.to_be_bytes());
        head[4..8].copy_from_slice(&timestamp.to_be_bytes());
        for (at, value) in [(self.send_time, &own.send_time[..]), (self.transport, &own.number[..])] {
            if let Some(place) = at.and_then(|at| head.get_mut(at..at + value.len())) {
                place.copy_from_slice(value);
            }
        }
        rest
    }
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
}

impl Sender {
    /// A stream that waits to be played.
    #[must_use]
    pub fn new(now: Instant, stream: Stream) -> Self {
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

    /// The numbers of the next frame's packets, if it is due. `wall`: nanoseconds since the Unix epoch.
    pub fn frame(&mut self, now: Instant, epoch: Instant, wall: u64) -> Range<u64> {
        let first = self.packets;
        let Some(due) = self.due().filter(|due| *due <= now) else { return first..first };
        let clock = f64::from(self.stream.codec.clock);
        let timestamp = (due.saturating_duration_since(epoch).as_secs_f64() * clock) as u64 as u32;
        let every = self.stream.keyframe_every;
        let keyframe = std::mem::take(&mut self.wanted) || (every > 0 && self.frame.is_multiple_of(every));
        for piece in 0..self.stream.burst.max(1) {
            let number = self.packets;
            if let Some(place) = self.notes.get_mut(number as usize % REMEMBERED) {
                *place = Note { number, frame: self.frame, piece, keyframe, timestamp, sent: wall };
            }
            self.packets += 1;
        }
        self.frame += 1;
        self.shown += 1;
        first..self.packets
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
        let marker = self.stream.codec.format != Format::Opus && note.piece + 1 == self.stream.burst.max(1);
        let rest = self.head.write(out, self.index(number) as u16, note.timestamp, marker, own);
        self.payload(note, rest);
        room
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
        let rest = head.write(out, index as u16, note.timestamp, false, own);
        let Some((original, rest)) = rest.split_first_chunk_mut() else { return 0 };
        *original = (self.index(number) as u16).to_be_bytes();
        self.payload(note, rest);
        room
    }

    fn payload(&self, note: &Note, out: &mut [u8]) {
        let mut body = out;
        if self.stream.codec.format == Format::Vp8 {
            let (width, height) = (self.stream.width.to_le_bytes(), self.stream.height.to_le_bytes());
            let [.., high, low] = note.frame.to_be_bytes();
            let first = note.piece == 0;
            let descriptor = [if first { 0x90 } else { 0x80 }, 0xE0, 0x80 | high & 0x7F, low, low, 0x20];
            // RFC 6386 §9.1: a keyframe's tag, start code and size; any other frame's tag.
            let key = [0x10, 0, 0, 0x9D, 0x01, 0x2A, width[0], width[1], height[0], height[1]];
            let tag: &[u8] = match (first, note.keyframe) {
                (false, _) => &[],
                (true, true) => &key,
                (true, false) => &[0x31, 0, 0],
            };
            for part in [&descriptor[..], tag] {
                let Some((place, rest)) = body.split_at_mut_checked(part.len()) else { return };
                place.copy_from_slice(part);
                body = rest;
            }
        }
        mark::write(body, Mark { publisher: self.stream.ssrc, number: note.number as u32, sent: note.sent });
    }

    /// Bytes of a packet, and of one sent again.
    #[must_use]
    pub fn room(&self) -> (usize, usize) {
        let least = self.head.bytes.len() + DESCRIPTOR + 10 + TRAILER;
        let size = usize::from(self.stream.size).clamp(least, rtp::LONGEST - 64);
        let longer = self.repair.as_ref().map_or(0, |head| head.bytes.len() + 2).saturating_sub(self.head.bytes.len());
        (size, size + longer)
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
        let payload = self.room().0.saturating_sub(self.head.bytes.len()) as u32;
        Some((report, packets, packets.wrapping_mul(payload)))
    }
}
