//! What the table knows and tells: binding, levels, renegotiation, formats, limits; and properties over all of it.

use super::*;

#[test]
fn arrivals_rates_loudness_and_silence_are_told() {
    let mut sound = expect(&[], &[0x7000]);
    sound.kind = Kind::Audio;
    sound.codecs = vec![Codec { format: Format::Opus, clock: 48_000, pt: 111, rtx_pt: None }];
    sound.extensions.audio_level = 1;
    let to = Route { codecs: vec![Codec { pt: 109, ..sound.codecs[0] }], rtx_ssrc: None, ..route() };
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
        Event::Levels { track: track.clone(), loudness: 96, recent: (47..97).collect() },
        Event::Rates { track: track.clone(), bps: vec![(layer.clone(), 50 * (27 + 44) * 8)], parts: vec![] },
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
    let codecs = vec![Codec { pt: 100, ..SINK_VP8 }];
    let extensions = Extensions { mid: 9, video_orientation: 2, abs_send_time: 3, ..Extensions::default() };
    assert!(relay.media.route(S, Route { mid: "w7".into(), codecs, extensions, ssrc: 5, ..route() }));
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
    let told: Vec<_> = relay.media.told.iter().map(|one| (one.sequence, one.sent, one.arrived)).collect();
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
        let codecs = vec![Codec { format, ..SINK_VP8 }];
        let mut relay = Relay::of(source, Route { codecs, ..route() });
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
        let mut relay = Relay::of(source, Route { codecs: vec![Codec { format, ..SINK_VP8 }], ..route() });
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
