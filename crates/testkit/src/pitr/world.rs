//! A server under load, every log file of it kept, and a repository.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::{Archiver, claim, eventually, require};
use crate::archive::{ArchiveReader, ArchivedPath};
use crate::error::{Error, Result};
use crate::oracle::Oracle;
use crate::program::{Grap, tx_id};
use crate::workload::Indexes;
use crate::{Distribution, LogKeeper, Server, Workload, WorkloadOptions, logs, tree};

pub(crate) const DATABASE: &str = "neo4j";
const PATIENCE: Duration = Duration::from_mins(2);

/// Where a campaign takes place. Fields are dropped in this order: writers, server, files.
pub struct World {
    pub workload: Option<Workload>,
    pub server: Server,
    /// `None`: what the server prunes is gone.
    pub keeper: Option<LogKeeper>,
    pub grap: Grap,
    pub folder: tempfile::TempDir,
}

/// Writers as the campaigns want them, unless they say otherwise.
pub fn writers() -> WorkloadOptions {
    WorkloadOptions { indexes: Indexes::Trees, nodes_per_writer: 500, ..WorkloadOptions::default() }
}

impl World {
    /// A server that rotates at 256 KiB, checkpoints often, and keeps no log; no writers yet.
    pub fn start(binary: &Path, distribution: &Distribution) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
        Self::in_folder(folder, binary, distribution, &[("db.tx_log.rotation.retention_policy", "keep_none")])
    }

    /// The same with other settings, on other ground.
    pub fn in_folder(
        folder: tempfile::TempDir,
        binary: &Path,
        distribution: &Distribution,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut builder = Server::builder(distribution).busy_logs();
        for (key, value) in settings {
            builder = builder.setting(*key, *value);
        }
        let server = builder.start(&folder.path().join("home"))?;
        let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept"))?;
        let grap = Grap::initialised(binary, folder.path())?;
        Ok(Self { workload: None, server, keeper: Some(keeper), grap, folder })
    }

    /// Keep no log any longer: where there is no room for it.
    pub fn keep_nothing(&mut self) -> Result<()> {
        let Some(keeper) = self.keeper.take() else { return Ok(()) };
        let folder = keeper.folder().to_owned();
        // Its thread ends first.
        drop(keeper);
        tree::remove_if_there(&folder)
    }

    /// Lets writers write.
    pub fn load(&mut self, options: WorkloadOptions) -> Result<()> {
        self.workload = Some(Workload::start(&self.server, options)?);
        self.wait_for(30)
    }

    pub fn workload(&self) -> Result<&Workload> {
        self.workload.as_ref().ok_or_else(|| Error::Workload("nobody writes".into()))
    }

    /// Ends the writers after what they do now.
    pub fn rest(&mut self) -> Result<std::sync::Arc<Oracle>> {
        let workload = self.workload.take().ok_or_else(|| Error::Workload("nobody writes".into()))?;
        workload.stop().map(|(oracle, _)| oracle)
    }

    /// Waits until so many more transactions were acknowledged.
    pub fn wait_for(&self, count: usize) -> Result<()> {
        let workload = self.workload()?;
        let before = workload.stats().transactions;
        eventually("more transactions", PATIENCE, || {
            Ok((workload.stats().transactions >= before + count).then_some(()))
        })
    }

    /// Waits for so many rotations.
    pub fn wait_for_rotations(&self, count: u64) -> Result<u64> {
        let before = self.newest_log()?;
        eventually("rotations", PATIENCE, || {
            let now = self.newest_log()?;
            Ok((now >= before + count).then_some(now))
        })
    }

    pub fn newest_log(&self) -> Result<u64> {
        logs::newest_version(&self.server.transaction_logs())
    }

    pub fn home(&self) -> String {
        self.server.home().display().to_string()
    }

    pub fn archiver(&self) -> Result<Archiver> {
        Archiver::start(&self.grap, &["--neo4j-home", &self.home()])
    }

    pub fn backup(&self) -> Result<(String, u64)> {
        let report = self.grap.json(&["backup", "--neo4j-home", &self.home()])?;
        let id = report["id"].as_str().map(str::to_owned).zip(tx_id(&report, DATABASE));
        id.ok_or_else(|| Error::Claim(format!("a backup without an id: {report}")))
    }

    /// What `grap status` says, whatever its exit status.
    pub fn status(&self) -> Result<Value> {
        let mut command = self.grap.command();
        let output = command.args(["--json", "status", "--neo4j-home", &self.home()]).output();
        let output = output.map_err(Error::file("run", "grap"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let found = said.lines().rev().find_map(|line| serde_json::from_str::<Value>(line).ok());
        let status = found.filter(|status| status["protection"].is_string());
        status.ok_or_else(|| Error::Program {
            arguments: "status".into(),
            said: said + &String::from_utf8_lossy(&output.stderr),
        })
    }

    /// Waits until `grap status` says this word.
    pub fn await_protection(&self, word: &str) -> Result<Value> {
        let mut last = Value::Null;
        let waited = eventually(word, Duration::from_mins(1), || {
            last = self.status()?;
            Ok((last["protection"] == word).then(|| last.clone()))
        });
        waited.or_else(|_| claim(format!("{word} was wanted, it is {last}")))
    }

    /// All transactions of the live log and of the kept files, by id.
    pub fn log(&self) -> Result<BTreeMap<u64, Vec<u8>>> {
        let live = self.server.transaction_logs();
        let kept = self.keeper.as_ref().map(LogKeeper::folder);
        let folders: Vec<&Path> = std::iter::once(live.as_path()).chain(kept).collect();
        logs::transactions(&folders)
    }

    /// Waits until the current path ends where the log ends. Nobody writes meanwhile.
    pub fn caught_up(&self, reader: &mut ArchiveReader) -> Result<ArchivedPath> {
        let log = self.log()?;
        let end = log.last_key_value().map(|(id, bytes)| (*id, bytes.clone()));
        let (id, bytes) = end.ok_or_else(|| Error::Claim("an empty log".into()))?;
        let mut last = 0;
        let found = eventually("the archive's end", Duration::from_mins(1), || {
            let path = reader.path(DATABASE, None)?;
            last = path.as_ref().map_or(0, ArchivedPath::last);
            Ok(path.filter(|path| path.transactions.get(&id) == Some(&bytes)))
        });
        found.or_else(|error| claim(format!("{error}: the archive ends with {last}, the log with {id}")))
    }

    /// Waits until no pins are left but those of the two newest files of each database.
    pub fn pins_gone(&self) -> Result<()> {
        let mut last = Vec::new();
        let waited = eventually("pins that go", Duration::from_secs(40), || {
            last = pins(&self.server.data())?;
            // A file that several folders of this run of the server link is held once.
            let files: BTreeSet<&String> =
                last.iter().flat_map(|(_, names)| names).filter(|name| name.contains(".db.")).collect();
            let of = |database: &str| files.iter().filter(|name| name.starts_with(database)).count();
            Ok((of("neo4j.") <= 2 && of("system.") <= 2).then_some(()))
        });
        waited.or_else(|_| claim(format!("pins are left: {last:?}")))
    }

    /// Restore and say what was reported.
    pub fn restore(&self, arguments: &[&str], name: &str) -> Result<(PathBuf, Value)> {
        let to = self.folder.path().join(name);
        tree::remove_if_there(&to)?;
        let shown = to.display().to_string();
        let report = self.grap.json(&[&["restore"], arguments, &["--to", &shown]].concat())?;
        Ok((to, report))
    }
}

/// The folders of archivers' pins, and the links in each.
pub fn pins(data: &Path) -> Result<Vec<(PathBuf, Vec<String>)>> {
    let place = data.join(".grap/pins");
    let mut found = Vec::new();
    for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with("archive-") {
            continue;
        }
        let names = fs::read_dir(entry.path()).into_iter().flatten().flatten();
        let names = names.map(|name| name.file_name().to_string_lossy().into_owned());
        found.push((entry.path(), names.filter(|name| name.contains("transaction.db")).collect()));
    }
    found.sort();
    Ok(found)
}

/// The log holds everything that clients know of, and nothing that they know was not committed.
pub fn require_no_contradiction(oracle: &Oracle, markers: &logs::Markers) -> Result<()> {
    let found = oracle.contradictions(markers);
    require(found.is_empty(), || format!("{} contradictions: {:?}", found.len(), found.first()))
}
