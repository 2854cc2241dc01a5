//! Two transports, from the first check to the last goodbye.

mod paths;
#[path = "wire.rs"]
mod wire;

use self::wire::*;
use super::srtp::Profile;
use super::*;

#[test]
fn two_connect_open_a_channel_and_talk() {
    let mut wire = Wire::connected(1);
    assert!(wire.now.elapsed() < seconds(1.0));
    for end in &wire.ends {
        assert_eq!(end.events, [TransportEvent::Connected, TransportEvent::Opened]);
        assert!(end.transport.is_connected());
    }
    assert_eq!(wire.ends[0].transport.path(), Some(at(CALLER)));
    assert_eq!(wire.ends[1].transport.path(), Some(at(ANSWERER)));
    let long = "é".repeat(100_000);
    for text in ["hello", "", &long] {
        for index in [0, 1] {
            wire.say(index, text).unwrap();
        }
    }
    assert!(wire.until(10.0, |wire| wire.ends.iter().all(|end| end.texts().len() == 3)));
    for end in &wire.ends {
        assert_eq!(end.texts(), ["hello", "", &long]);
    }
}

#[test]
fn they_connect_on_a_bad_wire_and_no_text_is_lost() {
    for seed in 0..6 {
        let mut wire = Wire::new(seed);
        (wire.loss, wire.repeats, wire.jitter) = (0.2, 0.1, seconds(0.06));
        wire.say(0, "early").unwrap();
        wire.say(1, "early").unwrap();
        wire.connect();
        let long = "x".repeat(60_000);
        wire.say(0, &long).unwrap();
        wire.say(1, "last").unwrap();
        assert!(wire.until(300.0, |wire| wire.ends.iter().all(|end| end.texts().len() == 2)), "seed {seed}");
        assert_eq!(wire.ends[0].texts(), ["early", "last"]);
        assert_eq!(wire.ends[1].texts(), ["early", &long]);
        assert!(wire.ends.iter().all(|end| end.lost().is_none()));
    }
}

/// What one seals opens at the other.
fn media_crosses(wire: &mut Wire, index: u64) {
    for (from, to) in [(0, 1), (1, 0)] {
        let mut packet = [&[0x80, 96][..], &(index as u16).to_be_bytes(), &[7; 80], &[0; TAIL]].concat();
        let length = wire.ends[from].transport.seal_rtp(&mut packet, 84, index).unwrap();
        packet.truncate(length);
        assert_ne!(packet[12..84], [7; 72]);
        let twin = packet.clone();
        assert_eq!(wire.ends[to].transport.open_rtp(&mut packet), Ok(84));
        assert_eq!(packet[12..84], [7; 72]);
        assert_eq!(wire.ends[to].transport.open_rtp(&mut twin.clone()), Err(Drop::Replayed));
        let mut report = [&[0x80, 201, 0, 7][..], &[9; 28], &[0; TAIL]].concat();
        let length = wire.ends[from].transport.seal_rtcp(&mut report, 32).unwrap();
        report.truncate(length);
        assert_eq!(wire.ends[to].transport.open_rtcp(&mut report), Ok(32));
        assert_eq!(report[4..32], [9; 28]);
    }
}

#[test]
fn media_crosses_in_each_profile() {
    let mut wire = Wire::connected(2);
    media_crosses(&mut wire, 700);
    let material: Vec<u8> = (0..88).collect();
    for profile in [Profile::Gcm128, Profile::Gcm256, Profile::Sha1_80] {
        for (index, end) in wire.ends.iter_mut().enumerate() {
            end.transport.media = dtls::split_keys(&material, profile, index == 1).map(Box::new);
        }
        media_crosses(&mut wire, 9);
    }
}

#[test]
fn no_media_before_the_handshake_and_none_after_the_end() {
    let mut wire = Wire::new(3);
    let refused = |wire: &mut Wire| {
        let transport = &mut wire.ends[0].transport;
        let mut packet = [0x80; 100];
        assert_eq!(transport.seal_rtp(&mut packet, 60, 1), Err(Drop::SinkNotConnected));
        assert_eq!(transport.seal_rtcp(&mut packet, 60), Err(Drop::SinkNotConnected));
        assert_eq!(transport.open_rtp(&mut packet), Err(Drop::Authentication));
        assert_eq!(transport.open_rtcp(&mut packet), Err(Drop::Authentication));
    };
    refused(&mut wire);
    wire.connect();
    let (now, mut sent) = (wire.now, Sent::default());
    wire.ends[0].transport.close(now, &mut sent);
    refused(&mut wire);
    assert_eq!(wire.ends[0].transport.path(), None);
    assert_eq!(wire.ends[0].transport.deadline(), None);
    assert_eq!(wire.ends[0].transport.event(), None);
    assert_eq!(wire.say(0, "x"), Err(Drop::MessageQueueFull));
    wire.launch(at(ANSWERER), sent);
    wire.pass(1.0);
    assert_eq!(wire.ends[1].lost(), Some(Loss::Closed));
}

#[test]
fn a_peer_that_vanishes_is_lost_within_fifteen_seconds_and_sent_nothing_more() {
    let mut wire = Wire::connected(4);
    wire.pass(30.0);
    assert!(wire.ends.iter().all(|end| end.lost().is_none()));
    wire.loss = 1.0;
    let since = wire.now;
    assert!(wire.until(15.0, |wire| wire.ends.iter().all(|end| end.lost() == Some(Loss::Ice))));
    assert!(wire.now - since > seconds(8.0), "a short cut is survived");
    for end in &wire.ends {
        assert_eq!((end.transport.path(), end.transport.deadline()), (None, None));
    }
}

#[test]
fn ten_minutes_with_a_third_of_all_packets_lost_end_nothing() {
    for seed in 0..4 {
        let mut wire = Wire::connected(seed);
        wire.loss = 0.3;
        wire.pass(600.0);
        assert!(wire.ends.iter().all(|end| end.lost().is_none()), "seed {seed}");
    }
}

#[test]
fn nobody_comes() {
    let mut wire = Wire::new(5);
    wire.loss = 1.0;
    assert!(wire.until(31.0, |wire| wire.ends.iter().all(|end| end.lost() == Some(Loss::Ice))));
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let mut wire = Wire::new(6);
    wire.until(5.0, |wire| wire.ends[0].transport.path().is_some());
    // From here on the caller's handshakes are eaten, not its checks.
    wire.ends[1].transport.waiting = None;
    wire.ends[1].transport.dtls = None;
    wire.ends[1].transport.dtls_until = None;
    wire.pass(29.0);
    assert_eq!(wire.ends[0].lost(), None);
    wire.pass(2.0);
    assert_eq!(wire.ends[0].lost(), Some(Loss::Dtls));
}

/// Security D4: in both roles, for a digest that is wrong, of a hash that is too weak, or missing.
#[test]
fn who_is_not_who_it_should_be_is_lost_and_never_connected() {
    let wrong = ("sha-256".to_owned(), vec![0xAB; 32]);
    for index in [0, 1] {
        for prints in
            [vec![wrong.clone()], vec![], vec![("md5".to_owned(), vec![1])], vec![("sha-256".to_owned(), vec![])]]
        {
            let mut wire = Wire::with(14, |opens| opens[index].fingerprints = prints.clone());
            assert!(wire.until(31.0, |wire| wire.ends[index].lost() == Some(Loss::Dtls)), "{prints:?}");
            assert!(!wire.ends[index].has(&TransportEvent::Connected));
            assert!(!wire.ends[index].transport.is_connected());
        }
    }
}

#[test]
fn an_unknown_hash_is_passed_over_and_all_known_ones_must_match() {
    let mut wire = Wire::with(15, |opens| opens[0].fingerprints.insert(0, ("sha-999".to_owned(), vec![0])));
    wire.connect();
    let mut wire = Wire::with(15, |opens| opens[0].fingerprints.push(("sha-512".to_owned(), vec![0])));
    assert!(wire.until(5.0, |wire| wire.ends[0].lost() == Some(Loss::Dtls)));
}

/// Security N2.
#[test]
fn only_a_check_of_the_peers_is_answered() {
    let mut wire = Wire::new(16);
    let password = credentials("a").pwd;
    let claim = stun::Claim::Controlling(1);
    let mut flipped = good_check(false);
    flipped[40] ^= 1;
    let unsigned = stun::Builder::new(stun::Class::Request, &[5; 12]).check("afrag:cfrag", 1, claim, false);
    for noise in [
        check("afrag:cfrag", "wrong", claim, false),
        check("afrag:other", &password, claim, false),
        check("other:cfrag", &password, claim, false),
        check("cfrag:afrag", &password, claim, false),
        stun::Builder::new(stun::Class::Request, &[5; 12]).sign(&stun::key(&password)),
        stun::Builder::new(stun::Class::Success, &[5; 12]).mapped(at(CALLER)).sign(&stun::key(&password)),
        stun::Builder::new(stun::Class::Error, &[5; 12]).role_conflict().sign(&stun::key(&password)),
        stun::Builder::new(stun::Class::Indication, &[5; 12]).sign(&stun::key(&password)),
        flipped,
        unsigned.sign(&stun::key("")),
        good_check(false)[..20].to_vec(),
    ] {
        let (_, sent) = wire.poke(STRANGER, &noise);
        assert!(sent.0.is_empty(), "{noise:?}");
    }
    let (outcome, sent) = wire.poke(STRANGER, &good_check(false));
    assert_eq!((outcome, sent.0.len()), (Ok(()), 2), "our check and our answer");
    assert_eq!(stun::Message::read(&sent.0[0].1).unwrap().class, stun::Class::Request);
    assert_eq!(stun::Message::read(&sent.0[1].1).unwrap().mapped, Some(at(STRANGER)));
}

#[test]
fn a_strangers_datagrams_are_dropped_by_name() {
    let mut wire = Wire::connected(23);
    let head = [0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    for (reason, datagram) in [
        (Drop::Malformed, vec![0; 20]),
        (Drop::Malformed, [&head[..], &[0; 11]].concat()),
        (Drop::Authentication, [&head[..], &[0; 12]].concat()),
        (Drop::Authentication, [&[22, 254, 253][..], &[0; 40]].concat()),
        (Drop::Authentication, vec![0x80; 40]),
        (Drop::TooShort, vec![0x80; 11]),
        (Drop::Malformed, vec![0x80; 1_501]),
    ] {
        let (outcome, sent) = wire.poke(STRANGER, &datagram);
        assert_eq!((outcome, sent.0.len()), (Err(reason), 0), "{datagram:?}");
    }
}

/// Security N9, D1, R1: whoever sends it, and however long it is.
#[test]
fn no_bytes_change_a_call() {
    let mut wire = Wire::connected(17);
    for first in 0..=255 {
        for length in 0..=1_500 {
            // From the peer's own address, a sample of them: each is tried for its key.
            let from = if length % 19 == 0 { CALLER } else { STRANGER };
            let mut datagram = vec![first ^ length as u8; length];
            if let Some(byte) = datagram.first_mut() {
                *byte = first;
            }
            let (outcome, sent) = wire.poke(from, &datagram);
            assert!(sent.0.is_empty(), "{first} {length}");
            assert!(outcome.is_err() || matches!(first, 20..=63) && from == CALLER, "{first} {length}");
        }
    }
    wire.pass(60.0);
    assert!(wire.ends.iter().all(|end| end.lost().is_none()));
    media_crosses(&mut wire, 5);
    wire.say(1, "unmoved").unwrap();
    assert!(wire.until(5.0, |wire| wire.ends[0].texts() == ["unmoved"]));
}

/// Security D6: a plaintext record, with a fatal alert or with data, on the peer's own path.
#[test]
fn plaintext_records_after_the_handshake_are_ignored() {
    let mut wire = Wire::connected(18);
    for (kind, body) in [(21, &[2, 40][..]), (21, &[1, 0]), (23, b"data"), (22, &[1, 0, 0, 0]), (20, &[1])] {
        for sequence in [0, 9, 200] {
            let record = [&[kind, 254, 253, 0, 0, 0, 0, 0, 0, 0, sequence, 0, body.len() as u8], body].concat();
            let (_, sent) = wire.poke(CALLER, &record);
            assert!(sent.0.is_empty());
        }
    }
    wire.pass(30.0);
    assert!(wire.ends.iter().all(|end| end.lost().is_none()));
    media_crosses(&mut wire, 5);
}

#[test]
fn texts_wait_for_the_channel_and_not_without_bound() {
    let mut wire = Wire::new(19);
    let outcomes: Vec<_> = (0..300).map(|number| wire.say(0, &format!("text {number}"))).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 256);
    assert_eq!(outcomes[256], Err(Drop::MessageQueueFull));
    wire.connect();
    assert!(wire.until(10.0, |wire| wire.ends[1].texts().len() == 256));
    assert_eq!(wire.say(0, &"x".repeat(262_145)), Err(Drop::MessageQueueFull), "longer than the peer takes");
    let long = "x".repeat(262_144);
    let sent = (0..20).filter(|_| wire.say(0, &long).is_ok()).count();
    assert!((4..10).contains(&sent), "{sent}");
}

#[test]
fn a_transport_may_move_between_threads_and_is_small() {
    fn moves<T: Send>(_: &T) {}
    let wire = Wire::connected(20);
    moves(&wire.ends[0].transport);
    assert!(size_of::<Transport>() < 16_384, "{}", size_of::<Transport>());
}
