//! The watch: what is seen of the archive from the outside, and what follows from it.
//!
//! - Where no backup reaches the end of the current timeline one is asked for at once.
//! - What is too late, or unprotected for longer than the archive may be late, is an alert until it has passed.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use grap::archive::{RunNumber, Standing};
use grap::in_one_line;
use grap::ops::{LagLook, Look, Onlooker, Protection, StatusReport};
use grap_task::Stop;

use super::Daemon;
use super::alarms::{LAG, PROTECTION, WATCH};
use super::job::RunEnd;
use super::status::{LagView, ProtectionView};
use crate::cli::lag_max;

/// Between two looks at the protection while there is none.
const UNPROTECTED_INTERVAL: Duration = Duration::from_secs(30);
/// Between two requests of a backup for the same run of the archiver: what one did not mend another may not, either.
const REQUEST_INTERVAL: Duration = Duration::from_mins(10);

/// What the last looks showed.
#[derive(Debug, Clone, Default)]
pub(super) struct Watched {
    pub(super) lag: Vec<LagView>,
    pub(super) protection: Option<ProtectionView>,
}

/// What is kept between two looks.
#[derive(Default)]
struct Memory {
    /// The newest run of the archiver.
    run: Option<RunNumber>,
    /// By the boot clock: since when there is no protection.
    unprotected: Option<Duration>,
    /// A backup was wanted at the last look.
    wanted: bool,
    /// By the boot clock: when a backup was last asked for, and during which run.
    requested: Option<(Duration, Option<RunNumber>)>,
}

impl Daemon {
    pub(super) fn watch(&self, stop: &Stop) -> RunEnd {
        let Ok(repository) = self.reach_repository("watch", stop) else { return RunEnd::Done };
        let mut memory = Memory::default();
        let looked = std::cell::Cell::new(Duration::ZERO);
        let look_now = || {
            let asked = self.look_now.swap(false, Ordering::SeqCst);
            let unprotected = self.watched().protection.is_some_and(|seen| !seen.protected);
            let now = self.clock.since_boot();
            let due = asked || (unprotected && now.saturating_sub(looked.get()) >= UNPROTECTED_INTERVAL);
            if due {
                looked.set(now);
            }
            due
        };
        let mut see = |look| self.see(look, &mut memory);
        let mut onlooker = Onlooker { see: &mut see, look_now: &look_now };
        match self.own_call("watch", stop, |call| call.watch(&repository, &mut onlooker)) {
            Ok(()) => RunEnd::Done,
            Err(failure) => self.end_of(&failure),
        }
    }

    pub(super) fn watched(&self) -> Watched {
        self.watched.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn see(&self, look: Look, memory: &mut Memory) {
        match look {
            Look::Blind(error) => {
                let why = format!("the protection cannot be looked at: {}", in_one_line(&error));
                self.alerts.raise(WATCH, grap_core::AlertLevel::Critical, &why);
            }
            Look::Lag(lag) => self.see_lag(&lag, memory),
            Look::Protection(status) => self.see_protection(&status, memory),
        }
    }

    fn see_lag(&self, lag: &LagLook, memory: &mut Memory) {
        memory.run = lag.run.or(memory.run);
        if lag.late.is_empty() {
            self.alerts.clear(LAG);
        } else {
            self.alerts.raise(LAG, grap_core::AlertLevel::Critical, &lag.late.join("; "));
        }
        let views = lag.databases.iter().map(|lag| LagView {
            database: lag.database.clone(),
            follows: lag.standing == Standing::Follows,
            transactions: lag.transactions,
            milliseconds: lag.milliseconds,
        });
        self.watched.write().unwrap_or_else(PoisonError::into_inner).lag = views.collect();
    }

    fn see_protection(&self, status: &StatusReport, memory: &mut Memory) {
        self.alerts.clear(WATCH);
        let (now, protected) = (self.clock.since_boot(), status.protection == Protection::Protected);
        let at = self.clock.now();
        let last_backup = status.last_backup.as_ref().and_then(|last| at.checked_sub(last.age).ok());
        let view = ProtectionView {
            protected,
            reasons: status.reasons.clone(),
            at,
            backups: status.backups,
            last_backup,
        };
        self.watched.write().unwrap_or_else(PoisonError::into_inner).protection = Some(view);
        if protected {
            (memory.unprotected, memory.wanted) = (None, false);
            self.alerts.clear(PROTECTION);
            return;
        }
        let since = *memory.unprotected.get_or_insert(now);
        if now.saturating_sub(since) >= self.lag_max() {
            self.alerts.raise(PROTECTION, grap_core::AlertLevel::Critical, &status.reasons.join("; "));
        }
        // Seen twice: a look in the moment in which the archive reaches the base shows neither here nor there.
        let seen_before = std::mem::replace(&mut memory.wanted, status.backup_wanted);
        match (status.backup_wanted, seen_before) {
            (true, true) => self.want_backup(&status.reasons.join("; "), now, memory),
            (true, false) => self.look_now.store(true, Ordering::SeqCst),
            (false, _) => {}
        }
    }

    /// A backup, unless this run of the archiver has had one for the same reason a moment ago.
    fn want_backup(&self, why: &str, now: Duration, memory: &mut Memory) {
        let asked = memory
            .requested
            .is_some_and(|(at, run)| run == memory.run && now.saturating_sub(at) < REQUEST_INTERVAL);
        if !asked {
            memory.requested = Some((now, memory.run));
            self.request_backup(why);
        }
    }

    fn lag_max(&self) -> Duration {
        let settings = self.settings();
        lag_max(&settings).unwrap_or(Duration::from_mins(1))
    }
}
