//! Where media goes: restarts, moves, new addresses, roles.

use super::*;

fn renewed(wire: &mut Wire, index: usize) {
    let (now, names) = (wire.now, ["a2", "c2"]);
    let (local, remote) = (credentials(names[index]), credentials(names[1 - index]));
    wire.ends[index].transport.restart(now, local, remote, &[at(ANSWERER)]);
}

#[test]
fn a_restart_moves_to_new_credentials_and_the_session_goes_on() {
    let mut wire = Wire::connected(7);
    renewed(&mut wire, 0);
    wire.pass(20.0);
    media_crosses(&mut wire, 1);
    assert_eq!(wire.ends[0].transport.path(), Some(at(CALLER)), "the old path carries until there is a new one");
    assert!(wire.poke(STRANGER, &good_check(false)).0.is_ok(), "and its credentials count");
    renewed(&mut wire, 0);
    renewed(&mut wire, 1);
    wire.pass(2.0);
    assert_eq!(wire.poke(STRANGER, &good_check(true)).0, Err(Drop::Authentication), "then no longer");
    wire.say(1, "still me").unwrap();
    wire.pass(60.0);
    assert_eq!(wire.ends[0].texts(), ["still me"]);
    assert!(wire.ends.iter().all(|end| end.lost().is_none()));
    assert_eq!(wire.ends[0].events.iter().filter(|event| **event == TransportEvent::Connected).count(), 1);
}

#[test]
fn a_restart_that_is_never_taken_up_ends_nothing() {
    let mut wire = Wire::connected(8);
    renewed(&mut wire, 0);
    wire.pass(100.0);
    assert_eq!(wire.ends[0].lost(), None);
    media_crosses(&mut wire, 1);
}

#[test]
fn a_restart_saves_a_peer_whose_path_is_dead() {
    let mut wire = Wire::connected(9);
    wire.loss = 1.0;
    wire.pass(5.0);
    renewed(&mut wire, 0);
    renewed(&mut wire, 1);
    wire.pass(15.0);
    assert_eq!(wire.ends[0].transport.path(), None, "consent is gone");
    assert_eq!(wire.ends[0].lost(), None, "another path is looked for");
    wire.loss = 0.0;
    wire.pass(5.0);
    wire.say(0, "back").unwrap();
    assert!(wire.until(20.0, |wire| wire.ends[1].texts() == ["back"]));
}

#[test]
fn a_peer_that_moves_is_followed_once_it_answers_from_there() {
    let mut wire = Wire::connected(10);
    let moved = at("198.51.100.99:4444");
    wire.ends[1].at = moved;
    // Its next check, which nominates as Chromium's do, comes from the new address.
    let (outcome, sent) = wire.poke("198.51.100.99:4444", &good_check(true));
    assert!(outcome.is_ok());
    assert_eq!(wire.ends[0].transport.path(), Some(at(CALLER)), "not before it has answered");
    wire.launch(at(ANSWERER), sent);
    wire.pass(0.1);
    assert_eq!(wire.ends[0].transport.path(), Some(moved));
    wire.pass(60.0);
    assert!(wire.ends.iter().all(|end| end.lost().is_none()));
}

/// Security N3: the peer names a victim by checks from its address; the victim never answers.
#[test]
fn a_victim_is_sent_no_media_and_little_else() {
    let mut wire = Wire::connected(11);
    let request = good_check(true);
    let (outcome, sent) = wire.poke(STRANGER, &request);
    assert!(outcome.is_ok());
    let mut bytes: usize = sent.0.iter().map(|(_, datagram)| datagram.len()).sum();
    assert!(sent.0.iter().all(|(to, _)| *to == at(STRANGER)));
    for _ in 0..100 {
        wire.pass(0.1);
        let (now, mut sent) = (wire.now, Sent::default());
        wire.ends[0].transport.timeout(now, &mut sent);
        bytes += sent.0.iter().filter(|(to, _)| *to == at(STRANGER)).map(|(_, d)| d.len()).sum::<usize>();
        bytes += wire.flying.iter().filter(|flight| flight.2 == at(STRANGER)).map(|f| f.3.len()).sum::<usize>();
        wire.flying.retain(|flight| flight.2 != at(STRANGER));
        wire.launch(at(ANSWERER), sent);
    }
    assert!(bytes <= 3 * request.len(), "{bytes} for {}", request.len());
    assert_eq!(wire.ends[0].transport.path(), Some(at(CALLER)));
    assert!(!wire.ends[0].transport.is_valid(at(STRANGER)));
    assert_eq!(wire.poke(STRANGER, &[22, 254, 253, 0]).1.0, []);
}

/// Security N5.
#[test]
fn new_addresses_are_few() {
    let mut wire = Wire::connected(12);
    let mut admitted = 0;
    for number in 0..1_000 {
        let (outcome, sent) = wire.poke(&format!("203.0.113.9:{}", 1_000 + number), &good_check(false));
        assert_eq!(outcome.is_ok(), !sent.0.is_empty());
        admitted += usize::from(outcome.is_ok());
        wire.now += seconds(0.01);
    }
    assert!((10..=15).contains(&admitted), "{admitted}");
    for number in 0..1_000 {
        wire.poke(&format!("203.0.113.9:{}", 1_000 + number), &good_check(false)).0.ok();
        wire.now += seconds(1.0);
    }
    let known = wire.ends[0].transport.ice.known();
    assert!(known <= generation::MOST_REMOTE, "{known}");
}

/// Security N11: the answerer was opened, and is restarted, with a stranger as candidate.
#[test]
fn no_check_goes_to_an_address_that_a_client_merely_names() {
    let mut wire = Wire::new(21);
    let opened = |wire: &mut Wire| {
        assert!(wire.flying.iter().all(|flight| flight.2 != at(STRANGER)));
        wire.ends.iter().all(|end| end.has(&TransportEvent::Opened))
    };
    assert!(wire.until(10.0, opened));
    let now = wire.now;
    wire.ends[0].transport.restart(now, credentials("a2"), credentials("c2"), &[at(STRANGER)]);
    wire.until(40.0, |wire| !opened(wire));
    assert_eq!(wire.ends[0].lost(), None);
}

/// Security D1: the client may be heard before the answer to our check; its handshake waits for that.
#[test]
fn a_handshake_that_overtakes_the_answer_to_a_check_is_kept() {
    let (mut wire, mut held) = (Wire::new(22), Vec::new());
    let kept = |wire: &mut Wire| {
        let is_answer =
            |flight: &(Instant, SocketAddr, SocketAddr, Vec<u8>)| flight.2 == at(ANSWERER) && flight.3[..2] == [1, 1];
        held.extend(wire.flying.extract_if(.., |flight| is_answer(flight)));
        !wire.ends[0].transport.early.is_empty()
    };
    assert!(wire.until(5.0, kept));
    assert!(wire.ends[0].transport.is_known(at(CALLER)) && !wire.ends[0].transport.is_valid(at(CALLER)));
    let begun = wire.now;
    for (_, from, to, datagram) in held {
        wire.deliver(from, to, &datagram);
    }
    wire.connect();
    assert!(wire.now - begun < seconds(0.4), "nothing had to be sent twice");
}

/// Security N6: whoever has the greater tie-breaker keeps the role that both claim.
#[test]
fn two_callers_agree_on_their_roles() {
    for seed in 0..8 {
        let mut wire = Wire::with(seed, |opens| {
            opens[0].role = Role::Caller;
            opens[0].candidates = vec![at(CALLER)];
        });
        wire.jitter = seconds(0.01);
        let paths = |wire: &mut Wire| wire.ends.iter().all(|end| end.transport.path().is_some());
        assert!(wire.until(10.0, paths), "seed {seed}");
    }
}

#[test]
fn a_thousand_conflicting_checks_flap_nothing() {
    for tie in [0, u64::MAX] {
        let mut wire = Wire::connected(13);
        let request = check("afrag:cfrag", &credentials("a").pwd, stun::Claim::Controlled(tie), false);
        let mut conflicts = 0;
        for _ in 0..1_000 {
            for (_, answer) in wire.poke(CALLER, &request).1.0 {
                let message = stun::Message::read(&answer).unwrap();
                if message.error == Some(487) {
                    assert!(message.proves(&stun::key(&credentials("a").pwd)));
                    conflicts += 1;
                }
            }
            wire.pass(0.05);
        }
        assert_eq!(conflicts > 900, tie == u64::MAX, "{conflicts}");
        assert!(wire.ends.iter().all(|end| end.lost().is_none()));
        media_crosses(&mut wire, 5);
    }
}
