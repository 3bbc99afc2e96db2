//! What is going on, beside the barrier: `.grap/retired/<recovery>/in-progress.json`, from the barrier until it is gone again.
//!
//! The journal says the same. This is for when the journal is lost in the middle: it is enough to exchange everything back.
//! Any other file beside the logs is nobody's, and of no interest where no database of its name is.

use std::path::{Path, PathBuf};

use grap_core::recovery::{Guard, Part, Plan, Recovery, RecoveryId, Switch};
use grap_disk::{self as disk, Kind};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::retired::{self, place, require_version, root_of_retired, version};
use crate::error::{Error, Result};
use crate::live::Installation;
use crate::recovery::halves::{identity, is};
use crate::recovery::swap::Swap;

const NAME: &str = "in-progress.json";
const SIZE_MAX: u64 = 1 << 20;

/// A switch, as it is noted beside its barrier.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct NotedSwitch {
    version: u32,
    pub(crate) recovery: RecoveryId,
    at: Timestamp,
    pub(crate) plan: Plan,
    pub(crate) switch: Switch,
    pub(crate) guard: Guard,
}

impl NotedSwitch {
    /// A barrier of it lies where a live log should.
    fn is_barred(&self) -> Result<bool> {
        for (part, guard) in self.switch.parts().zip(self.guard.parts()) {
            if is(identity(Path::new(&part.live.log))?, Some(guard.barrier)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// It is behind its last exchange.
    fn is_put(&self) -> Result<bool> {
        Swap::of(&self.switch).is_put(&self.guard)
    }
}

/// Where a log should lie there is a file.
#[derive(Debug)]
pub(crate) struct Interrupted {
    pub(crate) barrier: PathBuf,
    /// As far as it is known.
    pub(crate) noted: Option<Box<NotedSwitch>>,
}

impl NotedSwitch {
    /// Whether it has confirmed, and only the end of it is missing: what was live lies where it is kept, or the barrier is gone.
    pub(crate) fn has_confirmed(&self) -> Result<bool> {
        Swap::of(&self.switch).is_being_retired(&self.guard)
    }

    /// That end. Whoever is killed within leaves the rest of it to the next one.
    pub(crate) fn finish(&self, now: Timestamp) -> Result<()> {
        Swap::of(&self.switch).retire(&self.guard)?;
        retired::mark(&self.recovery, &self.plan, &self.switch, now)?;
        forget(&self.switch)?;
        if self.plan.undoes.is_some() { retired::forget(&self.switch) } else { Ok(()) }
    }
}

pub(super) fn note(recovery: &Recovery, switch: &Switch, guard: &Guard, now: Timestamp) -> Result<()> {
    let noted = NotedSwitch {
        version: version(switch.system.is_some()),
        recovery: recovery.id.clone(),
        at: now,
        plan: recovery.plan.clone(),
        switch: switch.clone(),
        guard: guard.clone(),
    };
    let text = serde_json::to_vec_pretty(&noted).unwrap_or_default();
    Ok(disk::replace(&place(&switch.user.retired).join(NAME), &[&text])?)
}

pub(super) fn forget(switch: &Switch) -> Result<()> {
    Ok(disk::remove_file(&place(&switch.user.retired).join(NAME))?)
}

/// Whether a switch of this data directory is between its first exchange and its end, or was left there: what Grap itself
/// writes then would be taken for a client's, and keep a database that is not what it should be.
pub fn switch_in_progress(data: &Path) -> Result<bool> {
    let is_under_way = |noted: &NotedSwitch| Ok(noted.is_barred()? || noted.is_put()?);
    Ok(first(&root_of_retired(data), is_under_way)?.is_some())
}

/// Which switch, of whatever state directory, has something to do with what lies here. What cannot be read may have.
pub(crate) fn in_use_by(data: &Path, store: &Path) -> Result<Option<RecoveryId>> {
    let lies_there = |half: &String| Path::new(half).starts_with(store);
    let uses = |part: &Part| lies_there(&part.found.store) || lies_there(&part.found.log);
    let found = first(&root_of_retired(data), |noted| Ok(noted.switch.parts().any(uses)))?;
    Ok(found.map(|noted| noted.recovery))
}

/// A switch that was interrupted between its first exchange and its end: one that is known, else a file that lies where
/// the log of a database should.
pub(crate) fn interrupted(installation: &Installation) -> Result<Option<Interrupted>> {
    let root = root_of_retired(&installation.data);
    let mut unknown = None;
    for name in disk::list(&installation.transactions)?.unwrap_or_default() {
        let barrier = installation.transactions.join(&name);
        if !is_of_kind(&barrier, Kind::File)? {
            continue;
        }
        if let Some(noted) = noted(&root, &barrier)? {
            return Ok(Some(Interrupted { barrier, noted: Some(Box::new(noted)) }));
        }
        if is_of_kind(&installation.store(&name), Kind::Directory)? {
            unknown.get_or_insert(barrier);
        }
    }
    // One behind its last exchange, whose old store lies where its candidate did.
    if let Some(noted) = first(&root, NotedSwitch::is_put)? {
        let barrier = PathBuf::from(&noted.switch.user.side.log);
        return Ok(Some(Interrupted { barrier, noted: Some(Box::new(noted)) }));
    }
    Ok(unknown.map(|barrier| Interrupted { barrier, noted: None }))
}

/// The first of all that are noted of which that is so.
fn first(root: &Path, is_so: impl Fn(&NotedSwitch) -> Result<bool>) -> Result<Option<NotedSwitch>> {
    for name in disk::list(root)?.unwrap_or_default() {
        if let Some(noted) = read(&root.join(name))?
            && is_so(&noted)?
        {
            return Ok(Some(noted));
        }
    }
    Ok(None)
}

/// Whose barrier lies where this live log should be.
pub(super) fn whose_barrier(part: &Part, log: &Path) -> Result<Option<RecoveryId>> {
    let root = place(&part.retired).parent().unwrap_or(Path::new("/"));
    Ok(noted(root, log)?.map(|noted| noted.recovery))
}

/// A barrier that nobody has noted anything about: of a live database that is given up it counts as no log.
pub(super) fn is_unknown_barrier(part: &Part) -> Result<bool> {
    let barrier = Path::new(&part.live.log);
    let root = place(&part.retired).parent().unwrap_or(Path::new("/"));
    Ok(is_of_kind(barrier, Kind::File)? && noted(root, barrier)?.is_none())
}

/// What was noted about this barrier. What cannot be read may be about it.
fn noted(root: &Path, barrier: &Path) -> Result<Option<NotedSwitch>> {
    let (found, mut unreadable) = (identity(barrier)?, None);
    for name in disk::list(root)?.unwrap_or_default() {
        match read(&root.join(name)) {
            Ok(Some(noted)) if noted.guard.parts().any(|guard| is(found, Some(guard.barrier))) => {
                return Ok(Some(noted));
            }
            Ok(_) => {}
            Err(error) => unreadable = Some(error),
        }
    }
    unreadable.map_or(Ok(None), Err)
}

fn read(place: &Path) -> Result<Option<NotedSwitch>> {
    let path = place.join(NAME);
    if !is_of_kind(&path, Kind::File)? {
        return Ok(None);
    }
    let text = disk::read(&path, SIZE_MAX)?;
    require_version(&path, &text)?;
    let noted = serde_json::from_slice(&text);
    noted.map(Some).map_err(|error| Error::MarkUnreadable { path, why: error.to_string() })
}

fn is_of_kind(path: &Path, kind: Kind) -> Result<bool> {
    Ok(disk::stat_link(path)?.is_some_and(|stat| stat.kind == kind))
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Halves, State, apply, atlas};

    use super::*;
    use crate::live::InstallationOptions;

    const FROZEN: &[u8] = include_bytes!("../../../../../testdata/promotion-v1/in-progress.json");

    const FROZEN_WITH_SYSTEM: &[u8] =
        include_bytes!("../../../../../testdata/promotion-v1/in-progress-with-system.json");

    /// As it was first written.
    const FROZEN_NESTED: &[u8] =
        include_bytes!("../../../../../testdata/promotion-v1/in-progress-with-system-nested.json");

    struct World {
        _folder: tempfile::TempDir,
        installation: Installation,
        switch: Switch,
    }

    /// A live database `neo4j`, its log and a barrier, with a note beside it.
    fn world() -> World {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().to_owned();
        let half = |of: &str| data.join(of).display().to_string();
        let user = Part {
            live: Halves { store: half("databases/neo4j"), log: half("transactions/neo4j") },
            retired: Halves {
                store: half(".grap/retired/recovery-20261126-020000/databases/neo4j"),
                log: half(".grap/retired/recovery-20261126-020000/transactions/neo4j"),
            },
            ..atlas::switch(false).user
        };
        let switch = Switch { user, ..atlas::switch(false) };
        disk::create_dir_all(Path::new(&switch.user.live.store)).unwrap();
        disk::create_dir_all(&data.join("transactions")).unwrap();
        disk::create_dir_all(place(&switch.user.retired)).unwrap();
        let options = InstallationOptions::Data { data, transactions: None, database: None };
        let installation = Installation::locate(&options, "neo4j").unwrap();
        World { _folder: folder, installation, switch }
    }

    impl World {
        fn put(&self, name: &str) -> PathBuf {
            let path = self.installation.transactions.join(name);
            disk::replace(&path, &[b"words"]).unwrap();
            path
        }

        fn note(&self, barrier: &Path) {
            let State::Active(recovery) = apply(State::Idle, &atlas::event(atlas::begun())).unwrap() else {
                panic!()
            };
            let guard = Guard { barrier: identity(barrier).unwrap().unwrap(), ..atlas::guard() };
            note(&recovery, &self.switch, &guard, Timestamp::UNIX_EPOCH).unwrap();
        }

        fn path(&self) -> PathBuf {
            place(&self.switch.user.retired).join(NAME)
        }
    }

    #[test]
    fn a_stray_file_beside_the_logs_hides_no_barrier_and_is_none() {
        let world = world();
        for stray in [".hidden", "a.txt", "zzz"] {
            world.put(stray);
        }
        assert!(interrupted(&world.installation).unwrap().is_none());
        let barrier = world.put("neo4j");
        let unknown = interrupted(&world.installation).unwrap().unwrap();
        assert_eq!((unknown.barrier, unknown.noted.is_some()), (barrier.clone(), false));
        assert!(is_unknown_barrier(&world.switch.user).unwrap());
        world.note(&barrier);
        let known = interrupted(&world.installation).unwrap().unwrap();
        assert_eq!((known.barrier, known.noted.unwrap().switch), (barrier, world.switch.clone()));
        assert!(!is_unknown_barrier(&world.switch.user).unwrap());
    }

    /// Its barrier is out of the way: only the note tells that the old store lies where the candidate did.
    #[test]
    fn what_is_put_and_not_retired_is_found_without_a_barrier() {
        let world = world();
        disk::create_dir_all(Path::new(&world.switch.user.live.log)).unwrap();
        let aside = world.installation.data.join("aside");
        disk::replace(&aside, &[b"words"]).unwrap();
        world.note(&aside);
        assert!(interrupted(&world.installation).unwrap().is_none());
        let State::Active(recovery) = apply(State::Idle, &atlas::event(atlas::begun())).unwrap() else {
            panic!()
        };
        let now = |half: &str| identity(Path::new(half)).unwrap().unwrap();
        assert!(!switch_in_progress(&world.installation.data).unwrap());
        let (side_store, side_log) = (now(&world.switch.user.live.store), now(&world.switch.user.live.log));
        let guard = Guard { side_store, side_log, ..atlas::guard() };
        note(&recovery, &world.switch, &guard, Timestamp::UNIX_EPOCH).unwrap();
        let found = interrupted(&world.installation).unwrap().unwrap();
        assert_eq!(found.noted.unwrap().guard, guard);
        assert!(switch_in_progress(&world.installation.data).unwrap());
    }

    /// It may be about this barrier: nobody gives a database up over it.
    #[test]
    fn a_note_of_another_program_is_refused_by_name() {
        let world = world();
        world.note(&world.put("neo4j"));
        let text = String::from_utf8(disk::read(&world.path(), SIZE_MAX).unwrap()).unwrap();
        for (wrong, why) in
            [(text.replace("\"version\": 1", "\"version\": 3"), "version 3"), ("{".to_owned(), "EOF")]
        {
            disk::replace(&world.path(), &[wrong.as_bytes()]).unwrap();
            for error in [
                interrupted(&world.installation).unwrap_err(),
                is_unknown_barrier(&world.switch.user).unwrap_err(),
            ] {
                let told = error.to_string();
                assert!(told.contains("in-progress.json") && told.contains(why), "{told}");
            }
        }
    }

    #[test]
    fn its_bytes_are_kept() {
        let State::Active(recovery) = apply(State::Idle, &atlas::event(atlas::begun())).unwrap() else {
            panic!()
        };
        let noted: NotedSwitch = serde_json::from_slice(FROZEN).unwrap();
        let written = NotedSwitch {
            version: 1,
            recovery: recovery.id,
            at: Timestamp::UNIX_EPOCH,
            plan: recovery.plan,
            switch: atlas::switch(false),
            guard: atlas::guard(),
        };
        assert_eq!(noted, written);
        assert_eq!(serde_json::to_vec_pretty(&written).unwrap(), FROZEN.trim_ascii_end());
        let written = NotedSwitch {
            switch: Switch { system: Some(written.switch.user.clone()), ..written.switch },
            guard: Guard { system: Some(Box::new(written.guard.clone())), ..written.guard },
            version: 2,
            ..written
        };
        for frozen in [FROZEN_WITH_SYSTEM, FROZEN_NESTED] {
            assert_eq!(serde_json::from_slice::<NotedSwitch>(frozen).unwrap(), written);
        }
        assert_eq!(serde_json::to_vec_pretty(&written).unwrap(), FROZEN_WITH_SYSTEM.trim_ascii_end());
    }
}
