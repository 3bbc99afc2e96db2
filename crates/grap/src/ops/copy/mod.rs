//! `copy`: keep a second repository in step: its backups, its sources, its archive of the log.
//!
//! What `list`, `window` and `restore` say there is what they say here: ids, tags and times stay. Each repository
//! has its own key, its own retention (what went here stays there, what went there is not copied again) and its
//! own verdicts: that a backup was verified here says nothing of the bytes there, so what was written is read
//! back, and judged there.
//!
//! Why it can be killed anywhere: each piece is whole in itself (a snapshot comes after all that it needs, a start
//! of the archive before its segments, both after what they refer to), nothing is changed, and the next run does
//! what is missing. Chunks that no index names yet are the other repository's `gc`'s.
//!
//! A reader of the copy meanwhile sees an older state. For that the order is: the snapshots are listed, the archive
//! is carried (it reaches beyond every one of them), then the holds, then the backups, the newest first.

mod backups;
mod claim;
mod holds;
mod verdict;

use std::collections::BTreeSet;
use std::time::Duration;

use grap_core::{BackupId, SourceName};
use grap_repository::{Lock, Repository, WriterOptions};
use grap_task::{Finding, Unit};

use super::{Access, Session};
use crate::archive::{self, Archive, Carried};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result};
use crate::notes::{self, Standing};
use crate::sources;
use crate::state::{Job, StateDirectory};

#[derive(Debug, Clone, Default)]
pub struct CopyOptions {
    /// Only this one: its backups, its archive, what is noted of it. Else every source.
    pub source: Option<SourceName>,
    pub writer: WriterOptions,
}

#[derive(Debug, Default)]
pub struct CopyReport {
    /// Ids of the two repositories.
    pub from: String,
    pub to: String,
    /// Backups that were copied, the newest first, ...
    pub copied: Vec<CopiedBackup>,
    /// ... those that were there, but not whole, and of which the damage was stored anew, ...
    pub mended: Vec<CopiedBackup>,
    /// ... those that were there, the mended ones among them, ...
    pub present: usize,
    /// ... and those that the other repository has expired: they are not copied again.
    pub expired: usize,
    /// Of the archive.
    pub starts: usize,
    pub segments: usize,
    pub segment_bytes: u64,
    /// Plain bytes read here, and bytes written to packs there.
    pub bytes_read: u64,
    pub bytes_stored: u64,
    /// Bytes of packs that were read back there.
    pub bytes_verified: u64,
    /// Each names the object. Everything else is copied.
    pub problems: Vec<String>,
    pub duration: Duration,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedBackup {
    pub id: BackupId,
    pub source: SourceName,
    /// Found whole when it was read back.
    pub verified: bool,
}

impl CopiedBackup {
    fn of(backup: &Backup) -> Self {
        Self { id: backup.id.clone(), source: backup.source.clone(), verified: false }
    }
}

impl CopyReport {
    /// The report is shown in both cases; what is partly done is no success.
    pub fn into_result(self) -> std::result::Result<Self, (Box<Self>, Error)> {
        match self.problems.len() {
            0 => Ok(self),
            problems => Err((Box::new(self), Error::CopiedPartly { problems })),
        }
    }
}

pub fn copy(
    options: &CopyOptions,
    from: Access,
    to: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<CopyReport> {
    state.run(Job::Copy, "copy", session.clock, || run(options, from, to, session))
}

/// The two repositories, opened, each under a shared lock.
struct Pair {
    from: Repository,
    from_lock: Lock,
    to: Repository,
    to_lock: Lock,
}

fn run(options: &CopyOptions, from: Access, to: Access, session: &Session<'_>) -> Result<CopyReport> {
    let began = session.clock.since_boot();
    let pair = Pair::open(from, to, session)?;
    claim::claim(&pair, session)?;
    let sources = sources_of(options, &pair)?;
    let mut here = Catalog::load(&pair.from)?;
    here.backups.retain(|backup| options.source.as_ref().is_none_or(|source| backup.source == *source));
    let mut report = CopyReport {
        from: pair.from.id().to_string(),
        to: pair.to.id().to_string(),
        problems: here.damaged.iter().map(ToString::to_string).collect(),
        ..CopyReport::default()
    };
    sources::carry(&pair.from, &pair.to, &sources, &mut report.problems)?;
    tell_own_sources_of_the_copy(&pair, session)?;
    carry_archives(&pair, &sources, session, &mut report)?;
    let standings = Standings::of(&pair, &here, session)?;
    holds::carry(&pair, &here, &standings, session, &mut report)?;
    let packs = backups::copy(&pair, (&here, &standings), &options.writer, session, &mut report)?;
    verdict::judge(&pair, (&here, options.source.as_ref()), packs, session, &mut report)?;
    pair.release(session);
    report.duration = session.clock.since_boot().saturating_sub(began);
    Ok(report)
}

impl Pair {
    fn open(from: Access, to: Access, session: &Session<'_>) -> Result<Self> {
        session.monitor.begin("opening the repositories", Unit::Items, None);
        let from = from.open()?;
        let to = to.open().map_err(Error::at_copy)?;
        if from.id() == to.id() {
            return Err(Error::CopyToItself { id: from.id().to_string() });
        }
        let from_lock = from.lock_shared(session.holder, session.clock)?;
        let to_lock = to.lock_shared(session.holder, session.clock).map_err(Error::at_copy)?;
        Ok(Self { from, from_lock, to, to_lock })
    }

    fn release(self, session: &Session<'_>) {
        session.release(self.from_lock);
        session.release(self.to_lock);
    }
}

/// How the backups of the first repository stand in both, in the order of its catalog.
struct Standings {
    here: Vec<Standing>,
    there: Vec<Standing>,
}

impl Standings {
    fn of(pair: &Pair, catalog: &Catalog, session: &Session<'_>) -> Result<Self> {
        let here = notes::standings(&pair.from, &catalog.backups, session.stop)?;
        let there = notes::standings(&pair.to, &catalog.backups, session.stop).map_err(Error::at_copy)?;
        Ok(Self { here, there })
    }
}

/// The sources that are meant: the one that was named, or all.
fn sources_of(options: &CopyOptions, pair: &Pair) -> Result<BTreeSet<SourceName>> {
    let all = sources::names(&pair.from)?;
    match &options.source {
        None => Ok(all),
        Some(name) if all.contains(name) => Ok(BTreeSet::from([name.clone()])),
        Some(name) => Err(Error::SourceUnknown { name: name.clone(), known: all.into_iter().collect() }),
    }
}

fn carry_archives(
    pair: &Pair,
    sources: &BTreeSet<SourceName>,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<()> {
    session.monitor.begin("copying the archive", Unit::Items, None);
    let mut carried = Carried::default();
    for source in sources {
        let from = Archive::new(pair.from.clone(), source.clone());
        let to = Archive::new(pair.to.clone(), source.clone());
        archive::carry(&from, &to, &session.author(), (session.stop, session.monitor), &mut carried)?;
    }
    report.starts = carried.starts;
    report.segments = carried.segments;
    report.segment_bytes = carried.bytes;
    report.problems.append(&mut carried.problems);
    Ok(())
}

fn tell_own_sources_of_the_copy(pair: &Pair, session: &Session<'_>) -> Result<()> {
    let here = sources::names(&pair.from)?;
    for source in sources::names(&pair.to).map_err(Error::at_copy)?.difference(&here) {
        let text = format!("only the copy has a source `{source}`: name another with --source there");
        session.monitor.finding(&Finding::warning(text));
    }
    Ok(())
}
