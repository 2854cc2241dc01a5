//! Which worker has which peer, and what that makes of the control plane's commands.
//!
//! A command goes to the worker that has the peer, or for a route its sink. Where that worker does
//! not have the track's publisher, the track is mirrored there, for as long as a route needs it.
//! A peer that waits for its first check may still go to another worker, the one whose socket
//! the check comes to: so later datagrams come to the right one by themselves. Nothing has been
//! sent to it or come from it by then, so its commands are simply said again. Pure: orders go out in
//! `take`, and whoever carries them keeps their sequence.

use std::collections::HashMap;

use crate::command::{Command, Expect, Highest, Name, Open, Rid, Role, Route, RouteId};
use crate::sharing::{Order, Sharing};

/// Commands about a peer that are kept until its first check; one that has more stays where it is.
const MOST_KEPT: usize = 64;
/// Peers that a worker may have beyond twice as many as another, and still take one from it: hashing is uneven, and a
/// hand-off costs less than a worker that has everybody.
const UNEVEN: usize = 8;

#[derive(Debug)]
struct Home {
    worker: usize,
    /// Until the first check: what to say to another worker.
    kept: Option<Vec<Command>>,
    ufrags: Vec<String>,
    tracks: Vec<Name>,
    /// Routes that end here.
    sinks: Vec<RouteId>,
}

#[derive(Debug)]
struct Source {
    expect: Expect,
    worker: usize,
    routes: Vec<RouteId>,
    /// How many of `routes` end at each worker.
    at: Vec<usize>,
}

#[derive(Debug)]
struct Way {
    route: Route,
    layer: Option<(Option<Rid>, Highest)>,
}

/// See the file's head.
#[derive(Debug)]
pub struct Router {
    /// Peers of each worker.
    loads: Vec<usize>,
    peers: HashMap<Name, Home>,
    ufrags: HashMap<String, Name>,
    tracks: HashMap<Name, Source>,
    routes: HashMap<RouteId, Way>,
    orders: Vec<(usize, Order)>,
}

impl Router {
    /// Between so many workers; nobody is there.
    pub fn new(workers: usize) -> Self {
        Self {
            loads: vec![0; workers],
            peers: HashMap::new(),
            ufrags: HashMap::new(),
            tracks: HashMap::new(),
            routes: HashMap::new(),
            orders: Vec::new(),
        }
    }

    /// Orders since the last call, each with its worker, in the sequence in which they must be given.
    pub fn take(&mut self) -> impl Iterator<Item = (usize, Order)> {
        self.orders.drain(..)
    }

    /// Who has a peer.
    pub fn worker(&self, peer: &Name) -> Option<usize> {
        self.peers.get(peer).map(|home| home.worker)
    }

    /// A command of the control plane. One about what is gone goes to the first worker, who counts it.
    pub fn command(&mut self, command: Command) {
        match command {
            Command::Open(open) => self.open(open),
            Command::Restart { ref peer, ref local, .. } => {
                let worker = self.keep(peer, &command);
                if let Some(home) = self.peers.get_mut(peer) {
                    home.ufrags.push(local.ufrag.clone());
                    self.ufrags.insert(local.ufrag.clone(), peer.clone());
                }
                self.order(worker, command);
            }
            Command::Send { ref peer, .. } | Command::Need { ref peer, .. } => {
                if let (Command::Need { .. }, Some(home)) = (&command, self.peers.get_mut(peer)) {
                    // Only the newest is said again.
                    home.kept.iter_mut().for_each(|kept| kept.retain(|old| !matches!(old, Command::Need { .. })));
                }
                let worker = self.keep(peer, &command);
                self.order(worker, command);
            }
            Command::Close { ref peer } => {
                let peer = peer.clone();
                let worker = self.peers.get(&peer).map_or(0, |home| home.worker);
                self.order(worker, command);
                self.leave(&peer);
            }
            Command::Expect(expect) => self.expect(expect),
            Command::Forget { ref track } => {
                let track = track.clone();
                self.order(self.source(&track), command);
                self.forget(&track);
            }
            Command::Route(route) => self.route(route),
            Command::Unroute { route } => {
                self.order(self.sink(route), command);
                self.detach(route);
            }
            Command::SetLayer { route, ref layer, highest } => {
                if let Some(way) = self.routes.get_mut(&route) {
                    way.layer = Some((layer.clone(), highest));
                }
                self.order(self.sink(route), command);
            }
            Command::Keyframe { ref track, .. } => self.order(self.source(track), command),
        }
    }

    /// A check that names a user fragment came to `here`: who must get it. None when nobody has that name. A peer's
    /// first one decides where the peer is.
    pub fn check(&mut self, ufrag: &str, here: usize) -> Option<usize> {
        let peer = self.ufrags.get(ufrag)?.clone();
        let home = self.peers.get_mut(&peer)?;
        let before = home.worker;
        let Some(kept) = home.kept.take() else { return Some(before) };
        let load = |worker: usize| self.loads.get(worker).copied().unwrap_or(usize::MAX);
        if here != before && load(here) <= load(before).saturating_mul(2).saturating_add(UNEVEN) {
            self.settle(&peer, here, kept);
            return Some(here);
        }
        self.orders.push((before, Order::Sharing(Sharing::Settle { peer })));
        Some(before)
    }

    /// A worker lost a peer.
    pub fn lost(&mut self, peer: &Name, worker: usize) {
        if self.peers.get(peer).is_some_and(|home| home.worker == worker) {
            self.leave(peer);
        }
    }

    fn order(&mut self, worker: usize, command: Command) {
        self.orders.push((worker, Order::Command(command)));
    }

    fn share(&mut self, worker: usize, sharing: Sharing) {
        self.orders.push((worker, Order::Sharing(sharing)));
    }

    fn source(&self, track: &Name) -> usize {
        self.tracks.get(track).map_or(0, |source| source.worker)
    }

    fn sink(&self, route: RouteId) -> usize {
        self.routes.get(&route).and_then(|way| self.peers.get(&way.route.peer)).map_or(0, |home| home.worker)
    }

    /// The worker of a peer, to whom a command goes that must be said again if the peer goes elsewhere.
    fn keep(&mut self, peer: &Name, command: &Command) -> usize {
        let Some(home) = self.peers.get_mut(peer) else { return 0 };
        let worker = home.worker;
        if let Some(kept) = &mut home.kept {
            kept.push(command.clone());
            if kept.len() > MOST_KEPT {
                home.kept = None;
                self.share(worker, Sharing::Settle { peer: peer.clone() });
            }
        }
        worker
    }

    fn open(&mut self, open: Open) {
        if let Some(home) = self.peers.get(&open.peer) {
            return self.order(home.worker, Command::Open(open));
        }
        // Of equal ones the first.
        let worker = self.loads.iter().enumerate().min_by_key(|(_, load)| **load).map_or(0, |(worker, _)| worker);
        if let Some(load) = self.loads.get_mut(worker) {
            *load += 1;
        }
        self.ufrags.insert(open.local.ufrag.clone(), open.peer.clone());
        let home = Home {
            worker,
            kept: (open.role == Role::Answerer).then(|| vec![Command::Open(open.clone())]),
            ufrags: vec![open.local.ufrag.clone()],
            tracks: Vec::new(),
            sinks: Vec::new(),
        };
        self.peers.insert(open.peer.clone(), home);
        self.order(worker, Command::Open(open));
    }

    fn expect(&mut self, expect: Expect) {
        let Some(home) = self.peers.get_mut(&expect.peer) else { return self.order(0, Command::Expect(expect)) };
        let worker = home.worker;
        self.order(worker, Command::Expect(expect.clone()));
        match self.tracks.get_mut(&expect.track) {
            Some(source) if source.expect.peer == expect.peer => {
                source.expect = expect.clone();
                for mirror in source.mirrors() {
                    self.share(mirror, Sharing::Mirror { expect: expect.clone(), home: worker });
                }
            }
            // Another peer's: the engine has its own view of that, and a track never changes hands.
            Some(_) => {}
            None => {
                if let Some(home) = self.peers.get_mut(&expect.peer) {
                    home.tracks.push(expect.track.clone());
                }
                let at = vec![0; self.loads.len()];
                self.tracks.insert(expect.track.clone(), Source { expect, worker, routes: Vec::new(), at });
            }
        }
    }

    fn route(&mut self, route: Route) {
        if let Some(way) = self.routes.get_mut(&route.route) {
            // A route never changes its ends.
            let ends = (way.route.track.clone(), way.route.peer.clone());
            way.route = Route { track: ends.0, peer: ends.1, ..route.clone() };
            return self.order(self.sink(route.route), Command::Route(route));
        }
        if self.peers.contains_key(&route.peer) && self.tracks.contains_key(&route.track) {
            return self.attach(Way { route, layer: None });
        }
        let worker = self.peers.get(&route.peer).map_or(0, |home| home.worker);
        self.order(worker, Command::Route(route));
    }

    /// Have a route begin, and its track mirrored where that is needed.
    fn attach(&mut self, way: Way) {
        let Way { route, layer } = &way;
        let Some(sink) = self.peers.get_mut(&route.peer) else { return };
        let Some(source) = self.tracks.get_mut(&route.track) else { return };
        let (worker, home) = (sink.worker, source.worker);
        sink.sinks.push(route.route);
        source.routes.push(route.route);
        let Some(count) = source.at.get_mut(worker) else { return };
        *count += 1;
        if *count == 1 && worker != home {
            let expect = source.expect.clone();
            self.share(worker, Sharing::Mirror { expect, home });
            self.share(home, Sharing::Feed { track: route.track.clone(), worker });
        }
        self.order(worker, Command::Route(route.clone()));
        if let Some((layer, highest)) = layer {
            let (route, layer, highest) = (route.route, layer.clone(), *highest);
            self.order(worker, Command::SetLayer { route, layer, highest });
        }
        self.routes.insert(route.route, way);
    }

    /// A route is gone, and a mirror that nobody else needs.
    fn detach(&mut self, route: RouteId) -> Option<Way> {
        let worker = self.sink(route);
        let way = self.routes.remove(&route)?;
        if let Some(sink) = self.peers.get_mut(&way.route.peer) {
            sink.sinks.retain(|other| *other != route);
        }
        let track = &way.route.track;
        if let Some(source) = self.tracks.get_mut(track) {
            source.routes.retain(|other| *other != route);
            let home = source.worker;
            let count = source.at.get_mut(worker)?;
            *count = count.saturating_sub(1);
            if *count == 0 && worker != home {
                self.share(worker, Sharing::Unmirror { track: track.clone() });
                self.share(home, Sharing::Starve { track: track.clone(), worker });
            }
        }
        Some(way)
    }

    /// A track is gone, with its mirrors and its routes.
    fn forget(&mut self, track: &Name) {
        let Some(source) = self.tracks.remove(track) else { return };
        for mirror in source.mirrors() {
            self.share(mirror, Sharing::Unmirror { track: track.clone() });
        }
        for route in source.routes {
            self.detach(route);
        }
        if let Some(home) = self.peers.get_mut(&source.expect.peer) {
            home.tracks.retain(|other| other != track);
        }
    }

    /// A peer is gone, with everything that begins or ends at it.
    fn leave(&mut self, peer: &Name) {
        let Some(home) = self.peers.get(peer) else { return };
        let (sinks, tracks) = (home.sinks.clone(), home.tracks.clone());
        sinks.into_iter().for_each(|route| drop(self.detach(route)));
        tracks.iter().for_each(|track| self.forget(track));
        let Some(home) = self.peers.remove(peer) else { return };
        if let Some(load) = self.loads.get_mut(home.worker) {
            *load = load.saturating_sub(1);
        }
        for ufrag in &home.ufrags {
            if self.ufrags.get(ufrag) == Some(peer) {
                self.ufrags.remove(ufrag);
            }
        }
    }

    /// Have another worker take a peer of which nothing has come yet, with all that begins or ends at it.
    fn settle(&mut self, peer: &Name, worker: usize, kept: Vec<Command>) {
        let Some(home) = self.peers.get(peer) else { return };
        let (before, tracks) = (home.worker, home.tracks.clone());
        let published = tracks.iter().filter_map(|track| self.tracks.get(track)).flat_map(|source| &source.routes);
        let mut routes: Vec<RouteId> = home.sinks.iter().chain(published).copied().collect();
        routes.sort_unstable();
        routes.dedup();
        let ways: Vec<Way> = routes.into_iter().filter_map(|route| self.detach(route)).collect();
        self.share(before, Sharing::Abandon { peer: peer.clone() });
        if let Some(load) = self.loads.get_mut(before) {
            *load = load.saturating_sub(1);
        }
        if let Some(load) = self.loads.get_mut(worker) {
            *load += 1;
        }
        if let Some(home) = self.peers.get_mut(peer) {
            home.worker = worker;
        }
        kept.into_iter().for_each(|command| self.share(worker, Sharing::Again(command)));
        for track in tracks {
            let Some(source) = self.tracks.get_mut(&track) else { continue };
            source.worker = worker;
            let expect = source.expect.clone();
            self.order(worker, Command::Expect(expect));
        }
        ways.into_iter().for_each(|way| self.attach(way));
    }
}

impl Source {
    /// Workers that have a mirror.
    fn mirrors(&self) -> Vec<usize> {
        let others = self.at.iter().enumerate().filter(|(worker, count)| **count > 0 && *worker != self.worker);
        others.map(|(worker, _)| worker).collect()
    }
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
