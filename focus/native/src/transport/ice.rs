//! A peer's path: which of its addresses may be sent to, learnt from authenticated checks and nothing else.
//!
//! An answerer is controlled and lite towards clients: it dials nothing that a client merely
//! names, and asks an address only after an authenticated check came from there. A caller is
//! controlling and dials candidates. Either way an address is good once it has answered a
//! check of ours (security N1 to N3, N8), and stays in use for as long as it answers (RFC 7675).
//!
//! Differs from the reference engine: a check for consent that gets no answer is repeated each
//! half second instead of once, so that a path with a third of its packets lost is kept; and an
//! address silent for half a minute makes room for a new one when all places are taken.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::generation::{Generation, Stance};
use super::stun::{Claim, Class, Message};
use super::{Chance, Out};
use crate::command::{Credentials, Drop, Role};
use crate::pump::ahead::fetch;

/// Between consent checks, times 0.8 to 1.2 (RFC 7675 §5.1 allows less than its 5 s).
const CHECK_EVERY: Duration = Duration::from_millis(2_500);
/// Without an answered check for so long, we stop sending (security N4).
const CONSENT_LASTS: Duration = Duration::from_secs(12);
/// For so long after a restart, packets under way on the old path are still taken (security N7).
const LINGER: Duration = Duration::from_secs(15);
/// Role switches per generation (security N6).
const MOST_SWITCHES: u8 = 3;

/// The path of one peer across restarts.
pub(super) struct Ice {
    role: Role,
    stance: Stance,
    /// Has, or had, a path.
    current: Option<Generation>,
    /// Looks for one.
    coming: Option<Generation>,
    /// Good addresses of the generation before the current one.
    former: Vec<SocketAddr>,
    former_until: Instant,
    /// Consent for the current path is gone.
    expired: bool,
    lost: bool,
    /// Nominations of the peer so far; the newest one counts.
    nominations: u64,
    chance: Box<dyn Chance + Send>,
}

impl Ice {
    pub(super) fn new(
        now: Instant,
        role: Role,
        local: Credentials,
        remote: Credentials,
        candidates: &[SocketAddr],
        mut chance: Box<dyn Chance + Send>,
    ) -> Self {
        let mut tie = [0; 8];
        chance.fill(&mut tie);
        let mut made = Self {
            role,
            stance: Stance { controlling: role == Role::Caller, tie: u64::from_be_bytes(tie) },
            current: None,
            coming: None,
            former: Vec::new(),
            former_until: now,
            expired: false,
            lost: false,
            nominations: 0,
            chance,
        };
        made.restart(now, local, remote, candidates);
        made
    }

    /// Look for a path under new credentials; the old one carries until then (RFC 8445 §9).
    pub(super) fn restart(&mut self, now: Instant, local: Credentials, remote: Credentials, candidates: &[SocketAddr]) {
        let said = |known: &Option<Generation>| known.as_ref().is_some_and(|g| g.is_between(&local, &remote));
        if said(&self.current) || said(&self.coming) {
            return;
        }
        let dialled = if self.role == Role::Caller { candidates } else { &[] };
        self.coming = Some(Generation::new(now, local, remote, dialled));
    }

    /// Where to send, as long as there is consent.
    pub(super) fn path(&self) -> Option<SocketAddr> {
        if self.expired || self.lost {
            return None;
        }
        self.current.as_ref()?.selected
    }

    /// It is asked soon where the path is. A hint only.
    pub(super) fn fetch(&self) {
        fetch(&self.expired);
        self.current.iter().for_each(|current| fetch(&current.selected));
    }

    /// There is no path and none is looked for.
    pub(super) fn lost(&self) -> bool {
        self.lost
    }

    /// Whether a handshake or media from there may be the peer's.
    pub(super) fn is_valid(&self, from: SocketAddr) -> bool {
        [&self.current, &self.coming].into_iter().flatten().any(|g| g.is_valid(from)) || self.former.contains(&from)
    }

    /// Whether a valid check has come from there, answered or not.
    pub(super) fn is_known(&self, from: SocketAddr) -> bool {
        [&self.current, &self.coming].into_iter().flatten().any(|g| g.remotes.iter().any(|r| r.at == from))
    }

    /// Take in a datagram whose first byte says STUN.
    ///
    /// # Errors
    /// `Malformed`, `Authentication`, or `TooFast`; then nothing was answered and nothing has changed.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        datagram: &[u8],
        out: &mut dyn Out,
    ) -> Result<(), Drop> {
        let message = Message::read(datagram).ok_or(Drop::Malformed)?;
        match message.class {
            Class::Request => self.request(now, from, datagram.len(), &message, out),
            Class::Success | Class::Error => self.response(now, from, &message, out),
            // A keepalive (RFC 8445 §11); it proves nothing.
            Class::Indication => Ok(()),
        }
    }

    fn request(
        &mut self,
        now: Instant,
        from: SocketAddr,
        size: usize,
        message: &Message<'_>,
        out: &mut dyn Out,
    ) -> Result<(), Drop> {
        let username = message.username.ok_or(Drop::Authentication)?;
        let coming = self.coming.as_ref().is_some_and(|g| g.is_named(username));
        let generation = if coming { &mut self.coming } else { &mut self.current };
        let generation = generation.as_mut().filter(|g| g.is_named(username)).ok_or(Drop::Authentication)?;
        if !generation.proves_request(message) {
            return Err(Drop::Authentication);
        }
        if message.priority.is_none() {
            return Err(Drop::Malformed);
        }
        generation.hear(now, from, size)?;
        if let Some(wins) = conflict(self.stance, message.claim) {
            if wins || generation.switches >= MOST_SWITCHES {
                generation.respond(&message.id, from, true, out);
                return Ok(());
            }
            generation.switches += 1;
            self.stance.controlling = !self.stance.controlling;
        }
        let (stance, chance) = (self.stance, self.chance.as_mut());
        let (selected, nominates) = (generation.selected, generation.nominates());
        let wanted = !stance.controlling && message.use_candidate;
        let Some(remote) = generation.at(from) else { return Ok(()) };
        if wanted {
            self.nominations += 1;
            remote.nominated = self.nominations;
        }
        let nominate = stance.controlling && remote.answered.is_some() && selected.is_none() && !nominates;
        let stale = remote.answered.is_some_and(|at| now.duration_since(at) >= CONSENT_LASTS);
        if remote.answered.is_none() || nominate || wanted && stale && selected != Some(from) {
            // Ours goes first, so that its answer is here before a handshake that our answer sets off.
            let nominate = nominate || remote.check.as_ref().is_some_and(|check| check.nominate);
            generation.check(now, from, nominate, stance, chance, out);
        }
        generation.respond(&message.id, from, false, out);
        if wanted && !stale && generation.is_valid(from) {
            self.select(now, coming, from);
        }
        Ok(())
    }

    fn response(
        &mut self,
        now: Instant,
        from: SocketAddr,
        message: &Message<'_>,
        out: &mut dyn Out,
    ) -> Result<(), Drop> {
        let stance = self.stance;
        let asked = |g: &Generation| {
            g.remotes.iter().any(|r| r.at == from && r.check.as_ref().is_some_and(|check| check.id == message.id))
        };
        let coming = self.coming.as_ref().is_some_and(asked);
        let generation = if coming { &mut self.coming } else { &mut self.current };
        let generation = generation.as_mut().filter(|g| asked(g)).ok_or(Drop::Authentication)?;
        if !generation.proves_response(message) {
            return Err(Drop::Authentication);
        }
        let chance = self.chance.as_mut();
        let begun = generation.selected.is_some();
        let (newest, nominates) = (generation.newest(), generation.nominates());
        let (selected, next) = (generation.selected == Some(from), now.checked_add(jittered(CHECK_EVERY, chance)));
        let Some(remote) = generation.at(from) else { return Ok(()) };
        let Some(check) = remote.check.take() else { return Ok(()) };
        if message.class == Class::Error {
            if message.error != Some(487) {
                remote.check = Some(check);
                return Err(Drop::Malformed);
            }
            // The peer claims our role and its tie-breaker won (RFC 8445 §7.2.5.1).
            if generation.switches < MOST_SWITCHES && stance.controlling == check.controlling {
                generation.switches += 1;
                self.stance.controlling = !check.controlling;
                generation.check(now, from, false, self.stance, chance, out);
            }
            return Ok(());
        }
        remote.answered = Some(now);
        remote.next = if selected { next } else { None };
        let chosen = if stance.controlling { check.nominate } else { remote.nominated > newest };
        if chosen && !selected {
            self.select(now, coming, from);
        } else if stance.controlling && !begun && !nominates {
            // The first good one is taken: one hop is as good as another between servers.
            generation.check(now, from, true, stance, chance, out);
        }
        Ok(())
    }

    /// Use this address, and if it is of the coming generation, end the one before.
    fn select(&mut self, now: Instant, coming: bool, at: SocketAddr) {
        let next = now.checked_add(jittered(CHECK_EVERY, self.chance.as_mut()));
        if coming {
            let old = std::mem::replace(&mut self.current, self.coming.take());
            self.former =
                old.into_iter().flat_map(|g| g.remotes).filter(|r| r.answered.is_some()).map(|r| r.at).collect();
            self.former_until = now + LINGER;
            self.expired = false;
        }
        let controlling = self.stance.controlling;
        let Some(generation) = self.current.as_mut() else { return };
        if generation.selected == Some(at) {
            return;
        }
        generation.selected = Some(at);
        for remote in &mut generation.remotes {
            if remote.at == at {
                remote.next = next;
            } else if controlling {
                // What was dialled besides is let go.
                (remote.next, remote.check) = (None, None);
            }
        }
    }

    /// Send what is due and give up what has not come.
    pub(super) fn timeout(&mut self, now: Instant, out: &mut dyn Out) {
        if self.coming.as_ref().is_some_and(|coming| coming.until <= now) {
            self.coming = None;
        }
        if self.former_until <= now {
            self.former.clear();
        }
        if self.consent_until().is_some_and(|until| until <= now) {
            self.expired = true;
            if let Some(current) = self.current.as_mut() {
                current.rest();
            }
        }
        if self.coming.is_none() && (self.current.is_none() || self.expired) {
            self.lost = true;
            return;
        }
        let (stance, chance) = (self.stance, self.chance.as_mut());
        for generation in [&mut self.coming, &mut self.current].into_iter().flatten() {
            while let Some(to) = generation.due(now) {
                let nominate = generation
                    .at(to)
                    .and_then(|remote| remote.check.as_ref())
                    .is_some_and(|check| check.nominate && check.controlling == stance.controlling);
                generation.check(now, to, nominate, stance, chance, out);
                if let Some(remote) = generation.at(to) {
                    remote.next = remote.next.filter(|next| *next > now);
                }
            }
        }
    }

    /// When consent for the current path ends without another answer.
    fn consent_until(&self) -> Option<Instant> {
        let current = self.current.as_ref().filter(|_| !self.expired)?;
        let selected = current.selected?;
        current.remotes.iter().find(|r| r.at == selected)?.answered?.checked_add(CONSENT_LASTS)
    }

    /// When `timeout` has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if self.lost {
            return None;
        }
        let checks = [&self.current, &self.coming].into_iter().flatten().filter_map(Generation::deadline);
        let until = self.coming.as_ref().map(|coming| coming.until);
        let former = (!self.former.is_empty()).then_some(self.former_until);
        checks.chain(until).chain(former).chain(self.consent_until()).min()
    }
}

/// Whether both ends claim our role, and then whether our tie-breaker wins it (RFC 8445 §7.3.1.1).
fn conflict(stance: Stance, claim: Option<Claim>) -> Option<bool> {
    match (stance.controlling, claim?) {
        (true, Claim::Controlling(theirs)) => Some(stance.tie >= theirs),
        (false, Claim::Controlled(theirs)) => Some(stance.tie < theirs),
        _ => None,
    }
}

/// Times 0.8 to 1.2 (RFC 7675 §5.1).
fn jittered(time: Duration, chance: &mut dyn Chance) -> Duration {
    let mut byte = [0];
    chance.fill(&mut byte);
    time.mul_f64(0.8 + 0.4 * f64::from(byte[0]) / 255.0)
}

#[cfg(test)]
impl Ice {
    /// Addresses kept of the current generation.
    pub(super) fn known(&self) -> usize {
        self.current.as_ref().map_or(0, |current| current.remotes.len())
    }
}
