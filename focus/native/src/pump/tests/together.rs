//! Two workers and real engines: clients with real transports on loopback, whose datagrams land on either worker.

use std::sync::LazyLock;

use super::clients::{Client, credentials, quiet};
use super::*;
use crate::command::{Codec, Drop as Why, Expect, Extensions, Format, Highest, Kind, Open, Route, RouteId};
use crate::engine::Engine;
use crate::media::bytes::{nack, rtcp};
use crate::transport::{Identity, SystemChance, Transport};

static OURS: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::new().expect("an identity")));
static THEIRS: LazyLock<Arc<Identity>> = LazyLock::new(|| Arc::new(Identity::new().expect("an identity")));

const VP8: Codec = Codec { format: Format::Vp8, clock: 90_000, pt: 96, rtx_pt: Some(97) };

/// A real engine that can be made to fall over, by a wish for a keyframe of no track at all.
struct Fragile(Engine);

impl Core for Fragile {
    fn among(&mut self, workers: usize) {
        self.0.among(workers);
    }

    fn offer(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> bool {
        self.0.offer(now, from, datagram)
    }

    fn turn_away(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        self.0.turn_away(now, from, datagram);
    }

    fn submit(&mut self, now: Instant, command: Command) {
        assert!(!matches!(command, Command::Keyframe { .. }), "asked to fall over");
        self.0.submit(now, command);
    }

    fn share(&mut self, now: Instant, sharing: Sharing) {
        self.0.share(now, sharing);
    }

    fn shared(&mut self, shared: Shared, data: &[u8]) {
        self.0.shared(shared, data);
    }

    fn parcels(&mut self) -> &mut [Parcel] {
        self.0.parcels()
    }

    fn moved(&mut self) -> &mut Vec<Moved> {
        self.0.moved()
    }

    fn tick(&mut self, now: Instant) {
        self.0.tick(now);
    }

    fn deadline(&self) -> Option<Instant> {
        self.0.deadline()
    }

    fn forward(&mut self) -> bool {
        self.0.forward()
    }

    fn drain(&mut self) -> Vec<Event> {
        self.0.said()
    }

    fn tally(&self) -> &Tally {
        self.0.tally()
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.0.written()
    }
}

struct Call {
    pump: Pump,
    clients: Vec<Client>,
    events: Vec<Event>,
}

impl Call {
    fn new() -> Self {
        let settings = Settings { workers: 2, ..at(&[HOME]) };
        let pump = Pump::start(settings, |now, candidates| {
            Fragile(Engine::new(now, Arc::clone(&OURS), candidates, Box::new(|| Box::new(SystemChance))))
        });
        Self { pump: pump.expect("a pump"), clients: Vec::new(), events: Vec::new() }
    }

    fn until(&mut self, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + LONG;
        loop {
            self.clients.iter_mut().for_each(Client::step);
            self.events.extend(self.pump.drain());
            if done(self) {
                return;
            }
            assert!(Instant::now() < end, "{what}: {:?} {:?}", self.pump.each(), self.events);
            thread::yield_now();
        }
    }

    /// The worker on whose socket this client's datagrams land.
    fn landing(&self, socket: &UdpSocket, to: SocketAddr) -> usize {
        let strange = |pump: &Pump| -> Vec<u64> {
            let all = pump.each().into_iter();
            all.map(|one| one.tally.drops.get(Why::NotDemuxed as usize).copied().unwrap_or(0)).collect()
        };
        let before = strange(&self.pump);
        socket.send_to(&[255], to).expect("sent");
        let end = Instant::now() + LONG;
        loop {
            if let Some(place) = strange(&self.pump).iter().zip(&before).position(|(now, then)| now > then) {
                return place;
            }
            assert!(Instant::now() < end, "it landed nowhere");
            thread::yield_now();
        }
    }

    /// A socket whose datagrams land on this worker.
    fn socket(&self, worker: usize, to: SocketAddr) -> UdpSocket {
        let sockets = std::iter::repeat_with(quiet).take(100);
        sockets.into_iter().find(|socket| self.landing(socket, to) == worker).expect("hashing is not that uneven")
    }

    /// Connect somebody whose datagrams land on this worker; their place.
    fn join(&mut self, name: &str, worker: usize) -> usize {
        let credentials = |side: &str| credentials(side, name);
        let open = |role: Role, local: &str, remote: &str, identity: &Identity, candidates: Vec<SocketAddr>| {
            let (hash, digits) = identity.fingerprint();
            let digest = digits.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
            Open {
                peer: name.into(),
                role,
                local: credentials(local),
                remote: credentials(remote),
                fingerprints: vec![(hash.to_owned(), digest)],
                sctp_port: None,
                max_message: 0,
                candidates,
            }
        };
        self.pump.submit(vec![Command::Open(open(Role::Answerer, "near", "far", &THEIRS, vec![]))]);
        let mut to = None;
        self.until("reachable", |call| {
            to = call.events.iter().find_map(|event| match event {
                Event::Reachable { peer, candidates } if **peer == *name => candidates.first().copied(),
                _ => None,
            });
            to.is_some()
        });
        let to = to.expect("found");
        let socket = self.socket(worker, to);
        let opened = open(Role::Caller, "far", "near", &OURS, vec![to]);
        let transport = Transport::new(Instant::now(), &opened, &THEIRS, Box::new(SystemChance)).expect("opened");
        let (connected, sequence, packets, reports, checks) = (false, 100, vec![], vec![], [0; 2]);
        let name: Name = name.into();
        let client =
            Client { name: name.clone(), socket, transport, to, connected, sequence, packets, checks, reports };
        self.clients.push(client);
        let place = self.clients.len() - 1;
        self.until("connected", |call| {
            call.clients[place].connected && call.events.contains(&Event::Connected { peer: name.clone() })
        });
        place
    }

    /// As after a change of the network: new credentials for a live peer, and everything received so far is forgotten.
    fn restart(&mut self, client: usize) {
        let client = &mut self.clients[client];
        let (near, far) = (credentials("near2", &client.name), credentials("far2", &client.name));
        let (local, remote) = (near.clone(), far.clone());
        self.pump.submit(vec![Command::Restart { peer: client.name.clone(), local, remote, candidates: vec![] }]);
        client.transport.restart(Instant::now(), far, near, &[client.to]);
        client.checks = [0; 2];
        client.packets.clear();
    }

    fn expect(&self, client: usize, rids: &[&str]) {
        let name = &self.clients[client].name;
        self.pump.submit(vec![Command::Expect(Expect {
            track: format!("track of {name}").into(),
            peer: name.clone(),
            mid: "0".into(),
            kind: Kind::Video,
            codecs: vec![VP8],
            extensions: Extensions { mid: 1, rid: 2, ..Extensions::default() },
            rids: rids.iter().map(|rid| (*rid).into()).collect(),
            ssrcs: if rids.is_empty() { vec![0x1000] } else { vec![] },
        })]);
    }

    fn route(&self, route: RouteId, from: usize, to: usize, layer: &str) {
        let (from, to) = (&self.clients[from].name, self.clients[to].name.clone());
        let made = Route {
            route,
            track: format!("track of {from}").into(),
            peer: to,
            mid: "1".into(),
            codecs: vec![VP8],
            extensions: Extensions::default(),
            ssrc: 0x5000 + route as u32,
            rtx_ssrc: Some(0x6000 + route as u32),
        };
        let layer = Command::SetLayer { route, layer: Some(layer.into()), highest: Highest::ALL };
        self.pump.submit(vec![Command::Route(made), layer]);
    }

    /// Have so many frames published in bursts, and wait until each of these clients has all.
    fn watch(&mut self, from: usize, frames: usize, watchers: &[usize]) {
        let before: Vec<usize> = watchers.iter().map(|watcher| self.clients[*watcher].sequences(96).len()).collect();
        let mut left = frames;
        self.until("all frames", |call| {
            let had = watchers.iter().zip(&before).map(|(place, had)| call.clients[*place].sequences(96).len() - had);
            let behind = had.min().unwrap_or(0) + left < frames;
            // Not more at once than the sockets of the machine hold.
            for _ in 0..if behind { 0 } else { left.min(20) } {
                call.clients[from].publish(0x1000, "", true);
                left -= 1;
            }
            watchers.iter().zip(&before).all(|(place, had)| call.clients[*place].sequences(96).len() >= had + frames)
        });
        for watcher in watchers {
            let got = self.clients[*watcher].sequences(96);
            assert!(got.windows(2).all(|two| two[1] == two[0].wrapping_add(1)), "{watcher}: out of order");
        }
    }

    fn figures(&self) -> Figures {
        self.pump.counted().figures
    }
}

#[test]
fn whoever_joins_stays_at_the_worker_where_their_datagrams_land() {
    let mut call = Call::new();
    for (number, worker) in [1, 1, 0, 1].into_iter().enumerate() {
        let name = format!("p{number}");
        call.join(&name, worker);
        assert_eq!(call.pump.mail.worker(&name.as_str().into()), worker);
    }
    assert_eq!(call.figures().handed_over, 0);
    // Each was told once where to come to.
    let told = call.events.iter().filter(|event| matches!(event, Event::Reachable { .. })).count();
    assert_eq!(told, 4);
}

#[test]
fn a_conference_spans_workers_without_loss_and_in_order() {
    let mut call = Call::new();
    let (camera, near, far) = (call.join("camera", 0), call.join("near", 0), call.join("far", 1));
    call.expect(camera, &[]);
    call.route(1, camera, near, "");
    call.route(2, camera, far, "");
    call.watch(camera, 1000, &[near, far]);
    assert!(call.pump.each()[1].figures.mirrored >= 1000 && call.figures().overrun == 0);

    // From then on a packet costs neither worker any memory; what is done each second may.
    let before = call.figures().allocations;
    call.watch(camera, 1000, &[near, far]);
    let more = call.figures().allocations - before;
    assert!(more < 250, "{more} pieces of memory for 1000 packets");

    // A sink of the mirror lost something: its own worker repairs it, and the publisher hears nothing.
    let number = call.clients[far].sequences(96)[1990];
    call.clients[far].report(nack(9, 0x5002, &[number]));
    call.until("a repair", |call| call.clients[far].sequences(97).len() == 1);
    assert_eq!(call.clients[camera].reports.iter().filter(|report| report.1 == 205).count(), 0);

    // It goes, another comes.
    call.pump.submit(vec![Command::Unroute { route: 2 }]);
    call.watch(camera, 20, &[near]);
    call.clients[far].packets.clear();
    call.route(3, camera, far, "");
    call.watch(camera, 20, &[near, far]);
    assert_eq!(call.pump.each()[0].figures.panics + call.pump.each()[1].figures.panics, 0);
}

#[test]
fn datagrams_that_land_on_the_other_worker_are_handed_over_in_order() {
    let mut call = Call::new();
    let (camera, near, far) = (call.join("camera", 0), call.join("near", 0), call.join("far", 1));
    call.expect(camera, &[]);
    call.route(1, camera, near, "");
    call.route(2, camera, far, "");
    call.watch(camera, 100, &[near, far]);
    // All three get new addresses that the other worker's sockets get.
    for (client, worker) in [(camera, 1), (near, 1), (far, 0)] {
        call.clients[client].socket = call.socket(worker, call.clients[client].to);
        call.restart(client);
    }
    let before = call.figures().handed_over;
    call.until("all have proved their new addresses", |call| {
        call.clients.iter().all(|client| client.checks.iter().all(|count| *count > 0))
    });
    let mut last = Instant::now();
    call.until("media flows there", |call| {
        if last.elapsed() > Duration::from_millis(20) {
            last = Instant::now();
            call.clients[camera].publish(0x1000, "", true);
        }
        [near, far].iter().all(|place| !call.clients[*place].packets.is_empty())
    });
    let answered = call.pump.counted().tally.drops[Why::Authentication as usize];
    call.watch(camera, 500, &[near, far]);
    let figures = call.figures();
    assert!(figures.handed_over >= before + 500 && figures.overrun == 0, "{figures:?}");
    assert_eq!(call.pump.counted().tally.drops[Why::Authentication as usize], answered);
    assert!(call.events.iter().all(|event| !matches!(event, Event::Lost { .. })));
}

#[test]
fn a_switch_at_a_mirror_asks_the_publisher_for_a_keyframe() {
    let mut call = Call::new();
    let (camera, far) = (call.join("camera", 0), call.join("far", 1));
    call.expect(camera, &["h", "l"]);
    call.route(1, camera, far, "l");
    let appeared =
        |layer: &str| Event::Appeared { track: "track of camera".into(), layer: layer.into(), width: 64, height: 64 };
    call.until("both layers", |call| {
        call.clients[camera].publish(0x2000, "h", true);
        call.clients[camera].publish(0x3000, "l", true);
        call.events.contains(&appeared("h")) && call.events.contains(&appeared("l"))
    });
    let switched = |layer: &str| Event::Switched { route: 1, layer: Some(layer.into()) };
    call.until("the low one", |call| call.events.contains(&switched("l")));
    let before = call.clients[camera].asked();
    call.pump.submit(vec![Command::SetLayer { route: 1, layer: Some("h".into()), highest: Highest::ALL }]);
    call.until("a question", |call| call.clients[camera].asked() > before);
    call.clients[camera].publish(0x2000, "h", true);
    call.until("the high one", |call| call.events.contains(&switched("h")));
}

#[test]
fn the_fall_of_one_worker_costs_its_peers_only() {
    let mut call = Call::new();
    let (camera, near, far) = (call.join("camera", 0), call.join("near", 0), call.join("far", 1));
    let other = call.join("other", 1);
    for (place, route, sink) in [(camera, 1, near), (camera, 2, far), (other, 3, far), (other, 4, near)] {
        call.expect(place, &[]);
        call.route(route, place, sink, "");
    }
    call.watch(camera, 50, &[near, far]);
    call.pump.submit(vec![Command::Keyframe { track: "track of camera".into(), layer: "".into() }]);
    let lost = |peer: &str| Event::Lost { peer: peer.into(), loss: Loss::Ice };
    call.until("both are told", |call| call.events.contains(&lost("camera")) && call.events.contains(&lost("near")));
    // The other worker's conference goes on, and so does what is still there of this one.
    call.clients[far].packets.clear();
    call.watch(other, 100, &[far]);
    assert_eq!(call.events.iter().filter(|event| matches!(event, Event::Lost { .. })).count(), 2);
    assert_eq!(call.figures().panics, 1);
    // They come back, under their own names too.
    call.events.clear();
    let camera = call.join("camera", 0);
    call.expect(camera, &[]);
    call.route(5, camera, far, "");
    call.clients[far].packets.clear();
    call.watch(camera, 50, &[far]);
}

#[test]
fn garbage_is_dropped_where_it_lands_and_never_answered() {
    let mut call = Call::new();
    let (camera, far) = (call.join("camera", 0), call.join("far", 1));
    call.expect(camera, &[]);
    call.route(1, camera, far, "");
    let to = call.clients[camera].to;
    let strangers = [call.socket(0, to), call.socket(1, to)];
    // A check of a live name with a wrong password, and everything else that has a first byte.
    for (number, stranger) in strangers.iter().cycle().take(2000).enumerate() {
        let mut datagram = vec![number as u8; 1 + number % 90];
        if number % 5 == 0 {
            datagram = rtcp(1, 206, &[0; 8]);
        }
        stranger.send_to(&datagram, to).expect("sent");
    }
    call.watch(camera, 50, &[far]);
    for stranger in strangers {
        assert!(stranger.recv_from(&mut [0; 100]).is_err(), "an answer");
    }
    assert_eq!(call.figures().handed_over, 0);
}
