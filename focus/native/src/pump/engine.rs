//! The engine as the pump's core: a name for each call, and nothing else.

use std::net::SocketAddr;
use std::time::Instant;

use super::Core;
use crate::command::{Command, Event, Tally};
use crate::engine::Engine;
use crate::outbox::Outbox;

impl Core for Engine {
    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &mut [u8]) {
        Self::receive(self, now, from, datagram);
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

    fn drain(&mut self) -> Vec<Event> {
        Self::drain(self)
    }

    fn tally(&self) -> &Tally {
        Self::tally(self)
    }

    fn outbox(&mut self) -> &mut Outbox {
        Self::outbox(self)
    }
}
