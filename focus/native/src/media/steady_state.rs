//! In steady state the packet path allocates nothing: counted by the allocator itself.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Media, PeerKey, Sinks};
use crate::command::{Codec, Expect, Extensions, Format, Highest, Kind, Rid, Route, Tally};
use crate::pump::allocations;

/// Where packets end.
struct Sink {
    buffer: Vec<u8>,
    packets: u64,
}

impl Sinks for Sink {
    fn connected(&self, _: PeerKey) -> bool {
        true
    }

    fn rtp(&mut self, _: PeerKey, _: u64, room: usize, write: &mut dyn FnMut(&mut [u8]) -> usize) -> Option<usize> {
        self.packets += 1;
        self.buffer.get_mut(..room).map(write)
    }

    fn rtcp(&mut self, _: PeerKey, compound: &[u8]) -> Option<usize> {
        Some(compound.len())
    }
}

const ROUTES: u32 = 20;
const VP8: Codec = Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: Some(97) };

fn table(epoch: Instant) -> Media {
    let mut media = Media::new(epoch);
    let extensions = Extensions { mid: 4, transport_cc: 3, abs_send_time: 2, ..Extensions::default() };
    let name = |number: u32| -> Arc<str> { number.to_string().into() };
    let (track, layer): (Arc<str>, Rid) = ("t".into(), "".into());
    media.open(0, name(0));
    let expect = Expect {
        track: track.clone(),
        peer: name(0),
        mid: "1".into(),
        kind: Kind::Video,
        codecs: vec![VP8],
        extensions,
        rids: vec![],
        ssrcs: vec![7],
    };
    assert!(media.expect(0, expect));
    for peer in 1..=ROUTES {
        media.open(peer, name(peer));
        let (route, mid, ssrc) = (u64::from(peer), "1".into(), peer << 16);
        let (track, codecs, rtx_ssrc) = (track.clone(), vec![VP8], Some(ssrc + 1));
        assert!(media.route(peer, Route { route, track, peer: name(peer), mid, codecs, extensions, ssrc, rtx_ssrc }));
    }
    let mut sink = Sink { buffer: vec![], packets: 0 };
    for route in 1..=u64::from(ROUTES) {
        assert!(media.set_layer(epoch, route, Some(layer.clone()), Highest::ALL, &mut sink, &mut Tally::default()));
    }
    media
}

/// One 1200-byte packet of a stream, written over the one before.
fn packet(out: &mut [u8], number: u32) {
    out[..16].copy_from_slice(&[0x90, 96, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0xBE, 0xDE, 0, 2]);
    out[2..4].copy_from_slice(&(number as u16).to_be_bytes());
    out[4..8].copy_from_slice(&(number * 300).to_be_bytes());
    let [_, _, high, low] = number.to_be_bytes();
    out[16..24].copy_from_slice(&[0x40, b'1', 0x31, high, low, 0, 0, 0]);
    let delta = u8::from(!number.is_multiple_of(1000));
    out[24..32].copy_from_slice(&[0x90, 0xE0, 0x80 | high & 0x7F, low, low, 0, 0x30 | delta, 0]);
}

#[test]
fn a_thousand_packets_to_twenty_routes_allocate_nothing() {
    let epoch = Instant::now();
    let mut media = table(epoch);
    let mut sink = Sink { buffer: vec![0; 1600], packets: 0 };
    let mut tally = Tally::default();
    let mut data = [0x55; 1200];
    let mut play = |from: u32, count: u32| {
        for number in from..from + count {
            let now = epoch + Duration::from_millis(u64::from(number) * 2);
            packet(&mut data, number);
            // Every hundredth is lost, and asked for; ten subscribers lose one and ask for it.
            if number % 100 != 99 {
                media.rtp(now, 0, &data, &mut sink, &mut tally);
            }
            if number % 10 == 0 {
                media.tick(now, &mut sink, &mut tally);
            }
            if number % 50 == 10 {
                let ssrc = 3_u32 << 16;
                let mut nack = [0x81, 205, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
                nack[8..12].copy_from_slice(&ssrc.to_be_bytes());
                nack[12..14].copy_from_slice(&(number as u16 - 5).to_be_bytes());
                media.rtcp(now, 3, &nack, &mut sink, &mut tally);
            }
        }
        (sink.packets, tally.rtx_out)
    };
    let before = play(0, 3000);
    let allocated = allocations::so_far();
    let after = play(3000, 1000);
    assert_eq!(allocations::so_far() - allocated, 0);
    assert!(after.0 - before.0 >= u64::from(ROUTES) * 990 && after.1 > before.1);
}
