//! A track at a worker that does not have its publisher: fed by the one that has, once for all sinks here.
//!
//! What the publisher's worker took in (after decryption, repair and the search for duplicates)
//! comes as [`Shared`], in order. A mirror caches and forwards it as if it had come from the
//! network, so it answers its sinks' NACKs itself. It tells the publisher nothing and the control
//! plane nothing about layers: its wish for a keyframe goes to the publisher's worker, where
//! it is merged with those of others.

use std::time::{Duration, Instant};

use super::cache::Kept;
use super::rtcp::SenderReport;
use super::source::{Layer, Track};
use super::table::TrackKey;
use super::{Media, PeerKey, Seconds, Sinks};
use crate::command::{Expect, Name, Rid, Tally};

/// In place of the publisher of a mirrored track.
const NOBODY: PeerKey = PeerKey::MAX;

/// Something of one layer, on its way from one worker to another.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The track.
    pub track: Name,
    /// The layer's name.
    pub rid: Rid,
    /// The layer's id at the publisher's worker.
    pub layer: u16,
    /// When it came.
    pub at: Instant,
    /// What it is.
    pub what: What,
}

/// See [`Shared`].
#[derive(Clone, Debug)]
pub enum What {
    /// The layer is there.
    Layer,
    /// A packet, but for its bytes.
    Packet(Kept),
    /// A packet with this extended number is nothing for anyone.
    Skip(i64),
    /// What the publisher says of its clock.
    Report(SenderReport),
    /// From a mirror: it needs a keyframe.
    Wish,
}

/// Tell every mirror of a track.
pub(super) fn share<S: Sinks>(track: &Track, layer: &Layer, at: Instant, what: &What, data: &[u8], sinks: &mut S) {
    for worker in &track.mirrors {
        sinks.share(*worker, note(track, layer, at, what.clone()), data);
    }
}

fn note(track: &Track, layer: &Layer, at: Instant, what: What) -> Shared {
    Shared { track: track.expect.track.clone(), rid: layer.rid.clone(), layer: layer.id, at, what }
}

impl Media {
    /// The moment of a time on this table's clock.
    pub(super) fn moment(&self, time: Seconds) -> Instant {
        self.epoch + Duration::try_from_secs_f64(time).unwrap_or_default()
    }

    /// Forward a track whose publisher `home` has. Said again with other values, it replaces them.
    pub fn mirror(&mut self, expect: Expect, home: usize) {
        match self.by_name.get(&expect.track).and_then(|key| self.tracks.get_mut(*key)) {
            Some(known) => known.expect = expect,
            None => {
                let name = expect.track.clone();
                let mut track = Track::new(NOBODY, expect);
                track.home = Some(home);
                let key = self.tracks.insert(track);
                self.by_name.insert(name, key);
                self.mirrored.push(key);
            }
        }
    }

    /// A worker mirrors a track from now on: tell it which layers there are. False when the track is gone.
    pub fn feed<S: Sinks>(&mut self, now: Instant, track: &Name, worker: usize, sinks: &mut S) -> bool {
        let Some(key) = self.by_name.get(track) else { return false };
        let Some(track) = self.tracks.get_mut(*key) else { return false };
        if !track.mirrors.contains(&worker) {
            track.mirrors.push(worker);
        }
        let Some(track) = self.tracks.get(*key) else { return false };
        for layer in &track.layers {
            sinks.share(worker, note(track, layer, now, What::Layer), &[]);
            if let Some((report, at)) = layer.reception.report {
                sinks.share(worker, note(track, layer, self.moment(at), What::Report(report)), &[]);
            }
        }
        true
    }

    /// A worker mirrors a track no more.
    pub fn starve(&mut self, track: &Name, worker: usize) {
        if let Some(track) = self.by_name.get(track).and_then(|key| self.tracks.get_mut(*key)) {
            track.mirrors.retain(|other| *other != worker);
        }
    }

    /// Take in what another worker shares. What is of a track that is gone here is nothing. A packet may wait for
    /// others of its layer, until `settle`.
    pub fn shared<S: Sinks>(&mut self, shared: Shared, data: &[u8], sinks: &mut S, tally: &mut Tally) {
        let now = self.seconds(shared.at);
        let Some(&key) = self.by_name.get(&shared.track) else { return };
        match &shared.what {
            What::Packet(head) => {
                self.make_way(key, Some(shared.layer), now, sinks, tally);
                self.make_room(head.index, sinks, tally);
            }
            _ => self.settle(sinks, tally),
        }
        let Some(track) = self.tracks.get_mut(key) else { return };
        if track.home.is_none() {
            return self.wished(key, &shared, sinks, tally);
        }
        let kind = track.expect.kind;
        let place = track.adopt(shared.layer, &shared.rid);
        let Some(layer) = track.layers.get_mut(place) else { return };
        match shared.what {
            What::Layer | What::Wish => {}
            What::Skip(index) => {
                for route in &track.routes {
                    if let Some(route) = self.routes.get_mut(*route) {
                        route.skip(shared.layer, index);
                    }
                }
            }
            What::Report(report) => {
                layer.reception.report = Some((report, now));
                self.pass_on((key, shared.layer), now, sinks, tally);
            }
            What::Packet(head) => {
                let index = head.index;
                if layer.repeat(head, data, kind, now) {
                    self.queue(key, place, index, now, sinks, tally);
                }
            }
        }
    }

    /// A mirror needs a keyframe: at once, since a person may wait for the picture.
    fn wished<S: Sinks>(&mut self, key: TrackKey, wish: &Shared, sinks: &mut S, tally: &mut Tally) {
        let Some(track) = self.tracks.get_mut(key) else { return };
        // By name: a layer that began anew meanwhile is the one that the mirror will get.
        let place = track.place(&wish.rid);
        if let (What::Wish, Some(layer)) = (&wish.what, place.and_then(|place| track.layers.get_mut(place))) {
            layer.ask();
            let (publisher, now) = (track.peer, self.seconds(wish.at));
            self.request_keyframes(publisher, now, sinks, tally);
        }
    }

    /// Have the publisher's worker ask for the keyframes that are wanted here.
    pub(super) fn wish<S: Sinks>(&mut self, key: TrackKey, now: Seconds, sinks: &mut S) {
        let at = self.moment(now);
        let Some(track) = self.tracks.get_mut(key) else { return };
        let Some(home) = track.home else { return };
        for layer in &mut track.layers {
            if layer.keyframe_due(now) {
                let (track, rid) = (track.expect.track.clone(), layer.rid.clone());
                sinks.share(home, Shared { track, rid, layer: layer.id, at, what: What::Wish }, &[]);
            }
        }
    }

    /// Every 20 ms: note who waits for a keyframe.
    pub(super) fn look_at_mirrors<S: Sinks>(&mut self, now: Seconds, full_second: bool, sinks: &mut S) {
        let mut at = 0;
        while let Some(&key) = self.mirrored.get(at) {
            at += 1;
            let Some(track) = self.tracks.get_mut(key) else { continue };
            for route in &track.routes {
                let awaited = self.routes.get(*route).and_then(|route| route.waiting_for(track));
                if let Some(layer) = awaited.and_then(|place| track.layers.get_mut(place)) {
                    layer.ask();
                }
            }
            if full_second {
                track.layers.iter_mut().for_each(Layer::measure);
            }
            self.wish(key, now, sinks);
        }
    }
}
