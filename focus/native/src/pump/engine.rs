//! The engine as the pump's core: a name for each call, and nothing else.

use std::net::SocketAddr;
use std::time::Instant;

use super::Core;
use crate::command::{Command, Event, Tally};
use crate::engine::{Engine, Moved};
use crate::media::mirror::Shared;
use crate::outbox::Outbox;
use crate::parcel::Parcel;
use crate::sharing::Sharing;

impl Core for Engine {
    fn among(&mut self, workers: usize) {
        Self::among(self, workers);
    }

    fn offer(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) -> bool {
        Self::offer(self, now, from, datagram)
    }

    fn turn_away(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        Self::turn_away(self, now, from, datagram);
    }

    fn share(&mut self, now: Instant, sharing: Sharing) {
        Self::share(self, now, sharing);
    }

    fn shared(&mut self, shared: Shared, data: &[u8]) {
        Self::shared(self, shared, data);
    }

    fn parcels(&mut self) -> &mut [Parcel] {
        Self::parcels(self)
    }

    fn moved(&mut self) -> &mut Vec<Moved> {
        Self::moved(self)
    }

    fn submit(&mut self, now: Instant, command: Command) {
        Self::submit(self, now, command);
    }

    fn tick(&mut self, now: Instant) {
        Self::tick(self, now);
    }

    fn deadline(&self) -> Option<Instant> {
        Self::deadline(self)
    }

    fn forward(&mut self) -> bool {
        Self::forward(self)
    }

    fn drain(&mut self) -> Vec<Event> {
        Self::said(self)
    }

    fn tally(&self) -> &Tally {
        Self::tally(self)
    }

    fn outbox(&mut self) -> &mut Outbox {
        Self::written(self)
    }
}
