//! Ten thousand switches: whatever the layers' numbers are, and however their packets mingle, a subscriber gets one
//! stream without a gap in any of its counters, on a clock that neither stands nor runs away.

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

/// One layer of a sender, with counters that begin anywhere.
struct Layer {
    ssrc: u32,
    rid: &'static str,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    tl0: u8,
}

impl Layer {
    fn new(ssrc: u32, rid: &'static str, draw: &mut Draw) -> Self {
        let mut near = |width: u32| {
            let turn = 1_u64 << width;
            // Half of them wrap soon.
            if draw.below(2) == 0 { turn - 1 - draw.below(400) } else { draw.below(turn) }
        };
        let (sequence, timestamp) = (near(16) as u16, near(32) as u32);
        Self { ssrc, rid, sequence, timestamp, picture: near(15) as u16, tl0: near(8) as u8 }
    }

    /// One frame of so many packets.
    fn frame(&mut self, format: Format, keyframe: bool, packets: usize) -> Vec<Vec<u8>> {
        let made = (0..packets).map(|at| {
            let (first, last) = (at == 0, at + 1 == packets);
            let mut descriptor = bytes::structure(self.picture, 1, 1, &[(640, 360)]);
            if !(keyframe && first) {
                descriptor.truncate(3);
                descriptor[0] = u8::from(first) << 7 | u8::from(last) << 6;
            }
            let payload = match format {
                Format::Vp8 => vp8(Some(self.picture), Some(self.tl0), keyframe, (640, 360), first, b"body", true),
                Format::Vp9 => {
                    let flags = 0x80 | u8::from(!keyframe) << 6 | u8::from(first) << 3 | u8::from(last) << 2;
                    let picture = (0x8000 | self.picture).to_be_bytes();
                    vec![flags, picture[0], picture[1], b'x', b'y', b'z']
                }
                Format::H264 if keyframe => vec![0x7C, if first { 0x85 } else { 0x05 }, 1, 2],
                Format::H264 => vec![0x7C, if first { 0x81 } else { 0x01 }, 1, 2],
                _ => vec![0x10 | u8::from(keyframe && first) << 3, 1, 2],
            };
            let named = [(4, &b"1"[..]), (10, self.rid.as_bytes()), (12, &descriptor[..])];
            let extensions = if format == Format::Av1 { &named[..] } else { &named[..2] };
            let sequence = self.sequence.wrapping_add(at as u16);
            packet(self.ssrc, sequence, self.timestamp, 96, &payload, extensions, last, 0)
        });
        let made = made.collect();
        self.sequence = self.sequence.wrapping_add(packets as u16);
        self.timestamp = self.timestamp.wrapping_add(FRAME);
        self.picture = self.picture.wrapping_add(1) & if format == Format::Av1 { 0xFFFF } else { 0x7FFF };
        self.tl0 = self.tl0.wrapping_add(1);
        made
    }
}

/// The counters of a packet that must not have a gap beside its sequence number: picture id or frame number, and TL0PICIDX.
fn counters(format: Format, packet: &Read) -> Option<(u16, u16, u8)> {
    match format {
        Format::Vp8 => Some(numbers(packet)).map(|(picture, tl0)| (picture, 0x7FFF, tl0)),
        Format::Vp9 => {
            let numbering = super::super::vp9::parse(&packet.payload)?.numbering?;
            Some((numbering.picture?.0, 0x7FFF, 0))
        }
        Format::Av1 => {
            let descriptor = &packet.extensions.iter().find(|element| element.0 == 12)?.1;
            Some((u16::from_be_bytes([descriptor[1], descriptor[2]]), 0xFFFF, 0))
        }
        _ => None,
    }
}

/// Hold two packets that followed each other in the output against each other.
fn compare(format: Format, two: &[Read]) {
    assert_eq!(two[1].sequence.wrapping_sub(two[0].sequence), 1, "{format:?}");
    let went = two[1].timestamp.wrapping_sub(two[0].timestamp);
    let same = went == 0;
    assert!(same || (1..=20 * FRAME).contains(&went), "{format:?}: the clock went on by {went}");
    if let Some(((was, mask, tl0), (is, _, then))) = counters(format, &two[0]).zip(counters(format, &two[1])) {
        assert_eq!(is.wrapping_sub(was) & mask, u16::from(!same), "{format:?}");
        assert_eq!(then.wrapping_sub(tl0), u8::from(!same && format == Format::Vp8), "{format:?}");
    }
}

fn switch_often(format: Format, seed: u64) -> usize {
    let mut draw = Draw::new(seed);
    let from = Expect { codecs: vec![Codec { format, ..VP8 }], extensions: IDS, ..expect(&["f", "h", "q"], &[]) };
    let sink = Extensions { mid: 1, dependency_descriptor: 12, ..Extensions::default() };
    let to = Route { codecs: vec![Codec { format, ..SINK_VP8 }], extensions: sink, ..route() };
    let mut relay = Relay::of(from, to);
    let mut layers = [("f", 0x1000), ("h", 0x2000), ("q", 0x3000)].map(|(rid, ssrc)| Layer::new(ssrc, rid, &mut draw));
    let (mut switches, mut tick) = (0, 0_u32);
    let mut last: Option<Read> = None;
    let mut begun: Option<(f64, u32)> = None;
    while switches < SWITCHES {
        let now = f64::from(tick) * f64::from(FRAME) / 90_000.0;
        relay.tick(now);
        if tick == 0 || draw.below(3) == 0 {
            let target = ["f", "h", "q"][draw.below(3) as usize];
            relay.aim(Some(target), now);
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
                layer.frame(format, keyframe, 1 + draw.below(4) as usize).into_iter()
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
        let mut got: Vec<Read> = last.take().into_iter().collect();
        got.extend(relay.got());
        relay.sinks.rtp.clear();
        for two in got.windows(2) {
            compare(format, two);
        }
        last = got.pop();
        if let Some(newest) = &last {
            let (start, first) = *begun.get_or_insert((now, newest.timestamp));
            let expected = ((now - start) * 90_000.0).round() as u32;
            let ahead = newest.timestamp.wrapping_sub(first).wrapping_sub(expected) as i32;
            assert!(ahead.abs() <= 2 * FRAME as i32, "{format:?}: {ahead} ticks ahead after {switches} switches");
        }
    }
    switches
}

#[test]
fn ten_thousand_switches_leave_no_gap_and_the_clock_goes_on() {
    let formats = [Format::Vp8, Format::Vp9, Format::Av1, Format::H264];
    let total: usize = formats.into_iter().zip(1..).map(|(format, seed)| switch_often(format, seed)).sum();
    assert!(total >= 10_000);
}
