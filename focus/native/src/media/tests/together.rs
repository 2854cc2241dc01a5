//! Packets that come together: each subscriber gets what it would get of them one by one.

use super::*;

/// Two layers in pieces of chance: lost, doubled and late packets, padding, numbers that jump, layers that begin anew.
fn pieces(draw: &mut Draw) -> Vec<Vec<u8>> {
    let mut cameras = [Camera::new(0x1000, "f"), Camera { sequence: 9, ..Camera::new(0x2000, "q") }];
    let mut sent: Vec<Vec<u8>> = Vec::new();
    for _ in 0..120 {
        let Some(camera) = cameras.get_mut(draw.below(6) as usize / 5) else { continue };
        let (keyframe, packets) = (draw.below(5) == 0, 1 + draw.below(4) as usize);
        for packet in camera.frame(keyframe, packets) {
            match draw.below(20) {
                0 => {}
                1 => sent.extend([packet.clone(), packet]),
                2 => sent.push(camera.packet(&[], false, 8)),
                3 => sent.insert(sent.len().saturating_sub(3), packet),
                _ => sent.push(packet),
            }
        }
        match draw.below(40) {
            0 => camera.sequence = camera.sequence.wrapping_add(100 + draw.below(900) as u16),
            1 => camera.ssrc += 0x10,
            _ => {}
        }
    }
    sent
}

#[test]
fn it_makes_no_difference_that_packets_came_together() {
    let mut draw = Draw::new(31);
    for _ in 0..60 {
        let made = || {
            let mut relay = Relay::new(&["f", "q"], &[]);
            relay.media.open(2, Arc::from("s2"));
            let other = Route { route: 2, peer: Arc::from("s2"), ssrc: 0x77, rtx_ssrc: Some(0x78), ..route() };
            assert!(relay.media.route(2, other));
            relay.aim(Some("f"), 0.0);
            let now = relay.at(0.0);
            assert!(relay.media.set_layer(
                now,
                2,
                Some(Rid::from("q")),
                Highest::ALL,
                &mut relay.sinks,
                &mut relay.tally
            ));
            relay
        };
        let (mut one, mut all, packets) = (made(), made(), pieces(&mut draw));
        let mut now = 0.0;
        let mut rest = packets.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(rest.len().min(1 + draw.below(70) as usize));
            (rest, now) = (after, now + 0.01);
            one.publish(batch, now);
            for packet in batch {
                all.media.take(all.at(now), P, packet, &mut all.sinks, &mut all.tally);
            }
            all.media.settle(&mut all.sinks, &mut all.tally);
        }
        for sink in [S, 2] {
            let to = |relay: &Relay| relay.sinks.rtp.iter().filter(|sent| sent.0 == sink).cloned().collect::<Vec<_>>();
            assert!(to(&one) == to(&all), "another stream to {sink}");
        }
        assert_eq!(one.tally, all.tally);
        assert!(one.sinks.rtp.len() > 20);
    }
}

#[test]
fn of_a_long_burst_to_many_a_part_leaves_after_the_other_and_all_of_it_in_the_end() {
    let (sinks, packets) = (500, 9);
    let mut relay = Relay::new(&[], &[]);
    for number in 2..=sinks {
        relay.media.open(number, Arc::from(format!("s{number}")));
        let peer = Arc::from(format!("s{number}"));
        assert!(relay.media.route(number, Route { route: number.into(), peer, ssrc: 0x1_0000 * number, ..route() }));
        let now = relay.at(0.0);
        relay.media.set_layer(
            now,
            number.into(),
            Some(Rid::from("")),
            Highest::ALL,
            &mut relay.sinks,
            &mut relay.tally,
        );
    }
    relay.aim(Some(""), 0.0);
    let mut camera = Camera::new(0x1000, "");
    for packet in camera.frame(true, packets) {
        relay.media.take(relay.at(0.1), P, &packet, &mut relay.sinks, &mut relay.tally);
    }
    let mut parts = vec![];
    loop {
        let before = relay.sinks.rtp.len();
        let more = relay.media.settle_part(&mut relay.sinks, &mut relay.tally);
        parts.push(relay.sinks.rtp.len() - before);
        if !more {
            break;
        }
    }
    assert!(parts.len() > 1 && parts.iter().all(|part| part % packets == 0), "{parts:?}");
    assert_eq!(parts.iter().sum::<usize>(), sinks as usize * packets);
}
