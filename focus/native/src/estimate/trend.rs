//! Whether a queue grows: the slope of the delay over the last twenty groups, against a threshold that adapts.
//!
//! Pure. As libwebrtc's trendline estimator and overuse detector, whose constants these are; the
//! threshold adapts as in "Analysis and design of the Google congestion control" (Carlucci 2016).

use std::collections::VecDeque;

use super::groups::Step;
use crate::media::Seconds;
use crate::pump::ahead::fetch;

/// Groups that the slope is taken over.
const WINDOW: usize = 20;
const SMOOTHING: f64 = 0.9;
/// What makes a slope comparable to the threshold, in ms.
const GAIN: f64 = 4.0;
const MOST_GROUPS: u32 = 60;
/// Milliseconds of growing delay before it counts as overuse.
const PATIENCE: f64 = 10.0;
const THRESHOLD: f64 = 12.5;
const THRESHOLDS: std::ops::RangeInclusive<f64> = 6.0..=600.0;
const UP: f64 = 0.0087;
const DOWN: f64 = 0.039;
/// A delay that far above the threshold is a jump of the path, and not adapted to.
const JUMP: f64 = 15.0;

/// What the path does with what we send.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Usage {
    /// The delay stays.
    #[default]
    Normal,
    /// A queue grows: we send too much.
    Over,
    /// A queue drains.
    Under,
}

/// See the file's head. Times inside are in milliseconds.
#[derive(Debug)]
pub struct Trend {
    groups: u32,
    delay: f64,
    smooth: f64,
    /// Arrival and smoothed delay.
    points: VecDeque<(f64, f64)>,
    slope: f64,
    before: f64,
    threshold: f64,
    adapted: Option<f64>,
    /// How long the delay has been growing, None while it does not.
    over: Option<f64>,
    count: u32,
    usage: Usage,
}

impl Default for Trend {
    fn default() -> Self {
        Self::begin(VecDeque::with_capacity(WINDOW + 1))
    }
}

impl Trend {
    /// With room for the points of a window.
    fn begin(points: VecDeque<(f64, f64)>) -> Self {
        Self {
            groups: 0,
            delay: 0.0,
            smooth: 0.0,
            points,
            slope: 0.0,
            before: 0.0,
            threshold: THRESHOLD,
            adapted: None,
            over: None,
            count: 0,
            usage: Usage::Normal,
        }
    }

    /// A group is taken in soon. A hint only.
    pub fn fetch(&self) {
        fetch(self);
        let (older, newer) = self.points.as_slices();
        fetch(older);
        fetch(newer);
    }

    /// What the newest step says.
    #[must_use]
    pub fn usage(&self) -> Usage {
        self.usage
    }

    /// Whether the delay grows at more than 0.6 of what would be overuse: no time to send more.
    #[must_use]
    pub fn warns(&self) -> bool {
        self.modified() > 0.6 * self.threshold
    }

    /// Begin anew, but for the threshold: what comes is not to be compared with what came.
    pub fn forget(&mut self) {
        let (threshold, adapted) = (self.threshold, self.adapted);
        // The room is kept: this happens with each probe, and nothing is allocated in a steady call.
        let mut points = std::mem::take(&mut self.points);
        points.clear();
        *self = Self { threshold, adapted, ..Self::begin(points) };
    }

    /// A group arrived at `arrived` (the receiver's clock).
    pub fn take(&mut self, step: Step, arrived: Seconds) {
        self.groups = (self.groups + 1).min(1000);
        self.delay += (step.arrived - step.sent) * 1000.0;
        self.smooth = SMOOTHING * self.smooth + (1.0 - SMOOTHING) * self.delay;
        let arrived = arrived * 1000.0;
        self.points.push_back((arrived, self.smooth));
        if self.points.len() > WINDOW {
            self.points.pop_front();
        }
        if self.points.len() == WINDOW {
            self.slope = slope(&self.points).unwrap_or(self.slope);
        }
        self.judge(step.sent * 1000.0);
        self.adapt(arrived);
    }

    fn modified(&self) -> f64 {
        f64::from(self.groups.min(MOST_GROUPS)) * self.slope * GAIN
    }

    fn judge(&mut self, sent: f64) {
        if self.groups < 2 {
            return;
        }
        let modified = self.modified();
        if modified > self.threshold {
            let over = self.over.map_or(sent / 2.0, |over| over + sent);
            self.over = Some(over);
            self.count += 1;
            if over > PATIENCE && self.count > 1 && self.slope >= self.before {
                self.over = Some(0.0);
                self.count = 0;
                self.usage = Usage::Over;
            }
        } else {
            self.over = None;
            self.count = 0;
            self.usage = if modified < -self.threshold { Usage::Under } else { Usage::Normal };
        }
        self.before = self.slope;
    }

    fn adapt(&mut self, now: f64) {
        let since = now - self.adapted.replace(now).unwrap_or(now);
        let size = self.modified().abs();
        if size > self.threshold + JUMP {
            return;
        }
        let rate = if size < self.threshold { DOWN } else { UP };
        self.threshold += rate * (size - self.threshold) * since.clamp(0.0, 100.0);
        self.threshold = self.threshold.clamp(*THRESHOLDS.start(), *THRESHOLDS.end());
    }
}

/// Of the least squares line; None where all points have one time.
fn slope(points: &VecDeque<(f64, f64)>) -> Option<f64> {
    let count = points.len() as f64;
    let (x, y) = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    let (x, y) = (x / count, y / count);
    let over = |point: &(f64, f64)| (point.0 - x) * (point.1 - y);
    let under: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    (under > 0.0).then(|| points.iter().map(over).sum::<f64>() / under)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Usages seen over so many groups, 20 ms apart, each `extra` milliseconds later than the one before.
    fn run(trend: &mut Trend, from: u32, count: u32, extra: f64) -> Vec<Usage> {
        let step = Step { sent: 0.02, arrived: 0.02 + extra / 1000.0 };
        let mut seen = vec![];
        for at in from..from + count {
            trend.take(step, f64::from(at) * step.arrived);
            if seen.last() != Some(&trend.usage()) {
                seen.push(trend.usage());
            }
        }
        seen
    }

    #[test]
    fn a_steady_path_is_normal_a_growing_queue_overuse_and_a_draining_one_underuse() {
        let mut trend = Trend::default();
        assert_eq!(run(&mut trend, 0, 100, 0.0), [Usage::Normal]);
        assert!(!trend.warns());
        assert_eq!(run(&mut trend, 100, 30, 4.0).last(), Some(&Usage::Over));
        assert!(trend.warns());
        assert_eq!(run(&mut trend, 130, 60, -2.0).last(), Some(&Usage::Under));
    }

    #[test]
    fn jitter_around_a_steady_delay_is_not_overuse() {
        let mut trend = Trend::default();
        for at in 0..1000 {
            let swing = if at % 2 == 0 { 0.003 } else { -0.003 };
            trend.take(Step { sent: 0.02, arrived: 0.02 + swing }, f64::from(at) * 0.02);
            assert_ne!(trend.usage(), Usage::Over, "at group {at}");
        }
    }
}
