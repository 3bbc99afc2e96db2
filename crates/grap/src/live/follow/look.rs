//! One look: what lies in the log directories is linked, then it is asked which run is there.
//!
//! A run is *confirmed* when it is found again behind the links that were made since it was found before: it
//! was there all the while, and they are its own. When another one is found, they may belong to either, and go
//! over to the newer run: they are linked there, then removed from the older one's folder. Then the whole
//! directory is looked through again for the newer run.
//!
//! Linking comes first because a log file may live for a second only, and the folder of a new run costs a few
//! syncs. Where it cannot be made (a full disk) files are held all the same, in doubt.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use grap_disk as disk;
use grap_neo4j::files::LogFile;

use super::folder::{Ground, RunFolder};
use super::state::State;
use super::{FollowError, RunIdentity, Shared};
use crate::live::pinned::PinnedFile;

/// A look is made anew for a run that began in it, this often at most; the next look goes on.
const PASSES_MAX: u32 = 3;
/// Descriptors are few (1024 by default); leave most of them to the rest of the program.
const DESCRIPTORS_MAX: usize = 700;

/// One log file in a live directory.
#[derive(Debug)]
pub(super) struct LiveFile {
    pub(super) name: LogFile,
    pub(super) inode: u64,
    pub(super) path: PathBuf,
}

/// The transaction log files of a directory now, by version.
pub(super) fn list_logs(directory: &Path) -> Result<Vec<LiveFile>, FollowError> {
    let mut files = Vec::new();
    for name in disk::list(directory)?.unwrap_or_default() {
        let path = directory.join(&name);
        if let Some(name @ LogFile::Transactions(_)) = LogFile::parse(&name)
            && let Some(stat) = disk::stat(&path)?
        {
            files.push(LiveFile { name, inode: stat.inode, path });
        }
    }
    files.sort_by_key(|file| file.name.version());
    Ok(files)
}

impl Shared {
    pub(super) fn look(&self, state: &mut State) -> Result<(), FollowError> {
        let mut outcome = Ok(());
        for _ in 0..PASSES_MAX {
            let pinned = self.pin_all(state);
            let confirmed = self.confirm(state);
            let changed = matches!(confirmed, Ok(true));
            outcome = outcome.and(pinned).and(confirmed.map(drop));
            if !changed {
                break;
            }
        }
        outcome.and(state.tidy())
    }

    /// Ask which run is there. The present one: what was linked since is its own. Another: it becomes the
    /// present one (`true`).
    fn confirm(&self, state: &mut State) -> Result<bool, FollowError> {
        let now = self.probe.ask()?;
        if now != *state.present.identity() {
            return self.switch(state, now).map(|()| true);
        }
        for (database, file) in state.doubtful.drain(..) {
            state.present.add(&database, file);
        }
        Ok(false)
    }

    /// Another run is there. Each step can fail and is taken again by the next look.
    fn switch(&self, state: &mut State, now: RunIdentity) -> Result<(), FollowError> {
        let opened = state.opening.take_if(|opening| *opening.identity() == now);
        if let Some(mut stale) = state.opening.take() {
            // A run that was gone before its folder was used.
            let links = std::mem::take(&mut stale.files).into_values().flatten();
            state.leaving.extend(links.filter_map(|file| file.link().map(ToOwned::to_owned)));
            state.insert_other(stale);
        }
        let mut next = match opened {
            Some(opened) => opened,
            None => self.open_folder(state, now)?,
        };
        let moved = state.doubtful.iter().try_for_each(|(database, file)| next.hold_too(database, file));
        if let Err(error) = moved {
            state.opening = Some(next);
            return Err(error.into());
        }
        for (_, file) in state.doubtful.drain(..) {
            state.leaving.extend(file.link().map(ToOwned::to_owned));
        }
        state.stored.clear();
        let earlier = std::mem::replace(&mut state.present, next);
        state.insert_other(earlier);
        Ok(())
    }

    fn open_folder(&self, state: &State, identity: RunIdentity) -> Result<RunFolder, FollowError> {
        let now = self.clock.now();
        match &state.ground {
            Ground::Links(pins) => {
                let made = RunFolder::make(pins, &self.places, identity, now, state.owner.as_deref())?;
                made.settle()?;
                Ok(made)
            }
            Ground::Descriptors(_) => {
                let highest = state.folders().map(|folder| folder.record.number).max().unwrap_or(0);
                Ok(RunFolder::of_descriptors(highest.saturating_add(1), now, identity))
            }
        }
    }

    /// Hold what is new in every directory. What fails for one file is tried for the others all the same.
    fn pin_all(&self, state: &mut State) -> Result<(), FollowError> {
        let mut outcome = Ok(());
        let mut live = Vec::new();
        for (database, directory) in &self.databases {
            match list_logs(directory) {
                Ok(files) => live.extend(files.into_iter().map(|file| (database.as_str(), file))),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        let whole = outcome.is_ok();
        if whole {
            let shown: HashSet<_> =
                live.iter().map(|(database, file)| (*database, file.name, file.inode)).collect();
            state
                .stored
                .retain(|(database, name, inode)| shown.contains(&(database.as_str(), *name, *inode)));
            outcome = self.measure(state, &shown);
        }
        for (database, file) in &live {
            let pinned = self.pin(state, database, file);
            outcome = outcome.and(pinned);
        }
        outcome
    }

    fn pin(&self, state: &mut State, database: &str, file: &LiveFile) -> Result<(), FollowError> {
        let LiveFile { name, inode, path } = file;
        let is_stored = state.stored.contains(&(database.to_owned(), *name, *inode));
        if is_stored || state.is_pinned(database, *name, *inode) {
            return Ok(());
        }
        // What another folder of ours holds costs nothing more.
        let costs_nothing = || state.folders().any(|folder| folder.holds(database, *name, *inode));
        if !state.held_back.allows() && !costs_nothing() {
            self.note_gap(state, database, name.version());
            return Ok(());
        }
        if let Ground::Descriptors(reason) = &state.ground {
            let count = state.held().count() + 1;
            if count > DESCRIPTORS_MAX {
                return Err(FollowError::TooManyDescriptors { count, reason: reason.clone() });
            }
        }
        let taken = PinnedFile::take(path, (database, *name, *inode), state.present.grip())?;
        let Some(taken) = taken.map(Arc::new) else { return Ok(()) };
        // Its link may have been given up just now, by the same name.
        state.leaving.retain(|link| Some(link.as_path()) != taken.link());
        if !state.is_pinned(database, taken.name, taken.inode) {
            state.doubtful.push((database.to_owned(), taken));
        }
        Ok(())
    }
}
