//! What people's loops and the checks of what they receive look like in Python.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::words::get;
use crate::crowd::book::Book;
use crate::crowd::loops::{Layer, Person};
use crate::crowd::member::Member;

/// People as `bench.participants.media` has them.
pub(super) fn people(list: &Bound<'_, PyAny>) -> PyResult<Vec<Person>> {
    let mut found = Vec::new();
    for one in list.try_iter()? {
        let one = one?;
        let mut layers = Vec::new();
        for layer in one.getattr("layers")?.try_iter()? {
            layers.push(Layer(get(&layer?, "frames")?));
        }
        let (voice, levels): (Vec<Vec<u8>>, Vec<u8>) = (get(&one, "voice")?, get(&one, "levels")?);
        found.push(Person { layers, voice: voice.into_iter().zip(levels).collect() });
    }
    Ok(found)
}

/// What a client found of one checked stream; None for a marked one.
pub(super) fn checked<'py>(py: Python<'py>, book: &Book) -> PyResult<Option<Bound<'py, PyDict>>> {
    let Some(check) = &book.check else { return Ok(None) };
    let (found, counts) = (&check.found, book.counts());
    let told = PyDict::new(py);
    for (name, count) in [
        ("packets", found.packets),
        ("octets", found.octets),
        ("frames", found.frames),
        ("keyframes", found.keyframes),
        ("known", found.known),
        ("recovered", counts.repaired),
        ("duplicates", counts.duplicates),
    ] {
        told.set_item(name, count)?;
    }
    let faults = PyDict::new(py);
    for (name, count) in &found.faults {
        faults.set_item(*name, *count)?;
    }
    told.set_item("faults", faults)?;
    told.set_item("size", found.size)?;
    told.set_item("first_frame", found.first_frame)?;
    told.set_item("newest_frame", found.newest_frame)?;
    told.set_item("longest_gap", found.longest_gap)?;
    told.set_item("switches", found.switches.clone())?;
    told.set_item("wanted_at", found.wanted_at)?;
    told.set_item("arrivals", found.arrivals.iter().copied().collect::<Vec<_>>())?;
    Ok(Some(told))
}

/// What a client counts beside its streams.
pub(super) fn tallied(member: &Member) -> Vec<(&'static str, u64)> {
    let tally = &member.tally;
    let sent: u64 = member.senders.iter().map(|sender| sender.packets).sum();
    let resent: u64 = member.senders.iter().map(|sender| sender.repairs).sum();
    vec![
        ("sent", sent),
        ("resent", resent),
        ("keyframes_asked", member.senders.iter().map(|sender| sender.keyframe_requests).sum()),
        ("came", tally.came),
        ("told_arrived", tally.told_arrived),
        ("told_missing", tally.told_missing),
        ("feedback", tally.feedback),
        ("stranger", tally.strays),
        ("unopened", tally.unopened),
        ("after_end", tally.after_end),
        ("wrong_payload_type", tally.wrong_payload_type),
        ("padding", tally.padding),
        ("feedback_for_stranger", tally.stranger_feedback),
        ("malformed_rtcp", tally.malformed),
    ]
}
