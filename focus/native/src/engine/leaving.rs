//! What leaves the engine: what waits to be sent, and events.
//!
//! What came together waits to be sent on together; whoever looks has it sent on before, all at once or a part after the other.

use super::Engine;
use crate::command::Event;
use crate::outbox::Outbox;

impl Engine {
    /// What waits to be sent; `clear` it once it is.
    pub fn outbox(&mut self) -> &mut Outbox {
        self.forward_all();
        self.written()
    }

    /// Take all events so far: edges in order, then the newest of each level.
    pub fn drain(&mut self) -> Vec<Event> {
        self.forward_all();
        self.said()
    }

    /// Send on all that was taken in.
    pub(super) fn forward_all(&mut self) {
        self.media.settle(&mut self.wires, &mut self.tally);
    }

    /// Send on what was taken in, until as much waits as had better leave: true then, and the rest is for the next
    /// call.
    pub fn forward(&mut self) -> bool {
        self.media.settle_part(&mut self.wires, &mut self.tally)
    }

    /// As `outbox`, without what `forward` left.
    pub fn written(&mut self) -> &mut Outbox {
        &mut self.wires.outbox
    }

    /// As `drain`, without what `forward` left.
    pub fn said(&mut self) -> Vec<Event> {
        self.media.drain(&mut self.events);
        std::mem::take(&mut self.events)
    }
}
