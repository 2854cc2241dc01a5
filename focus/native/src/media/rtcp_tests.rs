//! RTCP as it is written and read, and what must not pass.

use super::*;
use crate::media::bytes::{self, Draw};

fn remb(bps: u64, exponent: u32) -> Vec<u8> {
    let head = [1, 0, u32::from_be_bytes(*b"REMB")];
    bytes::rtcp(
        15,
        206,
        &bytes::words(&[&head[..], &[1 << 24 | exponent << 18 | (bps >> exponent) as u32, 7]].concat()),
    )
}

fn compound() -> Vec<u8> {
    [
        bytes::sender_report(1, 1000.5, 77),
        bytes::rtcp(0, 201, &bytes::words(&[2])),
        bytes::pli(3, 4),
        bytes::fir(3, 5),
        bytes::nack(3, 6, &[10, 65535]),
        bytes::rtcp(0, 204, &bytes::words(&[9, 9])),
        remb(1_000_000, 2),
        bytes::rtcp(1, 203, &bytes::words(&[8])),
    ]
    .concat()
}

#[test]
fn a_compound_packet_is_read_whole() {
    let data = compound();
    let found: Vec<_> = parse(&data).collect();
    let ntp = (1000.5 * 4_294_967_296.0) as u64;
    assert_eq!(found[0], Report::Sender(SenderReport { ssrc: 1, ntp, rtp: 77 }));
    assert_eq!(found[1..3], [Report::Receiver(&[]), Report::PictureLoss(4)]);
    let Report::FullIntra(entries) = found[3] else { panic!() };
    assert_eq!(first_words(entries).collect::<Vec<_>>(), [5]);
    let Report::Nack(6, pairs) = found[4] else { panic!() };
    assert_eq!(nacked(pairs).collect::<Vec<_>>(), [10, 65535]);
    assert_eq!(found[5], Report::Remb(1_000_000, &[0, 0, 0, 7]));
    let Report::Bye(leaving) = found[6] else { panic!() };
    assert_eq!((words(leaving).collect::<Vec<_>>(), found.len()), (vec![8], 7));
}

#[test]
fn a_compound_packet_cut_anywhere_gives_what_came_before() {
    let data = compound();
    let whole: Vec<_> = parse(&data).collect();
    for cut in 0..data.len() {
        let mut found: Vec<_> = parse(&data[..cut]).collect();
        if found.last() == Some(&Report::Malformed) {
            found.pop();
        }
        assert_eq!(found[..], whole[..found.len()]);
    }
}

#[test]
fn any_bytes_are_reports_and_what_is_malformed_ends_them() {
    let mut draw = Draw::new(3);
    for _ in 0..20_000 {
        let mut data = if draw.below(2) == 0 { compound() } else { draw.bytes(200) };
        for _ in 0..draw.below(4) {
            let at = draw.below(data.len() as u64) as usize;
            if let Some(byte) = data.get_mut(at) {
                *byte = draw.next() as u8;
            }
        }
        let found: Vec<_> = parse(&data).collect();
        let bad = found.iter().position(|report| *report == Report::Malformed);
        assert!(bad.is_none_or(|at| at + 1 == found.len()));
    }
}

#[test]
fn malformed_reports_are_told() {
    let with = |mut data: Vec<u8>, first: u8, last: Option<u8>| {
        data[0] = first;
        if let Some(last) = last {
            *data.last_mut().unwrap() = last;
        }
        data
    };
    for data in [
        vec![0x80],
        vec![0x80, 0xC8, 0, 6],
        with(bytes::pli(1, 2), 0x40, None),
        with(bytes::pli(1, 2), 0xA1, Some(0)),
        with(bytes::pli(1, 2), 0xA1, Some(255)),
        with(bytes::sender_report(1, 0.0, 0), 0x9F, None),
        with(bytes::rtcp(1, 203, &[0; 4]), 0x9F, None),
        bytes::rtcp(15, 206, &[&[0; 8][..], b"REMB"].concat()),
        bytes::rtcp(1, 205, &[]),
        bytes::rtcp(4, 206, &[0; 8]),
        bytes::rtcp(4, 206, &[0; 20]),
    ] {
        assert_eq!(parse(&data).last(), Some(Report::Malformed), "{data:02x?}");
    }
}

#[test]
fn an_estimate_beyond_all_bounds_is_the_greatest() {
    assert_eq!(parse(&remb(u64::from(u32::MAX), 63)).next(), Some(Report::Remb(0, &[0, 0, 0, 7])));
    let mut data = remb(0, 0);
    data[17..20].copy_from_slice(&[0xFF, 0xFF, 0xFF]);
    assert_eq!(parse(&data).next(), Some(Report::Remb(u64::MAX, &[0, 0, 0, 7])));
}

#[test]
fn a_nack_asks_for_a_bounded_number() {
    let pairs = [0, 0, 255, 255].repeat(300);
    assert_eq!(nacked(&pairs).count(), MOST_NACKS);
    assert_eq!(nacked(&pairs[..3]).count(), 0);
}

#[test]
fn a_nack_says_exactly_what_is_missing() {
    let mut draw = Draw::new(4);
    for _ in 0..500 {
        let mut at = draw.below(1 << 20) as i64;
        let missing: Vec<i64> = (0..1 + draw.below(200))
            .map(|_| {
                at += 1 + draw.below(20) as i64;
                at
            })
            .collect();
        let mut out = vec![];
        nack(&mut out, 1, 2, &missing);
        let (count, kind, body) = bytes::split(&out).remove(0);
        assert_eq!((count, kind, bytes::word(&body, 4)), (1, 205, 2));
        assert_eq!(bytes::nacked(&body), missing.iter().map(|&s| s as u16).collect::<Vec<_>>());
    }
}

#[test]
fn reports_are_written_as_they_are_read() {
    let block = Block { ssrc: 7, fraction: 128, lost: -5, highest: 0x1FFFF, jitter: 90, last_sr: 0xABCD, delay: 65536 };
    let mut out = vec![];
    receiver_report(&mut out, 1, &[block; 40]);
    let Some(Report::Receiver(data)) = parse(&out).next() else { panic!() };
    assert_eq!(blocks(data).collect::<Vec<_>>(), [block; MOST_BLOCKS]);
    out.clear();
    source_description(&mut out, 9, "name");
    let (count, kind, body) = bytes::split(&out).remove(0);
    assert_eq!((count, kind, &body[..], out.len()), (1, 202, &b"\0\0\0\x09\x01\x04name\0\0"[..], 16));
    out.clear();
    let report = SenderReport { ssrc: 5, ntp: 0x1122_3344_5566_7788, rtp: 99 };
    sender_report(&mut out, report, 1, 2);
    assert_eq!(parse(&out).collect::<Vec<_>>(), [Report::Sender(report)]);
}
