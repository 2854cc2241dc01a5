//! What any bytes must leave intact: one probe for each surface that reads a peer's bytes.
//!
//! A probe takes bytes, does with them what the engine would, and panics where a promise is
//! broken. The fuzz targets in `fuzz/` look for such bytes; the tests here hold every probe to the
//! corpora that the targets left behind. Built for tests and with the feature `probes` only.

#![forbid(unsafe_code)]

mod world;

pub use self::world::engine;
pub use crate::media::probes::{descriptors, extensions, rewriter, rtcp, rtp};
pub use crate::transport::probes::{dtls_records, sctp, stun};

use crate::media::bytes::Draw;
use crate::transport::Chance;

/// Panics where the bytes break a promise.
pub type Probe = fn(&[u8]);

/// Every probe under its name, which is that of its fuzz target and of its corpus.
pub const ALL: &[(&str, Probe)] = &[
    ("stun", stun),
    ("dtls_records", dtls_records),
    ("sctp", sctp),
    ("rtp", rtp),
    ("rtcp", rtcp),
    ("extensions", extensions),
    ("descriptors", descriptors),
    ("rewriter", rewriter),
    ("engine", engine),
];

/// The same chance in every run, so that a finding can be seen again.
impl Chance for Draw {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.fill_with(|| self.next() as u8);
    }
}

/// Bytes as decisions, from the front; zeros when they are used up.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub(crate) fn over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or_default()
    }

    pub(crate) fn pair(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Two bytes of length, then as many bytes; fewer at the end.
    pub(crate) fn piece(&mut self) -> &'a [u8] {
        let length = usize::from(self.pair()).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The files of a probe's corpus, and what is in them.
    fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpora").join(name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let files = files.map(|file| file.expect("a file").path());
        files.map(|path| (path.display().to_string(), fs::read(&path).expect("can be read"))).collect()
    }

    #[test]
    fn what_fuzzing_once_found_breaks_no_promise() {
        for (name, probe) in ALL {
            let files = corpus(name);
            assert!(!files.is_empty(), "{name} has no corpus");
            for (file, data) in files {
                let outcome = std::panic::catch_unwind(|| probe(&data));
                assert!(outcome.is_ok(), "{file}");
            }
        }
    }

    #[test]
    fn chance_breaks_no_promise() {
        let mut draw = Draw::new(31);
        for (name, probe) in ALL {
            for round in 0..if *name == "engine" { 20 } else { 300 } {
                let data = draw.bytes(400);
                let outcome = std::panic::catch_unwind(|| probe(&data));
                assert!(outcome.is_ok(), "{name}, round {round}: {data:?}");
            }
        }
    }
}
