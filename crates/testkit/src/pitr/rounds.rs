//! From one base: random transactions and random instants of a server's life, with rotations, checkpoints, a
//! clean restart, a kill right behind a rotation, indexes and constraints that come and go. Each is restored by
//! the shipped program and judged by Neo4j itself against the oracle.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::Value;

use super::kills::first_object;
use super::world::{DATABASE, writers};
use super::{Tell, World, claim, controls, require};
use crate::archive::ArchivedPath;
use crate::error::{Error, Result};
use crate::judge::{check_both, check_natively};
use crate::logs::{self, Markers};
use crate::oracle::Oracle;
use crate::program::tx_id;
use crate::workload::Indexes;
use crate::{Distribution, Judge, Server, WorkloadOptions, judge_server, tree};

#[derive(Debug, Clone, Copy)]
pub struct RoundOptions {
    /// Random transactions.
    pub targets: usize,
    /// Random instants.
    pub instants: usize,
    /// Of the transactions, through a whole server.
    pub whole_servers: usize,
    /// How long the writers write, about, in three parts.
    pub long: Duration,
}

pub fn rounds(
    binary: &Path,
    distribution: &Distribution,
    options: RoundOptions,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let mut world = World::start(binary, distribution)?;
    world.load(WorkloadOptions { schema_churn: true, indexes: Indexes::All, ..writers() })?;
    let archiver = world.archiver()?;
    let mut reader = first_object(&world)?;
    let (base, base_end) = world.backup()?;
    let life = a_life(&mut world, options.long)?;
    let oracle = world.rest()?;
    let path = world.caught_up(&mut reader)?;
    require(archiver.stop().is_ok(), || "the archiver did not live through it".to_owned())?;
    world.server.stop()?;
    let log = world.log()?;
    // A stop may write; what is archived is the log's beginning.
    let archived_log: BTreeMap<u64, Vec<u8>> =
        log.range(..=path.last()).map(|(id, bytes)| (*id, bytes.clone())).collect();
    let differences = path.differences(&archived_log);
    require(differences.is_empty(), || format!("{} differences: {}", differences.len(), differences[0]))?;
    let markers = oracle.markers_in(log.iter().map(|(id, bytes)| (*id, bytes)));
    // With the kill right behind a rotation Neo4j may lose what it acknowledged; what it says it did not commit
    // must not be there.
    let contradictions = oracle.contradictions(&markers);
    let false_ones: Vec<_> =
        contradictions.iter().filter(|text| text.contains("was not committed")).collect();
    require(false_ones.is_empty(), || format!("{false_ones:?}"))?;
    let judge = Judge::start(distribution)?;
    let mut round =
        Round { world, oracle: &oracle, path, markers, judge, base, base_end, judged: 0, checked: 0 };

    let targets = round.transactions(options.targets, tell)?;
    let instants = round.instants(options.instants, tell)?;
    require(round.checked > 0, || "an index was being made at every target: none was checked".to_owned())?;
    let servers = round.whole_servers(options.whole_servers)?;
    let constraints = round.constraints(tell)?;
    let refused = controls::controls(&round.world, &mut reader, &round.path, round.base_end)?;
    Ok(format!(
        "rounds on {}: from one base (transaction {}), a life of {life}: {targets} random transactions and {instants} restored and judged equal, {} of them checked clean, {servers} through a whole server; {constraints}; {refused}; {} acknowledged transactions that Neo4j itself lost; {:?}",
        distribution.version(),
        round.base_end,
        round.checked,
        contradictions.len(),
        begun.elapsed()
    ))
}

/// Writes, a clean restart, writes, a kill right behind a rotation, writes.
fn a_life(world: &mut World, long: Duration) -> Result<String> {
    let first = world.newest_log()?;
    let begun = Instant::now();
    sleep(long / 3);
    world.wait_for_rotations(1)?;
    world.server.stop()?;
    world.server.restart()?;
    world.wait_for(30)?;
    sleep(long / 3);
    world.wait_for_rotations(1)?;
    // Now: the new file has just appeared.
    world.server.kill()?;
    world.server.restart()?;
    world.wait_for(30)?;
    sleep(long / 3);
    let rotations = world.newest_log()? - first;
    Ok(format!(
        "{} s with {rotations} rotations, a clean restart, a kill -9 right behind a rotation, indexes and constraints made and dropped",
        begun.elapsed().as_secs()
    ))
}

struct Round<'a> {
    world: World,
    oracle: &'a Oracle,
    path: ArchivedPath,
    markers: Markers,
    judge: Judge,
    base: String,
    base_end: u64,
    judged: usize,
    checked: usize,
}

impl Round<'_> {
    fn transactions(&mut self, wanted: usize, tell: Tell<'_>) -> Result<usize> {
        let mut random = rand::rng();
        let mut done = 0;
        // On a busy machine an index is being made at most of them, and one must be checked.
        while done < wanted || (self.checked == 0 && done < wanted * 5) {
            let target = random.random_range(self.base_end..=self.path.last());
            if self.judged_at(&format!("tx={target}"), target)? {
                done += 1;
                tell(&format!("rounds: transaction {target}, {done} of {wanted}"));
            }
        }
        Ok(done)
    }

    /// Instants between the base's end and the newest commit.
    fn instants(&mut self, wanted: usize, tell: Tell<'_>) -> Result<String> {
        let mut random = rand::rng();
        let time = |id: u64| self.path.transactions.get(&id).and_then(|bytes| logs::commit_ms(bytes));
        let span = time(self.base_end).zip(time(self.path.last()));
        let (from, to) = span.ok_or_else(|| Error::Claim("the base is not on the path".into()))?;
        let (mut done, mut unsure) = (0, 0);
        while done < wanted {
            let ms = random.random_range(from..to);
            let expected =
                self.path.before(ms).ok_or_else(|| Error::Claim(format!("nothing before {ms}")))?;
            let at =
                jiff::Timestamp::from_millisecond(ms).map_err(|error| Error::Claim(error.to_string()))?;
            let target = format!("time={at}");
            if self.unsure(&target, ms)? {
                unsure += 1;
                // A few in a row say nothing.
                require(unsure < wanted * 2 + 8, || "most instants are unsure".to_owned())?;
                continue;
            }
            if self.judged_at(&target, expected)? {
                done += 1;
                tell(&format!("rounds: {target} (transaction {expected}), {done} of {wanted}"));
            }
        }
        Ok(format!("{done} random instants ({unsure} more fell into a restart: refused with both sides)"))
    }

    /// Whether the instant is refused because the server was started anew around it. Then it must have been.
    fn unsure(&self, target: &str, ms: i64) -> Result<bool> {
        let output = self.world.grap.command().args(["--json", "restore", target, "--dry-run"]).output();
        let output = output.map_err(Error::file("run", "grap"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() || !said.contains("TIME_UNSURE") {
            return Ok(false);
        }
        let ways: Vec<u64> = said
            .split("tx=neo4j:")
            .skip(1)
            .filter_map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok())
            .collect();
        let time = |id: &u64| self.path.transactions.get(id).and_then(|bytes| logs::commit_ms(bytes));
        let (Some(before), Some(behind)) = (ways.first().and_then(time), ways.get(1).and_then(time)) else {
            return claim(format!("{target} is refused without both sides: {said}"));
        };
        require(before <= ms && ms < behind, || format!("{target}: not between its sides {ways:?}"))?;
        require(behind - before > 500, || format!("{target} is refused where writers wrote: {ways:?}"))?;
        Ok(true)
    }

    /// Restore and judge; `false`: inside the creation of a constraint, and refused for that.
    fn judged_at(&mut self, target: &str, expected: u64) -> Result<bool> {
        let Some(data) = self.restored(target, expected)? else { return Ok(false) };
        let graph = self.oracle.expected_at(expected, &self.markers);
        let verdict = self.judge.verdict(&data, &graph, expected)?;
        require(verdict.is_clean(), || format!("{target}: {verdict}"))?;
        // One in five; where an index is being made, the next one.
        if self.judged >= self.checked * 5 && !verdict.schema_in_flux {
            check_both(&self.world.grap, self.world.server.distribution(), &data)?;
            self.checked += 1;
        } else {
            check_natively(&self.world.grap, &data)?;
        }
        self.judged += 1;
        tree::remove_if_there(&data)?;
        Ok(true)
    }

    fn restored(&self, target: &str, expected: u64) -> Result<Option<std::path::PathBuf>> {
        match self.world.restore(&[target], "restored") {
            Ok((data, report)) => {
                self.require_the_base(&report, target, expected)?;
                Ok(Some(data))
            }
            Err(Error::Program { said, .. }) if said.contains("TARGET_IN_SCHEMA_CHANGE") => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn require_the_base(&self, report: &Value, target: &str, expected: u64) -> Result<()> {
        let named = (report["id"].as_str(), tx_id(report, DATABASE));
        require(named == (Some(self.base.as_str()), Some(expected)), || {
            format!("{target}: transaction {expected} from {} was wanted: {report}", self.base)
        })
    }

    /// A few through a whole server, over Bolt.
    fn whole_servers(&mut self, wanted: usize) -> Result<usize> {
        let mut random = rand::rng();
        let mut done = 0;
        while done < wanted {
            let target = random.random_range(self.base_end..=self.path.last());
            let Some(data) = self.restored(&format!("tx={target}"), target)? else { continue };
            let home = self.world.folder.path().join(format!("restored-home-{done}"));
            let mut server = Server::open_restored(self.world.server.distribution(), &data, &home)?;
            let verdict = judge_server(&server, &self.oracle.expected_at(target, &self.markers))?;
            require(verdict.is_clean(), || format!("tx={target} in a server: {verdict}"))?;
            server.stop()?;
            tree::remove_if_there(&data)?;
            done += 1;
        }
        Ok(done)
    }

    /// Between the transaction that makes a constraint's index and the one that makes the constraint: refused,
    /// with the points before and behind; and those restore with every index online.
    fn constraints(&mut self, tell: Tell<'_>) -> Result<String> {
        let mut shown = 0;
        let spans = self.oracle.schema_spans(&self.markers);
        for span in spans.iter().filter(|span| span.statement.starts_with("CREATE CONSTRAINT")) {
            let ids: Vec<u64> = (span.ids.0 + 1..span.ids.1)
                .filter(|id| self.path.transactions.contains_key(id) && !self.has_marker(*id))
                .collect();
            let (Some(&index), Some(&constraint)) = (ids.first(), ids.last()) else { continue };
            if index <= self.base_end || index == constraint || shown == 3 {
                continue;
            }
            for inside in [index, constraint - 1] {
                self.refused_inside(inside, (index - 1, constraint))?;
            }
            for whole in [index - 1, constraint] {
                let target = format!("tx={whole}");
                let Some(data) = self.restored(&target, whole)? else {
                    return claim(format!("{target} was offered and is refused"));
                };
                let graph = self.oracle.expected_at(whole, &self.markers);
                let verdict = self.judge.verdict(&data, &graph, whole)?;
                require(verdict.is_clean(), || format!("{target}: {verdict}"))?;
                let idle = verdict.report.indexes.iter().find(|index| index.state != "ONLINE");
                require(idle.is_none(), || format!("{target}: {idle:?}"))?;
                check_natively(&self.world.grap, &data)?;
            }
            shown += 1;
            tell(&format!("rounds: constraint made by transactions {index} to {constraint}"));
        }
        require(shown > 0, || "no constraint was made behind the base".to_owned())?;
        Ok(format!(
            "targets inside {shown} creations of a constraint refused, the whole points beside them restored with every index online"
        ))
    }

    fn has_marker(&self, id: u64) -> bool {
        self.markers.ids().binary_search(&id).is_ok()
    }

    fn refused_inside(&self, target: u64, (before, behind): (u64, u64)) -> Result<()> {
        let target = format!("tx={target}");
        let output = self.world.grap.command().args(["--json", "restore", &target, "--dry-run"]).output();
        let output = output.map_err(Error::file("run", "grap"))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let offers = |id: u64| said.contains(&format!("tx=neo4j:{id}"));
        let before = offers(before);
        let refused = said.contains("TARGET_IN_SCHEMA_CHANGE");
        require(refused && before && offers(behind), || {
            format!(
                "{target} lies inside a constraint's creation, and is not refused with both sides: {said}"
            )
        })
    }
}
