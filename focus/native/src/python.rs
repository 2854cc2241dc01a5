//! The module `focus.native._native`: the engine as Python sees it. The only file that knows PyO3.
//!
//! It turns the values of `focus/commands.py` into ours and back, and decides nothing. The worker's
//! thread never enters Python; only calls that Python makes do.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use crate::command::{
    Codec, Command, Credentials, Drop, Event, Expect, Extensions, Format, Kind, Loss, Open, Role, Route,
};
use crate::engine;
use crate::pump::{self, Pump};
use crate::table;
use crate::transport::{Identity, SystemChance};

/// The native media engine of Weir. `focus/native/__init__.py` is what others import.
#[pymodule]
mod _native {
    #[pymodule_export]
    use super::Engine;
    #[pymodule_export]
    use super::Table;

    /// Digest of the sources that this was built from.
    #[pymodule_export]
    const SOURCES: &str = env!("WEIR_SOURCES");
}

/// One engine with its sockets and its thread.
#[pyclass(frozen)]
struct Engine {
    pump: Pump,
    fingerprint: (String, String),
}

#[pymethods]
impl Engine {
    /// Bind and start. `OSError`: an address cannot be bound, or no port of the range at all of them.
    #[new]
    #[pyo3(signature = (addresses, announce, port_low, port_high, *, coalesce_ms=0.0, gso=true, joined=false))]
    fn new(
        addresses: Vec<String>,
        announce: Vec<String>,
        port_low: u16,
        port_high: u16,
        coalesce_ms: f64,
        gso: bool,
        joined: bool,
    ) -> PyResult<Self> {
        let settings = pump::Settings {
            addresses: ips(&addresses)?,
            announce: ips(&announce)?,
            ports: (port_low, port_high),
            coalesce: Duration::try_from_secs_f64(coalesce_ms / 1e3)
                .map_err(|error| PyValueError::new_err(format!("coalesce_ms: {error}")))?,
            gso,
            joined,
        };
        let identity = Arc::new(Identity::new().map_err(PyValueError::new_err)?);
        let (name, digest) = identity.fingerprint();
        let fingerprint = (name.to_owned(), digest.to_owned());
        let pump = Pump::start(settings, move |now, candidates| {
            engine::Engine::new(now, Arc::clone(&identity), candidates, Box::new(|| Box::new(SystemChance)))
        })?;
        Ok(Self { pump, fingerprint })
    }

    /// Hash name and digest of the certificate, as SDP has them.
    #[getter]
    fn fingerprint(&self) -> (String, String) {
        self.fingerprint.clone()
    }

    /// Readable when events went from none to some.
    fn eventfd(&self) -> RawFd {
        self.pump.news()
    }

    /// Make `eventfd` silent until there is more.
    fn heard(&self) {
        self.pump.heard();
    }

    /// Have commands carried out in order. `TypeError` or `ValueError`: one is malformed; then none is carried out.
    fn submit(&self, commands: &Bound<'_, PyAny>) -> PyResult<()> {
        let commands = commands.try_iter()?.map(|one| command(&one?)).collect::<PyResult<Vec<_>>>()?;
        self.pump.submit(commands);
        Ok(())
    }

    /// All events so far: edges in order, then the newest of each level.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.pump.drain().into_iter().map(|one| event(py, one)).collect()
    }

    /// Totals since start.
    fn counters<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tally = self.pump.counted().tally;
        let mut drops = Vec::new();
        for (why, count) in Drop::ALL.iter().zip(&tally.drops).filter(|(_, count)| **count > 0) {
            drops.push((make(py, "Drop", (why.word(),))?, *count));
        }
        let totals = (
            tally.packets_in,
            tally.packets_out,
            tally.bytes_in,
            tally.bytes_out,
            tally.rtx_out,
            tally.keyframe_requests,
            PyTuple::new(py, drops)?,
        );
        make(py, "Counters", totals)
    }

    /// What the pump counts of its own work, by name.
    fn figures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let figures = self.pump.counted().figures;
        let found = PyDict::new(py);
        for (name, count) in [
            ("wakeups", figures.wakeups),
            ("receives", figures.receives),
            ("received", figures.received),
            ("cut", figures.cut),
            ("sends", figures.sends),
            ("sent", figures.sent),
            ("overflowed", figures.overflowed),
            ("refused", figures.refused),
            ("cut_up", figures.cut_up),
            ("panics", figures.panics),
            ("allocations", figures.allocations),
        ] {
            found.set_item(name, count)?;
        }
        for (number, count) in figures.trains.into_iter().enumerate() {
            found.set_item(format!("trains_to_{}", 1 << number), count)?;
        }
        Ok(found)
    }

    /// End every peer with a goodbye, and free the sockets. Said twice, it does nothing.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.pump.close());
    }
}

/// The media table without transports, for the differential test. Times are seconds since its beginning.
#[pyclass]
struct Table {
    table: table::Table,
}

#[pymethods]
impl Table {
    /// Nobody is there.
    #[new]
    fn new() -> Self {
        Self { table: table::Table::new(Instant::now()) }
    }

    /// Have commands carried out in order. `TypeError`: one of them is none, or needs a transport.
    fn submit(&mut self, now: f64, commands: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = since(now)?;
        for one in commands.try_iter()? {
            if !self.table.submit(now, command(&one?)?) {
                return Err(PyTypeError::new_err("a table has no transports"));
            }
        }
        Ok(())
    }

    /// A peer's transport is up.
    fn connect(&mut self, peer: String) {
        self.table.connect(&peer.into());
    }

    /// A peer sent an RTP packet.
    fn rtp(&mut self, now: f64, peer: String, packet: &[u8]) -> PyResult<()> {
        self.table.rtp(since(now)?, &peer.into(), packet);
        Ok(())
    }

    /// A peer sent a compound RTCP packet.
    fn rtcp(&mut self, now: f64, peer: String, compound: &[u8]) -> PyResult<()> {
        self.table.rtcp(since(now)?, &peer.into(), compound);
        Ok(())
    }

    /// Every 20 ms.
    fn tick(&mut self, now: f64) -> PyResult<()> {
        self.table.tick(since(now)?);
        Ok(())
    }

    /// What was sent since the last call, in order: to whom, `rtp` or `rtcp`, and the plaintext.
    fn take<'py>(&mut self, py: Python<'py>) -> Vec<(String, &'static str, Bound<'py, PyBytes>)> {
        let told = |sent: table::Sent| {
            let kind = if sent.control { "rtcp" } else { "rtp" };
            (sent.peer.to_string(), kind, PyBytes::new(py, &sent.bytes))
        };
        self.table.take().into_iter().map(told).collect()
    }

    /// All events since the last call: edges in order, then the newest of each level.
    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.table.drain().into_iter().map(|one| event(py, one)).collect()
    }

    /// What went no further, by reason, and what else is counted.
    fn totals<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let tally = self.table.tally();
        let found = PyDict::new(py);
        for (why, count) in Drop::ALL.iter().zip(&tally.drops).filter(|(_, count)| **count > 0) {
            found.set_item(why.word(), count)?;
        }
        found.set_item("rtx_out", tally.rtx_out)?;
        found.set_item("keyframe_requests", tally.keyframe_requests)?;
        Ok(found)
    }
}

fn since(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("now: {error}")))
}

fn ips(texts: &[String]) -> PyResult<Vec<IpAddr>> {
    let parse = |text: &String| text.parse().map_err(|_| PyValueError::new_err(format!("{text:?} is no IP address")));
    texts.iter().map(parse).collect()
}

// From Python.

/// A field of a command. The error names it.
fn get<'py, T: FromPyObjectOwned<'py>>(object: &Bound<'py, PyAny>, name: &str) -> PyResult<T> {
    let value = object.getattr(name)?;
    value.extract().map_err(|error: T::Error| {
        let kind = object.get_type().name().map_or_else(|_| "?".into(), |name| name.to_string());
        let error: PyErr = error.into();
        PyValueError::new_err(format!("{kind}.{name}: {}", error.value(object.py())))
    })
}

fn text<T: From<String>>(object: &Bound<'_, PyAny>, name: &str) -> PyResult<T> {
    get::<String>(object, name).map(T::from)
}

fn part<T>(object: &Bound<'_, PyAny>, name: &str, read: fn(&Bound<'_, PyAny>) -> PyResult<T>) -> PyResult<T> {
    read(&object.getattr(name)?)
}

fn command(object: &Bound<'_, PyAny>) -> PyResult<Command> {
    let kind = object.get_type().name()?.to_string();
    Ok(match kind.as_str() {
        "Open" => Command::Open(Open {
            peer: text(object, "peer")?,
            role: word(object, "role", &[("answerer", Role::Answerer), ("caller", Role::Caller)])?,
            local: part(object, "local", credentials)?,
            remote: part(object, "remote", credentials)?,
            fingerprints: get::<Vec<(String, String)>>(object, "fingerprints")?
                .into_iter()
                .filter_map(|(name, digest)| Some((name, digest_bytes(&digest)?)))
                .collect(),
            sctp_port: get(object, "sctp_port")?,
            max_message: get(object, "max_message")?,
            candidates: part(object, "candidates", candidates)?,
        }),
        "Restart" => Command::Restart {
            peer: text(object, "peer")?,
            local: part(object, "local", credentials)?,
            remote: part(object, "remote", credentials)?,
            candidates: part(object, "candidates", candidates)?,
        },
        "Close" => Command::Close { peer: text(object, "peer")? },
        "Expect" => Command::Expect(Expect {
            track: text(object, "track")?,
            peer: text(object, "peer")?,
            mid: get(object, "mid")?,
            kind: word(object, "kind", &[("audio", Kind::Audio), ("video", Kind::Video)])?,
            codecs: part(object, "codecs", |list| list.try_iter()?.map(|one| codec(&one?)).collect())?,
            extensions: part(object, "extensions", extensions)?,
            rids: get::<Vec<String>>(object, "rids")?.into_iter().map(Into::into).collect(),
            ssrcs: get(object, "ssrcs")?,
        }),
        "Forget" => Command::Forget { track: text(object, "track")? },
        "Route" => Command::Route(Route {
            route: get(object, "route")?,
            track: text(object, "track")?,
            peer: text(object, "peer")?,
            mid: get(object, "mid")?,
            codec: part(object, "codec", codec)?,
            extensions: part(object, "extensions", extensions)?,
            ssrc: get(object, "ssrc")?,
            rtx_ssrc: get(object, "rtx_ssrc")?,
        }),
        "Unroute" => Command::Unroute { route: get(object, "route")? },
        "SetLayer" => Command::SetLayer {
            route: get(object, "route")?,
            layer: get::<Option<String>>(object, "layer")?.map(Into::into),
        },
        "Keyframe" => Command::Keyframe { track: text(object, "track")?, layer: text(object, "layer")? },
        "Send" => Command::Send { peer: text(object, "peer")?, text: get(object, "text")? },
        _ => return Err(PyTypeError::new_err(format!("{kind} is no command"))),
    })
}

fn word<T: Copy>(object: &Bound<'_, PyAny>, name: &str, words: &[(&str, T)]) -> PyResult<T> {
    let told: String = get(object, name)?;
    let found = words.iter().find(|(word, _)| *word == told).map(|(_, value)| *value);
    found.ok_or_else(|| PyValueError::new_err(format!("{name}: {told:?} is not known")))
}

fn credentials(object: &Bound<'_, PyAny>) -> PyResult<Credentials> {
    Ok(Credentials { ufrag: get(object, "ufrag")?, pwd: get(object, "pwd")? })
}

/// What is no IP address (a name of mDNS, say) cannot be dialled, and is left out.
fn candidates(list: &Bound<'_, PyAny>) -> PyResult<Vec<SocketAddr>> {
    let mut found = Vec::new();
    for one in list.try_iter()? {
        let one = one?;
        let (host, port): (String, u16) = (get(&one, "host")?, get(&one, "port")?);
        found.extend(host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port)));
    }
    Ok(found)
}

fn codec(object: &Bound<'_, PyAny>) -> PyResult<Codec> {
    Ok(Codec {
        format: Format::named(&get::<String>(object, "name")?),
        clock: get(object, "clock")?,
        pt: get(object, "pt")?,
        rtx_pt: get(object, "rtx_pt")?,
    })
}

fn extensions(object: &Bound<'_, PyAny>) -> PyResult<Extensions> {
    Ok(Extensions {
        mid: get(object, "mid")?,
        rid: get(object, "rid")?,
        repaired_rid: get(object, "repaired_rid")?,
        transport_cc: get(object, "transport_cc")?,
        audio_level: get(object, "audio_level")?,
        abs_send_time: get(object, "abs_send_time")?,
        video_orientation: get(object, "video_orientation")?,
        playout_delay: get(object, "playout_delay")?,
        dependency_descriptor: get(object, "dependency_descriptor")?,
        abs_capture_time: get(object, "abs_capture_time")?,
    })
}

/// `AB:CD` to bytes; None for anything else: such a fingerprint matches nothing, which is the peer's loss.
fn digest_bytes(text: &str) -> Option<Vec<u8>> {
    let byte = |pair: &str| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2);
    text.split(':').map(byte).collect()
}

// To Python.

/// An object of a class of `focus.commands`, with its fields in order.
fn make<'py>(
    py: Python<'py>,
    class: &str,
    fields: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Bound<'py, PyAny>> {
    static COMMANDS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = COMMANDS.get_or_try_init(py, || py.import("focus.commands").map(Bound::unbind))?;
    module.bind(py).getattr(class)?.call1(fields.into_pyobject(py)?)
}

fn event(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
    match event {
        Event::Reachable { peer, candidates } => {
            let mut told = Vec::new();
            for address in candidates {
                told.push(make(py, "Candidate", (address.ip().to_string(), address.port()))?);
            }
            make(py, "Reachable", (&*peer, PyTuple::new(py, told)?))
        }
        Event::Connected { peer } => make(py, "Connected", (&*peer,)),
        Event::Opened { peer } => make(py, "Opened", (&*peer,)),
        Event::Lost { peer, loss } => {
            let loss = match loss {
                Loss::Ice => "ice",
                Loss::Dtls => "dtls",
                Loss::Closed => "closed",
            };
            make(py, "Lost", (&*peer, make(py, "Loss", (loss,))?))
        }
        Event::Appeared { track, layer, width, height } => make(py, "Appeared", (&*track, &*layer, width, height)),
        Event::Vanished { track, layer } => make(py, "Vanished", (&*track, &*layer)),
        Event::Switched { route, layer } => make(py, "Switched", (route, layer.as_deref())),
        Event::Message { peer, text } => make(py, "Message", (&*peer, text)),
        Event::Estimate { peer, bps } => make(py, "Estimate", (&*peer, bps)),
        Event::Rates { track, bps } => {
            let told = bps.iter().map(|(layer, bps)| (&**layer, *bps));
            make(py, "Rates", (&*track, PyTuple::new(py, told.collect::<Vec<_>>())?))
        }
        Event::Levels { track, loudness } => make(py, "Levels", (&*track, loudness)),
    }
}
