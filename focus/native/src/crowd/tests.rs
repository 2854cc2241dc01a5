//! A crowd at a real engine, in virtual time: everything is sealed and opened, and the wire between them does as told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::book::{Counts, Watch};
use super::member::Moment;
use super::sender::{Content, Stream};
use super::*;
use crate::command::{Codec, Credentials, Expect, Extensions, Format, Highest, Kind, Role, Route};
use crate::engine::{Engine, TICK};
use crate::transport::SystemChance;

const VP8: Codec = Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: Some(97) };
const IDS: Extensions = Extensions {
    mid: 4,
    rid: 10,
    repaired_rid: 11,
    transport_cc: 3,
    audio_level: 1,
    abs_send_time: 2,
    video_orientation: 0,
    playout_delay: 0,
    dependency_descriptor: 0,
    abs_capture_time: 0,
};
const CAMERA: u32 = 1000;

fn focus() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 5000))
}

fn home(key: PeerKey) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 6000 + key as u16))
}

fn print(identity: (&str, &str)) -> Vec<(String, Vec<u8>)> {
    let digest = identity.1.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    vec![(identity.0.to_owned(), digest)]
}

type Fate = dyn FnMut(PeerKey, &mut Vec<u8>) -> bool;

/// An engine, a crowd, and what is under way between them.
struct Stand {
    now: Instant,
    epoch: Instant,
    engine: Engine,
    crowd: Crowd,
    /// Whether a datagram to a client is lost or changed.
    fate: Box<Fate>,
    events: Vec<Event>,
}

impl Stand {
    fn new(people: u32, opened: u64) -> Self {
        let now = Instant::now();
        let chance = || -> Box<dyn Chance + Send> { Box::new(SystemChance) };
        let identity = Arc::new(Identity::new().unwrap());
        let mut engine = Engine::new(now, Arc::clone(&identity), vec![focus()], Box::new(chance));
        let mut crowd = Crowd::new(now, Identity::new().unwrap(), opened, Box::new(chance));
        for number in 0..people {
            let peer: Name = number.to_string().into();
            let near = Credentials { ufrag: format!("near{number}"), pwd: "n".repeat(22) };
            let far = Credentials { ufrag: format!("far{number}"), pwd: "f".repeat(22) };
            let open = |role, local: &Credentials, remote: &Credentials, fingerprints| Open {
                peer: peer.clone(),
                role,
                local: local.clone(),
                remote: remote.clone(),
                fingerprints,
                sctp_port: Some(5000),
                max_message: 1000,
                candidates: if role == Role::Caller { vec![focus()] } else { vec![] },
            };
            engine.submit(now, Command::Open(open(Role::Answerer, &near, &far, print(crowd.fingerprint()))));
            assert_eq!(crowd.open(now, &open(Role::Caller, &far, &near, print(identity.fingerprint()))), Some(number));
        }
        Self { now, epoch: now, engine, crowd, fate: Box::new(|_, _| true), events: vec![] }
    }

    fn moment(&self) -> Moment {
        let wall = 1_700_000_000_000_000_000 + (self.now - self.epoch).as_nanos() as u64;
        Moment { now: self.now, epoch: self.epoch, wall }
    }

    fn step(&mut self) {
        let at = self.moment();
        self.crowd.tick(&at);
        let mut up = vec![];
        for (key, lane) in self.crowd.outbox().lanes() {
            for one in lane.messages() {
                up.extend(lane.bytes(one).chunks(one.segment).map(|datagram| (key, datagram.to_vec())));
            }
        }
        self.crowd.outbox().clear();
        for (key, mut datagram) in up {
            self.engine.receive(self.now, home(key), &mut datagram);
        }
        self.engine.tick(self.now);
        let mut down = vec![];
        for lane in self.engine.outbox().waiting() {
            for one in lane.messages() {
                down.extend(lane.bytes(one).chunks(one.segment).map(|datagram| (one.to, datagram.to_vec())));
            }
        }
        self.engine.outbox().clear();
        for (to, mut datagram) in down {
            let key = PeerKey::from(to.port() - 6000);
            if (self.fate)(key, &mut datagram) {
                self.crowd.receive(&at, key, focus(), at.wall + 250_000, &mut datagram);
            }
        }
        self.events.extend(self.crowd.drain());
        self.events.extend(self.engine.drain());
        self.now += TICK / 20;
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
    }

    /// Everybody connected, the first one's camera forwarded to all others.
    fn call(people: u32, opened: u64) -> Self {
        let mut stand = Self::new(people, opened);
        stand.pass(Duration::from_secs(1));
        let connected = |event: &&Event| matches!(event, Event::Connected { .. });
        assert_eq!(stand.events.iter().filter(connected).count(), 2 * people as usize);
        let camera: Name = "camera".into();
        let now = stand.now;
        stand.engine.submit(
            now,
            Command::Expect(Expect {
                track: camera.clone(),
                peer: "0".into(),
                mid: "1".into(),
                kind: Kind::Video,
                codecs: vec![VP8],
                extensions: IDS,
                rids: vec![],
                ssrcs: vec![CAMERA, CAMERA + 1],
            }),
        );
        for number in 1..people {
            let (ssrc, rtx_ssrc) = (number * 0x1_0000, Some(number * 0x1_0000 + 1));
            let (route, track, peer, mid) = (number.into(), camera.clone(), number.to_string().into(), "1".into());
            let made = Route { route, track, peer, mid, codecs: vec![VP8], extensions: IDS, ssrc, rtx_ssrc };
            stand.engine.submit(now, Command::Route(made));
            stand
                .engine
                .submit(now, Command::SetLayer { route: number.into(), layer: Some("".into()), highest: Highest::ALL });
            let member = stand.crowd.member(&number.to_string()).unwrap();
            member.watch(Watch { ssrc, rtx_ssrc, codec: VP8, extensions: IDS }, None);
        }
        stand.crowd.member("0").unwrap().publish(now, stream(), Content::Marked);
        stand
    }

    fn play(&mut self, frames: u64) {
        let now = self.now;
        self.crowd.member("0").unwrap().senders[0].play(now, Some(frames));
        self.pass(Duration::from_secs(1 + frames / 30));
    }

    fn counts(&mut self, name: &str) -> Counts {
        self.crowd.member(name).unwrap().books().next().unwrap().counts()
    }
}

fn stream() -> Stream {
    Stream {
        ssrc: CAMERA,
        rtx_ssrc: Some(CAMERA + 1),
        mid: "1".into(),
        rid: String::new(),
        codec: VP8,
        extensions: IDS,
        fps: 30.0,
        burst: 9,
        size: 1200,
        keyframe_every: 0,
        width: 1280,
        height: 720,
        level: 0,
    }
}

#[test]
fn everybody_gets_every_packet_once_whole_and_in_order_and_tells_the_focus_so() {
    let mut stand = Stand::call(4, 1);
    let dropped = |stand: &Stand| stand.engine.tally().drops.iter().sum::<u64>();
    let before = dropped(&stand);
    stand.play(60);
    for name in ["1", "2", "3"] {
        let found = stand.counts(name);
        let faults = [found.lost, found.duplicates, found.late, found.backwards, found.corrupt, found.misplaced];
        assert_eq!((found.received, found.opened, faults), (540, 540, [0; 6]), "{name}");
        assert_eq!((found.latency.quantile(0.5), found.latency.greatest()), (250, 250));
        assert!(stand.crowd.member(name).unwrap().tally.feedback >= 10);
    }
    let publisher = stand.crowd.member("0").unwrap();
    assert_eq!((publisher.tally.told_arrived, publisher.tally.told_missing), (540, 0));
    assert_eq!(publisher.senders[0].packets, 540);
    let appeared = |event: &Event| matches!(event, Event::Appeared { width: 1280, height: 720, .. });
    assert!(stand.events.iter().any(appeared));
    assert_eq!(dropped(&stand), before, "{:?}", stand.engine.tally());
}

#[test]
fn what_a_client_loses_it_asks_for_and_gets_on_the_repair_stream() {
    let mut stand = Stand::call(3, 1);
    let mut count = 0;
    stand.fate = Box::new(move |key, datagram| {
        let media = key == 1 && datagram.len() > 1000 && datagram[8..12] == 0x1_0000_u32.to_be_bytes();
        count += u32::from(media);
        !(media && count % 50 == 20)
    });
    stand.play(60);
    let found = stand.counts("1");
    assert_eq!((found.received, found.lost, found.repaired, found.corrupt), (540, 0, 11, 0));
    assert!(found.asked >= 11);
    assert_eq!(stand.counts("2").asked, 0);
}

#[test]
fn a_client_that_leaves_most_packets_sealed_still_counts_them_all() {
    let mut stand = Stand::call(3, 64);
    stand.play(90);
    let found = stand.counts("2");
    assert_eq!((found.received, found.lost, found.opened, found.corrupt), (810, 0, 13, 0));
    stand.crowd.begin();
    stand.play(30);
    assert_eq!(stand.counts("2").received, 270);
}

#[test]
fn a_changed_bit_is_corruption_and_not_a_packet() {
    let mut stand = Stand::call(2, 1);
    let mut count = 0;
    stand.fate = Box::new(move |_, datagram| {
        count += u32::from(datagram.len() > 1000);
        if datagram.len() > 1000 && count == 30 {
            datagram[600] ^= 1;
        }
        true
    });
    stand.play(30);
    assert_eq!(stand.counts("1").corrupt, 1);
    assert_eq!(stand.crowd.member("1").unwrap().tally.unopened, 1);
}

#[test]
fn texts_and_goodbyes_reach_the_focus() {
    let mut stand = Stand::new(2, 1);
    stand.pass(Duration::from_secs(1));
    let say = Command::Send { peer: "1".into(), text: "hello".into(), urgent: false };
    assert!(stand.crowd.submit(stand.now, &say));
    stand.pass(Duration::from_millis(100));
    assert!(stand.events.contains(&Event::Message { peer: "1".into(), text: "hello".into() }));
    assert!(stand.crowd.submit(stand.now, &Command::Close { peer: "1".into() }));
    stand.pass(Duration::from_millis(100));
    assert!(stand.events.contains(&Event::Lost { peer: "1".into(), loss: Loss::Closed }));
    stand.crowd.vacate(1);
    assert!(!stand.crowd.submit(stand.now, &say) && stand.crowd.member("1").is_none());
}
