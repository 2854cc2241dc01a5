//! How much the path to one peer carries: from what it told of our packets (transport-wide feedback) to bits a second.
//!
//! One [`Estimator`] for each transport. Delay decides first (`groups`, `trend`, `aimd`), losses cap
//! it (`loss`), a long queue is drained (`queue`), probes let it leap (`probes`). It holds no clock and sends nothing: the sender asks
//! `probe` what to send, and tells what left. After libwebrtc's goog_cc, whose constants these are
//! where no other source is named, with an SFU's needs: it is told what could be used at all.

#![forbid(unsafe_code)]

pub mod aimd;
pub mod calm;
pub mod groups;
pub mod limited;
pub mod loss;
pub mod probes;
pub mod queue;
#[cfg(test)]
mod tests;
pub mod throughput;
pub mod trend;

use crate::media::Seconds;
use crate::media::twcc::Told;
use crate::pump::ahead::fetch;
use aimd::Aimd;
use calm::Calm;
use groups::Groups;
use limited::Limited;
use loss::Losses;
use probes::{Cluster, Ground, Probes, Taken};
use queue::Queue;
use throughput::Throughput;
use trend::{Trend, Usage};

/// Bits a second to begin with: what a thumbnail and a few voices need, on most links.
pub const START: f64 = 600_000.0;
/// Never less: a voice and its headers.
pub const LEAST: f64 = 30_000.0;
/// Never more.
pub const MOST: f64 = 100_000_000.0;
/// After that silence, what was known of the delay is of the past.
const SILENCE: Seconds = 2.0;
/// The throughput is taken over so long: to rise, and to fall.
const LOOK: Seconds = 1.0;
const SHORT_LOOK: Seconds = 0.25;
/// Where so little of what left comes through a deep queue, the path got narrow: by its newest packets. A thin one carries
/// no more than these in the time in which its queue fills.
const NARROW: f64 = 0.6;
const NEWEST: Seconds = 0.07;
const FEW: usize = 5;
/// Behind a queue so long nothing that can wait should be sent.
const QUEUED: Seconds = 0.1;
/// So long a queue is of a path that got narrow.
const LONG: Seconds = 0.12;
/// With so much standing in the queue there is no room left.
const STOOD: Seconds = 0.015;
/// Up to here nothing stands in it, as far as losses are concerned.
const STANDS: Seconds = 0.01;
/// Of what gets through a standing queue.
const CAREFUL: f64 = 0.97;
/// In terms of what could be used: more than that is of no use.
const ENOUGH: f64 = 1.2;
/// We send and hear nothing: then the estimate is halved each half second.
const DEAF: Seconds = 1.5;
const HALVED: Seconds = 0.5;

/// See the file's head.
#[derive(Debug)]
pub struct Estimator {
    groups: Groups,
    trend: Trend,
    throughput: Throughput,
    aimd: Aimd,
    losses: Losses,
    queue: Queue,
    calm: Calm,
    probes: Probes,
    limited: Limited,
    /// What may be sent.
    bps: f64,
    wanted: f64,
    /// What the peer said itself (REMB).
    said: Option<f64>,
    rtt: Option<Seconds>,
    heard: Option<Seconds>,
    left: Option<Seconds>,
    halved: Option<Seconds>,
    /// Arrived packets of one feedback, by arrival: where some were lost, or overtaken.
    arrived: Vec<Told>,
}

impl Default for Estimator {
    fn default() -> Self {
        Self::new(START)
    }
}

/// Whether a peer that told of packets last at `heard` may have gone silent.
#[must_use]
pub fn is_silent(heard: Seconds, now: Seconds) -> bool {
    now - heard > DEAF - HALVED
}

impl Estimator {
    /// Begin with so many bits a second.
    #[must_use]
    pub fn new(start: f64) -> Self {
        Self {
            groups: Groups::default(),
            trend: Trend::default(),
            throughput: Throughput::default(),
            aimd: Aimd::new(start, LEAST, MOST),
            losses: Losses::default(),
            queue: Queue::default(),
            calm: Calm::default(),
            probes: Probes::default(),
            limited: Limited::default(),
            bps: start,
            wanted: 0.0,
            said: None,
            rtt: None,
            heard: None,
            left: None,
            halved: None,
            arrived: Vec::new(),
        }
    }

    /// Feedback comes. A hint only.
    pub fn fetch(&self) {
        let Self { groups, trend, throughput, aimd, losses, queue, calm, probes, limited, .. } = self;
        fetch(groups);
        trend.fetch();
        throughput.fetch();
        fetch(aimd);
        losses.fetch();
        fetch(queue);
        fetch(calm);
        fetch(probes);
        fetch(limited);
        fetch(&self.bps);
        fetch(&self.arrived);
    }

    /// Bits a second that may be sent: the estimate, or less while a queue is to drain.
    #[must_use]
    pub fn bps(&self) -> f64 {
        let bps = self.bps * self.queue.part();
        self.said.map_or(bps, |said| bps.min(said)).clamp(LEAST, MOST)
    }

    /// No time to send more, though the estimate stands.
    #[must_use]
    pub fn warns(&self) -> bool {
        self.trend.warns() || self.trend.usage() == Usage::Over
    }

    /// A queue on the path is to drain.
    #[must_use]
    pub fn queued(&self) -> bool {
        self.queue.part() < 1.0
    }

    /// A queue on the path is so long that nothing should be sent which can wait.
    #[must_use]
    pub fn drains(&self) -> bool {
        self.queue.seconds() > QUEUED
    }

    /// Seconds to the peer and back, as feedback shows it; None before the first.
    #[must_use]
    pub fn rtt(&self) -> Option<Seconds> {
        self.rtt
    }

    /// What the peer's tracks could use, in bits a second; nobody asks for more than an estimate can be.
    pub fn want(&mut self, bps: f64) {
        self.wanted = bps.min(MOST);
    }

    /// The peer's own estimate (REMB), for peers without transport-wide feedback; with it, it counts for nothing.
    pub fn remb(&mut self, bps: f64) {
        self.said = self.heard.is_none().then_some(bps);
        if self.heard.is_none() {
            self.bps = bps.clamp(LEAST, MOST);
        }
    }

    /// So many bytes left since the last call. None may have: then the sender had nothing to send.
    pub fn left(&mut self, now: Seconds, bytes: usize) {
        if bytes > 0 {
            self.left = Some(now);
        }
        self.limited.left(now, bytes, self.bps);
    }

    /// The probe to send now. It is to leave at its rate, as numbered packets; then say `probed`.
    pub fn probe(&mut self, now: Seconds) -> Option<Cluster> {
        // Without feedback there would be no answer.
        self.heard?;
        let ground = Ground {
            bps: self.bps,
            wanted: self.wanted,
            limited: self.limited.since(),
            blocked: self.warns() || self.losses.limits() || self.queued(),
            met: self.aimd.has_met_the_capacity(now),
        };
        self.probes.due(now, ground)
    }

    /// A probe of this rate begins to leave with this transport-wide number; then say `probed`, or `gave_up`.
    pub fn probing(&mut self, now: Seconds, bps: f64, first: i64) {
        self.probes.begins(now, bps, first);
    }

    /// The rest of the probe that leaves will not.
    pub fn gave_up(&mut self) {
        self.probes.give_up();
    }

    /// A probe of this rate left as these transport-wide numbers.
    pub fn probed(&mut self, now: Seconds, bps: f64, numbers: std::ops::RangeInclusive<i64>) {
        self.probes.left(now, bps, numbers);
    }

    /// Take in what feedback told. Returns whether the estimate changed.
    pub fn told(&mut self, now: Seconds, told: &[Told]) -> bool {
        if self.heard.is_some_and(|heard| now - heard > SILENCE) {
            self.forget_the_delay();
        }
        self.heard = Some(now);
        self.halved = None;
        self.said = None;
        if let Some(newest) = told.iter().map(|one| one.sent).max_by(f64::total_cmp) {
            let sample = now - newest;
            self.rtt = Some(self.rtt.map_or(sample, |rtt| 0.9 * rtt + 0.1 * sample));
        }
        let mut found = None;
        let mut arrived = std::mem::take(&mut self.arrived);
        let mut rest = told;
        if !told.is_sorted_by_key(|one| (one.arrived, one.sequence))
            || told.first().is_some_and(|one| one.arrived.is_none())
        {
            arrived.clear();
            arrived.extend(told.iter().filter(|one| one.arrived.is_some()));
            arrived.sort_unstable_by_key(|one| (one.arrived, one.sequence));
            rest = arrived.as_slice();
        }
        while let Some(one) = rest.first() {
            // Packets of a frame mostly leave and arrive together, and say one thing; those of a probe are looked at singly.
            let alike = |other: &&Told| other.arrived == one.arrived && other.sent == one.sent;
            let count = if self.probes.is_out() { 1 } else { rest.iter().take_while(alike).count() };
            let (run, after) = rest.split_at(count);
            rest = after;
            let at = one.arrived.unwrap_or_default() as f64 / 4000.0;
            self.throughput.take(one.sent, at, run.iter().map(|one| u32::from(one.size)));
            self.queue.take(now, at - one.sent);
            self.calm.take(at, at - one.sent);
            match self.probes.take(one.sequence, one.sent, at, u32::from(one.size), self.bps) {
                // A probe makes a queue on purpose: only what is no probe says whether one grows.
                Taken::Foreign => {
                    if let Some(step) = self.groups.take(now, one.sent, at) {
                        self.trend.take(step, at);
                    }
                }
                // Nor do the ones behind it, against the ones before it.
                Taken::Part => self.forget_the_delay(),
                // What a full path let through may be others' share; with none known, it is a beginning.
                Taken::Found(bps, full) => {
                    if full {
                        self.aimd.full(now, bps);
                    }
                    found = found.or(Some(bps).filter(|_| !full || !self.aimd.has_met_the_capacity(now)));
                }
            }
        }
        self.arrived = arrived;
        let queued = self.calm.standing(self.queue.floor()).is_some_and(|standing| standing > STANDS);
        for one in told {
            self.losses.take(one.sent, u32::from(one.size), one.arrived.is_some(), queued);
        }
        self.decide(now, found, told.iter().all(|one| one.arrived.is_some()))
    }

    fn forget_the_delay(&mut self) {
        self.groups = Groups::default();
        self.trend.forget();
    }

    /// What comes through a path that just got narrow, long before a trend shows it: the newest packets all waited, and came
    /// much slower than they had left. A probe makes a queue on purpose, but does not come slower than the estimate.
    fn narrow(&self) -> Option<f64> {
        if !self.calm.deep(self.queue.floor()) {
            return None;
        }
        let (arriving, leaving) = self.throughput.rates(NEWEST, FEW)?;
        Some(arriving).filter(|bps| *bps < NARROW * leaving.min(self.aimd.bps()))
    }

    /// `whole`: nothing was lost.
    fn decide(&mut self, now: Seconds, found: Option<f64>, whole: bool) -> bool {
        let before = self.bps;
        let calm = self.calm.calm(self.queue.floor());
        // Whatever else it is, it is no time to send more.
        let narrow = self.narrow();
        let usage = Some(self.trend.usage()).filter(|usage| *usage != Usage::Over || !calm).unwrap_or(Usage::Under);
        let usage = narrow.map_or(usage, |_| Usage::Over);
        if whole && usage == Usage::Normal && before >= ENOUGH * self.wanted && !self.queued() {
            // Who has more than it can use need not know how much more.
            return false;
        }
        // A path that got narrow shows in the newest packets first.
        let window = if usage == Usage::Over || self.queue.seconds() > LONG { SHORT_LOOK } else { LOOK };
        let through = narrow.or_else(|| self.throughput.bps(window));
        let idle = self.limited.since().is_some();
        let rtt = self.rtt.unwrap_or(0.2);
        match found.filter(|_| usage != Usage::Over) {
            // It only asked for more: less than what is known is no news.
            Some(found) if found > self.aimd.bps() => self.aimd.set(now, found),
            _ => {
                // Nor does a queue that has yet to drain say that there is room.
                let standing = self.calm.standing(self.queue.floor()).unwrap_or_default();
                let room = Some((1.0 - standing / STOOD).max(0.0)).filter(|_| !idle && !self.queued());
                if self.aimd.take(now, usage, through, rtt, room) {
                    self.probes.fell(now, before, self.aimd.bps());
                }
            }
        }
        if let Some(through) = through.filter(|_| self.queue.stands(now)) {
            self.aimd.set(now, self.aimd.bps().min(CAREFUL * through));
        }
        self.queue.yielded(now, self.aimd.bps());
        let allowed = self.losses.bps(now, self.aimd.bps(), through, idle);
        self.bps = allowed.clamp(LEAST, MOST);
        self.bps != before
    }

    /// When the peer told of packets last.
    #[must_use]
    pub fn heard(&self) -> Option<Seconds> {
        self.heard
    }

    /// Look whether the peer went silent. Returns whether the estimate changed.
    pub fn tick(&mut self, now: Seconds) -> bool {
        let Some(heard) = self.heard else { return false };
        let sending = self.left.is_some_and(|left| left > heard);
        let last = self.halved.unwrap_or(heard + DEAF - HALVED);
        if !sending || now - last < HALVED {
            return false;
        }
        self.halved = Some(now);
        self.aimd.set(now, self.aimd.bps() / 2.0);
        self.bps = self.bps.min(self.aimd.bps()).max(LEAST);
        true
    }
}
