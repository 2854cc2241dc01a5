//! Two transports on a wire that loses, delays, reorders and repeats, in virtual time.

use std::time::Duration;

use super::super::*;
use crate::command::Credentials;

pub(super) const ANSWERER: &str = "192.0.2.1:1000";
pub(super) const CALLER: &str = "198.51.100.2:2000";
pub(super) const STRANGER: &str = "203.0.113.3:3000";

pub(super) fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub(super) fn seconds(count: f64) -> Duration {
    Duration::from_secs_f64(count)
}

/// Repeatable chance.
#[derive(Clone)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    pub(super) fn share(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

impl Chance for Dice {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.roll() as u8);
    }
}

#[derive(Default)]
pub(super) struct Sent(pub(super) Vec<(SocketAddr, Vec<u8>)>);

impl Out for Sent {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.0.push((to, datagram.to_vec()));
    }
}

pub(super) struct End {
    pub(super) transport: Transport,
    pub(super) at: SocketAddr,
    pub(super) events: Vec<TransportEvent>,
}

impl End {
    pub(super) fn has(&self, event: &TransportEvent) -> bool {
        self.events.contains(event)
    }

    pub(super) fn texts(&self) -> Vec<&str> {
        let mut texts = Vec::new();
        for event in &self.events {
            if let TransportEvent::Message(text) = event {
                texts.push(text.as_str());
            }
        }
        texts
    }

    pub(super) fn lost(&self) -> Option<Loss> {
        self.events.iter().find_map(|event| if let TransportEvent::Lost(loss) = event { Some(*loss) } else { None })
    }
}

/// An answerer and a caller, and what is under way between them.
pub(super) struct Wire {
    pub(super) ends: [End; 2],
    pub(super) now: Instant,
    /// Arrival, sender, receiver, datagram.
    pub(super) flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    pub(super) dice: Dice,
    pub(super) loss: f64,
    pub(super) repeats: f64,
    pub(super) delay: Duration,
    pub(super) jitter: Duration,
}

pub(super) fn credentials(name: &str) -> Credentials {
    Credentials { ufrag: format!("{name}frag"), pwd: format!("{name}password0123456789abcdef") }
}

pub(super) fn print(identity: &Identity) -> (String, Vec<u8>) {
    let (name, digits) = identity.fingerprint();
    (name.to_owned(), digits.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect())
}

pub(super) fn open(role: Role, local: &str, remote: &str, prints: Vec<(String, Vec<u8>)>) -> Open {
    Open {
        peer: "peer".into(),
        role,
        local: credentials(local),
        remote: credentials(remote),
        fingerprints: prints,
        sctp_port: Some(5000),
        max_message: 262_144,
        candidates: if role == Role::Caller { vec![at(ANSWERER)] } else { vec![at(STRANGER)] },
    }
}

impl Wire {
    pub(super) fn new(seed: u64) -> Self {
        Self::with(seed, |_| {})
    }

    /// `change` is done to what both are opened with.
    pub(super) fn with(seed: u64, change: impl FnOnce(&mut [Open; 2])) -> Self {
        let now = Instant::now();
        let (ours, theirs) = (Identity::new().unwrap(), Identity::new().unwrap());
        let mut opens =
            [open(Role::Answerer, "a", "c", vec![print(&theirs)]), open(Role::Caller, "c", "a", vec![print(&ours)])];
        change(&mut opens);
        let end = |open: &Open, identity: &Identity, address: &str, seed| End {
            transport: Transport::new(now, open, identity, Box::new(Dice(seed))).unwrap(),
            at: at(address),
            events: Vec::new(),
        };
        Self {
            ends: [end(&opens[0], &ours, ANSWERER, 2 * seed), end(&opens[1], &theirs, CALLER, 2 * seed + 1)],
            now,
            flying: Vec::new(),
            dice: Dice(seed),
            loss: 0.0,
            repeats: 0.0,
            delay: seconds(0.02),
            jitter: seconds(0.0),
        }
    }

    pub(super) fn launch(&mut self, from: SocketAddr, sent: Sent) {
        for (to, datagram) in sent.0 {
            for _ in 0..1 + usize::from(self.dice.share() < self.repeats) {
                let late = self.jitter.mul_f64(self.dice.share());
                if self.dice.share() >= self.loss {
                    self.flying.push((self.now + self.delay + late, from, to, datagram.clone()));
                }
            }
        }
    }

    pub(super) fn deliver(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let Some(index) = self.ends.iter().position(|end| end.at == to) else { return };
        let (now, mut sent) = (self.now, Sent::default());
        let end = &mut self.ends[index];
        let _ = match datagram.first() {
            Some(0..=3) => end.transport.stun(now, from, datagram, &mut sent),
            Some(20..=63) => end.transport.dtls(now, from, datagram, &mut sent),
            _ => panic!("neither sends {datagram:?}"),
        };
        self.launch(to, sent);
    }

    /// Let time pass until `done`, at most so many seconds; whether it was done.
    pub(super) fn until(&mut self, limit: f64, mut done: impl FnMut(&mut Self) -> bool) -> bool {
        let (end, mut steps) = (self.now + seconds(limit), 0);
        loop {
            for end in &mut self.ends {
                while let Some(event) = end.transport.event() {
                    end.events.push(event);
                }
            }
            if done(self) {
                return true;
            }
            let arrival = self.flying.iter().map(|flight| flight.0).min();
            let deadlines = self.ends.iter().filter_map(|end| end.transport.deadline());
            let Some(next) = arrival.into_iter().chain(deadlines).min().filter(|next| *next <= end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            steps += 1;
            assert!(steps < 200_000, "time stands still");
            while let Some(place) = self.flying.iter().position(|flight| flight.0 <= self.now) {
                let (_, from, to, datagram) = self.flying.remove(place);
                self.deliver(from, to, &datagram);
            }
            for index in 0..2 {
                if self.ends[index].transport.deadline().is_some_and(|deadline| deadline <= self.now) {
                    let (now, from, mut sent) = (self.now, self.ends[index].at, Sent::default());
                    self.ends[index].transport.timeout(now, &mut sent);
                    self.launch(from, sent);
                }
            }
        }
    }

    pub(super) fn pass(&mut self, time: f64) {
        self.until(time, |_| false);
    }

    pub(super) fn say(&mut self, index: usize, text: &str) -> Result<(), Drop> {
        let (now, from, mut sent) = (self.now, self.ends[index].at, Sent::default());
        let outcome = self.ends[index].transport.send_text(now, text, false, &mut sent);
        self.launch(from, sent);
        outcome
    }

    pub(super) fn connect(&mut self) {
        let both = |wire: &mut Self| wire.ends.iter().all(|end| end.has(&TransportEvent::Opened));
        assert!(self.until(60.0, both), "{:?} {:?}", self.ends[0].events, self.ends[1].events);
    }

    pub(super) fn connected(seed: u64) -> Self {
        let mut wire = Self::new(seed);
        wire.connect();
        wire
    }

    /// Hand a datagram to the answerer at once; what it answers.
    pub(super) fn poke(&mut self, from: &str, datagram: &[u8]) -> (Result<(), Drop>, Sent) {
        let (now, mut sent) = (self.now, Sent::default());
        let transport = &mut self.ends[0].transport;
        let outcome = match datagram.first() {
            Some(0..=3) => transport.stun(now, at(from), datagram, &mut sent),
            Some(20..=63) => transport.dtls(now, at(from), datagram, &mut sent),
            _ => {
                transport.open_rtp(&mut datagram.to_vec()).and(transport.open_rtcp(&mut datagram.to_vec())).map(|_| ())
            }
        };
        (outcome, sent)
    }
}

pub(super) fn check(user: &str, password: &str, claim: stun::Claim, nominate: bool) -> Vec<u8> {
    stun::Builder::new(stun::Class::Request, &[5; 12]).check(user, 1, claim, nominate).sign(&stun::key(password))
}

pub(super) fn good_check(nominate: bool) -> Vec<u8> {
    check("afrag:cfrag", &credentials("a").pwd, stun::Claim::Controlling(1), nominate)
}
