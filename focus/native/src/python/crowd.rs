//! Synthetic clients and the bare loop, as Python sees them: what each does is told once, and figures are asked for.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::checks::{checked, people, tallied};
use super::words::{codec, command, event, extensions, get, part};
use crate::command::Command;
use crate::crowd::book::{Counts, Watch};
use crate::crowd::check::Check;
use crate::crowd::loops::Loops;
use crate::crowd::member::Member;
use crate::crowd::sender::{Content, Stream};
use crate::pump::bare;
use crate::pump::crowd::{Crowded, Settings};
use crate::transport::srtp::{Opener, Profile};

/// Clients, each with a socket, and the thread that serves them all.
#[pyclass(frozen)]
pub struct Crowd {
    crowd: Crowded,
    fingerprint: (String, String),
}

fn stream(object: &Bound<'_, PyAny>) -> PyResult<Stream> {
    let fps: f64 = get(object, "fps")?;
    if !(fps > 0.0 && fps <= 10_000.0) {
        return Err(PyValueError::new_err(format!("fps: {fps} is no rate")));
    }
    Ok(Stream {
        ssrc: get(object, "ssrc")?,
        rtx_ssrc: get(object, "rtx_ssrc")?,
        mid: get(object, "mid")?,
        rid: get(object, "rid")?,
        codec: part(object, "codec", codec)?,
        extensions: part(object, "extensions", extensions)?,
        fps,
        burst: get(object, "burst")?,
        size: get(object, "size")?,
        keyframe_every: get(object, "keyframe_every")?,
        width: get(object, "width")?,
        height: get(object, "height")?,
        level: get(object, "level")?,
    })
}

fn watch(object: &Bound<'_, PyAny>) -> PyResult<Watch> {
    Ok(Watch {
        ssrc: get(object, "ssrc")?,
        rtx_ssrc: get(object, "rtx_ssrc")?,
        codec: part(object, "codec", codec)?,
        extensions: part(object, "extensions", extensions)?,
    })
}

fn told<'py>(py: Python<'py>, counts: &Counts) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    for (name, count) in [
        ("received", counts.received),
        ("lost", counts.lost),
        ("duplicates", counts.duplicates),
        ("late", counts.late),
        ("backwards", counts.backwards),
        ("opened", counts.opened),
        ("corrupt", counts.corrupt),
        ("misplaced", counts.misplaced),
        ("repaired", counts.repaired),
        ("asked", counts.asked),
        ("latency_us_p50", counts.latency.quantile(0.5)),
        ("latency_us_p99", counts.latency.quantile(0.99)),
        ("latency_us_most", counts.latency.greatest()),
        ("gap_us_p99", counts.gap.quantile(0.99)),
        ("gap_us_most", counts.gap.greatest()),
    ] {
        found.set_item(name, count)?;
    }
    Ok(found)
}

impl Crowd {
    fn member<T: Send>(&self, py: Python<'_>, peer: &str, ask: impl FnOnce(&mut Member) -> T + Send) -> PyResult<T> {
        let done = py.detach(|| self.crowd.with(|crowd, _| crowd.member(peer).map(ask)));
        done.ok_or_else(|| PyKeyError::new_err(format!("there is no {peer}")))
    }

    fn timed(&self, py: Python<'_>, peer: &str, ask: impl FnOnce(&mut Member, Instant) + Send) -> PyResult<()> {
        let done = py.detach(|| self.crowd.with(|crowd, now| crowd.member(peer).map(|member| ask(member, now))));
        done.ok_or_else(|| PyKeyError::new_err(format!("there is no {peer}")))
    }
}

#[pymethods]
impl Crowd {
    /// Nobody yet. `OSError`: the machine denies what it takes.
    #[new]
    #[pyo3(signature = (*, opened=1, joined=false, rest_ms=0.0))]
    fn new(opened: u64, joined: bool, rest_ms: f64) -> PyResult<Self> {
        let rest = Duration::try_from_secs_f64(rest_ms / 1e3)
            .map_err(|error| PyValueError::new_err(format!("rest_ms: {error}")))?;
        let crowd = Crowded::start(Settings { opened, joined, rest })?;
        let fingerprint = crowd.with(|crowd, _| {
            let (name, digest) = crowd.fingerprint();
            (name.to_owned(), digest.to_owned())
        });
        Ok(Self { crowd, fingerprint })
    }

    /// Hash name and digest of the certificate that all clients share, as SDP has them.
    #[getter]
    fn fingerprint(&self) -> (String, String) {
        self.fingerprint.clone()
    }

    /// Readable when there are events.
    fn eventfd(&self) -> RawFd {
        self.crowd.news()
    }

    /// Make `eventfd` silent until there is more.
    fn heard(&self) {
        self.crowd.heard();
    }

    /// `Open` dials from a new client's socket; `Close`, `Restart` and `Send` are a client's too. `ValueError`: another
    /// command. `KeyError`: nobody of that name. `OSError`: no socket, nobody to dial, or a name that is taken.
    fn submit(&self, py: Python<'_>, commands: &Bound<'_, PyAny>) -> PyResult<()> {
        for one in commands.try_iter()? {
            match command(&one?)? {
                Command::Open(open) => py.detach(|| self.crowd.open(open))?,
                other @ (Command::Close { .. } | Command::Restart { .. } | Command::Send { .. }) => {
                    if !py.detach(|| self.crowd.submit(&other)) {
                        return Err(PyKeyError::new_err(format!("nobody is there for {other:?}")));
                    }
                }
                other => return Err(PyValueError::new_err(format!("no client is told {other:?}"))),
            }
        }
        Ok(())
    }

    /// All events since the last call.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        py.detach(|| self.crowd.drain()).into_iter().map(|one| event(py, one)).collect()
    }

    /// Host and port of a client's socket.
    fn address(&self, py: Python<'_>, peer: &str) -> PyResult<(String, u16)> {
        let found = py.detach(|| self.crowd.address(peer));
        let found = found.ok_or_else(|| PyKeyError::new_err(format!("there is no {peer}")))?;
        Ok((found.ip().to_string(), found.port()))
    }

    /// Have a client send a stream, once it is played.
    #[pyo3(signature = (peer, shape, /))]
    fn publish(&self, py: Python<'_>, peer: &str, shape: &Bound<'_, PyAny>) -> PyResult<()> {
        let shape = stream(shape)?;
        self.timed(py, peer, |member, now| member.publish(now, shape, Content::Marked))
    }

    /// What people show and say, for all clients that are told of it from now on.
    #[pyo3(signature = (list, /))]
    fn load(&self, py: Python<'_>, list: &Bound<'_, PyAny>) -> PyResult<()> {
        let loops = Arc::new(Loops::new(people(list)?));
        py.detach(|| self.crowd.with(|crowd, _| crowd.loops = loops));
        Ok(())
    }

    /// Have a client send a layer of somebody's camera, or with no layer the voice, once it is started.
    #[pyo3(signature = (peer, shape, person, layer=None, /))]
    fn loop_of(
        &self,
        py: Python<'_>,
        peer: &str,
        shape: &Bound<'_, PyAny>,
        person: u32,
        layer: Option<u32>,
    ) -> PyResult<()> {
        let shape = stream(shape)?;
        let loops = py.detach(|| self.crowd.with(|crowd, _| Arc::clone(&crowd.loops)));
        let content = match layer {
            Some(layer) => Content::Camera(loops, person, layer),
            None => Content::Voice(loops, person),
        };
        self.timed(py, peer, |member, now| member.publish(now, shape, content))
    }

    /// Play all streams of a client without end, from one moment on.
    fn start(&self, py: Python<'_>, peer: &str) -> PyResult<()> {
        self.timed(py, peer, Member::start)
    }

    /// Have a client talk, or be silent.
    fn talk(&self, py: Python<'_>, peer: &str, talking: bool) -> PyResult<()> {
        self.member(py, peer, |member| member.talk(talking))
    }

    /// Have a client check a stream that it receives, of people's loops or of anybody.
    #[pyo3(signature = (peer, expected, video, /))]
    fn check(&self, py: Python<'_>, peer: &str, expected: &Bound<'_, PyAny>, video: bool) -> PyResult<()> {
        let expected = watch(expected)?;
        let loops = py.detach(|| self.crowd.with(|crowd, _| Arc::clone(&crowd.loops)));
        self.member(py, peer, |member| member.watch(expected, Some(Check::new(video, loops))))
    }

    /// Note that a client asked for another size of a stream that it checks.
    fn want(&self, py: Python<'_>, peer: &str, ssrc: u32, width: u16, height: u16) -> PyResult<()> {
        let now = self.crowd.seconds();
        self.member(py, peer, |member| {
            let book = member.books.iter_mut().find(|book| book.watch.ssrc == ssrc);
            if let Some(check) = book.and_then(|book| book.check.as_mut()) {
                check.want((width, height), now);
            }
        })
    }

    /// What a client found of the streams that it checks, by SSRC. Times are in seconds of `clock`.
    fn checks<'py>(&self, py: Python<'py>, peer: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        self.crowd.with(|crowd, _| {
            let member = crowd.member(peer).ok_or_else(|| PyKeyError::new_err(format!("there is no {peer}")))?;
            for book in member.books() {
                if let Some(told) = checked(py, book)? {
                    found.set_item(book.watch.ssrc, told)?;
                }
            }
            PyResult::Ok(())
        })?;
        Ok(found)
    }

    /// Whole frames of a stream that a client checks, since this was last asked: the first question begins to keep them.
    fn frames<'py>(&self, py: Python<'py>, peer: &str, ssrc: u32) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        let frames = self.member(py, peer, |member| {
            let book = member.books.iter_mut().find(|book| book.watch.ssrc == ssrc);
            book.and_then(|book| book.check.as_mut()).map(|check| check.frames()).unwrap_or_default()
        })?;
        Ok(frames.iter().map(|frame| PyBytes::new(py, frame)).collect())
    }

    /// What a client counts beside its streams.
    fn tally<'py>(&self, py: Python<'py>, peer: &str) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (name, count) in self.member(py, peer, |member| tallied(member))? {
            found.set_item(name, count)?;
        }
        Ok(found)
    }

    /// Seconds since the crowd began.
    fn clock(&self) -> f64 {
        self.crowd.seconds()
    }

    /// Send so many frames of a stream from now on; None is without end, 0 stops.
    #[pyo3(signature = (peer, ssrc, frames=None))]
    fn play(&self, py: Python<'_>, peer: &str, ssrc: u32, frames: Option<u64>) -> PyResult<()> {
        let found = py.detach(|| {
            self.crowd.with(|crowd, now| {
                let mut senders = crowd.member(peer)?.senders.iter_mut();
                senders.find(|sender| sender.stream.ssrc == ssrc).map(|sender| sender.play(now, frames))
            })
        });
        found.ok_or_else(|| PyKeyError::new_err(format!("{peer} has no stream {ssrc}")))
    }

    /// Have a client keep a book of a stream that it receives.
    #[pyo3(signature = (peer, expected, /))]
    fn watch(&self, py: Python<'_>, peer: &str, expected: &Bound<'_, PyAny>) -> PyResult<()> {
        let expected = watch(expected)?;
        self.member(py, peer, |member| member.watch(expected, None))
    }

    /// As `watch`, of the bare loop's stream: sealed with AES-256-GCM under these, from wherever.
    #[pyo3(signature = (peer, expected, key, salt, /))]
    fn watch_bare(
        &self,
        py: Python<'_>,
        peer: &str,
        expected: &Bound<'_, PyAny>,
        key: &[u8],
        salt: &[u8],
    ) -> PyResult<()> {
        let expected = watch(expected)?;
        let opener = Opener::new(Profile::Gcm256, key, salt);
        let opener = opener.ok_or_else(|| PyValueError::new_err("a key has 32 bytes, a salt 12"))?;
        self.member(py, peer, |member| member.watch_bare(expected, opener))
    }

    /// Have no book of a stream any more.
    fn forget(&self, py: Python<'_>, peer: &str, ssrc: u32) -> PyResult<()> {
        self.member(py, peer, |member| member.forget(ssrc))
    }

    /// Count anew in every book.
    fn begin(&self, py: Python<'_>) {
        py.detach(|| self.crowd.with(|crowd, _| crowd.begin()));
    }

    /// What all books together say since `begin`, what everybody was told since then, and sent since the start.
    fn figures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (counts, sums) = py.detach(|| {
            self.crowd.with(|crowd, _| {
                let (mut counts, mut sums) = (Counts::default(), [0; 8]);
                for (_, member) in crowd.members() {
                    member.books().for_each(|book| counts.add(&book.counts()));
                    let tally = &member.tally;
                    let senders = member.senders.iter();
                    let sent = senders.fold([0; 3], |[packets, repairs, asked], sender| {
                        [packets + sender.packets, repairs + sender.repairs, asked + sender.keyframe_requests]
                    });
                    let told = [tally.strays, tally.unopened, tally.told_arrived, tally.told_missing, tally.feedback];
                    for (sum, more) in sums.iter_mut().zip(sent.into_iter().chain(told)) {
                        *sum += more;
                    }
                }
                (counts, sums)
            })
        });
        let found = told(py, &counts)?;
        let names = ["sent", "resent", "keyframes_asked", "strays", "unopened", "told_arrived", "told_missing"];
        for (name, sum) in names.into_iter().chain(["feedback"]).zip(sums) {
            found.set_item(name, sum)?;
        }
        let figures = py.detach(|| self.crowd.figures());
        found.set_item("turns", figures.wakeups)?;
        found.set_item("unsent", figures.overflowed + figures.refused)?;
        Ok(found)
    }

    /// What each book of a client says since `begin`, by SSRC.
    fn books<'py>(&self, py: Python<'py>, peer: &str) -> PyResult<Bound<'py, PyDict>> {
        let books: Vec<(u32, Counts)> =
            self.member(py, peer, |member| member.books().map(|book| (book.watch.ssrc, book.counts())).collect())?;
        let found = PyDict::new(py);
        for (ssrc, counts) in books {
            found.set_item(ssrc, told(py, &counts)?)?;
        }
        Ok(found)
    }

    /// End the thread and free the sockets. Nobody says goodbye: `Close` those who shall.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.crowd.close());
    }
}

/// Run the bare loop, in real time: `frames` frames of `burst` packets of `size` bytes to each sink, each a host, a port,
/// a key and a salt. How many messages of up to so many datagrams it sent, as `Engine.figures` has it.
#[pyfunction]
#[pyo3(signature = (sinks, *, ssrc, fps, burst, size, frames, first))]
#[allow(clippy::too_many_arguments)]
pub fn bare_loop<'py>(
    py: Python<'py>,
    sinks: Vec<(String, u16, Vec<u8>, Vec<u8>)>,
    ssrc: u32,
    fps: f64,
    burst: u16,
    size: u16,
    frames: u64,
    first: u64,
) -> PyResult<Bound<'py, PyDict>> {
    let (mut addresses, mut keys) = (Vec::new(), Vec::new());
    for (host, port, key, salt) in sinks {
        let ip = host.parse().map_err(|_| PyValueError::new_err(format!("{host:?} is no IP address")))?;
        addresses.push(std::net::SocketAddr::new(ip, port));
        keys.push((key, salt));
    }
    let order = bare::Order { sinks: addresses, keys, ssrc, fps: fps.max(0.01), burst, size, frames, first };
    let figures = py.detach(|| bare::run(&order))?;
    super::counted(py, &figures)
}
