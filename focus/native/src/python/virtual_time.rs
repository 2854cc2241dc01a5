//! The engine, and a client of it, without clock and socket: what tests drive in virtual time (`tests/pair.py`).
//!
//! Times are seconds since the beginning. Addresses are told as host and port. Nothing here runs in a call.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use super::since;
use super::words::{command, event};
use crate::command::{Command, Drop, Event, Name};
use crate::engine;
use crate::transport::{Chance, Identity, Out, TAIL, Transport, TransportEvent};

/// The same chance in every run (SplitMix64). Certificates and handshakes have their own, of the machine.
struct Seeded(u64);

impl Chance for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *byte = (mixed ^ (mixed >> 31)) as u8;
        }
    }
}

/// Datagrams that were sent: host, port, bytes.
type Datagrams<'py> = Vec<(String, u16, Bound<'py, PyBytes>)>;

fn address(host: &str, port: u16) -> PyResult<SocketAddr> {
    let ip = host.parse::<IpAddr>().map_err(|_| PyValueError::new_err(format!("{host:?} is no IP address")))?;
    Ok(SocketAddr::new(ip, port))
}

fn identity() -> PyResult<Identity> {
    Identity::new().map_err(PyValueError::new_err)
}

fn told(identity: &Identity) -> (String, String) {
    let (name, digest) = identity.fingerprint();
    (name.to_owned(), digest.to_owned())
}

/// The engine proper, at one address.
#[pyclass(unsendable)]
pub(super) struct Core {
    epoch: Instant,
    engine: engine::Engine,
    fingerprint: (String, String),
}

#[pymethods]
impl Core {
    /// Nobody is there. `seed` decides all chance but that of DTLS.
    #[new]
    fn new(host: &str, port: u16, seed: u64) -> PyResult<Self> {
        let (epoch, identity) = (Instant::now(), Arc::new(identity()?));
        let fingerprint = told(&identity);
        let mut seeds = seed;
        let chance = move || -> Box<dyn Chance + Send> {
            seeds = seeds.wrapping_add(1);
            Box::new(Seeded(seeds))
        };
        let engine = engine::Engine::new(epoch, identity, vec![address(host, port)?], Box::new(chance));
        Ok(Self { epoch, engine, fingerprint })
    }

    /// Hash name and digest of the certificate, as SDP has them.
    #[getter]
    fn fingerprint(&self) -> (String, String) {
        self.fingerprint.clone()
    }

    /// Have commands carried out in order. `TypeError` or `ValueError`: one is malformed.
    fn submit(&mut self, now: f64, commands: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = self.epoch + since(now)?;
        for one in commands.try_iter()? {
            self.engine.submit(now, command(&one?)?);
        }
        Ok(())
    }

    /// A datagram came.
    fn receive(&mut self, now: f64, host: &str, port: u16, datagram: &[u8]) -> PyResult<()> {
        let from = address(host, port)?;
        self.engine.receive(self.epoch + since(now)?, from, &mut datagram.to_vec());
        Ok(())
    }

    /// Do what is due.
    fn tick(&mut self, now: f64) -> PyResult<()> {
        self.engine.tick(self.epoch + since(now)?);
        Ok(())
    }

    /// When to call `tick` next; None while there is nobody.
    fn deadline(&self) -> Option<f64> {
        self.engine.deadline().map(|at| at.saturating_duration_since(self.epoch).as_secs_f64())
    }

    /// What was sent since the last call.
    fn take<'py>(&mut self, py: Python<'py>) -> Datagrams<'py> {
        let outbox = self.engine.outbox();
        let mut taken = Vec::new();
        for lane in outbox.waiting() {
            for message in lane.messages() {
                let (host, port) = (message.to.ip().to_string(), message.to.port());
                let datagrams = lane.bytes(message).chunks(message.segment.max(1));
                taken.extend(datagrams.map(|datagram| (host.clone(), port, PyBytes::new(py, datagram))));
            }
        }
        outbox.clear();
        taken
    }

    /// All events since the last call: edges in order, then the newest of each level.
    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        self.engine.drain().into_iter().map(|one| event(py, one)).collect()
    }

    /// What went no further, by reason.
    fn drops<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = PyDict::new(py);
        for (why, count) in Drop::ALL.iter().zip(&self.engine.tally().drops).filter(|(_, count)| **count > 0) {
            found.set_item(why.word(), count)?;
        }
        Ok(found)
    }
}

/// Keeps what is sent.
#[derive(Default)]
struct Sent(Vec<(SocketAddr, Vec<u8>)>);

impl Out for Sent {
    fn send(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.0.push((to, datagram.to_vec()));
    }
}

/// A client: one transport, and no opinion on media.
#[pyclass(unsendable)]
pub(super) struct Caller {
    epoch: Instant,
    identity: Identity,
    seed: u64,
    peer: Option<(Name, Transport)>,
    sent: Sent,
    events: Vec<Event>,
    heard: Vec<(&'static str, Vec<u8>)>,
}

impl Caller {
    fn report(&mut self) {
        let Some((name, transport)) = self.peer.as_mut() else { return };
        while let Some(said) = transport.event() {
            let peer = name.clone();
            self.events.push(match said {
                TransportEvent::Connected => Event::Connected { peer },
                TransportEvent::Opened => Event::Opened { peer },
                TransportEvent::Message(text) => Event::Message { peer, text },
                TransportEvent::Lost(loss) => Event::Lost { peer, loss },
            });
        }
    }

    /// Seal a packet and send it where media goes. False while it goes nowhere.
    fn seal(&mut self, packet: &[u8], seal: impl FnOnce(&mut Transport, &mut [u8]) -> Result<usize, Drop>) -> bool {
        let Some((_, transport)) = self.peer.as_mut() else { return false };
        let Some(path) = transport.path() else { return false };
        let mut bytes = packet.to_vec();
        bytes.resize(packet.len() + TAIL, 0);
        let Ok(length) = seal(transport, &mut bytes) else { return false };
        bytes.truncate(length);
        self.sent.0.push((path, bytes));
        true
    }
}

#[pymethods]
impl Caller {
    /// One that has not dialled. `seed` decides all chance but that of DTLS.
    #[new]
    fn new(seed: u64) -> PyResult<Self> {
        Ok(Self {
            epoch: Instant::now(),
            identity: identity()?,
            seed,
            peer: None,
            sent: Sent::default(),
            events: Vec::new(),
            heard: Vec::new(),
        })
    }

    /// Hash name and digest of the certificate, as SDP has them.
    #[getter]
    fn fingerprint(&self) -> (String, String) {
        told(&self.identity)
    }

    /// Carry out `Open`, `Restart`, `Send` and `Close`. `TypeError`: another, or before the `Open`.
    fn submit(&mut self, now: f64, commands: &Bound<'_, PyAny>) -> PyResult<()> {
        let now = self.epoch + since(now)?;
        for one in commands.try_iter()? {
            match (command(&one?)?, self.peer.as_mut()) {
                (Command::Open(open), None) => {
                    let chance = Box::new(Seeded(self.seed));
                    let made = Transport::new(now, &open, &self.identity, chance).map_err(PyValueError::new_err)?;
                    self.peer = Some((open.peer, made));
                }
                (Command::Restart { local, remote, candidates, .. }, Some((_, transport))) => {
                    transport.restart(now, local, remote, &candidates);
                }
                (Command::Send { text, urgent, .. }, Some((_, transport))) => {
                    let sent = transport.send_text(now, &text, urgent, &mut self.sent);
                    sent.map_err(|why| PyValueError::new_err(why.word()))?;
                }
                (Command::Close { .. }, Some((_, transport))) => transport.close(now, &mut self.sent),
                _ => return Err(PyTypeError::new_err("a caller dials once, and has no routes")),
            }
        }
        self.report();
        Ok(())
    }

    /// A datagram came.
    fn receive(&mut self, now: f64, host: &str, port: u16, datagram: &[u8]) -> PyResult<()> {
        let (now, from) = (self.epoch + since(now)?, address(host, port)?);
        let Some((_, transport)) = self.peer.as_mut() else { return Ok(()) };
        let mut bytes = datagram.to_vec();
        match bytes.first() {
            Some(0..=3) => {
                let _ = transport.stun(now, from, &bytes, &mut self.sent);
            }
            Some(20..=63) => {
                let _ = transport.dtls(now, from, &bytes, &mut self.sent);
            }
            Some(128..=191) if transport.is_valid(from) => {
                // RFC 5761 §4.
                let control = matches!(bytes.get(1), Some(192..=223));
                let opened = if control { transport.open_rtcp(&mut bytes) } else { transport.open_rtp(&mut bytes) };
                if let Ok(length) = opened {
                    bytes.truncate(length);
                    self.heard.push((if control { "rtcp" } else { "rtp" }, bytes));
                }
            }
            _ => {}
        }
        self.report();
        Ok(())
    }

    /// Do what is due.
    fn tick(&mut self, now: f64) -> PyResult<()> {
        let now = self.epoch + since(now)?;
        if let Some((_, transport)) = self.peer.as_mut() {
            transport.timeout(now, &mut self.sent);
        }
        self.report();
        Ok(())
    }

    /// When to call `tick` next; None when nothing will ever be due.
    fn deadline(&self) -> Option<f64> {
        let at = self.peer.as_ref()?.1.deadline()?;
        Some(at.saturating_duration_since(self.epoch).as_secs_f64())
    }

    /// Send an RTP packet. `index`: its extended sequence number, which must not come twice on an SSRC.
    /// False while there is no path.
    fn rtp(&mut self, index: u64, packet: &[u8]) -> bool {
        self.seal(packet, |transport, bytes| transport.seal_rtp(bytes, packet.len(), index))
    }

    /// Send a compound RTCP packet. False while there is no path.
    fn rtcp(&mut self, compound: &[u8]) -> bool {
        self.seal(compound, |transport, bytes| transport.seal_rtcp(bytes, compound.len()))
    }

    /// Media that came since the last call, in order, decrypted: `rtp` or `rtcp`, and the packet.
    fn heard<'py>(&mut self, py: Python<'py>) -> Vec<(&'static str, Bound<'py, PyBytes>)> {
        std::mem::take(&mut self.heard).into_iter().map(|(kind, bytes)| (kind, PyBytes::new(py, &bytes))).collect()
    }

    /// What was sent since the last call.
    fn take<'py>(&mut self, py: Python<'py>) -> Datagrams<'py> {
        let datagram = |(to, bytes): (SocketAddr, Vec<u8>)| (to.ip().to_string(), to.port(), PyBytes::new(py, &bytes));
        std::mem::take(&mut self.sent.0).into_iter().map(datagram).collect()
    }

    /// All events since the last call, in order.
    fn drain<'py>(&mut self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyAny>>> {
        std::mem::take(&mut self.events).into_iter().map(|one| event(py, one)).collect()
    }
}
