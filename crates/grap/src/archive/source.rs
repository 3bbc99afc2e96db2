//! The source as a round sees it: whether it is still the one that was read, and which pins are needed no longer.

use super::held::is_stray;
use super::write_error::WriteError;
use super::writer::{Active, Writer};
use crate::live::HeldRun;

impl Writer<'_> {
    /// Why the source is no longer the one that was read, if it is not.
    pub fn displaced(&self, active: &Active, database: &str) -> Result<Option<String>, WriteError> {
        if self.follower.present_run()? != active.server {
            return Ok(Some("another run of the server".to_owned()));
        }
        let Some(cursor) = active.logs.get(database) else { return Ok(None) };
        let live = self.follower.live(database)?;
        let here = cursor.log.version();
        if live.iter().all(|(version, _)| *version < here) {
            return Ok(Some(format!("log file {here} vanished, and there is none behind it")));
        }
        for (version, inode) in live.iter().filter(|(version, _)| *version <= here) {
            let known = if *version == here { Some(&cursor.log) } else { cursor.sequence.file(*version) };
            if known.is_some_and(|known| known.inode() != *inode) {
                return Ok(Some(format!("log file {version} is another file")));
            }
        }
        let runs = self.follower.runs();
        let held = runs.last().map(|present| present.files(database)).unwrap_or_default();
        let abandoned = held.iter().find(|file| !active.known.contains(&file.inode) && is_stray(file, &live));
        if let Some(file) = abandoned {
            return Ok(Some(format!("log file {} was given up", file.name.version())));
        }
        let at_end = cursor.log.size()? <= cursor.scan.position.offset;
        if at_end && live.iter().all(|(version, _)| *version > here.next()) {
            let gap = || format!("a gap: log file {} is gone and was not pinned", here.next());
            return Ok(self.next_file(cursor, database)?.is_none().then(gap));
        }
        Ok(cursor.moved()?)
    }

    /// Drop the pins of what is stored.
    pub fn tidy(&self) -> Result<(), WriteError> {
        let Some(active) = &self.active else { return Ok(()) };
        let runs = self.follower.runs();
        // What a newer run of the server holds was not read yet.
        let Some(present) = runs.last().filter(|present| present.identity == active.server) else {
            return Ok(());
        };
        for (database, cursor) in &active.logs {
            self.follower.stored_below(&active.server, database, cursor.needed_from())?;
        }
        for run in runs.iter().filter(|run| !run.present && active.stored.contains(&run.identity)) {
            if self.databases.iter().all(|database| is_stored(active, run, present, database)) {
                self.follower.drop_run(&run.identity)?;
            }
        }
        Ok(())
    }
}

/// Whether the files of an earlier run are needed no longer: its remains are stored, and of the present history
/// each is either read to its end or held by the present run as well.
fn is_stored(active: &Active, run: &HeldRun, present: &HeldRun, database: &str) -> bool {
    let Some(cursor) = active.logs.get(database) else { return false };
    let held = present.files(database);
    run.files(database).iter().all(|file| {
        !cursor.sequence.contains(file)
            || file.name.version() < cursor.needed_from()
            || held.iter().any(|other| (other.name, other.inode) == (file.name, file.inode))
    })
}
