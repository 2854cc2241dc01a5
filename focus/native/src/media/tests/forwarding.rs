//! What one subscriber gets: numbering, layers, repair, keyframes, reports.

use super::*;

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
fn frames_of_av1_are_numbered_on_across_a_switch_and_in_repairs() {
    let with = |mut ids: Extensions| {
        ids.dependency_descriptor = 12;
        ids
    };
    let of = expect(&["f", "q"], &[]);
    let from = Expect { codecs: vec![Codec { format: Format::Av1, ..VP8 }], extensions: with(of.extensions), ..of };
    let to = Route {
        codecs: vec![Codec { format: Format::Av1, ..SINK_VP8 }],
        extensions: with(route().extensions),
        ..route()
    };
    let mut relay = Relay::of(from, to);
    // The new layer's frames have lower numbers: a receiver would take its keyframe for one that came late.
    for (rid, ssrc, first, size) in [("q", 0x3000, 65_534_u16, (320, 180)), ("f", 0x1000, 300, (1280, 720))] {
        relay.aim(Some(rid), 0.0);
        for at in 0..3_u16 {
            let number = first.wrapping_add(at);
            let mut descriptor = bytes::structure(number, 1, 1, &[size]);
            descriptor.truncate(if at == 0 { descriptor.len() } else { 3 });
            let extensions = [(4, &b"1"[..]), (10, rid.as_bytes()), (12, &descriptor[..])];
            relay.publish(&[packet(ssrc, at, 3000, 96, b"\x18frame", &extensions, true, 0)], 0.0);
        }
    }
    let numbers = |packets: &[Read]| -> Vec<u16> {
        let found = packets.iter().flat_map(|packet| packet.extensions.iter().filter(|element| element.0 == 12));
        found.map(|(_, descriptor)| u16::from_be_bytes([descriptor[1], descriptor[2]])).collect()
    };
    let got = relay.got();
    assert_eq!(numbers(&got), [65_534, 65_535, 0, 1, 2, 3]);
    let again = relay.nacked(&[got[1].sequence, got[4].sequence], 0.1);
    assert_eq!((again.len(), numbers(&again)), (2, vec![65_535, 2]));
    let sizes = relay.events().into_iter().filter_map(|event| match event {
        Event::Appeared { width, height, .. } => Some((width, height)),
        _ => None,
    });
    assert_eq!(sizes.collect::<Vec<_>>(), [(320, 180), (1280, 720)]);
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
    assert_eq!(relay.dropped(Drop::Duplicate), 1);
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
    assert_eq!((relay.dropped(Drop::Duplicate), relay.dropped(Drop::Padding)), (1, 1));
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
    assert_eq!(bytes::word(second, 12).wrapping_sub(bytes::word(first, 12)), 86_400);
    assert_eq!((bytes::word(second, 4), bytes::word(second, 16)), (1000, 1));
    let received = relay.asked(P, 201);
    assert_eq!((received.len(), bytes::word(&received[0].1, 4)), (1, 0x1000));
}

#[test]
fn each_sink_has_a_report_each_second_and_not_all_at_the_same_time() {
    let mut relay = Relay::new(&[], &[0x1000]);
    let sinks = S + 1..S + 100;
    for sink in sinks.clone() {
        let name = format!("s{sink}");
        relay.media.open(sink, Arc::from(name.as_str()));
        let route = Route { route: u64::from(sink), peer: Arc::from(name), ssrc: SSRC + 2 * sink, ..route() };
        assert!(relay.media.route(sink, Route { rtx_ssrc: None, ..route }));
        let now = relay.at(0.0);
        let (sinks, tally) = (&mut relay.sinks, &mut relay.tally);
        assert!(relay.media.set_layer(now, u64::from(sink), Some(Rid::from("")), Highest::ALL, sinks, tally));
    }
    let mut camera = Camera::new(0x1000, "");
    let stamp = camera.timestamp;
    relay.publish(&camera.frame(true, 1), 0.0);
    relay.control(P, &bytes::sender_report(0x1000, 1000.0, stamp), 0.0);
    relay.sinks.rtcp.clear();
    for beat in 1..=150 {
        let before = relay.sinks.rtcp.len();
        relay.tick(f64::from(beat) / 50.0);
        let told = relay.sinks.rtcp[before..].iter().filter(|sent| sinks.contains(&sent.0)).count();
        assert!(told <= 2, "{told} reports at beat {beat}");
    }
    for sink in sinks {
        assert_eq!(relay.asked(sink, 200).len(), 3, "sink {sink}");
    }
}
