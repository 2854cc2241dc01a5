//! Any bytes at the surfaces of a transport: STUN, DTLS records and SCTP packets. See `crate::probes`.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::dtls::{Dtls, Fingerprints, Said};
use super::sctp::Sctp;
use super::{Identity, Out, Transport, stun as wire};
use crate::command::{Credentials, Open, Role};
use crate::media::bytes::Draw;
use crate::probes::Input;

/// Bytes to an address that proved nothing, for each byte from it (security N3).
const AMPLIFICATION: usize = 3;
/// Datagrams that one datagram may be answered with.
const MOST_ANSWERS: usize = 64;

static IDENTITY: LazyLock<Identity> = LazyLock::new(|| Identity::new().expect("the machine has randomness"));

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: format!("{name}frag"), pwd: format!("{name}password0123456789abcdef") }
}

/// Counts bytes.
#[derive(Default)]
struct Counted(usize);

impl Out for Counted {
    fn send(&mut self, _: SocketAddr, datagram: &[u8]) {
        self.0 += datagram.len();
    }
}

/// A peer that is waited for, as the answerer has it.
fn waiting(now: Instant) -> Transport {
    let open = Open {
        peer: "peer".into(),
        role: Role::Answerer,
        local: credentials("a"),
        remote: credentials("c"),
        fingerprints: vec![("sha-256".into(), vec![7; 32])],
        sctp_port: Some(5000),
        max_message: 0,
        candidates: Vec::new(),
    };
    Transport::new(now, &open, &IDENTITY, Box::new(Draw::new(1))).expect("can be opened")
}

/// STUN as it comes from a stranger, and the same attributes written by who knows our password.
pub fn stun(data: &[u8]) {
    let key = wire::key(&credentials("a").pwd);
    if let Some(message) = wire::Message::read(data) {
        assert!(!message.proves(&wire::key("")), "nobody signs with no password");
    }
    let named = wire::local_ufrag(data);
    assert!(named.is_none() || wire::Message::read(data).is_some());
    let now = Instant::now();
    let from = SocketAddr::from(([203, 0, 113, 3], 3000));
    let (mut transport, mut sent) = (waiting(now), Counted::default());
    let outcome = transport.stun(now, from, data, &mut sent);
    assert!(sent.0 == 0 || outcome.is_ok() && wire::Message::read(data).is_some_and(|message| message.proves(&key)));

    let mut input = Input::new(data);
    let (mut transport, mut sent, mut received) = (waiting(now), Counted::default(), 0);
    let mut now = now;
    while !input.over() {
        let class = [0x0001, 0x0011, 0x0101, 0x0111][usize::from(input.byte() & 3)];
        let message = signed(class, input.piece(), &key);
        received += message.len();
        let _ = transport.stun(now, from, &message, &mut sent);
        now += Duration::from_millis(u64::from(input.byte()));
        transport.timeout(now, &mut sent);
        assert!(sent.0 <= AMPLIFICATION * received, "{} for {received}", sent.0);
        assert!(!transport.is_connected());
    }
}

/// A binding message with these attributes, and with its writer's proof behind them (RFC 8489 §14.5).
fn signed(class: u16, attributes: &[u8], key: &hmac::Key) -> Vec<u8> {
    let attributes = attributes.get(..attributes.len().min(1400) & !3).unwrap_or_default();
    let length = attributes.len() as u16 + 24;
    let mut message = [&class.to_be_bytes()[..], &length.to_be_bytes(), &[0x21, 0x12, 0xA4, 0x42], &[5; 12]].concat();
    message.extend(attributes);
    let tag = hmac::sign(key, &message);
    message.extend([0, 8, 0, 20]);
    message.extend(tag.as_ref());
    message
}

/// Records at a server, at a server that has heard a hello, and at a client, none of whose peers is who it should be.
pub fn dtls_records(data: &[u8]) {
    let mut input = Input::new(data);
    let mut now = Instant::now();
    let mode = input.byte() % 3;
    let mut session = begun(now, mode == 2);
    if mode == 1 {
        let mut hellos = Vec::new();
        begun(now, true).drain(now, |datagram| hellos.push(datagram.to_vec()), &mut Vec::new()).unwrap_or_default();
        for hello in hellos {
            assert!(session.receive(now, &hello).is_ok(), "a hello of our own is understood");
        }
    }
    while !input.over() {
        let later = Duration::from_millis(8 * u64::from(input.byte()));
        now += later;
        let (mut answers, mut said) = (0, Vec::new());
        let outcome = session.timeout(now).and_then(|()| session.receive(now, input.piece()));
        let drained = session.drain(now, |_| answers += 1, &mut said);
        assert!(answers <= MOST_ANSWERS, "{answers} datagrams for one");
        assert!(
            !said.iter().any(|said| matches!(said, Said::Connected(_) | Said::Data(_))),
            "nobody proved who they are"
        );
        if outcome.and(drained).is_err() {
            return;
        }
    }
}

fn begun(now: Instant, active: bool) -> Dtls {
    let prints = Fingerprints::new(&[("sha-256".to_owned(), vec![7; 32])]).expect("it is strong");
    Dtls::new(now, active, &IDENTITY, prints).unwrap_or_else(|_| panic!("a session can be begun"))
}

/// SCTP packets at an association that has not begun, and chunks of whoever is at the other end of one that is open.
pub fn sctp(data: &[u8]) {
    let mut input = Input::new(data);
    let mut now = Instant::now();
    let mode = input.byte() % 3;
    let mut ends = [Sctp::new(5000, 262_144), Sctp::new(5000, 0)];
    let mut heads = [[0; 8]; 2];
    // The number of the next chunk of data that each end expects of the other.
    let mut next = [0_u32; 2];
    if mode > 0 {
        ends[1].connect();
        for _ in 0..16 {
            for from in [1, 0] {
                for packet in ends[from].packets(now) {
                    note(&packet, &mut heads[from], &mut next[from]);
                    ends[1 - from].receive(now, packet);
                }
            }
        }
    }
    let victim = usize::from(mode == 2);
    while !input.over() {
        now += Duration::from_millis(u64::from(input.byte()));
        let piece = input.piece();
        let packet = if mode == 0 { piece.to_vec() } else { crafted(piece, heads[1 - victim], next[1 - victim]) };
        let end = &mut ends[victim];
        end.receive(now, packet.into());
        end.timeout(now);
        let answers = end.packets(now).len();
        assert!(answers <= MOST_ANSWERS, "{answers} packets for one");
        let told = end.told();
        assert!(told.len() <= piece.len() + 8, "{} things told by {} bytes", told.len(), piece.len());
        let _ = end.say("text", false);
    }
}

/// Ports and verification tag of a packet, and the number behind its last chunk of data.
fn note(packet: &[u8], head: &mut [u8; 8], next: &mut u32) {
    let Some(first) = packet.first_chunk() else { return };
    *head = *first;
    match (packet.get(12), packet.get(16..20), packet.get(28..32)) {
        (Some(0), Some(number), _) => *next = word(number).wrapping_add(1),
        // An INIT, or its acknowledgement, says what comes first.
        (Some(1 | 2), _, Some(number)) => *next = word(number),
        _ => {}
    }
}

fn word(bytes: &[u8]) -> u32 {
    bytes.try_into().map(u32::from_be_bytes).unwrap_or_default()
}

/// A packet of the other end with these chunks. Numbers of data, and of what is acknowledged, count from the next one.
fn crafted(chunks: &[u8], head: [u8; 8], next: u32) -> Vec<u8> {
    let mut packet = [&head[..], &[0; 4], chunks].concat();
    let mut at = 12;
    while let Some(&[kind, _, l1, l2]) = packet.get(at..).and_then(<[u8]>::first_chunk) {
        // DATA, I-DATA, FORWARD-TSN and I-FORWARD-TSN begin with a number.
        if let (0 | 64 | 192 | 194, Some(number)) = (kind, packet.get_mut(at + 4..at + 8)) {
            let moved = next.wrapping_add(word(number));
            number.copy_from_slice(&moved.to_be_bytes());
        }
        at += usize::from(u16::from_be_bytes([l1, l2])).next_multiple_of(4).max(4);
    }
    let sum = !packet.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82F6_3B78 } else { crc >> 1 })
    });
    if let Some(place) = packet.get_mut(8..12) {
        place.copy_from_slice(&sum.to_le_bytes());
    }
    packet
}
