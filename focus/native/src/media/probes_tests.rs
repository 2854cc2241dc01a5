//! Input that lies, of every length, and by chance: what the fuzz targets look for, without a fuzzer.

use super::super::bytes::{Draw, structure};
use super::*;

/// Security R3: every length, number of contributing sources and length of extensions, also those that lie.
#[test]
fn r3_packets_of_every_length_with_lengths_that_lie_are_read_or_refused() {
    let mut relay = Relay::new(1);
    for length in 0..=packets::LONGEST + 1 {
        for count in 0..16 {
            for words in [None, Some(0), Some(1), Some(0x16C), Some(0xFFFF_u16)] {
                let first = 0x80 | u8::from(words.is_some()) << 4 | count;
                let mut made = [&[first, 96][..], &[0; 10], &vec![7; 4 * usize::from(count)]].concat();
                made.extend(words.into_iter().flat_map(|words| [0xBE, 0xDE, (words >> 8) as u8, words as u8]));
                made.resize(length, 0x31);
                let whole = 12 + 4 * usize::from(count) + words.map_or(0, |words| 4 + 4 * usize::from(words));
                let fits = (12.max(whole)..=packets::LONGEST).contains(&length);
                assert_eq!(packets::parse(&made).is_some(), fits, "{length} {count} {words:?}");
                relay.packet(&made);
            }
        }
        relay.pass(1_000);
    }
}

fn whole_descriptors() -> Vec<(u8, Vec<u8>)> {
    let key = vp8(Some(300), Some(5), true, (64, 48), true, b"body", true);
    vec![
        (0, key),
        (1, b"\xAA\x80\x05\x11\x07\x18\x02\x80\x01\x68\x01\x00\x01\x00body".to_vec()),
        (1, b"\xF9\x85\x22\x10\x03\x05\x04body".to_vec()),
        (2, b"\x78\x00\x04\x67abc\x00\x02\x68x\x00\x03\x65yz".to_vec()),
        (2, b"\x7C\x85body".to_vec()),
        (3, b"\x18\x0A\x05abcde\x10\x81\x02body".to_vec()),
        (3, b"\x28\x0C\x0A\x0A\x00\x00\x00\x02\xAF\xFF\x8B\x5F\x30\x08\x30body".to_vec()),
    ]
}

/// Security C1: each whole, cut at every place, with every byte another, and by chance.
#[test]
fn c1_descriptors_that_are_cut_or_lie_are_read_or_refused() {
    let mut draw = Draw::new(51);
    for (format, payload) in whole_descriptors() {
        let dressed = |payload: &[u8]| [&[format, 0][..], payload].concat();
        for at in 0..=payload.len() {
            descriptors(&dressed(&payload[..at]));
            for value in 0..=255 {
                let mut twin = payload.clone();
                twin.splice(at..(at + 1).min(payload.len()), [value]);
                descriptors(&dressed(&twin));
            }
        }
        for _ in 0..5_000 {
            descriptors(&dressed(&draw.bytes(40)));
        }
    }
}

/// Security C1, the dependency descriptor: templates beyond counting.
#[test]
fn c1_dependency_descriptors_by_chance_are_read_or_refused() {
    let mut draw = Draw::new(52);
    for _ in 0..20_000 {
        let most = if draw.below(8) == 0 { 255 } else { 12 };
        let descriptor = draw.bytes(most);
        let length = (descriptor.len() as u16).to_be_bytes();
        descriptors(&[&[3, 1][..], &length, &descriptor, b"\x18\x0A\x05abcde"].concat());
    }
    let whole = structure(7, 3, 9, &[(320, 180), (640, 360), (1280, 720)]);
    for at in 0..whole.len() {
        for value in 0..=255 {
            let mut twin = whole.clone();
            twin.splice(at..=at, [value]);
            for end in [at, at + 1, whole.len()] {
                let length = (end as u16).to_be_bytes();
                descriptors(&[&[3, 1][..], &length, &twin[..end], b"\x18\x30frame"].concat());
            }
        }
    }
}

/// Security C2: every id and length in the one-byte form, by chance in the two-byte form.
#[test]
fn c2_extensions_whose_lengths_and_ids_lie_are_left_out() {
    let mut draw = Draw::new(53);
    let ids = [4, 10, 11, 3, 1, 2, 5, 6, 12, 7];
    for head in 0..=255 {
        for room in 0..24 {
            extensions(&[&ids[..], &ids, &[0, head], &vec![0x31; room]].concat());
            extensions(&[&ids[..], &ids, &[1, draw.next() as u8, head], &vec![0x31; room]].concat());
        }
    }
    for _ in 0..20_000 {
        let (block, own) = (draw.bytes(300), draw.bytes(20));
        extensions(&[&own[..], &vec![0; 20 - own.len()], &block].concat());
    }
}
