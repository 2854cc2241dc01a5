//! What several workers must do so that they are one engine: orders beside the control plane's commands.
//!
//! The router makes them (`pump/router.rs`), an engine carries them out. Plain values.

use std::net::SocketAddr;

use crate::command::{Command, Expect, Name};

/// See the file's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sharing {
    /// A peer's first check came, and the peer stays where it is: take its datagrams from now on.
    Settle {
        /// The peer.
        peer: Name,
    },
    /// A peer that no datagram came from yet goes to another worker: forget it, and tell nothing.
    Abandon {
        /// The peer.
        peer: Name,
    },
    /// A command about such a peer, at its new worker. Addresses were told already.
    Again(Command),
    /// Forward a track whose publisher another worker has. Said again, it replaces the description.
    Mirror {
        /// The track.
        expect: Expect,
        /// Who has its publisher.
        home: usize,
    },
    /// Forward a mirrored track no more.
    Unmirror {
        /// The track.
        track: Name,
    },
    /// Hand a track's packets to a worker that mirrors it.
    Feed {
        /// The track.
        track: Name,
        /// Who mirrors it.
        worker: usize,
    },
    /// No longer.
    Starve {
        /// The track.
        track: Name,
        /// Who mirrored it.
        worker: usize,
    },
    /// What comes from this address is a peer's of another worker.
    Disown {
        /// The address.
        address: SocketAddr,
    },
}

/// What a worker is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// By the control plane.
    Command(Command),
    /// For the sake of other workers.
    Sharing(Sharing),
}
