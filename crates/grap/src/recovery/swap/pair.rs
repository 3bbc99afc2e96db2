//! The swap of one database: three exchanges, each of which looks first.
//!
//! What was noted right before the first exchange ([`Guard`]) tells on disk which of them are done, whatever a journal says;
//! anything that is none of the rows is named, and nothing is touched. Where the old log or the old store is missing, a
//! rename that replaces nothing stands for the exchange.

use std::path::{Path, PathBuf};

use grap_core::recovery::{Guard, Halves, Identity, Part, Recovery};
use grap_disk::{self as disk, Kind};
use grap_neo4j::TransactionEnd;

use super::Swapped;
use crate::error::{Error, Result};
use crate::live::SYSTEM;
use crate::recovery::halves::{PRIVATE, identity, is, parent};

/// A barrier is to be read by people, too.
const READABLE: u32 = 0o644;

/// What `disk` calls a file that is not published yet, or that it only tries something with.
const UNPUBLISHED: &str = "tmp-";

/// The places of one database.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    live: Places,
    side: Places,
    retired: Places,
}

#[derive(Debug, Clone)]
struct Places {
    store: PathBuf,
    log: PathBuf,
}

/// What lies where.
#[derive(Debug, Clone, Copy)]
struct Seen {
    live_store: Option<Identity>,
    live_log: Option<Identity>,
    side_store: Option<Identity>,
    side_log: Option<Identity>,
    /// Where the barrier is written, and the old log goes.
    retired_log: Option<Identity>,
}

impl Pair {
    pub(super) fn of(part: &Part) -> Self {
        Self {
            live: Places::of(&part.live),
            side: Places::of(&part.side),
            retired: Places::of(&part.retired),
        }
    }

    /// Write the barrier, and note what lies where. Nothing is exchanged yet.
    pub(super) fn guard(&self, recovery: &Recovery, end: TransactionEnd) -> Result<Guard> {
        for place in [&self.retired.store, &self.retired.log] {
            disk::make_dirs(parent(place), Some(PRIVATE))?;
        }
        disk::replace(&self.retired.log, &[words(recovery, self).as_bytes()])?;
        disk::set_mode(&self.retired.log, READABLE)?;
        let missing = |path: &Path| Error::SwapUnknown { what: format!("{} is not there", path.display()) };
        let there = |path: &Path| identity(path)?.ok_or_else(|| missing(path));
        Ok(Guard {
            live_store: identity(&self.live.store)?,
            live_log: identity(&self.live.log)?,
            side_store: there(&self.side.store)?,
            side_log: there(&self.side.log)?,
            barrier: there(&self.retired.log)?,
            end,
            system: None,
        })
    }

    /// How much is done, by what lies where. Where nothing is, the barrier may be gone: an undo ends with that.
    pub(super) fn look(&self, guard: &Guard) -> Result<Swapped> {
        let seen = self.seen()?;
        seen.row(guard).ok_or_else(|| Error::SwapUnknown { what: self.told(&seen, guard) })
    }

    /// As [`Pair::look`], for the way back: where what is new lies where it lay, and no barrier in the live place, there is
    /// nothing to be taken back, whatever somebody has made of what is live.
    pub(super) fn look_back(&self, guard: &Guard) -> Result<Swapped> {
        let seen = self.seen()?;
        let is_nothing = seen.is_undone(guard).then_some(Swapped::Nothing);
        let row = seen.row(guard).or(is_nothing);
        row.ok_or_else(|| Error::SwapUnknown { what: self.told(&seen, guard) })
    }

    /// From here on no server opens the database.
    pub(super) fn take_log(&self, guard: &Guard) -> Result<()> {
        if self.require(guard, Swapped::Nothing)? == Swapped::Nothing {
            change_places(&self.live.log, &self.retired.log, guard.live_log.is_some())?;
        }
        synced(&self.live.log, &self.retired.log)
    }

    pub(super) fn swap_stores(&self, guard: &Guard) -> Result<()> {
        if self.require(guard, Swapped::LogTaken)? == Swapped::LogTaken {
            change_places(&self.live.store, &self.side.store, guard.live_store.is_some())?;
        }
        synced(&self.live.store, &self.side.store)
    }

    /// In this instant the database is whole again, and the new one.
    pub(super) fn put_log(&self, guard: &Guard) -> Result<()> {
        if self.require(guard, Swapped::StoresSwapped)? == Swapped::StoresSwapped {
            disk::exchange(&self.live.log, &self.side.log)?;
        }
        synced(&self.live.log, &self.side.log)
    }

    /// Back to what was, however much is done. The barrier stays.
    pub(super) fn undo_exchanges(&self, guard: &Guard) -> Result<()> {
        while self.undo_last(guard)? {}
        Ok(())
    }

    /// One exchange back; whether there was one.
    pub(super) fn undo_last(&self, guard: &Guard) -> Result<bool> {
        let Some((one, other, both)) = self.last_exchange(guard)? else { return Ok(false) };
        if both {
            disk::exchange(one, other)?;
        } else {
            disk::rename_new(one, other)?;
        }
        synced(one, other)?;
        Ok(true)
    }

    /// All that lies there now is durable.
    pub(super) fn settle(&self) -> Result<()> {
        for places in [&self.live, &self.side, &self.retired] {
            for place in [&places.store, &places.log] {
                sync_parent(place)?;
            }
        }
        Ok(())
    }

    /// Whether what is new lies in the live places, wherever the rest has gone since.
    pub(super) fn is_put(&self, guard: &Guard) -> Result<bool> {
        let (store, log) = (identity(&self.live.store)?, identity(&self.live.log)?);
        Ok(is(store, Some(guard.side_store)) && is(log, Some(guard.side_log)))
    }

    /// As far as what is retired has begun to go to its place.
    pub(super) fn is_being_retired(&self, guard: &Guard) -> Result<bool> {
        let is_moved = guard.live_store.is_some() && is(identity(&self.retired.store)?, guard.live_store);
        let is_barrier = is(identity(&self.side.log)?, Some(guard.barrier));
        Ok(self.is_put(guard)? && (is_moved || !is_barrier))
    }

    pub(super) fn old_is_whole(&self) -> Result<bool> {
        let is_directory = |path: &Path| -> Result<bool> {
            Ok(disk::stat_link(path)?.is_some_and(|stat| stat.kind == Kind::Directory))
        };
        Ok(is_directory(&self.side.store)? && is_directory(&self.retired.log)?)
    }

    /// What an undo ends with: the barrier goes, and the directories that were made for what did not come.
    pub(super) fn remove_barrier(&self) -> Result<()> {
        remove_barrier(&self.retired.log)?;
        self.remove_empty()
    }

    /// The directories that were made for what is retired, where nothing lies in them but what a try that was struck has left.
    pub(super) fn remove_empty(&self) -> Result<()> {
        for place in [&self.retired.log, &self.retired.store] {
            for directory in [parent(place), parent(parent(place))] {
                for name in disk::list(directory)?.unwrap_or_default() {
                    if name.starts_with(UNPUBLISHED) {
                        remove_try(&directory.join(name))?;
                    }
                }
                if disk::list(directory)?.is_some_and(|names| names.is_empty()) {
                    disk::remove_dir(directory)?;
                }
            }
        }
        Ok(())
    }

    /// The old halves lie in their places, and the barrier is gone. False: somebody has taken the old store away, and the new
    /// database is in place.
    pub(super) fn retire(&self, guard: &Guard) -> Result<bool> {
        let mut is_there = true;
        if let Some(store) = guard.live_store
            && !is(identity(&self.retired.store)?, Some(store))
        {
            is_there = is(identity(&self.side.store)?, Some(store));
            if is_there {
                disk::rename_new(&self.side.store, &self.retired.store)?;
            } else {
                self.require_gone(guard)?;
            }
        }
        // Its new name first: else it could be without one.
        for place in [&self.retired.store, &self.side.store] {
            sync_parent(place)?;
        }
        if is(identity(&self.side.log)?, Some(guard.barrier)) {
            remove_barrier(&self.side.log)?;
        }
        Ok(is_there)
    }

    /// In neither of the places of the old store lies anything.
    fn require_gone(&self, guard: &Guard) -> Result<()> {
        for place in [&self.side.store, &self.retired.store] {
            if identity(place)?.is_some() {
                let what = format!("the old store is not at {}, something else is", place.display());
                return Err(Error::SwapUnknown { what });
            }
        }
        if self.is_put(guard)? {
            return Ok(());
        }
        let what = format!(
            "neither is the old store at {}, nor the new database in place",
            self.side.store.display()
        );
        Err(Error::SwapUnknown { what })
    }

    /// The exchange that was done last: to be done once more, or (of what was not there) back.
    fn last_exchange(&self, guard: &Guard) -> Result<Option<(&Path, &Path, bool)>> {
        Ok(match self.look_back(guard)? {
            Swapped::Nothing | Swapped::SystemTaken => None,
            Swapped::LogTaken => Some((&self.live.log, &self.retired.log, guard.live_log.is_some())),
            Swapped::StoresSwapped => Some((&self.live.store, &self.side.store, guard.live_store.is_some())),
            Swapped::LogPut => Some((&self.live.log, &self.side.log, true)),
        })
    }

    fn require(&self, guard: &Guard, at_least: Swapped) -> Result<Swapped> {
        let found = self.look(guard)?;
        if found >= at_least {
            return Ok(found);
        }
        Err(Error::SwapUnknown { what: format!("of the swap {found} is done, and {at_least} was noted") })
    }

    fn seen(&self) -> Result<Seen> {
        Ok(Seen {
            live_store: identity(&self.live.store)?,
            live_log: identity(&self.live.log)?,
            side_store: identity(&self.side.store)?,
            side_log: identity(&self.side.log)?,
            retired_log: identity(&self.retired.log)?,
        })
    }

    /// Where the old store lies until it is retired, and where then.
    pub(super) fn places_of_old_store(&self) -> [&Path; 2] {
        [&self.side.store, &self.retired.store]
    }

    fn told(&self, seen: &Seen, guard: &Guard) -> String {
        let named = |found: Option<Identity>| match found {
            None => "nothing",
            found if is(found, guard.live_store) => "the old store",
            found if is(found, guard.live_log) => "the old log",
            found if is(found, Some(guard.side_store)) => "the new store",
            found if is(found, Some(guard.side_log)) => "the new log",
            found if is(found, Some(guard.barrier)) => "the barrier",
            Some(_) => "something that was not there before",
        };
        let places = [
            (&self.live.store, seen.live_store),
            (&self.live.log, seen.live_log),
            (&self.side.store, seen.side_store),
            (&self.side.log, seen.side_log),
            (&self.retired.log, seen.retired_log),
        ];
        let told = places.map(|(path, found)| format!("{}: {}", path.display(), named(found)));
        told.join("; ")
    }
}

impl Seen {
    fn row(&self, guard: &Guard) -> Option<Swapped> {
        let without_barrier = Self { retired_log: None, ..expected(Swapped::Nothing, guard) };
        if self.is(&without_barrier) {
            return Some(Swapped::Nothing);
        }
        let rows = [Swapped::Nothing, Swapped::LogTaken, Swapped::StoresSwapped, Swapped::LogPut];
        rows.into_iter().find(|row| self.is(&expected(*row, guard)))
    }

    /// What is new and the barrier lie where they lay before the first exchange.
    fn is_undone(&self, guard: &Guard) -> bool {
        let barrier = Some(guard.barrier);
        let in_place = is(self.side_store, Some(guard.side_store)) && is(self.side_log, Some(guard.side_log));
        in_place && is(self.retired_log, barrier) && !is(self.live_log, barrier)
    }

    fn is(&self, other: &Self) -> bool {
        is(self.live_store, other.live_store)
            && is(self.live_log, other.live_log)
            && is(self.side_store, other.side_store)
            && is(self.side_log, other.side_log)
            && is(self.retired_log, other.retired_log)
    }
}

impl Places {
    fn of(halves: &Halves) -> Self {
        Self { store: PathBuf::from(&halves.store), log: PathBuf::from(&halves.log) }
    }
}

fn expected(row: Swapped, guard: &Guard) -> Seen {
    let taken = row >= Swapped::LogTaken;
    let swapped = row >= Swapped::StoresSwapped;
    let (side_log, barrier) = (Some(guard.side_log), Some(guard.barrier));
    let put = row == Swapped::LogPut;
    Seen {
        live_store: if swapped { Some(guard.side_store) } else { guard.live_store },
        live_log: match (taken, put) {
            (_, true) => side_log,
            (true, false) => barrier,
            (false, false) => guard.live_log,
        },
        side_store: if swapped { guard.live_store } else { Some(guard.side_store) },
        side_log: if put { barrier } else { side_log },
        retired_log: if taken { guard.live_log } else { barrier },
    }
}

/// Or, where there is nothing at the live place, what is at the other one takes it.
fn change_places(live: &Path, other: &Path, both: bool) -> Result<()> {
    let changed = if both { disk::exchange(live, other) } else { disk::rename_new(other, live) };
    Ok(changed?)
}

fn synced(one: &Path, other: &Path) -> Result<()> {
    disk::sync_dir(parent(one))?;
    Ok(disk::sync_dir(parent(other))?)
}

/// A file, or an empty directory, that an exchange was tried with.
fn remove_try(path: &Path) -> Result<()> {
    match disk::stat_link(path)?.map(|stat| stat.kind) {
        Some(Kind::Directory) => Ok(disk::remove_dir(path)?),
        _ => Ok(disk::remove_file(path)?),
    }
}

/// What it lay in may be gone already.
fn sync_parent(place: &Path) -> Result<()> {
    if disk::stat(parent(place))?.is_some() {
        disk::sync_dir(parent(place))?;
    }
    Ok(())
}

/// A directory is no barrier.
fn remove_barrier(path: &Path) -> Result<()> {
    if disk::stat_link(path)?.is_some_and(|stat| stat.kind == Kind::File) {
        disk::remove_file(path)?;
        disk::sync_dir(parent(path))?;
    }
    Ok(())
}

fn words(recovery: &Recovery, pair: &Pair) -> String {
    let database = pair.live.log.file_name().unwrap_or_default().to_string_lossy();
    let nobody =
        if database == SYSTEM { "no server serves anything" } else { "no server opens that database" };
    let what = match &recovery.plan.undoes {
        None => "the promotion of a restored database".to_owned(),
        Some(undone) => format!("the rollback of {undone}"),
    };
    format!(
        "Grap is in the middle of {what} ({}).\n\
         While this file lies where the transaction log of `{database}` should be, {nobody}: \
         store and log may not belong together.\n\
         `grap recover {}` finishes it, `grap recover cancel` takes it back. Please remove nothing by hand.\n\
         old log: {}\nnew store: {}\nnew log: {}\n",
        recovery.id,
        recovery.words(),
        pair.retired.log.display(),
        pair.side.store.display(),
        pair.side.log.display(),
    )
}
