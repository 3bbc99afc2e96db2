//! What a promotion has put aside: `.grap/retired/<recovery>/` in the live data directory, with `retired.json`, a mark that
//! says what lies there, whose it was, when and why it went. The log lies there, too, or, where logs have a file system of
//! their own, in the same place beside the logs.
//!
//! Only what has a mark is listed, and can come back. Nothing here is removed by Grap by itself; by an operator's word it is
//! released ([`super::released`]).

use std::path::{Path, PathBuf};

use grap_core::recovery::{Halves, Plan, RecoveryId, Switch};
use grap_disk::{self as disk, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::made_of;
use super::released::counts_as_gone;
use crate::error::{Error, Result, in_one_line};
use crate::recovery::halves::{PRIVATE, parent};

pub(super) const MARK: &str = "retired.json";
const MARK_SIZE_MAX: u64 = 1 << 20;

/// Of what says what was put aside, and what is going on: the second, where `system` goes with it. Who knows the first only
/// must not take it for a database alone.
pub(super) fn version(with_system: bool) -> u32 {
    if with_system { 2 } else { 1 }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    version: u32,
    /// Whose promotion, or rollback, put it aside.
    recovery: RecoveryId,
    at: Timestamp,
    database: String,
    /// Where it lies, as far as there was something.
    pub(super) halves: Halves,
    /// The same of `system`, where that went with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system: Option<Halves>,
    /// Where it lay.
    live: Halves,
    /// Of that recovery: what came in its place.
    plan: Plan,
}

/// A database that was live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredStore {
    pub recovery: RecoveryId,
    pub at: Timestamp,
    pub database: String,
    pub halves: Halves,
    /// Of `system`, where that went with it.
    pub system: Option<Halves>,
    /// What it was replaced by.
    pub plan: Plan,
    pub bytes: u64,
    /// None: both are there.
    pub missing: Option<String>,
    pub path: PathBuf,
}

/// Under a data directory, or beside the logs.
pub(crate) fn root_of_retired(root: &Path) -> PathBuf {
    root.join(".grap/retired")
}

/// What lies under `.grap/retired`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RetiredStores {
    /// Oldest first.
    pub stores: Vec<RetiredStore>,
    /// What has a mark and cannot be read, and why.
    pub unreadable: Vec<String>,
}

/// One that cannot be read hides no other.
pub fn retired_stores(data: &Path) -> Result<RetiredStores> {
    let root = root_of_retired(data);
    let mut found = RetiredStores::default();
    for name in disk::list(&root)?.unwrap_or_default() {
        if counts_as_gone(&name) {
            continue;
        }
        let path = root.join(&name);
        match retired_store(&path) {
            Ok(store) => found.stores.extend(store),
            Err(error) => found.unreadable.push(format!("{}: {}", path.display(), in_one_line(&error))),
        }
    }
    found.stores.sort_by(|one, other| (one.at, &one.recovery).cmp(&(other.at, &other.recovery)));
    Ok(found)
}

fn retired_store(path: &Path) -> Result<Option<RetiredStore>> {
    let is_directory = disk::stat(path)?.is_some_and(|stat| stat.kind == Kind::Directory);
    let Some(mark) = (if is_directory { read(path)? } else { None }) else { return Ok(None) };
    let all = std::iter::once(&mark.halves).chain(&mark.system);
    let missing = all.flat_map(|halves| [&halves.store, &halves.log]).find_map(|half| {
        let there = disk::stat_link(Path::new(half)).ok().flatten();
        (there.map(|stat| stat.kind) != Some(Kind::Directory)).then(|| half.clone())
    });
    let bytes = bytes_of(&mark.halves)? + mark.system.as_ref().map_or(Ok(0), bytes_of)?;
    let Mark { recovery, at, database, halves, system, plan, .. } = mark;
    let path = path.to_owned();
    Ok(Some(RetiredStore { recovery, at, database, halves, system, plan, bytes, missing, path }))
}

/// Of both halves together; of what is not there nothing.
pub(crate) fn bytes_of(halves: &Halves) -> Result<u64> {
    let mut bytes = 0;
    for half in [&halves.store, &halves.log] {
        let half = Path::new(half);
        if disk::stat(half)?.is_some_and(|stat| stat.kind == Kind::Directory) {
            bytes += disk::walk(half)?.iter().map(|entry| entry.stat.allocated).sum::<u64>();
        }
    }
    Ok(bytes)
}

/// Say what lies there now.
pub(super) fn mark(recovery: &RecoveryId, plan: &Plan, switch: &Switch, now: Timestamp) -> Result<()> {
    let place = place(&switch.user.retired);
    disk::make_dirs(place, Some(PRIVATE))?;
    if read(place)?.is_some_and(|mark| mark.recovery == *recovery) {
        return Ok(());
    }
    let system = match &switch.system {
        Some(system) if is_there(&system.retired)? => Some(system.retired.clone()),
        _ => None,
    };
    let mark = Mark {
        version: version(system.is_some()),
        recovery: recovery.clone(),
        at: now,
        database: switch.user.database.clone(),
        halves: switch.user.retired.clone(),
        system,
        live: switch.user.live.clone(),
        plan: Plan { backup: made_of(plan, switch).clone(), ..plan.clone() },
    };
    let text = serde_json::to_vec_pretty(&mark).unwrap_or_default();
    Ok(disk::replace(&place.join(MARK), &[&text])?)
}

/// Of one that was missing, and given up, nothing is.
fn is_there(halves: &Halves) -> Result<bool> {
    let there = |half: &String| disk::stat_link(Path::new(half));
    Ok(there(&halves.store)?.is_some() || there(&halves.log)?.is_some())
}

/// What a rollback has put back is no retired store any more: its mark goes, and its directories where they are empty.
pub(super) fn forget(switch: &Switch) -> Result<()> {
    let place = place(&switch.user.found);
    disk::remove_file(&place.join(MARK))?;
    for half in switch.parts().flat_map(|part| [&part.found.store, &part.found.log]) {
        let mut directory = parent(Path::new(half));
        // One that is gone was removed by whoever was at it before.
        while disk::list(directory)?.is_none_or(|names| names.is_empty()) {
            disk::remove_dir(directory)?;
            directory = parent(directory);
        }
    }
    Ok(())
}

/// `.grap/retired/<recovery>`, of `.grap/retired/<recovery>/databases/<database>`.
pub(super) fn place(halves: &Halves) -> &Path {
    parent(parent(Path::new(&halves.store)))
}

pub(super) fn read(path: &Path) -> Result<Option<Mark>> {
    match disk::read(&path.join(MARK), MARK_SIZE_MAX) {
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
        Ok(text) => {
            let path = path.join(MARK);
            require_version(&path, &text)?;
            let mark = serde_json::from_slice(&text);
            mark.map(Some).map_err(|error| Error::MarkUnreadable { path, why: error.to_string() })
        }
    }
}

/// Before anything else in it is read: another version may have other fields.
pub(super) fn require_version(path: &Path, text: &[u8]) -> Result<()> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let why = match serde_json::from_slice::<Version>(text) {
        Ok(Version { version: 1 | 2 }) => return Ok(()),
        Ok(Version { version }) => format!("it has version {version}, and this program knows 1 and 2"),
        Err(error) => error.to_string(),
    };
    Err(Error::MarkUnreadable { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::atlas;

    use super::*;

    #[test]
    fn the_bytes_of_a_mark_are_kept_and_those_of_another_version_refused() {
        let frozen = include_bytes!("../../../../../testdata/promotion-v1/retired.json");
        let switch = atlas::switch(false);
        let mark = Mark {
            version: 1,
            recovery: "recovery-20261126-020000".parse().unwrap(),
            at: Timestamp::UNIX_EPOCH,
            database: "neo4j".to_owned(),
            halves: switch.user.retired,
            system: None,
            live: switch.user.live,
            plan: atlas::plan("/data/.grap/candidate/recovery-20261126-020000"),
        };
        assert_eq!(serde_json::from_slice::<Mark>(frozen).unwrap(), mark);
        assert_eq!(serde_json::to_vec_pretty(&mark).unwrap(), frozen.trim_ascii_end());
        let with_system = include_bytes!("../../../../../testdata/promotion-v1/retired-with-system.json");
        let mark = Mark { version: 2, system: Some(mark.halves.clone()), ..mark };
        assert_eq!(serde_json::from_slice::<Mark>(with_system).unwrap(), mark);
        assert_eq!(serde_json::to_vec_pretty(&mark).unwrap(), with_system.trim_ascii_end());
        let folder = tempfile::tempdir().unwrap();
        let newer = String::from_utf8_lossy(frozen).replacen("\"version\": 1", "\"version\": 3", 1);
        disk::replace(&folder.path().join(MARK), &[newer.as_bytes()]).unwrap();
        let told = read(folder.path()).unwrap_err().to_string();
        assert!(told.contains("retired.json") && told.contains("version 3"), "{told}");
    }
}
