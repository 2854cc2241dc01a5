//! How what waits in the outbox leaves: one `sendmmsg` for as much as fits, and trains that the kernel cuts up (GSO).

use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::ptr;
use std::time::Duration;

use libc::{c_int, iovec, mmsghdr, socklen_t};

use super::addresses::Raw;
use super::figures::Figures;
use super::socket::Socket;

/// Messages of one call. At 100 subscribers all of a loop, mostly.
const BATCH: usize = 256;
/// How long, and how often in one flush, the kernel is waited for when it has no room. More would hold up everybody's
/// packets for longer than jitter buffers last.
const PATIENCE: Duration = Duration::from_millis(1);
const MOST_WAITS: u32 = 4;

/// What we know of this socket's GSO.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gso {
    Untried,
    Works,
    /// For good: trying costs a system call each time.
    Off,
}

/// Room for the one control message that names the segments' size.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
struct Control([u8; 24]);

/// What leaves by one socket. Used by one thread at a time.
pub struct Outlet {
    gso: Gso,
    used: usize,
    waits: u32,
    names: Box<[Raw]>,
    controls: Box<[Control]>,
    iovecs: Box<[iovec]>,
    segments: Box<[usize]>,
    headers: Box<[mmsghdr]>,
}

// SAFETY: its pointers are to memory of its own, which does not move with it, and to bytes that are used within one
// call of `send` only.
unsafe impl Send for Outlet {}

impl Outlet {
    /// Memory for a batch. `gso`: whether to try it.
    pub fn new(gso: bool) -> Self {
        // SAFETY: a header of null pointers and zero lengths is a valid one.
        let header: mmsghdr = unsafe { zeroed() };
        Self {
            gso: if gso { Gso::Untried } else { Gso::Off },
            used: 0,
            waits: 0,
            names: vec![Raw::empty(); BATCH].into(),
            controls: vec![Control([0; 24]); BATCH].into(),
            iovecs: vec![iovec { iov_base: ptr::null_mut(), iov_len: 0 }; BATCH].into(),
            segments: vec![0; BATCH].into(),
            headers: vec![header; BATCH].into(),
        }
    }

    /// Send all messages of `waiting`, in order: destination, bytes, size of each datagram but the last.
    pub fn send<'a>(
        &mut self,
        socket: &Socket,
        waiting: impl Iterator<Item = (SocketAddr, &'a [u8], usize)>,
        figures: &mut Figures,
    ) {
        self.used = 0;
        self.waits = 0;
        for (to, bytes, segment) in waiting {
            if bytes.len() > segment && self.gso == Gso::Off {
                for datagram in bytes.chunks(segment.max(1)) {
                    self.stage(socket, to, datagram, datagram.len(), figures);
                }
                figures.cut_up += 1;
            } else {
                self.stage(socket, to, bytes, segment, figures);
            }
        }
        self.flush(socket, figures);
    }

    /// The bytes must live until the next `flush`: `send` sees to it.
    fn stage(&mut self, socket: &Socket, to: SocketAddr, bytes: &[u8], segment: usize, figures: &mut Figures) {
        if self.used == BATCH {
            self.flush(socket, figures);
        }
        let place = self.used;
        let (name, length) = Raw::of(to);
        self.names[place] = name;
        self.segments[place] = segment.max(1);
        self.iovecs[place] = iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let header = &mut self.headers[place].msg_hdr;
        header.msg_name = ptr::from_mut(&mut self.names[place]).cast();
        header.msg_namelen = length;
        header.msg_iov = &raw mut self.iovecs[place];
        header.msg_iovlen = 1;
        header.msg_control = ptr::null_mut();
        header.msg_controllen = 0;
        if bytes.len() > segment {
            header.msg_control = ptr::from_mut(&mut self.controls[place]).cast();
            header.msg_controllen = size_of::<Control>();
            // SAFETY: the room is aligned and holds one message with two bytes in it (CMSG_SPACE(2) is 24).
            unsafe {
                let control = libc::CMSG_FIRSTHDR(header);
                (*control).cmsg_level = libc::SOL_UDP;
                (*control).cmsg_type = libc::UDP_SEGMENT;
                (*control).cmsg_len = libc::CMSG_LEN(size_of::<u16>() as u32) as _;
                // A datagram of 64 KiB has no second segment, so the size fits.
                libc::CMSG_DATA(control).cast::<u16>().write_unaligned(u16::try_from(segment).unwrap_or(u16::MAX));
            }
        }
        self.used += 1;
    }

    fn datagrams(&self, place: usize) -> usize {
        self.iovecs[place].iov_len.div_ceil(self.segments[place]).max(1)
    }

    fn flush(&mut self, socket: &Socket, figures: &mut Figures) {
        let mut next = 0;
        while next < self.used {
            let rest = &mut self.headers[next..self.used];
            // SAFETY: every header points into memory of `self` and to bytes that `send` borrows until it returns.
            let count =
                unsafe { libc::sendmmsg(socket.fd(), rest.as_mut_ptr(), rest.len() as u32, libc::MSG_DONTWAIT) };
            figures.sends += 1;
            if let Ok(count @ 1..) = usize::try_from(count) {
                for place in next..next + count {
                    let datagrams = self.datagrams(place);
                    figures.train(datagrams);
                    if datagrams > 1 && self.gso == Gso::Untried {
                        self.gso = Gso::Works;
                    }
                }
                next += count;
                continue;
            }
            match io::Error::last_os_error().raw_os_error().unwrap_or(0) {
                libc::EINTR => {}
                code @ (libc::EAGAIN | libc::ENOBUFS) => {
                    if !self.wait(socket, code) {
                        figures.overflowed += (next..self.used).map(|place| self.datagrams(place) as u64).sum::<u64>();
                        break;
                    }
                }
                code @ (libc::EIO | libc::EINVAL | libc::EOPNOTSUPP) if self.datagrams(next) > 1 => {
                    // EIO: the card cannot. EINVAL: the kernel cannot, or this path takes only shorter datagrams
                    // than the segments are, which says nothing of other paths once it has worked.
                    if code != libc::EINVAL || self.gso == Gso::Untried {
                        self.gso = Gso::Off;
                    }
                    figures.cut_up += 1;
                    self.singly(socket, next, figures);
                    next += 1;
                }
                _ => {
                    figures.refused += self.datagrams(next) as u64;
                    next += 1;
                }
            }
        }
        self.used = 0;
    }

    /// Send the datagrams of one message by themselves.
    fn singly(&mut self, socket: &Socket, place: usize, figures: &mut Figures) {
        let iovec { iov_base, iov_len } = self.iovecs[place];
        // SAFETY: as in `flush`.
        let bytes: &[u8] = unsafe { std::slice::from_raw_parts(iov_base.cast_const().cast(), iov_len) };
        let length: socklen_t = self.headers[place].msg_hdr.msg_namelen;
        for datagram in bytes.chunks(self.segments[place]) {
            loop {
                let (data, name) = (datagram.as_ptr().cast(), ptr::from_ref(&self.names[place]).cast());
                // SAFETY: the datagram and the name are borrowed, and as long as their lengths say.
                let sent = unsafe { libc::sendto(socket.fd(), data, datagram.len(), libc::MSG_DONTWAIT, name, length) };
                figures.sends += 1;
                if sent >= 0 {
                    figures.train(1);
                    break;
                }
                match io::Error::last_os_error().raw_os_error().unwrap_or(0) {
                    libc::EINTR => {}
                    code @ (libc::EAGAIN | libc::ENOBUFS) => {
                        if !self.wait(socket, code) {
                            figures.overflowed += 1;
                            break;
                        }
                    }
                    _ => {
                        figures.refused += 1;
                        break;
                    }
                }
            }
        }
    }

    /// Wait for room in the kernel; false when it was waited for often enough.
    fn wait(&mut self, socket: &Socket, code: c_int) -> bool {
        self.waits += 1;
        if self.waits > MOST_WAITS {
            return false;
        }
        if code == libc::ENOBUFS {
            // It is the card's queue that is full, and the socket counts as writable.
            std::thread::sleep(PATIENCE);
        } else {
            let mut one = libc::pollfd { fd: socket.fd(), events: libc::POLLOUT, revents: 0 };
            // SAFETY: one descriptor is passed.
            unsafe { libc::poll(&raw mut one, 1, PATIENCE.as_millis() as c_int) };
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, UdpSocket};

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn sink() -> UdpSocket {
        let sink = UdpSocket::bind((HOME, 0)).expect("a socket");
        sink.set_read_timeout(Some(Duration::from_secs(5))).expect("set");
        sink
    }

    fn sizes(sink: &UdpSocket, count: usize) -> Vec<usize> {
        let mut buffer = [0; 3000];
        (0..count).map(|_| sink.recv(&mut buffer).expect("a datagram")).collect()
    }

    #[test]
    fn a_train_arrives_as_its_datagrams_with_gso_and_without() {
        for gso in [true, false] {
            let socket = Socket::bind(HOME, 0, false).expect("a socket");
            let (mut outlet, mut figures, sink) = (Outlet::new(gso), Figures::default(), sink());
            let to = sink.local_addr().expect("bound");
            let bytes = [1; 1000 * 4 + 10];
            outlet.send(&socket, [(to, &bytes[..], 1000), (to, &bytes[..20], 20)].into_iter(), &mut figures);
            assert_eq!(sizes(&sink, 6), [1000, 1000, 1000, 1000, 10, 20]);
            assert_eq!(figures.sent, 6);
            let trains = if gso && outlet.gso == Gso::Works { [1, 0, 0, 1, 0, 0, 0] } else { [6, 0, 0, 0, 0, 0, 0] };
            assert_eq!((figures.trains, figures.sends, figures.refused), (trains, 1, 0));
        }
    }

    #[test]
    fn more_messages_than_a_batch_all_leave_in_order() {
        let socket = Socket::bind(HOME, 0, false).expect("a socket");
        let (mut outlet, mut figures, sink) = (Outlet::new(true), Figures::default(), sink());
        let to = sink.local_addr().expect("bound");
        let bytes = [0; BATCH + 40];
        outlet.send(&socket, (1..=BATCH + 40).map(|size| (to, &bytes[..size], size)), &mut figures);
        // The receiver's buffer is the machine's default: 212,992 bytes hold about 270 small datagrams at least.
        assert_eq!(sizes(&sink, 200), (1..=200).collect::<Vec<_>>());
        assert_eq!((figures.sent, figures.sends), (BATCH as u64 + 40, 2));
    }

    #[test]
    fn one_bad_destination_costs_only_itself() {
        let socket = Socket::bind(HOME, 0, false).expect("a socket");
        let (mut outlet, mut figures, sink) = (Outlet::new(true), Figures::default(), sink());
        let to = sink.local_addr().expect("bound");
        let bad: SocketAddr = "[::1]:9".parse().expect("an address");
        let waiting = [(bad, &b"xxxx"[..], 2), (to, &b"good"[..], 4), (bad, &b"x"[..], 1), (to, &b"too"[..], 3)];
        outlet.send(&socket, waiting.into_iter(), &mut figures);
        assert_eq!(sizes(&sink, 2), [4, 3]);
        assert_eq!((figures.sent, figures.refused), (2, 3));
    }

    #[test]
    fn a_train_that_the_kernel_will_not_cut_is_cut_here_from_then_on() {
        // Segments larger than the path takes are refused with EINVAL; loopback takes 65,536.
        let socket = Socket::bind(HOME, 0, false).expect("a socket");
        let (mut outlet, mut figures, sink) = (Outlet::new(true), Figures::default(), sink());
        let to = sink.local_addr().expect("bound");
        let bytes = [0; 300];
        // 129 segments are beyond the kernel's limit.
        outlet.send(&socket, [(to, &bytes[..258], 2)].into_iter(), &mut figures);
        assert_eq!(sizes(&sink, 129), vec![2; 129]);
        if outlet.gso == Gso::Off {
            outlet.send(&socket, [(to, &bytes[..6], 2)].into_iter(), &mut figures);
            assert_eq!(sizes(&sink, 3), [2; 3]);
            assert_eq!((figures.sent, figures.cut_up, figures.refused), (132, 2, 0));
        }
    }
}
