//! What a worker works with: an engine, what goes out of it, and the ways to the control plane and to other workers.
//!
//! It takes one datagram, one order, one thing that another worker shares; `worker.rs` says when.
//! After a panic it begins with a new engine, and its peers are told to be lost.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use super::allocations;
use super::exchange::Exchange;
use super::figures::Figures;
use super::mail::{Lane, Mail};
use super::outlet::Outlet;
use super::socket::Socket;
use super::sockets::Ways;
use super::{Core, Settings};
use crate::command::{Command, Event, Loss, Name, Tally};
use crate::parcel::{Parcel, Record};
use crate::sharing::{Order, Sharing};
use crate::transport::stun;

/// Bytes that may wait to be sent: more than the processor's cache holds is read twice from memory.
const MOST_WAITING: u64 = 4 << 20;

/// Who a worker is among others.
#[derive(Clone)]
pub struct Place {
    /// Its number.
    pub me: usize,
    /// The way to the control plane.
    pub mail: Arc<Mail>,
    /// The way to other workers; None when there are none.
    pub exchange: Option<Arc<Exchange>>,
}

/// See the file's head. Lives on the worker's thread.
pub struct Desk<C, M> {
    make: M,
    pub core: C,
    pub sockets: Vec<Socket>,
    ways: Ways,
    outlets: Vec<Outlet>,
    pub place: Place,
    taken: Vec<Order>,
    /// Peers that the engine was told to open.
    open: HashSet<Name>,
    pub figures: Figures,
    /// Of engines that fell over.
    before: Tally,
    /// The engine's `bytes_out` at the last flush.
    flushed: u64,
}

impl<C: Core, M: FnMut(Instant) -> C> Desk<C, M> {
    /// With a first engine.
    pub fn new(settings: &Settings, sockets: Vec<Socket>, place: Place, mut make: M) -> Self {
        Self {
            core: begin(&mut make, &place),
            make,
            outlets: sockets.iter().map(|_| Outlet::new(settings.gso)).collect(),
            ways: Ways::new(&sockets),
            sockets,
            place,
            taken: Vec::new(),
            open: HashSet::new(),
            figures: Figures::default(),
            before: Tally::default(),
            flushed: 0,
        }
    }

    /// The way to the control plane.
    pub fn lane(&self) -> Option<&Lane> {
        self.place.mail.lanes.get(self.place.me)
    }

    /// Give the engine what came from somebody to one socket: datagrams of `segment` bytes each, but for the last.
    /// `handed`: another worker read it, and thinks that we have the sender.
    pub fn receive(
        &mut self,
        now: Instant,
        from: SocketAddr,
        way: usize,
        (bytes, segment): (&mut [u8], usize),
        handed: bool,
    ) {
        let news = self.ways.is_news(from, way).then(|| dropped(&self.core));
        if news.is_some() {
            // What waits is meant for the way by which this sender came before.
            self.flush();
        }
        let mut ours = true;
        if bytes.is_empty() {
            ours &= self.offer(now, from, way, bytes, handed);
        }
        for datagram in bytes.chunks_mut(segment.max(1)) {
            ours &= self.offer(now, from, way, datagram, handed);
        }
        if news.is_some_and(|before| ours && before == dropped(&self.core)) {
            self.ways.learn(from, way);
        }
        self.relieve();
    }

    /// Let go of what waits if it is much.
    fn relieve(&mut self) {
        if self.core.parcels().iter().any(Parcel::is_large) {
            self.tell();
        }
        if self.core.tally().bytes_out.saturating_sub(self.flushed) > MOST_WAITING {
            self.flush();
        }
    }

    /// Give the engine a datagram; false when it is not for it.
    fn offer(&mut self, now: Instant, from: SocketAddr, way: usize, datagram: &mut [u8], handed: bool) -> bool {
        if self.core.offer(now, from, datagram) {
            return true;
        }
        let owner = if handed { None } else { self.owner(from, datagram) };
        match owner {
            Some(owner) if owner == self.place.me => {
                // It has just become ours: the router's orders say so.
                self.obey(now);
                if self.core.offer(now, from, datagram) {
                    return true;
                }
            }
            Some(owner) => {
                if let Some(parcel) = self.core.parcels().get_mut(owner) {
                    self.figures.handed_over += 1;
                    parcel.push(Record::Datagram { from, way }, datagram);
                    return false;
                }
            }
            None => {}
        }
        self.core.turn_away(now, from, datagram);
        false
    }

    /// Which worker has the sender of a datagram.
    fn owner(&self, from: SocketAddr, datagram: &[u8]) -> Option<usize> {
        let exchange = self.place.exchange.as_ref()?;
        match datagram.first()? {
            0..=3 => match stun::local_ufrag(datagram) {
                Some(ufrag) => self.place.mail.check(ufrag, self.place.me),
                None => exchange.owner(&from),
            },
            20..=63 | 128..=191 => exchange.owner(&from),
            _ => None,
        }
    }

    /// Take in what another worker handed over.
    pub fn unpack(&mut self, now: Instant, record: Record, bytes: &mut [u8]) {
        match record {
            Record::Datagram { from, way } => {
                let length = bytes.len();
                self.receive(now, from, way, (bytes, length), true);
            }
            Record::Shared(shared) => {
                self.figures.mirrored += 1;
                self.core.shared(shared, bytes);
                self.relieve();
            }
        }
    }

    /// Carry out what was ordered.
    pub fn obey(&mut self, now: Instant) {
        // Taken out of `self` so that a panic in the middle loses the rest, not the worker's footing.
        let mut taken = std::mem::take(&mut self.taken);
        if let Some(lane) = self.lane() {
            lane.take(&mut taken);
        }
        for order in taken.drain(..) {
            match order {
                Order::Command(command) => {
                    self.note(&command);
                    self.core.submit(now, command);
                }
                Order::Sharing(sharing) => {
                    match &sharing {
                        Sharing::Again(command) => self.note(command),
                        Sharing::Abandon { peer } => {
                            self.open.remove(peer);
                        }
                        _ => {}
                    }
                    self.core.share(now, sharing);
                }
            }
        }
        self.taken = taken;
    }

    fn note(&mut self, command: &Command) {
        match command {
            Command::Open(open) => {
                self.open.insert(open.peer.clone());
            }
            Command::Close { peer } => {
                // What is of the past is told as such, before the name may be used again.
                self.forward();
                let Place { me, mail, .. } = &self.place;
                mail.tell(self.core.drain(), *me);
                mail.closed(peer, *me);
                self.open.remove(peer);
            }
            _ => {}
        }
    }

    /// Have the engine send on what it took in. Of much, a part leaves after the other.
    fn forward(&mut self) {
        while self.core.forward() {
            self.report();
            self.leave();
        }
    }

    /// Send all that waits, each by its socket.
    pub fn flush(&mut self) {
        self.forward();
        self.leave();
    }

    fn leave(&mut self) {
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

    /// Tell the control plane what happened, and other workers what is theirs.
    pub fn tell(&mut self) {
        self.forward();
        self.report();
    }

    fn report(&mut self) {
        let events = self.core.drain();
        if !events.is_empty() {
            for event in &events {
                if let Event::Lost { peer, .. } = event {
                    self.open.remove(peer);
                }
            }
            // Counted before it is told: who hears of a thing finds it in the totals.
            self.count();
            self.place.mail.tell(events, self.place.me);
        }
        self.hand_over();
    }

    /// Addresses first: whoever is answered by us may send to anybody's socket.
    fn hand_over(&mut self) {
        let Place { me, mail, exchange: Some(exchange) } = &self.place else { return };
        for moved in self.core.moved().drain(..) {
            if !moved.taken {
                exchange.give_up_address(&moved.address, *me);
            } else if let Some(before) = exchange.take_address(moved.address, *me) {
                let disown = Order::Sharing(Sharing::Disown { address: moved.address });
                mail.lanes.iter().skip(before).take(1).for_each(|lane| lane.give([disown.clone()]));
            }
        }
        for (to, parcel) in self.core.parcels().iter_mut().enumerate() {
            if parcel.is_empty() {
                continue;
            }
            if exchange.give(*me, to, parcel) {
                mail.lanes.iter().skip(to).take(1).for_each(|lane| lane.work.ring());
            }
        }
    }

    /// Publish the totals.
    pub fn count(&mut self) {
        self.figures.allocations = allocations::so_far();
        let Some(lane) = self.lane() else { return };
        lane.count(|snapshot| {
            snapshot.tally.copy(&self.before);
            snapshot.tally.add(self.core.tally());
            snapshot.figures = self.figures.clone();
        });
    }

    /// After a panic: its peers are lost, and a new engine begins with none.
    pub fn recover(&mut self) {
        self.figures.panics += 1;
        self.before.add(self.core.tally());
        self.core = begin(&mut self.make, &self.place);
        self.flushed = 0;
        self.taken.clear();
        self.count();
        let Place { me, mail, exchange } = &self.place;
        exchange.iter().for_each(|exchange| exchange.forget(*me));
        mail.tell(self.open.drain().map(|peer| Event::Lost { peer, loss: Loss::Ice }), *me);
    }

    /// Say goodbye to everybody.
    pub fn farewell(&mut self) {
        let now = Instant::now();
        self.obey(now);
        for peer in std::mem::take(&mut self.open) {
            self.core.submit(now, Command::Close { peer });
        }
        self.flush();
        self.count();
    }
}

fn begin<C: Core>(make: &mut impl FnMut(Instant) -> C, place: &Place) -> C {
    let mut core = make(Instant::now());
    core.among(place.mail.lanes.len());
    core
}

fn dropped(core: &impl Core) -> u64 {
    core.tally().drops.iter().sum()
}
