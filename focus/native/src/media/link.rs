//! What a peer's link carries: its estimator, fed with what left and what the peer told of it, and the probes that ask
//! for more.
//!
//! Here an estimate becomes a level for the control plane. A probe is sent on the RTX SSRC of a route: packets that the
//! peer has already, which it may use where one was lost, or bare padding on a thin path. It leaves at its rate,
//! packet by packet, whenever [`Media::pace`] is called in time.

use std::time::{Duration, Instant};

use super::pacer::{Pacer, Waiting};
use super::rtcp;
use super::rtp::UDP;
use super::run::leave;
use super::table::RouteKey;
use super::twcc::Departures;
use super::{Level, Media, PeerKey, Seconds, Sinks};
use crate::command::{Drop, Tally};
use crate::estimate::Estimator;
use crate::estimate::probes::{Cluster, LEAST_PACKETS};
use crate::pump::ahead::fetch;

/// An estimate is told again when it fell by that part, or rose by that.
const FELL: f64 = 0.03;
const ROSE: f64 = 0.06;
/// Ticks between two looks at a link: 100 ms. At one that carries all that could be used, there is little to see: 400 ms.
const LOOK: u64 = 5;
const SELDOM: u64 = 4 * LOOK;
/// Packets of a probe from this size on are old media.
const MEDIA: u32 = 400;
/// What an RTX packet without payload carries at most beside its padding, about.
const HEAD: u32 = 40;
/// Of what the link carries, what pictures may leave at. More would wait on the way, where it makes voices late (libwebrtc, which
/// sends one picture and not ten, has 2.5).
const FACTOR: f64 = 1.2;
/// Packets of a probe that leave at once when we are late.
const AT_ONCE: u32 = 8;
/// A link that carries so many times what is sent has nothing wait.
const PLENTY: f64 = 2.0;
/// Seconds over which what is sent is smoothed.
const SMOOTH: Seconds = 0.5;
/// Of the estimate, what may be sent again: who misses more than that is sent too much.
const AGAIN: f64 = 0.25;
/// Seconds of it that may leave at once, and bytes that always may: the packets of a small frame.
const SAVED: Seconds = 0.5;
const LEAST_AGAIN: f64 = 4000.0;

/// The estimate of one peer's link. Made by the first feedback.
#[derive(Debug)]
pub struct Link {
    estimator: Estimator,
    /// What the control plane knows.
    told: f64,
    need: f64,
    probe: Option<Probe>,
    /// Bytes that may be sent again now, below zero where one more was; as of when.
    again: f64,
    at: Seconds,
    pacer: Pacer,
    /// Bytes that left since the last look, when that was, and bits a second over the last half second or so.
    bytes: usize,
    looked: Seconds,
    sent: f64,
    /// Pictures are to leave one after the other.
    narrow: bool,
}

/// A probe that is leaving.
#[derive(Clone, Copy, Debug)]
struct Probe {
    cluster: Cluster,
    /// Its first transport-wide number, extended.
    first: i64,
    /// All that leaves is part of it, as pictures are paced: else it adds its packets to them. Bytes that left before it.
    whole: bool,
    before: u64,
    packets: u32,
    bytes: u32,
    began: Seconds,
    /// When its next packet is due.
    next: Seconds,
}

impl Probe {
    fn over(&self) -> bool {
        self.bytes >= self.cluster.bytes && self.packets >= LEAST_PACKETS
    }

    /// A packet of its own left, with so many bytes; or others may have.
    fn left(&mut self, own: Option<usize>, departures: &Departures) {
        if self.whole {
            self.packets = (departures.number() - self.first) as u32;
            self.bytes = (departures.bytes() - self.before) as u32;
        } else if let Some(bytes) = own {
            (self.packets, self.bytes) = (self.packets + 1, self.bytes + (bytes + UDP) as u32);
        }
        self.next = self.began + f64::from(self.bytes) * 8.0 / self.cluster.bps;
    }
}

impl Link {
    fn new(now: Seconds, need: f64) -> Self {
        let mut estimator = Estimator::default();
        estimator.want(need);
        Self {
            estimator,
            told: 0.0,
            need,
            probe: None,
            again: LEAST_AGAIN,
            at: 0.0,
            pacer: Pacer::default(),
            bytes: 0,
            looked: now,
            sent: 0.0,
            narrow: false,
        }
    }

    /// Whether pictures are to wait for their turn.
    pub fn holds(&self) -> bool {
        self.narrow || !self.pacer.is_empty()
    }

    /// Bits a second at which pictures may leave: with a probe at the rate that it asks for; behind a queue no faster than the
    /// link carries, or what is said while it gets narrow would find no room.
    fn pace(&self) -> f64 {
        let carried = self.estimator.bps();
        match &self.probe {
            _ if self.estimator.queued() => carried,
            Some(probe) if probe.whole => probe.cluster.bps,
            _ => FACTOR * carried,
        }
    }

    /// It is asked soon whether it holds. A hint only.
    pub fn fetch(&self) {
        fetch(&self.narrow);
        fetch(&self.pacer);
    }

    /// Feedback comes. A hint only.
    fn fetch_estimator(&self) {
        fetch(&self.told);
        fetch(&self.probe);
        self.estimator.fetch();
    }

    /// Let a picture's packet wait. Returns whether another was pushed out for it.
    pub fn wait(&mut self, waiting: Waiting, base: bool) -> bool {
        self.pacer.push(waiting, base)
    }

    /// The next of the pictures' packets that may leave now.
    pub fn pop(&mut self, now: Seconds) -> Option<Waiting> {
        let pace = self.pace();
        self.pacer.pop(now, pace)
    }

    /// Whether pictures wait.
    pub fn waits(&self) -> bool {
        !self.pacer.is_empty()
    }

    /// So many bytes left.
    fn left(&mut self, now: Seconds, bytes: usize) {
        self.bytes += bytes;
        self.estimator.left(now, bytes);
    }

    fn look(&mut self, now: Seconds) {
        let bits = std::mem::take(&mut self.bytes) as f64 * 8.0;
        let passed = (now - std::mem::replace(&mut self.looked, now)).max(1e-3);
        self.sent += (1.0 - (-passed / SMOOTH).exp()) * (bits / passed - self.sent);
        let bps = self.estimator.bps();
        // Where all that could be used fits, nothing has to wait.
        self.narrow = bps < self.need && bps < PLENTY * self.sent;
    }

    /// As of which feedback it carries all that could be used; None where it does not. Only as long as the peer is not silent.
    fn rests(&self) -> Option<Seconds> {
        let meets = self.estimator.bps() >= self.need && !self.narrow && self.probe.is_none();
        self.estimator.heard().filter(|_| meets)
    }

    /// No more of the probe that is leaving.
    fn give_up(&mut self) {
        self.probe = None;
        self.estimator.gave_up();
    }

    /// Whether the peer may have something again.
    pub fn may_repeat(&mut self, now: Seconds) -> bool {
        let bytes = AGAIN * self.estimator.bps() / 8.0;
        let passed = (now - self.at).max(0.0);
        self.at = now;
        self.again = (self.again + bytes * passed).min(LEAST_AGAIN.max(bytes * SAVED));
        // What was lost for a queue would only make it longer; who misses it will ask again.
        self.again > 0.0 && !self.estimator.drains()
    }

    /// So many bytes were sent again.
    pub fn repeated(&mut self, bytes: usize) {
        self.again -= bytes as f64;
        self.pacer.passed(bytes);
    }

    /// Whether the control plane should know: the first estimate, each that moved below what is needed, and one that meets
    /// it no more.
    fn news(&mut self) -> bool {
        let bps = self.estimator.bps();
        let (met, meets) = (self.told >= self.need, bps >= self.need);
        let moved = bps < (1.0 - FELL) * self.told || bps > (1.0 + ROSE) * self.told;
        let news = self.told == 0.0 || met != meets || !meets && moved;
        if news {
            self.told = bps;
        }
        news
    }
}

impl Media {
    /// What a peer's routes could use if its link carried it, in bits a second. False for a peer that is gone.
    pub fn need(&mut self, from: PeerKey, bps: u64) -> bool {
        let Some(peer) = self.peers.get_mut(from) else { return false };
        peer.need = bps as f64;
        if let Some(link) = &mut peer.link {
            link.need = peer.need;
            link.estimator.want(peer.need);
        }
        self.note_rest(from);
        true
    }

    /// Note whether a peer's link rests: whatever it follows from changed.
    pub(super) fn note_rest(&mut self, peer: PeerKey) {
        let rests = self.peers.get(peer).and_then(|peer| peer.link.as_ref()?.rests());
        self.resting.note(peer, rests);
    }

    /// The peer's own estimate (REMB) of the streams that it names, or of all. It counts where it tells nothing of single
    /// packets, and is of every picture that is sent: some tell of each stream apart, which says nothing of the link.
    pub(super) fn said(&mut self, from: PeerKey, bps: u64, named: &[u8]) {
        let Self { peers, routes, .. } = self;
        let Some(peer) = peers.get_mut(from).filter(|peer| peer.link.is_none()) else { return };
        let pictures = peer.sinks.iter().filter_map(|sink| routes.get(sink.1));
        let pictures = pictures.filter(|route| route.layer.is_some() && route.route.rtx_ssrc.is_some());
        let mut told = pictures.map(|route| rtcp::words(named).any(|ssrc| ssrc == route.route.ssrc)).peekable();
        if !named.is_empty() && (told.peek().is_none() || told.any(|told| !told)) {
            return;
        }
        peer.estimate = bps;
        Self::tell(&mut self.levels, Level::Estimate(from));
    }

    /// A report of this peer's comes, mostly feedback. A hint only.
    pub fn fetch_link(&self, peer: PeerKey) {
        if let Some(peer) = self.peers.get(peer) {
            peer.departures.fetch_told();
            peer.link.iter().for_each(|link| link.fetch_estimator());
        }
    }

    /// Transport-wide feedback came.
    pub(super) fn fed_back(&mut self, from: PeerKey, body: &[u8], now: Seconds, tally: &mut Tally) {
        let Self { peers, told, .. } = self;
        let Some(peer) = peers.get_mut(from) else { return };
        if !peer.departures.heard(body, told) {
            return tally.drop(Drop::MalformedRtcp);
        }
        if told.is_empty() {
            return;
        }
        let need = peer.need;
        let link = peer.link.get_or_insert_with(|| Box::new(Link::new(now, need)));
        link.left(now, peer.departures.unlooked());
        link.estimator.told(now, told);
        if link.news() {
            peer.estimate = link.told as u64;
            Self::tell(&mut self.levels, Level::Estimate(from));
        }
        self.note_rest(from);
    }

    /// Every tick: whether a peer went silent, and whether to ask for more. Peers take turns.
    pub(super) fn look_at_link(&mut self, key: PeerKey, now: Seconds) {
        if !(self.beat + u64::from(key)).is_multiple_of(LOOK) {
            return;
        }
        let seldom = !(self.beat + u64::from(key)).is_multiple_of(SELDOM);
        if seldom && self.resting.rests(key, now) {
            return;
        }
        let Some(peer) = self.peers.get_mut(key) else { return };
        let Some(link) = &mut peer.link else { return };
        let bytes = peer.departures.unlooked();
        link.left(now, bytes);
        link.estimator.tick(now);
        link.look(now);
        if link.news() {
            peer.estimate = link.told as u64;
            Self::tell(&mut self.levels, Level::Estimate(key));
        }
        let may_probe = link.probe.is_none() && !peer.sinks.is_empty();
        if let Some(cluster) = may_probe.then(|| link.estimator.probe(now)).flatten() {
            let first = peer.departures.number();
            link.estimator.probing(now, cluster.bps, first);
            let (whole, before) = (link.holds(), peer.departures.bytes());
            link.probe = Some(Probe { cluster, first, whole, before, packets: 0, bytes: 0, began: now, next: now });
            self.probing.push(key);
        }
        self.note_rest(key);
    }

    /// When to call [`Media::pace`], if there is anything to pace.
    #[must_use]
    pub fn pace_deadline(&self) -> Option<Instant> {
        let link = |key: &PeerKey| self.peers.get(*key)?.link.as_ref();
        let probes = self.probing.iter().filter_map(|key| Some(link(key)?.probe?.next));
        let pictures = self.pacing.iter().filter_map(|key| link(key)?.pacer.due());
        let next = probes.chain(pictures).min_by(f64::total_cmp)?;
        Some(self.epoch + Duration::from_secs_f64(next.max(0.0)))
    }

    /// Send what is due of the probes, and of the pictures that wait.
    pub fn pace<S: Sinks>(&mut self, now: Instant, sinks: &mut S, tally: &mut Tally) {
        if self.probing.is_empty() && self.pacing.is_empty() {
            return;
        }
        let now = self.seconds(now);
        let Self { pacing, peers, routes, tracks, .. } = self;
        pacing.retain(|key| peers.get_mut(*key).is_some_and(|peer| leave(peer, routes, tracks, now, sinks, tally)));
        let mut at = 0;
        while let Some(key) = self.probing.get(at).copied() {
            if self.probe(key, now, sinks, tally) {
                at += 1;
            } else {
                self.probing.swap_remove(at);
                self.note_rest(key);
            }
        }
    }

    /// Send what is due of a peer's probe. False when it is over.
    fn probe<S: Sinks>(&mut self, key: PeerKey, now: Seconds, sinks: &mut S, tally: &mut Tally) -> bool {
        let carrier = self.carrier(key);
        let Self { peers, routes, tracks, .. } = self;
        let Some(peer) = peers.get_mut(key) else { return false };
        let Some(link) = &mut peer.link else { return false };
        let Some(probe) = &mut link.probe else { return false };
        probe.left(None, &peer.departures);
        let route = carrier.and_then(|route| routes.get_mut(route)).filter(|_| sinks.connected(key));
        // A clock that stood still is no reason for a burst: what it would find is a queue.
        let late = now - probe.next;
        let Some(route) = route.filter(|_| late < 0.5) else {
            link.give_up();
            return false;
        };
        let Some(track) = tracks.get(route.track) else { return false };
        let mut burst = 0;
        while !probe.over() && probe.next <= now && burst < AT_ONCE {
            let wanted = probe.cluster.packet;
            let sent = (wanted >= MEDIA)
                .then(|| route.repeat(track, probe.packets as u16, now, &mut peer.departures, sinks))
                .flatten()
                .or_else(|| route.pad(wanted.saturating_sub(HEAD), now, &mut peer.departures, sinks));
            let Some(bytes) = sent else {
                link.give_up();
                return false;
            };
            tally.probes_out += 1;
            tally.packets_out += 1;
            tally.bytes_out += bytes as u64;
            burst += 1;
            probe.left(Some(bytes), &peer.departures);
        }
        if probe.over() {
            link.estimator.probed(now, probe.cluster.bps, probe.first..=peer.departures.number() - 1);
            link.probe = None;
            return false;
        }
        true
    }

    /// The route that carries a peer's probes: one that may send again, best of all one that sends now.
    fn carrier(&self, key: PeerKey) -> Option<RouteKey> {
        let routes = self.peers.get(key)?.sinks.iter().map(|sink| sink.1);
        let able = routes.filter_map(|key| self.routes.get(key).filter(|route| route.pads()).map(|route| (key, route)));
        able.max_by_key(|(_, route)| (route.layer.is_some(), route.packets)).map(|(key, _)| key)
    }
}
