//! One UDP socket: how it is bound, and how datagrams come in, many at a time.

use std::io;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use libc::{c_int, c_void, iovec, mmsghdr, socklen_t};

use super::addresses::Raw;

/// Datagrams of one `recvmmsg`: more brings nothing (measured: batches of 11 to 16 at full load).
pub const BATCH: usize = 64;
/// The longest datagram that is taken: Ethernet's 1500, and room to see that one was longer.
pub const LONGEST: usize = 2048;
/// With UDP_GRO the kernel joins datagrams up to what one could be.
const LONGEST_JOINED: usize = 65_535;
/// Bytes that the kernel may hold: a stall of 50 ms at 1 Gbit/s.
const KERNEL_HOLDS: c_int = 8 << 20;

/// A bound, non-blocking socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    address: SocketAddr,
}

impl Socket {
    /// Bind one address and port (0 for any). `joined`: let the kernel join datagrams (UDP_GRO).
    pub fn bind(ip: IpAddr, port: u16, joined: bool) -> io::Result<Self> {
        Self::make(ip, port, joined, false)
    }

    /// Another socket of the same address and port. The first one was bound without SO_REUSEPORT and gets it only now:
    /// so a port that somebody else uses, in this way or another, is still an error.
    pub fn twin(&self, joined: bool) -> io::Result<Self> {
        set(&self.fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        Self::make(self.address.ip(), self.address.port(), joined, true)
    }

    fn make(ip: IpAddr, port: u16, joined: bool, shared: bool) -> io::Result<Self> {
        let family = if ip.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
        let kind = libc::SOCK_DGRAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: no pointer is passed; a descriptor that is not negative is new and ours.
        let fd = unsafe { libc::socket(family, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: see above.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        if ip.is_ipv6() {
            set(&fd, libc::IPPROTO_IPV6, libc::IPV6_V6ONLY, 1)?;
        }
        for (forced, asked) in [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)] {
            // Beyond the machine's limit only for the privileged; below it, what there is.
            if set(&fd, libc::SOL_SOCKET, forced, KERNEL_HOLDS).is_err() {
                set(&fd, libc::SOL_SOCKET, asked, KERNEL_HOLDS)?;
            }
        }
        if joined {
            set(&fd, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        }
        if shared {
            set(&fd, libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)?;
        }
        let (raw, length) = Raw::of(SocketAddr::new(ip, port));
        // SAFETY: `raw` is as long as `length` says.
        if unsafe { libc::bind(fd.as_raw_fd(), ptr::from_ref(&raw).cast(), length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let (mut raw, mut length) = (Raw::empty(), Raw::ROOM);
        // SAFETY: the kernel writes at most `length` bytes.
        if unsafe { libc::getsockname(fd.as_raw_fd(), ptr::from_mut(&mut raw).cast(), &raw mut length) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let address = raw.address().ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { fd, address })
    }

    /// Have the kernel tell of each datagram when it came (SO_TIMESTAMPNS).
    pub fn stamp(&self) -> io::Result<()> {
        set(&self.fd, libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, 1)
    }

    /// What it is bound to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// For the system calls of this folder.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

fn set(fd: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = size_of::<c_int>() as socklen_t;
    // SAFETY: the value is an int, as its length says.
    match unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, ptr::from_ref(&value).cast::<c_void>(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Bind one port at all these addresses: of `low..=high`, or any for 0. Addresses that cannot be bound are an error,
/// unless `some_will_do`.
pub fn bind_all(
    addresses: &[IpAddr],
    (low, high): (u16, u16),
    joined: bool,
    some_will_do: bool,
) -> io::Result<Vec<Socket>> {
    /// Ports tried before we believe that an address, not a port, is at fault.
    const TRIES: usize = 16;
    let mut last = io::Error::new(io::ErrorKind::AddrNotAvailable, "there is no address to bind");
    let ports: Vec<u16> = if low == 0 { vec![0; TRIES] } else { (low..=high.max(low)).collect() };
    for port in ports {
        let mut port = port;
        let mut sockets: Vec<Socket> = Vec::new();
        let mut failed = false;
        for ip in addresses {
            match Socket::bind(*ip, port, joined) {
                Ok(socket) => {
                    port = socket.address().port();
                    sockets.push(socket);
                }
                Err(error) => {
                    // Somebody else's port: another one may be free at all addresses.
                    failed |= !some_will_do || error.kind() == io::ErrorKind::AddrInUse;
                    last = io::Error::new(error.kind(), format!("{ip}: {error}"));
                }
            }
        }
        if !failed && !sockets.is_empty() {
            return Ok(sockets);
        }
        if last.kind() != io::ErrorKind::AddrInUse {
            break;
        }
    }
    Err(last)
}

/// Room for two control messages, an int (UDP_GRO) and a time, aligned as the kernel wants them.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 64]);

/// Where a batch of datagrams is read into. Made and used by one thread.
pub struct Inlet {
    room: usize,
    joined: bool,
    stamped: bool,
    bytes: Vec<u8>,
    names: Vec<Raw>,
    controls: Vec<Control>,
    iovecs: Vec<iovec>,
    headers: Vec<mmsghdr>,
    /// The kernel wrote into so many of them: the others are as they must be.
    written: usize,
}

/// A datagram, or several of one sender that the kernel joined.
pub struct Received<'a> {
    /// The sender.
    pub from: SocketAddr,
    /// What it sent; cut if it was longer than the room.
    pub bytes: &'a mut [u8],
    /// Size of each datagram in it but the last.
    pub segment: usize,
    /// It was longer than the room.
    pub cut: bool,
    /// When it came, in nanoseconds since the Unix epoch, where that is told.
    pub stamp: Option<u64>,
}

impl Inlet {
    /// Memory for a batch. `joined`: as the sockets were bound.
    pub fn new(joined: bool) -> Self {
        Self::with(joined, false)
    }

    /// As `new`. `stamped`: the sockets tell when what they get came.
    pub fn with(joined: bool, stamped: bool) -> Self {
        let room = if joined { LONGEST_JOINED } else { LONGEST };
        // SAFETY: a header of null pointers and zero lengths is a valid one.
        let header: mmsghdr = unsafe { zeroed() };
        Self {
            room,
            joined,
            stamped,
            bytes: vec![0; room * BATCH],
            names: vec![Raw::empty(); BATCH],
            controls: vec![Control([0; 64]); BATCH],
            iovecs: vec![iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH],
            headers: vec![header; BATCH],
            written: BATCH,
        }
    }

    /// Read what is there; returns how many, 0 for nothing.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        let rows = self.bytes.chunks_exact_mut(self.room).zip(&mut self.names).zip(&mut self.controls);
        let all = rows.zip(self.iovecs.iter_mut().zip(&mut self.headers));
        for (((row, name), control), (iovec, header)) in all.take(self.written) {
            iovec.iov_base = row.as_mut_ptr().cast();
            iovec.iov_len = row.len();
            let header = &mut header.msg_hdr;
            header.msg_name = ptr::from_mut(name).cast();
            header.msg_namelen = Raw::ROOM;
            header.msg_iov = iovec;
            header.msg_iovlen = 1;
            header.msg_flags = 0;
            if self.joined || self.stamped {
                header.msg_control = ptr::from_mut(control).cast();
                header.msg_controllen = size_of::<Control>();
            }
        }
        let headers = self.headers.as_mut_ptr();
        // SAFETY: every header points into memory of `self`, with its length, that nobody else touches meanwhile.
        let count = unsafe { libc::recvmmsg(socket.fd(), headers, BATCH as u32, libc::MSG_DONTWAIT, ptr::null_mut()) };
        // One that was begun and failed may have been written into, too.
        self.written = usize::try_from(count).map_or(1, |count| (count + 1).min(BATCH));
        usize::try_from(count).or_else(|_| match io::Error::last_os_error() {
            error if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(0),
            error => Err(error),
        })
    }

    /// The datagram at a place below what `receive` returned; None if its sender has no address.
    pub fn at(&mut self, place: usize) -> Option<Received<'_>> {
        let header = self.headers.get(place)?;
        let from = self.names.get(place)?.address()?;
        let length = header.msg_len as usize;
        let start = place * self.room;
        let told = if self.joined || self.stamped { told(&header.msg_hdr) } else { Told::default() };
        let cut = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        let bytes = self.bytes.get_mut(start..start + length.min(self.room))?;
        Some(Received { from, segment: told.segment.unwrap_or(length).max(1), bytes, cut, stamp: told.stamp })
    }
}

/// What the kernel says of a datagram beside its bytes.
#[derive(Default)]
struct Told {
    /// The size of those that it joined.
    segment: Option<usize>,
    stamp: Option<u64>,
}

fn told(header: &libc::msghdr) -> Told {
    let mut told = Told::default();
    // SAFETY: the kernel wrote the control messages and their total length into our room; the macros stay in it, and
    // each kind of message has the value that is read.
    unsafe {
        let mut control = libc::CMSG_FIRSTHDR(header);
        while let Some(found) = control.as_ref() {
            match (found.cmsg_level, found.cmsg_type) {
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = libc::CMSG_DATA(control).cast::<c_int>().read_unaligned();
                    told.segment = usize::try_from(size).ok();
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    let time = libc::CMSG_DATA(control).cast::<libc::timespec>().read_unaligned();
                    told.stamp = Some((time.tv_sec as u64).wrapping_mul(1_000_000_000) + time.tv_nsec as u64);
                }
                _ => {}
            }
            control = libc::CMSG_NXTHDR(header, control);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, UdpSocket};

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn client() -> UdpSocket {
        UdpSocket::bind((HOME, 0)).expect("a socket")
    }

    #[test]
    fn datagrams_come_in_with_their_sender_and_one_that_is_too_long_says_so() {
        let socket = Socket::bind(HOME, 0, false).expect("a socket");
        let (one, other) = (client(), client());
        one.send_to(b"first", socket.address()).expect("sent");
        other.send_to(&[7; LONGEST + 1], socket.address()).expect("sent");
        other.send_to(b"", socket.address()).expect("sent");
        let mut inlet = Inlet::new(false);
        assert_eq!(inlet.receive(&socket).expect("read"), 3);
        let first = inlet.at(0).expect("one");
        assert_eq!((first.from, &*first.bytes, first.cut), (one.local_addr().expect("bound"), &b"first"[..], false));
        assert!(inlet.at(1).expect("one").cut);
        assert_eq!(inlet.at(2).expect("one").bytes.len(), 0);
        assert_eq!(inlet.receive(&socket).expect("nothing"), 0);
    }

    #[test]
    fn a_stamped_socket_tells_when_a_datagram_came() {
        let socket = Socket::bind(HOME, 0, true).expect("a socket");
        socket.stamp().expect("stamps");
        client().send_to(b"first", socket.address()).expect("sent");
        let mut inlet = Inlet::with(true, true);
        assert_eq!(inlet.receive(&socket).expect("read"), 1);
        let stamp = inlet.at(0).and_then(|one| one.stamp).expect("a stamp");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("later").as_nanos() as u64;
        assert!(now - stamp < 60_000_000_000);
    }

    #[test]
    fn one_port_serves_all_addresses() {
        let addresses = [HOME, IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2))];
        let sockets = bind_all(&addresses, (0, 0), false, false).expect("bound");
        let ports: Vec<u16> = sockets.iter().map(|socket| socket.address().port()).collect();
        assert_eq!(ports.len(), 2);
        assert_eq!(ports[0], ports[1]);
    }

    #[test]
    fn a_port_that_is_taken_is_passed_over_and_a_full_range_is_an_error() {
        let taken = Socket::bind(HOME, 0, false).expect("a socket").address().port();
        let held = Socket::bind(HOME, taken, false).expect("again");
        let error = bind_all(&[HOME], (taken, taken), false, false).expect_err("taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        if taken < u16::MAX {
            let found = bind_all(&[HOME], (taken, taken.saturating_add(50)), false, false).expect("a free one");
            assert_ne!(found[0].address().port(), held.address().port());
        }
    }

    #[test]
    fn an_address_of_another_machine_is_an_error_unless_some_will_do() {
        let foreign: IpAddr = "203.0.113.9".parse().expect("an address");
        let error = bind_all(&[HOME, foreign], (0, 0), false, false).expect_err("not ours");
        assert!(error.to_string().starts_with("203.0.113.9"), "{error}");
        assert_eq!(bind_all(&[HOME, foreign], (0, 0), false, true).expect("one").len(), 1);
    }
}
