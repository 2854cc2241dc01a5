//! What a decrypted compound RTCP packet does: to the layers that its sender publishes, and to the routes that end at
//! it. A report about any other stream is counted and ignored.

use std::time::Instant;

use super::mirror::{What, share};
use super::rtcp::{self, Report, SenderReport};
use super::table::{RouteKey, TrackKey};
use super::{Media, PeerKey, Seconds, Sinks};
use crate::command::{Drop, Tally};

impl Media {
    /// A decrypted compound RTCP packet arrived.
    pub fn rtcp<S: Sinks>(&mut self, now: Instant, from: PeerKey, compound: &[u8], sinks: &mut S, tally: &mut Tally) {
        let now = self.seconds(now);
        for report in rtcp::parse(compound) {
            match report {
                Report::Malformed => tally.drop(Drop::MalformedRtcp),
                Report::Sender(report) => self.reported(from, report, now, sinks, tally),
                Report::Nack(ssrc, pairs) => self.resend(from, ssrc, pairs, now, sinks, tally),
                Report::PictureLoss(ssrc) => self.picture_lost(from, ssrc, tally),
                Report::FullIntra(entries) => {
                    rtcp::first_words(entries).for_each(|ssrc| self.picture_lost(from, ssrc, tally));
                }
                Report::Remb(bps, named) => self.said(from, bps, named),
                Report::Bye(leaving) => self.left(from, leaving, tally),
                // Differs from the reference engine, which takes no interest in either.
                Report::Arrivals(_, body) => self.fed_back(from, body, now, tally),
                Report::Receiver(_) => {}
            }
        }
    }

    fn reported<S: Sinks>(
        &mut self,
        from: PeerKey,
        report: SenderReport,
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        let Some(layer) = self.heard(from, report, now) else { return tally.drop(Drop::ForeignRtcp) };
        if let Some(track) = self.tracks.get(layer.0).filter(|track| !track.mirrors.is_empty()) {
            let found = track.layers.iter().find(|other| other.id == layer.1);
            let at = self.moment(now);
            found.into_iter().for_each(|found| share(track, found, at, &What::Report(report), &[], sinks));
        }
        // A layer's first report lets its sinks line up sound and picture: tell them at once.
        if self.peers.get(from).is_some_and(|peer| peer.tracks.contains(&layer.0)) {
            self.pass_on(layer, now, sinks, tally);
        }
    }

    /// Note a report with its layer; the track and the layer's id. None when that is not the sender's.
    fn heard(&mut self, from: PeerKey, report: SenderReport, now: Seconds) -> Option<(TrackKey, u16)> {
        let stream = self.peers.get(from)?.stream(report.ssrc).filter(|stream| !stream.repairing)?;
        let track = self.tracks.get_mut(stream.track)?;
        let place = track.place(&stream.rid)?;
        let layer = track.layers.get_mut(place).filter(|layer| layer.ssrc() == report.ssrc)?;
        layer.reception.report = Some((report, now));
        Some((stream.track, layer.id))
    }

    pub(super) fn pass_on<S: Sinks>(&mut self, layer: (TrackKey, u16), now: Seconds, sinks: &mut S, tally: &mut Tally) {
        let mut at = 0;
        while let Some(route) = self.tracks.get(layer.0).and_then(|track| track.routes.get(at).copied()) {
            at += 1;
            if self.routes.get(route).is_some_and(|route| route.layer == Some(layer.1)) {
                self.report(route, false, now, sinks, tally);
            }
        }
    }

    fn resend<S: Sinks>(
        &mut self,
        from: PeerKey,
        ssrc: u32,
        pairs: &[u8],
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        let Some(peer) = self.peers.get_mut(from) else { return tally.drop(Drop::ForeignRtcp) };
        let Some(route) = peer.sink(ssrc).and_then(|key| self.routes.get_mut(key)) else {
            return tally.drop(Drop::ForeignRtcp);
        };
        let Some(track) = self.tracks.get(route.track) else { return tally.drop(Drop::ForeignRtcp) };
        for sequence in rtcp::nacked(pairs) {
            if peer.link.as_mut().is_some_and(|link| !link.may_repeat(now)) {
                tally.drop(Drop::RtxLimit);
                continue;
            }
            match route.resend(track, sequence, now, &mut peer.departures, sinks) {
                Ok(Some(bytes)) => {
                    peer.link.iter_mut().for_each(|link| link.repeated(bytes));
                    tally.rtx_out += 1;
                    tally.packets_out += 1;
                    tally.bytes_out += bytes as u64;
                }
                Ok(None) => {}
                Err(why) => tally.drop(why),
            }
        }
    }

    fn picture_lost(&mut self, from: PeerKey, ssrc: u32, tally: &mut Tally) {
        let route: Option<RouteKey> = self.peers.get(from).and_then(|peer| peer.sink(ssrc));
        let Some(route) = route.and_then(|key| self.routes.get(key)) else { return tally.drop(Drop::ForeignRtcp) };
        let Some(track) = self.tracks.get_mut(route.track) else { return };
        let layer = track.layers.iter_mut().find(|layer| route.layer == Some(layer.id));
        if let Some(layer) = layer.filter(|layer| route.takes(layer)) {
            layer.ask();
        }
    }

    fn left(&mut self, from: PeerKey, leaving: &[u8], tally: &mut Tally) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        for ssrc in rtcp::words(leaving) {
            let before = peer.streams.len();
            peer.streams.retain(|stream| stream.ssrc != ssrc);
            if peer.streams.len() == before {
                tally.drop(Drop::ForeignRtcp);
            }
        }
    }

    /// Send a sender report to a route's sink, on the publisher's clock, so that sound and picture stay together.
    ///
    /// Each second (`due`), and once as soon as a layer was switched to and its own report is known.
    pub(super) fn report<S: Sinks>(
        &mut self,
        route: RouteKey,
        due: bool,
        now: Seconds,
        sinks: &mut S,
        tally: &mut Tally,
    ) {
        let Some(route) = self.routes.get_mut(route).filter(|route| due || route.report_due) else { return };
        let layer = route.layer.and_then(|id| self.tracks.get(route.track)?.known(id));
        let Some((base, at)) = layer.and_then(|layer| layer.reception.report) else { return };
        route.report_due = false;
        let since = now - at;
        let ntp = base.ntp.wrapping_add((since * 4_294_967_296.0) as i64 as u64);
        let ahead = (since * f64::from(route.route.clock())) as i64 as u32;
        let rtp = base.rtp.wrapping_add(ahead).wrapping_sub(route.rewriter.timestamp_offset);
        let ssrc = route.route.ssrc;
        self.scratch.clear();
        rtcp::sender_report(&mut self.scratch, SenderReport { ssrc, ntp, rtp }, route.packets, route.octets);
        rtcp::source_description(&mut self.scratch, ssrc, &route.publisher);
        Self::say(route.sink, &self.scratch, sinks, tally);
    }

    /// Send RTCP; false when it was not sent.
    pub(super) fn say<S: Sinks>(peer: PeerKey, compound: &[u8], sinks: &mut S, tally: &mut Tally) -> bool {
        let bytes = sinks.rtcp(peer, compound);
        if let Some(bytes) = bytes {
            tally.packets_out += 1;
            tally.bytes_out += bytes as u64;
        }
        bytes.is_some()
    }
}
