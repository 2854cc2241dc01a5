//! Synthetic clients: the engine's transport and packets in client role, as many as there are sockets.
//!
//! Like the engine, a crowd has no clock and no socket: `pump::crowd` gives it both. Each client
//! sends what it is told to, on a schedule of its own, answers what it receives as a browser
//! would, and keeps a book of every stream. It decides nothing about who calls whom.

#![forbid(unsafe_code)]

pub mod book;
pub mod check;
pub mod head;
pub mod histogram;
pub mod loops;
pub mod mark;
pub mod member;
pub mod order;
pub mod sender;
#[cfg(test)]
mod tests;
pub mod vp8;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::command::{Command, Event, Loss, Name, Open};
use crate::media::missing::MOST_MISSING;
use crate::media::{PeerKey, rtp};
use crate::outbox::Outbox;
use crate::transport::{Chance, Identity, Transport, TransportEvent};
use crate::wires::{Lane, Peer, Wires};
use member::{Member, Moment};

/// Each client is looked at this often.
const VISIT: Duration = Duration::from_millis(20);
/// In so many groups, one after another: so that a crowd does not speak with one voice.
const GROUPS: u32 = 20;

/// See the file's head.
pub struct Crowd {
    identity: Identity,
    chance: Box<dyn FnMut() -> Box<dyn Chance + Send> + Send>,
    wires: Wires,
    members: Vec<Option<Member>>,
    names: HashMap<Name, PeerKey>,
    events: Vec<Event>,
    /// One packet in so many is opened.
    opened: u64,
    /// What people show and say.
    pub loops: Arc<loops::Loops>,
    group: u32,
    next: Instant,
    scratch: Vec<u8>,
    asking: Vec<i64>,
}

impl Crowd {
    /// Nobody yet. `opened`: of a stream, one packet in so many is decrypted and checked; 1 is all.
    #[must_use]
    pub fn new(
        epoch: Instant,
        identity: Identity,
        opened: u64,
        chance: Box<dyn FnMut() -> Box<dyn Chance + Send> + Send>,
    ) -> Self {
        Self {
            identity,
            chance,
            wires: Wires { peers: Vec::new(), outbox: Outbox::default(), parcels: Vec::new() },
            members: Vec::new(),
            names: HashMap::new(),
            events: Vec::new(),
            opened,
            loops: Arc::default(),
            group: 0,
            next: epoch,
            scratch: Vec::with_capacity(rtp::LONGEST),
            asking: Vec::with_capacity(MOST_MISSING as usize),
        }
    }

    /// What waits to be sent, by client; `clear` it once it is.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.wires.outbox
    }

    /// Take all events so far.
    pub fn drain(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Whether there are any.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.events.is_empty()
    }

    /// Hash name and digest of the certificate that all share.
    #[must_use]
    pub fn fingerprint(&self) -> (&str, &str) {
        self.identity.fingerprint()
    }

    /// Dial. The client's place, or None when there is one of that name.
    pub fn open(&mut self, now: Instant, open: &Open) -> Option<PeerKey> {
        if self.names.contains_key(&open.peer) {
            return None;
        }
        let place = self.members.iter().position(Option::is_none).unwrap_or(self.members.len());
        let key = PeerKey::try_from(place).ok()?;
        let Ok(transport) = Transport::new(now, open, &self.identity, (self.chance)()) else {
            self.events.push(Event::Lost { peer: open.peer.clone(), loss: Loss::Dtls });
            return None;
        };
        if place == self.members.len() {
            self.members.push(None);
            self.wires.peers.push(None);
        }
        let (name, connected) = (open.peer.clone(), false);
        self.names.insert(name.clone(), key);
        self.members[place] = Some(Member::new(key, self.opened));
        self.wires.peers[place] =
            Some(Peer { name, transport, connected, settled: true, ufrags: Vec::new(), addresses: Vec::new() });
        self.look(now, key);
        Some(key)
    }

    /// Carry out a command of those that concern a client's transport: `Close`, `Restart`, `Send`. False when it does
    /// not, or names nobody.
    pub fn submit(&mut self, now: Instant, command: &Command) -> bool {
        let (Command::Close { peer: name } | Command::Restart { peer: name, .. } | Command::Send { peer: name, .. }) =
            command
        else {
            return false;
        };
        let Some(&key) = self.names.get(name) else { return false };
        let Wires { peers, outbox, .. } = &mut self.wires;
        let Some(Some(peer)) = peers.get_mut(key as usize) else { return false };
        let lane = &mut Lane { outbox, peer: key };
        match command {
            Command::Restart { local, remote, candidates, .. } => {
                peer.transport.restart(now, local.clone(), remote.clone(), candidates);
            }
            Command::Send { text, urgent, .. } => {
                // The far end's limit is its own affair: what it does not take is not said.
                let _ = peer.transport.send_text(now, text, *urgent, lane);
            }
            _ => {
                peer.transport.close(now, lane);
                self.names.remove(name);
            }
        }
        true
    }

    /// Free the place of a client that was closed, once its goodbye has left.
    pub fn vacate(&mut self, key: PeerKey) {
        if let (Some(member), Some(peer)) = (self.members.get_mut(key as usize), self.wires.peers.get_mut(key as usize))
        {
            (*member, *peer) = (None, None);
        }
    }

    /// A client by its name.
    pub fn member(&mut self, name: &str) -> Option<&mut Member> {
        let key = *self.names.get(name)?;
        self.members.get_mut(key as usize)?.as_mut()
    }

    /// The place of a client.
    #[must_use]
    pub fn place(&self, name: &str) -> Option<PeerKey> {
        self.names.get(name).copied()
    }

    /// Everybody, with their names.
    pub fn members(&self) -> impl Iterator<Item = (&Name, &Member)> {
        let named = |(name, key): (_, &PeerKey)| Some((name, self.members.get(*key as usize)?.as_ref()?));
        self.names.iter().filter_map(named)
    }

    /// Begin every book anew.
    pub fn begin(&mut self) {
        self.members.iter_mut().flatten().for_each(Member::begin);
    }

    /// A datagram came to a client's socket; it is decrypted in place. `stamp`: when the kernel got it, in nanoseconds
    /// since the Unix epoch.
    pub fn receive(&mut self, at: &Moment, key: PeerKey, from: SocketAddr, stamp: u64, datagram: &mut [u8]) {
        let first = datagram.first().copied();
        if let Some(128..=191) = first {
            let valid = self.wires.peer(key).is_some_and(|peer| peer.transport.is_valid(from));
            if let Some(Some(member)) = self.members.get_mut(key as usize) {
                member.receive(at, stamp, valid, datagram, &mut self.wires);
            }
            return;
        }
        let Wires { peers, outbox, .. } = &mut self.wires;
        let Some(Some(peer)) = peers.get_mut(key as usize) else { return };
        let lane = &mut Lane { outbox, peer: key };
        // What is dropped here is the far end's fault, and what comes of it is told as an event.
        let _ = match first {
            Some(0..=3) => peer.transport.stun(at.now, from, datagram, lane),
            Some(20..=63) => peer.transport.dtls(at.now, from, datagram, lane),
            _ => return,
        };
        self.report(key);
    }

    /// Send the frames that are due, and look after one group of clients after another.
    pub fn tick(&mut self, at: &Moment) {
        for member in self.members.iter_mut().flatten().filter(|member| !member.senders.is_empty()) {
            member.show(at, &mut self.wires);
        }
        for _ in 0..GROUPS {
            if at.now < self.next {
                return;
            }
            self.next += VISIT / GROUPS;
            self.group = (self.group + 1) % GROUPS;
            for place in (self.group as usize..self.members.len()).step_by(GROUPS as usize) {
                let Some(Some(member)) = self.members.get_mut(place) else { continue };
                member.visit(at, &mut self.wires, &mut self.scratch, &mut self.asking);
                self.look(at.now, place as PeerKey);
            }
        }
        // After a stall the rest is not made good.
        self.next = self.next.max(at.now);
    }

    /// When to `tick` next.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        let frames = self.members.iter().flatten().flat_map(|member| &member.senders).filter_map(sender::Sender::due);
        frames.min().map_or(self.next, |frame| frame.min(self.next))
    }

    /// Let a transport do what is due.
    fn look(&mut self, now: Instant, key: PeerKey) {
        let Wires { peers, outbox, .. } = &mut self.wires;
        let Some(Some(peer)) = peers.get_mut(key as usize) else { return };
        if peer.transport.deadline().is_some_and(|deadline| deadline <= now) {
            peer.transport.timeout(now, &mut Lane { outbox, peer: key });
        }
        self.report(key);
    }

    fn report(&mut self, key: PeerKey) {
        let Some(peer) = self.wires.peer(key) else { return };
        while let Some(event) = peer.transport.event() {
            let name = peer.name.clone();
            self.events.push(match event {
                TransportEvent::Connected => {
                    peer.connected = true;
                    Event::Connected { peer: name }
                }
                TransportEvent::Opened => Event::Opened { peer: name },
                TransportEvent::Message(text) => Event::Message { peer: name, text },
                TransportEvent::Lost(loss) => Event::Lost { peer: name, loss },
            });
        }
    }
}
