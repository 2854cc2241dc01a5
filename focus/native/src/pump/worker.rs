//! The worker's loop: wait, read, obey, look what is due, tell, send.
//!
//! One turn handles all that has come, and sends all that came of it at its end: so packets of one
//! destination gather into trains. What may wait does not begin one (`patience.rs`). A panic ends the
//! engine but not the worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::bell::Watch;
use super::desk::{Desk, Place};
use super::patience::{Company, Feedback, rest};
use super::socket::{BATCH, Inlet, Socket};
use super::sockets::Sockets;
use super::{Core, MOST_COALESCED, Settings};
use crate::parcel::Parcel;

/// Datagrams read from one socket in a turn: after a stall there is a backlog, and timers must not wait for all of it.
const MOST_READ: usize = 4 * BATCH;

/// See the file's head. Lives on the worker's thread.
pub struct Worker<C, M> {
    desk: Desk<C, M>,
    inlet: Inlet,
    /// The sockets, the bell, the sockets for feedback.
    watch: Watch,
    /// Sockets that feedback comes to, one beside each of the desk's; none where the kernel does not tell it apart.
    patient: Vec<Socket>,
    feedback: Feedback,
    company: Company,
    /// What another worker handed over.
    parcel: Parcel,
    coalesce: Duration,
    /// Since when packets may lie unread: all before were read. None: more had come than a turn reads.
    read: Option<Instant>,
}

impl<C: Core, M: FnMut(Instant) -> C> Worker<C, M> {
    /// With a first engine.
    pub fn new(settings: &Settings, sockets: Sockets, place: Place, make: M) -> Self {
        let Sockets { sockets, patient } = sockets;
        let bell = place.mail.lanes.get(place.me).map(|lane| lane.work.fd());
        let fds = sockets.iter().map(Socket::fd).chain(bell).chain(patient.iter().map(Socket::fd));
        Self {
            inlet: Inlet::new(settings.joined),
            watch: Watch::new(fds),
            patient,
            feedback: Feedback::default(),
            company: Company::default(),
            parcel: Parcel::default(),
            coalesce: settings.coalesce.min(MOST_COALESCED),
            read: None,
            desk: Desk::new(settings, sockets, place, make),
        }
    }

    /// Until the control plane ends it.
    pub fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.turns())).is_err() {
            self.parcel.clear();
            self.desk.recover();
        }
        // A goodbye that falls over is no goodbye; the sockets close all the same.
        drop(catch_unwind(AssertUnwindSafe(|| self.desk.farewell())));
    }

    fn turns(&mut self) {
        while !self.desk.place.mail.ended() {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let places = self.desk.sockets.len();
        let next = self.desk.core.deadline();
        let deadline = [next, self.feedback.deadline(next)].into_iter().flatten().min();
        let asked = Instant::now();
        let idle = deadline.map(|deadline| deadline.saturating_duration_since(asked));
        // While feedback may wait, it does not wake us.
        let first = if self.feedback.wakes() { usize::MAX } else { places + 1 };
        self.watch.wait_for(first, idle);
        self.desk.figures.wakeups += 1;
        if self.watch.readable(places) {
            self.desk.lane().into_iter().for_each(|lane| lane.work.hear());
        }
        self.take_in(places, asked);
        self.unpack();
        let now = Instant::now();
        self.desk.obey(now);
        self.desk.core.tick(now);
        // Told before it is sent: who sees a packet can rely on having heard what it goes with.
        self.desk.tell();
        self.desk.flush();
        self.desk.count();
    }

    /// Read what came to any socket. `asked`: when we began to wait for it.
    fn take_in(&mut self, places: usize, asked: Instant) {
        let came = (0..places).any(|place| self.watch.readable(place));
        let waited = came && !self.coalesce.is_zero() && self.company.is_likely();
        if waited {
            std::thread::sleep(rest(self.coalesce, self.read, asked, Instant::now()));
        }
        self.read = Some(Instant::now());
        let mut packets = 0;
        for place in 0..places {
            if self.watch.readable(place) {
                packets += self.read(place, false);
            }
        }
        if waited {
            self.company.came(packets > 1);
        }
        let now = Instant::now();
        if !self.patient.is_empty() && self.feedback.is_due(now) {
            // Where it is waited for, the wait told which; else it is looked for.
            let resting = !self.feedback.wakes();
            let mut found = false;
            for place in 0..self.patient.len() {
                if resting || self.watch.readable(places + 1 + place) {
                    found |= self.read(place, true) > 0;
                }
            }
            self.feedback.looked(now, found);
        }
    }

    /// Read what came to one socket, or to the one for feedback beside it. How many packets of media that was; of
    /// feedback, how many messages.
    fn read(&mut self, place: usize, feedback: bool) -> usize {
        let mut packets = 0;
        for _ in 0..MOST_READ / BATCH {
            let sockets = if feedback { &self.patient } else { &self.desk.sockets };
            let Some(socket) = sockets.get(place) else { return packets };
            // An error here is an old ICMP message: consent decides who is gone.
            let count = self.inlet.receive(socket).unwrap_or(0);
            self.desk.figures.receives += 1;
            let now = Instant::now();
            // After reading: a command that was given before a datagram was sent is carried out before it.
            self.desk.obey(now);
            for number in 0..count {
                let Some(received) = self.inlet.at(number) else { continue };
                if received.cut {
                    self.desk.figures.cut += 1;
                    continue;
                }
                let datagrams = received.bytes.len().div_ceil(received.segment).max(1);
                self.desk.figures.received += datagrams as u64;
                if feedback || is_media(received.bytes) {
                    packets += datagrams;
                }
                self.desk.receive(now, received.from, place, (received.bytes, received.segment), false);
            }
            // Others begin with their part while we send ours.
            self.desk.tell();
            if count < BATCH {
                return packets;
            }
        }
        self.read = None;
        packets
    }

    /// Take in what other workers handed over. As with datagrams, commands that were given before come first.
    fn unpack(&mut self) {
        let Some(exchange) = self.desk.place.exchange.clone() else { return };
        let me = self.desk.place.me;
        for from in (0..exchange.workers()).filter(|from| *from != me) {
            if !exchange.take(from, me, &mut self.parcel) {
                continue;
            }
            let now = Instant::now();
            self.desk.obey(now);
            for (record, bytes) in self.parcel.drain() {
                self.desk.unpack(now, record, bytes);
            }
            self.desk.figures.overrun += self.parcel.overrun();
            self.parcel.clear();
        }
    }
}

/// RTP, not RTCP (RFC 7983, RFC 5761 §4).
fn is_media(datagram: &[u8]) -> bool {
    matches!(datagram, [128..=191, kind, ..] if !(192..=223).contains(kind))
}
