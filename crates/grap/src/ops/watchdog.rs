//! What watches an archiver from outside of it: the lag by a probe of its own, so that a silent stall is heard;
//! and whether the installation is protected, for as long as it is not.

use std::time::Duration;

use grap_core::SourceName;
use grap_repository::Repository;
use grap_task::{Finding, Silent, Stop};

use super::Session;
use super::status::{Protection, look};
use crate::archive::{Archive, DatabaseLag, LagProbe, Standing};
use crate::error::in_one_line;
use crate::live::Installation;

/// Between two looks at the lag.
const LAG_INTERVAL: Duration = Duration::from_secs(5);
/// Between two looks at the protection; the first comes after one of them, so that a backup may come first.
const PROTECTION_INTERVAL: Duration = Duration::from_mins(10);
/// A longer lag is told.
const LAG_MAX: Duration = Duration::from_secs(10);

pub(super) struct Watchdog<'a> {
    pub(super) installation: &'a Installation,
    pub(super) repository: &'a Repository,
    pub(super) source: &'a SourceName,
    pub(super) archive: &'a Archive,
    pub(super) session: &'a Session<'a>,
}

impl Watchdog<'_> {
    /// Until `end`.
    pub(super) fn run(&self, end: &Stop) {
        let clock = self.session.clock;
        let mut probe = LagProbe::new(self.installation, self.archive, end);
        let mut told = false;
        let mut looked = clock.since_boot();
        while !clock.wait(LAG_INTERVAL, end) {
            let late = self.late(&mut probe);
            if let Some(late) = late.as_ref().filter(|_| !told) {
                self.session.monitor.finding(&Finding::warning(format!("UNPROTECTED: {late}")));
            }
            told = late.is_some();
            if clock.since_boot().saturating_sub(looked) >= PROTECTION_INTERVAL {
                looked = clock.since_boot();
                self.ask_for_protection();
            }
        }
    }

    /// What is wrong with the lag, if anything is.
    fn late(&self, probe: &mut LagProbe<'_>) -> Option<String> {
        match probe.measure(self.session.clock.now()) {
            Ok(lags) => lags.iter().find_map(too_late),
            Err(error) => {
                let why = in_one_line(&error);
                Some(format!("how far the archive is behind cannot be measured: {why}"))
            }
        }
    }

    fn ask_for_protection(&self) {
        let quiet = Session { monitor: &Silent, ..*self.session };
        let (installation, source) = (Some(self.installation), self.source);
        // What cannot be looked at now is looked at later; the lag is told above.
        let Ok(status) = look(self.repository, source, installation, LAG_MAX, &quiet) else { return };
        if status.protection != Protection::Protected {
            let reasons = status.reasons.join("; ");
            self.session.monitor.finding(&Finding::warning(format!("UNPROTECTED: {reasons}")));
        }
    }
}

fn too_late(lag: &DatabaseLag) -> Option<String> {
    let DatabaseLag { database, transactions, milliseconds, .. } = lag;
    let late = Duration::from_millis(milliseconds.unsigned_abs()) > LAG_MAX;
    match lag.standing {
        Standing::Follows if late => Some(format!(
            "`{database}`: {transactions} transactions are not in the repository, the oldest since {milliseconds} ms"
        )),
        // A new run is on its way; how it ends is told when it begins.
        _ => None,
    }
}
