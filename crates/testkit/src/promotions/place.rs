//! A live database, and one that can take its place: a candidate, or what was retired. What each holds is known from its
//! server, through Cypher, each time something was written to it.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use grap_core::recovery::{Order, SWITCH};
use serde_json::Value;

use super::Setting;
use super::table::{EVENTS, Verb, named};
use crate::commanded::Commanded;
use crate::digest::{CypherGraph, of_server};
use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{claim, require};
use crate::{quick_java, tree};

pub(super) const LIMIT: Duration = Duration::from_mins(3);
pub(super) const STATUS: [&str; 2] = ["recover", "status"];
pub(super) const CANCEL: [&str; 2] = ["recover", "cancel"];
const RESET: [&str; 2] = ["recover", "reset"];

/// Short where the campaign waits for them, long enough for a busy machine.
const LIMITS: [(&str, &str); 2] = [("GRAP_SERVER_START_LIMIT_S", "90"), ("GRAP_SERVER_STOP_LIMIT_S", "60")];

/// Dropped in this order: who writes there ends before the files go.
pub(super) struct Place {
    pub(super) archiver: Option<Archiver>,
    pub(super) commanded: Commanded,
    /// A candidate is made of it.
    pub(super) backup: String,
    candidate: CypherGraph,
    pub(super) live: CypherGraph,
    /// What a rollback brings back.
    pub(super) aside: CypherGraph,
    /// How long each order takes when nothing strikes it.
    pub(super) took: BTreeMap<String, Duration>,
    written: i64,
}

impl Place {
    /// A graph, a backup of it, and a promotion of that with nothing in its way.
    pub(super) fn make(setting: &Setting<'_>, supervised: bool) -> Result<Self> {
        Self::make_with(setting, supervised, &[])
    }

    /// With these settings of the server.
    pub(super) fn make_with(
        setting: &Setting<'_>,
        supervised: bool,
        settings: &[(&str, &str)],
    ) -> Result<Self> {
        let mut commanded = Commanded::start_with(setting.binary, setting.distribution, settings)?;
        let limits = LIMITS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        commanded.grap.environment.extend(limits);
        commanded.grap.environment.extend(quick_java::environment(setting.distribution)?);
        if supervised {
            commanded.supervise()?;
        }
        let server = &commanded.server;
        server.query("CREATE INDEX FOR (n:Step) ON (n.n)")?;
        server.query(
            "UNWIND range(1, 300) AS n CREATE (:Step {n: n})-[:NEXT {text: 'from ' + n}]->(:Step {n: -n})",
        )?;
        let archiver = Some(Archiver::start(&commanded.grap, &[])?);
        let backup = commanded.grap.json(&["backup"])?["id"].as_str().unwrap_or_default().to_owned();
        let graph = of_server(&server.bolt())?;
        let (candidate, live, aside) = (graph.clone(), graph.clone(), graph);
        let took = BTreeMap::new();
        let mut place = Self { commanded, archiver, backup, candidate, live, aside, took, written: 0 };
        place.write()?;
        place.promote_unstruck()?;
        Ok(place)
    }

    fn promote_unstruck(&mut self) -> Result<()> {
        self.ready(Verb::Promote)?;
        let before = self.commanded.events().len();
        let said = self.commanded.grap.json(&Verb::Promote.arguments())?;
        let events = self.commanded.events().split_off(before + 1);
        require(events == EVENTS, || {
            format!("the orders end with other events than the table says: {events:?}")
        })?;
        let steps = said["recovery"]["steps"].as_array().cloned().unwrap_or_default();
        for step in steps {
            if let Some(order) = named(&step["order"]).filter(|order| SWITCH.contains(order)) {
                let took = Duration::from_millis(step["took_ms"].as_u64().unwrap_or_default());
                self.took.insert(super::table::name(order), took);
            }
        }
        self.has_promoted(Verb::Promote);
        self.serves()?;
        self.settle()
    }

    pub(super) fn took(&self, order: Order) -> Duration {
        self.took.get(&super::table::name(order)).copied().unwrap_or_default()
    }

    /// What the verb is to bring is there.
    pub(super) fn ready(&mut self, verb: Verb) -> Result<()> {
        if verb == Verb::Promote && self.status()?["status"] != "SUCCESS" {
            self.settle()?;
            self.commanded.grap.json(&["recover", "start", &self.backup])?;
        }
        if verb == Verb::Rollback && self.status()?["status"] == "SUCCESS" {
            self.settle()?;
        }
        Ok(())
    }

    /// A write that the server has acknowledged.
    pub(super) fn write(&mut self) -> Result<()> {
        self.written += 1;
        self.commanded.server.query(&format!("CREATE (:Write {{n: {}}})", self.written))?;
        self.live = of_server(&self.commanded.server.bolt())?;
        Ok(())
    }

    pub(super) fn status(&self) -> Result<Value> {
        self.commanded.grap.json(&STATUS)
    }

    /// The databases have changed places.
    pub(super) fn has_promoted(&mut self, verb: Verb) {
        match verb {
            Verb::Promote => self.aside = std::mem::replace(&mut self.live, self.candidate.clone()),
            Verb::Rollback => std::mem::swap(&mut self.live, &mut self.aside),
        }
    }

    /// One whole database serves: the one that it should be, to the last write.
    pub(super) fn serves(&self) -> Result<()> {
        self.commanded.await_online()?;
        let found = of_server(&self.commanded.server.bolt())?;
        require(found == self.live, || format!("it serves {found:?}, and {:?} was acknowledged", self.live))
    }

    /// The other one is whole, too. One of which the server had crashed is recovered when it comes back.
    pub(super) fn keeps_the_other(&self) -> Result<()> {
        let Some(path) = self.newest_retired()? else { return claim("nothing is retired") };
        let output = self.commanded.grap.command().args(["--json", "check"]).arg(&path).output();
        let output = output.map_err(Error::file("run", "grap check"))?;
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        let digest = format!("{:032x}", self.aside.digest);
        let is_whole = output.status.success() && said.contains(&digest);
        require(is_whole || said.contains("NEEDS_RECOVERY"), || {
            format!("what is retired should have the digest {digest}: {said}")
        })
    }

    pub(super) fn newest_retired(&self) -> Result<Option<PathBuf>> {
        let status = self.status()?;
        let newest = status["retired"].as_array().and_then(|retired| retired.last());
        Ok(newest.and_then(|retired| retired["path"].as_str()).map(PathBuf::from))
    }

    /// Behind an end: what is not to be promoted any more goes, and of what is retired the newest stays.
    pub(super) fn settle(&self) -> Result<()> {
        if self.status()?["status"] != "NOT_RECOVERING" {
            self.commanded.grap.json(&RESET)?;
        }
        let status = self.status()?;
        let retired = status["retired"].as_array().cloned().unwrap_or_default();
        for old in retired.iter().rev().skip(1) {
            tree::remove_if_there(&PathBuf::from(old["path"].as_str().unwrap_or_default()))?;
        }
        Ok(())
    }

    pub(super) fn live_store(&self) -> PathBuf {
        self.commanded.server.data().join("databases/neo4j")
    }

    pub(super) fn live_log(&self) -> PathBuf {
        self.commanded.server.transaction_logs()
    }

    /// The store that is to become live.
    pub(super) fn side_store(&self, verb: Verb) -> Result<PathBuf> {
        let root = match verb {
            Verb::Promote => {
                let candidate = self.status()?["recovery"]["candidate"].as_str().map(PathBuf::from);
                candidate.map(|candidate| candidate.join("data"))
            }
            Verb::Rollback => self.newest_retired()?,
        };
        match root {
            Some(root) => Ok(root.join("databases/neo4j")),
            None => claim("nothing is there that could become live"),
        }
    }

    /// In the middle of a swap.
    pub(super) fn has_barrier(&self) -> bool {
        fs::symlink_metadata(self.live_log()).is_ok_and(|metadata| metadata.is_file())
    }

    /// Every file of both databases, wherever it lies; not what servers keep beside them.
    pub(super) fn bytes(&self) -> Result<BTreeMap<PathBuf, Vec<u8>>> {
        let data = self.commanded.server.data();
        let files = tree::files(&data)?.into_iter();
        let ours = files.filter(|path| path.iter().any(|part| part == "neo4j"));
        ours.map(|path| Ok((path.clone(), fs::read(data.join(&path)).map_err(Error::file("read", &path))?)))
            .collect()
    }

    /// A server refuses a setting that is there twice.
    pub(super) fn let_files_be_missing(&self, may: bool) -> Result<()> {
        let path = self.commanded.server.home().join("conf/neo4j.conf");
        let text = fs::read_to_string(&path).map_err(Error::file("read", &path))?;
        let setting = format!("{MISSING}=false");
        let others = text.lines().filter(|line| !line.starts_with(MISSING));
        let lines: Vec<&str> = others.chain(may.then_some(setting.as_str())).chain([""]).collect();
        fs::write(&path, lines.join("\n")).map_err(Error::file("write", &path))
    }
}

const MISSING: &str = "db.recovery.fail_on_missing_files";
