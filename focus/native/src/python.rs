//! The module `focus.native._native`: the engine as Python sees it. With its folder, all that knows PyO3.
//!
//! It decides nothing. The worker's thread never enters Python; only calls that Python makes do.

mod checks;
mod crowd;
mod estimate;
mod virtual_time;
mod words;

use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyTuple};

use self::words::{command, event, make};
use crate::command::Drop;
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
    #[pymodule_export]
    use super::crowd::Crowd;
    #[pymodule_export]
    use super::crowd::bare_loop;
    #[pymodule_export]
    use super::estimate::Estimate;
    #[pymodule_export]
    use super::virtual_time::{Caller, Core};

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
    #[pyo3(signature = (addresses, announce, port_low, port_high, *, coalesce_ms=0.0, gso=true, joined=false, workers=1))]
    // Python names them.
    #[allow(clippy::too_many_arguments)]
    fn new(
        addresses: Vec<String>,
        announce: Vec<String>,
        port_low: u16,
        port_high: u16,
        coalesce_ms: f64,
        gso: bool,
        joined: bool,
        workers: usize,
    ) -> PyResult<Self> {
        let settings = pump::Settings {
            addresses: ips(&addresses)?,
            announce: ips(&announce)?,
            ports: (port_low, port_high),
            coalesce: Duration::try_from_secs_f64(coalesce_ms / 1e3)
                .map_err(|error| PyValueError::new_err(format!("coalesce_ms: {error}")))?,
            gso,
            joined,
            workers: if workers == 0 { pump::processors() } else { workers },
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
            tally.probes_out,
        );
        make(py, "Counters", totals)
    }

    /// What the pump counts of its own work, by name.
    fn figures<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let each = self.pump.each();
        let found = counted(py, &self.pump.counted().figures)?;
        found.set_item("workers", each.len())?;
        for (worker, one) in each.iter().enumerate().filter(|_| each.len() > 1) {
            for (name, count) in one.figures.named() {
                found.set_item(format!("worker_{worker}_{name}"), count)?;
            }
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

/// What a pump counts, by name.
fn counted<'py>(py: Python<'py>, figures: &pump::Figures) -> PyResult<Bound<'py, PyDict>> {
    let found = PyDict::new(py);
    for (name, count) in figures.named() {
        found.set_item(name, count)?;
    }
    for (number, count) in figures.trains.into_iter().enumerate() {
        found.set_item(format!("trains_to_{}", 1 << number), count)?;
    }
    Ok(found)
}

fn since(seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(format!("now: {error}")))
}

fn ips(texts: &[String]) -> PyResult<Vec<IpAddr>> {
    let parse = |text: &String| text.parse().map_err(|_| PyValueError::new_err(format!("{text:?} is no IP address")));
    texts.iter().map(parse).collect()
}
