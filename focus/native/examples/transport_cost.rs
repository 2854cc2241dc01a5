//! What a transport costs: CPU of a handshake, of sealing and opening a packet, and memory per peer.
//!
//! `cargo run --release --example transport_cost`; figures belong into README.md with the machine they are of.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use _native::command::{Credentials, Open, Role};
use _native::transport::srtp::{Opener, Profile, Sealer};
use _native::transport::{Identity, Out, SystemChance, TAIL, Transport};

const PAIRS: usize = 500;
const PACKETS: u64 = 200_000;

#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Out for Sent {
    fn send(&mut self, _: SocketAddr, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }
}

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: name.to_owned(), pwd: format!("{name}0123456789abcdef01234567") }
}

fn open(role: Role, local: &str, remote: &str, peer: &Identity) -> Open {
    let (name, digits) = peer.fingerprint();
    let digest = digits.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    Open {
        peer: "peer".into(),
        role,
        local: credentials(local),
        remote: credentials(remote),
        fingerprints: vec![(name.to_owned(), digest)],
        sctp_port: Some(5000),
        max_message: 262_144,
        candidates: vec![address(1)],
    }
}

fn take_in(transport: &mut Transport, now: Instant, from: SocketAddr, datagrams: Vec<Vec<u8>>, out: &mut Sent) {
    for datagram in datagrams {
        let _ = match datagram.first() {
            Some(0..=3) => transport.stun(now, from, &datagram, out),
            _ => transport.dtls(now, from, &datagram, out),
        };
    }
}

/// A pair that is connected and has its channel; the time that the answerer and the caller took.
fn connect(ours: &Identity, theirs: &Identity) -> (Transport, [Duration; 2]) {
    let mut now = Instant::now();
    let make =
        |open: &Open, identity| Transport::new(now, open, identity, Box::new(SystemChance)).expect("a transport");
    let (from, mut spent) = ([address(1), address(2)], [Duration::ZERO; 2]);
    let begun = Instant::now();
    let answerer = make(&open(Role::Answerer, "a", "c", theirs), ours);
    spent[0] += begun.elapsed();
    let mut ends = [answerer, make(&open(Role::Caller, "c", "a", ours), theirs)];
    let mut first = Sent::default();
    ends[1].timeout(now, &mut first);
    let mut flying = [first.0, Vec::new()];
    for _ in 0..40 {
        for to in [0, 1] {
            let (begun, mut out) = (Instant::now(), Sent::default());
            take_in(&mut ends[to], now, from[1 - to], std::mem::take(&mut flying[to]), &mut out);
            if ends[to].deadline().is_some_and(|deadline| deadline <= now) {
                ends[to].timeout(now, &mut out);
            }
            spent[to] += begun.elapsed();
            flying[1 - to].extend(out.0);
        }
        now += Duration::from_millis(10);
    }
    assert!(ends.iter().all(Transport::is_connected), "not connected");
    let [answerer, _] = ends;
    (answerer, spent)
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.and_then(|line| line.split_whitespace().nth(1)).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}

fn main() {
    let identities = (Identity::new().expect("an identity"), Identity::new().expect("an identity"));
    connect(&identities.0, &identities.1);
    let before = resident_kib();
    let mut spent = [Duration::ZERO; 2];
    let mut kept = Vec::new();
    for _ in 0..PAIRS {
        let (answerer, took) = connect(&identities.0, &identities.1);
        kept.push(answerer);
        spent = [spent[0] + took[0], spent[1] + took[1]];
    }
    let each = |time: Duration| time.as_micros() as usize / PAIRS;
    println!("bring-up, us: answerer {}, caller {}", each(spent[0]), each(spent[1]));
    println!("memory, KiB per answerer: {:.1}", (resident_kib() - before) as f64 / PAIRS as f64);
    for profile in [Profile::Gcm128, Profile::Gcm256, Profile::Sha1_80] {
        for length in [160, 1_200] {
            let (key, salt) = profile.lengths();
            let (key, salt) = (vec![1; key], vec![2; salt]);
            let mut sealer = Sealer::new(profile, &key, &salt).expect("keys");
            let mut opener = Opener::new(profile, &key, &salt).expect("keys");
            let (mut sealing, mut opening) = (Duration::ZERO, Duration::ZERO);
            let mut batch = vec![vec![0_u8; length + TAIL]; 100];
            for round in 0..PACKETS / 100 {
                let numbered = |number: usize| round * 100 + number as u64;
                for (number, packet) in batch.iter_mut().enumerate() {
                    packet.resize(length + TAIL, 0);
                    packet[..2].copy_from_slice(&[0x80, 96]);
                    packet[2..4].copy_from_slice(&(numbered(number) as u16).to_be_bytes());
                    packet[8..12].copy_from_slice(&[0, 0, 0, 7]);
                }
                let begun = Instant::now();
                for (number, packet) in batch.iter_mut().enumerate() {
                    let sealed = sealer.seal_rtp(packet, length, numbered(number)).expect("sealed");
                    packet.truncate(sealed);
                }
                sealing += begun.elapsed();
                let begun = Instant::now();
                for packet in &mut batch {
                    opener.open_rtp(packet).expect("opened");
                }
                opening += begun.elapsed();
            }
            let each = |time: Duration| time.as_nanos() as u64 / PACKETS;
            println!("{profile:?}, {length} B, ns: seal {}, open {}", each(sealing), each(opening));
        }
    }
}
