//! The estimator of one peer's path, alone and in virtual time: for the cases of congestion control (`tests/congestion`).
//!
//! Nothing here runs in a call.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::estimate::Estimator;
use crate::media::twcc::Told;

/// Quarters of a millisecond in a second: what feedback counts in.
const QUARTERS: f64 = 4000.0;

/// What became of a packet: number, when it left, bytes, and when it arrived (None: not).
type Fate = (i64, f64, u16, Option<f64>);

/// See `crate::estimate`.
#[pyclass(unsendable)]
pub(super) struct Estimate {
    estimator: Estimator,
}

#[pymethods]
impl Estimate {
    /// Nothing is known of the path.
    #[new]
    fn new() -> Self {
        Self { estimator: Estimator::default() }
    }

    /// Bits a second that may be sent now.
    #[getter]
    fn bps(&self) -> f64 {
        self.estimator.bps()
    }

    /// What could be used, in bits a second.
    fn want(&mut self, bps: f64) {
        self.estimator.want(bps);
    }

    /// A packet leaves.
    fn left(&mut self, now: f64, size: usize) {
        self.estimator.left(now, size);
    }

    /// The probe to send now: bits a second, bytes at least, and bytes of a packet. None: none.
    fn probe(&mut self, now: f64) -> Option<(f64, u32, u32)> {
        self.estimator.probe(now).map(|cluster| (cluster.bps, cluster.bytes, cluster.packet))
    }

    /// A probe of this rate left as the packets from `first` to `last`.
    fn probed(&mut self, now: f64, bps: f64, first: i64, last: i64) {
        self.estimator.probed(now, bps, first..=last);
    }

    /// Feedback came. Returns whether the estimate changed. `ValueError`: a time is no finite number.
    fn told(&mut self, now: f64, fates: Vec<Fate>) -> PyResult<bool> {
        let told = fates.into_iter().map(|(sequence, sent, size, arrived)| {
            if !sent.is_finite() || arrived.is_some_and(|at| !at.is_finite()) {
                return Err(PyValueError::new_err("a time is no finite number"));
            }
            let arrived = arrived.map(|at| (at * QUARTERS) as i64);
            Ok(Told { sequence, sent, size, arrived })
        });
        let told = told.collect::<PyResult<Vec<_>>>()?;
        Ok(self.estimator.told(now, &told))
    }

    /// Look whether the peer went silent. Returns whether the estimate changed.
    fn tick(&mut self, now: f64) -> bool {
        self.estimator.tick(now)
    }
}
