//! A pump around a small engine that echoes.

use std::net::UdpSocket;

use super::bell::Watch;
use super::*;
use crate::command::{Credentials, Loss, Name, Open, Role};

mod clients;
mod together;

const HOME: &str = "127.0.0.1";
const LONG: Duration = Duration::from_secs(10);

/// The command that opens a peer.
pub fn open(name: &str) -> Command {
    let nobody = || Credentials { ufrag: "ufrag".into(), pwd: "password".into() };
    Command::Open(Open {
        peer: name.into(),
        role: Role::Answerer,
        local: nobody(),
        remote: nobody(),
        fingerprints: Vec::new(),
        sctp_port: None,
        max_message: 0,
        candidates: Vec::new(),
    })
}

/// Echoes a datagram as often as its first byte says; falls over at `!`; every tick is an event.
struct Echo {
    candidates: Vec<SocketAddr>,
    outbox: Outbox,
    events: Vec<Event>,
    tally: Tally,
    next: Option<Instant>,
    goodbye: Option<SocketAddr>,
    moved: Vec<Moved>,
}

impl Core for Echo {
    fn among(&mut self, _: usize) {}

    fn share(&mut self, _: Instant, _: Sharing) {}

    fn shared(&mut self, _: Shared, _: &[u8]) {}

    fn parcels(&mut self) -> &mut [Parcel] {
        &mut []
    }

    fn moved(&mut self) -> &mut Vec<Moved> {
        &mut self.moved
    }

    fn turn_away(&mut self, _: Instant, _: SocketAddr, _: &mut [u8]) {}

    fn offer(&mut self, _: Instant, from: SocketAddr, datagram: &mut [u8]) -> bool {
        self.tally.packets_in += 1;
        assert!(datagram.first() != Some(&b'!'), "asked to fall over");
        for _ in 0..datagram.first().copied().unwrap_or(0) {
            self.outbox.push(0, from, datagram);
        }
        self.goodbye = Some(from);
        true
    }

    fn submit(&mut self, now: Instant, command: Command) {
        match command {
            Command::Open(open) => {
                self.events.push(Event::Reachable { peer: open.peer, candidates: self.candidates.clone() });
            }
            Command::Close { .. } => {
                if let Some(to) = self.goodbye {
                    self.outbox.push(0, to, b"goodbye");
                }
            }
            Command::Keyframe { .. } => self.next = Some(now + Duration::from_millis(20)),
            Command::Send { peer, text, .. } => self.events.push(Event::Message { peer, text }),
            _ => {}
        }
    }

    fn tick(&mut self, now: Instant) {
        if self.next.is_some_and(|next| next <= now) {
            self.next = None;
            self.events.push(Event::Vanished { track: "tick".into(), layer: "".into() });
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.next
    }

    fn forward(&mut self) -> bool {
        false
    }

    fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    fn tally(&self) -> &Tally {
        &self.tally
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }
}

fn pump(settings: Settings) -> Pump {
    Pump::start(settings, |_, candidates| Echo {
        candidates,
        outbox: Outbox::default(),
        events: Vec::new(),
        tally: Tally::default(),
        next: None,
        goodbye: None,
        moved: Vec::new(),
    })
    .expect("a pump")
}

fn at(addresses: &[&str]) -> Settings {
    let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
    Settings { addresses, gso: true, workers: 1, ..Settings::default() }
}

/// Wait for news, and take it.
fn hear(pump: &Pump) -> Vec<Event> {
    let mut watch = Watch::new([pump.news()]);
    watch.wait(Some(LONG));
    assert!(watch.readable(0), "no news");
    pump.heard();
    pump.drain()
}

fn reachable(pump: &Pump) -> Vec<SocketAddr> {
    pump.submit(vec![open("a")]);
    match hear(pump).as_slice() {
        [Event::Reachable { candidates, .. }] => candidates.clone(),
        other => panic!("{other:?}"),
    }
}

fn client() -> UdpSocket {
    let client = UdpSocket::bind((HOME, 0)).expect("a socket");
    client.set_read_timeout(Some(LONG)).expect("set");
    client
}

fn heard(client: &UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buffer = [0; 2048];
    let (length, from) = client.recv_from(&mut buffer).expect("a datagram");
    (buffer[..length].to_vec(), from)
}

#[test]
fn datagrams_go_in_and_answers_come_out_as_one_train() {
    for settings in [at(&[HOME]), Settings { coalesce: Duration::from_millis(2), joined: true, ..at(&[HOME]) }] {
        let pump = pump(settings);
        let to = reachable(&pump)[0];
        let client = client();
        client.send_to(b"\x05hello", to).expect("sent");
        for _ in 0..5 {
            assert_eq!(heard(&client), (b"\x05hello".to_vec(), to));
        }
        pump.close();
        let counted = pump.counted();
        assert_eq!((counted.tally.packets_in, counted.figures.received), (1, 1));
        assert!(counted.figures.trains[3] == 1 || counted.figures.cut_up > 0, "{counted:?}");
    }
}

#[test]
fn a_client_is_answered_from_the_address_that_it_reached_whichever_came_before() {
    let pump = pump(at(&[HOME, "127.0.0.2"]));
    let candidates = reachable(&pump);
    let client = client();
    for to in [candidates[1], candidates[0], candidates[1], candidates[1]] {
        client.send_to(b"\x01", to).expect("sent");
        assert_eq!(heard(&client).1, to);
    }
}

#[test]
fn a_timer_fires_and_is_told() {
    let pump = pump(at(&[HOME]));
    pump.submit(vec![Command::Keyframe { track: "t".into(), layer: "".into() }]);
    assert_eq!(hear(&pump), [Event::Vanished { track: "tick".into(), layer: "".into() }]);
}

#[test]
fn a_fall_costs_the_peers_of_that_engine_and_nothing_else() {
    let pump = pump(at(&[HOME]));
    let to = reachable(&pump)[0];
    pump.submit(vec![open("b"), Command::Close { peer: "b".into() }]);
    let client = client();
    client.send_to(b"\x01", to).expect("sent");
    heard(&client);
    pump.drain();
    client.send_to(b"!", to).expect("sent");
    let name: Name = "a".into();
    let lost = Event::Lost { peer: name, loss: Loss::Ice };
    while hear(&pump) != std::slice::from_ref(&lost) {}
    client.send_to(b"\x01again", to).expect("sent");
    assert_eq!(heard(&client).0, b"\x01again");
    pump.submit(vec![open("a")]);
    assert!(matches!(hear(&pump).as_slice(), [Event::Reachable { candidates, .. }] if candidates == &[to]));
    assert_eq!(pump.counted().figures.panics, 1);
    // Totals never go back.
    assert!(pump.counted().tally.packets_in >= 3);
}

#[test]
fn closing_says_goodbye_and_frees_the_port() {
    let pump = pump(at(&[HOME]));
    let to = reachable(&pump)[0];
    let client = client();
    client.send_to(b"\x01", to).expect("sent");
    heard(&client);
    pump.close();
    pump.close();
    assert_eq!(heard(&client).0, b"goodbye");
    UdpSocket::bind(to).expect("free again");
}

#[test]
fn commands_given_before_a_datagram_was_sent_come_first() {
    let pump = pump(at(&[HOME]));
    let to = reachable(&pump)[0];
    let client = client();
    for round in 0..200 {
        pump.submit(vec![Command::Send { peer: "a".into(), text: round.to_string(), urgent: false }]);
        client.send_to(b"\x01", to).expect("sent");
        heard(&client);
    }
    // Each answer left after its command was carried out, and the last turn has ended or is telling.
    let mut texts = Vec::new();
    while texts.len() < 200 {
        texts.extend(hear(&pump).into_iter().filter_map(|event| match event {
            Event::Message { text, .. } => Some(text),
            _ => None,
        }));
    }
    assert_eq!(texts, (0..200).map(|round| round.to_string()).collect::<Vec<_>>());
}

#[test]
fn nothing_is_allocated_per_datagram_in_steady_state() {
    let pump = pump(at(&[HOME]));
    let to = reachable(&pump)[0];
    let client = client();
    let rounds = |count: usize| {
        for _ in 0..count {
            client.send_to(&[20; 1000], to).expect("sent");
            (0..20).for_each(|_| drop(heard(&client)));
        }
    };
    rounds(20);
    let before = settled(&pump, 400);
    rounds(100);
    let after = settled(&pump, 2400);
    assert_eq!(after.allocations - before.allocations, 0);
    pump.close();
}

/// The figures once so many datagrams were sent.
fn settled(pump: &Pump, sent: u64) -> Figures {
    let end = Instant::now() + LONG;
    loop {
        let figures = pump.counted().figures;
        if figures.sent >= sent || Instant::now() > end {
            return figures;
        }
        thread::yield_now();
    }
}

#[test]
fn a_pump_may_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    shared(&pump(at(&[HOME])));
}
