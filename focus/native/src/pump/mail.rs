//! What goes between the control plane's thread and the worker's: commands down, events up, each rung once.
//!
//! Events of a peer that the control plane has closed meanwhile are not delivered, so that a name
//! can be used again. Levels overwrite, so the queue is bounded by what lives. With several workers
//! each has a lane, and a router says which command is for whom. The router lies behind the same
//! lock as the events, so it knows of each loss before anything else is said of that peer.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use super::figures::Snapshot;
use super::router::Router;
use crate::command::{Command, Event, Name};
use crate::sharing::Order;

/// What a level is of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Level {
    Estimate(Name),
    Rates(Name),
    Levels(Name),
}

/// The level that an event tells; None for an edge.
fn level(event: &Event) -> Option<Level> {
    match event {
        Event::Estimate { peer, .. } => Some(Level::Estimate(peer.clone())),
        Event::Rates { track, .. } => Some(Level::Rates(track.clone())),
        Event::Levels { track, .. } => Some(Level::Levels(track.clone())),
        _ => None,
    }
}

/// The peer that an event is of, if it names one.
fn peer(event: &Event) -> Option<&Name> {
    match event {
        Event::Reachable { peer, .. }
        | Event::Connected { peer }
        | Event::Opened { peer }
        | Event::Lost { peer, .. }
        | Event::Message { peer, .. }
        | Event::Estimate { peer, .. } => Some(peer),
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Up {
    edges: Vec<Event>,
    levels: HashMap<Level, Event>,
    /// Opened and not closed, as the control plane sees it.
    open: HashSet<Name>,
    /// Closed by the control plane, and their worker has not got there yet: what it says of them is of the past.
    closing: HashMap<(Name, usize), u32>,
    /// None with one worker.
    router: Option<Router>,
}

impl Up {
    fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.levels.is_empty()
    }

    /// What a command makes of what was said before it.
    fn note(&mut self, command: &Command) {
        match command {
            Command::Open(open) => {
                self.open.insert(open.peer.clone());
            }
            Command::Close { peer: name } => {
                self.open.remove(name);
                *self.closing.entry((name.clone(), self.worker(name))).or_default() += 1;
                self.edges.retain(|event| peer(event) != Some(name));
                self.levels.remove(&Level::Estimate(name.clone()));
            }
            Command::Forget { track } => {
                self.levels.remove(&Level::Rates(track.clone()));
                self.levels.remove(&Level::Levels(track.clone()));
            }
            _ => {}
        }
    }

    /// Who has a peer, or is told of one that nobody has.
    fn worker(&self, name: &Name) -> usize {
        self.router.as_ref().and_then(|router| router.worker(name)).unwrap_or(0)
    }

    /// Whether what a worker says of a peer is of the past, when this peer was another or at another worker.
    fn is_past(&self, event: &Event, worker: usize) -> bool {
        let Some(name) = peer(event) else { return false };
        let elsewhere = !matches!(event, Event::Reachable { .. }) && self.worker(name) != worker;
        elsewhere || !self.open.contains(name) || self.closing.contains_key(&(name.clone(), worker))
    }

    fn take(&mut self, event: Event, worker: usize) {
        if self.is_past(&event, worker) {
            return;
        }
        if let Event::Lost { peer, .. } = &event {
            if let Some(router) = &mut self.router {
                router.lost(peer, worker);
            }
            self.open.remove(peer);
            self.levels.remove(&Level::Estimate(peer.clone()));
        }
        match level(&event) {
            Some(key) => {
                self.levels.insert(key, event);
            }
            None => self.edges.push(event),
        }
    }
}

/// What goes to one worker, and what it counts.
#[derive(Debug)]
pub struct Lane {
    down: Mutex<Vec<Order>>,
    counted: Mutex<Snapshot>,
    /// Rung for the worker.
    pub work: Bell,
}

impl Lane {
    fn new() -> io::Result<Self> {
        Ok(Self { down: Mutex::default(), counted: Mutex::default(), work: Bell::new()? })
    }

    /// Have orders carried out, after all that were given before.
    pub fn give(&self, orders: impl IntoIterator<Item = Order>) {
        let mut down = locked(&self.down);
        let first = down.is_empty();
        down.extend(orders);
        let ring = first && !down.is_empty();
        drop(down);
        if ring {
            self.work.ring();
        }
    }

    /// Move waiting orders to `taken`, which must be empty. From the worker's thread.
    pub fn take(&self, taken: &mut Vec<Order>) {
        mem::swap(&mut *locked(&self.down), taken);
    }

    /// Count anew: `write` changes the totals in place.
    pub fn count(&self, write: impl FnOnce(&mut Snapshot)) {
        write(&mut locked(&self.counted));
    }

    /// The totals at the end of the worker's last turn.
    pub fn counted(&self) -> Snapshot {
        locked(&self.counted).clone()
    }
}

/// Shared by the control plane's thread and all workers. Of two locks, that of `up` comes first.
#[derive(Debug)]
pub struct Mail {
    up: Mutex<Up>,
    over: AtomicBool,
    /// Of each worker.
    pub lanes: Vec<Lane>,
    /// Rung for the control plane when events go from none to some.
    pub news: Bell,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole at every step, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mail {
    /// Nothing yet, for so many workers: at least one.
    pub fn new(workers: usize) -> io::Result<Self> {
        let router = (workers > 1).then(|| Router::new(workers));
        Ok(Self {
            up: Mutex::new(Up { router, ..Up::default() }),
            over: AtomicBool::new(false),
            lanes: (0..workers.max(1)).map(|_| Lane::new()).collect::<io::Result<_>>()?,
            news: Bell::new()?,
        })
    }

    /// Commands, in order. From the control plane's thread.
    pub fn submit(&self, commands: Vec<Command>) {
        let mut up = locked(&self.up);
        for command in &commands {
            up.note(command);
            if let Some(router) = &mut up.router {
                router.command(command.clone());
            }
        }
        if up.router.is_some() {
            self.hand_out(&mut up);
        } else {
            let orders = commands.into_iter().map(Order::Command);
            if let Some(lane) = self.lanes.first() {
                lane.give(orders);
            }
        }
    }

    /// Give the workers their orders, while nobody else can.
    fn hand_out(&self, up: &mut Up) {
        for (worker, order) in up.router.iter_mut().flat_map(Router::take) {
            if let Some(lane) = self.lanes.get(worker) {
                lane.give([order]);
            }
        }
    }

    /// A check that names a user fragment came to a worker: who must get it. None when nobody has that name.
    pub fn check(&self, ufrag: &str, worker: usize) -> Option<usize> {
        let mut up = locked(&self.up);
        let found = up.router.as_mut()?.check(ufrag, worker);
        self.hand_out(&mut up);
        found
    }

    /// Who has a peer.
    #[cfg(test)]
    pub fn worker(&self, name: &Name) -> usize {
        locked(&self.up).worker(name)
    }

    /// Have all workers come to their end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.lanes.iter().for_each(|lane| lane.work.ring());
    }

    /// Whether the workers should.
    pub fn ended(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// A worker is about to carry out the control plane's close of this peer: what it says from then on is news.
    pub fn closed(&self, name: &Name, worker: usize) {
        let mut up = locked(&self.up);
        let key = (name.clone(), worker);
        if let Some(count) = up.closing.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                up.closing.remove(&key);
            }
        }
    }

    /// Events, in order. From a worker's thread.
    pub fn tell(&self, events: impl IntoIterator<Item = Event>, worker: usize) {
        let mut up = locked(&self.up);
        let before = up.is_empty();
        events.into_iter().for_each(|event| up.take(event, worker));
        let ring = before && !up.is_empty();
        self.hand_out(&mut up);
        drop(up);
        if ring {
            self.news.ring();
        }
    }

    /// All events so far: edges in order, then levels. From the control plane's thread.
    pub fn drain(&self) -> Vec<Event> {
        let mut up = locked(&self.up);
        let mut events = mem::take(&mut up.edges);
        events.extend(up.levels.drain().map(|(_, event)| event));
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Loss;
    use crate::pump::tests::open;

    fn name(text: &str) -> Name {
        text.into()
    }

    fn connected(text: &str) -> Event {
        Event::Connected { peer: name(text) }
    }

    fn estimate(text: &str, bps: u64) -> Event {
        Event::Estimate { peer: name(text), bps }
    }

    #[test]
    fn edges_keep_their_order_and_of_a_level_the_newest_stays() {
        let mail = Mail::new(1).expect("mail");
        mail.submit(vec![open("a"), open("b")]);
        mail.tell([estimate("a", 1), connected("a"), estimate("a", 2), connected("b")], 0);
        assert_eq!(mail.drain(), [connected("a"), connected("b"), estimate("a", 2)]);
        assert_eq!(mail.drain(), []);
    }

    #[test]
    fn what_comes_of_a_closed_peer_is_not_told_and_its_name_may_be_used_again() {
        let mail = Mail::new(1).expect("mail");
        let close = || Command::Close { peer: name("a") };
        mail.submit(vec![open("a")]);
        mail.tell([connected("a"), estimate("a", 1)], 0);
        mail.submit(vec![close(), open("a")]);
        mail.tell([connected("a")], 0);
        assert_eq!(mail.drain(), []);
        mail.closed(&name("a"), 0);
        mail.tell([connected("a")], 0);
        assert_eq!(mail.drain(), [connected("a")]);
        mail.submit(vec![close(), close()]);
        mail.closed(&name("a"), 0);
        mail.closed(&name("a"), 0);
        mail.tell([Event::Lost { peer: name("a"), loss: Loss::Ice }], 0);
        assert_eq!(mail.drain(), []);
    }

    #[test]
    fn a_lost_peer_is_told_once_and_says_no_more() {
        let mail = Mail::new(1).expect("mail");
        mail.submit(vec![open("a")]);
        let lost = Event::Lost { peer: name("a"), loss: Loss::Ice };
        mail.tell([estimate("a", 1), lost.clone(), lost.clone(), connected("a")], 0);
        assert_eq!(mail.drain(), [lost]);
    }

    #[test]
    fn commands_go_down_in_order() {
        let mail = Mail::new(1).expect("mail");
        mail.submit(vec![open("a")]);
        mail.submit(vec![open("b")]);
        let mut taken = Vec::new();
        mail.lanes[0].take(&mut taken);
        assert_eq!(taken, [open("a"), open("b")].map(Order::Command));
    }
}
