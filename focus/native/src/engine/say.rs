//! Texts of the control plane, on their way to a peer's data channel.

use std::time::Instant;

use super::Engine;
use crate::command::Name;
use crate::wires::{Lane, Wires};

impl Engine {
    /// Send a text; `urgent`: past those that wait for what was lost. False for a peer that is gone.
    pub(super) fn say(&mut self, now: Instant, peer: &Name, text: &str, urgent: bool) -> bool {
        let Some(key) = self.keys.get(peer).copied() else { return false };
        let Wires { peers, outbox, .. } = &mut self.wires;
        let Some(Some(found)) = peers.get_mut(key as usize) else { return false };
        if let Err(why) = found.transport.send_text(now, text, urgent, &mut Lane { outbox, peer: key }) {
            self.tally.drop(why);
        }
        self.report(now, key);
        true
    }
}
