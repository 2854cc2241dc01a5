//! The worker's loop: wait, read, obey, look what is due, tell, send.
//!
//! One turn handles all that has come, and sends all that came of it at its end: so packets of one
//! destination gather into trains. A panic ends the engine but not the worker: its peers are told
//! to be lost, and a new engine waits for them.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::allocations;
use super::bell::Watch;
use super::figures::Figures;
use super::mail::Mail;
use super::outlet::Outlet;
use super::socket::{BATCH, Inlet, Socket};
use super::sockets::Ways;
use super::{Core, MOST_COALESCED, Settings};
use crate::command::{Command, Event, Loss, Name, Tally};

/// Datagrams read from one socket in a turn: after a stall there is a backlog, and timers must not wait for all of it.
const MOST_READ: usize = 4 * BATCH;
/// Bytes that may wait to be sent: more than the processor's cache holds is read twice from memory.
const MOST_WAITING: u64 = 4 << 20;

/// See the file's head. Lives on the worker's thread.
pub struct Worker<C, M> {
    make: M,
    core: C,
    sockets: Vec<Socket>,
    ways: Ways,
    inlet: Inlet,
    outlets: Vec<Outlet>,
    watch: Watch,
    mail: Arc<Mail>,
    taken: Vec<Command>,
    /// Peers that the engine was told to open.
    open: HashSet<Name>,
    figures: Figures,
    /// Of engines that fell over.
    before: Tally,
    /// The engine's `bytes_out` at the last flush.
    flushed: u64,
    coalesce: Duration,
}

impl<C: Core, M: FnMut(Instant) -> C> Worker<C, M> {
    /// With a first engine.
    pub fn new(settings: &Settings, sockets: Vec<Socket>, mail: Arc<Mail>, mut make: M) -> Self {
        let fds = sockets.iter().map(|socket| socket.fd()).chain([mail.work.fd()]);
        Self {
            core: make(Instant::now()),
            make,
            inlet: Inlet::new(settings.joined),
            outlets: sockets.iter().map(|_| Outlet::new(settings.gso)).collect(),
            watch: Watch::new(fds),
            ways: Ways::new(&sockets),
            sockets,
            mail,
            taken: Vec::new(),
            open: HashSet::new(),
            figures: Figures::default(),
            before: Tally::default(),
            flushed: 0,
            coalesce: settings.coalesce.min(MOST_COALESCED),
        }
    }

    /// Until the control plane ends it.
    pub fn run(mut self) {
        while catch_unwind(AssertUnwindSafe(|| self.turns())).is_err() {
            self.recover();
        }
        // A goodbye that falls over is no goodbye; the sockets close all the same.
        drop(catch_unwind(AssertUnwindSafe(|| self.farewell())));
    }

    fn turns(&mut self) {
        while !self.mail.ended() {
            self.turn();
        }
    }

    fn turn(&mut self) {
        let idle = self.core.deadline().map(|deadline| deadline.saturating_duration_since(Instant::now()));
        self.watch.wait(idle);
        self.figures.wakeups += 1;
        let places = self.sockets.len();
        if self.watch.readable(places) {
            self.mail.work.hear();
        }
        if !self.coalesce.is_zero() && (0..places).any(|place| self.watch.readable(place)) {
            std::thread::sleep(self.coalesce);
        }
        for place in 0..places {
            if self.watch.readable(place) {
                self.read(place);
            }
        }
        let now = Instant::now();
        self.obey(now);
        self.core.tick(now);
        // Told before it is sent: who sees a packet can rely on having heard what it goes with.
        self.tell();
        self.flush();
        self.count();
    }

    /// Read what came to one socket.
    fn read(&mut self, place: usize) {
        for _ in 0..MOST_READ / BATCH {
            let Some(socket) = self.sockets.get(place) else { return };
            // An error here is an old ICMP message: consent decides who is gone.
            let count = self.inlet.receive(socket).unwrap_or(0);
            self.figures.receives += 1;
            let now = Instant::now();
            // After reading: a command that was given before a datagram was sent is carried out before it.
            self.obey(now);
            for number in 0..count {
                self.take(now, place, number);
                if self.core.tally().bytes_out.saturating_sub(self.flushed) > MOST_WAITING {
                    self.flush();
                }
            }
            if count < BATCH {
                return;
            }
        }
    }

    /// Give the engine what lies at one place of the inlet.
    fn take(&mut self, now: Instant, place: usize, number: usize) {
        let Some(from) = self.inlet.at(number).map(|received| received.from) else { return };
        let news = self.ways.is_news(from, place).then(|| dropped(&self.core));
        if news.is_some() {
            // What waits is meant for the way by which this sender came before.
            self.flush();
        }
        let Some(received) = self.inlet.at(number) else { return };
        if received.cut {
            self.figures.cut += 1;
            return;
        }
        if received.bytes.is_empty() {
            self.figures.received += 1;
            self.core.receive(now, from, received.bytes);
        }
        for datagram in received.bytes.chunks_mut(received.segment) {
            self.figures.received += 1;
            self.core.receive(now, from, datagram);
        }
        if news.is_some_and(|before| before == dropped(&self.core)) {
            self.ways.learn(from, place);
        }
    }

    fn obey(&mut self, now: Instant) {
        self.mail.take(&mut self.taken);
        // Taken out of `self` so that a panic in the middle loses the rest, not the worker's footing.
        let mut taken = std::mem::take(&mut self.taken);
        for command in taken.drain(..) {
            match &command {
                Command::Open(open) => {
                    self.open.insert(open.peer.clone());
                }
                Command::Close { peer } => {
                    // What is of the past is told as such, before the name may be used again.
                    self.mail.tell(self.core.drain());
                    self.mail.closed(peer);
                    self.open.remove(peer);
                }
                _ => {}
            }
            self.core.submit(now, command);
        }
        self.taken = taken;
    }

    /// Send all that waits, each by its socket.
    fn flush(&mut self) {
        let outbox = self.core.outbox();
        let mut unreachable = 0;
        for (place, (socket, outlet)) in self.sockets.iter().zip(&mut self.outlets).enumerate() {
            let messages = outbox.waiting().flat_map(|lane| lane.messages().iter().map(move |one| (lane, one)));
            let ours = messages.filter(|(_, one)| match self.ways.towards(one.to) {
                Some(way) => way == place,
                None => {
                    unreachable += if place == 0 { one.datagrams() as u64 } else { 0 };
                    false
                }
            });
            outlet.send(socket, ours.map(|(lane, one)| (one.to, lane.bytes(one), one.segment)), &mut self.figures);
        }
        self.figures.refused += unreachable;
        outbox.clear();
        self.flushed = self.core.tally().bytes_out;
    }

    /// Tell the control plane what happened, and how much of it.
    fn tell(&mut self) {
        let events = self.core.drain();
        if !events.is_empty() {
            for event in &events {
                if let Event::Lost { peer, .. } = event {
                    self.open.remove(peer);
                }
            }
            self.mail.tell(events);
        }
        self.count();
    }

    fn count(&mut self) {
        self.figures.allocations = allocations::so_far();
        self.mail.count(|snapshot| {
            snapshot.tally.copy(&self.before);
            snapshot.tally.add(self.core.tally());
            snapshot.figures = self.figures.clone();
        });
    }

    /// After a panic: its peers are lost, and a new engine begins with none.
    fn recover(&mut self) {
        self.figures.panics += 1;
        self.before.add(self.core.tally());
        self.core = (self.make)(Instant::now());
        self.flushed = 0;
        self.taken.clear();
        self.mail.tell(self.open.drain().map(|peer| Event::Lost { peer, loss: Loss::Ice }));
        self.count();
    }

    fn farewell(&mut self) {
        let now = Instant::now();
        self.obey(now);
        for peer in std::mem::take(&mut self.open) {
            self.core.submit(now, Command::Close { peer });
        }
        self.flush();
        self.count();
    }
}

fn dropped(core: &impl Core) -> u64 {
    core.tally().drops.iter().sum()
}
