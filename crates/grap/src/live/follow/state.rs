//! What a follower knows: its folders, what is in doubt, what is to go.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grap_disk as disk;
use grap_neo4j::files::LogFile;
use grap_neo4j::ids::LogVersion;

use super::adopt::LeftFolder;
use super::folder::{Ground, RunFolder};
use super::{FollowError, HeldBack, HeldRun, PinGap, RunIdentity};
use crate::live::pin_folder::try_gate;
use crate::live::pinned::{PinMode, PinnedFile};

/// How many of the newest versions of the present run stay pinned, stored or not.
const NEWEST_KEPT: usize = 2;

#[derive(Debug)]
pub(super) struct State {
    pub(super) ground: Ground,
    /// The folder of the run that was there when we last asked.
    pub(super) present: RunFolder,
    /// Our earlier ones and the adopted ones, by number.
    pub(super) others: Vec<RunFolder>,
    /// Made for a run that is there now, and not yet present: what is in doubt is not all linked there.
    pub(super) opening: Option<RunFolder>,
    /// Files linked into the present folder since the present run was last confirmed.
    pub(super) doubtful: Vec<(String, Arc<PinnedFile>)>,
    /// Files of the present run that are stored and whose pins went, while they are live: not pinned again.
    pub(super) stored: HashSet<(String, LogFile, u64)>,
    /// Links that are to be removed.
    pub(super) leaving: Vec<PathBuf>,
    pub(super) owner: Option<String>,
    pub(super) left: Vec<LeftFolder>,
    pub(super) held_back: HeldBack,
    /// Since boot, when the budget was last measured.
    pub(super) measured: Option<Duration>,
    pub(super) gap: Option<PinGap>,
    /// What went wrong in the thread and was not told yet.
    pub(super) failure: Option<FollowError>,
}

impl State {
    pub(super) fn new(present: RunFolder, ground: Ground) -> Self {
        Self {
            ground,
            present,
            others: Vec::new(),
            opening: None,
            doubtful: Vec::new(),
            stored: HashSet::new(),
            leaving: Vec::new(),
            owner: None,
            left: Vec::new(),
            held_back: HeldBack::default(),
            measured: None,
            gap: None,
            failure: None,
        }
    }

    pub(super) fn mode(&self) -> PinMode {
        match &self.ground {
            Ground::Links(pins) => PinMode::Links(self.present.path().unwrap_or(pins).to_owned()),
            Ground::Descriptors(reason) => PinMode::Descriptors(reason.clone()),
        }
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &RunFolder> {
        self.others.iter().chain(&self.opening).chain([&self.present])
    }

    /// Everything held, in whichever folder: a file in two of them comes twice.
    pub(super) fn held(&self) -> impl Iterator<Item = (&str, &Arc<PinnedFile>)> {
        let doubtful = self.doubtful.iter().map(|(database, file)| (database.as_str(), file));
        self.folders().flat_map(RunFolder::all_files).chain(doubtful)
    }

    /// Whether the present folder has a link to the file.
    pub(super) fn is_pinned(&self, database: &str, name: LogFile, inode: u64) -> bool {
        let doubtful = |(of, file): &(String, Arc<PinnedFile>)| {
            of == database && (file.name, file.inode) == (name, inode)
        };
        self.present.holds(database, name, inode) || self.doubtful.iter().any(doubtful)
    }

    pub(super) fn insert_other(&mut self, folder: RunFolder) {
        self.others.push(folder);
        self.others.sort_by_key(|folder| folder.record.number);
    }

    pub(super) fn runs(&self) -> Vec<HeldRun> {
        let mut runs: Vec<HeldRun> = Vec::new();
        let mut places = HashMap::new();
        for folder in self.others.iter().chain([&self.present]) {
            let known = runs.iter().position(|run| run.identity == *folder.identity());
            let index = known.unwrap_or_else(|| {
                runs.push(HeldRun {
                    identity: folder.identity().clone(),
                    present: folder.identity() == self.present.identity(),
                    since: folder.record.made,
                    files: BTreeMap::new(),
                });
                runs.len() - 1
            });
            for (database, file) in folder.all_files() {
                let files = runs[index].files.entry(database.to_owned()).or_default();
                let place = *places.entry((index, database, file.name, file.inode)).or_insert(files.len());
                match files.get_mut(place) {
                    // The newer folder's link lives longer.
                    Some(held) => *held = Arc::clone(file),
                    None => files.push(Arc::clone(file)),
                }
            }
        }
        for files in runs.iter_mut().flat_map(|run| run.files.values_mut()) {
            files.sort_by_key(|file| file.version());
        }
        runs.retain(|run| run.present || run.files.values().any(|files| !files.is_empty()));
        runs.sort_by_key(|run| run.present);
        runs
    }

    /// See [`super::Follower::stored_below`].
    pub(super) fn give_up_below(
        &mut self,
        run: &RunIdentity,
        (database, version): (&str, LogVersion),
        live: &[LogVersion],
    ) {
        let Self { present, others, stored, leaving, .. } = self;
        if run != present.identity() {
            return;
        }
        let identity = present.identity().clone();
        let of_run = || others.iter().filter(|folder| *folder.identity() == identity).chain([&*present]);
        let versions: BTreeSet<u64> = of_run()
            .filter_map(|folder| folder.files.get(database))
            .flatten()
            .map(|file| file.version())
            .chain(live.iter().map(|version| version.0))
            .collect();
        let kept_from = versions.iter().rev().nth(NEWEST_KEPT - 1).copied().unwrap_or(0);
        let below = version.0.min(kept_from);
        for folder in others.iter_mut().filter(|folder| *folder.identity() == identity).chain([&mut *present])
        {
            let Some(files) = folder.files.get_mut(database) else { continue };
            for file in files.extract_if(.., |file| file.version() < below) {
                stored.insert((database.to_owned(), file.name, file.inode));
                leaving.extend(file.link().map(ToOwned::to_owned));
            }
        }
        self.give_up_doubles();
    }

    /// What an adopted folder of the present run holds and our own folder, too, is held once from now on.
    pub(super) fn give_up_doubles(&mut self) {
        let Self { present, others, leaving, .. } = self;
        for folder in others.iter_mut().filter(|folder| folder.identity() == present.identity()) {
            for (database, files) in &mut folder.files {
                let doubles = files.extract_if(.., |file| present.holds(database, file.name, file.inode));
                leaving.extend(doubles.filter_map(|file| file.link().map(ToOwned::to_owned)));
            }
        }
    }

    /// See [`super::Follower::drop_run`].
    pub(super) fn give_up_run(&mut self, run: &RunIdentity) -> Result<(), FollowError> {
        if run == self.present.identity() {
            return Err(FollowError::RunIsPresent);
        }
        for folder in self.others.iter_mut().filter(|folder| folder.identity() == run) {
            let files = std::mem::take(&mut folder.files);
            let links = files.into_values().flatten().filter_map(|file| file.link().map(ToOwned::to_owned));
            self.leaving.extend(links);
        }
        Ok(())
    }

    /// Remove what is to go.
    pub(super) fn tidy(&mut self) -> Result<(), FollowError> {
        while let Some(link) = self.leaving.last() {
            disk::remove_file(link)?;
            self.leaving.pop();
        }
        self.remove_empty_folders()
    }

    /// Remove the folders of earlier runs that hold nothing any more. While somebody is in the gate they stay
    /// a little longer.
    pub(super) fn remove_empty_folders(&mut self) -> Result<(), FollowError> {
        let mut outcome = Ok(());
        self.others.retain_mut(|folder| {
            if !folder.is_empty() {
                return true;
            }
            match remove_folder(folder) {
                Ok(removed) => !removed,
                Err(error) => {
                    outcome = Err(error);
                    true
                }
            }
        });
        outcome
    }
}

fn remove_folder(folder: &mut RunFolder) -> Result<bool, FollowError> {
    let Some(pins) = folder.path().and_then(|path| path.parent()) else { return Ok(true) };
    let Some(_gate) = try_gate(pins)? else { return Ok(false) };
    Ok(folder.remove()?)
}
