//! Sockets, a thread and the clock around a crowd of synthetic clients.
//!
//! Each client has a socket of its own, as it would have on a machine of its own: two that dialled one
//! address from one socket would be one 5-tuple. The control plane's thread and this one share the
//! crowd under one lock, held for a turn; a turn takes what is there, and no longer.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::addresses::towards;
use super::bell::{Bell, Watch, leave_signals_to_others};
use super::epoll::Epoll;
use super::figures::Figures;
use super::outlet::Outlet;
use super::socket::{BATCH, Inlet, Socket};
use crate::command::{Command, Event, Open};
use crate::crowd::Crowd;
use crate::crowd::member::Moment;
use crate::transport::{Identity, SystemChance};

/// Batches read from one socket before others have their turn.
const MOST_BATCHES: usize = 4;
/// Readable sockets looked up in one turn, in lists.
const MOST_LISTS: usize = 16;

/// What a crowd is made with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Of each stream, one packet in so many is decrypted and checked; 0 and 1 are all.
    pub opened: u64,
    /// Let the kernel join datagrams that come in (UDP_GRO).
    pub joined: bool,
    /// How long sockets are left alone after a look at them. With none, the kernel tells which have something to read,
    /// and every datagram that finds the thread asleep wakes it up, both of which on loopback cost its sender; else each
    /// is asked. Arrivals are stamped by the kernel either way.
    pub rest: Duration,
}

struct Table {
    crowd: Crowd,
    sockets: Vec<Option<Socket>>,
    outlet: Outlet,
    figures: Figures,
}

struct Shared {
    table: Mutex<Table>,
    /// Threads of the control plane that wait for the table.
    asking: AtomicU32,
    over: AtomicBool,
    work: Bell,
    news: Bell,
    epoch: Instant,
}

/// A running crowd.
pub struct Crowded {
    shared: Arc<Shared>,
    settings: Settings,
    watcher: Mutex<Epoll>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A crowd that fell over has lost some clients' state; its books are of use all the same.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn moment(&self) -> Moment {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64);
        Moment { now: Instant::now(), epoch: self.epoch, wall }
    }
}

impl Table {
    /// Send all that waits, each client's by its socket.
    fn flush(&mut self) {
        let Self { crowd, sockets, outlet, figures } = self;
        let outbox = crowd.outbox();
        for (key, lane) in outbox.lanes() {
            if let Some(Some(socket)) = sockets.get(key as usize) {
                let waiting = lane.messages().iter().map(|one| (one.to, lane.bytes(one), one.segment));
                outlet.send(socket, waiting, figures);
            }
        }
        outbox.clear();
    }
}

impl Crowded {
    /// Start with nobody.
    ///
    /// # Errors
    /// When the machine denies a certificate, a descriptor or a thread.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let epoch = Instant::now();
        let identity = Identity::new().map_err(io::Error::other)?;
        let crowd = Crowd::new(epoch, identity, settings.opened, Box::new(|| Box::new(SystemChance)));
        let table = Table { crowd, sockets: Vec::new(), outlet: Outlet::new(true), figures: Figures::default() };
        let shared = Arc::new(Shared {
            table: Mutex::new(table),
            asking: AtomicU32::new(0),
            over: AtomicBool::new(false),
            work: Bell::new()?,
            news: Bell::new()?,
            epoch,
        });
        // Two descriptors of one list: clients are added to it while the thread waits.
        let epoll = Epoll::new()?;
        let watcher = Mutex::new(epoll.again()?);
        let (theirs, rest) = (Arc::clone(&shared), settings.clone());
        let thread = thread::Builder::new().name("weir-crowd".into()).spawn(move || {
            leave_signals_to_others();
            run(&theirs, epoll, &rest);
        })?;
        Ok(Self { shared, settings, watcher, thread: Mutex::new(Some(thread)) })
    }

    /// Do something with the crowd, between two turns of its thread.
    pub fn with<T>(&self, ask: impl FnOnce(&mut Crowd, Instant) -> T) -> T {
        self.table(|table, now| ask(&mut table.crowd, now))
    }

    fn table<T>(&self, ask: impl FnOnce(&mut Table, Instant) -> T) -> T {
        self.shared.asking.fetch_add(1, Ordering::SeqCst);
        let mut table = locked(&self.shared.table);
        self.shared.asking.fetch_sub(1, Ordering::SeqCst);
        let done = ask(&mut table, Instant::now());
        table.flush();
        let news = table.crowd.has_news();
        drop(table);
        if news {
            self.shared.news.ring();
        }
        self.shared.work.ring();
        done
    }

    /// Dial from a socket of its own, to the candidates of the first one's family.
    ///
    /// # Errors
    /// When there is nobody to dial, a client of that name, or no socket.
    pub fn open(&self, mut open: Open) -> io::Result<()> {
        let nobody = || io::Error::new(io::ErrorKind::InvalidInput, "there is no candidate to dial");
        let first: SocketAddr = *open.candidates.first().ok_or_else(nobody)?;
        open.candidates.retain(|candidate| candidate.is_ipv4() == first.is_ipv4());
        let home: IpAddr = towards(first).ok_or(io::ErrorKind::NetworkUnreachable)?;
        let socket = Socket::bind(home, 0, self.settings.joined)?;
        socket.stamp()?;
        self.table(|table, now| {
            let taken = || io::Error::new(io::ErrorKind::AlreadyExists, format!("{} is there already", open.peer));
            let key = table.crowd.open(now, &open).ok_or_else(taken)?;
            if self.settings.rest.is_zero() {
                locked(&self.watcher).watch(socket.fd(), key)?;
            }
            if table.sockets.len() <= key as usize {
                table.sockets.resize_with(key as usize + 1, || None);
            }
            table.sockets[key as usize] = Some(socket);
            Ok(())
        })
    }

    /// Carry out a command for a client's transport. False when it is none, or names nobody.
    pub fn submit(&self, command: &Command) -> bool {
        self.table(|table, now| {
            let Command::Close { peer } = command else { return table.crowd.submit(now, command) };
            let Some(key) = table.crowd.place(peer) else { return false };
            table.crowd.submit(now, command);
            // The goodbye leaves by the socket that goes with it.
            table.flush();
            table.crowd.vacate(key);
            table.sockets[key as usize] = None;
            true
        })
    }

    /// Where a client's socket is bound.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.table(|table, _| {
            let key = table.crowd.place(name)?;
            table.sockets.get(key as usize)?.as_ref().map(Socket::address)
        })
    }

    /// All events so far.
    pub fn drain(&self) -> Vec<Event> {
        self.table(|table, _| table.crowd.drain())
    }

    /// What was read and sent.
    pub fn figures(&self) -> Figures {
        self.table(|table, _| table.figures.clone())
    }

    /// Since it was started.
    pub fn seconds(&self) -> f64 {
        self.shared.epoch.elapsed().as_secs_f64()
    }

    /// Readable when there are events; `heard` makes it silent until there are more.
    pub fn news(&self) -> RawFd {
        self.shared.news.fd()
    }

    /// See `news`.
    pub fn heard(&self) {
        self.shared.news.hear();
    }

    /// End the thread and free the sockets. Nobody says goodbye: `Close` those who shall.
    pub fn close(&self) {
        let thread = locked(&self.thread).take();
        if let Some(thread) = thread {
            self.shared.over.store(true, Ordering::Release);
            self.shared.work.ring();
            drop(thread.join());
            locked(&self.shared.table).sockets.clear();
        }
    }
}

impl Drop for Crowded {
    fn drop(&mut self) {
        self.close();
    }
}

/// The thread: wait, read, look what is due, send.
fn run(shared: &Shared, mut epoll: Epoll, settings: &Settings) {
    let mut watch = Watch::new([epoll.fd(), shared.work.fd()]);
    let mut rested = (!settings.rest.is_zero()).then(|| Watch::new([]));
    let mut inlet = Inlet::with(settings.joined, true);
    let mut ready = Vec::new();
    let mut deadline = Instant::now();
    while !shared.over.load(Ordering::Acquire) {
        let idle = deadline.saturating_duration_since(Instant::now());
        match rested {
            None => watch.wait(Some(idle)),
            Some(_) => thread::sleep(idle.min(settings.rest)),
        }
        // The lock is not fair: who asks goes first.
        while shared.asking.load(Ordering::SeqCst) > 0 {
            thread::yield_now();
        }
        let mut table = locked(&shared.table);
        shared.work.hear();
        // What is due goes out before what has come is read: a schedule is kept first.
        send(&mut table, shared);
        match &mut rested {
            None => told(&mut table, shared, &mut epoll, &mut inlet, &mut ready),
            Some(sockets) => asked(&mut table, shared, sockets, &mut inlet),
        }
        table.flush();
        deadline = table.crowd.deadline();
        let news = table.crowd.has_news();
        drop(table);
        if news {
            shared.news.ring();
        }
    }
}

fn send(table: &mut Table, shared: &Shared) {
    table.figures.wakeups += 1;
    let at = shared.moment();
    table.crowd.tick(&at);
    table.flush();
}

/// Read the sockets that the kernel names.
fn told(table: &mut Table, shared: &Shared, epoll: &mut Epoll, inlet: &mut Inlet, ready: &mut Vec<u32>) {
    for _ in 0..MOST_LISTS {
        let more = epoll.ready(ready);
        let at = shared.moment();
        for key in ready.iter() {
            read(table, *key, &at, inlet);
        }
        if !more {
            break;
        }
    }
}

/// Read the sockets that have something when each is asked.
fn asked(table: &mut Table, shared: &Shared, sockets: &mut Watch, inlet: &mut Inlet) {
    sockets.look(table.sockets.iter().map(|socket| socket.as_ref().map_or(-1, Socket::fd)));
    let at = shared.moment();
    for key in 0..table.sockets.len() {
        if sockets.readable(key) {
            read(table, key as u32, &at, inlet);
        }
    }
}

fn read(table: &mut Table, key: u32, at: &Moment, inlet: &mut Inlet) {
    let Table { crowd, sockets, figures, .. } = table;
    let Some(Some(socket)) = sockets.get(key as usize) else { return };
    for _ in 0..MOST_BATCHES {
        // An error here is an old ICMP message: consent decides who is gone.
        let count = inlet.receive(socket).unwrap_or(0);
        figures.receives += 1;
        for number in 0..count {
            let Some(received) = inlet.at(number) else { continue };
            let stamp = received.stamp.unwrap_or(at.wall);
            for datagram in received.bytes.chunks_mut(received.segment) {
                figures.received += 1;
                crowd.receive(at, key, received.from, stamp, datagram);
            }
        }
        if count < BATCH {
            return;
        }
    }
}
