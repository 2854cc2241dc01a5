//! The whole packet path in virtual time: a publisher's bytes in, a subscriber's bytes out, no transport.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::bytes::{self, Draw, Read, packet, read, vp8};
use super::{Media, PeerKey, Sinks};
use crate::command::{Codec, Drop, Event, Expect, Extensions, Format, Highest, Kind, Rid, Route, Tally};

mod forwarding;
mod links;
mod mirrored;
mod streams;
mod switches;
mod together;
mod within;

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
        codecs: vec![SINK_VP8],
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
        self.aim_within(layer, Highest::ALL, now);
    }

    fn aim_within(&mut self, layer: Option<&str>, highest: Highest, now: f64) {
        let now = self.at(now);
        assert!(self.media.set_layer(now, 1, layer.map(Rid::from), highest, &mut self.sinks, &mut self.tally));
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
