//! Whose links carry all that could be used: side by side, so that a tick passes them over without a look at each.
//!
//! Nothing of a peer is in the processor's cache when a tick comes, and looking at a hundred links costs more than all else it
//! does.

use super::{PeerKey, Seconds};
use crate::estimate::is_silent;

/// By peer: as of which feedback its link rests; long ago for all others.
#[derive(Debug, Default)]
pub struct Resting(Vec<Seconds>);

impl Resting {
    /// A link rests as of this feedback; None: it does not.
    pub fn note(&mut self, peer: PeerKey, heard: Option<Seconds>) {
        let place = peer as usize;
        if self.0.len() <= place {
            self.0.resize(place + 1, Seconds::NEG_INFINITY);
        }
        if let Some(slot) = self.0.get_mut(place) {
            *slot = heard.unwrap_or(Seconds::NEG_INFINITY);
        }
    }

    /// Whether a link rests, and its peer is not silent.
    #[must_use]
    pub fn rests(&self, peer: PeerKey, now: Seconds) -> bool {
        self.0.get(peer as usize).is_some_and(|heard| !is_silent(*heard, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_rests_until_its_peer_is_silent_or_it_is_said_not_to() {
        let mut resting = Resting::default();
        assert!(!resting.rests(3, 0.0));
        resting.note(3, Some(5.0));
        assert!(resting.rests(3, 5.9) && !resting.rests(3, 6.1) && !resting.rests(2, 5.0) && !resting.rests(4, 5.0));
        resting.note(3, None);
        assert!(!resting.rests(3, 5.0));
    }
}
