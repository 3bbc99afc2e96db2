//! A stopped live database with its backup and archive; and what must be left of a recovery there: nothing.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::strike::{Hit, Moment, Run};
use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{eventually, require};
use crate::{Distribution, Grap, Server, quick_java, tree};

pub(super) const START: [&str; 2] = ["recover", "start"];
pub(super) const CANCEL: [&str; 2] = ["recover", "cancel"];
pub(super) const RESET: [&str; 2] = ["recover", "reset"];
const STATUS: [&str; 2] = ["recover", "status"];
pub(super) const LIMIT: Duration = Duration::from_mins(3);

pub(super) struct Place {
    pub(super) folder: tempfile::TempDir,
    pub(super) grap: Grap,
    pub(super) backup: String,
    data: PathBuf,
    live: BTreeMap<PathBuf, Vec<u8>>,
}

/// What an unstruck run was seen to do: an order, named by the event it ends with.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) event: String,
    /// So many events came before it.
    pub(super) behind: usize,
    pub(super) took: Duration,
}

impl Seen {
    pub(super) fn moment(&self, part: f64) -> Moment {
        Moment::Behind { events: self.behind, further: self.took.mul_f64(part) }
    }
}

/// What an unstruck `cancel` or `reset` was seen to do.
#[derive(Debug)]
pub(super) struct Back {
    pub(super) took: Duration,
    /// How many events of its own came before each order, and how long it took.
    orders: Vec<(usize, Duration)>,
}

/// In hundredths of the run, or of an order.
const INSTANTS: [u32; 8] = [15, 90, 45, 75, 5, 97, 30, 60];

impl Back {
    /// In turn within its whole run and within each of its orders. `noted`: events before it.
    pub(super) fn moment(&self, noted: usize, number: usize) -> Moment {
        let part = INSTANTS[number % INSTANTS.len()];
        match self.orders.get(number % (self.orders.len() + 1)) {
            Some((behind, took)) => Moment::Behind { events: noted + behind, further: *took * part / 100 },
            None => Moment::After(self.took * part / 100),
        }
    }
}

impl Place {
    pub(super) fn make(binary: &Path, distribution: &Distribution) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
        let mut server = Server::builder(distribution).start(&folder.path().join("home"))?;
        let mut grap = Grap::initialised(binary, folder.path())?;
        grap.environment.extend(quick_java::environment(distribution)?);
        grap.environment.push(("GRAP_NEO4J_HOME".into(), server.home().display().to_string()));
        server.query("CREATE INDEX FOR (n:Step) ON (n.n)")?;
        server.query("UNWIND range(1, 5000) AS n CREATE (:Step {n: n})-[:NEXT]->(:Step {n: -n})")?;
        let archiver = Archiver::start(&grap, &[])?;
        let backup = grap.json(&["backup"])?["id"].as_str().unwrap_or_default().to_owned();
        server.query("UNWIND range(1, 5000) AS n CREATE (:Step {n: n})")?;
        archiver.stop()?;
        server.stop()?;
        let data = server.data();
        let live = bytes_of(&data)?;
        Ok(Self { folder, grap, backup, data, live })
    }

    /// What stands in the journal, whole lines only.
    pub(super) fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.journal()).unwrap_or_default();
        let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n')).skip(1);
        let events = lines.filter_map(|line| serde_json::from_str(line.split_once(' ')?.1).ok());
        events.collect()
    }

    /// How many events there are when this one is among them.
    pub(super) fn behind(&self, event: &str) -> Option<usize> {
        self.events().iter().position(|found| name(found) == event).map(|index| index + 1)
    }

    /// The orders of the recovery that the journal tells.
    pub(super) fn seen(&self) -> Vec<Seen> {
        let events = self.events();
        let orders = events.iter().enumerate().filter(|(_, event)| event["took_ms"].is_u64());
        let seen = orders.map(|(behind, event)| Seen {
            event: name(event),
            behind,
            took: Duration::from_millis(event["took_ms"].as_u64().unwrap_or_default()),
        });
        seen.collect()
    }

    pub(super) fn candidates(&self) -> PathBuf {
        self.data.join(".grap/candidate")
    }

    /// The only one there is.
    pub(super) fn candidate(&self) -> Result<PathBuf> {
        let found = entries(&self.candidates());
        require(found.len() == 1, || format!("one candidate: {found:?}"))?;
        Ok(self.candidates().join(&found[0]))
    }

    pub(super) fn status(&self) -> Result<String> {
        Ok(self.grap.json(&STATUS)?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Start it and strike it; nothing runs on behind it.
    pub(super) fn strike(&self, grap: &Grap, arguments: &[&str], moment: Moment) -> Result<Hit> {
        let noted = self.events().len();
        let mut run = Run::start(grap, arguments)?;
        run.wait_for(self, moment)?;
        let hit = run.kill(self, moment, noted)?;
        self.nothing_runs()?;
        Ok(hit)
    }

    /// As it goes back by this command when nothing strikes it.
    pub(super) fn unstruck(&self, arguments: &[&str]) -> Result<Back> {
        let noted = self.events().len();
        let begun = Instant::now();
        self.grap.json(arguments)?;
        let took = begun.elapsed();
        let seen = self.seen().into_iter().filter(|seen| seen.behind >= noted);
        Ok(Back { took, orders: seen.map(|seen| (seen.behind - noted, seen.took)).collect() })
    }

    /// Strike a command that goes back, at one of many instants of its run; one that had ended is struck no more.
    pub(super) fn strike_back(&self, arguments: &[&str], back: &Back, number: usize) -> Result<Hit> {
        self.strike(&self.grap, arguments, back.moment(self.events().len(), number))
    }

    /// Whatever state it was left in: back to the beginning, and nothing is left.
    pub(super) fn settle(&self) -> Result<()> {
        if matches!(self.status()?.as_str(), "RECOVERING" | "VALIDATION") {
            self.grap.json(&CANCEL)?;
        }
        let said = self.grap.json(&RESET)?;
        require(said["status"] == "NOT_RECOVERING", || format!("{said}"))?;
        self.nothing_is_left()?;
        // So that each recovery is counted from its first event.
        tree::remove_if_there(&self.journal())
    }

    /// No process, and nobody listens where one of its instances did.
    pub(super) fn nothing_runs(&self) -> Result<()> {
        let mark = self.candidates().display().to_string();
        eventually("no process is left", LIMIT, || Ok(processes(&mark).is_empty().then_some(())))?;
        for port in self.ports() {
            let is_free = || Ok(TcpListener::bind(("127.0.0.1", port)).is_ok().then_some(()));
            eventually("its port is free", Duration::from_secs(20), is_free)?;
        }
        Ok(())
    }

    fn ports(&self) -> Vec<u16> {
        let events = self.events();
        let ports = events.iter().filter_map(|event| event["instance"]["ports"].as_array());
        ports.flatten().filter_map(|port| u16::try_from(port.as_u64()?).ok()).collect()
    }

    fn nothing_is_left(&self) -> Result<()> {
        self.nothing_runs()?;
        let left = entries(&self.candidates());
        require(left.is_empty(), || format!("left behind: {left:?}"))?;
        let state = entries(&self.grap.state);
        require(!state.iter().any(|name| name.ends_with(".progress")), || format!("left behind: {state:?}"))?;
        // A dead holder's lock is one that anybody may remove; a live one's stays, and is found.
        self.grap.json(&["unlock"])?;
        let locks = entries(&self.grap.repository.join("locks"));
        require(locks.is_empty(), || format!("locks are held: {locks:?}"))?;
        let lock = self.grap.state.join("recover.lock");
        let file = std::fs::File::open(&lock).map_err(Error::file("open", &lock))?;
        require(file.try_lock().is_ok(), || format!("{} is held", lock.display()))?;
        require(bytes_of(&self.data)? == self.live, || "the live database was touched".to_owned())
    }

    fn journal(&self) -> PathBuf {
        self.grap.state.join("recovery.journal")
    }
}

/// `judged schema`
pub(super) fn name(event: &Value) -> String {
    let tier = event["judgement"]["tier"].as_str().map(|tier| format!(" {tier}")).unwrap_or_default();
    format!("{}{tier}", event["event"].as_str().unwrap_or_default())
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).map(|entries| entries.flatten().collect::<Vec<_>>());
    entries.unwrap_or_default().iter().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn processes(mark: &str) -> Vec<String> {
    let pids = entries(Path::new("/proc")).into_iter().filter(|name| name.parse::<u32>().is_ok());
    let lines = pids.filter_map(|pid| {
        let line = std::fs::read(Path::new("/proc").join(pid).join("cmdline")).ok()?;
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
