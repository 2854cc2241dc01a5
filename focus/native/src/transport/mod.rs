//! One peer's ICE, DTLS, SCTP and SRTP.
#![forbid(unsafe_code)]

mod generation;
mod ice;
mod pace;
mod replay;
pub mod srtp;
pub mod stun;

use std::net::SocketAddr;

/// Where randomness comes from, so that a test can repeat a run.
pub trait Chance {
    /// Fill with bytes that nobody can foresee.
    fn fill(&mut self, bytes: &mut [u8]);
}

/// Where datagrams go.
pub trait Out {
    /// Send one datagram.
    fn send(&mut self, to: SocketAddr, datagram: &[u8]);
}
