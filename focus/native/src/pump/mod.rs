//! The pump: sockets, threads and the clock around an engine that has none of them.
//!
//! It decides when datagrams are read and sent, and nothing about what is in them. The only
//! folder with `unsafe` in it: each block says why it is sound. The control plane's thread holds a
//! `Pump`; the worker's thread runs `worker.rs`; `mail.rs` lies between.

#![allow(unsafe_code)]

mod addresses;
pub mod allocations;
pub mod bare;
mod bell;
pub mod crowd;
mod engine;
mod epoll;
mod figures;
mod mail;
mod outlet;
mod socket;
mod sockets;
mod worker;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use figures::{Figures, Snapshot, TRAINS};

use crate::command::{Command, Event, Tally};
use crate::outbox::Outbox;
use mail::Mail;
use worker::Worker;

/// An engine without clock and socket, as the pump sees it.
pub trait Core {
    /// Take a datagram in; it may be changed in place.
    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]);
    /// Carry out a command.
    fn submit(&mut self, now: Instant, command: Command);
    /// Look at what is due; does nothing before `deadline`.
    fn tick(&mut self, now: Instant);
    /// When to `tick`; None for never.
    fn deadline(&self) -> Option<Instant>;
    /// Take all events.
    fn drain(&mut self) -> Vec<Event>;
    /// Totals since it was made.
    fn tally(&self) -> &Tally;
    /// What waits to be sent.
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
}

/// The most that datagrams may wait: the receiver's estimator counts what comes within 5 ms as one burst.
pub const MOST_COALESCED: Duration = Duration::from_millis(5);

/// A running engine: one worker thread, and the control plane's end of it.
pub struct Pump {
    mail: Arc<Mail>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Pump {
    /// Bind and start. `make` makes an engine, given the addresses to tell clients: now, and again after a panic.
    /// An address that cannot be bound is an error.
    pub fn start<C: Core>(
        settings: Settings,
        mut make: impl FnMut(Instant, Vec<SocketAddr>) -> C + Send + 'static,
    ) -> io::Result<Self> {
        let sockets = sockets::bind(&settings)?;
        let candidates = sockets::candidates(&sockets, &settings.announce);
        let mail = Arc::new(Mail::new()?);
        let theirs = Arc::clone(&mail);
        let thread = thread::Builder::new().name("weir-media".into()).spawn(move || {
            bell::leave_signals_to_others();
            Worker::new(&settings, sockets, theirs, move |now| make(now, candidates.clone())).run();
        })?;
        Ok(Self { mail, thread: Mutex::new(Some(thread)) })
    }

    /// Have commands carried out, in order.
    pub fn submit(&self, commands: Vec<Command>) {
        self.mail.submit(commands);
    }

    /// All events so far: edges in order, then the newest of each level.
    pub fn drain(&self) -> Vec<Event> {
        self.mail.drain()
    }

    /// Totals since start, as of the worker's last turn.
    pub fn counted(&self) -> Snapshot {
        self.mail.counted()
    }

    /// Readable when events went from none to some; `heard` makes it silent.
    pub fn news(&self) -> RawFd {
        self.mail.news.fd()
    }

    /// See `news`.
    pub fn heard(&self) {
        self.mail.news.hear();
    }

    /// End every peer with a goodbye, free the sockets, and wait for the thread: a few milliseconds. Said twice, it
    /// does nothing.
    pub fn close(&self) {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            self.mail.end();
            // The thread catches panics itself; there is nobody to tell if it could not.
            drop(thread.join());
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.close();
    }
}

#[cfg(test)]
mod tests;
