//! The worker's loop: wait, read, obey, look what is due, tell, send.
//!
//! One turn handles all that has come, and sends all that came of it at its end: so packets of one
//! destination gather into trains. A panic ends the engine but not the worker.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use super::bell::Watch;
use super::desk::{Desk, Place};
use super::socket::{BATCH, Inlet, Socket};
use super::{Core, MOST_COALESCED, Settings};
use crate::parcel::Parcel;

/// Datagrams read from one socket in a turn: after a stall there is a backlog, and timers must not wait for all of it.
const MOST_READ: usize = 4 * BATCH;

/// See the file's head. Lives on the worker's thread.
pub struct Worker<C, M> {
    desk: Desk<C, M>,
    inlet: Inlet,
    watch: Watch,
    /// What another worker handed over.
    parcel: Parcel,
    coalesce: Duration,
}

impl<C: Core, M: FnMut(Instant) -> C> Worker<C, M> {
    /// With a first engine.
    pub fn new(settings: &Settings, sockets: Vec<Socket>, place: Place, make: M) -> Self {
        let bell = place.mail.lanes.get(place.me).map(|lane| lane.work.fd());
        let fds = sockets.iter().map(|socket| socket.fd()).chain(bell);
        Self {
            inlet: Inlet::new(settings.joined),
            watch: Watch::new(fds),
            parcel: Parcel::default(),
            coalesce: settings.coalesce.min(MOST_COALESCED),
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
        let idle = self.desk.core.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.watch.wait(idle);
        self.desk.figures.wakeups += 1;
        let places = self.desk.sockets.len();
        if self.watch.readable(places) {
            self.desk.lane().into_iter().for_each(|lane| lane.work.hear());
        }
        if !self.coalesce.is_zero() && (0..places).any(|place| self.watch.readable(place)) {
            std::thread::sleep(self.coalesce);
        }
        for place in 0..places {
            if self.watch.readable(place) {
                self.read(place);
            }
        }
        self.unpack();
        let now = Instant::now();
        self.desk.obey(now);
        self.desk.core.tick(now);
        // Told before it is sent: who sees a packet can rely on having heard what it goes with.
        self.desk.tell();
        self.desk.flush();
        self.desk.count();
    }

    /// Read what came to one socket.
    fn read(&mut self, place: usize) {
        for _ in 0..MOST_READ / BATCH {
            let Some(socket) = self.desk.sockets.get(place) else { return };
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
                self.desk.figures.received += received.bytes.len().div_ceil(received.segment).max(1) as u64;
                self.desk.receive(now, received.from, place, (received.bytes, received.segment), false);
            }
            // Others begin with their part while we send ours.
            self.desk.tell();
            if count < BATCH {
                return;
            }
        }
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
