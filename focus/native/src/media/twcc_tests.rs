//! Feedback as it is written and read, and what bad bytes do not do.

use super::*;
use crate::media::bytes::{Draw, split, word};

fn feedback(arrivals: &mut Arrivals) -> Vec<Vec<u8>> {
    let mut made = vec![];
    arrivals.feedback(1, &mut vec![], |packet| made.push(packet.to_vec()));
    made
}

fn told(packets: &[Vec<u8>]) -> Vec<(u16, Option<i64>)> {
    let mut found = vec![];
    for packet in packets {
        let (count, kind, body) = split(packet).remove(0);
        assert_eq!((count, kind), (15, 205));
        let padding = if packet[0] & 0x20 != 0 { usize::from(*body.last().unwrap()) } else { 0 };
        assert!(read(&body[8..body.len() - padding], |number, arrived| found.push((number, arrived))));
    }
    found
}

#[test]
fn arrivals_are_told_with_the_gaps_between_them_over_the_wrap() {
    let mut arrivals = Arrivals::default();
    for (number, now) in [(65533, 1.0), (65535, 1.01), (2, 1.0051)] {
        arrivals.note(number, 0x77, now);
    }
    let packets = feedback(&mut arrivals);
    assert_eq!(word(&packets[0], 8), 0x77, "one of the sender's own, or it is ignored");
    let expected = [(65533, Some(4000)), (65534, None), (65535, Some(4040)), (0, None), (1, None), (2, Some(4020))];
    assert_eq!(told(&packets), expected);
    assert_eq!(feedback(&mut arrivals).len(), 0, "nothing is told twice");
    arrivals.note(5, 0x77, 1.1);
    let numbers: Vec<u16> = told(&feedback(&mut arrivals)).iter().map(|one| one.0).collect();
    assert_eq!(numbers, [3, 4, 5], "what got lost between two reports is told as lost");
}

#[test]
fn every_arrival_is_told_once_whatever_the_gaps_and_times() {
    let mut draw = Draw::new(5);
    for _ in 0..300 {
        let mut arrivals = Arrivals::default();
        let (mut index, mut now) = (draw.below(1 << 16), 1.0);
        let (mut noted, mut heard, mut counts) = (vec![], vec![], vec![]);
        for _ in 0..1 + draw.below(120) {
            index += 1 + draw.below(40);
            now += draw.below(20_000) as f64 / if draw.below(4) == 0 { 1000.0 } else { 1e6 };
            arrivals.note(index as u16, 1, now);
            noted.push((index as u16, now));
            if draw.below(20) == 0 {
                let made = feedback(&mut arrivals);
                counts.extend(made.iter().map(|packet| packet[19]));
                heard.extend(told(&made));
            }
        }
        heard.extend(told(&feedback(&mut arrivals)));
        let seen: Vec<_> = heard.iter().filter_map(|one| Some((one.0, one.1?))).collect();
        assert_eq!(seen.iter().map(|one| one.0).collect::<Vec<_>>(), noted.iter().map(|n| n.0).collect::<Vec<_>>());
        assert!(counts.iter().enumerate().all(|(at, &count)| at as u8 == count));
        for (seen, noted) in seen.iter().zip(&noted) {
            assert!((seen.1 as f64 / 4000.0 - noted.1).abs() < 0.001);
        }
    }
}

#[test]
fn a_flood_of_numbers_is_bounded() {
    let mut arrivals = Arrivals::default();
    for number in 0..5000 {
        arrivals.note(number, 1, 1.0 + f64::from(number % 7) * 0.3);
    }
    let packets = feedback(&mut arrivals);
    assert_eq!(told(&packets).iter().filter(|one| one.1.is_some()).count(), 2000);
    assert!(packets.iter().all(|packet| packet.len() < 1400));
}

#[test]
fn feedback_of_every_kind_of_chunk_is_read() {
    // Base 10; a run of two received near, one of three lost, a vector of bits, a vector of symbols.
    let head = [0, 10, 0, 26, 0, 0, 1, 9];
    let chunks = [0x20, 0x02, 0x00, 0x03, 0xA0, 0x00, 0xD8, 0x00];
    let body = [&head[..], &chunks, &[4, 4], &[1], &[8], &[0xFF, 0xFC]].concat();
    let mut found = vec![];
    assert!(read(&body, |number, arrived| found.push((number, arrived))));
    assert_eq!(found.len(), 26);
    let arrived: Vec<_> = found.iter().filter_map(|one| Some((one.0, one.1?))).collect();
    assert_eq!(arrived, [(10, 260), (11, 264), (15, 265), (29, 273), (30, 269)]);
    for cut in 0..body.len() {
        assert!(!read(&body[..cut], |_, _| panic!("nothing is told of what is malformed")));
    }
}

#[test]
fn any_feedback_is_read_or_refused_in_bounded_time() {
    let mut draw = Draw::new(6);
    for _ in 0..20_000 {
        let mut body = draw.bytes(60);
        if let (true, Some(high)) = (draw.below(2) == 0, body.get_mut(2)) {
            *high &= 1;
        }
        let mut count = 0;
        read(&body, |_, _| count += 1);
        assert!(count <= MOST_STATUSES);
    }
    assert!(!read(&[0, 0, 255, 255, 0, 0, 0, 0, 0x3F, 0xFF], |_, _| ()), "sixty thousand statuses");
    assert!(!read(&[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0], |_, _| ()), "runs of none");
}

#[test]
fn what_left_is_matched_with_what_is_told() {
    let mut departures = Departures::default();
    for number in 0..70_000 {
        departures.left(f64::from(number) / 1000.0, 1200);
    }
    let base = (70_000_u32 - 2) as u16;
    let head = [base.to_be_bytes(), [0, 4], [0, 0], [1, 0]].concat();
    let mut told = vec![];
    assert!(departures.heard(&[&head[..], &[0xD4, 0x00], &[4, 4, 4]].concat(), &mut told));
    assert_eq!(told.len(), 2, "two have not been sent yet");
    assert_eq!(told[0], Told { sequence: 69_998, sent: 69.998, size: 1244, arrived: Some(260) });
    assert!(!departures.heard(&head, &mut told) && told.is_empty());
    assert_eq!(size_of::<Left>(), 8);
}
