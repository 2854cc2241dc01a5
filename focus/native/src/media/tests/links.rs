//! A subscriber's link in virtual time: what the control plane hears of it, and what asks it for more.

use std::collections::{HashSet, VecDeque};

use super::super::twcc::Arrivals;
use super::*;

const DELAY: f64 = 0.03;
/// Seconds of queue before the bottleneck; what would wait longer is lost.
const QUEUE: f64 = 0.3;
/// Milliseconds.
const FEEDBACK: u64 = 60;

/// One camera, one subscriber, and a link between the focus and it.
struct Link {
    relay: Relay,
    camera: Camera,
    now: f64,
    /// When the bottleneck has sent all that waits before it.
    free: f64,
    way: VecDeque<(f64, u16)>,
    arrivals: Arrivals,
    estimate: u64,
    used: HashSet<(u32, u64)>,
    longest_queue: f64,
    /// Milliseconds by which its feedback is behind the focus's ticks.
    told_late: u64,
    delay: f64,
}

impl Link {
    fn new(need: u64) -> Self {
        let ids = Extensions { mid: 1, transport_cc: 5, ..Extensions::default() };
        let mut relay = Relay::of(expect(&[], &[]), Route { extensions: ids, ..route() });
        assert!(relay.media.need(S, need));
        relay.aim(Some(""), 0.0);
        let camera = Camera::new(0x1000, "");
        Self {
            relay,
            camera,
            now: 0.0,
            free: 0.0,
            way: VecDeque::new(),
            arrivals: Arrivals::default(),
            estimate: 0,
            used: HashSet::new(),
            longest_queue: 0.0,
            told_late: 0,
            delay: DELAY,
        }
    }

    /// What left goes through the bottleneck.
    fn carry(&mut self, bps: f64) {
        for (peer, index, data) in std::mem::take(&mut self.relay.sinks.rtp) {
            assert_eq!(peer, S);
            let packet = read(&data);
            assert!(self.used.insert((packet.ssrc, index)), "no number twice");
            if packet.ssrc == RTX && packet.payload.len() > 2 {
                let original = u16::from_be_bytes([packet.payload[0], packet.payload[1]]);
                let left = |one: &(u32, u64)| one.0 == SSRC && one.1 as u16 == original;
                assert!(self.used.iter().any(left), "nothing leaves again before it left");
            }
            let wait = (self.free - self.now).max(0.0);
            self.longest_queue = self.longest_queue.max(wait);
            if wait > QUEUE {
                continue;
            }
            self.free = self.now + wait + 8.0 * (data.len() + 44) as f64 / bps;
            let number = packet.extensions.iter().find(|element| element.0 == 5).map(|element| &element.1);
            let number = u16::from_be_bytes(number.unwrap().as_slice().try_into().unwrap());
            self.way.push_back((self.free + self.delay, number));
        }
        while self.way.front().is_some_and(|first| first.0 <= self.now) {
            let (at, number) = self.way.pop_front().unwrap();
            self.arrivals.note(number, SSRC, at);
        }
    }

    /// Let the camera send at one rate over a link of another.
    fn run(&mut self, seconds: f64, camera: f64, link: f64) {
        let end = self.now + seconds;
        let mut step = (self.now * 1000.0).round() as u64;
        while self.now < end {
            self.now = step as f64 / 1000.0;
            if step.is_multiple_of(33) {
                let packets = ((camera / 30.0 / 8.0 / 1100.0).round() as usize).max(1);
                let size = (camera / 30.0 / 8.0) as usize / packets;
                let mut made = self.camera.frame(step.is_multiple_of(990), packets);
                made.iter_mut().for_each(|packet| packet.resize(size.max(packet.len()), 7));
                self.relay.publish(&made, self.now);
            }
            if step.is_multiple_of(20) {
                self.relay.tick(self.now);
            }
            let at = self.relay.at(self.now);
            if self.relay.media.pace_deadline().is_some_and(|due| due <= at) {
                self.relay.media.pace(at, &mut self.relay.sinks, &mut self.relay.tally);
            }
            self.carry(link);
            if step % FEEDBACK == self.told_late {
                let mut told = vec![];
                self.arrivals.feedback(1, &mut vec![], |packet| told.push(packet.to_vec()));
                told.iter().for_each(|packet| self.relay.control(S, packet, self.now));
            }
            for event in self.relay.events() {
                if let Event::Estimate { bps, .. } = event {
                    self.estimate = bps;
                }
            }
            step += 1;
        }
    }
}

#[test]
fn what_a_wide_link_carries_is_found_though_little_is_sent() {
    let mut link = Link::new(2_000_000);
    link.run(4.0, 300e3, 3e6);
    assert!(link.estimate > 2_000_000, "{}", link.estimate);
    let probes = link.relay.tally.probes_out;
    assert!(probes >= 5 && link.longest_queue < 0.1, "{probes} {}", link.longest_queue);
    link.run(20.0, 300e3, 3e6);
    assert_eq!(link.relay.tally.probes_out, probes, "with all that it needs, nobody asks for more");
}

#[test]
fn pictures_that_leave_with_a_probe_are_part_of_it() {
    let mut link = Link::new(5_000_000);
    link.run(20.0, 700e3, 1.2e6);
    let probes = link.relay.tally.probes_out;
    let mut queues: Vec<f64> = (0..200)
        .map(|_| {
            link.longest_queue = 0.0;
            link.run(0.1, 700e3, 1.2e6);
            link.longest_queue
        })
        .collect();
    queues.sort_by(f64::total_cmp);
    assert!(link.relay.tally.probes_out > probes + 20, "{}", link.relay.tally.probes_out);
    assert!(queues[197] < 0.03, "{:?}", &queues[180..]);
}

#[test]
fn nobody_asks_for_what_nobody_needs() {
    let mut link = Link::new(0);
    link.run(10.0, 300e3, 3e6);
    assert!(link.relay.tally.probes_out == 0 && link.estimate > 300_000);
}

#[test]
fn a_link_that_gets_narrow_is_told_of_soon_and_so_is_one_that_gets_wide_again() {
    let mut link = Link::new(2_500_000);
    link.run(5.0, 1e6, 4e6);
    assert!(link.estimate > 2_000_000, "{}", link.estimate);
    link.run(2.0, 1e6, 500e3);
    assert!(link.estimate < 600_000, "{}", link.estimate);
    // The camera's lowest layer is half of what the link carries: neither idle, nor able to grow by itself.
    link.run(2.0, 300e3, 500e3);
    link.run(6.0, 300e3, 4e6);
    assert!(link.estimate > 1_500_000, "{}", link.estimate);
}

#[test]
fn a_peer_that_tells_nothing_of_packets_is_believed_in_its_own_estimate() {
    let mut link = Link::new(2_000_000);
    let frame = link.camera.frame(true, 1);
    link.relay.publish(&frame, 0.05);
    link.relay.events();
    link.relay.control(S, &bytes::rtcp(15, 206, b"\0\0\0\x01\0\0\0\0REMB\x01\x01\x86\xA0\x0A\x0B\x7F\xF0"), 0.1);
    let told = link.relay.events();
    assert!(matches!(told[..], [Event::Estimate { bps, .. }] if bps > 90_000), "{told:?}");
    link.run(1.0, 300e3, 3e6);
    let before = link.estimate;
    link.relay.control(S, &bytes::rtcp(15, 206, b"\0\0\0\x01\0\0\0\0REMB\x01\x01\x86\xA0\x0A\x0B\x7F\xF0"), 1.1);
    assert!(before > 200_000 && link.relay.events().is_empty(), "not beside what it tells of packets");
}

#[test]
fn what_is_said_of_some_pictures_says_nothing_of_the_link() {
    let mut link = Link::new(2_000_000);
    let remb = |ssrcs: &[u8]| {
        let named = (ssrcs.len() / 4) as u8;
        bytes::rtcp(15, 206, &[&b"\0\0\0\x01\0\0\0\0REMB"[..], &[named, 1, 0x86, 0xA0], ssrcs].concat())
    };
    let told = |link: &mut Link, ssrcs: &[u8]| {
        link.relay.control(S, &remb(ssrcs), 0.1);
        link.relay.events().iter().filter(|event| matches!(event, Event::Estimate { .. })).count()
    };
    assert_eq!(told(&mut link, &SSRC.to_be_bytes()), 0, "it is of the past, or of nothing");
    let frame = link.camera.frame(true, 1);
    link.relay.publish(&frame, 0.1);
    let own = SSRC.to_be_bytes();
    assert_eq!(told(&mut link, &[0, 0, 0, 7]), 0);
    for named in [&own[..], &[&[0, 0, 0, 7][..], &own].concat(), &[]] {
        assert_eq!(told(&mut link, named), 1, "{named:?}");
    }
}

#[test]
fn a_storm_of_wishes_gets_a_quarter_of_what_the_link_carries() {
    let mut link = Link::new(0);
    link.run(6.0, 450e3, 500e3);
    let (estimate, before) = (link.estimate, link.relay.tally.clone());
    let newest = link.relay.media.routes.get(0).unwrap().rewriter.newest().0;
    let mut bytes = 0;
    for tenth in 0..20 {
        let at = link.now + f64::from(tenth) * 0.1;
        let wished: Vec<u16> = (0..300).map(|back| newest.wrapping_sub(back)).collect();
        bytes += link.relay.nacked(&wished, at).iter().map(|packet| packet.payload.len()).sum::<usize>();
        link.relay.sinks.rtp.clear();
    }
    let allowed = 0.25 * estimate as f64 / 8.0 * 2.0;
    assert!((bytes as f64) < 1.1 * allowed + 6000.0 && bytes > 0, "{bytes} of {allowed} at {estimate}");
    let why = Drop::RtxLimit as usize;
    assert!(link.relay.tally.drops[why] > before.drops[why] + 1000, "each by name");
}

#[test]
fn behind_a_long_queue_nothing_is_sent_again_and_once_it_is_gone_it_is() {
    let mut link = Link::new(0);
    link.run(3.0, 450e3, 500e3);
    let ask = |link: &mut Link| {
        let newest = link.relay.media.routes.get(0).unwrap().rewriter.newest().0;
        let sent = link.relay.nacked(&[newest], link.now).len();
        link.relay.sinks.rtp.clear();
        sent
    };
    link.run(1.0, 450e3, 250e3);
    assert_eq!(ask(&mut link), 0);
    link.run(3.0, 100e3, 500e3);
    assert_eq!(ask(&mut link), 1);
}

#[test]
fn a_frame_for_a_narrow_link_leaves_in_pieces_in_order_and_a_voice_passes_it() {
    let mut link = Link::new(4_000_000);
    let sound = Expect {
        track: Arc::from("v"),
        mid: "2".into(),
        kind: Kind::Audio,
        codecs: vec![Codec { format: Format::Opus, clock: 48_000, pt: 111, rtx_pt: None }],
        ..expect(&[], &[0x7000])
    };
    let ids = Extensions { mid: 1, transport_cc: 5, ..Extensions::default() };
    let codecs = vec![Codec { format: Format::Opus, clock: 48_000, pt: 111, rtx_pt: None }];
    let (track, mid) = (Arc::from("v"), "w1".into());
    let voice = Route { route: 2, track, mid, codecs, extensions: ids, ssrc: 0x99, rtx_ssrc: None, ..route() };
    assert!(link.relay.media.expect(P, sound) && link.relay.media.route(S, voice));
    let at = link.relay.at(0.0);
    let Relay { media, sinks, tally, .. } = &mut link.relay;
    assert!(media.set_layer(at, 2, Some(Rid::from("")), Highest::ALL, sinks, tally));
    link.run(6.0, 450e3, 500e3);
    let mut frame = link.camera.frame(false, 12);
    frame.iter_mut().for_each(|packet| packet.resize(1100, 7));
    link.relay.publish(&frame, link.now);
    let at_once = link.relay.sinks.rtp.len();
    assert!(at_once < 6, "{at_once} at once");
    let newest = link.relay.media.routes.get(0).unwrap().rewriter.newest().0;
    assert!(link.relay.nacked(&[newest], link.now).is_empty(), "nothing leaves again before it left");
    link.relay.publish(&[bytes::packet(0x7000, 1, 0, 111, b"voice", &[], true, 0)], link.now);
    let last = read(&link.relay.sinks.rtp.last().unwrap().2);
    assert_eq!(last.ssrc, 0x99, "it did not wait");
    for step in 0..300 {
        let at = link.relay.at(link.now + f64::from(step) * 0.001);
        if link.relay.media.pace_deadline().is_some_and(|due| due <= at) {
            link.relay.media.pace(at, &mut link.relay.sinks, &mut link.relay.tally);
        }
    }
    let got = link.relay.got();
    assert!(got.len() >= 12 && steps(&got).iter().all(|step| *step == 1), "{:?}", steps(&got));
    assert_eq!(link.relay.dropped(Drop::PacerFull), 0);
}

#[test]
fn what_a_link_carries_is_found_in_whatever_moment_it_is_told_of() {
    for late in 0..6 {
        let mut link = Link::new(0);
        // So short a path that the first of a probe is told of before the last left.
        (link.told_late, link.delay) = (10 * late, 0.001);
        link.run(1.0, 2.6e6, 1e8);
        assert!(link.relay.media.need(S, 8_000_000));
        link.run(1.5, 2.6e6, 1e8);
        assert!(link.estimate > 8_000_000, "{late}: {}", link.estimate);
    }
}

/// Bits a second at which a frame leaves that has to wait, as a part of what the link was told to carry.
fn pace(link: &mut Link) -> f64 {
    link.relay.sinks.rtp.clear();
    let mut frame = link.camera.frame(false, 6);
    frame.iter_mut().for_each(|packet| packet.resize(1100, 7));
    link.relay.publish(&frame, link.now);
    let (mut left, mut bytes) = (vec![], 0);
    for step in 0..400 {
        let now = link.now + f64::from(step) * 0.001;
        let at = link.relay.at(now);
        if link.relay.media.pace_deadline().is_some_and(|due| due <= at) {
            link.relay.media.pace(at, &mut link.relay.sinks, &mut link.relay.tally);
        }
        let sent = std::mem::take(&mut link.relay.sinks.rtp);
        if !sent.is_empty() {
            left.push((now, bytes));
            bytes += sent.iter().map(|sent| sent.2.len()).sum::<usize>();
        }
    }
    let ((first, _), (last, before)) = (left[0], left[left.len() - 1]);
    8.0 * before as f64 / (last - first) / link.estimate as f64
}

#[test]
fn pictures_leave_a_little_faster_than_a_link_carries_and_behind_a_queue_no_faster() {
    let paces = |queued: bool| {
        let found = (0..15).map(|more| {
            let mut link = Link::new(4_000_000);
            link.run(6.0 + 0.1 * f64::from(more), 450e3, 500e3);
            link.run(if queued { 0.4 } else { 0.0 }, 450e3, 250e3);
            pace(&mut link)
        });
        let mut found: Vec<f64> = found.collect();
        found.sort_by(f64::total_cmp);
        found[7]
    };
    let (free, queued) = (paces(false), paces(true));
    assert!((1.1..1.35).contains(&free), "{free}");
    assert!((0.9..1.05).contains(&queued), "{queued}");
}
