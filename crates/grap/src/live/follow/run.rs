//! Which run of the server holds the files, and at which place they lie.
//!
//! The identity never rests on the wall clock: one that steps back would make two runs equal. Where nobody
//! holds a database, two times without a server are told apart by what a server that ran in between leaves
//! changed: its checkpoints, and the buffer of ids that it makes anew at each start.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use grap_disk::{self as disk, Stat};
use grap_neo4j::files::LogFile;
use serde::{Deserialize, Serialize};

use super::{FollowError, Installation};
use crate::live::ServerRun;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// How it is learnt which run of the server holds the files.
#[derive(Debug, Clone, Default)]
pub enum RunProbe {
    /// From the locks on the stores, and the boot of the machine.
    #[default]
    System,
    /// From a test.
    Manual(ManualRun),
}

/// The run that a test says is there. Clones are the same one.
#[derive(Debug, Clone)]
pub struct ManualRun(Arc<Mutex<String>>);

impl ManualRun {
    pub fn new(run: &str) -> Self {
        Self(Arc::new(Mutex::new(run.to_owned())))
    }

    pub fn set(&self, run: &str) {
        run.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn ask(&self) -> String {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One run of the server, or one time without one. Equal: the same run. It keeps its meaning across restarts
/// of the archiver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Of the machine; process numbers begin anew with it.
    boot: String,
    databases: BTreeMap<String, Holder>,
}

/// Who holds one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Holder {
    Nobody { checkpoint: Option<Mark>, id_buffer: Option<Mark> },
    Process { pid: u32, started: u64 },
    Elsewhere { id_buffer: Option<Mark> },
}

/// What tells a file from one of the same name. Nanoseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Mark {
    inode: u64,
    time: Option<i64>,
}

impl RunIdentity {
    /// Whether a server was seen on any of the databases.
    pub fn has_server(&self) -> bool {
        self.databases.values().any(|holder| !matches!(holder, Holder::Nobody { .. }))
    }
}

/// Where an installation is: the directory `databases` itself. It survives reboots, containers made anew and
/// promotions, and differs in a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub inode: u64,
    /// Birth time in nanoseconds since 1970, where the file system keeps one.
    pub born: Option<i64>,
}

impl Place {
    /// Of the directory `databases`.
    pub(crate) fn of(stores: &Path) -> Result<Self, FollowError> {
        let stat = disk::stat(stores)?.ok_or_else(|| FollowError::NoStores { path: stores.to_owned() })?;
        Ok(Self { inode: stat.inode, born: stat.born.and_then(|born| i64::try_from(born).ok()) })
    }
}

/// A [`RunProbe`] on one installation.
#[derive(Debug)]
pub(super) enum Probe {
    System { boot: String, databases: Vec<Database> },
    Manual(ManualRun),
}

#[derive(Debug)]
pub(super) struct Database {
    name: String,
    store: PathBuf,
    log: PathBuf,
}

impl Probe {
    pub(super) fn new(installation: &Installation, probe: &RunProbe) -> Result<Self, FollowError> {
        if let RunProbe::Manual(manual) = probe {
            return Ok(Self::Manual(manual.clone()));
        }
        let boot = disk::read(Path::new(BOOT_ID), 1 << 10)?;
        let databases = installation.databases.iter().map(|name| Database {
            name: name.clone(),
            store: installation.store(name),
            log: installation.log(name),
        });
        Ok(Self::System {
            boot: String::from_utf8_lossy(&boot).trim().to_owned(),
            databases: databases.collect(),
        })
    }

    /// The run that is there now.
    pub(super) fn ask(&self) -> Result<RunIdentity, FollowError> {
        match self {
            Self::Manual(manual) => Ok(RunIdentity { boot: manual.ask(), databases: BTreeMap::new() }),
            Self::System { boot, databases } => {
                let held = databases.iter().map(|database| Ok((database.name.clone(), database.holder()?)));
                Ok(RunIdentity { boot: boot.clone(), databases: held.collect::<Result<_, FollowError>>()? })
            }
        }
    }
}

impl Database {
    fn holder(&self) -> Result<Holder, FollowError> {
        Ok(match ServerRun::of(&self.store)? {
            ServerRun::Process { pid, started } => Holder::Process { pid, started },
            ServerRun::Elsewhere { marker } => {
                Holder::Elsewhere { id_buffer: marker.map(|(inode, born)| Mark::new(inode, born)) }
            }
            ServerRun::NotSeen => Holder::Nobody {
                checkpoint: self.newest_checkpoint()?,
                id_buffer: disk::stat(&self.store.join("id-buffer.tmp.0"))?.map(Mark::modified),
            },
        })
    }

    fn newest_checkpoint(&self) -> Result<Option<Mark>, FollowError> {
        let names = disk::list(&self.log)?.unwrap_or_default();
        let versions = names.iter().filter_map(|name| match LogFile::parse(name) {
            Some(LogFile::Checkpoints(version)) => Some(version),
            _ => None,
        });
        let Some(newest) = versions.max() else { return Ok(None) };
        let path = self.log.join(LogFile::Checkpoints(newest).to_string());
        Ok(disk::stat(&path)?.map(Mark::modified))
    }
}

impl Mark {
    fn new(inode: u64, time: Option<i128>) -> Self {
        Self { inode, time: time.and_then(|time| i64::try_from(time).ok()) }
    }

    fn modified(stat: Stat) -> Self {
        Self::new(stat.inode, Some(stat.modified))
    }
}
