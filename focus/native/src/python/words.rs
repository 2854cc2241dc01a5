//! The values of `focus/commands.py`, turned into ours and back, field by field. What does not fit is an error that names it.

use std::net::{IpAddr, SocketAddr};

use pyo3::conversion::FromPyObjectOwned;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyTuple};

use crate::command::{
    Codec, Command, Credentials, Event, Expect, Extensions, Format, Highest, Kind, Loss, Open, Role, Route,
};

// From Python.

/// A field of a command. The error names it.
pub(super) fn get<'py, T: FromPyObjectOwned<'py>>(object: &Bound<'py, PyAny>, name: &str) -> PyResult<T> {
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

pub(super) fn part<T>(
    object: &Bound<'_, PyAny>,
    name: &str,
    read: fn(&Bound<'_, PyAny>) -> PyResult<T>,
) -> PyResult<T> {
    read(&object.getattr(name)?)
}

pub(super) fn command(object: &Bound<'_, PyAny>) -> PyResult<Command> {
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
            codecs: part(object, "codecs", codecs)?,
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
            codecs: part(object, "codecs", codecs)?,
            extensions: part(object, "extensions", extensions)?,
            ssrc: get(object, "ssrc")?,
            rtx_ssrc: get(object, "rtx_ssrc")?,
        }),
        "Unroute" => Command::Unroute { route: get(object, "route")? },
        "SetLayer" => Command::SetLayer {
            route: get(object, "route")?,
            layer: get::<Option<String>>(object, "layer")?.map(Into::into),
            highest: Highest::new(get(object, "spatial")?, get(object, "temporal")?),
        },
        "Keyframe" => Command::Keyframe { track: text(object, "track")?, layer: text(object, "layer")? },
        "Need" => Command::Need { peer: text(object, "peer")?, bps: get(object, "bps")? },
        "Send" => {
            Command::Send { peer: text(object, "peer")?, text: get(object, "text")?, urgent: get(object, "urgent")? }
        }
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

pub(super) fn codec(object: &Bound<'_, PyAny>) -> PyResult<Codec> {
    Ok(Codec {
        format: Format::named(&get::<String>(object, "name")?),
        clock: get(object, "clock")?,
        pt: get(object, "pt")?,
        rtx_pt: get(object, "rtx_pt")?,
    })
}

fn codecs(list: &Bound<'_, PyAny>) -> PyResult<Vec<Codec>> {
    list.try_iter()?.map(|one| codec(&one?)).collect()
}

pub(super) fn extensions(object: &Bound<'_, PyAny>) -> PyResult<Extensions> {
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
pub(super) fn make<'py>(
    py: Python<'py>,
    class: &str,
    fields: impl IntoPyObject<'py, Target = PyTuple, Output = Bound<'py, PyTuple>, Error = PyErr>,
) -> PyResult<Bound<'py, PyAny>> {
    static COMMANDS: PyOnceLock<Py<PyModule>> = PyOnceLock::new();
    let module = COMMANDS.get_or_try_init(py, || py.import("focus.commands").map(Bound::unbind))?;
    module.bind(py).getattr(class)?.call1(fields.into_pyobject(py)?)
}

pub(super) fn event(py: Python<'_>, event: Event) -> PyResult<Bound<'_, PyAny>> {
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
        Event::Rates { track, bps, parts } => {
            let told = bps.iter().map(|(layer, bps)| (&**layer, *bps));
            let parts = parts.iter().map(|(layer, spatial, temporal, bps)| (&**layer, *spatial, *temporal, *bps));
            let parts = PyTuple::new(py, parts.collect::<Vec<_>>())?;
            make(py, "Rates", (&*track, PyTuple::new(py, told.collect::<Vec<_>>())?, parts))
        }
        Event::Levels { track, loudness, recent } => make(py, "Levels", (&*track, loudness, PyBytes::new(py, &recent))),
    }
}
