//! What one worker hands to another: datagrams that came to the wrong socket, and packets that both forward.
//!
//! A parcel is what came of one batch, in order. It keeps its memory from one batch to the next:
//! in steady state nothing is allocated, and a packet costs one copy.

use std::net::SocketAddr;

use crate::media::mirror::Shared;

/// Records in a parcel: a stall of 40 ms at 100,000 packets a second.
const MOST_RECORDS: usize = 4096;
/// From so many on, a parcel should leave.
const LARGE: usize = 512;
/// Bytes in a parcel: as many packets of full size.
const MOST_BYTES: usize = MOST_RECORDS * 1500;

/// What is handed over, beside its bytes.
#[derive(Debug)]
pub enum Record {
    /// A datagram of a peer that the other worker has.
    Datagram {
        /// The sender.
        from: SocketAddr,
        /// The place of the socket that it came to: the same at every worker.
        way: usize,
    },
    /// Something of a track that is mirrored.
    Shared(Shared),
}

/// See the file's head.
#[derive(Debug, Default)]
pub struct Parcel {
    /// Each with how many bytes go with it.
    records: Vec<(Record, usize)>,
    bytes: Vec<u8>,
    /// What there was no room for.
    overrun: u64,
}

impl Parcel {
    /// Put something in, behind what is there. What does not fit is counted, and not put in.
    pub fn push(&mut self, record: Record, bytes: &[u8]) {
        if !self.has_room(1, bytes.len()) {
            self.overrun += 1;
            return;
        }
        self.bytes.extend_from_slice(bytes);
        self.records.push((record, bytes.len()));
    }

    fn has_room(&self, records: usize, bytes: usize) -> bool {
        self.records.len() + records <= MOST_RECORDS && self.bytes.len() + bytes <= MOST_BYTES
    }

    /// Put everything in another one behind what is there, or count it; the other is empty then.
    pub fn append(&mut self, other: &mut Self) {
        self.overrun += std::mem::take(&mut other.overrun);
        if self.has_room(other.records.len(), other.bytes.len()) {
            self.bytes.append(&mut other.bytes);
            self.records.append(&mut other.records);
        } else {
            for (record, bytes) in other.drain() {
                self.push(record, bytes);
            }
        }
        other.clear();
    }

    /// Take everything out, in order. `clear` it after that.
    pub fn drain(&mut self) -> impl Iterator<Item = (Record, &mut [u8])> {
        let mut rest = self.bytes.as_mut_slice();
        self.records.drain(..).map_while(move |(record, length)| {
            let (bytes, after) = std::mem::take(&mut rest).split_at_mut_checked(length)?;
            rest = after;
            Some((record, bytes))
        })
    }

    /// Whether it should leave before more is put in.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.records.len() >= LARGE
    }

    /// Whether nothing is in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// How much there was no room for since the last call.
    pub fn overrun(&mut self) -> u64 {
        std::mem::take(&mut self.overrun)
    }

    /// Forget everything that is in it.
    pub fn clear(&mut self) {
        self.records.clear();
        self.bytes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(way: usize) -> Record {
        Record::Datagram { from: SocketAddr::from(([127, 0, 0, 1], 9)), way }
    }

    fn taken(parcel: &mut Parcel) -> Vec<(usize, Vec<u8>)> {
        let found = parcel.drain().map(|(record, bytes)| match record {
            Record::Datagram { way, .. } => (way, bytes.to_vec()),
            Record::Shared(_) => unreachable!("none was put in"),
        });
        let found = found.collect();
        parcel.clear();
        found
    }

    #[test]
    fn what_went_in_comes_out_in_order_with_its_bytes() {
        let (mut parcel, mut more) = (Parcel::default(), Parcel::default());
        for round in 0..3 {
            parcel.push(datagram(0), b"first");
            parcel.push(datagram(1), b"");
            more.push(datagram(2), &[round; 3]);
            parcel.append(&mut more);
            assert!(more.is_empty() && !parcel.is_empty());
            assert_eq!(taken(&mut parcel), [(0, b"first".to_vec()), (1, vec![]), (2, vec![round; 3])]);
        }
        assert_eq!(taken(&mut parcel), []);
    }

    #[test]
    fn a_full_one_keeps_the_oldest_and_counts_the_rest() {
        for (size, fit) in [(0, MOST_RECORDS), (1500, MOST_RECORDS), (6000, MOST_RECORDS / 4)] {
            let (mut parcel, mut more) = (Parcel::default(), Parcel::default());
            for way in 0..fit {
                if way % 2 == 0 { &mut parcel } else { &mut more }.push(datagram(way), &vec![0; size]);
            }
            parcel.append(&mut more);
            more.push(datagram(fit), &vec![0; size]);
            parcel.append(&mut more);
            parcel.push(datagram(fit), &vec![0; size]);
            assert_eq!((parcel.overrun(), parcel.overrun()), (2, 0), "{size}");
            assert_eq!(taken(&mut parcel).len(), fit, "{size}");
        }
    }

    #[test]
    fn its_memory_is_used_again() {
        let mut parcel = Parcel::default();
        (0..100).for_each(|way| parcel.push(datagram(way), &[0; 1200]));
        taken(&mut parcel);
        let room = (parcel.records.capacity(), parcel.bytes.capacity());
        (0..100).for_each(|way| parcel.push(datagram(way), &[0; 1200]));
        assert_eq!((parcel.records.capacity(), parcel.bytes.capacity()), room);
    }
}
