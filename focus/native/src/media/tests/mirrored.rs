//! A track at another worker: what a sink gets there is what it would get beside the publisher.

use super::*;
use crate::media::mirror::{Shared, What};

/// Keeps what is sent, and carries between workers.
#[derive(Default)]
struct Carrier {
    recorder: Recorder,
    shared: Vec<(usize, Shared, Vec<u8>)>,
}

impl Sinks for Carrier {
    fn connected(&self, peer: PeerKey) -> bool {
        self.recorder.connected(peer)
    }

    fn rtp(
        &mut self,
        peer: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize> {
        self.recorder.rtp(peer, index, room, write)
    }

    fn rtcp(&mut self, peer: PeerKey, compound: &[u8]) -> Option<usize> {
        self.recorder.rtcp(peer, compound)
    }

    fn share(&mut self, worker: usize, shared: Shared, data: &[u8]) {
        self.shared.push((worker, shared, data.to_vec()));
    }
}

/// Two tables: the publisher is at the first, the sink at the second.
struct Two {
    tables: [Media; 2],
    sinks: [Carrier; 2],
    tally: Tally,
    epoch: Instant,
}

impl Two {
    fn new(expect: &Expect, route: Route) -> Self {
        let epoch = Instant::now();
        let tables = [Media::new(epoch), Media::new(epoch)];
        let mut made = Self { tables, sinks: Default::default(), tally: Tally::default(), epoch };
        made.tables[0].open(P, Arc::from("p"));
        // Whoever came before: reports come to both sinks at the same time of a second.
        made.tables[1].open(7, Arc::from("o"));
        made.tables[1].open(S, Arc::from("s"));
        assert!(made.tables[0].expect(P, expect.clone()));
        made.begin(expect, route);
        made
    }

    fn begin(&mut self, expect: &Expect, route: Route) {
        self.tables[1].mirror(expect.clone(), 0);
        assert!(self.tables[0].feed(self.epoch, &expect.track, 1, &mut self.sinks[0]));
        assert!(self.tables[1].route(S, route));
        self.carry();
    }

    fn at(&self, now: f64) -> Instant {
        self.epoch + Duration::from_secs_f64(now)
    }

    /// Until nothing is on its way.
    fn carry(&mut self) {
        for place in [0, 1, 0, 1] {
            for (worker, shared, data) in std::mem::take(&mut self.sinks[place].shared) {
                assert_eq!(worker, 1 - place);
                self.tables[worker].shared(shared, &data, &mut self.sinks[worker], &mut self.tally);
                self.tables[worker].settle(&mut self.sinks[worker], &mut self.tally);
            }
        }
        assert!(self.sinks.iter().all(|sinks| sinks.shared.is_empty()), "it goes on for ever");
    }

    fn publish(&mut self, packet: &[u8], now: f64) {
        self.tables[0].rtp(self.at(now), P, packet, &mut self.sinks[0], &mut self.tally);
        self.carry();
    }

    fn aim(&mut self, layer: Option<&str>, now: f64) {
        let layer = layer.map(Rid::from);
        assert!(self.tables[1].set_layer(self.at(now), 1, layer, Highest::ALL, &mut self.sinks[1], &mut self.tally));
        self.carry();
    }

    fn control(&mut self, place: usize, compound: &[u8], now: f64) {
        let from = if place == 0 { P } else { S };
        self.tables[place].rtcp(self.at(now), from, compound, &mut self.sinks[place], &mut self.tally);
        self.carry();
    }

    fn tick(&mut self, now: f64) {
        for place in [0, 1] {
            self.tables[place].tick(self.at(now), &mut self.sinks[place], &mut self.tally);
        }
        self.carry();
    }

    /// Keyframes that the publisher was asked for.
    fn asked(&self) -> usize {
        let sent = self.sinks[0].recorder.rtcp.iter().filter(|sent| sent.0 == P);
        sent.flat_map(|sent| bytes::split(&sent.1)).filter(|one| (one.0, one.1) == (1, 206)).count()
    }
}

/// Cameras that change their SSRC, losses, late packets, padding, repairs, reports, switches, and complaints of the sink.
#[test]
fn a_sink_of_a_mirror_gets_the_same_bytes_as_one_beside_the_publisher() {
    for seed in 0..60 {
        let mut draw = Draw::new(seed);
        let names = ["f", "h", "q"];
        let (mut one, mut two) = (Relay::new(&names, &[]), Two::new(&expect(&names, &[]), route()));
        let mut cameras = layers();
        let (mut late, mut now) = (Vec::new(), 0.0);
        for round in 0..400 {
            now += 0.01;
            for camera in &mut cameras {
                if draw.below(150) == 0 {
                    // A new SSRC under a known name.
                    camera.ssrc += 0x10_0000;
                }
                let (keyframe, packets) = (draw.below(12) == 0, 1 + draw.below(3) as usize);
                let mut made = camera.frame(keyframe, packets);
                if draw.below(9) == 0 {
                    made.push(camera.packet(b"", false, 20));
                }
                made.append(&mut late);
                for packet in made {
                    match draw.below(20) {
                        0 => {}
                        1 => late.push(packet),
                        2 => [&packet, &packet].into_iter().for_each(|packet| {
                            one.publish(std::slice::from_ref(packet), now);
                            two.publish(packet, now);
                        }),
                        _ => {
                            one.publish(std::slice::from_ref(&packet), now);
                            two.publish(&packet, now);
                        }
                    }
                }
                if draw.below(30) == 0 {
                    let report = bytes::sender_report(camera.ssrc, f64::from(round) + 0.5, camera.timestamp);
                    one.control(P, &report, now);
                    two.control(0, &report, now);
                }
            }
            if draw.below(15) == 0 {
                let layer = [Some("f"), Some("h"), Some("q"), None][draw.below(4) as usize];
                one.aim(layer, now);
                two.aim(layer, now);
            }
            if draw.below(5) == 0 {
                let newest = one.sinks.rtp.last().map_or(0, |sent| sent.1 as u16);
                let lost: Vec<u16> = (0..3).map(|_| newest.wrapping_sub(draw.below(40) as u16)).collect();
                for complaint in [bytes::nack(9, SSRC, &lost), bytes::pli(9, SSRC)] {
                    one.control(S, &complaint, now);
                    two.control(1, &complaint, now);
                }
            }
            if round % 2 == 0 {
                one.tick(now);
                two.tick(now);
            }
        }
        let (here, there) = (&one.sinks, &two.sinks[1].recorder);
        assert!(here.rtp.len() > 200, "{} packets", here.rtp.len());
        assert!(here.rtp == there.rtp, "seed {seed}: packets differ");
        let to_sink = |sinks: &Recorder| sinks.rtcp.iter().filter(|sent| sent.0 == S).cloned().collect::<Vec<_>>();
        assert!(to_sink(here) == to_sink(there), "seed {seed}: reports differ");
        let told = |event: &Event| matches!(event, Event::Switched { .. });
        let (mut all, mut mirror) = (one.events(), Vec::new());
        two.tables[1].drain(&mut mirror);
        all.retain(told);
        assert_eq!(mirror, all, "seed {seed}: and a mirror tells of nothing else");
        let keyframes = one.asked(P, 206).len();
        assert!(two.asked().abs_diff(keyframes) <= keyframes / 4 + 2, "{} instead of {keyframes}", two.asked());
    }
}

#[test]
fn a_wish_for_a_keyframe_reaches_the_publisher_at_once_and_is_throttled_with_others() {
    let mut two = Two::new(&expect(&["f", "h"], &[]), route());
    let [mut full, mut half, _] = layers();
    for packet in [full.frame(true, 1), half.frame(true, 1)].concat() {
        two.publish(&packet, 0.0);
    }
    two.aim(Some("f"), 1.0);
    assert_eq!(two.asked(), 1);
    two.aim(Some("f"), 1.1);
    two.tick(1.2);
    assert_eq!(two.asked(), 1);
    two.tick(1.5);
    two.tick(1.52);
    assert_eq!(two.asked(), 2, "nothing came");
    two.publish(&full.frame(true, 1)[0], 1.6);
    two.tick(3.0);
    assert_eq!(two.asked(), 2);
}

#[test]
fn a_mirror_that_begins_late_knows_the_layers_and_their_clocks() {
    let (expect, mut two) = (expect(&[], &[0x1000]), Two::new(&expect(&[], &[0x1000]), route()));
    let mut camera = Camera::new(0x1000, "");
    two.publish(&camera.frame(true, 1)[0], 0.0);
    two.control(0, &bytes::sender_report(0x1000, 5.0, camera.timestamp), 0.1);
    // The last route goes, and another comes.
    assert!(two.tables[1].unroute(1) && two.tables[1].forget(&expect.track));
    two.tables[0].starve(&expect.track, 1);
    two.publish(&camera.frame(true, 1)[0], 0.2);
    assert!(two.sinks[1].recorder.rtp.is_empty());
    two.begin(&expect, Route { route: 1, ssrc: SSRC + 1, ..route() });
    two.aim(Some(""), 0.3);
    assert_eq!(two.asked(), 1, "it knows whom to ask");
    two.publish(&camera.frame(true, 1)[0], 0.4);
    let sent = &two.sinks[1].recorder;
    assert_eq!(sent.rtp.len(), 1);
    two.tick(0.42);
    (0..50).for_each(|beat| two.tick(0.44 + f64::from(beat) / 50.0));
    let reports = two.sinks[1].recorder.rtcp.iter().flat_map(|sent| bytes::split(&sent.1)).filter(|one| one.1 == 200);
    assert!(reports.count() >= 1, "the publisher's clock was told before");
}

#[test]
fn what_comes_too_late_for_a_mirror_is_nothing() {
    let mut two = Two::new(&expect(&[], &[0x1000]), route());
    let (rid, at) = (Rid::from(""), two.epoch);
    let stray = Shared { track: Arc::from("t"), rid, layer: 9, at, what: What::Wish };
    assert!(two.tables[1].forget(&Arc::from("t")));
    for what in [What::Wish, What::Layer, What::Skip(7)] {
        for place in [0, 1] {
            let shared = Shared { what: what.clone(), ..stray.clone() };
            two.tables[place].shared(shared, b"", &mut two.sinks[place], &mut two.tally);
        }
    }
    assert_eq!((two.asked(), two.sinks[1].recorder.rtp.len()), (0, 0));
}
