//! Where workers hand things to each other: a lane for each pair, and who has which address.
//!
//! A lane changes hands as a whole: whoever gives puts a batch behind what lies there, whoever takes
//! goes away with all of it. So a lock is held for a swap or one copy of a batch, packets of one
//! sender keep their order, and nothing is allocated in steady state.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError, RwLock};

use crate::parcel::Parcel;

/// See the file's head.
#[derive(Debug)]
pub struct Exchange {
    workers: usize,
    /// From one worker to another: row by row.
    lanes: Vec<Mutex<Parcel>>,
    /// Addresses of peers, as their workers learnt them from authenticated checks.
    addresses: RwLock<HashMap<SocketAddr, usize>>,
}

impl Exchange {
    /// Between so many workers.
    pub fn new(workers: usize) -> Self {
        let lanes = std::iter::repeat_with(Mutex::default).take(workers * workers).collect();
        Self { workers, lanes, addresses: RwLock::default() }
    }

    /// Everybody.
    pub fn workers(&self) -> usize {
        self.workers
    }

    fn with<T>(&self, from: usize, to: usize, work: impl FnOnce(&mut Parcel) -> T) -> Option<T> {
        let lane = self.lanes.get(from * self.workers + to)?;
        Some(work(&mut lane.lock().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Hand over a parcel, which is empty then. True if the lane was empty: then `to` must be woken.
    pub fn give(&self, from: usize, to: usize, parcel: &mut Parcel) -> bool {
        let first = self.with(from, to, |lane| {
            let first = lane.is_empty();
            if first {
                lane.clear();
                std::mem::swap(lane, parcel);
            } else {
                lane.append(parcel);
            }
            first
        });
        first.unwrap_or(false)
    }

    /// Take what lies there, in exchange for an empty parcel. False when there is nothing.
    pub fn take(&self, from: usize, to: usize, parcel: &mut Parcel) -> bool {
        self.with(from, to, |lane| std::mem::swap(lane, parcel));
        !parcel.is_empty()
    }

    /// Who has a sender.
    pub fn owner(&self, address: &SocketAddr) -> Option<usize> {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner).get(address).copied()
    }

    /// A worker has this address now. Who had it before, if somebody else did.
    pub fn take_address(&self, address: SocketAddr, worker: usize) -> Option<usize> {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        addresses.insert(address, worker).filter(|before| *before != worker)
    }

    /// A worker gave this address up.
    pub fn give_up_address(&self, address: &SocketAddr, worker: usize) {
        let mut addresses = self.addresses.write().unwrap_or_else(PoisonError::into_inner);
        if addresses.get(address) == Some(&worker) {
            addresses.remove(address);
        }
    }

    /// A worker has nobody any more.
    pub fn forget(&self, worker: usize) {
        self.addresses.write().unwrap_or_else(PoisonError::into_inner).retain(|_, owner| *owner != worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parcel::Record;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn give(exchange: &Exchange, from: usize, to: usize, way: usize) -> bool {
        let mut parcel = Parcel::default();
        parcel.push(Record::Datagram { from: address(1), way }, &[way as u8]);
        exchange.give(from, to, &mut parcel)
    }

    fn taken(exchange: &Exchange, from: usize, to: usize) -> Vec<u8> {
        let mut parcel = Parcel::default();
        exchange.take(from, to, &mut parcel);
        parcel.drain().map(|(_, bytes)| bytes[0]).collect()
    }

    #[test]
    fn what_is_given_is_taken_once_in_order_and_by_whom_it_is_for() {
        let exchange = Exchange::new(3);
        assert!(give(&exchange, 0, 1, 1), "nobody was told before");
        assert!(!give(&exchange, 0, 1, 2), "somebody was");
        assert!(give(&exchange, 2, 1, 3) && give(&exchange, 1, 0, 4));
        assert_eq!(taken(&exchange, 0, 1), [1, 2]);
        assert_eq!(taken(&exchange, 0, 1), []);
        assert_eq!(
            (taken(&exchange, 2, 1), taken(&exchange, 1, 0), taken(&exchange, 1, 2)),
            (vec![3], vec![4], vec![])
        );
        assert!(give(&exchange, 0, 1, 5));
    }

    #[test]
    fn between_two_threads_nothing_is_lost_and_nothing_overtakes() {
        let exchange = Exchange::new(2);
        let all = 20_000_u32;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut parcel = Parcel::default();
                for number in 0..all {
                    parcel.push(Record::Datagram { from: address(1), way: 0 }, &number.to_be_bytes());
                    if number % 7 == 0 || number + 1 == all {
                        exchange.give(0, 1, &mut parcel);
                    }
                    while number % 500 == 0 && !taken_all(&exchange) {
                        std::thread::yield_now();
                    }
                }
            });
            let (mut parcel, mut next) = (Parcel::default(), 0);
            while next < all {
                exchange.take(0, 1, &mut parcel);
                for (_, bytes) in parcel.drain() {
                    assert_eq!(bytes, next.to_be_bytes());
                    next += 1;
                }
                parcel.clear();
            }
        });
    }

    /// So that the giver does not run ahead of what a lane holds.
    fn taken_all(exchange: &Exchange) -> bool {
        exchange.with(0, 1, |lane| lane.is_empty()).unwrap_or(true)
    }

    #[test]
    fn an_address_is_whose_it_was_last() {
        let exchange = Exchange::new(2);
        assert_eq!(exchange.take_address(address(1), 0), None);
        assert_eq!(exchange.take_address(address(1), 0), None);
        assert_eq!(exchange.take_address(address(1), 1), Some(0));
        exchange.give_up_address(&address(1), 0);
        assert_eq!(exchange.owner(&address(1)), Some(1));
        exchange.take_address(address(2), 0);
        exchange.forget(1);
        assert_eq!((exchange.owner(&address(1)), exchange.owner(&address(2))), (None, Some(0)));
    }
}
