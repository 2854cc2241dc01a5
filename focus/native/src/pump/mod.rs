//! The pump: sockets, threads and the clock around an engine that has none of them.
//!
//! It decides when datagrams are read and sent, and nothing about what is in them. The only
//! folder with `unsafe` in it: each block says why it is sound. The control plane's thread holds a
//! `Pump`; the worker's thread runs `worker.rs`; `mail.rs` lies between.

#![allow(unsafe_code)]

mod addresses;
pub(crate) mod ahead;
pub mod allocations;
pub mod bare;
mod bell;
pub mod crowd;
mod desk;
mod engine;
mod epoll;
mod exchange;
mod figures;
mod mail;
mod outlet;
mod patience;
mod router;
mod socket;
mod sockets;
mod steering;
mod worker;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use figures::{Figures, Snapshot, TRAINS};

use crate::command::{Command, Event, Tally};
use crate::engine::Moved;
use crate::media::mirror::Shared;
use crate::outbox::Outbox;
use crate::parcel::Parcel;
use crate::sharing::Sharing;
use desk::Place;
use exchange::Exchange;
use mail::Mail;
use worker::Worker;

/// An engine without clock and socket, as the pump sees it.
pub trait Core {
    /// Be one of so many workers.
    fn among(&mut self, workers: usize);
    /// Take a datagram in; it may be changed in place. False when its sender is not known here: then nothing happened.
    fn offer(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> bool;
    /// A datagram of somebody whom no worker knows.
    fn turn_away(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]);
    /// Carry out an order that is for the sake of other workers.
    fn share(&mut self, now: Instant, sharing: Sharing);
    /// Take in what another worker shares.
    fn shared(&mut self, shared: Shared, data: &[u8]);
    /// What waits to be handed over, by worker; none when there is no other.
    fn parcels(&mut self) -> &mut [Parcel];
    /// Addresses that were taken or given up since the list was emptied.
    fn moved(&mut self) -> &mut Vec<Moved>;
    /// Carry out a command.
    fn submit(&mut self, now: Instant, command: Command);
    /// Look at what is due; does nothing before `deadline`.
    fn tick(&mut self, now: Instant);
    /// When to `tick`; None for never.
    fn deadline(&self) -> Option<Instant>;
    /// Send on what was taken in, until as much waits as had better leave: true then, and the rest is for the next call.
    fn forward(&mut self) -> bool;
    /// Take all events of what was sent on.
    fn drain(&mut self) -> Vec<Event>;
    /// Totals since it was made.
    fn tally(&self) -> &Tally;
    /// What was sent on and waits to leave.
    fn outbox(&mut self) -> &mut Outbox;
}

/// What a pump is made with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Addresses to bind; empty means every address of the machine that others can reach.
    pub addresses: Vec<IpAddr>,
    /// Told to clients in place of the bound ones, in the same order.
    pub announce: Vec<IpAddr>,
    /// First and last port to try; 0 and 0 for any.
    pub ports: (u16, u16),
    /// How long datagrams may wait for others to be read and sent with: 0 to 5 ms. Each costs that much of latency,
    /// and saves wake-ups where packets come singly.
    pub coalesce: Duration,
    /// Let the kernel join datagrams that come in (UDP_GRO).
    pub joined: bool,
    /// Send equal datagrams as one message (UDP_SEGMENT).
    pub gso: bool,
    /// Threads, each with an engine of its own: 1 to [`MOST_WORKERS`]; others count as the nearest.
    pub workers: usize,
}

/// Processors that we may use.
#[must_use]
pub fn processors() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// Beyond this many, packets that cross between workers would cost more than they bring.
pub const MOST_WORKERS: usize = 16;

/// The most that datagrams may wait: the receiver's estimator counts what comes within 5 ms as one burst.
pub const MOST_COALESCED: Duration = Duration::from_millis(5);

/// A running engine: its worker threads, and the control plane's end of them.
pub struct Pump {
    mail: Arc<Mail>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Pump {
    /// Bind and start. `make` makes an engine, given the addresses to tell clients: one for each worker, and again
    /// after a panic. An address that cannot be bound is an error.
    pub fn start<C: Core>(
        settings: Settings,
        make: impl Fn(Instant, Vec<SocketAddr>) -> C + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let workers = settings.workers.clamp(1, MOST_WORKERS);
        let sockets = sockets::bind(&settings)?;
        let candidates = sockets::candidates(&sockets, &settings.announce);
        let dealt = sockets::dealt(sockets, workers, settings.joined)?;
        let mail = Arc::new(Mail::new(workers)?);
        let exchange = (workers > 1).then(|| Arc::new(Exchange::new(workers)));
        let make = Arc::new(make);
        // From here on, whatever fails ends the threads that run already.
        let pump = Self { mail: Arc::clone(&mail), threads: Mutex::default() };
        for (me, sockets) in dealt.into_iter().enumerate() {
            let place = Place { me, mail: Arc::clone(&mail), exchange: exchange.clone() };
            let (settings, candidates, make) = (settings.clone(), candidates.clone(), Arc::clone(&make));
            let thread = thread::Builder::new().name(format!("weir-media-{me}")).spawn(move || {
                bell::leave_signals_to_others();
                Worker::new(&settings, sockets, place, move |now| make(now, candidates.clone())).run();
            })?;
            locked(&pump.threads).push(thread);
        }
        Ok(pump)
    }

    /// Have commands carried out, in order.
    pub fn submit(&self, commands: Vec<Command>) {
        self.mail.submit(commands);
    }

    /// All events so far: edges in order, then the newest of each level.
    pub fn drain(&self) -> Vec<Event> {
        self.mail.drain()
    }

    /// Totals since start of each worker, as of its last turn.
    pub fn each(&self) -> Vec<Snapshot> {
        self.mail.lanes.iter().map(mail::Lane::counted).collect()
    }

    /// Totals since start of all workers.
    pub fn counted(&self) -> Snapshot {
        let mut sum = Snapshot::default();
        self.each().iter().for_each(|one| sum.add(one));
        sum
    }

    /// Readable when events went from none to some; `heard` makes it silent.
    pub fn news(&self) -> RawFd {
        self.mail.news.fd()
    }

    /// See `news`.
    pub fn heard(&self) {
        self.mail.news.hear();
    }

    /// End every peer with a goodbye, free the sockets, and wait for the threads: a few milliseconds. Said twice, it
    /// does nothing.
    pub fn close(&self) {
        let threads = std::mem::take(&mut *locked(&self.threads));
        self.mail.end();
        for thread in threads {
            // A thread catches panics itself; there is nobody to tell if it could not.
            drop(thread.join());
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
