//! The backups of a repository: its snapshots, as Grap sees them.
//!
//! A snapshot is a backup when it carries the tags `grap`, `id:<backup id>` and `source:<name>`; restic's own
//! snapshots are left alone.

use std::collections::BTreeMap;

use grap_core::{BackupId, SourceName, Target};
use grap_repository::{Node, Reader, Repository, RepositoryError, Snapshot};
use grap_task::{Finding, Monitor, Stop};

use crate::copy::{MANIFEST_NAME, Manifest};
use crate::error::{Error, Result};

pub const TAG: &str = "grap";
const TAG_ID: &str = "id:";
const TAG_SOURCE: &str = "source:";
const MANIFEST_SIZE_MAX: u64 = 256 << 20;

/// A backup that exists, and is therefore complete.
#[derive(Debug, Clone)]
pub struct Backup {
    pub id: BackupId,
    pub source: SourceName,
    pub snapshot: Snapshot,
}

/// Every backup of a repository, oldest first, and what could not be read.
#[derive(Debug)]
pub struct Catalog {
    pub backups: Vec<Backup>,
    pub damaged: Vec<RepositoryError>,
}

/// The tags that make a snapshot a backup, and the operator's own behind them.
pub fn tags(id: &BackupId, source: &SourceName, own: &[String]) -> Vec<String> {
    let ours = [TAG.to_owned(), format!("{TAG_ID}{id}"), format!("{TAG_SOURCE}{source}")];
    ours.into_iter().chain(own.iter().cloned()).collect()
}

impl Catalog {
    pub fn load(repository: &Repository) -> Result<Self> {
        let snapshots = repository.snapshots()?;
        let backups = snapshots.found.into_iter().filter_map(Backup::of).collect();
        Ok(Self { backups, damaged: snapshots.damaged })
    }

    /// The backup that a target names. `source` is the one chosen on the command line.
    pub fn find<'a>(&'a self, target: &'a Target, source: Option<&'a SourceName>) -> Result<&'a Backup> {
        let (wanted, named) = match target {
            Target::Latest => return self.latest(source),
            Target::Backup { source, id } => (id, source.as_ref()),
            Target::Transaction { .. } | Target::Time(_) => {
                return Err(Error::NotABackup { target: target.to_string() });
            }
        };
        let source = named.or(source);
        let matching: Vec<&Backup> = self.of(source).filter(|backup| backup.id == *wanted).collect();
        match matching.as_slice() {
            [backup] => Ok(backup),
            [] => Err(self.not_found(wanted.to_string(), source)),
            several => {
                let sources = several.iter().map(|backup| backup.source.clone()).collect();
                Err(Error::BackupAmbiguous { id: wanted.clone(), sources })
            }
        }
    }

    /// The newest backup of the source that is named, or of the only one.
    pub fn latest<'a>(&'a self, source: Option<&'a SourceName>) -> Result<&'a Backup> {
        let mut sources: Vec<SourceName> = self.of(source).map(|backup| backup.source.clone()).collect();
        sources.sort_unstable();
        sources.dedup();
        match sources.as_slice() {
            [] if self.damaged.is_empty() => Err(Error::NoBackup),
            [] => Err(self.not_found("latest".to_owned(), source)),
            // Ids begin with the time; the order of snapshots is by the time as well, but a copy may be
            // listed anyhow.
            [_] => {
                self.of(source).max_by_key(|backup| (backup.snapshot.time, &backup.id)).ok_or(Error::NoBackup)
            }
            _ => Err(Error::SourceUnnamed { known: sources }),
        }
    }

    /// A snapshot that cannot be read may be the one that was asked for.
    fn not_found(&self, wanted: String, source: Option<&SourceName>) -> Error {
        if self.damaged.is_empty() {
            return Error::BackupNotFound { wanted, known: self.ids(source) };
        }
        let name = |error: &RepositoryError| match error {
            RepositoryError::Damaged { object, .. } => object.clone(),
            other => other.to_string(),
        };
        Error::BackupUnreadable { wanted, damaged: self.damaged.iter().map(name).collect() }
    }

    /// What a reader of the newest backup must hear: a newer one may be among these.
    pub fn tell_damaged(&self, monitor: &dyn Monitor) {
        for error in &self.damaged {
            monitor.finding(&Finding::warning(format!("{error}; the backup in it is passed over")));
        }
    }

    pub fn of<'a>(&'a self, source: Option<&'a SourceName>) -> impl Iterator<Item = &'a Backup> {
        self.backups.iter().filter(move |backup| source.is_none_or(|source| backup.source == *source))
    }

    pub fn has(&self, source: &SourceName, id: &BackupId) -> bool {
        self.of(Some(source)).any(|backup| backup.id == *id)
    }

    fn ids(&self, source: Option<&SourceName>) -> Vec<BackupId> {
        self.of(source).map(|backup| backup.id.clone()).collect()
    }
}

impl Backup {
    fn of(snapshot: Snapshot) -> Option<Self> {
        let value = |prefix: &str| snapshot.tags.iter().find_map(|tag| tag.strip_prefix(prefix));
        let ours = snapshot.tags.iter().any(|tag| tag == TAG);
        let (id, source) = (value(TAG_ID)?.parse().ok()?, value(TAG_SOURCE)?.parse().ok()?);
        ours.then_some(Self { id, source, snapshot })
    }

    /// The root of the backup's tree.
    pub fn root(&self, reader: &Reader) -> Result<Vec<Node>> {
        Ok(reader.load_tree(self.snapshot.tree)?)
    }

    /// Every file by its path from the root, `/` between names.
    pub fn files(&self, reader: &Reader) -> Result<BTreeMap<String, Node>> {
        let mut files = BTreeMap::new();
        let mut open = vec![(String::new(), self.root(reader)?)];
        while let Some((folder, nodes)) = open.pop() {
            for node in nodes {
                let path = format!("{folder}{}", node.name);
                match node.subtree {
                    Some(tree) => open.push((path + "/", reader.load_tree(tree)?)),
                    None => drop(files.insert(path, node)),
                }
            }
        }
        Ok(files)
    }

    pub fn manifest(&self, reader: &Reader) -> Result<Manifest> {
        let root = self.root(reader)?;
        let missing = || Error::BackupIncomplete { id: self.id.clone(), path: MANIFEST_NAME.to_owned() };
        let node = root.iter().find(|node| node.name == MANIFEST_NAME && node.size <= MANIFEST_SIZE_MAX);
        let mut bytes = Vec::new();
        reader.read_file(node.ok_or_else(missing)?, 0, &Stop::new(), &mut |_, part: &[u8]| {
            bytes.extend_from_slice(part);
            Ok::<(), RepositoryError>(())
        })?;
        Manifest::parse(&bytes).map_err(|source| Error::Manifest { id: self.id.clone(), source })
    }
}
