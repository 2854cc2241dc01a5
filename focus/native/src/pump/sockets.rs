//! The sockets of one pump, and by which of them a datagram leaves.
//!
//! One socket for each address, all on one port, rather than one for every address: an answer then
//! comes from the address that was asked, as ICE demands (RFC 8445 §7.3), with no control message
//! on each packet in and out; other ports of the machine stay free for others; and what GSO can do
//! is known for each. The price: with several addresses of one family, the pump must remember
//! which of them a sender reached. With one of each family, which is most machines, it need not.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};

use super::Settings;
use super::addresses::{of_this_machine, towards};
use super::socket::{Socket, bind_all};
use super::steering::steer;

/// Senders remembered. Each had a valid check or packet; when there are more, all are forgotten and learnt anew.
const MOST_KNOWN: usize = 1 << 16;

/// Bind what the settings say.
pub fn bind(settings: &Settings) -> io::Result<Vec<Socket>> {
    let any = settings.addresses.is_empty();
    let found;
    let addresses = if any {
        found = of_this_machine()?;
        &found
    } else {
        &settings.addresses
    };
    bind_all(addresses, settings.ports, settings.joined, any)
}

/// What one worker has of each address.
pub struct Sockets {
    pub sockets: Vec<Socket>,
    /// For transport-wide feedback only; none where the kernel does not tell it apart.
    pub patient: Vec<Socket>,
}

/// Sockets of the same addresses and port for so many workers. Each sender comes to one of them always.
pub fn dealt(sockets: Vec<Socket>, workers: usize, joined: bool) -> io::Result<Vec<Sockets>> {
    let twins = |count: usize| (0..count).map(|_| sockets.iter().map(|socket| socket.twin(joined)).collect());
    let others = twins(workers - 1).collect::<io::Result<Vec<Vec<Socket>>>>()?;
    // In this order: those for feedback come last.
    let patient = twins(workers).collect::<io::Result<Vec<Vec<Socket>>>>();
    let steered = sockets.iter().try_for_each(|socket| steer(socket, workers));
    // Without, the kernel deals by its own hash, and would have feedback only come to some.
    let patient = patient.and_then(|patient| steered.map(|()| patient));
    let patient = patient.unwrap_or_else(|_| (0..workers).map(|_| Vec::new()).collect());
    Ok(std::iter::once(sockets)
        .chain(others)
        .zip(patient)
        .map(|(sockets, patient)| Sockets { sockets, patient })
        .collect())
}

/// Where clients reach these sockets: `announce` in place of the bound addresses, as far as it goes.
pub fn candidates(sockets: &[Socket], announce: &[IpAddr]) -> Vec<SocketAddr> {
    let told = announce.iter().copied().map(Some).chain(std::iter::repeat(None));
    sockets
        .iter()
        .map(Socket::address)
        .zip(told)
        .map(|(bound, told)| SocketAddr::new(told.unwrap_or(bound.ip()), bound.port()))
        .collect()
}

/// Which socket is whose; a socket is meant by its place.
pub struct Ways {
    bound: Vec<IpAddr>,
    known: HashMap<SocketAddr, usize>,
}

impl Ways {
    /// Between these sockets; nobody is known yet.
    pub fn new(sockets: &[Socket]) -> Self {
        Self { bound: sockets.iter().map(|socket| socket.address().ip()).collect(), known: HashMap::new() }
    }

    /// Whether it must be remembered that this sender came in here: it could also have come elsewhere, and was not
    /// here last time.
    pub fn is_news(&self, from: SocketAddr, place: usize) -> bool {
        let alike = self.bound.iter().filter(|ip| ip.is_ipv4() == from.is_ipv4()).count();
        alike > 1 && self.known.get(&from) != Some(&place)
    }

    /// Answer this sender from here.
    pub fn learn(&mut self, from: SocketAddr, place: usize) {
        if self.known.len() >= MOST_KNOWN {
            self.known.clear();
        }
        self.known.insert(from, place);
    }

    /// By which socket to send; None when none is of its family.
    pub fn towards(&mut self, to: SocketAddr) -> Option<usize> {
        let mut alike = self.bound.iter().enumerate().filter(|(_, ip)| ip.is_ipv4() == to.is_ipv4());
        let (first, _) = alike.next()?;
        if alike.next().is_none() {
            return Some(first);
        }
        if let Some(place) = self.known.get(&to) {
            return Some(*place);
        }
        // Somebody whom we dial: from the address that the route there would take.
        let from = towards(to);
        let place = self.bound.iter().position(|ip| Some(*ip) == from).unwrap_or(first);
        self.learn(to, place);
        Some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(addresses: &[&str]) -> Vec<Socket> {
        let addresses = addresses.iter().map(|text| text.parse().expect("an address")).collect();
        bind(&Settings { addresses, ..Settings::default() }).expect("bound")
    }

    fn ways(addresses: &[&str]) -> Ways {
        Ways::new(&bound(addresses))
    }

    fn peer(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn with_one_address_nothing_needs_to_be_remembered() {
        let mut ways = ways(&["127.0.0.1"]);
        assert!(!ways.is_news(peer("127.0.0.9:1"), 0));
        assert_eq!(ways.towards(peer("127.0.0.9:1")), Some(0));
        assert_eq!(ways.towards(peer("[::1]:1")), None);
        assert!(ways.known.is_empty());
    }

    #[test]
    fn a_sender_is_answered_from_the_address_that_it_reached() {
        let mut ways = ways(&["127.0.0.1", "127.0.0.2"]);
        let from = peer("127.0.0.9:1");
        assert!(ways.is_news(from, 1));
        ways.learn(from, 1);
        assert!(!ways.is_news(from, 1));
        assert_eq!(ways.towards(from), Some(1));
        assert!(ways.is_news(from, 0));
    }

    #[test]
    fn somebody_unknown_is_dialled_from_the_address_of_the_route() {
        let mut ways = ways(&["127.0.0.2", "127.0.0.1"]);
        assert_eq!(ways.towards(peer("127.0.0.1:9")), Some(1));
    }

    #[test]
    fn as_many_senders_as_there_may_be_are_remembered() {
        let mut ways = ways(&["127.0.0.1", "127.0.0.2"]);
        for port in 1..=u16::MAX {
            ways.learn(SocketAddr::from(([127, 0, 0, 3], port)), 0);
        }
        ways.learn(peer("127.0.0.4:1"), 1);
        ways.learn(peer("127.0.0.4:2"), 1);
        assert!(ways.known.len() <= MOST_KNOWN);
        assert_eq!(ways.towards(peer("127.0.0.4:2")), Some(1));
    }

    #[test]
    fn public_addresses_are_told_in_place_of_bound_ones() {
        let sockets = bound(&["127.0.0.1", "127.0.0.2"]);
        let told = candidates(&sockets, &["198.51.100.7".parse().expect("an address")]);
        let port = sockets[0].address().port();
        assert_eq!(told, [peer(&format!("198.51.100.7:{port}")), peer(&format!("127.0.0.2:{port}"))]);
    }
}
