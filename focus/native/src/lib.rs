//! The native media engine of Weir: what `focus/reference` does in Python, at line rate.
//!
//! `engine` is the whole of it without clock and socket; `pump` owns sockets, threads and the
//! clock; `python` is all that knows PyO3. See README.md for the path of a packet.

#![deny(missing_docs)]
#![deny(unsafe_code)]

pub mod command;
pub mod crowd;
pub mod engine;
pub mod estimate;
pub mod media;
pub mod outbox;
pub mod parcel;
#[cfg(any(test, feature = "probes"))]
pub mod probes;
pub mod pump;
#[cfg(feature = "python")]
mod python;
pub mod sharing;
pub mod table;
pub mod transport;
mod wires;
