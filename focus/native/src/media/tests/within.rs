//! What one subscriber gets of a stream that has several temporal and spatial layers.

use super::*;
use crate::media::bytes::{scalable, vp9};

/// Temporal ids of a group of pictures, and whether a picture needs lower ids only: as libvpx orders three layers.
const GROUP: [(u8, bool); 4] = [(0, false), (2, true), (1, true), (2, false)];

/// A camera with three temporal layers; each picture has two packets.
struct Layered {
    camera: Camera,
    number: usize,
}

impl Layered {
    fn new() -> Self {
        Self { camera: Camera::new(0x1000, ""), number: 0 }
    }

    fn picture(&mut self) -> Vec<Vec<u8>> {
        let Self { camera, number } = self;
        let (temporal, sync) = GROUP[*number % 4];
        let keyframe = *number == 0;
        if temporal == 0 {
            camera.tl0 = camera.tl0.wrapping_add(1);
        }
        let (picture, tl0) = (Some(camera.picture), Some(camera.tl0));
        let made = [true, false].map(|first| {
            let mut payload = vp8(picture, tl0, keyframe, (640, 360), first, b"body", true);
            // Behind two bytes of flags, two of the picture's id and TL0PICIDX.
            payload[5] = temporal << 6 | u8::from(sync) << 5;
            camera.packet(&payload, !first, 0)
        });
        camera.timestamp = camera.timestamp.wrapping_add(3000);
        camera.picture = camera.picture.wrapping_add(1) & 0x7FFF;
        *number += 1;
        made.to_vec()
    }
}

fn temporal(packet: &Read) -> u8 {
    packet.payload[5] >> 6
}

fn single() -> Relay {
    Relay::new(&[], &[0x1000])
}

/// Of each picture by its first packet.
fn pictures(got: &[Read]) -> Vec<u8> {
    got.iter().step_by(2).map(temporal).collect()
}

#[test]
fn temporal_layers_are_left_out_at_once_and_come_back_where_they_can_be_decoded_without_a_gap() {
    let mut relay = single();
    let mut camera = Layered::new();
    relay.aim(Some(""), 0.0);
    for number in 0..32 {
        let now = f64::from(number) / 30.0;
        match number {
            6 => relay.aim_within(Some(""), Highest::new(None, Some(1)), now),
            13 => relay.aim_within(Some(""), Highest::new(None, Some(0)), now),
            21 => relay.aim(Some(""), now),
            _ => {}
        }
        relay.publish(&camera.picture(), now);
    }
    let got = relay.got();
    let expected = [0, 2, 1, 2, 0, 2, 1, 0, 1, 0, 0, 0, 1, 0, 2, 1, 2, 0, 2, 1, 2];
    // From 21 on its third id waits for the second, and then for a picture that needs no other of the third.
    assert_eq!(pictures(&got), expected);
    assert!(steps(&got).iter().all(|step| *step == 1));
    for two in got.windows(2) {
        let ((p1, t1), (p2, t2)) = (numbers(&two[0]), numbers(&two[1]));
        let next = u16::from(two[0].timestamp != two[1].timestamp);
        assert_eq!(p2.wrapping_sub(p1) & 0x7FFF, next);
        assert_eq!(t2.wrapping_sub(t1), u8::from(next == 1 && temporal(&two[1]) == 0));
    }
    assert_eq!(got.last().unwrap().timestamp.wrapping_sub(got[0].timestamp), 31 * 3000);
    assert_eq!(relay.dropped(Drop::OtherLayer) as usize, 64 - got.len());
}

#[test]
fn a_picture_that_has_begun_is_sent_to_its_end() {
    let mut relay = single();
    let mut camera = Layered::new();
    relay.aim(Some(""), 0.0);
    relay.publish(&camera.picture(), 0.0);
    let picture = camera.picture();
    relay.publish(&picture[..1], 0.03);
    relay.aim_within(Some(""), Highest::new(None, Some(0)), 0.03);
    relay.publish(&picture[1..], 0.03);
    relay.publish(&camera.picture(), 0.06);
    assert_eq!(pictures(&relay.got()), [0, 2]);
    assert!(relay.got().last().unwrap().marker);
}

#[test]
fn what_is_lost_of_a_picture_that_is_left_out_is_no_gap_and_has_no_number_when_it_comes_late() {
    let mut relay = single();
    let mut camera = Layered::new();
    relay.aim_within(Some(""), Highest::new(None, Some(0)), 0.0);
    relay.publish(&camera.picture(), 0.0);
    // Three packets, of which the middle one comes late.
    let picture = camera.picture();
    let third = camera.camera.packet(b"\x90\xe0\xff\xfe\xff\x80", true, 0);
    relay.publish(&[picture[0].clone()], 0.03);
    let mut third_of_it = third;
    third_of_it[4..8].copy_from_slice(&picture[0][4..8]);
    relay.publish(&[third_of_it], 0.03);
    relay.publish(&[picture[1].clone()], 0.05);
    assert_eq!(relay.got().len(), 2);
    (0..3).for_each(|_| relay.publish(&camera.picture(), 0.1));
    let got = relay.got();
    assert_eq!((steps(&got), pictures(&got)), (vec![1; 3], vec![0, 0]));
}

#[test]
fn a_number_that_was_kept_for_a_lost_packet_is_taken_whatever_it_turns_out_to_be() {
    let mut relay = single();
    let mut camera = Layered::new();
    relay.aim_within(Some(""), Highest::new(None, Some(0)), 0.0);
    relay.publish(&camera.picture(), 0.0);
    let lost = camera.picture();
    (0..3).for_each(|_| relay.publish(&camera.picture(), 0.1));
    assert_eq!(steps(&relay.got()), [1, 3, 1], "nobody knows yet what was lost");
    relay.publish(&lost, 0.15);
    let mut got = relay.got();
    got.sort_by_key(|packet| packet.sequence);
    assert_eq!((steps(&got), pictures(&got)), (vec![1; 5], vec![0, 2, 0]));
}

/// A picture of three spatial layers, two packets each.
fn superframe(camera: &mut Camera, number: usize, keyframe: bool) -> Vec<Vec<u8>> {
    let (temporal, sync) = if keyframe { GROUP[0] } else { GROUP[number % 4] };
    camera.tl0 = camera.tl0.wrapping_add(u8::from(temporal == 0));
    let mut made = vec![];
    for spatial in 0..3 {
        for first in [true, false] {
            let payload = vp9(camera.picture, camera.tl0, (spatial, temporal, sync), !keyframe, first, !first);
            made.push(camera.packet(&payload, !first && spatial == 2, 0));
        }
    }
    camera.timestamp = camera.timestamp.wrapping_add(3000);
    camera.picture = camera.picture.wrapping_add(1) & 0x7FFF;
    made
}

/// Spatial and temporal id.
fn ids(packet: &Read) -> (u8, u8) {
    let part = crate::media::vp9::parse(&packet.payload).unwrap().part;
    (part.spatial, part.temporal)
}

fn of(format: Format, dependency_descriptor: u8) -> Relay {
    let of = expect(&[], &[0x1000]);
    let extensions = Extensions { dependency_descriptor, ..of.extensions };
    let from = Expect { codecs: vec![Codec { format, ..VP8 }], extensions, ..of };
    let extensions = Extensions { dependency_descriptor, ..route().extensions };
    Relay::of(from, Route { codecs: vec![Codec { format, ..SINK_VP8 }], extensions, ..route() })
}

#[test]
fn spatial_layers_go_down_at_once_and_up_at_a_keyframe_that_is_asked_for() {
    let mut relay = of(Format::Vp9, 0);
    let mut camera = Camera::new(0x1000, "");
    relay.aim(Some(""), 0.0);
    for number in 0..16 {
        let now = f64::from(number as u32) / 30.0;
        match number {
            2 => relay.aim_within(Some(""), Highest::new(Some(1), None), now),
            5 => relay.aim_within(Some(""), Highest::new(Some(0), Some(0)), now),
            9 => {
                assert!(relay.asked(P, 206).is_empty(), "no keyframe is needed for less");
                relay.aim_within(Some(""), Highest::new(Some(1), None), now);
                assert_eq!(relay.asked(P, 206).len(), 1);
            }
            _ => {}
        }
        relay.publish(&superframe(&mut camera, number, number == 0 || number == 12), now);
        relay.tick(now);
    }
    let got = relay.got();
    assert!(steps(&got).iter().all(|step| *step == 1));
    let mut seen: Vec<(u32, u8, u8)> = vec![];
    for packet in &got {
        let picture = packet.timestamp.wrapping_sub(got[0].timestamp) / 3000;
        let (spatial, temporal) = ids(packet);
        match seen.last_mut().filter(|last| last.0 == picture) {
            Some(last) => last.1 = spatial,
            None => seen.push((picture, spatial, temporal)),
        }
    }
    // More pictures a second from the first that needs lower ids only, larger ones from the keyframe on.
    let expected = [
        (0, 2, 0),
        (1, 2, 2),
        (2, 1, 1),
        (3, 1, 2),
        (4, 1, 0),
        (8, 0, 0),
        (10, 0, 1),
        (12, 1, 0),
        (13, 1, 2),
        (14, 1, 1),
        (15, 1, 2),
    ];
    assert_eq!(seen, expected);
    for two in got.windows(2) {
        // Frames name each other by differences of picture ids: those stay as they are.
        let number = |packet: &Read| u16::from_be_bytes([packet.payload[1], packet.payload[2]]);
        let went = two[1].timestamp.wrapping_sub(two[0].timestamp) / 3000;
        assert_eq!(u32::from(number(&two[1]).wrapping_sub(number(&two[0])) & 0x7FFF), went);
        assert_eq!(two[0].marker, went > 0, "a picture ends where the next one begins");
    }
    assert!(got.last().unwrap().marker);
    let again = relay.nacked(&[got.last().unwrap().sequence], 1.0);
    assert!(again.len() == 1 && again[0].marker, "what is sent again ends its picture, too");
}

#[test]
fn layers_of_av1_are_left_out_by_what_their_dependency_descriptors_say() {
    let mut relay = of(Format::Av1, 12);
    relay.aim_within(Some(""), Highest::new(Some(0), Some(0)), 0.0);
    let (mut number, mut sequence) = (65_530_u16, 0);
    for picture in 0..12_usize {
        let now = picture as f64 / 30.0;
        if picture == 6 {
            relay.aim_within(Some(""), Highest::new(Some(0), Some(1)), now);
        }
        for spatial in 0..2_u8 {
            let template = 3 * spatial + GROUP[picture % 4].0;
            let mut descriptor = scalable(number, 2, 3, 0);
            if picture > 0 || spatial > 0 {
                descriptor.truncate(3);
                descriptor[0] = 0xC0 | template;
            }
            let extensions = [(4, &b"1"[..]), (12, &descriptor[..])];
            let timestamp = 3000 * picture as u32;
            let made = packet(0x1000, sequence, timestamp, 96, b"\x10frame", &extensions, spatial == 1, 0);
            relay.publish(&[made], now);
            (number, sequence) = (number.wrapping_add(1), sequence + 1);
        }
    }
    let got = relay.got();
    assert!(steps(&got).iter().all(|step| *step == 1) && got.iter().all(|packet| packet.marker));
    let found = got.iter().map(|packet| {
        let descriptor = &packet.extensions.iter().find(|element| element.0 == 12).unwrap().1;
        let number = u16::from_be_bytes([descriptor[1], descriptor[2]]).wrapping_sub(65_530);
        (packet.timestamp.wrapping_sub(got[0].timestamp) / 3000, number)
    });
    // From the switching point at the eighth picture on, each second one; numbers stay as they are.
    assert_eq!(found.collect::<Vec<_>>(), [(0, 0), (4, 8), (8, 16), (10, 20)]);
}

#[test]
fn rates_are_told_by_part_of_a_stream_that_has_several() {
    let mut relay = single();
    let mut camera = Layered::new();
    relay.aim(Some(""), 0.0);
    for number in 1..=50 {
        let now = f64::from(number) * 0.02;
        relay.publish(&camera.picture(), now);
        relay.tick(now);
    }
    let told = relay.events().into_iter().find_map(|event| match event {
        Event::Rates { bps, parts, .. } => Some((bps, parts)),
        _ => None,
    });
    let (bps, parts) = told.unwrap();
    assert_eq!(
        parts.iter().map(|part| (&*part.0, part.1, part.2)).collect::<Vec<_>>(),
        [("", 0, 0), ("", 0, 1), ("", 0, 2)]
    );
    assert!(parts[0].3 < parts[1].3 && parts[1].3 < parts[2].3 && parts[2].3 == bps[0].1, "{parts:?}");
}
