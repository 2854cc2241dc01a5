//! What crosses between a transport and its surroundings besides its methods' arguments.

use std::net::SocketAddr;

use crate::command::Loss;

/// Where randomness comes from, so that a test can repeat a run.
pub trait Chance {
    /// Fill with bytes that nobody can foresee.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// The machine's randomness.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemChance;

impl Chance for SystemChance {
    fn fill(&mut self, bytes: &mut [u8]) {
        // Without randomness there is no security: then the transport that asks ends.
        aws_lc_rs::rand::fill(bytes).expect("the machine has no randomness");
    }
}

/// Where datagrams go.
pub trait Out {
    /// Send one datagram.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);
}

/// What a transport reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransportEvent {
    /// The peer is who it should be, and media may flow.
    Connected,
    /// The data channel is open.
    Opened,
    /// A text came on the data channel.
    Message(String),
    /// It is over. Nothing follows.
    Lost(Loss),
}
