//! Waiting for any of thousands of sockets (epoll), each known by a number.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Sockets told in one call; the rest is told in the next.
const BATCH: usize = 512;

/// See the file's head. A descriptor that is closed leaves it by itself.
pub struct Epoll {
    fd: OwnedFd,
    events: Vec<libc::epoll_event>,
}

impl Epoll {
    /// Watches nothing yet.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed; a descriptor that is not negative is new and ours.
        let fd = unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: see above.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Ok(Self { fd, events: vec![libc::epoll_event { events: 0, u64: 0 }; BATCH] })
    }

    /// Another descriptor of the same list, for another thread to add to.
    pub fn again(&self) -> io::Result<Self> {
        Ok(Self { fd: self.fd.try_clone()?, events: Vec::new() })
    }

    /// Watch a descriptor for something to read.
    pub fn watch(&self, fd: RawFd, number: u32) -> io::Result<()> {
        let mut event = libc::epoll_event { events: libc::EPOLLIN as u32, u64: number.into() };
        // SAFETY: the event is read during the call only.
        match unsafe { libc::epoll_ctl(self.fd.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Put into `ready` the numbers of those that have something to read now. True when there may be more.
    pub fn ready(&mut self, ready: &mut Vec<u32>) -> bool {
        ready.clear();
        // SAFETY: the list and its length belong together.
        let count = unsafe { libc::epoll_wait(self.fd.as_raw_fd(), self.events.as_mut_ptr(), BATCH as i32, 0) };
        let count = usize::try_from(count).unwrap_or(0);
        ready.extend(self.events.iter().take(count).map(|event| event.u64 as u32));
        count == BATCH
    }

    /// Readable when one of them is.
    pub fn fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    #[test]
    fn only_who_has_something_to_read_is_told() {
        let mut epoll = Epoll::new().expect("epoll");
        let sockets: Vec<UdpSocket> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").expect("a socket")).collect();
        for (number, socket) in (10..).zip(&sockets) {
            epoll.watch(socket.as_raw_fd(), number).expect("watched");
        }
        let mut ready = vec![9];
        assert!(!epoll.ready(&mut ready) && ready.is_empty());
        sockets[0].send_to(b"x", sockets[1].local_addr().expect("bound")).expect("sent");
        epoll.ready(&mut ready);
        assert_eq!(ready, [11]);
    }
}
