//! What the pump counts of its own work, beside the engine's `Tally`.

use crate::command::Tally;

/// Buckets of `Figures::trains`: 1, 2, to 4, to 8, to 16, to 32, to 64 datagrams in a message.
pub const TRAINS: usize = 7;

/// Totals since start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Turns of the loop.
    pub wakeups: u64,
    /// Calls of `recvmmsg`.
    pub receives: u64,
    /// Datagrams read.
    pub received: u64,
    /// Datagrams longer than any that WebRTC sends; dropped.
    pub cut: u64,
    /// Calls of `sendmmsg`.
    pub sends: u64,
    /// Datagrams sent.
    pub sent: u64,
    /// Messages sent, by how many datagrams each was.
    pub trains: [u64; TRAINS],
    /// Datagrams not sent since the kernel had no room for too long.
    pub overflowed: u64,
    /// Datagrams that the kernel refused: no route, no such address, forbidden.
    pub refused: u64,
    /// Messages that had to be cut up here, since the kernel or the card would not.
    pub cut_up: u64,
    /// Datagrams that came to another worker's socket and were handed over to it.
    pub handed_over: u64,
    /// Packets and reports of tracks that were mirrored here.
    pub mirrored: u64,
    /// What another worker had no room to hand over.
    pub overrun: u64,
    /// Times that the engine fell over and was made anew.
    pub panics: u64,
    /// Pieces of memory asked for by the worker's thread.
    pub allocations: u64,
}

impl Figures {
    /// Count a message that was sent.
    pub fn train(&mut self, datagrams: usize) {
        self.sent += datagrams as u64;
        let bucket = datagrams.max(1).next_power_of_two().trailing_zeros() as usize;
        if let Some(count) = self.trains.get_mut(bucket.min(TRAINS - 1)) {
            *count += 1;
        }
    }
}

/// Everything that is counted, as of the end of one turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The engine's, summed over all engines that this worker had.
    pub tally: Tally,
    /// The pump's.
    pub figures: Figures,
}

impl Figures {
    /// Every figure by its name, but the trains.
    #[must_use]
    pub fn named(&self) -> [(&'static str, u64); 14] {
        [
            ("wakeups", self.wakeups),
            ("receives", self.receives),
            ("received", self.received),
            ("cut", self.cut),
            ("sends", self.sends),
            ("sent", self.sent),
            ("overflowed", self.overflowed),
            ("refused", self.refused),
            ("cut_up", self.cut_up),
            ("handed_over", self.handed_over),
            ("mirrored", self.mirrored),
            ("overrun", self.overrun),
            ("panics", self.panics),
            ("allocations", self.allocations),
        ]
    }
}

impl Snapshot {
    /// Add another worker's totals.
    pub fn add(&mut self, other: &Self) {
        self.tally.add(&other.tally);
        let (sum, more) = (&mut self.figures, &other.figures);
        sum.wakeups += more.wakeups;
        sum.receives += more.receives;
        sum.received += more.received;
        sum.cut += more.cut;
        sum.sends += more.sends;
        sum.sent += more.sent;
        for (count, more) in sum.trains.iter_mut().zip(more.trains) {
            *count += more;
        }
        sum.overflowed += more.overflowed;
        sum.refused += more.refused;
        sum.cut_up += more.cut_up;
        sum.handed_over += more.handed_over;
        sum.mirrored += more.mirrored;
        sum.overrun += more.overrun;
        sum.panics += more.panics;
        sum.allocations += more.allocations;
    }
}

impl Tally {
    /// Add another engine's totals.
    pub fn add(&mut self, other: &Self) {
        self.packets_in += other.packets_in;
        self.packets_out += other.packets_out;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.rtx_out += other.rtx_out;
        self.keyframe_requests += other.keyframe_requests;
        self.probes_out += other.probes_out;
        for (count, more) in self.drops.iter_mut().zip(&other.drops) {
            *count += more;
        }
    }

    /// Become a copy of another, without asking for memory.
    pub fn copy(&mut self, other: &Self) {
        self.drops.fill(0);
        let mut drops = std::mem::take(&mut self.drops);
        drops.copy_from_slice(&other.drops);
        *self = Self { drops, ..*other };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Drop;

    #[test]
    fn a_train_falls_into_its_bucket() {
        let mut figures = Figures::default();
        for length in [1, 2, 3, 4, 5, 8, 9, 64] {
            figures.train(length);
        }
        assert_eq!(figures.trains, [1, 1, 2, 2, 1, 0, 1]);
        assert_eq!(figures.sent, 96);
    }

    #[test]
    fn totals_add_up() {
        let mut one = Tally { packets_in: 3, ..Tally::default() };
        one.drop(Drop::Replayed);
        let mut sum = Tally::default();
        sum.copy(&one);
        assert_eq!(sum, one);
        sum.add(&one);
        assert_eq!((sum.packets_in, sum.drops[Drop::Replayed as usize]), (6, 2));
    }
}
