//! A bell between threads (eventfd), and waiting for bells, sockets and time at once.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Rung by one thread, heard by another; rung twice before it is heard, it counts as once.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A silent bell.
    pub fn new() -> io::Result<Self> {
        // SAFETY: no pointer is passed; a descriptor that is not negative is new and ours.
        let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: see above.
        Ok(Self(unsafe { OwnedFd::from_raw_fd(fd) }))
    }

    /// Wake whoever waits. It cannot fail for a reason that matters: a full counter has been rung.
    pub fn ring(&self) {
        let one = 1_u64;
        // SAFETY: eight bytes are read from `one`.
        unsafe { libc::write(self.0.as_raw_fd(), ptr::from_ref(&one).cast(), 8) };
    }

    /// Be ready for the next ring.
    pub fn hear(&self) {
        let mut count = 0_u64;
        // SAFETY: eight bytes are written to `count`.
        unsafe { libc::read(self.0.as_raw_fd(), ptr::from_mut(&mut count).cast(), 8) };
    }

    /// For an event loop to watch.
    pub fn fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Descriptors to wait for. A handful: `ppoll` tells time in nanoseconds and needs no descriptor of its own.
pub struct Watch(Vec<libc::pollfd>);

impl Watch {
    /// Wait for these to become readable.
    pub fn new(fds: impl IntoIterator<Item = RawFd>) -> Self {
        Self(fds.into_iter().map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }).collect())
    }

    /// Look which of these are readable now. One that is negative is nobody.
    pub fn look(&mut self, fds: impl Iterator<Item = RawFd>) {
        self.0.clear();
        self.0.extend(fds.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 }));
        self.wait(Some(Duration::ZERO));
    }

    /// Wait until one is readable or this long; None is for ever.
    pub fn wait(&mut self, timeout: Option<Duration>) {
        self.wait_for(self.0.len(), timeout);
    }

    /// As `wait`, for the first so many only. The others then count as not readable: read them to know.
    pub fn wait_for(&mut self, first: usize, timeout: Option<Duration>) {
        let first = first.min(self.0.len());
        self.0.iter_mut().skip(first).for_each(|one| one.revents = 0);
        let limit = timeout.map(|time| libc::timespec {
            tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
            tv_nsec: time.subsec_nanos().into(),
        });
        let limit = limit.as_ref().map_or(ptr::null(), ptr::from_ref);
        // SAFETY: the list is at least as long as is said; a null limit and a null mask are allowed.
        let count = unsafe { libc::ppoll(self.0.as_mut_ptr(), first as libc::nfds_t, limit, ptr::null()) };
        if count < 0 {
            // Interrupted, or out of memory: nothing is known to be readable, and the caller's loop goes on.
            self.0.iter_mut().for_each(|one| one.revents = 0);
        }
    }

    /// Whether the descriptor at this place was readable, or in error: reading it tells.
    pub fn readable(&self, place: usize) -> bool {
        self.0.get(place).is_some_and(|one| one.revents != 0)
    }
}

/// Leave signals to other threads: those of the control plane have handlers.
pub fn leave_signals_to_others() {
    // SAFETY: the set is filled before it is read, and the old one is not asked for.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&raw mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const all, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bell_is_heard_once_however_often_it_was_rung() {
        let bell = Bell::new().expect("a bell");
        let mut watch = Watch::new([bell.fd()]);
        watch.wait(Some(Duration::ZERO));
        assert!(!watch.readable(0));
        bell.ring();
        bell.ring();
        watch.wait(None);
        assert!(watch.readable(0));
        bell.hear();
        watch.wait(Some(Duration::ZERO));
        assert!(!watch.readable(0));
    }

    #[test]
    fn who_is_looked_at_may_be_others_each_time_and_nobody() {
        let bells = [Bell::new().expect("a bell"), Bell::new().expect("a bell")];
        let mut watch = Watch::new([]);
        bells[1].ring();
        watch.look([-1, bells[1].fd(), bells[0].fd()].into_iter());
        assert_eq!([0, 1, 2, 3].map(|place| watch.readable(place)), [false, true, false, false]);
        watch.look([bells[1].fd()].into_iter());
        assert_eq!([0, 1].map(|place| watch.readable(place)), [true, false]);
    }

    #[test]
    fn who_is_not_waited_for_wakes_nobody() {
        let bells = [Bell::new().expect("a bell"), Bell::new().expect("a bell")];
        let mut watch = Watch::new(bells.iter().map(Bell::fd));
        bells.iter().for_each(Bell::ring);
        for (first, heard) in [(2, [true, true]), (1, [true, false]), (usize::MAX, [true, true])] {
            watch.wait_for(first, Some(Duration::ZERO));
            assert_eq!([watch.readable(0), watch.readable(1)], heard);
        }
    }
}
