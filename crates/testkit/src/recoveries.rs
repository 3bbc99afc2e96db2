//! kill -9 of `grap recover start` at the beginning, in the middle and at the end of every order that a recovery has, on a
//! real server; each time it is gone on with to a candidate that has passed, and reset. Nothing is left behind, and the
//! live database stays as it is, byte for byte.
//!
//! The orders are those that a first recovery was seen to perform, and so are the times within them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{Tell, eventually, require};
use crate::{Distribution, Grap, Server, tree};

const START: [&str; 2] = ["recover", "start"];
const LIMIT: Duration = Duration::from_mins(3);
/// Where in an order it is struck.
const PARTS: [f64; 3] = [0.0, 0.5, 0.95];

/// An order of the first recovery, and how many events came before it.
#[derive(Debug)]
struct Seen {
    order: String,
    behind: usize,
    took: Duration,
}

/// A stopped live database, its backup and archive.
struct Place {
    folder: tempfile::TempDir,
    grap: Grap,
    data: PathBuf,
}

pub fn recoveries(
    binary: &Path,
    distribution: &Distribution,
    until: Option<Instant>,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let place = Place::make(binary, distribution)?;
    let live = bytes_of(&place.data)?;
    let orders = place.orders()?;
    let total: u128 = orders.iter().map(|seen| seen.took.as_millis()).sum();
    tell(&format!("recoveries: {} orders, {total} ms", orders.len()));
    let (mut kills, mut lost) = (0, 0);
    'all: for seen in &orders {
        for part in PARTS {
            if until.is_some_and(|until| Instant::now() >= until) {
                break 'all;
            }
            let starts = place.strike(seen, part)?;
            (kills, lost) = (kills + 1, lost + usize::from(starts > 1));
            tell(&format!("recoveries: {} at {:.0} %: {starts} starts", seen.order, part * 100.0));
        }
    }
    require(bytes_of(&place.data)? == live, || "the live database was touched".to_owned())?;
    Ok(format!(
        "recoveries: {kills} kills in {} orders, {lost} instances started anew, all validated, nothing left, {} s",
        orders.len(),
        begun.elapsed().as_secs()
    ))
}

impl Place {
    fn make(binary: &Path, distribution: &Distribution) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
        let mut server = Server::builder(distribution).start(&folder.path().join("home"))?;
        let lib = server.home().join("lib");
        std::os::unix::fs::symlink(distribution.folder().join("lib"), &lib)
            .map_err(Error::file("link", &lib))?;
        let mut grap = Grap::initialised(binary, folder.path())?;
        let java = distribution.java().home.display().to_string();
        grap.environment.push(("GRAP_RECOVERY_JAVA_HOME".into(), java));
        grap.environment.push(("GRAP_NEO4J_HOME".into(), server.home().display().to_string()));
        server.query("CREATE INDEX FOR (n:Step) ON (n.n)")?;
        server.query("UNWIND range(1, 5000) AS n CREATE (:Step {n: n})-[:NEXT]->(:Step {n: -n})")?;
        let archiver = Archiver::start(&grap, &[])?;
        grap.json(&["backup"])?;
        server.query("UNWIND range(1, 5000) AS n CREATE (:Step {n: n})")?;
        archiver.stop()?;
        server.stop()?;
        let data = server.data();
        Ok(Self { folder, grap, data })
    }

    fn orders(&self) -> Result<Vec<Seen>> {
        let said = self.grap.json(&START)?;
        let steps = said["recovery"]["steps"].as_array().cloned().unwrap_or_default();
        let seen = steps.iter().enumerate().map(|(index, step)| Seen {
            order: step["order"].as_str().unwrap_or_default().to_owned(),
            behind: index + 1,
            took: Duration::from_millis(step["took_ms"].as_u64().unwrap_or_default()),
        });
        self.reset()?;
        Ok(seen.collect())
    }

    /// Killed there, it goes on. Says how often an instance was started.
    fn strike(&self, seen: &Seen, part: f64) -> Result<u64> {
        let mut child = self.grap.spawn(&START)?;
        let begun = Instant::now();
        while self.events() < seen.behind && is_running(&mut child)? {
            require(begun.elapsed() < LIMIT, || format!("{} does not come", seen.order))?;
            sleep(Duration::from_millis(1));
        }
        sleep(seen.took.mul_f64(part));
        child.kill().map_err(Error::file("kill", "grap"))?;
        child.wait().map_err(Error::file("wait for", "grap"))?;
        self.nothing_runs()?;
        let mut said = self.grap.json(&["recover", "status"])?;
        if said["status"] != "SUCCESS" {
            said = self.grap.json(&START)?;
        }
        require(said["status"] == "SUCCESS", || format!("{said}"))?;
        self.nothing_runs()?;
        self.reset()?;
        Ok(said["recovery"]["starts"].as_u64().unwrap_or_default())
    }

    fn events(&self) -> usize {
        let text = std::fs::read_to_string(self.grap.state.join("recovery.journal")).unwrap_or_default();
        text.lines().count().saturating_sub(1)
    }

    fn reset(&self) -> Result<()> {
        let said: Value = self.grap.json(&["recover", "reset"])?;
        require(said["status"] == "NOT_RECOVERING", || format!("{said}"))?;
        let left = tree::files(&self.data.join(".grap/candidate"))?;
        require(left.is_empty(), || format!("left behind: {left:?}"))?;
        // So that each recovery is counted from its first event.
        tree::remove_if_there(&self.grap.state.join("recovery.journal"))?;
        self.nothing_runs()
    }

    /// Neither a process nor what it listens to: the instance's home is named in its command line.
    fn nothing_runs(&self) -> Result<()> {
        let mark = self.folder.path().join("home/data/.grap/candidate").display().to_string();
        eventually("no process is left", LIMIT, || Ok(processes(&mark).is_empty().then_some(())))
    }
}

fn is_running(child: &mut Child) -> Result<bool> {
    Ok(child.try_wait().map_err(Error::file("look at", "grap"))?.is_none())
}

fn processes(mark: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").map(|entries| entries.flatten().collect::<Vec<_>>());
    let lines = entries.unwrap_or_default().into_iter().filter_map(|entry| {
        entry.file_name().to_string_lossy().parse::<u32>().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).into_owned())
    });
    lines.filter(|line| line.contains(mark)).collect()
}

/// Without what is ours.
fn bytes_of(data: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
    let files = tree::files(data)?.into_iter().filter(|path| !path.starts_with(".grap"));
    let read = |path: PathBuf| {
        let bytes = std::fs::read(data.join(&path)).map_err(Error::file("read", &path))?;
        Ok((path, bytes))
    };
    files.map(read).collect()
}
