//! When probes are sent, and what they find.

use super::*;

const GROUND: Ground = Ground { bps: 5e5, wanted: 4e6, limited: None, blocked: false, met: false };

/// Sends a probe over a path of so many bits a second, while the estimate is `bps`; what it found.
fn sent(probes: &mut Probes, now: f64, cluster: Cluster, path: f64, bps: f64) -> (f64, bool) {
    probes.left(now, cluster.bps, 0..=9);
    let (mut found, mut free) = (Taken::Foreign, 0.0_f64);
    for number in 0..10_i64 {
        let sent = now + number as f64 * 8000.0 / cluster.bps;
        free = free.max(sent) + 8000.0 / path;
        found = probes.take(number, sent, free, 1000, bps);
    }
    let Taken::Found(bps, full) = found else { panic!("{found:?}") };
    (bps, full)
}

fn about(found: f64, bps: f64) {
    assert!((found / bps - 1.0).abs() < 0.01, "{found} is not {bps}");
}

#[test]
fn it_begins_with_three_and_six_times_and_goes_on_while_that_gets_through() {
    let mut probes = Probes::default();
    let first = probes.due(0.0, GROUND).expect("a probe");
    assert_eq!((first.bps, first.bytes, first.packet), (1.5e6, 2813, 562));
    let (found, full) = sent(&mut probes, 0.0, first, 1e8, GROUND.bps);
    about(found, 1.5e6);
    assert!(!full);
    let next = probes.due(0.1, Ground { bps: 1.5e6, ..GROUND }).expect("another");
    about(next.bps, 3e6);
}

#[test]
fn a_full_path_is_asked_for_a_little_less_than_it_let_through() {
    let mut probes = Probes::default();
    let cluster = probes.due(0.0, GROUND).expect("a probe");
    let (found, full) = sent(&mut probes, 0.0, cluster, 1e6, GROUND.bps);
    about(found, 1e6);
    assert!(full);
    about(probes.due(0.1, GROUND).expect("another").bps, 0.9e6);
}

#[test]
fn a_probe_that_is_told_of_while_it_leaves_counts_whole_and_one_that_is_given_up_does_not() {
    let mut probes = Probes::default();
    let at = |number: i64| number as f64 * 0.004;
    let told = |probes: &mut Probes, number| probes.take(number, at(number), at(number), 1000, GROUND.bps);
    probes.begins(0.0, 2e6, 0);
    assert!((0..5).all(|number| told(&mut probes, number) == Taken::Part));
    probes.left(0.04, 2e6, 0..=9);
    let found = (5..10).map(|number| told(&mut probes, number)).last();
    assert!(matches!(found, Some(Taken::Found(bps, false)) if (bps / 2e6 - 1.0).abs() < 0.01), "{found:?}");
    probes.begins(1.0, 2e6, 10);
    probes.give_up();
    assert_eq!(told(&mut probes, 10), Taken::Foreign);
}

#[test]
fn nothing_is_asked_that_nobody_wants_or_while_a_queue_grows() {
    let mut probes = Probes::default();
    assert_eq!(probes.due(0.0, Ground { wanted: 4e5, ..GROUND }), None);
    assert_eq!(probes.due(0.1, Ground { blocked: true, ..GROUND }), None);
    assert!(probes.due(0.2, GROUND).is_some());
}

#[test]
fn who_could_use_more_is_asked_every_few_seconds() {
    let mut probes = Probes::default();
    let asked = (0..1000).filter(|at| probes.due(f64::from(*at) * 0.1, GROUND).is_some()).count();
    assert!((35..=45).contains(&asked), "{asked} in 100 s");
}

#[test]
fn on_a_path_that_was_full_the_first_step_is_small_and_those_that_follow_at_once_are_twice_the_one_before() {
    let (mut probes, mut now, mut bps, mut steps) = (Probes::default(), 0.0, 5e5, vec![]);
    probes.begun = true;
    while bps < 2e6 && now < 10.0 {
        now += 0.1;
        let Some(cluster) = probes.due(now, Ground { bps, met: true, ..GROUND }) else { continue };
        let (found, full) = sent(&mut probes, now, cluster, 1e7, bps);
        assert!(!full && found <= 1.5 * bps);
        steps.push((found - bps) / bps);
        bps = found;
    }
    assert!(steps[0] < 0.2 && steps[1] > 1.5 * steps[0] && steps.len() <= 5, "{steps:?}");
}

#[test]
fn two_who_ask_at_once_do_not_ask_at_once_for_ever() {
    let mut both = [Probes::default(), Probes::default()];
    let mut asks = |now: f64| {
        let mut ask = |of: usize, bps: f64| both[of].due(now, Ground { bps, met: true, ..GROUND }).is_some();
        (ask(0, 5e5 + now), ask(1, 7e5 + now))
    };
    let asked: Vec<_> = (0..1000).map(|at| asks(f64::from(at) * 0.1)).filter(|asked| asked.0 || asked.1).collect();
    let together = asked.iter().filter(|asked| asked.0 && asked.1).count();
    assert!(asked.len() > 60 && together < asked.len() / 4, "{together} of {}", asked.len());
}

#[test]
fn what_a_fall_leaves_free_is_not_asked_for_at_once() {
    let mut probes = Probes::default();
    while probes.due(0.0, GROUND).is_some() {}
    probes.fell(10.0, 6e5, 5e5);
    assert_eq!(probes.due(10.5, GROUND), None);
    assert!(probes.due(10.8, GROUND).is_some());
}

#[test]
fn a_probe_that_lost_a_third_of_its_packets_still_says_how_fast_the_others_came() {
    let mut probes = Probes::default();
    let cluster = probes.due(0.0, GROUND).expect("a probe");
    probes.left(0.0, cluster.bps, 0..=9);
    let mut found = Taken::Foreign;
    for number in [0, 1, 2, 6, 7, 8, 9] {
        let sent = f64::from(number) * 8000.0 / cluster.bps;
        found = probes.take(i64::from(number), sent, sent + 0.05, 1000, GROUND.bps);
    }
    let Taken::Found(bps, false) = found else { panic!("{found:?}") };
    assert!((0.5..0.9).contains(&(bps / cluster.bps)), "{bps}");
}
