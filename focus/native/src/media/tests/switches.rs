//! Ten thousand switches, between streams and within them: whatever the layers' numbers are, and however their packets
//! mingle, a subscriber gets one stream without a gap in any of its counters, on a clock that neither stands nor runs
//! away, in which each frame has all that it needs.

use std::collections::HashSet;

use super::*;

/// Of each format.
const SWITCHES: usize = 2500;
/// Ticks of a frame rate's clock between frames.
const FRAME: u32 = 3000;
const IDS: Extensions = Extensions {
    mid: 4,
    rid: 10,
    repaired_rid: 0,
    transport_cc: 0,
    audio_level: 0,
    abs_send_time: 0,
    video_orientation: 0,
    playout_delay: 0,
    dependency_descriptor: 12,
    abs_capture_time: 0,
};
/// Temporal ids of a group of pictures, whether a picture needs lower ids only, and which pictures of its group it
/// needs: as libvpx orders three layers. The first one needs the first one of the group before.
const GROUP: [(u8, bool, &[u32]); 4] = [(0, false, &[]), (2, true, &[0]), (1, true, &[0]), (2, false, &[1, 2])];

/// A frame's name: layer, picture, spatial id.
type Frame = (usize, u32, u8);

/// One layer of a sender, with counters that begin anywhere.
struct Layer {
    place: usize,
    ssrc: u32,
    rid: &'static str,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    tl0: u8,
    /// Pictures so far, and which of them began the group.
    pictures: u32,
    group: u32,
}

impl Layer {
    fn new(place: usize, rid: &'static str, draw: &mut Draw) -> Self {
        let mut near = |width: u32| {
            let turn = 1_u64 << width;
            // Half of them wrap soon.
            if draw.below(2) == 0 { turn - 1 - draw.below(400) } else { draw.below(turn) }
        };
        let (sequence, timestamp, picture, tl0) = (near(16) as u16, near(32) as u32, near(15) as u16, near(8) as u8);
        let ssrc = 0x1000 * (place as u32 + 1);
        Self { place, ssrc, rid, sequence, timestamp, picture, tl0, pictures: 0, group: 0 }
    }

    /// One picture: for each spatial id that the format has, a frame of so many packets. Each says at its end which frame
    /// it is of.
    fn picture(&mut self, format: Format, keyframe: bool, packets: usize) -> Vec<Vec<u8>> {
        if keyframe || self.pictures - self.group == 4 {
            self.group = self.pictures;
        }
        let (temporal, sync, _) = GROUP[(self.pictures - self.group) as usize];
        self.tl0 = self.tl0.wrapping_add(u8::from(temporal == 0));
        let heights = spatial(format);
        let mut made = vec![];
        for spatial in 0..heights {
            for at in 0..packets {
                let (first, last) = (at == 0, at + 1 == packets);
                let ends = last && spatial + 1 == heights;
                let key = keyframe && first && spatial == 0;
                let mut payload = match format {
                    Format::Vp8 => {
                        let mut made =
                            vp8(Some(self.picture), Some(self.tl0), keyframe, (640, 360), first, b"body", true);
                        made[5] = temporal << 6 | u8::from(sync) << 5;
                        made
                    }
                    Format::Vp9 => {
                        bytes::vp9(self.picture, self.tl0, (spatial, temporal, sync), !keyframe, first, last)
                    }
                    Format::H264 if keyframe => vec![0x7C, if first { 0x85 } else { 0x05 }, 1, 2],
                    Format::H264 => vec![0x7C, if first { 0x81 } else { 0x01 }, 1, 2],
                    _ => vec![0x10 | u8::from(key) << 3, 1, 2],
                };
                payload.extend(self.pictures.to_be_bytes());
                payload.extend([self.place as u8, spatial]);
                let mut descriptor = bytes::scalable(self.picture, 2, 3, 0);
                if !key {
                    descriptor.truncate(3);
                }
                descriptor[0] = u8::from(first) << 7 | u8::from(last) << 6 | (3 * spatial + temporal);
                let named = [(4, &b"1"[..]), (10, self.rid.as_bytes()), (12, &descriptor[..])];
                let extensions = if format == Format::Av1 { &named[..] } else { &named[..2] };
                made.push(packet(self.ssrc, self.sequence, self.timestamp, 96, &payload, extensions, ends, 0));
                self.sequence = self.sequence.wrapping_add(1);
            }
            if format == Format::Av1 {
                self.picture = self.picture.wrapping_add(1);
            }
        }
        self.timestamp = self.timestamp.wrapping_add(FRAME);
        if format != Format::Av1 {
            self.picture = self.picture.wrapping_add(1) & 0x7FFF;
        }
        self.pictures += 1;
        made
    }
}

fn spatial(format: Format) -> u8 {
    if matches!(format, Format::Vp9 | Format::Av1) { 2 } else { 1 }
}

/// What a packet says at its end.
fn named(packet: &Read) -> Frame {
    let tail = packet.payload.last_chunk::<6>().unwrap();
    (usize::from(tail[4]), u32::from_be_bytes([tail[0], tail[1], tail[2], tail[3]]), tail[5])
}

/// Picture id or frame number with its width, and TL0PICIDX.
fn counters(format: Format, packet: &Read) -> Option<(u16, u16, u8)> {
    match format {
        Format::Vp8 => Some(numbers(packet)).map(|(picture, tl0)| (picture, 0x7FFF, tl0)),
        Format::Vp9 => {
            let numbering = super::super::vp9::parse(&packet.payload)?.numbering?;
            Some((numbering.picture?.0, 0x7FFF, numbering.tl0?.0))
        }
        Format::Av1 => {
            let descriptor = &packet.extensions.iter().find(|element| element.0 == 12)?.1;
            Some((u16::from_be_bytes([descriptor[1], descriptor[2]]), 0xFFFF, 0))
        }
        _ => None,
    }
}

/// What a subscriber knows of the stream so far.
#[derive(Default)]
struct Viewer {
    last: Option<Read>,
    /// Frames that came, of the stream that comes now.
    had: HashSet<Frame>,
    /// Pictures of each layer by number: did a keyframe begin there, and where in its group does it stand?
    places: HashSet<(usize, u32, bool, u32)>,
    /// Frames by temporal id.
    pictures: [usize; 3],
}

impl Viewer {
    /// Hold a packet against the one before it.
    fn take(&mut self, format: Format, packet: Read) {
        let (layer, picture, height) = named(&packet);
        let (&(_, _, keyframe, place), first) = {
            let here = |entry: &&(usize, u32, bool, u32)| (entry.0, entry.1) == (layer, picture);
            (self.places.iter().find(here).expect("it was sent"), !self.had.contains(&(layer, picture, height)))
        };
        if let Some(last) = self.last.take() {
            assert_eq!(packet.sequence.wrapping_sub(last.sequence), 1, "{format:?}");
            let went = packet.timestamp.wrapping_sub(last.timestamp);
            assert!(went == 0 || (1..=20 * FRAME).contains(&went), "{format:?}: the clock went on by {went}");
            let before = named(&last);
            let switched = before.0 != layer;
            let new = went != 0;
            if let Some(((was, mask, tl0), (is, _, then))) = counters(format, &last).zip(counters(format, &packet)) {
                // Only VP8's pictures are numbered anew: elsewhere frames name each other by their differences.
                let step = match format {
                    Format::Vp8 => u32::from(new),
                    _ if switched => 1,
                    Format::Vp9 => picture - before.1,
                    _ => 2 * (picture - before.1) + u32::from(height) - u32::from(before.2),
                };
                assert_eq!(u32::from(is.wrapping_sub(was) & mask), step, "{format:?}");
                let lowest = new && place == 0 && format != Format::Av1;
                assert_eq!(then.wrapping_sub(tl0), u8::from(lowest), "{format:?}");
            }
            if switched {
                assert!(keyframe && height == 0, "a stream begins with a keyframe");
                self.had.clear();
            } else {
                assert_eq!(last.marker, new, "{format:?}: a picture ends where the next one begins");
            }
        }
        if first {
            let group = picture - place;
            // A "switch" of AV1's says that nothing of a higher id from before is needed.
            let needs = GROUP[place as usize].2.iter().filter(|at| format != Format::Av1 || **at != 1);
            let mut needed: Vec<Frame> = needs.map(|at| (layer, group + at, height)).collect();
            if place == 0 && !keyframe {
                needed.push((layer, group - 4, height));
            }
            if height > 0 {
                needed.push((layer, picture, height - 1));
            }
            for frame in needed {
                assert!(self.had.contains(&frame), "{format:?}: {frame:?} is needed by {picture} {height}");
            }
            self.had.insert((layer, picture, height));
            self.pictures[usize::from(GROUP[place as usize].0)] += 1;
        }
        self.last = Some(packet);
    }
}

fn switch_often(format: Format, seed: u64) -> usize {
    let mut draw = Draw::new(seed);
    let from = Expect { codecs: vec![Codec { format, ..VP8 }], extensions: IDS, ..expect(&["f", "h", "q"], &[]) };
    let sink = Extensions { mid: 1, dependency_descriptor: 12, ..Extensions::default() };
    let to = Route { codecs: vec![Codec { format, ..SINK_VP8 }], extensions: sink, ..route() };
    let mut relay = Relay::of(from, to);
    let mut layers = [(0, "f"), (1, "h"), (2, "q")].map(|(place, rid)| Layer::new(place, rid, &mut draw));
    let (mut switches, mut within, mut tick) = (0, 0, 0_u32);
    let mut viewer = Viewer::default();
    let mut begun: Option<(f64, u32)> = None;
    while switches < SWITCHES {
        let now = f64::from(tick) * f64::from(FRAME) / 90_000.0;
        relay.tick(now);
        if tick == 0 || draw.below(3) == 0 {
            let target = ["f", "h", "q"][draw.below(3) as usize];
            let some = |draw: &mut Draw, most| Some(draw.below(most) as u8).filter(|_| draw.below(3) > 0);
            let highest = Highest::new(some(&mut draw, 2), some(&mut draw, 3));
            relay.aim_within(Some(target), highest, now);
            within += usize::from(highest != Highest::ALL);
        }
        if draw.below(20) == 0 {
            for layer in &layers {
                let report = bytes::sender_report(layer.ssrc, 1e9 + now, layer.timestamp);
                relay.control(P, &report, now);
            }
        }
        // Packets of the layers mingle; those of one keep their order.
        let mut frames: Vec<_> = layers
            .iter_mut()
            .map(|layer| {
                let keyframe = tick == 0 || draw.below(4) == 0;
                let made = layer.picture(format, keyframe, 1 + draw.below(4) as usize);
                viewer.places.retain(|entry| entry.0 != layer.place || entry.1 + 2 > layer.pictures);
                viewer.places.insert((layer.place, layer.pictures - 1, keyframe, layer.pictures - 1 - layer.group));
                made.into_iter()
            })
            .collect();
        while frames.iter().any(|frame| frame.len() > 0) {
            let at = draw.below(3) as usize;
            if let Some(packet) = frames[at].next() {
                relay.publish(&[packet], now);
            }
        }
        tick += 1;
        switches += relay.events().iter().filter(|event| matches!(event, Event::Switched { .. })).count();
        for packet in relay.got() {
            viewer.take(format, packet);
        }
        relay.sinks.rtp.clear();
        if let Some(newest) = &viewer.last {
            let (start, first) = *begun.get_or_insert((now, newest.timestamp));
            let expected = ((now - start) * 90_000.0).round() as u32;
            let ahead = newest.timestamp.wrapping_sub(first).wrapping_sub(expected) as i32;
            // Pictures that are left out are not behind.
            assert!(ahead <= 2 * FRAME as i32, "{format:?}: {ahead} ticks ahead after {switches} switches");
            assert!(ahead >= -8 * FRAME as i32, "{format:?}: {ahead} ticks behind after {switches} switches");
        }
    }
    assert!(within > SWITCHES / 2, "{within}");
    let temporal = if format == Format::H264 { 0 } else { 2 };
    assert!(viewer.pictures.iter().take(temporal + 1).all(|count| *count > 100), "{:?}", viewer.pictures);
    switches
}

#[test]
fn ten_thousand_switches_leave_no_gap_and_the_clock_goes_on() {
    let formats = [Format::Vp8, Format::Vp9, Format::Av1, Format::H264];
    let total: usize = formats.into_iter().zip(1..).map(|(format, seed)| switch_often(format, seed)).sum();
    assert!(total >= 10_000);
}
