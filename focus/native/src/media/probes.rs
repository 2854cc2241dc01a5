//! Any bytes at the surfaces of the packet path: packets, reports, extensions, descriptors. See `crate::probes`.

mod ledger;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bytes::{packet, vp8};
use super::dependency::Templates;
use super::{Media, PeerKey, av1, extensions, frame, rtcp as reports, rtp as packets, twcc};
use crate::command::{Codec, Expect, Extensions, Format, Highest, Kind, Rid, Route, RouteId, Tally};
use crate::probes::Input;
use ledger::Ledger;

const PUBLISHER: PeerKey = 0;
const SINK: PeerKey = 1;
/// Of the first track; each further one has the next.
const PUBLISHED: u32 = 0x1000;
const ROUTED: u32 = 0x0A0B_7FF0;
/// A jump in the input beyond this many packets is a restart, not loss: see `rewriter`.
const RESTARTED: u16 = 500;

/// Ids under which both sides know extensions.
const IDS: Extensions = Extensions {
    mid: 4,
    rid: 10,
    repaired_rid: 11,
    transport_cc: 3,
    audio_level: 1,
    abs_send_time: 2,
    video_orientation: 5,
    playout_delay: 6,
    dependency_descriptor: 12,
    abs_capture_time: 7,
};

/// Tracks of every format from a publisher to a sink.
struct Relay {
    media: Media,
    ledger: Ledger,
    tally: Tally,
    now: Instant,
}

const FORMATS: [Format; 6] = [Format::Vp8, Format::Vp9, Format::H264, Format::Av1, Format::Other, Format::Opus];

impl Relay {
    /// Tracks of the first so many formats. The first has layers, the others are known by their SSRC.
    fn new(tracks: usize) -> Self {
        let now = Instant::now();
        let mut media = Media::new(now);
        media.open(PUBLISHER, Arc::from("p"));
        media.open(SINK, Arc::from("s"));
        for (place, format) in FORMATS.iter().enumerate().take(tracks) {
            let number = place as u8;
            let clock = if *format == Format::Opus { 48_000 } else { 90_000 };
            let codec = Codec { format: *format, clock, pt: 96 + 2 * number, rtx_pt: Some(97 + 2 * number) };
            let track = Arc::from(format!("t{place}"));
            let ssrc = PUBLISHED + 2 * u32::from(number);
            let layered = place == 0;
            let expect = Expect {
                track: Arc::clone(&track),
                peer: Arc::from("p"),
                mid: number.to_string(),
                kind: if *format == Format::Opus { Kind::Audio } else { Kind::Video },
                codecs: vec![codec],
                extensions: IDS,
                rids: if layered { vec!["f".into(), "h".into(), "q".into()] } else { Vec::new() },
                ssrcs: if layered { Vec::new() } else { vec![ssrc, ssrc + 1] },
            };
            let route = Route {
                route: RouteId::from(number),
                track,
                peer: Arc::from("s"),
                mid: format!("w{place}"),
                codecs: vec![codec],
                extensions: Extensions { rid: 0, repaired_rid: 0, ..IDS },
                ssrc: ROUTED + 2 * u32::from(number),
                rtx_ssrc: Some(ROUTED + 2 * u32::from(number) + 1),
            };
            assert!(media.expect(PUBLISHER, expect) && media.route(SINK, route));
        }
        let mut relay = Self { media, ledger: Ledger::default(), tally: Tally::default(), now };
        for place in 0..tracks {
            relay.aim(place as u8, Some(if place == 0 { "q" } else { "" }));
        }
        relay
    }

    fn aim(&mut self, route: u8, rid: Option<&str>) {
        self.aim_within(route, rid, Highest::ALL);
    }

    fn aim_within(&mut self, route: u8, rid: Option<&str>, highest: Highest) {
        let Self { media, ledger, tally, now } = self;
        media.set_layer(*now, RouteId::from(route), rid.map(Rid::from), highest, ledger, tally);
    }

    fn packet(&mut self, packet: &[u8]) {
        self.media.rtp(self.now, PUBLISHER, packet, &mut self.ledger, &mut self.tally);
    }

    fn report(&mut self, from: PeerKey, compound: &[u8]) {
        self.media.rtcp(self.now, from, compound, &mut self.ledger, &mut self.tally);
    }

    fn pass(&mut self, milliseconds: u64) {
        self.now += Duration::from_millis(milliseconds);
        self.media.tick(self.now, &mut self.ledger, &mut self.tally);
        self.media.drain(&mut Vec::new());
    }
}

const RIDS: [&str; 3] = ["f", "h", "q"];

/// Packets of a publisher who has keys and no manners, between switches, requests and ticks.
pub fn rtp(data: &[u8]) {
    let as_it_is = packets::parse(data);
    if let Some(header) = as_it_is {
        assert!(header.payload.of(data).len() == usize::from(header.payload.len));
        for (_, place) in header.elements(data) {
            assert_eq!(place.of(data).len(), usize::from(place.len));
        }
    }
    let mut input = Input::new(data);
    let mut relay = Relay::new(FORMATS.len());
    let mut sequences = [65_530_u16; 9];
    while !input.over() {
        match input.byte() {
            0 => relay.packet(input.piece()),
            1 => relay.pass(u64::from(input.byte()) * 8),
            2 => {
                let rid = input.byte();
                relay.aim(input.byte() % 6, Some(RIDS.get(usize::from(rid)).copied().unwrap_or_default()));
            }
            3 => relay.aim(input.byte() % 6, None),
            4 => relay
                .report(SINK, &super::bytes::nack(1, ROUTED + u32::from(input.byte()), &[input.pair(), input.pair()])),
            other => {
                // A packet in order but for what the input says.
                let place = usize::from(other % 8);
                let number = place.saturating_sub(2);
                let rid = RIDS.get(place).copied().unwrap_or_default();
                let (ssrc, format) = (PUBLISHED + 0x100 * u32::from(place < 3) + 2 * place as u32, number as u8);
                let Some(sequence) = sequences.get_mut(place) else { continue };
                *sequence = sequence.wrapping_add(u16::from(input.byte() % 4));
                let (pt, repair) = (96 + 2 * format, input.byte());
                let again = repair % 8 == 7;
                let mid = format.to_string();
                let named = [(IDS.mid, mid.as_bytes()), (IDS.rid, rid.as_bytes())];
                let named = if rid.is_empty() { &named[..1] } else { &named };
                let made = packet(
                    ssrc + u32::from(again),
                    *sequence,
                    u32::from(*sequence) * 3_000,
                    pt + u8::from(again),
                    input.piece(),
                    named,
                    repair & 8 != 0,
                    repair >> 4,
                );
                relay.packet(&made);
            }
        }
    }
}

/// Compound packets of a sink and of a publisher, while something flows.
pub fn rtcp(data: &[u8]) {
    for report in reports::parse(data) {
        match report {
            reports::Report::Receiver(body) => assert!(reports::blocks(body).count() <= reports::MOST_BLOCKS),
            reports::Report::Nack(_, pairs) => assert!(reports::nacked(pairs).count() <= reports::MOST_NACKS),
            reports::Report::FullIntra(entries) => assert!(reports::first_words(entries).count() >= 1),
            _ => {}
        }
    }
    let mut told = 0;
    twcc::read(data, |_, _| told += 1);
    assert!(told <= usize::from(u16::MAX));

    let mut relay = Relay::new(2);
    for number in 0..8 {
        let payload = vp8(Some(number), Some(number as u8), number == 0, (640, 360), true, &[7; 100], true);
        let named = [(IDS.mid, &b"0"[..]), (IDS.rid, b"q"), (IDS.transport_cc, &[0, number as u8])];
        relay.packet(&packet(0x2000, number, 3_000 * u32::from(number), 96, &payload, &named, true, 0));
    }
    let mut input = Input::new(data);
    while !input.over() {
        let kind = input.byte();
        let compound = input.piece();
        let before = relay.ledger.bytes;
        relay.report(if kind & 1 == 0 { SINK } else { PUBLISHER }, compound);
        // Each of the eight packets may come once more, and reports are told on: not more, whatever was asked for.
        assert!(relay.ledger.bytes - before <= 8 * 200 + 64 * (1 + compound.len() / 8));
        relay.pass(u64::from(kind >> 1));
    }
}

/// Ids as the input has them, and a packet's extensions under them: what is copied comes out whole.
pub fn extensions(data: &[u8]) {
    let mut input = Input::new(data);
    let mut ids = || Extensions {
        mid: input.byte(),
        rid: input.byte(),
        repaired_rid: input.byte(),
        transport_cc: input.byte(),
        audio_level: input.byte(),
        abs_send_time: input.byte(),
        video_orientation: input.byte(),
        playout_delay: input.byte(),
        dependency_descriptor: input.byte(),
        abs_capture_time: input.byte(),
    };
    let (source, sink) = (ids(), ids());
    let (wide, block) = (input.byte() & 1 == 1, input.rest());
    let block = block.get(..block.len().min(1024) & !3).unwrap_or_default();
    let profile = if wide { packets::TWO_BYTE } else { packets::ONE_BYTE };
    let words = (block.len() / 4) as u16;
    let made = [&[0x90, 96][..], &[0; 10], &profile.to_be_bytes(), &words.to_be_bytes(), block, b"payload"].concat();
    let header = packets::parse(&made).expect("lengths hold");
    for id in [source.mid, source.rid, source.repaired_rid] {
        let _ = extensions::find(&header, &made, id);
    }
    let (copies, _) = extensions::read(&header, &made, &source);
    let frame = (words & 1 == 1).then_some(0x1234);
    let own = extensions::Own::new(f64::from(words), words, frame);
    let written = extensions::Block::new(&sink, b"w0", &own, &copies, &made);
    let mut out = [&[0x80, 96][..], &[0; 10]].concat();
    out.resize(12 + written.length(), 0xEE);
    if written.length() > 0 {
        if let Some(first) = out.first_mut() {
            *first |= 0x10;
        }
        written.write(out.get_mut(12..).unwrap_or_default());
    }
    if out.len() > packets::LONGEST {
        return;
    }
    let header = packets::parse(&out).expect("what is written can be read");
    assert_eq!(header.payload.len, 0);
    let taken = [sink.mid, sink.transport_cc, sink.abs_send_time, sink.audio_level, sink.video_orientation];
    let taken = taken.into_iter().chain([sink.playout_delay, sink.dependency_descriptor, sink.abs_capture_time]);
    let once = taken.filter(|id| *id != 0).collect::<Vec<_>>();
    let distinct = once.iter().collect::<HashSet<_>>().len() == once.len();
    if distinct && sink.dependency_descriptor != 0 {
        let found = extensions::find(&header, &out, sink.dependency_descriptor);
        let copied = copies.get(extensions::DEPENDENCY).copied().flatten().map(|place| place.of(&made).to_vec());
        let renumbered = copied.map(|mut descriptor| {
            if let Some(frame) = frame {
                av1::renumber(&mut descriptor, frame);
            }
            descriptor
        });
        assert_eq!(found, renumbered.as_deref(), "carried whole but for the frame's number, or absent");
    }
}

/// A payload of each format, and its dependency descriptor: what is understood can be renumbered and read again.
pub fn descriptors(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(format) = FORMATS.get(usize::from(input.byte()) % FORMATS.len()) else { return };
    let descriptor = input.byte() & 1 == 1;
    let descriptor = descriptor.then(|| input.piece());
    let payload = input.rest();
    if payload.is_empty() || payload.len() > packets::LONGEST {
        return;
    }
    let mut templates = Templates::default();
    descriptor.into_iter().for_each(|descriptor| templates.learn(0, descriptor));
    let Some(found) = frame::understand(*format, payload, descriptor, &templates) else { return };
    if let (Some(descriptor), Some(_)) = (descriptor, found.number) {
        let mut twin = descriptor.to_vec();
        av1::renumber(&mut twin, 0x1234);
        let again = frame::understand(*format, payload, Some(&twin), &templates);
        assert_eq!(again, Some(frame::Frame { number: Some(0x1234), ..found }), "nothing but the number");
    }
    let Some(numbering) = found.numbering else { return };
    let mut out = vec![0xEE; numbering.length(payload)];
    numbering.write(payload, &mut out, 0x1234, 0x56);
    let again = frame::understand(*format, &out, descriptor, &templates).expect("what is written can be read");
    let renumbered = again.numbering.expect("it keeps its numbers");
    assert_eq!((again.keyframe, again.width, again.height), (found.keyframe, found.width, found.height));
    assert_eq!(renumbered.picture.map(|picture| picture.0), numbering.picture.map(|_| 0x1234));
    if numbering.picture.is_some() {
        assert!(renumbered.wide && renumbered.tl0.map(|tl0| tl0.0) == numbering.tl0.map(|_| 0x56));
    }
}

/// A camera with three layers that loses, repeats, reorders, jumps and pads; a viewer who switches. No number goes out
/// twice, and no gap is left but for what may be loss.
pub fn rewriter(data: &[u8]) {
    let mut input = Input::new(data);
    let mut relay = Relay::new(1);
    let first = input.pair();
    let mut cameras = [(first, 0_u32, first), (first ^ 0x5555, 7_000, 9), (0, 1_000_000, 126)];
    let mut loss = 0_u64;
    while !input.over() {
        let step = input.byte();
        let place = usize::from(step & 3) % 3;
        let Some((sequence, timestamp, picture)) = cameras.get_mut(place) else { return };
        let argument = input.byte();
        let mut number = *sequence;
        match step >> 2 & 15 {
            0 => {
                relay.aim(0, RIDS.get(usize::from(argument)).copied());
                loss += 1;
                continue;
            }
            1 => {
                relay.pass(u64::from(argument) * 4);
                continue;
            }
            2 => {
                *sequence = sequence.wrapping_add(u16::from(argument));
                loss += u64::from(argument);
                continue;
            }
            3 => {
                let jump = RESTARTED + 100 + u16::from(argument) * 64;
                *sequence = sequence.wrapping_add(jump);
                // What is late may be of what was jumped over: then the rest of that may be loss.
                loss += 256;
                continue;
            }
            4 => {
                // A stream may begin with it: what came between was for nobody, and is as good as lost.
                number = number.wrapping_sub(u16::from(argument));
                loss += u64::from(argument);
            }
            5 => *picture = picture.wrapping_add(u16::from(argument)),
            6 => *timestamp = timestamp.wrapping_add(u32::from(argument) << 24),
            7 => {
                let (ntp, rtp) = (f64::from(argument), *timestamp);
                relay.report(PUBLISHER, &super::bytes::sender_report(0x2000 + 2 * place as u32, ntp, rtp));
                continue;
            }
            8 => {
                let asked = [input.pair(), input.pair()];
                relay.report(SINK, &super::bytes::nack(1, ROUTED, &asked));
                continue;
            }
            9 => {
                let highest = Highest::new(None, Some(argument >> 6).filter(|id| *id < 3));
                relay.aim_within(0, RIDS.get(usize::from(argument & 3)).copied(), highest);
                loss += 1;
                continue;
            }
            _ => {}
        }
        if number == *sequence {
            *sequence = sequence.wrapping_add(1);
            *timestamp = timestamp.wrapping_add(3_000);
            *picture = picture.wrapping_add(1);
        } else {
            loss += 1;
        }
        let keyframe = argument & 7 == 0;
        let wide = step & 0x40 == 0;
        let mut payload = vp8(Some(*picture), Some(*picture as u8), keyframe, (640, 360), true, b"body", wide);
        if let Some(ids) = payload.get_mut(if wide { 5 } else { 4 }).filter(|_| step & 0x80 != 0) {
            // A temporal id, and perhaps that the frame needs lower ones only.
            *ids = (*picture as u8) << 6 | argument & 0x20;
        }
        let payload = if argument == 255 { Vec::new() } else { payload };
        let named = [(IDS.mid, &b"0"[..]), (IDS.rid, RIDS.get(place).map_or(&b""[..], |rid| rid.as_bytes()))];
        let ssrc = 0x2000 + 2 * place as u32;
        let made = packet(ssrc, number, *timestamp, 96, &payload, &named, true, u8::from(argument == 255) * 9);
        relay.packet(&made);
    }
    let numbers = &mut relay.ledger.numbers;
    numbers.sort_unstable();
    let span = numbers.last().zip(numbers.first()).map_or(0, |(last, first)| last - first + 1);
    assert!(span <= numbers.len() as u64 + loss, "{span} numbers for {} packets and {loss} lost", numbers.len());
}

#[cfg(test)]
#[path = "probes_tests.rs"]
mod tests;
