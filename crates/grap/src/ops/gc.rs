//! `gc`: give back the room of what nobody needs: packs that no backup names, parts of merged log, leftovers of
//! killed runs. What is no longer wanted `expire` and `delete` decide.

use std::path::PathBuf;

use grap_disk as disk;
use grap_repository::{
    LocalStore, Lock, PruneOptions, PruneReport, PruneSummary, Repository, RepositoryError,
};
use grap_task::{Finding, Unit};

use super::space::without_reserve;
use super::{Access, Session};
use crate::archive::{MergedParts, PartsReport};
use crate::catalog::Catalog;
use crate::error::Result;
use crate::notes;
use crate::sources;
use crate::state::{Job, StateDirectory};

#[derive(Debug, Clone, Copy)]
pub struct GcOptions {
    /// So much unused room in partly used packs is left alone, in a hundred of the whole.
    pub unused_percent: u8,
}

/// What would be done.
#[derive(Debug, Clone, Copy, Default)]
pub struct GcPlan {
    pub prune: PruneSummary,
    /// Segments of which a merged object holds the same.
    pub parts: usize,
    pub part_bytes: u64,
}

#[derive(Debug, Default)]
pub struct GcReport {
    /// As it was before.
    pub plan: GcPlan,
    pub prune: PruneReport,
    pub parts_deleted: usize,
    pub part_bytes_deleted: u64,
    /// Files that killed processes were writing.
    pub leftovers: usize,
    /// Objects that the storage did not let us delete.
    pub denied: Vec<String>,
    /// Of the archive: why parts stay that might have gone.
    pub problems: Vec<String>,
}

/// Kept free while packs are written anew: for the index, our lock, and others' small things.
const ROOM_MIN: u64 = 16 << 20;

/// Find out what `gc` would do. Others may back up meanwhile.
pub fn plan_gc(options: &GcOptions, access: Access, session: &Session<'_>) -> Result<GcPlan> {
    let directory = access.directory.clone();
    let repository = access.open()?;
    let lock = repository.lock_shared(session.holder, session.clock)?;
    let work = Work { repository: &repository, lock: &lock, directory, options, session };
    let parts = work.merged_parts()?;
    let prune =
        *repository.plan_prune(&lock, &work.prune_options()?, session.stop, session.monitor)?.summary();
    let plan = plan_of(prune, &parts);
    session.release(lock);
    Ok(plan)
}

/// Do it, alone in the repository. Interrupted anywhere, the next run makes it good.
pub fn gc(
    options: &GcOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<GcReport> {
    let directory = access.directory.clone();
    without_reserve(directory.as_deref(), session, || {
        state.run(Job::Maintain, "gc", session.clock, || {
            let repository = access.open()?;
            let lock = repository.lock_exclusive(session.holder, session.clock)?;
            let directory = directory.clone();
            let report = Work { repository: &repository, lock: &lock, directory, options, session }.run();
            session.release(lock);
            report
        })
    })
}

fn plan_of(prune: PruneSummary, parts: &[MergedParts]) -> GcPlan {
    GcPlan {
        prune,
        parts: parts.iter().map(MergedParts::count).sum(),
        part_bytes: parts.iter().map(MergedParts::bytes).sum(),
    }
}

struct Work<'a> {
    repository: &'a Repository,
    lock: &'a Lock,
    directory: Option<PathBuf>,
    options: &'a GcOptions,
    session: &'a Session<'a>,
}

impl Work<'_> {
    fn run(&self) -> Result<GcReport> {
        let mut report = GcReport { leftovers: self.remove_leftovers()?, ..GcReport::default() };
        let parts = self.merged_parts()?;
        let mut deleted = PartsReport::default();
        self.session.monitor.begin("deleting parts of merged log", Unit::Items, None);
        for parts in &parts {
            parts.delete(self.lock, self.session.stop, &mut deleted)?;
        }
        report.plan = plan_of(self.prune(&mut report.prune)?, &parts);
        report.parts_deleted = deleted.deleted;
        report.part_bytes_deleted = deleted.bytes;
        report.denied = deleted.denied;
        report.denied.append(&mut report.prune.denied);
        report.problems = deleted.problems;
        Ok(report)
    }

    fn remove_leftovers(&self) -> Result<usize> {
        let Some(directory) = &self.directory else { return Ok(0) };
        let removed = LocalStore::open(directory).remove_leftovers(self.session.clock.now());
        Ok(removed.map_err(RepositoryError::from)?)
    }

    /// Without a clock of the storage nobody knows how old an object is, and parts stay.
    fn merged_parts(&self) -> Result<Vec<MergedParts>> {
        let sources = sources::load(self.repository)?;
        let Some(now) = self.repository.storage_now() else {
            let text = "the storage does not tell the time: parts of merged log stay";
            self.session.monitor.finding(&Finding::warning(text));
            return Ok(Vec::new());
        };
        let find = |source: sources::Source| Ok(MergedParts::find(self.repository, &source.name, now)?);
        sources.into_iter().map(find).collect()
    }

    /// Once; again where there was not room enough to copy what was worth it, as long as each time gives some
    /// back.
    fn prune(&self, total: &mut PruneReport) -> Result<PruneSummary> {
        let Session { stop, monitor, .. } = *self.session;
        let mut first = None;
        loop {
            let options = self.prune_options()?;
            let plan = self.repository.plan_prune(self.lock, &options, stop, monitor)?;
            let summary = *plan.summary();
            first = first.or(Some(summary));
            let report = plan.execute(stop, monitor)?;
            let more = summary.postponed_packs > 0 && report.bytes_deleted > report.bytes_written;
            total.add(report);
            if !more {
                return Ok(first.unwrap_or(summary));
            }
        }
    }

    fn prune_options(&self) -> Result<PruneOptions> {
        let room = match &self.directory {
            Some(directory) => disk::space(directory)?.available.saturating_sub(ROOM_MIN),
            None => u64::MAX,
        };
        let backups = Catalog::load(self.repository)?.backups;
        Ok(PruneOptions {
            damaged_packs: notes::damaged_packs(self.repository, &backups)?,
            unused_percent: self.options.unused_percent,
            repack_bytes_max: room,
            ..PruneOptions::default()
        })
    }
}
