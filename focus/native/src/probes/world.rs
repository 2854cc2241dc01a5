//! An engine with live peers in virtual time, and what strangers may not do to them.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use super::Input;
use crate::command::{
    Codec, Command, Credentials, Event, Expect, Extensions, Format, Highest, Kind, Open, Role, Route,
};
use crate::engine::Engine;
use crate::media::bytes::{Draw, packet};
use crate::transport::{Identity, Out, TAIL, Transport, TransportEvent};

/// Where the engine is.
const HOME: ([u8; 4], u16) = ([192, 0, 2, 1], 1000);
/// An address that no peer has.
pub const STRANGER: ([u8; 4], u16) = ([203, 0, 113, 3], 3000);
/// Virtual time between two looks at what is due.
const STEP: Duration = Duration::from_millis(20);

static OURS: LazyLock<Arc<Identity>> = LazyLock::new(identity);
static THEIRS: LazyLock<Arc<Identity>> = LazyLock::new(identity);

fn identity() -> Arc<Identity> {
    Arc::new(Identity::new().expect("the machine has randomness"))
}

/// Datagrams to the engine.
#[derive(Default)]
struct Sent(Vec<Vec<u8>>);

impl Out for Sent {
    fn send(&mut self, _: SocketAddr, datagram: &[u8]) {
        self.0.push(datagram.to_vec());
    }
}

/// A peer's own end.
struct Client {
    transport: Transport,
    at: SocketAddr,
    opened: bool,
    /// Extended sequence number of its newest packet.
    sequence: u64,
    /// Packets of media that came.
    heard: usize,
}

/// Two people in a call: what one says, the other hears.
pub struct World {
    /// What is tried.
    pub engine: Engine,
    clients: Vec<Client>,
    now: Instant,
    /// What left for an address that is no client's.
    strayed: Vec<SocketAddr>,
    lost: bool,
}

fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: format!("{name}frag"), pwd: format!("{name}password0123456789abcdef") }
}

fn open(name: &str, role: Role, identity: &Identity) -> Open {
    let (hash, digits) = identity.fingerprint();
    let digest = digits.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let (near, far) = (credentials(&format!("n{name}")), credentials(&format!("f{name}")));
    let (local, remote) = if role == Role::Answerer { (near, far) } else { (far, near) };
    Open {
        peer: name.into(),
        role,
        local,
        remote,
        fingerprints: vec![(hash.to_owned(), digest)],
        sctp_port: Some(5000),
        max_message: 262_144,
        candidates: if role == Role::Caller { vec![HOME.into()] } else { Vec::new() },
    }
}

impl World {
    /// Both are connected, with their channels open, and each hears the other.
    pub fn new() -> Self {
        let now = Instant::now();
        let mut seed = 0;
        let mut chance = move || {
            seed += 1;
            Draw::new(seed)
        };
        let engine = Engine::new(now, OURS.clone(), vec![HOME.into()], Box::new(move || Box::new(chance())));
        let mut world = Self { engine, clients: Vec::new(), now, strayed: Vec::new(), lost: false };
        for (place, name) in ["a", "b"].into_iter().enumerate() {
            world.engine.submit(now, Command::Open(open(name, Role::Answerer, &THEIRS)));
            let chance = Box::new(Draw::new(100 + place as u64));
            let opened = open(name, Role::Caller, &OURS);
            let transport = Transport::new(now, &opened, &THEIRS, chance).expect("can be opened");
            let at = SocketAddr::from(([198, 51, 100, 2], 2000 + place as u16));
            world.clients.push(Client { transport, at, opened: false, sequence: 0, heard: 0 });
        }
        for (from, to, number) in [("a", "b", 0_u8), ("b", "a", 1)] {
            world.route(from, to, number);
        }
        for _ in 0..500 {
            world.pass(STEP);
            if world.clients.iter().all(|client| client.opened) {
                assert!(world.goes_on(), "a call without media is none");
                return world;
            }
        }
        panic!("they do not connect");
    }

    fn route(&mut self, from: &str, to: &str, number: u8) {
        let codec = Codec { format: Format::Opus, clock: 48_000, pt: 111, rtx_pt: None };
        let expect = Expect {
            track: from.into(),
            peer: from.into(),
            mid: "0".into(),
            kind: Kind::Audio,
            codecs: vec![codec],
            extensions: Extensions::default(),
            rids: Vec::new(),
            ssrcs: vec![0x1000],
        };
        let route = Route {
            route: number.into(),
            track: from.into(),
            peer: to.into(),
            mid: "1".into(),
            codecs: vec![codec],
            extensions: Extensions::default(),
            ssrc: 0x2000,
            rtx_ssrc: None,
        };
        self.engine.submit(self.now, Command::Expect(expect));
        self.engine.submit(self.now, Command::Route(route));
        self.engine.submit(
            self.now,
            Command::SetLayer { route: number.into(), layer: Some("".into()), highest: Highest::ALL },
        );
    }

    /// Address of a peer.
    pub fn client(&self, place: usize) -> SocketAddr {
        self.clients[place % self.clients.len()].at
    }

    /// A datagram out of nowhere; how many datagrams the engine answers with.
    pub fn throw(&mut self, from: SocketAddr, datagram: &mut [u8]) -> usize {
        self.engine.receive(self.now, from, datagram);
        self.carry()
    }

    /// Let time pass, and both ends do what is due.
    pub fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = (self.now + STEP).min(end);
            self.engine.tick(self.now);
            for place in 0..self.clients.len() {
                let mut sent = Sent::default();
                self.clients[place].transport.timeout(self.now, &mut sent);
                self.deliver(place, sent);
            }
            self.carry();
        }
    }

    /// Each says something. Whether the other heard it, and nobody was lost or written to who is nobody.
    pub fn goes_on(&mut self) -> bool {
        let before: Vec<usize> = self.clients.iter().map(|client| client.heard).collect();
        for place in 0..self.clients.len() {
            let client = &mut self.clients[place];
            client.sequence += 1;
            let index = client.sequence;
            let mut plain = packet(0x1000, index as u16, 960 * index as u32, 111, b"sound", &[], false, 0);
            let length = plain.len();
            plain.resize(length + TAIL, 0);
            let Ok(sealed) = client.transport.seal_rtp(&mut plain, length, index) else { return false };
            plain.truncate(sealed);
            self.deliver(place, Sent(vec![plain]));
        }
        self.carry();
        let heard = self.clients.iter().zip(before).all(|(client, before)| client.heard == before + 1);
        heard && !self.lost && self.strayed.is_empty()
    }

    fn deliver(&mut self, place: usize, sent: Sent) {
        let from = self.clients[place].at;
        for mut datagram in sent.0 {
            self.engine.receive(self.now, from, &mut datagram);
        }
    }

    /// Carry until all is said; how many datagrams the engine sent.
    fn carry(&mut self) -> usize {
        let mut count = 0;
        loop {
            let mut leaving = Vec::new();
            for lane in self.engine.outbox().waiting() {
                for message in lane.messages() {
                    let datagrams = lane.bytes(message).chunks(message.segment.max(1));
                    leaving.extend(datagrams.map(|datagram| (message.to, datagram.to_vec())));
                }
            }
            self.engine.outbox().clear();
            self.lost |= self.engine.drain().iter().any(|event| matches!(event, Event::Lost { .. }));
            if leaving.is_empty() {
                return count;
            }
            count += leaving.len();
            for (to, datagram) in leaving {
                match self.clients.iter().position(|client| client.at == to) {
                    Some(place) => self.arrive(place, datagram),
                    None => self.strayed.push(to),
                }
            }
        }
    }

    fn arrive(&mut self, place: usize, mut datagram: Vec<u8>) {
        let (now, mut sent) = (self.now, Sent::default());
        let client = &mut self.clients[place];
        let _ = match datagram.first() {
            Some(0..=3) => client.transport.stun(now, HOME.into(), &datagram, &mut sent),
            Some(20..=63) => client.transport.dtls(now, HOME.into(), &datagram, &mut sent),
            _ if crate::media::rtp::is_rtcp(&datagram) => client.transport.open_rtcp(&mut datagram).map(|_| ()),
            _ => client.transport.open_rtp(&mut datagram).map(|_| client.heard += 1),
        };
        while let Some(event) = client.transport.event() {
            client.opened |= event == TransportEvent::Opened;
            self.lost |= matches!(event, TransportEvent::Lost(_));
        }
        self.deliver(place, sent);
    }
}

thread_local! {
    /// Strangers change nothing, so that one world serves many runs.
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

/// Datagrams that nobody with keys wrote, from strangers and in the peers' names: no answer, and the call goes on.
pub fn engine(data: &[u8]) {
    WORLD.with_borrow_mut(|world| {
        let mut input = Input::new(data);
        while !input.over() {
            let from = match input.byte() {
                place @ 0..=1 => world.client(place.into()),
                other => SocketAddr::from((STRANGER.0, 1000 + u16::from(other))),
            };
            let mut datagram = input.piece().to_vec();
            assert_eq!(world.throw(from, &mut datagram), 0, "an answer to nobody");
        }
        world.pass(STEP);
        assert!(world.goes_on(), "the call goes on");
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Drop;

    /// Security N1, N9, R3: whoever sends it, and however long it is.
    #[test]
    fn n9_every_length_with_every_first_byte_is_not_answered_and_changes_nothing() {
        let mut world = World::new();
        let mut draw = Draw::new(41);
        let mut noise = vec![0; 4 * 1500];
        noise.fill_with(|| draw.next() as u8);
        let taken = |world: &World| world.engine.tally().drops.iter().sum::<u64>();
        let (before, mut thrown) = (taken(&world), 0);
        for length in 0..=1500 {
            for first in 0..=255 {
                for from in [STRANGER.into(), world.client(length)] {
                    let at = draw.below(4 * 1500 - 1500) as usize;
                    let mut datagram = noise[at..at + length].to_vec();
                    if let Some(byte) = datagram.first_mut() {
                        *byte = first;
                    }
                    assert_eq!(world.throw(from, &mut datagram), 0, "{first} {length} {from}");
                    thrown += 1;
                }
            }
            world.pass(Duration::from_millis(5));
            assert!(world.goes_on(), "after all of length {length}");
        }
        let counted = taken(&world) - before;
        assert!(counted > thrown * 9 / 10, "{counted} of {thrown} were counted");
        assert!(world.engine.tally().drops[Drop::NotDemuxed as usize] > thrown / 4);
        world.pass(Duration::from_secs(60));
        assert!(world.goes_on(), "a minute later");
    }
}
