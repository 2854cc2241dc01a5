//! The estimator against a link with a queue, in virtual time: a sender that follows it, and a receiver that tells.

use std::collections::VecDeque;

use super::*;
use crate::media::bytes::Draw;

const PACKET: f64 = 1100.0;
const FEEDBACK: f64 = 0.05;

/// A bottleneck: a rate, a delay each way, a queue of so many seconds, and losses of its own.
struct Link {
    rate: f64,
    delay: f64,
    queue: f64,
    /// One in so many is lost; 0 for none.
    lossy: u64,
    free: f64,
}

/// A stream of packets that follows its estimate.
struct Flow {
    estimator: Estimator,
    next: i64,
    due: f64,
    probing: Option<(Cluster, i64, f64)>,
    flying: VecDeque<(f64, Told)>,
    untold: Vec<Told>,
    feedback: VecDeque<(f64, Vec<Told>)>,
    tell: f64,
    bytes: f64,
    lost: u64,
    /// What the source could use, and what it has to send.
    most: f64,
    has: f64,
}

impl Flow {
    fn new(most: f64) -> Self {
        Self {
            estimator: Estimator::default(),
            next: 0,
            due: 0.0,
            probing: None,
            flying: VecDeque::new(),
            untold: vec![],
            feedback: VecDeque::new(),
            tell: FEEDBACK,
            bytes: 0.0,
            lost: 0,
            most,
            has: most,
        }
    }

    /// One millisecond. Returns the queue's delay that each packet met.
    fn step(&mut self, now: f64, link: &mut Link, draw: &mut Draw) -> Vec<f64> {
        let mut met = vec![];
        self.estimator.want(self.most);
        if let Some(cluster) = self.probing.is_none().then(|| self.estimator.probe(now)).flatten() {
            self.probing = Some((cluster, self.next, now));
            self.due = self.due.min(now);
        }
        while self.due <= now {
            let rate = match &self.probing {
                Some((cluster, ..)) => cluster.bps,
                None => self.estimator.bps().min(self.has),
            };
            let size = self.probing.map_or(PACKET, |(cluster, ..)| f64::from(cluster.packet));
            met.extend(self.send(self.due, size, link, draw));
            self.due += size * 8.0 / rate;
            if let Some((cluster, first, begun)) = self.probing {
                let sent = self.next - first;
                if sent >= 5 && sent as f64 * size >= f64::from(cluster.bytes) {
                    self.estimator.probed(begun, cluster.bps, first..=self.next - 1);
                    self.probing = None;
                }
            }
        }
        while self.flying.front().is_some_and(|one| one.0 <= now) {
            self.untold.extend(self.flying.pop_front().map(|one| one.1));
        }
        if now >= self.tell {
            self.tell += FEEDBACK;
            let told = std::mem::take(&mut self.untold);
            self.bytes += told.iter().filter(|one| one.arrived.is_some()).map(|one| f64::from(one.size)).sum::<f64>();
            self.feedback.push_back((now + link.delay, told));
        }
        while self.feedback.front().is_some_and(|one| one.0 <= now) {
            let (_, told) = self.feedback.pop_front().expect("there is one");
            if !told.is_empty() {
                self.estimator.told(now, &told);
            }
        }
        self.estimator.tick(now);
        met
    }

    fn send(&mut self, now: f64, size: f64, link: &mut Link, draw: &mut Draw) -> Option<f64> {
        let waits = (link.free - now).max(0.0);
        let mut told = Told { sequence: self.next, sent: now, size: size as u16, arrived: None };
        self.next += 1;
        self.estimator.left(now, size as usize);
        let arrives = now + waits + size * 8.0 / link.rate + link.delay;
        if waits <= link.queue {
            link.free = now + waits + size * 8.0 / link.rate;
            if link.lossy == 0 || draw.below(link.lossy) != 0 {
                told.arrived = Some((arrives * 4000.0) as i64);
            }
        }
        self.lost += u64::from(told.arrived.is_none());
        self.flying.push_back((arrives, told));
        (waits <= link.queue).then_some(waits)
    }
}

struct Run {
    used: f64,
    queue_p95: f64,
    estimate: f64,
}

/// Let flows share a link from one time to another.
fn run(flows: &mut [Flow], link: &mut Link, from: f64, to: f64) -> Run {
    let mut draw = Draw::new(7);
    let mut met = vec![];
    flows.iter_mut().for_each(|flow| flow.bytes = 0.0);
    for at in (from * 1000.0) as u32..(to * 1000.0) as u32 {
        let now = f64::from(at) / 1000.0;
        for flow in flows.iter_mut() {
            met.extend(flow.step(now, link, &mut draw));
        }
    }
    met.sort_by(f64::total_cmp);
    let bytes: f64 = flows.iter().map(|flow| flow.bytes).sum();
    Run {
        used: bytes * 8.0 / (to - from) / link.rate,
        queue_p95: met.get(met.len() * 95 / 100).copied().unwrap_or(0.0),
        estimate: flows[0].estimator.bps(),
    }
}

fn link(rate: f64) -> Link {
    Link { rate, delay: 0.05, queue: 0.3, lossy: 0, free: 0.0 }
}

#[test]
fn it_fills_a_link_and_keeps_the_queue_short() {
    for rate in [3e5, 1e6, 4e6, 2e7] {
        let (mut flows, mut link) = ([Flow::new(5e7)], link(rate));
        run(&mut flows, &mut link, 0.0, 20.0);
        let found = run(&mut flows, &mut link, 20.0, 80.0);
        assert!(found.used > 0.85, "{rate}: used {}", found.used);
        assert!(found.queue_p95 < 0.08, "{rate}: queue {}", found.queue_p95);
    }
}

#[test]
fn it_follows_steps_up_within_four_seconds_and_down_within_one_and_a_half() {
    let (mut flows, mut link) = ([Flow::new(5e6)], link(1e6));
    run(&mut flows, &mut link, 0.0, 40.0);
    link.rate = 2.5e6;
    let found = (0..40).map(|at| run(&mut flows, &mut link, 40.0 + 0.1 * f64::from(at), 40.1 + 0.1 * f64::from(at)));
    let most = found.map(|step| step.estimate).fold(0.0, f64::max);
    assert!(most > 0.9 * 2.5e6, "{most}");
    let up = run(&mut flows, &mut link, 44.0, 46.0);
    assert!(up.used > 0.8, "{}", up.used);
    run(&mut flows, &mut link, 46.0, 60.0);
    link.rate = 0.6e6;
    run(&mut flows, &mut link, 60.0, 61.5);
    let down = run(&mut flows, &mut link, 61.5, 63.0);
    assert!(down.queue_p95 < 0.05, "{}", down.queue_p95);
}

#[test]
fn what_nobody_wants_is_not_asked_for() {
    let (mut flows, mut link) = ([Flow::new(4e5)], link(1e7));
    let found = run(&mut flows, &mut link, 0.0, 60.0);
    assert!(found.estimate < 2e6, "{}", found.estimate);
    assert_eq!(flows[0].lost, 0);
}

#[test]
fn random_loss_does_not_starve_it_and_delay_of_the_path_does_not_matter() {
    let (mut flows, mut link) = ([Flow::new(1e7)], Link { lossy: 50, delay: 0.15, ..link(2e6) });
    run(&mut flows, &mut link, 0.0, 20.0);
    let found = run(&mut flows, &mut link, 20.0, 60.0);
    assert!(found.used > 0.7, "used {}", found.used);
}

#[test]
fn a_tenth_lost_without_a_queue_does_not_starve_it_and_a_policed_path_is_not_flooded() {
    let (mut flows, mut lossy) = ([Flow::new(1e7)], Link { lossy: 10, ..link(2e6) });
    run(&mut flows, &mut lossy, 0.0, 20.0);
    let found = run(&mut flows, &mut lossy, 20.0, 80.0);
    assert!(found.used > 0.65, "used {}", found.used);
    let (mut flows, mut policed) = ([Flow::new(1e7)], Link { queue: 0.01, ..link(2e6) });
    run(&mut flows, &mut policed, 0.0, 20.0);
    let before = (flows[0].lost, flows[0].next);
    run(&mut flows, &mut policed, 20.0, 80.0);
    let lost = (flows[0].lost - before.0) as f64 / (flows[0].next - before.1) as f64;
    assert!(lost < 0.12, "lost {lost}");
}

#[test]
fn three_flows_share_fairly() {
    // Where they begin is chance enough.
    for begin in [0.0, 0.3, 0.7, 1.1, 1.6] {
        let (mut flows, mut link) = ([Flow::new(5e6), Flow::new(5e6), Flow::new(5e6)], link(3e6));
        run(&mut flows[..1], &mut link, 0.0, 5.0 + begin);
        for late in &mut flows[1..] {
            (late.due, late.tell) = (5.0 + begin, 5.0 + begin + FEEDBACK);
        }
        run(&mut flows, &mut link, 5.0 + begin, 60.0);
        let found = run(&mut flows, &mut link, 60.0, 120.0);
        let shares: Vec<f64> = flows.iter().map(|flow| flow.bytes).collect();
        let sum: f64 = shares.iter().sum();
        let jain = sum * sum / (3.0 * shares.iter().map(|share| share * share).sum::<f64>());
        assert!(jain > 0.95, "{begin}: {jain}: {shares:?}");
        assert!(found.used > 0.85, "{begin}: {}", found.used);
    }
}

#[test]
fn who_hears_nothing_halves_what_it_sends() {
    let (mut flows, mut link) = ([Flow::new(5e6)], link(2e6));
    run(&mut flows, &mut link, 0.0, 20.0);
    let before = flows[0].estimator.bps();
    link.rate = 1.0;
    let after = run(&mut flows, &mut link, 20.0, 25.0).estimate;
    assert!(after < before / 16.0, "{before} to {after}");
}

#[test]
fn who_has_less_to_send_than_it_could_use_learns_by_probes_how_far_to_grow() {
    for has in [0.5e6, 0.7e6, 0.9e6] {
        let (mut flows, mut link) = ([Flow { has, ..Flow::new(5e6) }], link(1e6));
        run(&mut flows, &mut link, 0.0, 20.0);
        let found = (20..60).map(|at| run(&mut flows, &mut link, f64::from(at), f64::from(at + 1)).estimate);
        let most = found.fold(0.0, f64::max);
        assert!((1.1 * has..1.05e6).contains(&most), "{has}: {most}");
    }
}

#[test]
fn a_path_that_got_narrow_is_known_before_a_trend_shows_it_and_one_that_paused_is_not_narrow() {
    // When the estimate halved, and what the trend said then; what it is after a second.
    let run = |happens: fn(u32, &mut Link)| {
        let (mut flows, mut link) = ([Flow::new(3.5e6)], Link { delay: 0.01, ..link(4e6) });
        let before = run(&mut flows, &mut link, 0.0, 20.0).estimate;
        let (mut draw, mut halved) = (Draw::new(7), None);
        for at in 0..1000 {
            let now = 20.0 + f64::from(at) / 1000.0;
            link.free = link.free.max(now);
            happens(at, &mut link);
            flows[0].step(now, &mut link, &mut draw);
            let estimator = &flows[0].estimator;
            halved = halved.or((estimator.bps() < before / 2.0).then(|| (at, estimator.trend.usage())));
        }
        (halved, flows[0].estimator.bps() / before)
    };
    let (halved, _) = run(|_, link| link.rate = 8e5);
    assert!(halved.is_some_and(|(at, trend)| at <= 200 && trend != Usage::Over), "{halved:?}");
    // A pause of 60 ms; frames of others, 25 ms each, five times a second.
    let (halved, after) = run(|at, link| link.free += if at == 100 { 0.06 } else { 0.0 });
    assert!(halved.is_none() && after > 0.8, "{halved:?} {after}");
    let (halved, after) = run(|at, link| link.free += if at % 200 == 0 { 0.025 } else { 0.0 });
    assert!(halved.is_none() && after > 0.8, "{halved:?} {after}");
}

#[test]
fn a_thin_path_that_got_thinner_is_known_before_its_queue_is_full() {
    for phase in 0..20 {
        let (mut flows, mut link) = ([Flow::new(0.95e6)], Link { delay: 0.02, ..link(1.2e6) });
        let step = 20.0 + 0.007 * f64::from(phase);
        run(&mut flows, &mut link, 0.0, step);
        (flows[0].lost, link.rate) = (0, 0.35e6);
        let found = run(&mut flows, &mut link, step, step + 0.18);
        assert!(found.estimate < 0.4e6 && flows[0].lost == 0, "{phase}: {}, {} lost", found.estimate, flows[0].lost);
    }
}

#[test]
fn a_path_that_gets_thin_while_a_probe_leaves_is_known_as_soon() {
    for from in [20.0, 21.1, 22.2, 23.3, 24.6, 26.1, 27.9, 29.7, 31.8, 33.2] {
        let (mut flows, mut link) = ([Flow::new(3e6)], Link { delay: 0.02, ..link(1.2e6) });
        flows[0].has = 0.9e6;
        let mut now = from;
        run(&mut flows, &mut link, 0.0, now);
        while flows[0].probing.is_none() {
            run(&mut flows, &mut link, now, now + 0.001);
            now += 0.001;
        }
        (flows[0].lost, link.rate) = (0, 0.35e6);
        let known = (1..500).find(|at| {
            let at = now + 0.001 * f64::from(*at);
            run(&mut flows, &mut link, at - 0.001, at).estimate < 0.4e6
        });
        assert!(known.is_some_and(|at| at <= 170), "{from}: {known:?} ms");
    }
}
