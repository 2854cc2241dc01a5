//! What goes between the control plane's thread and the worker's: commands down, events up, each rung once.
//!
//! Events of a peer that the control plane has closed meanwhile are not delivered, so that a name
//! can be used again. Levels overwrite, so the queue is bounded by what lives.

use std::collections::{HashMap, HashSet};
use std::io;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::bell::Bell;
use super::figures::Snapshot;
use crate::command::{Command, Event, Name};

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
    /// Closed by the control plane, and the worker has not got there yet: what it says of them is of the past.
    closing: HashMap<Name, u32>,
}

impl Up {
    fn is_empty(&self) -> bool {
        self.edges.is_empty() && self.levels.is_empty()
    }

    fn take(&mut self, event: Event) {
        if peer(&event).is_some_and(|name| self.closing.contains_key(name) || !self.open.contains(name)) {
            return;
        }
        if let Event::Lost { peer, .. } = &event {
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

/// Shared by both threads. No lock is held while anything else runs.
#[derive(Debug)]
pub struct Mail {
    down: Mutex<Vec<Command>>,
    up: Mutex<Up>,
    counted: Mutex<Snapshot>,
    over: AtomicBool,
    /// Rung for the worker.
    pub work: Bell,
    /// Rung for the control plane when events go from none to some.
    pub news: Bell,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is inside is whole at every step, so a panic elsewhere does not spoil it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Mail {
    /// Nothing yet.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            down: Mutex::default(),
            up: Mutex::default(),
            counted: Mutex::default(),
            over: AtomicBool::new(false),
            work: Bell::new()?,
            news: Bell::new()?,
        })
    }

    /// Commands, in order. From the control plane's thread.
    pub fn submit(&self, commands: Vec<Command>) {
        {
            let mut up = locked(&self.up);
            for command in &commands {
                match command {
                    Command::Open(open) => {
                        up.open.insert(open.peer.clone());
                    }
                    Command::Close { peer: name } => {
                        up.open.remove(name);
                        *up.closing.entry(name.clone()).or_default() += 1;
                        up.edges.retain(|event| peer(event) != Some(name));
                        up.levels.remove(&Level::Estimate(name.clone()));
                    }
                    Command::Forget { track } => {
                        up.levels.remove(&Level::Rates(track.clone()));
                        up.levels.remove(&Level::Levels(track.clone()));
                    }
                    _ => {}
                }
            }
        }
        let mut down = locked(&self.down);
        let first = down.is_empty();
        down.extend(commands);
        drop(down);
        if first {
            self.work.ring();
        }
    }

    /// Have the worker come to its end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Release);
        self.work.ring();
    }

    /// Whether the worker should.
    pub fn ended(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// Move all commands into `taken`, which is empty. From the worker's thread.
    pub fn take(&self, taken: &mut Vec<Command>) {
        let mut down = locked(&self.down);
        if !down.is_empty() {
            mem::swap(&mut *down, taken);
        }
    }

    /// The worker is about to carry out the control plane's close of this peer: what it says from then on is news.
    pub fn closed(&self, name: &Name) {
        let mut up = locked(&self.up);
        if let Some(count) = up.closing.get_mut(name) {
            *count -= 1;
            if *count == 0 {
                up.closing.remove(name);
            }
        }
    }

    /// Events, in order. From the worker's thread.
    pub fn tell(&self, events: impl IntoIterator<Item = Event>) {
        let mut up = locked(&self.up);
        let before = up.is_empty();
        events.into_iter().for_each(|event| up.take(event));
        let ring = before && !up.is_empty();
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

    /// Count anew: `write` changes the totals in place.
    pub fn count(&self, write: impl FnOnce(&mut Snapshot)) {
        write(&mut locked(&self.counted));
    }

    /// The totals at the end of the worker's last turn.
    pub fn counted(&self) -> Snapshot {
        locked(&self.counted).clone()
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
        let mail = Mail::new().expect("mail");
        mail.submit(vec![open("a"), open("b")]);
        mail.tell([estimate("a", 1), connected("a"), estimate("a", 2), connected("b")]);
        assert_eq!(mail.drain(), [connected("a"), connected("b"), estimate("a", 2)]);
        assert_eq!(mail.drain(), []);
    }

    #[test]
    fn what_comes_of_a_closed_peer_is_not_told_and_its_name_may_be_used_again() {
        let mail = Mail::new().expect("mail");
        let close = || Command::Close { peer: name("a") };
        mail.submit(vec![open("a")]);
        mail.tell([connected("a"), estimate("a", 1)]);
        mail.submit(vec![close(), open("a")]);
        mail.tell([connected("a")]);
        assert_eq!(mail.drain(), []);
        mail.closed(&name("a"));
        mail.tell([connected("a")]);
        assert_eq!(mail.drain(), [connected("a")]);
        mail.submit(vec![close(), close()]);
        mail.closed(&name("a"));
        mail.closed(&name("a"));
        mail.tell([Event::Lost { peer: name("a"), loss: Loss::Ice }]);
        assert_eq!(mail.drain(), []);
    }

    #[test]
    fn a_lost_peer_is_told_once_and_says_no_more() {
        let mail = Mail::new().expect("mail");
        mail.submit(vec![open("a")]);
        let lost = Event::Lost { peer: name("a"), loss: Loss::Ice };
        mail.tell([estimate("a", 1), lost.clone(), lost.clone(), connected("a")]);
        assert_eq!(mail.drain(), [lost]);
    }

    #[test]
    fn commands_go_down_in_order() {
        let mail = Mail::new().expect("mail");
        mail.submit(vec![open("a")]);
        mail.submit(vec![open("b")]);
        let mut taken = Vec::new();
        mail.take(&mut taken);
        assert_eq!(taken, [open("a"), open("b")]);
    }
}
