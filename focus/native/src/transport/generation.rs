//! One set of ICE credentials, from a start or restart to the next: the peer's addresses and our checks to them.
//!
//! It knows what was sent where and what came back. Which address is used, and what a message
//! of the peer changes, is decided in `ice`.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;

use super::pace::Pace;
use super::stun::{self, Builder, Claim, Class, TransactionId};
use super::{Chance, Out};
use crate::command::{Credentials, Drop};

/// Remote addresses kept per generation (security N5).
pub(super) const MOST_REMOTE: usize = 30;
/// A candidate that no answer came from for so long makes room for another.
const FORGOTTEN: Duration = Duration::from_secs(30);
/// Seconds to find a path in (security D2).
pub(super) const BRING_UP: Duration = Duration::from_secs(30);
/// First retransmission of a check (RFC 8445 §14.3); doubled up to `SLOWEST`, for as long as `BRING_UP`.
const RETRANSMIT: Duration = Duration::from_millis(500);
const SLOWEST: Duration = Duration::from_secs(2);
/// Between first checks to two candidates (RFC 8445 §14.2).
const PACING: Duration = Duration::from_millis(50);
/// Bytes that may go to an address that has proved nothing, per byte from it (security N3).
const AMPLIFICATION: usize = 3;
/// PRIORITY of our checks: peer-reflexive, the only interface, component 1 (RFC 8445 §5.1.2.1).
const OUR_PRIORITY: u32 = 110 << 24 | 65_535 << 8 | 255;

/// Our role of the moment (RFC 8445 §7.3.1.1).
#[derive(Clone, Copy, Debug)]
pub(super) struct Stance {
    pub(super) controlling: bool,
    pub(super) tie: u64,
}

impl Stance {
    fn claim(self) -> Claim {
        if self.controlling { Claim::Controlling(self.tie) } else { Claim::Controlled(self.tie) }
    }
}

/// A check of ours that waits for its answer.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) id: TransactionId,
    pub(super) nominate: bool,
    pub(super) controlling: bool,
    tries: u32,
}

/// An address of the peer.
#[derive(Debug)]
pub(super) struct Remote {
    pub(super) at: SocketAddr,
    /// It was signalled to a caller; else it was learnt from a valid check.
    dialled: bool,
    /// When it last answered a check of ours; never, then no media and no handshake passes.
    pub(super) answered: Option<Instant>,
    /// The number of the nomination by which the peer, or our check, last wanted it used; 0 for never.
    pub(super) nominated: u64,
    pub(super) check: Option<Check>,
    /// When to send the check again, or the next one.
    pub(super) next: Option<Instant>,
    /// Bytes that may be sent before it has answered.
    credit: usize,
    heard: Instant,
    pace: Pace,
}

impl Remote {
    fn new(at: SocketAddr, dialled: bool, now: Instant) -> Self {
        Self {
            at,
            dialled,
            answered: None,
            nominated: 0,
            check: None,
            next: None,
            credit: 0,
            heard: now,
            // Checks answered per address: 50 a second, 100 at once.
            pace: Pace::new(Duration::from_millis(20), 100),
        }
    }

    /// Send, within what an address that has not answered may be sent.
    fn send(&mut self, datagram: &[u8], out: &mut dyn Out) -> bool {
        if self.answered.is_none() && !self.dialled {
            let Some(left) = self.credit.checked_sub(datagram.len()) else { return false };
            self.credit = left;
        }
        out.send(self.at, datagram);
        true
    }
}

/// The checks under one set of credentials.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) local: Credentials,
    pub(super) remote: Credentials,
    /// Large, and of use to checks only.
    keys: Box<Keys>,
    pub(super) remotes: Vec<Remote>,
    /// Where media goes.
    pub(super) selected: Option<SocketAddr>,
    /// Given up if nothing is selected by then.
    pub(super) until: Instant,
    arrivals: Pace,
    /// Role switches so far (security N6).
    pub(super) switches: u8,
}

/// What checks are signed with.
#[derive(Debug)]
struct Keys {
    local: hmac::Key,
    remote: hmac::Key,
}

impl Generation {
    /// `candidates` are dialled; an answerer passes none.
    pub(super) fn new(now: Instant, local: Credentials, remote: Credentials, candidates: &[SocketAddr]) -> Self {
        let mut remotes: Vec<Remote> = Vec::new();
        for at in candidates.iter().filter(|at| dialable(at)).take(MOST_REMOTE) {
            if remotes.iter().all(|known| known.at != *at) {
                let mut made = Remote::new(*at, true, now);
                made.next = now.checked_add(PACING.saturating_mul(remotes.len() as u32));
                remotes.push(made);
            }
        }
        Self {
            keys: Box::new(Keys { local: stun::key(&local.pwd), remote: stun::key(&remote.pwd) }),
            local,
            remote,
            remotes,
            selected: None,
            until: now + BRING_UP,
            // New addresses: 5 in 10 s (security N5), and as many interfaces as a laptop may have at once.
            arrivals: Pace::new(Duration::from_secs(2), 10),
            switches: 0,
        }
    }

    /// Whether a request with this USERNAME is for us and from our peer (RFC 8445 §7.3).
    pub(super) fn is_named(&self, username: &str) -> bool {
        username.split_once(':') == Some((&self.local.ufrag, &self.remote.ufrag))
    }

    pub(super) fn is_between(&self, local: &Credentials, remote: &Credentials) -> bool {
        self.local == *local && self.remote == *remote
    }

    /// Whether the peer wrote this request.
    pub(super) fn proves_request(&self, message: &stun::Message<'_>) -> bool {
        message.proves(&self.keys.local)
    }

    /// Whether the peer wrote this response.
    pub(super) fn proves_response(&self, message: &stun::Message<'_>) -> bool {
        message.proves(&self.keys.remote)
    }

    pub(super) fn at(&mut self, at: SocketAddr) -> Option<&mut Remote> {
        self.remotes.iter_mut().find(|remote| remote.at == at)
    }

    /// Whether media and handshakes from there may be the peer's.
    pub(super) fn is_valid(&self, at: SocketAddr) -> bool {
        self.remotes.iter().any(|remote| remote.at == at && remote.answered.is_some())
    }

    /// Take in an authenticated request of `size` bytes: know its address from now on.
    pub(super) fn hear(&mut self, now: Instant, from: SocketAddr, size: usize) -> Result<(), Drop> {
        if self.at(from).is_none() {
            if !self.arrivals.admit(now) {
                return Err(Drop::TooFast);
            }
            if self.remotes.len() >= MOST_REMOTE {
                let selected = self.selected;
                let idle = |r: &Remote| Some(r.at) != selected && now.duration_since(r.heard) >= FORGOTTEN;
                let oldest = self.remotes.iter().position(idle).ok_or(Drop::Authentication)?;
                self.remotes.swap_remove(oldest);
            }
            self.remotes.push(Remote::new(from, false, now));
        }
        let remote = self.at(from).ok_or(Drop::Authentication)?;
        if !remote.pace.admit(now) {
            return Err(Drop::TooFast);
        }
        remote.heard = now;
        // Of the newest check only, so that nothing can be saved up for a victim.
        remote.credit = size.saturating_mul(AMPLIFICATION);
        Ok(())
    }

    /// Answer a request.
    pub(super) fn respond(&mut self, id: &TransactionId, to: SocketAddr, conflict: bool, out: &mut dyn Out) {
        let made = if conflict {
            Builder::new(Class::Error, id).role_conflict()
        } else {
            Builder::new(Class::Success, id).mapped(to)
        };
        let datagram = made.sign(&self.keys.local);
        if let Some(remote) = self.at(to) {
            remote.send(&datagram, out);
        }
    }

    /// Send a check, or the one that waits for its answer again, and plan the next time.
    pub(super) fn check(
        &mut self,
        now: Instant,
        to: SocketAddr,
        nominate: bool,
        stance: Stance,
        chance: &mut dyn Chance,
        out: &mut dyn Out,
    ) {
        let username = format!("{}:{}", self.remote.ufrag, self.local.ufrag);
        let selected = self.selected == Some(to);
        let Some(remote) = self.remotes.iter_mut().find(|remote| remote.at == to) else { return };
        // Other words need another transaction (RFC 8489 §6.2.1).
        if remote.check.as_ref().is_none_or(|c| c.nominate != nominate || c.controlling != stance.controlling) {
            let mut id = [0; 12];
            chance.fill(&mut id);
            remote.check = Some(Check { id, nominate, controlling: stance.controlling, tries: 0 });
        }
        let Some(check) = remote.check.as_mut() else { return };
        let wait = RETRANSMIT.saturating_mul(1 << check.tries.min(2)).min(SLOWEST);
        check.tries = check.tries.saturating_add(1);
        let datagram = Builder::new(Class::Request, &check.id)
            .check(&username, OUR_PRIORITY, stance.claim(), nominate)
            .sign(&self.keys.remote);
        let sent = remote.send(&datagram, out);
        remote.next = if selected {
            // Consent is asked for until it ends, however lossy the path.
            now.checked_add(RETRANSMIT)
        } else if sent {
            now.checked_add(wait)
        } else {
            None
        };
    }

    /// The number of the nomination that is in use; 0 without one.
    pub(super) fn newest(&self) -> u64 {
        self.remotes.iter().find(|remote| Some(remote.at) == self.selected).map_or(0, |remote| remote.nominated)
    }

    /// Whether a check of ours is out that nominates.
    pub(super) fn nominates(&self) -> bool {
        self.remotes.iter().any(|remote| remote.check.as_ref().is_some_and(|check| check.nominate))
    }

    /// Send nothing more unasked.
    pub(super) fn rest(&mut self) {
        for remote in &mut self.remotes {
            (remote.next, remote.check) = (None, None);
        }
    }

    /// When something is to be sent again.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.remotes.iter().filter_map(|remote| remote.next).min()
    }

    /// An address to send to now.
    pub(super) fn due(&self, now: Instant) -> Option<SocketAddr> {
        self.remotes.iter().find(|remote| remote.next.is_some_and(|next| next <= now)).map(|remote| remote.at)
    }
}

/// Whether an address is one host's that can be sent to. Private ones are: a focus may live beside its peers.
fn dialable(at: &SocketAddr) -> bool {
    let ip = at.ip().to_canonical();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    at.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}
