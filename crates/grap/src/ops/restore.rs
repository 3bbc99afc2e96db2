//! `restore`: a backup becomes a data directory that a server can open, ending with exactly the promised
//! transaction.

use std::path::PathBuf;
use std::time::Duration;

use grap_core::{BackupId, Room, SourceName, Target};
use grap_disk as disk;
use grap_task::{Finding, Unit};
use serde_json::json;

use super::{Access, Session};
use crate::catalog::Catalog;
use crate::copy::{AssembleOptions, Damage, DatabaseManifest, Manifest, Point, assemble};
use crate::error::{Error, Result};
use crate::state::StateDirectory;

#[derive(Debug, Clone)]
pub struct RestoreOptions {
    pub target: Target,
    pub source: Option<SourceName>,
    /// Becomes a data directory: `databases/<db>` and `transactions/<db>`.
    pub to: PathBuf,
    /// Only these; all when empty.
    pub databases: Vec<String>,
    pub owner: Option<(u32, u32)>,
    pub keep_going: bool,
    /// A repository that cannot be written (read-only media): take no lock.
    pub no_lock: bool,
}

#[derive(Debug)]
pub struct RestoreReport {
    pub id: BackupId,
    pub source: SourceName,
    pub to: PathBuf,
    pub databases: Vec<RestoredDatabase>,
    pub files: u64,
    pub bytes: u64,
    /// Empty unless `keep_going`.
    pub damages: Vec<Damage>,
    pub duration: Duration,
}

#[derive(Debug)]
pub struct RestoredDatabase {
    pub name: String,
    pub end: Point,
    /// The oldest server that opens it.
    pub server_min: String,
}

pub fn restore(
    options: &RestoreOptions,
    access: Access,
    state: &StateDirectory,
    session: &Session<'_>,
) -> Result<RestoreReport> {
    state.journaled("restore", session.clock, || run(options, access, session))
}

fn run(options: &RestoreOptions, access: Access, session: &Session<'_>) -> Result<RestoreReport> {
    let began = session.clock.since_boot();
    session.monitor.begin("opening the repository", Unit::Items, None);
    let repository = access.open()?;
    let lock =
        if options.no_lock { None } else { Some(repository.lock_shared(session.holder, session.clock)?) };
    // Planned under the lock: what the plan needs nobody deletes from here on.
    let catalog = Catalog::load(&repository)?;
    catalog.tell_damaged(session.monitor);
    let reader = repository.reader(session.monitor)?;
    let backup = catalog.find(&options.target, options.source.as_ref())?;
    let manifest = backup.manifest(&reader)?;
    let databases = chosen(&manifest, &options.databases)?;
    require_room(options, &databases)?;

    let nodes = backup.files(&reader)?;
    let note = note(&manifest, &databases);
    let plan = AssembleOptions {
        databases: databases.clone(),
        nodes: &nodes,
        target: &options.to,
        owner: options.owner,
        keep_going: options.keep_going,
        note: note.as_bytes(),
    };
    let assembled = assemble(&plan, &reader, session.stop, session.monitor)?;
    if let Some(lock) = lock {
        session.release(lock);
    }
    if options.owner.is_none() && assembled.damages.is_empty() {
        session.monitor.finding(&Finding::info(owner_hint(options)));
    }
    Ok(RestoreReport {
        id: manifest.id.clone(),
        source: manifest.source.clone(),
        to: assembled.path,
        databases: databases.iter().map(|database| restored(database)).collect(),
        files: assembled.files,
        bytes: assembled.bytes,
        damages: assembled.damages,
        duration: session.clock.since_boot().saturating_sub(began),
    })
}

impl RestoreReport {
    /// The error that a restore with damages ends in.
    pub fn into_result(self) -> std::result::Result<Self, (Box<Self>, Error)> {
        if self.damages.is_empty() {
            return Ok(self);
        }
        let mut files: Vec<&str> = self.damages.iter().map(|damage| damage.file.as_str()).collect();
        files.dedup();
        let error =
            Error::RestoredPartly { id: self.id.clone(), damaged: files.len(), kept: self.to.clone() };
        Err((Box::new(self), error))
    }
}

fn restored(database: &DatabaseManifest) -> RestoredDatabase {
    RestoredDatabase {
        name: database.name.clone(),
        end: database.end,
        server_min: database.server_min.clone(),
    }
}

fn chosen<'m>(manifest: &'m Manifest, names: &[String]) -> Result<Vec<&'m DatabaseManifest>> {
    if names.is_empty() {
        return Ok(manifest.databases.iter().collect());
    }
    let find = |name: &String| {
        manifest.database(name).ok_or_else(|| Error::DatabaseNotFound {
            id: manifest.id.clone(),
            database: name.clone(),
            known: manifest.databases.iter().map(|database| database.name.clone()).collect(),
        })
    };
    let mut chosen: Vec<&DatabaseManifest> = names.iter().map(find).collect::<Result<_>>()?;
    chosen.dedup_by(|a, b| a.name == b.name);
    Ok(chosen)
}

fn require_room(options: &RestoreOptions, databases: &[&DatabaseManifest]) -> Result<()> {
    let files = databases.iter().flat_map(|database| &database.files).map(|file| file.size).sum();
    let room = Room::for_restore(files, disk::space(&options.to)?.available);
    room.check().map_err(|source| Error::NoSpace { path: options.to.clone(), source })
}

/// What is left in the target for whoever finds it: where it comes from, and which servers open it.
fn note(manifest: &Manifest, databases: &[&DatabaseManifest]) -> String {
    let databases: Vec<_> = databases
        .iter()
        .map(|database| {
            json!({
                "name": database.name,
                "tx_id": database.end.tx_id,
                "commit_ms": database.end.commit_ms,
                "store_id": database.store_id.to_string(),
                "format": database.format,
                "neo4j_min": database.server_min,
            })
        })
        .collect();
    let note = json!({
        "schema_version": 1,
        "backup": manifest.id,
        "source": manifest.source,
        "backup_started": manifest.started,
        "neo4j_of_the_source": manifest.server.version,
        "databases": databases,
        "good_for": "Neo4j Community of the source's release or newer; never older than neo4j_min",
    });
    format!("{note:#}\n")
}

fn owner_hint(options: &RestoreOptions) -> String {
    format!(
        "the files belong to the user that ran this restore; for a server of another user: chown -R USER:GROUP {}",
        options.to.display()
    )
}
