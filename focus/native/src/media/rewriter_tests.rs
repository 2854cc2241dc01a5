//! How streams are renumbered: gaps, switches, wraps.

use super::*;
use crate::media::bytes::Draw;
use crate::media::frame::Numbering;
use crate::media::reception::Reception;
use crate::media::rtp::expand;

fn packet(index: i64, timestamp: u32) -> Kept {
    Kept { index, timestamp, ..Kept::default() }
}

type Row = (u16, u32, u32, Option<(i64, u32)>);

/// Sequence number, timestamp and SSRC in; sequence number and timestamp out. An SSRC is a layer; each new one is
/// taken for a switch. Only a gap that may be loss is left open.
const WATERFALL: &[Row] = &[
    (40000, 1_000_000, 1111, Some((0, 0))),
    (50000, 1_200_000, 1111, Some((1, 200_000))), // a jump is a restart of the sender's numbering
    (65000, 1_500_000, 1111, Some((2, 500_000))),
    (10, 2_000_000, 1111, Some((3, 1_000_000))), // 546 ahead, over the wrap: still more than loss can be
    (20, 2_000_000, 1111, Some((13, 1_000_000))), // nine were lost, or are late: their numbers are kept for them
    (50000, 2_000_000, 1111, None),              // far too late: its number is taken
    (30, 2_000_000, 1111, Some((23, 1_000_000))),
    (10000, 20000, 2222, Some((24, 1_001_500))), // a switch follows at once, a sixtieth of a second on
    (10001, 20001, 2222, Some((25, 1_001_501))),
    (60001, 20002, 2222, None), // 15536 behind is nearer than 50000 ahead
    (60002, 20003, 2222, None),
    (0, 20004, 2222, None),
    (15000, 20005, 3333, Some((26, 1_001_502))),
    (0, 20005, 3333, None),
    (5, 20005, 3333, None),
    (5005, 20005, 3333, None),
    (5006, 2_000_500, 3333, None),
    (5006, 4_294_967_295, 3333, None),
    (5006, 0, 3333, None),
    (64965, 1, 3333, None),
    (1000, 2000, 4444, Some((27, 1_001_503))),
];

#[test]
fn only_a_gap_that_may_be_loss_is_left_open() {
    let mut rewriter = Rewriter::new(0, 0, 90_000);
    let mut layer: Option<Reception> = None;
    for &(sequence, timestamp, ssrc, expected) in WATERFALL {
        let switched = layer.as_ref().is_none_or(|layer| layer.ssrc != ssrc);
        if switched {
            layer = Some(Reception::new(ssrc, 90_000));
        }
        let index = layer.as_mut().and_then(|layer| layer.count(sequence, timestamp, 0.0));
        let numbers = index.and_then(|index| {
            if switched {
                rewriter.switch(&packet(index, timestamp), None, None);
            }
            rewriter.map(&packet(index, timestamp))
        });
        assert_eq!(numbers.map(|n| (n.sequence, n.timestamp)), expected, "{sequence} of {ssrc}");
    }
}

#[test]
fn poisoned_sender_reports_never_turn_the_clock_back() {
    let mut draw = Draw::new(12);
    for _ in 0..10_000 {
        let mut rewriter = Rewriter::new(0, 5000, 90_000);
        let old = SenderReport { ssrc: 1, ntp: 0, rtp: 0 };
        let new = SenderReport { ssrc: 2, ntp: draw.next() >> draw.below(64), rtp: draw.next() as u32 };
        let arrived = draw.below(40_000) as f64 - 20_000.0;
        let one = packet(65537, 77);
        rewriter.switch(&one, Some(old), None);
        let first = rewriter.map(&one).unwrap();
        let two = Kept { arrived, ..packet(65545, 123) };
        rewriter.switch(&two, Some(new), Some(old));
        let second = rewriter.map(&two).unwrap();
        assert_eq!(second.sequence, first.sequence + 1);
        assert!(second.timestamp.wrapping_sub(first.timestamp) as i32 >= 1500);
    }
}

#[test]
fn layers_are_lined_up_by_their_sender_reports() {
    let mut rewriter = Rewriter::new(10, 0, 90_000);
    let first = packet(100, 7000);
    rewriter.switch(&first, None, None);
    rewriter.map(&first).unwrap();
    let at = |ssrc, rtp| SenderReport { ssrc, ntp: 1000 << 32, rtp };
    // Both were captured at 1000 s of the sender's clock; the new layer takes 30 ms longer to arrive.
    let next = Kept { arrived: 0.063, ..packet(5, 60_000) };
    rewriter.switch(&next, Some(at(2, 57_000)), Some(at(1, 7000)));
    assert_eq!(
        rewriter.map(&next).unwrap(),
        Numbers { sequence: 11, timestamp: 3000, picture: 0, tl0: 0, marker: false }
    );
}

#[test]
fn a_picture_id_that_wraps_goes_on_as_fifteen_bits() {
    for (first, width) in [(126_i64, 7), (32766, 15)] {
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        let mut newest = None;
        for number in 0..6_u8 {
            let picture = expand((first + i64::from(number)) & ((1 << width) - 1), newest, width);
            newest = Some(picture);
            let tl0 = 254_u8.wrapping_add(number);
            let numbering = Numbering { picture: Some((0, 2)), wide: true, tl0: Some((tl0, 4)) };
            let kept = Kept { picture, numbering: Some(numbering), ..packet(65536 + i64::from(number), 0) };
            if number == 0 {
                rewriter.switch(&kept, None, None);
            }
            let numbers = rewriter.map(&kept).unwrap();
            assert_eq!((numbers.picture, numbers.tl0), (u16::from(number), number));
        }
    }
}

#[test]
fn frames_of_av1_are_numbered_on_across_layers_and_other_formats() {
    let mut rewriter = Rewriter::new(0, 0, 90_000);
    let numbered = |index, number| Kept { number: Some(number), ..packet(index, 0) };
    let mut out = vec![];
    for (begins, kept) in [
        (true, numbered(100, 65_534)),
        (false, numbered(101, 65_535)),
        (false, numbered(102, 65_536)),
        (true, numbered(7, 40_000)),
        (false, numbered(9, 40_002)),
        (false, numbered(8, 40_001)),
        (false, Kept { numbering: Some(Numbering::default()), picture: 3, ..packet(10, 0) }),
        (true, numbered(500, 9)),
        (false, numbered(501, 10)),
    ] {
        if begins {
            rewriter.switch(&kept, None, None);
        }
        out.push(rewriter.map(&kept).unwrap().picture);
    }
    assert_eq!(out, [65_534, 65_535, 0, 1, 3, 2, 3, 4, 5]);
}

#[test]
fn whatever_comes_no_number_goes_out_twice_and_padding_leaves_no_gap() {
    let mut draw = Draw::new(13);
    for _ in 0..2000 {
        let mut rewriter = Rewriter::new(draw.below(1 << 15) as u16, 0, 90_000);
        let mut seen = std::collections::HashSet::new();
        let (mut out, mut index, mut lost) = (vec![], 65536, 0);
        rewriter.switch(&packet(index, 0), None, None);
        for _ in 0..draw.below(200) {
            match draw.below(12) {
                0 => rewriter.skip(index),
                1 => lost += 1,
                2 => {
                    // What is late may be of what was jumped over: then the rest of that may be loss.
                    index += 701 + draw.below(10_000) as i64;
                    lost += 100;
                }
                3 => {
                    index = 65536 + draw.below(1 << 20) as i64;
                    seen.clear();
                    lost += 1;
                    rewriter.switch(&packet(index, 0), None, None);
                }
                4 => {
                    lost += 1;
                    let late = index - draw.below(100) as i64;
                    if seen.insert(late) {
                        out.extend(rewriter.map(&packet(late, 0)).map(|numbers| numbers.sequence));
                    }
                }
                _ if seen.insert(index) => out.push(rewriter.map(&packet(index, 0)).unwrap().sequence),
                _ => {}
            }
            seen.insert(index);
            index += 1;
        }
        let count = out.len();
        out.sort_unstable();
        out.dedup();
        assert_eq!(out.len(), count, "one number under one key is one nonce");
        let span = out.last().zip(out.first()).map_or(0, |(last, first)| last - first + 1);
        assert!(span - count as i64 <= lost);
    }
}
#[test]
fn whatever_is_left_out_no_number_goes_out_twice_and_only_loss_leaves_a_gap() {
    let mut draw = Draw::new(17);
    let numbering = Numbering { picture: Some((0, 2)), wide: true, tl0: None };
    for _ in 0..2000 {
        let mut rewriter = Rewriter::new(0, 0, 90_000);
        let (mut out, mut lost, mut gaps) = (vec![], vec![], 0);
        for index in 65_536..65_540 + draw.below(300) as i64 {
            // Pictures of three packets, two of three left out.
            let picture = index / 3;
            let kept = Kept { picture, numbering: Some(numbering), ..packet(index, picture as u32) };
            let kept = Kept { format: Format::Vp8, ..kept };
            if index == 65_536 {
                rewriter.switch(&kept, None, None);
                out.push(rewriter.map(&kept).unwrap());
            } else if draw.below(6) == 0 {
                gaps += 1;
                lost.push(kept);
            } else if picture % 3 == 0 {
                out.push(rewriter.map(&kept).unwrap());
            } else {
                rewriter.leave_out(&kept);
            }
            if !lost.is_empty() && draw.below(4) == 0 {
                let late = lost.swap_remove(draw.below(lost.len() as u64) as usize);
                out.extend(rewriter.map(&late));
            }
        }
        out.sort_by_key(|numbers| numbers.sequence);
        assert!(out.windows(2).all(|two| two[0].sequence < two[1].sequence), "one number under one key is one nonce");
        assert!(out.windows(2).all(|two| two[0].picture <= two[1].picture));
        let span = out.last().zip(out.first()).map_or(0, |(last, first)| last.sequence - first.sequence + 1);
        assert!(span - out.len() as i64 <= gaps);
    }
}
