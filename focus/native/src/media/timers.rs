//! What time does: every 20 ms a look at what is missing, and slower beats on multiples of it.

use std::time::Instant;

use super::rtcp::{self, Block, MOST_BLOCKS};
use super::table::{MOST_PACKETS, TrackKey};
use super::{Level, Media, OUR_SSRC, PeerKey, Seconds, Sinks};
use crate::command::{Event, Kind, Tally};

/// Ticks between packets of transport-wide feedback: 60 ms.
const FEEDBACK: u64 = 3;
/// Ticks in a second.
const SECOND: u64 = 50;
/// Seconds without a packet after which a layer has vanished.
const SILENT: Seconds = 2.0;
/// The same while another layer of the track flows: browsers give up their upper layers first, and nobody should wait.
const LAGGING: Seconds = 0.75;

/// What each tick asks of a peer: here, side by side, since nothing of a peer who only watches is in the processor's cache.
#[derive(Clone, Copy, Debug)]
pub struct Turn {
    /// The peer.
    pub peer: PeerKey,
    /// How many peers were opened before: says when in a second this one is told of what it gets.
    pub before: u64,
    /// It publishes, or did.
    pub sends: bool,
}

impl Media {
    /// Every 20 ms.
    pub fn tick<S: Sinks>(&mut self, now: Instant, sinks: &mut S, tally: &mut Tally) {
        let now = self.seconds(now);
        self.beat += 1;
        self.look_at_mirrors(now, self.beat.is_multiple_of(SECOND), sinks);
        let mut at = 0;
        while let Some(Turn { peer, before, sends }) = self.order.get(at).copied() {
            at += 1;
            if sends {
                self.look(peer, now, sinks, tally);
                self.request_keyframes(peer, now, sinks, tally);
            }
            self.look_at_link(peer, now);
            if sends && self.beat.is_multiple_of(FEEDBACK) {
                self.tell_arrivals(peer, sinks, tally);
            }
            if self.beat.is_multiple_of(SECOND) {
                self.second(peer, now, sinks, tally);
            }
            if (self.beat + before).is_multiple_of(SECOND) {
                self.report_all(peer, now, sinks, tally);
            }
        }
    }

    fn published(&self, peer: PeerKey, at: usize) -> Option<TrackKey> {
        self.peers.get(peer)?.tracks.get(at).copied()
    }

    /// Ask for what is missing, and note who waits for a keyframe, who fell silent and who is how loud.
    fn look<S: Sinks>(&mut self, peer: PeerKey, now: Seconds, sinks: &mut S, tally: &mut Tally) {
        let mut at = 0;
        while let Some(key) = self.published(peer, at) {
            at += 1;
            let Some(track) = self.tracks.get_mut(key) else { continue };
            if track.loudness.step(self.beat) {
                Self::tell(&mut self.levels, Level::Loudness(key));
            }
            for route in &track.routes {
                let Some(route) = self.routes.get(*route) else { continue };
                // All that want the same layer want it at once: one asks for them.
                let awaited = route.waiting_for(track);
                if let Some(layer) = awaited.and_then(|place| track.layers.get_mut(place)) {
                    layer.ask();
                }
            }
            let newest = track.layers.iter().map(|layer| layer.last).fold(Seconds::NEG_INFINITY, Seconds::max);
            for layer in &mut track.layers {
                layer.missing.due(now, &mut self.asking);
                if !self.asking.is_empty() {
                    self.scratch.clear();
                    rtcp::nack(&mut self.scratch, OUR_SSRC, layer.ssrc(), &self.asking);
                    Self::say(peer, &self.scratch, sinks, tally);
                }
                if layer.live && (now - layer.last > SILENT || newest - layer.last > LAGGING) {
                    layer.live = false;
                    let track = track.expect.track.clone();
                    self.edges.push(Event::Vanished { track, layer: layer.rid.clone() });
                }
            }
        }
    }

    /// Ask the publisher for the keyframes that are wanted and that the throttle lets through.
    pub(super) fn request_keyframes<S: Sinks>(
        &mut self,
        peer: PeerKey,
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        let mut at = 0;
        while let Some(track) = self.published(peer, at) {
            at += 1;
            // Every packet of sound is a beginning.
            let pictures = self.tracks.get_mut(track).filter(|track| track.expect.kind == Kind::Video);
            for layer in pictures.into_iter().flat_map(|track| &mut track.layers) {
                if layer.keyframe_due(now) {
                    self.scratch.clear();
                    rtcp::picture_loss(&mut self.scratch, OUR_SSRC, layer.ssrc());
                    if Self::say(peer, &self.scratch, sinks, tally) {
                        tally.keyframe_requests += 1;
                    }
                }
            }
        }
    }

    /// Tell the publisher when its packets arrived.
    fn tell_arrivals<S: Sinks>(&mut self, peer: PeerKey, sinks: &mut S, tally: &mut Tally) {
        let Some(publisher) = self.peers.get_mut(peer) else { return };
        publisher.arrivals.feedback(OUR_SSRC, &mut self.scratch, |packet| {
            Self::say(peer, packet, sinks, tally);
        });
    }

    /// Measured rates, and the report to who sends.
    fn second<S: Sinks>(&mut self, peer: PeerKey, now: Seconds, sinks: &mut S, tally: &mut Tally) {
        let mut blocks = [Block::default(); MOST_BLOCKS];
        let mut count = 0;
        let mut at = 0;
        while let Some(key) = self.published(peer, at) {
            at += 1;
            let Some(track) = self.tracks.get_mut(key) else { continue };
            track.rates.clear();
            track.parts.clear();
            for layer in &mut track.layers {
                layer.measure();
                track.rates.push((layer.rid.clone(), layer.rate));
                let rates =
                    layer.parts.rates().map(|(spatial, temporal, bps)| (layer.rid.clone(), spatial, temporal, bps));
                track.parts.extend(rates);
                let block = layer.reception.block(now).filter(|_| layer.live);
                if let Some((block, place)) = block.zip(blocks.get_mut(count)) {
                    *place = block;
                    count += 1;
                }
            }
            if !track.rates.is_empty() {
                Self::tell(&mut self.levels, Level::Rates(key));
            }
        }
        if let Some(blocks) = blocks.get(..count).filter(|blocks| !blocks.is_empty()) {
            self.scratch.clear();
            rtcp::receiver_report(&mut self.scratch, OUR_SSRC, blocks);
            Self::say(peer, &self.scratch, sinks, tally);
        }
        if let Some(sender) = self.peers.get_mut(peer) {
            sender.left = MOST_PACKETS;
        }
    }

    /// Once a second, the peers in turn: all at once would make everything that flows wait.
    fn report_all<S: Sinks>(&mut self, peer: PeerKey, now: Seconds, sinks: &mut S, tally: &mut Tally) {
        let mut at = 0;
        while let Some((_, key)) = self.peers.get(peer).and_then(|peer| peer.sinks.get(at).copied()) {
            at += 1;
            if let Some(route) = self.routes.get_mut(key) {
                let layer = route.layer.and_then(|id| self.tracks.get(route.track)?.known(id));
                route.repair.second(layer.map_or(0, |layer| layer.rate));
            }
            self.report(key, true, now, sinks, tally);
        }
    }
}
