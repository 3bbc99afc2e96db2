//! The health of the database, for whoever asks the daemon: the database is asked at most once at a time, and what came
//! of it counts for a few seconds. However many ask, and how often, it is no load.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use grap::ops::HealthReport;
use grap_task::Stop;

use super::Daemon;
use crate::failure::Failure;

/// So long a look counts.
const COUNTS_FOR: Duration = Duration::from_secs(5);

/// What a look showed.
#[derive(Debug)]
pub(crate) struct HealthSeen {
    /// An error is Grap's own: it could not look.
    pub(crate) result: Result<HealthReport, Failure>,
    /// With the counts.
    detailed: bool,
    /// By the boot clock: when it ended.
    ended: Duration,
}

#[cfg(test)]
impl HealthSeen {
    pub(crate) fn of(report: HealthReport) -> Self {
        Self { result: Ok(report), detailed: false, ended: Duration::ZERO }
    }
}

#[derive(Debug, Default)]
pub(super) struct HealthLooks {
    looks: Mutex<Looks>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Looks {
    last: Option<Arc<HealthSeen>>,
    looking: bool,
}

impl HealthLooks {
    fn lock(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn last(&self) -> Option<Arc<HealthSeen>> {
        self.lock().last.clone()
    }

    /// One that counts still; else the caller's turn to look, when nobody else looks.
    fn counting_or_turn(&self, is_enough: impl Fn(&HealthSeen) -> bool) -> Result<Arc<HealthSeen>, Turn<'_>> {
        let mut looks = self.lock();
        loop {
            if let Some(last) = looks.last.as_ref().filter(|last| is_enough(last)) {
                return Ok(Arc::clone(last));
            }
            if !looks.looking {
                looks.looking = true;
                return Err(Turn(self));
            }
            looks = self.changed.wait(looks).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl HealthLooks {
    /// The turn to look, for who waits for nobody: where it is wanted, and nobody looks.
    fn turn_at_once(&self, is_enough: impl Fn(&HealthSeen) -> bool) -> Option<Turn<'_>> {
        let mut looks = self.lock();
        if looks.looking || looks.last.as_ref().is_some_and(|last| is_enough(last)) {
            return None;
        }
        looks.looking = true;
        Some(Turn(self))
    }
}

/// Nobody else looks until it is dropped.
struct Turn<'a>(&'a HealthLooks);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().looking = false;
        self.0.changed.notify_all();
    }
}

impl Daemon {
    /// As it is now, or was a moment ago. Waits for a look that somebody else takes.
    pub(crate) fn health(&self, detailed: bool, stop: &Stop) -> Arc<HealthSeen> {
        let is_enough = |seen: &HealthSeen| self.is_younger(seen, COUNTS_FOR) && (seen.detailed || !detailed);
        match self.health.counting_or_turn(is_enough) {
            Ok(seen) => seen,
            Err(turn) => self.look_at_health(detailed, stop, &turn),
        }
    }

    /// Look anew where the last look is older, and nobody looks.
    pub(crate) fn refresh_health(&self, age_max: Duration, stop: &Stop) {
        if let Some(turn) = self.health.turn_at_once(|seen| self.is_younger(seen, age_max)) {
            self.look_at_health(false, stop, &turn);
        }
    }

    fn is_younger(&self, seen: &HealthSeen, age_max: Duration) -> bool {
        self.clock.since_boot().saturating_sub(seen.ended) < age_max
    }

    fn look_at_health(&self, detailed: bool, stop: &Stop, turn: &Turn<'_>) -> Arc<HealthSeen> {
        let canary = self.canary_check();
        let result = self.own_call("health", stop, |call| call.health_report(detailed, canary));
        let seen = Arc::new(HealthSeen { result, detailed, ended: self.clock.since_boot() });
        // What a stop cut short says nothing about the database.
        if !stop.requested() {
            turn.0.lock().last = Some(Arc::clone(&seen));
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn many_who_ask_at_once_cause_one_look() {
        let (looks, taken) = (HealthLooks::default(), AtomicU32::new(0));
        let ask = || match looks.counting_or_turn(|_| true) {
            Ok(_) => {}
            Err(turn) => {
                taken.fetch_add(1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(50));
                let failure = Failure::Usage("nobody to ask".to_owned());
                let seen = HealthSeen { result: Err(failure), detailed: false, ended: Duration::ZERO };
                turn.0.lock().last = Some(Arc::new(seen));
            }
        };
        std::thread::scope(|scope| (0..20).for_each(|_| drop(scope.spawn(ask))));
        assert_eq!(taken.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn who_does_not_wait_gets_no_turn_while_somebody_looks() {
        let looks = HealthLooks::default();
        let turn = looks.turn_at_once(|_| true);
        assert!(turn.is_some() && looks.turn_at_once(|_| false).is_none());
        drop(turn);
        assert!(looks.turn_at_once(|_| false).is_some());
    }

    #[test]
    fn a_look_that_panics_gives_the_turn_away() {
        let looks = HealthLooks::default();
        let panicked = std::thread::scope(|scope| {
            let look = || {
                let _turn = looks.counting_or_turn(|_| true);
                panic!("in the middle");
            };
            scope.spawn(look).join().is_err()
        });
        assert!(panicked && looks.counting_or_turn(|_| true).is_err());
    }
}
