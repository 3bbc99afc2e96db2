//! What watches an archiver from outside of it: the lag by a probe of its own, so that a silent stall is heard;
//! and whether the installation is protected, for as long as it is not. It says so; `watch` gives the same looks to
//! whoever draws conclusions.

use std::time::Duration;

use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::{Finding, Silent, Stop};

use super::Session;
use super::lateness::Lateness;
use super::status::{Protection, StatusReport, look};
use crate::archive::{Archive, LagProbe, Proofs};
use crate::error::{Result, in_one_line};
use crate::live::Installation;

/// Between two looks at the lag.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// Between two looks at the protection.
const PROTECTION_INTERVAL: Duration = Duration::from_mins(10);
/// The first one, so that a backup may come before it.
const PROTECTION_FIRST: Duration = Duration::from_mins(1);

pub(super) struct Watchdog<'a> {
    pub(super) installation: &'a Installation,
    pub(super) repository: &'a Repository,
    pub(super) source: &'a SourceName,
    pub(super) archive: &'a Archive,
    /// A longer lag is told, and so is a log that does not go on from the archive, when that lasts longer.
    pub(super) lag_max: Duration,
    pub(super) session: &'a Session<'a>,
}

impl Watchdog<'_> {
    /// Until `end`.
    pub(super) fn run(&self, end: &Stop) {
        let clock = self.session.clock;
        let mut probe = LagProbe::new(self.installation, self.archive, end);
        let (mut lateness, mut protection) = (Lateness::default(), ProtectionLook::default());
        let mut next_look = clock.since_boot() + PROTECTION_FIRST;
        while !clock.wait(LAG_INTERVAL, end) {
            let measured = probe.measure(clock.now());
            let late = lateness.hear(measured, clock.since_boot(), self.lag_max);
            self.tell(late.into_iter().filter(|late| late.new).map(|late| late.text));
            if clock.since_boot() >= next_look {
                next_look = clock.since_boot() + PROTECTION_INTERVAL;
                self.tell(self.protection(&mut protection));
            }
        }
    }

    fn tell(&self, wrong: impl IntoIterator<Item = String>) {
        for text in wrong {
            self.session.monitor.finding(&Finding::warning(format!("UNPROTECTED: {text}")));
        }
    }

    /// Every reason, for as long as there is one; that it cannot be looked at once.
    fn protection(&self, known: &mut ProtectionLook) -> Option<String> {
        let quiet = Session { monitor: &Silent, ..*self.session };
        let (installation, proofs) = (Some(self.installation), &mut known.proofs);
        let looked = look(self.repository, self.source, installation, self.lag_max, proofs, &quiet);
        known.judge(looked)
    }
}

/// What is kept between two looks at the protection.
#[derive(Default)]
struct ProtectionLook {
    proofs: Proofs,
    failed: bool,
}

impl ProtectionLook {
    fn judge(&mut self, looked: Result<StatusReport>) -> Option<String> {
        let failed_before = std::mem::replace(&mut self.failed, looked.is_err());
        match looked {
            Ok(status) if status.protection == Protection::Protected => None,
            Ok(status) => Some(status.reasons.join("; ")),
            Err(_) if failed_before => None,
            Err(error) => Some(format!("whether it is cannot be looked at: {}", in_one_line(&error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_cannot_be_looked_at_is_told_once() {
        let mut look = ProtectionLook::default();
        assert!(look.judge(Err(Error::NoBackup)).is_some_and(|said| said.contains("no backup")));
        assert_eq!(look.judge(Err(Error::NoBackup)), None);
    }
}
