//! The engine without clock and socket: datagrams and commands in; datagrams, events and a deadline out.
//!
//! It tells datagrams apart (RFC 7983), finds their peer, and joins `transport` (one peer's
//! security) with `media` (what is forwarded to whom). An address is a peer's only once an
//! authenticated check came from it; nothing else is believed or answered.

mod leaving;
mod say;
mod sharing;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::command::{Command, Credentials, Drop, Event, Loss, Name, Open, Role, Tally};
use crate::media::{Media, PeerKey};
use crate::outbox::Outbox;
use crate::transport::{Chance, Identity, Transport, TransportEvent, stun};
use crate::wires::{Lane, Peer, Wires};
pub use sharing::Moved;

/// Between two looks at what is missing; all other timers are multiples.
pub const TICK: Duration = Duration::from_millis(20);
/// Addresses of one peer, the newest: a restart or a new network adds some, and old ones are of no use.
const MOST_ADDRESSES: usize = 64;

/// See the file's head.
pub struct Engine {
    identity: Arc<Identity>,
    chance: Box<dyn FnMut() -> Box<dyn Chance + Send> + Send>,
    /// Where clients reach us, told with each `Open`.
    candidates: Vec<SocketAddr>,
    wires: Wires,
    media: Media,
    keys: HashMap<Name, PeerKey>,
    ufrags: HashMap<String, PeerKey>,
    addresses: HashMap<SocketAddr, PeerKey>,
    /// Changes of `addresses` that other workers must know.
    moved: Vec<Moved>,
    events: Vec<Event>,
    tally: Tally,
    next_tick: Instant,
    /// When each peer's transport has something to do, by key: side by side, for they are looked at each tick.
    due: Vec<Option<Instant>>,
}

impl Engine {
    /// `candidates`: our addresses as clients reach them. `chance`: makes a source of chance for each peer.
    #[must_use]
    pub fn new(
        now: Instant,
        identity: Arc<Identity>,
        candidates: Vec<SocketAddr>,
        chance: Box<dyn FnMut() -> Box<dyn Chance + Send> + Send>,
    ) -> Self {
        Self {
            identity,
            chance,
            candidates,
            wires: Wires { peers: Vec::new(), outbox: Outbox::default(), parcels: Vec::new() },
            media: Media::new(now),
            keys: HashMap::new(),
            ufrags: HashMap::new(),
            addresses: HashMap::new(),
            moved: Vec::new(),
            events: Vec::new(),
            tally: Tally::default(),
            next_tick: now,
            due: Vec::new(),
        }
    }

    /// Totals since start; what waits in `outbox` is in them once that was asked for.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// When to call `tick` next; None while there is nobody.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let tick = (!self.keys.is_empty()).then_some(self.next_tick)?;
        Some(self.media.pace_deadline().map_or(tick, |pace| tick.min(pace)))
    }

    /// The datagram path. `datagram` is decrypted in place.
    pub fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        if !self.offer(now, from, datagram) {
            self.turn_away(now, from, datagram);
        }
    }

    /// As `receive`, for one of several workers: false when nobody here is known to have sent it. Then nothing has
    /// happened, and it is another worker's or for `turn_away`.
    pub fn offer(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> bool {
        let known = match datagram.first() {
            // Answers to checks of our own name nobody: they come from where we dialled.
            Some(0..=3) => match stun::local_ufrag(datagram) {
                Some(ufrag) => self.ufrags.get(ufrag).filter(|key| self.is_settled(**key)),
                None => self.addresses.get(&from),
            },
            Some(20..=63 | 128..=191) => self.addresses.get(&from),
            _ => None,
        };
        let Some(&key) = known else { return false };
        self.take(now, key, from, datagram);
        true
    }

    /// A datagram of somebody whom nobody knows.
    pub fn turn_away(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        let why = match datagram.first() {
            Some(0..=3) => match self.addresses.get(&from) {
                // Under a name that is not a peer's, from an address that is.
                Some(&key) => return self.take(now, key, from, datagram),
                None => stun::Message::read(datagram).map_or(Drop::Malformed, |_| Drop::Authentication),
            },
            Some(20..=63 | 128..=191) => Drop::Authentication,
            _ => Drop::NotDemuxed,
        };
        self.tally.drop(why);
    }

    fn is_settled(&self, key: PeerKey) -> bool {
        matches!(self.wires.peers.get(key as usize), Some(Some(peer)) if peer.settled)
    }

    /// A datagram that should be this peer's.
    fn take(&mut self, now: Instant, key: PeerKey, from: SocketAddr, datagram: &mut [u8]) {
        let result = match datagram.first() {
            Some(0..=3) => self.check(now, key, from, datagram),
            Some(20..=63) => self.record(now, key, from, datagram),
            _ => self.packet(now, key, from, datagram),
        };
        if let Err(why) = result {
            self.tally.drop(why);
        }
    }

    fn check(&mut self, now: Instant, key: PeerKey, from: SocketAddr, datagram: &[u8]) -> Result<(), Drop> {
        let Wires { peers, outbox, .. } = &mut self.wires;
        let peer = peers.get_mut(key as usize).and_then(Option::as_mut).ok_or(Drop::NotDemuxed)?;
        let result = peer.transport.stun(now, from, datagram, &mut Lane { outbox, peer: key });
        if result.is_ok() {
            self.learn(from, key);
        }
        self.report(now, key);
        result
    }

    /// From now on, what is no check and comes from there is this peer's.
    fn learn(&mut self, from: SocketAddr, key: PeerKey) {
        let other = self.take_address(from, key);
        if other == Some(key) {
            return;
        }
        if let Some(before) = other.and_then(|other| self.wires.peer(other)) {
            before.addresses.retain(|address| *address != from);
        }
        let Some(peer) = self.wires.peer(key) else { return };
        peer.addresses.push(from);
        if peer.addresses.len() > MOST_ADDRESSES {
            let oldest = peer.addresses.remove(0);
            self.give_up_address(oldest, key);
        }
    }

    fn record(&mut self, now: Instant, key: PeerKey, from: SocketAddr, datagram: &[u8]) -> Result<(), Drop> {
        let Wires { peers, outbox, .. } = &mut self.wires;
        let peer = peers.get_mut(key as usize).and_then(Option::as_mut).ok_or(Drop::NotDemuxed)?;
        let result = peer.transport.dtls(now, from, datagram, &mut Lane { outbox, peer: key });
        self.report(now, key);
        result
    }

    fn packet(&mut self, now: Instant, key: PeerKey, from: SocketAddr, datagram: &mut [u8]) -> Result<(), Drop> {
        // RFC 5761 §4: RTCP packet types lie where payload types 64 to 95 would.
        let control = matches!(datagram.get(1), Some(192..=223));
        if control {
            // What a report speaks of lies in memory while it is being opened.
            self.wires.fetch_opening(key);
            self.media.fetch_link(key);
        }
        let peer = self.wires.peer(key).filter(|peer| peer.transport.is_valid(from)).ok_or(Drop::Authentication)?;
        self.tally.packets_in += 1;
        self.tally.bytes_in += datagram.len() as u64;
        if control {
            let length = peer.transport.open_rtcp(datagram)?;
            let plain = datagram.get(..length).ok_or(Drop::MalformedRtcp)?;
            self.forward_all();
            self.media.rtcp(now, key, plain, &mut self.wires, &mut self.tally);
        } else {
            let length = peer.transport.open_rtp(datagram)?;
            let plain = datagram.get(..length).ok_or(Drop::Malformed)?;
            self.media.take(now, key, plain, &mut self.wires, &mut self.tally);
        }
        Ok(())
    }

    /// Carry out a command; one that names what is gone is counted.
    pub fn submit(&mut self, now: Instant, command: Command) {
        if !self.obey(now, command) {
            self.tally.drop(Drop::UnknownPeer);
        }
    }

    fn obey(&mut self, now: Instant, command: Command) -> bool {
        self.forward_all();
        match command {
            Command::Open(open) => self.open(now, open),
            Command::Restart { peer, local, remote, candidates } => {
                self.restart(now, &peer, local, remote, &candidates)
            }
            Command::Close { peer } => self.close(now, &peer),
            Command::Expect(expect) => {
                let Some(key) = self.keys.get(&expect.peer) else { return false };
                self.media.expect(*key, expect);
                true
            }
            Command::Forget { track } => self.media.forget(&track),
            Command::Route(route) => {
                let Some(key) = self.keys.get(&route.peer) else { return false };
                self.media.route(*key, route)
            }
            Command::Unroute { route } => self.media.unroute(route),
            Command::SetLayer { route, layer, highest } => {
                self.media.set_layer(now, route, layer, highest, &mut self.wires, &mut self.tally)
            }
            Command::Keyframe { track, layer } => self.media.keyframe(&track, &layer),
            Command::Need { peer, bps } => self.keys.get(&peer).is_some_and(|key| self.media.need(*key, bps)),
            Command::Send { peer, text, urgent } => self.say(now, &peer, &text, urgent),
        }
    }

    fn open(&mut self, now: Instant, open: Open) -> bool {
        if self.keys.contains_key(&open.peer) {
            return true;
        }
        let transport = match Transport::new(now, &open, &self.identity, (self.chance)()) {
            Ok(transport) => transport,
            Err(_) => {
                self.events.push(Event::Lost { peer: open.peer, loss: Loss::Dtls });
                return true;
            }
        };
        let free = self.wires.peers.iter().position(Option::is_none);
        let place = free.unwrap_or_else(|| {
            self.wires.peers.push(None);
            self.wires.peers.len() - 1
        });
        let Ok(key) = PeerKey::try_from(place) else { return false };
        if self.keys.is_empty() {
            self.next_tick = now + TICK;
        }
        self.keys.insert(open.peer.clone(), key);
        self.ufrags.insert(open.local.ufrag.clone(), key);
        if open.role == Role::Caller {
            for address in &open.candidates {
                self.take_address(*address, key);
            }
        }
        self.media.open(key, open.peer.clone());
        self.wires.peers[place] = Some(Peer {
            name: open.peer.clone(),
            transport,
            connected: false,
            // Whom we dial has no first check to wait for.
            settled: self.is_alone() || open.role == Role::Caller,
            ufrags: vec![open.local.ufrag],
            addresses: if open.role == Role::Caller { open.candidates } else { Vec::new() },
        });
        self.report(now, key);
        // One that cannot be proven who it is was lost at once, and has no use for addresses.
        if self.keys.contains_key(&open.peer) {
            self.events.push(Event::Reachable { peer: open.peer, candidates: self.candidates.clone() });
        }
        true
    }

    fn restart(
        &mut self,
        now: Instant,
        name: &Name,
        local: Credentials,
        remote: Credentials,
        candidates: &[SocketAddr],
    ) -> bool {
        let Some(key) = self.keys.get(name).copied() else { return false };
        let Some(peer) = self.wires.peer(key) else { return false };
        if !peer.ufrags.contains(&local.ufrag) {
            peer.ufrags.push(local.ufrag.clone());
            self.ufrags.insert(local.ufrag.clone(), key);
        }
        let Some(peer) = self.wires.peer(key) else { return false };
        peer.transport.restart(now, local, remote, candidates);
        self.plan(key);
        let Some(peer) = self.wires.peer(key) else { return false };
        for address in candidates {
            peer.addresses.push(*address);
        }
        for address in candidates {
            self.take_address(*address, key);
        }
        self.events.push(Event::Reachable { peer: name.clone(), candidates: self.candidates.clone() });
        true
    }

    fn close(&mut self, now: Instant, name: &Name) -> bool {
        let Some(key) = self.keys.remove(name) else { return false };
        self.forward_all();
        self.media.close(key);
        let Wires { peers, outbox, .. } = &mut self.wires;
        let Some(mut peer) = peers.get_mut(key as usize).and_then(Option::take) else { return false };
        peer.transport.close(now, &mut Lane { outbox, peer: key });
        self.plan(key);
        for ufrag in &peer.ufrags {
            if self.ufrags.get(ufrag) == Some(&key) {
                self.ufrags.remove(ufrag);
            }
        }
        for address in &peer.addresses {
            self.give_up_address(*address, key);
        }
        true
    }

    /// Pass on what a peer's transport has to say.
    fn report(&mut self, now: Instant, key: PeerKey) {
        self.plan(key);
        while let Some(peer) = self.wires.peer(key) {
            let Some(event) = peer.transport.event() else { return };
            let name = peer.name.clone();
            match event {
                TransportEvent::Connected => {
                    peer.connected = true;
                    self.events.push(Event::Connected { peer: name });
                }
                TransportEvent::Opened => self.events.push(Event::Opened { peer: name }),
                TransportEvent::Message(text) => self.events.push(Event::Message { peer: name, text }),
                TransportEvent::Lost(loss) => {
                    self.close(now, &name);
                    self.events.push(Event::Lost { peer: name, loss });
                }
            }
        }
    }

    /// Note when a peer's transport has something to do; it may be another time after each use.
    fn plan(&mut self, key: PeerKey) {
        let place = key as usize;
        let due = self.wires.peer(key).and_then(|peer| peer.transport.deadline());
        if self.due.len() <= place {
            self.due.resize(place + 1, None);
        }
        if let Some(slot) = self.due.get_mut(place) {
            *slot = due;
        }
    }

    /// Look at what is due. Call it at `deadline`, or later.
    pub fn tick(&mut self, now: Instant) {
        self.media.pace(now, &mut self.wires, &mut self.tally);
        if now < self.next_tick {
            return;
        }
        // A stall is not made good by a burst of ticks.
        self.next_tick = (self.next_tick + TICK).max(now + TICK / 2);
        self.forward_all();
        for place in 0..self.due.len() {
            if self.due.get(place).copied().flatten().is_none_or(|due| now < due) {
                continue;
            }
            let Ok(key) = PeerKey::try_from(place) else { break };
            let Wires { peers, outbox, .. } = &mut self.wires;
            let Some(Some(peer)) = peers.get_mut(place) else { continue };
            peer.transport.timeout(now, &mut Lane { outbox, peer: key });
            self.report(now, key);
        }
        self.media.tick(now, &mut self.wires, &mut self.tally);
    }
}
