//! How far a recovery is, 0 to 100, and how long it may take: for whoever watches the process that performs it. Nothing
//! of it is kept: after a crash the orders that are done say how far it was.
//!
//! The figure never goes back, but for a new recovery.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use grap_core::recovery::{Order, State, percent, share};
use grap_task::{Clock, Finding, Monitor, Unit};

/// An estimate rests on so many hundredths, done under our eyes; and on a test instance that runs. Before that it would say how
/// fast bytes are written, and what is left is mostly no writing: the start, the questions, the check.
const SEEN_MIN: f64 = 2.0;

#[derive(Debug, Default)]
pub struct Gauge(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// None: nothing goes on.
    percent: Option<f64>,
    /// Where we came in: how far it was, and when.
    entered: Option<(f64, Duration)>,
    /// Whether the test instance has started.
    opened: bool,
    /// Of the order that is performed.
    order: (f64, f64),
    step: (u64, u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    pub percent: u8,
    /// How long it may take from now on, where that can be said.
    pub remaining: Option<Duration>,
}

impl Gauge {
    /// None where no recovery is on its way to a candidate.
    pub fn read(&self, clock: &Clock) -> Option<Reading> {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let percent = inner.percent?;
        let (entered_at, since) = inner.entered?;
        let seen = percent - entered_at;
        let elapsed = clock.since_boot().saturating_sub(since);
        let remaining = (inner.opened && seen >= SEEN_MIN).then(|| elapsed.mul_f64((100.0 - percent) / seen));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within 0 and 100")]
        Some(Reading { percent: percent.clamp(0.0, 100.0) as u8, remaining })
    }

    /// The recovery stands here, and this is performed now.
    pub(super) fn set(&self, state: &State, order: Option<Order>, clock: &Clock) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(base) = percent(state).map(f64::from) else {
            *inner = Inner::default();
            return;
        };
        inner.opened = state.recovery().is_some_and(|recovery| recovery.starts > 0);
        inner.entered.get_or_insert_with(|| (base, clock.since_boot()));
        inner.order = (base, order.map_or(0.0, |order| f64::from(share(order))));
        inner.step = (0, 0);
        inner.reach(base);
    }

    /// A listener that hears what this one is told, and moves the gauge.
    pub(super) fn metering<'a>(&'a self, listener: &'a dyn Monitor) -> Metering<'a> {
        Metering { gauge: self, listener }
    }
}

impl Inner {
    fn reach(&mut self, percent: f64) {
        self.percent = Some(self.percent.map_or(percent, |before| before.max(percent)));
    }

    fn advance(&mut self, amount: u64) {
        self.step.0 = self.step.0.saturating_add(amount);
        let (done, total) = self.step;
        if total > 0 && self.percent.is_some() {
            let (base, share) = self.order;
            self.reach(base + share * (done as f64 / total as f64).min(1.0));
        }
    }
}

pub(super) struct Metering<'a> {
    gauge: &'a Gauge,
    listener: &'a dyn Monitor,
}

impl Monitor for Metering<'_> {
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>) {
        // Of the steps of an order the one that counts bytes is the long one.
        let bytes = total.filter(|_| unit == Unit::Bytes).unwrap_or(0);
        self.gauge.0.lock().unwrap_or_else(PoisonError::into_inner).step = (0, bytes);
        self.listener.begin(step, unit, total);
    }

    fn advance(&self, amount: u64) {
        self.gauge.0.lock().unwrap_or_else(PoisonError::into_inner).advance(amount);
        self.listener.advance(amount);
    }

    fn finding(&self, finding: &Finding) {
        self.listener.finding(finding);
    }
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Tier, apply, atlas, order};
    use grap_task::{ManualClock, Silent};
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn it_goes_from_0_to_100_and_never_back_and_says_how_long() {
        let manual = ManualClock::at(Timestamp::UNIX_EPOCH);
        let clock = Clock::Manual(manual.clone());
        let gauge = Gauge::default();
        assert_eq!(gauge.read(&clock), None);
        let mut state = apply(State::Idle, &atlas::event(atlas::begun())).unwrap();
        let mut readings = Vec::new();
        while let Some(owed) = order(&state) {
            gauge.set(&state, Some(owed), &clock);
            readings.push(gauge.read(&clock).unwrap());
            if owed == Order::Restore {
                let metering = gauge.metering(&Silent);
                metering.begin("opening", Unit::Items, Some(3));
                metering.advance(2);
                assert_eq!(gauge.read(&clock).unwrap().percent, 1);
                metering.begin("restoring", Unit::Bytes, Some(100));
                manual.advance(Duration::from_secs(10));
                metering.advance(50);
                let reading = gauge.read(&clock).unwrap();
                // 23 of 100 in 10 seconds, which says nothing about the rest.
                assert_eq!((reading.percent, reading.remaining), (23, None));
                metering.begin("syncing", Unit::Bytes, Some(100));
                metering.advance(1);
                assert_eq!(gauge.read(&clock).unwrap().percent, 23);
            }
            if owed == Order::Judge(Tier::Connectivity) {
                // 63 of 100 in 10 seconds.
                assert_eq!(gauge.read(&clock).unwrap().remaining.unwrap().as_secs(), 5);
            }
            state = apply(state.clone(), &atlas::done(&state).unwrap()).unwrap();
        }
        gauge.set(&state, None, &clock);
        assert_eq!(gauge.read(&clock), Some(Reading { percent: 100, remaining: Some(Duration::ZERO) }));
        assert!(readings.is_sorted_by_key(|reading| reading.percent));
        let reset = apply(state, &atlas::event(grap_core::recovery::What::ResetAsked)).unwrap();
        gauge.set(&reset, None, &clock);
        assert_eq!(gauge.read(&clock), None);
    }
}
