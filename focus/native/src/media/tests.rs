//! The whole packet path in virtual time: a publisher's bytes in, a subscriber's bytes out, no transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bytes::{self, Draw, Read, packet, read, vp8};
use super::{Media, PeerKey, Sinks};
use crate::command::{Codec, Drop, Event, Expect, Extensions, Format, Kind, Rid, Route, Tally};

const P: PeerKey = 0;
const S: PeerKey = 1;
const SSRC: u32 = 0x0A0B_7FF0;
const RTX: u32 = 0x0A0B_7FF1;
const VP8: Codec = Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: Some(97) };
const SINK_VP8: Codec = Codec { pt: 120, rtx_pt: Some(121), ..VP8 };

/// What left, by peer.
#[derive(Default)]
struct Recorder {
    rtp: Vec<(PeerKey, u64, Vec<u8>)>,
    rtcp: Vec<(PeerKey, Vec<u8>)>,
    down: bool,
}

impl Sinks for Recorder {
    fn connected(&self, _: PeerKey) -> bool {
        !self.down
    }

    fn rtp(
        &mut self,
        peer: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize> {
        let mut out = vec![0xEE; room];
        assert_eq!(write(&mut out), room, "exactly the room that was asked for");
        assert_eq!(u16::from_be_bytes([out[2], out[3]]), index as u16);
        self.rtp.push((peer, index, out));
        Some(room + 16)
    }

    fn rtcp(&mut self, peer: PeerKey, compound: &[u8]) -> Option<usize> {
        self.rtcp.push((peer, compound.to_vec()));
        Some(compound.len())
    }
}

/// One layer as an encoder numbers it; each test begins near the wraps.
struct Camera {
    ssrc: u32,
    rid: &'static str,
    sequence: u16,
    timestamp: u32,
    picture: u16,
    tl0: u8,
}

impl Camera {
    fn new(ssrc: u32, rid: &'static str) -> Self {
        Self { ssrc, rid, sequence: 65530, timestamp: 4_294_960_000, picture: 32765, tl0: 253 }
    }

    fn packet(&mut self, payload: &[u8], marker: bool, padding: u8) -> Vec<u8> {
        let named = [(4, &b"1"[..]), (10, self.rid.as_bytes())];
        let extensions = if self.rid.is_empty() { &named[..1] } else { &named };
        let made = packet(self.ssrc, self.sequence, self.timestamp, 96, payload, extensions, marker, padding);
        self.sequence = self.sequence.wrapping_add(1);
        made
    }

    fn frame(&mut self, keyframe: bool, packets: usize) -> Vec<Vec<u8>> {
        let (picture, tl0) = (Some(self.picture), Some(self.tl0));
        let made = (0..packets)
            .map(|at| {
                let payload = vp8(picture, tl0, keyframe, (640, 360), at == 0, b"body", true);
                self.packet(&payload, at + 1 == packets, 0)
            })
            .collect();
        self.timestamp = self.timestamp.wrapping_add(3000);
        self.picture = self.picture.wrapping_add(1) & 0x7FFF;
        self.tl0 = self.tl0.wrapping_add(1);
        made
    }
}

fn layers() -> [Camera; 3] {
    let h = Camera { sequence: 65000, timestamp: 4_171_504_211, picture: 32688, tl0: 244, ..Camera::new(0x2000, "h") };
    let q = Camera { sequence: 10, timestamp: 99, picture: 5, tl0: 255, ..Camera::new(0x3000, "q") };
    [Camera::new(0x1000, "f"), h, q]
}

struct Relay {
    media: Media,
    sinks: Recorder,
    tally: Tally,
    epoch: Instant,
}

fn expect(rids: &[&str], ssrcs: &[u32]) -> Expect {
    Expect {
        track: Arc::from("t"),
        peer: Arc::from("p"),
        mid: "1".into(),
        kind: Kind::Video,
        codecs: vec![VP8],
        extensions: Extensions { mid: 4, rid: 10, repaired_rid: 11, transport_cc: 3, ..Extensions::default() },
        rids: rids.iter().map(|rid| Rid::from(*rid)).collect(),
        ssrcs: ssrcs.to_vec(),
    }
}

fn route() -> Route {
    Route {
        route: 1,
        track: Arc::from("t"),
        peer: Arc::from("s"),
        mid: "w0".into(),
        codec: SINK_VP8,
        extensions: Extensions { mid: 1, ..Extensions::default() },
        ssrc: SSRC,
        rtx_ssrc: Some(RTX),
    }
}

impl Relay {
    fn of(expect: Expect, route: Route) -> Self {
        let epoch = Instant::now();
        let mut media = Media::new(epoch);
        media.open(P, Arc::from("p"));
        media.open(S, Arc::from("s"));
        assert!(media.expect(P, expect) && media.route(S, route));
        Self { media, sinks: Recorder::default(), tally: Tally::default(), epoch }
    }

    fn new(rids: &[&str], ssrcs: &[u32]) -> Self {
        Self::of(expect(rids, ssrcs), route())
    }

    fn at(&self, now: f64) -> Instant {
        self.epoch + Duration::from_secs_f64(now)
    }

    fn aim(&mut self, layer: Option<&str>, now: f64) {
        let now = self.at(now);
        assert!(self.media.set_layer(now, 1, layer.map(Rid::from), &mut self.sinks, &mut self.tally));
    }

    fn publish(&mut self, packets: &[Vec<u8>], now: f64) {
        let now = self.at(now);
        for packet in packets {
            self.media.rtp(now, P, packet, &mut self.sinks, &mut self.tally);
        }
    }

    fn control(&mut self, from: PeerKey, compound: &[u8], now: f64) {
        let now = self.at(now);
        self.media.rtcp(now, from, compound, &mut self.sinks, &mut self.tally);
    }

    fn tick(&mut self, now: f64) {
        let now = self.at(now);
        self.media.tick(now, &mut self.sinks, &mut self.tally);
    }

    fn got(&self) -> Vec<Read> {
        self.sinks.rtp.iter().map(|sent| read(&sent.2)).filter(|packet| packet.ssrc == SSRC).collect()
    }

    /// RTCP that left for a peer, of one kind.
    fn asked(&self, peer: PeerKey, kind: u8) -> Vec<(u8, Vec<u8>)> {
        let to = self.sinks.rtcp.iter().filter(|sent| sent.0 == peer);
        let packets = to.flat_map(|sent| bytes::split(&sent.1));
        packets.filter(|packet| packet.1 == kind).map(|packet| (packet.0, packet.2)).collect()
    }

    fn nacked(&mut self, sequences: &[u16], now: f64) -> Vec<Read> {
        let before = self.sinks.rtp.len();
        self.control(S, &bytes::nack(1, SSRC, sequences), now);
        self.sinks.rtp[before..].iter().map(|sent| read(&sent.2)).collect()
    }

    fn dropped(&self, why: Drop) -> u64 {
        self.tally.drops[why as usize]
    }

    fn events(&mut self) -> Vec<Event> {
        let mut events = vec![];
        self.media.drain(&mut events);
        events
    }
}

fn steps(got: &[Read]) -> Vec<i16> {
    got.windows(2).map(|two| two[1].sequence.wrapping_sub(two[0].sequence) as i16).collect()
}

fn numbers(packet: &Read) -> (u16, u8) {
    let numbering = super::vp8::parse(&packet.payload).unwrap().numbering.unwrap();
    assert!(numbering.wide);
    (numbering.picture.unwrap().0, numbering.tl0.unwrap().0)
}

#[test]
fn a_switch_leaves_no_gap_in_any_counter() {
    let mut relay = Relay::new(&["f", "h", "q"], &[]);
    let mut cameras = layers();
    relay.aim(Some("q"), 0.0);
    let mut target = "q";
    for number in 0..40 {
        let now = f64::from(number) / 30.0;
        if number == 10 || number == 25 {
            target = if number == 10 { "f" } else { "h" };
            relay.aim(Some(target), now);
        }
        // The wanted layer first: else the frame of the switch is shown twice, once from each layer.
        cameras.sort_by_key(|camera| camera.rid != target);
        for camera in &mut cameras {
            let frame = camera.frame(number % 5 == 0, 2);
            relay.publish(&frame, now);
        }
    }
    let got = relay.got();
    assert_eq!(got.len(), 80);
    assert!(steps(&got).iter().all(|step| *step == 1) && got[0].sequence == (SSRC & 0x7FFF) as u16);
    assert_eq!(got[0].timestamp, SSRC.wrapping_mul(2_654_435_761));
    for (at, two) in got.windows(2).enumerate() {
        let ((p1, t1), (p2, t2)) = (numbers(&two[0]), numbers(&two[1]));
        let step = (at % 2) as u16;
        assert_eq!((p2.wrapping_sub(p1) & 0x7FFF, t2.wrapping_sub(t1)), (step, step as u8));
        let clock = two[1].timestamp.wrapping_sub(two[0].timestamp);
        assert!(if step == 0 { clock == 0 } else { (2997..=3003).contains(&clock) });
    }
    assert!(got.iter().all(|packet| packet.pt == 120 && packet.extensions == [(1, b"w0".to_vec())]));
    let layers = relay.events().into_iter().filter_map(|event| match event {
        Event::Switched { route: 1, layer } => layer,
        _ => None,
    });
    let layers: Vec<_> = layers.collect();
    assert_eq!(layers.iter().map(|rid| &**rid).collect::<Vec<_>>(), ["q", "f", "h"]);
    let indices: Vec<u64> = relay.sinks.rtp.iter().map(|sent| sent.1).collect();
    assert!(indices.windows(2).all(|two| two[1] == two[0] + 1), "indices go on over the wrap");
}

#[test]
fn a_lost_packet_leaves_exactly_its_own_gap_and_fits_in_when_it_comes_late() {
    let mut relay = Relay::new(&[], &[]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    let packets: Vec<_> = (0..10).flat_map(|number| camera.frame(number == 0, 1)).collect();
    relay.publish(&packets[..4], 0.0);
    relay.publish(&packets[6..], 0.0);
    relay.publish(&[packets[5].clone(), packets[4].clone(), packets[4].clone()], 0.0);
    let got = relay.got();
    let places: Vec<u16> = got.iter().map(|one| one.sequence.wrapping_sub(got[0].sequence)).collect();
    assert_eq!(places, [0, 1, 2, 3, 6, 7, 8, 9, 5, 4]);
    assert_eq!(relay.dropped(Drop::Replayed), 1);
}

#[test]
fn padding_and_cut_descriptors_leave_no_gap() {
    let mut relay = Relay::new(&[], &[]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    for number in 0..200 {
        let mut made = camera.frame(number == 0, 1);
        made.push(camera.packet(b"", false, 100));
        made.push(camera.packet(b"\x90\x80", false, 0));
        relay.publish(&made, 0.0);
    }
    let got = relay.got();
    assert!(got.len() == 200 && steps(&got).iter().all(|step| *step == 1));
    assert_eq!((relay.dropped(Drop::Padding), relay.dropped(Drop::Malformed)), (200, 200));
}

#[test]
fn late_packets_other_layers_and_pauses_are_dropped_by_name() {
    let mut relay = Relay::new(&["f", "h", "q"], &[]);
    let [mut f, _, mut q] = layers();
    relay.aim(Some("q"), 0.0);
    relay.publish(&q.frame(true, 1), 0.0);
    let (late, before) = (q.frame(false, 1), f.frame(false, 1));
    relay.aim(Some("f"), 0.0);
    relay.publish(&f.frame(true, 1), 0.1);
    relay.publish(&late, 0.2);
    relay.publish(&before, 0.2);
    assert_eq!((relay.got().len(), relay.dropped(Drop::OtherLayer), relay.dropped(Drop::TooOld)), (2, 1, 1));
    relay.aim(None, 0.3);
    relay.publish(&f.frame(true, 1), 1.1);
    relay.aim(Some("f"), 1.2);
    relay.publish(&f.frame(false, 1), 2.1);
    relay.publish(&f.frame(true, 1), 3.1);
    let got = relay.got();
    assert_eq!(steps(&got), [1, 1]);
    assert_eq!(got[2].timestamp.wrapping_sub(got[1].timestamp), 3 * 90_000, "the clock went on");
    assert_eq!((relay.dropped(Drop::OtherLayer), relay.dropped(Drop::AwaitingKeyframe)), (2, 1));
    relay.sinks.down = true;
    relay.publish(&f.frame(false, 1), 3.2);
    assert_eq!(relay.dropped(Drop::SinkNotConnected), 1);
    assert!(relay.media.unroute(1) && !relay.media.unroute(1));
    relay.publish(&f.frame(false, 1), 3.3);
    assert_eq!(relay.dropped(Drop::NoRoute), 1);
}

#[test]
fn a_missing_packet_is_asked_for_and_repaired_by_rtx() {
    let mut relay = Relay::new(&[], &[0x1000, 0x1001]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    let frames: Vec<_> = (0..10).flat_map(|number| camera.frame(number == 0, 1)).collect();
    relay.publish(&frames[..5], 0.0);
    relay.publish(&frames[7..], 0.0);
    relay.tick(0.02);
    let asked = relay.asked(P, 205);
    assert_eq!((asked.len(), bytes::nacked(&asked[0].1), bytes::word(&asked[0].1, 4)), (1, vec![65535, 0], 0x1000));
    let lost = read(&frames[5]);
    let payload = [&lost.sequence.to_be_bytes()[..], &lost.payload].concat();
    let repaired = packet(0x1001, 1, lost.timestamp, 97, &payload, &[(4, b"1")], false, 0);
    relay.publish(&[repaired.clone(), repaired], 0.05);
    relay.publish(&[packet(0x1001, 2, 0, 97, b"x", &[], false, 0)], 0.05);
    let got = relay.got();
    let places: Vec<u16> = got.iter().map(|one| one.sequence.wrapping_sub(got[0].sequence)).collect();
    assert_eq!(places, [0, 1, 2, 3, 4, 7, 8, 9, 5]);
    assert_eq!((relay.dropped(Drop::Replayed), relay.dropped(Drop::Padding)), (1, 1));
    relay.sinks.rtcp.clear();
    relay.tick(0.2);
    assert_eq!(bytes::nacked(&relay.asked(P, 205)[0].1), [0]);
}

#[test]
fn a_lost_packet_is_sent_again_as_rtx_with_the_same_content_and_only_so_often() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    for number in 0..600 {
        relay.publish(&camera.frame(number == 0, 1), 0.0);
    }
    let got = relay.got();
    let lost = got[300].clone();
    let again = relay.nacked(&[lost.sequence; 50], 0.1);
    assert_eq!((again.len(), relay.dropped(Drop::RtxLimit)), (1, 49));
    assert_eq!((again[0].pt, again[0].ssrc, again[0].timestamp), (121, RTX, lost.timestamp));
    assert_eq!(again[0].payload, [&lost.sequence.to_be_bytes()[..], &lost.payload].concat());
    assert_eq!(again[0].sequence, (RTX >> 16) as u16 + 1);
    let second = relay.nacked(&[lost.sequence], 0.21);
    assert_eq!(second[0].sequence, again[0].sequence + 1);
    let gone = relay.nacked(&[got[0].sequence, got[599].sequence.wrapping_add(1)], 0.1);
    assert!(gone.is_empty() && relay.dropped(Drop::CacheMiss) == 2);
    let storm: Vec<u16> = got[200..].iter().map(|packet| packet.sequence).collect();
    for part in storm.chunks(100) {
        relay.nacked(part, 0.3);
    }
    let bytes: usize =
        relay.sinks.rtp.iter().map(|sent| read(&sent.2)).filter(|p| p.ssrc == RTX).map(|p| p.payload.len()).sum();
    assert!(bytes <= 8000 && relay.dropped(Drop::RtxLimit) > 49);
    assert_eq!(relay.tally.rtx_out, relay.sinks.rtp.len() as u64 - 600);
}

#[test]
fn keyframe_requests_are_merged_throttled_and_answered_for_all() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    relay.publish(&camera.frame(true, 1), 0.0);
    for number in 0..100 {
        let now = f64::from(number) / 100.0;
        relay.control(S, &[bytes::pli(1, SSRC), bytes::fir(1, SSRC)].concat(), now);
        relay.tick(now);
    }
    let asked = relay.asked(P, 206);
    assert_eq!((asked.len(), relay.tally.keyframe_requests), (2, 2), "one each half second");
    assert!(asked.iter().all(|one| bytes::word(&one.1, 4) == 0x1000));
    relay.control(S, &bytes::pli(1, SSRC), 2.0);
    relay.publish(&camera.frame(true, 1), 2.1);
    relay.tick(4.0);
    assert_eq!(relay.asked(P, 206).len(), 2, "the keyframe was for everybody who waited");
}

#[test]
fn a_keyframe_is_asked_for_at_once_and_until_the_wanted_layer_sends_one() {
    let mut relay = Relay::new(&["f", "h", "q"], &[]);
    let [mut f, ..] = layers();
    relay.publish(&f.frame(false, 1), 0.0);
    relay.aim(Some("f"), 0.0);
    assert_eq!(relay.asked(P, 206).len(), 1);
    for number in 1..150 {
        relay.publish(&f.frame(false, 1), f64::from(number) / 50.0);
        relay.tick(f64::from(number) / 50.0);
    }
    assert_eq!(relay.asked(P, 206).len(), 6);
    assert!(
        relay.media.keyframe(&Arc::from("t"), &Rid::from("f"))
            && !relay.media.keyframe(&Arc::from("x"), &Rid::from("f"))
    );
    relay.publish(&f.frame(true, 1), 3.0);
    relay.tick(4.0);
    assert_eq!((relay.asked(P, 206).len(), relay.got().len()), (6, 1));
}

#[test]
fn reports_about_streams_that_are_not_theirs_are_counted_and_ignored() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.publish(&Camera::new(0x1000, "").frame(true, 1), 0.0);
    relay.control(P, &bytes::pli(1, SSRC), 0.0);
    relay.control(S, &[bytes::sender_report(0x1000, 5.0, 5), bytes::nack(1, 0x1000, &[1])].concat(), 0.0);
    relay.control(S, &bytes::rtcp(1, 203, &bytes::words(&[0x1000])), 0.0);
    assert_eq!(relay.dropped(Drop::ForeignRtcp), 4);
    relay.control(P, &bytes::rtcp(1, 203, &bytes::words(&[0x1000])), 0.0);
    relay.control(P, b"\x80", 0.0);
    assert_eq!((relay.dropped(Drop::ForeignRtcp), relay.dropped(Drop::MalformedRtcp)), (4, 1));
}

#[test]
fn sender_reports_are_passed_on_at_once_and_each_second_on_the_streams_clock() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    let stamp = camera.timestamp;
    relay.publish(&camera.frame(true, 1), 0.0);
    relay.control(P, &bytes::sender_report(0x1000, 1000.0, stamp), 0.0);
    relay.control(P, &bytes::sender_report(0x1000, 1000.0, stamp), 0.0);
    assert_eq!((relay.asked(S, 200).len(), relay.asked(S, 202).len()), (1, 1), "the first report, and a name");
    for beat in 0..50 {
        relay.tick(f64::from(beat) / 50.0);
    }
    let reports = relay.asked(S, 200);
    assert_eq!(reports.len(), 2);
    let (first, second) = (&reports[0].1, &reports[1].1);
    assert_eq!(bytes::word(first, 12), relay.got()[0].timestamp);
    assert_eq!(bytes::word(second, 12).wrapping_sub(bytes::word(first, 12)), 88_200);
    assert_eq!((bytes::word(second, 4), bytes::word(second, 16)), (1000, 1));
    let received = relay.asked(P, 201);
    assert_eq!((received.len(), bytes::word(&received[0].1, 4)), (1, 0x1000));
}

#[test]
fn arrivals_rates_loudness_and_silence_are_told() {
    let mut sound = expect(&[], &[0x7000]);
    sound.kind = Kind::Audio;
    sound.codecs = vec![Codec { format: Format::Opus, clock: 48_000, pt: 111, rtx_pt: None }];
    sound.extensions.audio_level = 1;
    let to = Route { codec: Codec { pt: 109, ..sound.codecs[0] }, rtx_ssrc: None, ..route() };
    let mut relay = Relay::of(sound, to);
    relay.aim(Some(""), 0.0);
    for number in 0..50_u8 {
        let level = [0x80 | (80 - number)];
        let number = u16::from(number);
        let extensions = [(4, &b"1"[..]), (1, &level[..]), (3, &number.to_be_bytes()[..])];
        let now = f64::from(number) / 50.0;
        relay.publish(&[packet(0x7000, number, 960, 111, b"\xFC..", &extensions, false, 0)], now);
        relay.tick(now);
    }
    let got = relay.got();
    assert!(got.len() == 50 && got.iter().all(|packet| packet.pt == 109 && packet.payload == b"\xFC.."));
    let feedback = relay.asked(P, 205);
    assert_eq!(feedback.len(), 16, "each 60 ms");
    assert!(feedback.iter().all(|one| one.0 == 15 && bytes::word(&one.1, 4) == 0x7000));
    let track: Arc<str> = Arc::from("t");
    let layer = Rid::from("");
    let appeared = Event::Appeared { track: track.clone(), layer: layer.clone(), width: 0, height: 0 };
    let expected = [
        appeared.clone(),
        Event::Switched { route: 1, layer: Some(layer.clone()) },
        Event::Levels { track: track.clone(), loudness: 96 },
        Event::Rates { track: track.clone(), bps: vec![(layer.clone(), 50 * 27 * 8)] },
    ];
    assert_eq!(relay.events(), expected);
    relay.tick(2.9);
    assert!(!relay.media.pending());
    relay.tick(3.0);
    assert_eq!(relay.events(), [Event::Vanished { track, layer }]);
    relay.publish(&[packet(0x7000, 50, 960, 111, b"x", &[], false, 0)], 3.1);
    relay.control(S, &bytes::rtcp(15, 206, &[&[0; 8][..], b"REMB", &[1, 0, 0, 99]].concat()), 3.1);
    assert_eq!(relay.events(), [appeared, Event::Estimate { peer: Arc::from("s"), bps: 99 }]);
}

#[test]
fn streams_are_bound_by_ssrc_by_mid_and_by_payload_type_and_else_dropped() {
    let other = |track: &str, mid: &str, pt: u8, ssrcs: &[u32]| Expect {
        track: Arc::from(track),
        mid: mid.into(),
        codecs: vec![Codec { pt, ..VP8 }],
        ..expect(&[], ssrcs)
    };
    let mut relay = Relay::new(&["f", "q"], &[]);
    assert!(relay.media.expect(P, other("u", "2", 98, &[0x9000])));
    assert!(relay.media.expect(P, other("v", "3", 102, &[])) && !relay.media.expect(9, other("w", "4", 1, &[])));
    let key = vp8(Some(1), None, true, (2, 2), true, b"", true);
    for (ssrc, pt, named, track) in [
        (0x9000, 98, vec![], Some("u")),
        (0x9001, 98, vec![(4, &b"2"[..])], Some("u")),
        (0x9002, 102, vec![], Some("v")),
        (0x9003, 96, vec![(4, b"1"), (10, b"q")], Some("t")),
        (0x9004, 96, vec![(4, b"1"), (10, b"h")], None),
        (0x9005, 96, vec![(4, b"7")], None),
        (0x9006, 99, vec![], None),
        (0x9007, 96, vec![], None),
    ] {
        relay.publish(&[packet(ssrc, 1, 1, pt, &key, &named, false, 0)], 0.0);
        let appeared = relay.events().into_iter().filter_map(|event| match event {
            Event::Appeared { track, .. } => Some(track),
            _ => None,
        });
        let appeared: Vec<_> = appeared.collect();
        assert_eq!(appeared.first().map(|track| &**track), track, "{ssrc:x}");
    }
    assert_eq!(relay.dropped(Drop::UnknownSsrc), 4);
    relay.publish(&[packet(0x9003, 2, 1, 77, &key, &[], false, 0)], 0.0);
    assert_eq!(relay.dropped(Drop::UnknownPayloadType), 1);
    for number in 0..40_u32 {
        let mid = format!("m{number}");
        assert!(relay.media.expect(P, other(&mid, &mid, 98, &[])));
        relay.publish(&[packet(0xA000 + number, 1, 1, 98, &key, &[(4, mid.as_bytes())], false, 0)], 0.0);
    }
    assert_eq!(relay.dropped(Drop::TooManySsrcs), 11);
}

#[test]
fn a_layer_that_comes_back_on_a_new_ssrc_waits_for_its_keyframe_and_the_old_one_is_still_repaired() {
    let mut relay = Relay::new(&["q"], &[]);
    relay.aim(Some("q"), 0.0);
    relay.publish(&Camera::new(0x1000, "q").frame(true, 2), 0.0);
    let mut again = Camera { sequence: 7, timestamp: 5, picture: 9, tl0: 3, ..Camera::new(0x5000, "q") };
    relay.publish(&again.frame(false, 1), 0.1);
    relay.publish(&again.frame(true, 1), 0.2);
    relay.publish(&again.frame(false, 1), 0.3);
    let got = relay.got();
    assert_eq!((steps(&got), relay.dropped(Drop::AwaitingKeyframe)), (vec![1, 1, 1], 1));
    assert_eq!(relay.nacked(&[got[1].sequence], 0.4)[0].payload[2..], got[1].payload);
    for ssrc in 0x6000..0x6006 {
        relay.publish(&Camera::new(ssrc, "q").frame(true, 1), 0.5);
    }
    assert!(relay.nacked(&[got[0].sequence], 0.6).is_empty(), "not for ever");
}

#[test]
fn a_route_or_a_track_said_again_goes_on_with_the_new_numbers() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    relay.publish(&camera.frame(true, 1), 0.0);
    let codec = Codec { pt: 100, ..SINK_VP8 };
    let extensions = Extensions { mid: 9, video_orientation: 2, abs_send_time: 3, ..Extensions::default() };
    assert!(relay.media.route(S, Route { mid: "w7".into(), codec, extensions, ssrc: 5, ..route() }));
    let mut renewed = expect(&[], &[0x1000]);
    renewed.extensions.video_orientation = 13;
    assert!(relay.media.expect(P, renewed));
    let payload = vp8(Some(7), None, false, (0, 0), true, b"", true);
    let turned = packet(0x1000, camera.sequence, 5, 96, &payload, &[(13, b"\x01")], false, 0);
    relay.publish(&[turned], 1.0);
    let got = relay.got();
    assert_eq!((got.len(), got[1].pt, steps(&got)), (2, 100, vec![1]));
    assert_eq!(got[1].extensions, [(9, b"w7".to_vec()), (2, b"\x01".to_vec()), (3, vec![4, 0, 0])]);
}

#[test]
fn a_sink_with_transport_wide_numbers_gets_them_on_everything_and_is_heard() {
    let mut wide = route();
    wide.extensions.transport_cc = 5;
    let mut relay = Relay::of(expect(&[], &[0x1000]), wide);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    for number in 0..3 {
        relay.publish(&camera.frame(number == 0, 1), f64::from(number));
    }
    let lost = relay.got()[1].sequence;
    relay.nacked(&[lost], 4.0);
    let numbers: Vec<_> = relay.sinks.rtp.iter().map(|sent| read(&sent.2).extensions[1].clone()).collect();
    assert_eq!(numbers, (0..4).map(|number| (5, vec![0, number])).collect::<Vec<_>>());
    relay.control(S, &bytes::rtcp(15, 205, &[&[0; 8][..], &[0, 1, 0, 3, 0, 0, 1, 0], &[0xD1, 0, 4, 8]].concat()), 5.0);
    let told: Vec<_> = relay.media.told(S).iter().map(|one| (one.sequence, one.sent, one.arrived)).collect();
    assert_eq!(told, [(1, 1.0, Some(260)), (2, 2.0, None), (3, 4.0, Some(268))]);
}

#[test]
fn formats_without_ids_are_gated_where_their_keyframes_are_known_and_else_flow() {
    let first: [(Format, &[u8], &[u8]); 4] = [
        (Format::H264, b"\x41\x9a", b"\x65\x88"),
        (Format::Vp9, b"\xC8\x05\x00", b"\x88\x06\x00"),
        (Format::Av1, b"\x10\x00", b"\x18\x00"),
        (Format::Other, b"", b"anything"),
    ];
    for (format, delta, key) in first {
        let mut source = expect(&[], &[0x1000]);
        source.codecs[0].format = format;
        let codec = Codec { format, ..SINK_VP8 };
        let mut relay = Relay::of(source, Route { codec, ..route() });
        relay.aim(Some(""), 0.0);
        let mut camera = Camera::new(0x1000, "");
        let packets: Vec<_> = [delta, key, key].iter().map(|payload| camera.packet(payload, true, 0)).collect();
        relay.publish(&packets, 0.0);
        assert_eq!((relay.got().len(), steps(&relay.got())), (2, vec![1]), "{format:?}");
    }
}

#[test]
fn a_peer_that_sends_too_fast_is_held_back_until_the_second_ends() {
    let mut relay = Relay::new(&[], &[0x1000]);
    let frame = Camera::new(0x1000, "").frame(true, 1);
    for _ in 0..3001 {
        relay.publish(&frame, 0.0);
    }
    assert_eq!(relay.dropped(Drop::TooFast), 1);
    for beat in 1..=50 {
        relay.tick(f64::from(beat) / 50.0);
    }
    relay.publish(&frame, 1.0);
    assert_eq!(relay.dropped(Drop::TooFast), 1);
}

#[test]
fn what_is_closed_is_freed_and_may_come_anew() {
    let mut relay = Relay::new(&[], &[0x1000]);
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    relay.publish(&camera.frame(true, 1), 0.0);
    relay.media.close(S);
    assert!(!relay.media.unroute(1) && !relay.media.route(S, route()));
    relay.media.open(S, Arc::from("s"));
    assert!(relay.media.route(S, Route { route: 2, ..route() }));
    relay.media.close(P);
    assert!(!relay.media.unroute(2) && !relay.media.forget(&Arc::from("t")));
    relay.publish(&camera.frame(true, 1), 0.0);
    assert_eq!(relay.dropped(Drop::UnknownPeer), 1);
    relay.media.open(P, Arc::from("p"));
    assert!(relay.media.expect(P, expect(&[], &[])) && relay.media.route(S, route()));
    relay.aim(Some(""), 0.0);
    relay.publish(&camera.frame(true, 1), 0.0);
    assert_eq!(relay.got().len(), 2);
}

#[test]
fn whatever_comes_no_number_is_used_twice_and_only_loss_leaves_gaps() {
    let mut draw = Draw::new(20);
    for _ in 0..300 {
        let mut relay = Relay::new(&["f", "h", "q"], &[]);
        let mut cameras = layers();
        let (mut late, mut lost) = (vec![], 0);
        for number in 0..draw.below(60) {
            let now = number as f64 / 30.0;
            if number % 3 == 0 {
                relay.aim([None, Some("f"), Some("h"), Some("q")][draw.below(4) as usize], now);
            }
            let camera = &mut cameras[draw.below(3) as usize];
            let fate = draw.below(4);
            let keyframe = draw.below(2) == 0;
            let made = if fate == 0 {
                vec![camera.packet(b"", false, 9)]
            } else {
                camera.frame(keyframe, 1 + draw.below(3) as usize)
            };
            if fate < 2 || draw.below(3) == 0 {
                relay.publish(&made, now);
            } else {
                lost += made.len();
                late.extend(if fate == 2 { made } else { vec![] });
            }
            if number % 7 == 0 {
                relay.publish(&std::mem::take(&mut late), now);
            }
            relay.tick(now);
        }
        let mut sent: Vec<u64> = relay.sinks.rtp.iter().map(|one| one.1).collect();
        let count = sent.len();
        sent.sort_unstable();
        sent.dedup();
        assert_eq!(sent.len(), count, "one number under one key is one nonce");
        let span = sent.last().zip(sent.first()).map_or(0, |(last, first)| last - first + 1);
        assert!(span as usize - count <= lost);
    }
}

#[test]
fn any_bytes_are_forwarded_or_dropped_by_name() {
    let mut draw = Draw::new(21);
    for round in 0..200 {
        let mut source = expect(&[], &[]);
        let format = [Format::Vp8, Format::Vp9, Format::H264, Format::Av1, Format::Other][round % 5];
        source.codecs[0].format = format;
        let mut relay = Relay::of(source, Route { codec: Codec { format, ..SINK_VP8 }, ..route() });
        relay.aim(Some(""), 0.0);
        let mut camera = Camera::new(0x1000, "");
        for _ in 0..60 {
            let mut data = match draw.below(3) {
                0 => draw.bytes(80),
                1 => camera.packet(&draw.bytes(40), false, 0),
                _ => camera.frame(draw.below(3) == 0, 1).remove(0),
            };
            if draw.below(4) == 0 {
                let at = draw.below(data.len() as u64) as usize;
                data.get_mut(at).into_iter().for_each(|byte| *byte ^= 1 << draw.below(8));
            }
            let before = relay.sinks.rtp.len() as u64 + relay.tally.drops.iter().sum::<u64>();
            relay.publish(&[data.clone()], 0.0);
            assert_eq!(relay.sinks.rtp.len() as u64 + relay.tally.drops.iter().sum::<u64>(), before + 1);
            relay.control(if draw.below(2) == 0 { P } else { S }, &data, 0.0);
        }
        relay.tick(1.0);
    }
}
