//! The media table without transports: commands and decrypted packets in, decrypted packets and events out.
//!
//! What the differential test drives, beside the same table of the reference engine. It has no
//! part in a running engine: `engine` joins the same [`Media`] with real transports.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::command::{Command, Drop, Event, Name, Tally};
use crate::media::{Media, PeerKey, Sinks};

/// One packet that left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// To whom.
    pub peer: Name,
    /// It is RTCP.
    pub control: bool,
    /// As plaintext.
    pub bytes: Vec<u8>,
}

/// Keeps what is sent to the peers that are connected.
#[derive(Debug, Default)]
struct Recorder {
    peers: HashMap<PeerKey, (Name, bool)>,
    sent: Vec<Sent>,
}

impl Recorder {
    fn keep(&mut self, peer: PeerKey, control: bool, bytes: Vec<u8>) -> Option<usize> {
        let (name, connected) = self.peers.get(&peer)?;
        if !connected {
            return None;
        }
        let size = bytes.len();
        self.sent.push(Sent { peer: name.clone(), control, bytes });
        Some(size)
    }
}

impl Sinks for Recorder {
    fn connected(&self, peer: PeerKey) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.1)
    }

    fn rtp(
        &mut self,
        peer: PeerKey,
        index: u64,
        room: usize,
        write: &mut dyn FnMut(&mut [u8]) -> usize,
    ) -> Option<usize> {
        let mut bytes = vec![0; room];
        let length = write(&mut bytes);
        bytes.truncate(length);
        let number = bytes.get(2..4).and_then(|bytes| bytes.first_chunk()).copied();
        // A cipher numbers packets by `index`, the receiver by what it reads.
        assert_eq!(number.map(u16::from_be_bytes), Some(index as u16), "the index is another than the packet's number");
        self.keep(peer, false, bytes)
    }

    fn rtcp(&mut self, peer: PeerKey, compound: &[u8]) -> Option<usize> {
        self.keep(peer, true, compound.to_vec())
    }
}

/// See the file's head.
#[derive(Debug)]
pub struct Table {
    epoch: Instant,
    media: Media,
    keys: HashMap<Name, PeerKey>,
    sinks: Recorder,
    tally: Tally,
}

impl Table {
    /// An empty table; `epoch` is its zero of time.
    #[must_use]
    pub fn new(epoch: Instant) -> Self {
        Self {
            epoch,
            media: Media::new(epoch),
            keys: HashMap::new(),
            sinks: Recorder::default(),
            tally: Tally::default(),
        }
    }

    /// A time since the epoch.
    fn at(&self, now: Duration) -> Instant {
        self.epoch + now
    }

    /// Carry out a command; one that names what is gone is counted. False for one that needs a transport.
    pub fn submit(&mut self, now: Duration, command: Command) -> bool {
        let done = match command {
            Command::Restart { .. } | Command::Send { .. } => return false,
            Command::Need { peer, bps } => self.keys.get(&peer).is_some_and(|key| self.media.need(*key, bps)),
            Command::Open(open) => {
                if !self.keys.contains_key(&open.peer) {
                    // As the engine gives them out: a freed one is used again.
                    let free = (0..).find(|key| !self.sinks.peers.contains_key(key));
                    let Some(key) = free else { return false };
                    self.keys.insert(open.peer.clone(), key);
                    self.sinks.peers.insert(key, (open.peer.clone(), false));
                    self.media.open(key, open.peer);
                }
                true
            }
            Command::Close { peer } => match self.keys.remove(&peer) {
                Some(key) => {
                    self.media.close(key);
                    self.sinks.peers.remove(&key);
                    true
                }
                None => false,
            },
            Command::Expect(expect) => match self.keys.get(&expect.peer) {
                Some(key) => self.media.expect(*key, expect),
                None => false,
            },
            Command::Forget { track } => self.media.forget(&track),
            Command::Route(route) => match self.keys.get(&route.peer) {
                Some(key) => self.media.route(*key, route),
                None => false,
            },
            Command::Unroute { route } => self.media.unroute(route),
            Command::SetLayer { route, layer, highest } => {
                let now = self.at(now);
                self.media.set_layer(now, route, layer, highest, &mut self.sinks, &mut self.tally)
            }
            Command::Keyframe { track, layer } => self.media.keyframe(&track, &layer),
        };
        if !done {
            self.tally.drop(Drop::UnknownPeer);
        }
        true
    }

    /// From now on, what is sent to this peer arrives.
    pub fn connect(&mut self, peer: &Name) {
        if let Some(peer) = self.keys.get(peer).and_then(|key| self.sinks.peers.get_mut(key)) {
            peer.1 = true;
        }
    }

    /// A decrypted RTP packet of a peer. Of nobody, it is nothing.
    pub fn rtp(&mut self, now: Duration, peer: &Name, packet: &[u8]) {
        let now = self.at(now);
        if let Some(key) = self.keys.get(peer) {
            self.media.rtp(now, *key, packet, &mut self.sinks, &mut self.tally);
        }
    }

    /// A decrypted compound RTCP packet of a peer. Of nobody, it is nothing.
    pub fn rtcp(&mut self, now: Duration, peer: &Name, compound: &[u8]) {
        let now = self.at(now);
        if let Some(key) = self.keys.get(peer) {
            self.media.rtcp(now, *key, compound, &mut self.sinks, &mut self.tally);
        }
    }

    /// The only timer.
    pub fn tick(&mut self, now: Duration) {
        let now = self.at(now);
        self.media.tick(now, &mut self.sinks, &mut self.tally);
    }

    /// What was sent since the last call, in order.
    pub fn take(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sinks.sent)
    }

    /// All events since the last call: edges in order, then the newest of each level.
    pub fn drain(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        self.media.drain(&mut events);
        events
    }

    /// Totals since the beginning.
    #[must_use]
    pub fn tally(&self) -> &Tally {
        &self.tally
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::{Credentials, Open, Role};

    fn open(peer: &str) -> Command {
        let nobody = Credentials { ufrag: "u".into(), pwd: "p".into() };
        Command::Open(Open {
            peer: peer.into(),
            role: Role::Answerer,
            local: nobody.clone(),
            remote: nobody,
            fingerprints: vec![],
            sctp_port: None,
            max_message: 0,
            candidates: vec![],
        })
    }

    #[test]
    fn a_freed_place_is_given_to_the_next_peer() {
        let mut table = Table::new(Instant::now());
        let now = Duration::ZERO;
        for name in ["a", "b", "a"] {
            assert!(table.submit(now, open(name)));
        }
        assert!(table.submit(now, Command::Close { peer: "a".into() }));
        assert!(table.submit(now, open("c")));
        table.connect(&"c".into());
        assert_eq!(table.keys.get("c"), Some(&0));
        assert!(table.sinks.connected(0) && !table.sinks.connected(1));
        assert_eq!(table.tally().drops.iter().sum::<u64>(), 0);
    }

    #[test]
    fn a_command_about_what_is_not_there_is_counted() {
        let mut table = Table::new(Instant::now());
        assert!(table.submit(Duration::ZERO, Command::Close { peer: "a".into() }));
        assert!(table.submit(Duration::ZERO, Command::Unroute { route: 1 }));
        assert_eq!(table.tally().drops.get(Drop::UnknownPeer as usize), Some(&2));
        assert!(!table.submit(Duration::ZERO, Command::Send { peer: "a".into(), text: String::new(), urgent: false }));
    }
}
