//! Addresses: the kernel's form of them and ours, those of this machine, and the one a route would leave from.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};

use libc::{AF_INET, AF_INET6, in_addr, in6_addr, sa_family_t, sockaddr_in, sockaddr_in6, socklen_t};

/// A socket address as the kernel reads and writes it: the smaller of the two forms tells which it is.
#[derive(Clone, Copy)]
#[repr(C)]
pub union Raw {
    v4: sockaddr_in,
    v6: sockaddr_in6,
}

impl Raw {
    /// Room for any address.
    pub const ROOM: socklen_t = size_of::<Self>() as socklen_t;

    /// Room for the kernel to write into.
    pub fn empty() -> Self {
        // SAFETY: both forms are plain integers, for which zero is a value.
        unsafe { zeroed() }
    }

    /// Ours to the kernel's, with its length.
    pub fn of(address: SocketAddr) -> (Self, socklen_t) {
        match address {
            SocketAddr::V4(address) => {
                let raw = sockaddr_in {
                    sin_family: AF_INET as sa_family_t,
                    sin_port: address.port().to_be(),
                    sin_addr: in_addr { s_addr: u32::from_ne_bytes(address.ip().octets()) },
                    sin_zero: [0; 8],
                };
                let mut whole = Self::empty();
                whole.v4 = raw;
                (whole, size_of::<sockaddr_in>() as socklen_t)
            }
            SocketAddr::V6(address) => {
                let raw = sockaddr_in6 {
                    sin6_family: AF_INET6 as sa_family_t,
                    sin6_port: address.port().to_be(),
                    sin6_flowinfo: address.flowinfo(),
                    sin6_addr: in6_addr { s6_addr: address.ip().octets() },
                    sin6_scope_id: address.scope_id(),
                };
                (Self { v6: raw }, size_of::<sockaddr_in6>() as socklen_t)
            }
        }
    }

    /// The kernel's to ours; None for another family.
    pub fn address(&self) -> Option<SocketAddr> {
        // SAFETY: the family comes first in both forms, every bit pattern is an integer, and the union was zeroed
        // or written whole before.
        unsafe {
            match i32::from(self.v4.sin_family) {
                AF_INET => {
                    let ip = Ipv4Addr::from(self.v4.sin_addr.s_addr.to_ne_bytes());
                    Some(SocketAddrV4::new(ip, u16::from_be(self.v4.sin_port)).into())
                }
                AF_INET6 => {
                    let ip = Ipv6Addr::from(self.v6.sin6_addr.s6_addr);
                    // A flow label is no part of who somebody is: it may change within a flow (RFC 6437 §2).
                    Some(SocketAddrV6::new(ip, u16::from_be(self.v6.sin6_port), 0, self.v6.sin6_scope_id).into())
                }
                _ => None,
            }
        }
    }
}

/// Every address of this machine that others can reach: no loopback, nothing that holds on one link only.
pub fn of_this_machine() -> io::Result<Vec<IpAddr>> {
    let mut first: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs writes one pointer, and fails without writing.
    if unsafe { libc::getifaddrs(&raw mut first) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next = first;
    // SAFETY: the list is null-terminated and ours until it is freed below.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        let up = entry.ifa_flags & libc::IFF_UP as u32 != 0;
        if entry.ifa_addr.is_null() || !up {
            continue;
        }
        // SAFETY: an address of these two families is as long as its form; its family is read first.
        let raw = unsafe {
            let mut raw = Raw::empty();
            match i32::from((*entry.ifa_addr).sa_family) {
                AF_INET => raw.v4 = entry.ifa_addr.cast::<sockaddr_in>().read_unaligned(),
                AF_INET6 => raw.v6 = entry.ifa_addr.cast::<sockaddr_in6>().read_unaligned(),
                _ => continue,
            }
            raw
        };
        found.extend(raw.address().map(|address| address.ip()).filter(|ip| reachable(*ip)));
    }
    // SAFETY: `first` came from getifaddrs and is freed once.
    unsafe { libc::freeifaddrs(first) };
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Whether somebody on another machine could use this address.
fn reachable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

/// The address that the kernel would send from; nothing is sent. None without a route.
pub fn towards(to: SocketAddr) -> Option<IpAddr> {
    let any: IpAddr = if to.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let probe = UdpSocket::bind((any, 0)).ok()?;
    probe.connect(to).ok()?;
    Some(probe.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_survives_the_kernels_form() {
        for text in ["192.0.2.7:4000", "[2001:db8::7]:65535", "[fe80::1%3]:1"] {
            let address: SocketAddr = text.parse().expect("an address");
            assert_eq!(Raw::of(address).0.address(), Some(address));
        }
        assert_eq!(Raw::empty().address(), None);
    }

    #[test]
    fn what_only_this_machine_or_link_can_use_is_left_out() {
        for (text, expected) in [
            ("127.0.0.1", false),
            ("169.254.1.1", false),
            ("0.0.0.0", false),
            ("10.0.0.1", true),
            ("::1", false),
            ("fe80::1", false),
            ("2001:db8::1", true),
        ] {
            assert_eq!(reachable(text.parse().expect("an address")), expected, "{text}");
        }
        assert!(of_this_machine().expect("a list").into_iter().all(reachable));
    }

    #[test]
    fn loopback_is_left_from_loopback() {
        let to = SocketAddr::from(([127, 0, 0, 1], 9));
        assert_eq!(towards(to), Some(to.ip()));
    }
}
