//! The long tests, with the shipped release binary on live servers. One summary line a part; the exit status
//! is 0 only when all is well.
//!
//! `soak kills`: kill -9 of the program at random instants of a backup (`GRAP_SOAK_KILLS`, 100).
//! `soak rounds`: hot backups under load, limits, retention and schema changes in turn, each restored and
//! judged (`GRAP_SOAK_ROUNDS`, 50). `soak matrix`: so many rounds on each version that runs here
//! (`GRAP_SOAK_MATRIX_ROUNDS`, 8). `soak`: kills and rounds. `GRAP_SOAK_SECONDS` ends a part early, after the
//! round under way; `GRAP_BINARY` is the program under test (beside this one by default).

#![expect(clippy::print_stdout, reason = "its summary is what it is for")]

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use grap_testkit::campaign::{binary, deadline, number};
use grap_testkit::judge::{check_both, check_natively};
use grap_testkit::program::tx_id;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Judge, LogKeeper, Server, Workload, WorkloadOptions, tree};
use rand::Rng;
use serde_json::Value;

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Judged together, so that a server serves several rounds.
const BATCH: usize = 5;

fn main() -> Outcome {
    let soak = Soak { binary: binary()?, until: deadline() };
    let part = std::env::args().nth(1).unwrap_or_default();
    let standard = Distribution::standard()?;
    match part.as_str() {
        "kills" => soak.kills(&standard),
        "rounds" => soak.rounds(&standard, number("GRAP_SOAK_ROUNDS", 50)),
        "matrix" => Distribution::matrix().iter().try_for_each(|version| {
            soak.rounds(&Distribution::ensure(version)?, number("GRAP_SOAK_MATRIX_ROUNDS", 8))
        }),
        "" => soak.kills(&standard).and_then(|()| soak.rounds(&standard, number("GRAP_SOAK_ROUNDS", 50))),
        other => Err(format!("soak {other}: kills, rounds, matrix or nothing is wanted").into()),
    }
}

struct Soak {
    binary: PathBuf,
    until: Option<Instant>,
}

/// A server under load, its logs kept, and a repository.
struct Live {
    folder: tempfile::TempDir,
    server: Server,
    keeper: LogKeeper,
    workload: Workload,
    grap: Grap,
}

impl Live {
    fn start(
        soak: &Soak,
        distribution: &Distribution,
        retention: &str,
        schema_churn: bool,
        seed: u64,
    ) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        let server = Server::builder(distribution)
            .busy_logs()
            .setting("db.tx_log.rotation.retention_policy", retention)
            .start(&folder.path().join("home"))?;
        let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept"))?;
        let indexes = if schema_churn { Indexes::All } else { Indexes::Trees };
        let options = WorkloadOptions {
            schema_churn,
            seed,
            indexes,
            nodes_per_writer: 500,
            ..WorkloadOptions::default()
        };
        let workload = Workload::start(&server, options)?;
        let grap = Grap::initialised(&soak.binary, folder.path())?;
        let live = Self { folder, server, keeper, workload, grap };
        live.wait_for(60)?;
        Ok(live)
    }

    fn wait_for(&self, count: usize) -> Outcome {
        let (before, begun) = (self.workload.stats().transactions, Instant::now());
        while self.workload.stats().transactions < before + count {
            if begun.elapsed() > Duration::from_mins(2) {
                return Err(format!("the writers stand still: {:?}", self.workload.stats()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// Bytes a second at which a copy takes about so long.
    fn limit(&self, seconds: u64) -> Outcome<String> {
        Ok((tree::size(&self.server.data().join("databases"))? / seconds).to_string())
    }

    fn arguments(&self, limit: &str) -> [String; 5] {
        let home = self.server.home().display().to_string();
        ["backup".into(), "--neo4j-home".into(), home, "--read-limit".into(), limit.into()]
    }

    fn backup(&self, limit: &str) -> Outcome<Value> {
        let report = self.grap.json(&self.arguments(limit).each_ref().map(String::as_str))?;
        let pins = std::fs::read_dir(self.server.data().join(".grap/pins"))?.flatten();
        match pins.filter(|entry| entry.file_name().to_string_lossy().starts_with("backup-")).count() {
            0 => Ok(report),
            left => Err(format!("{left} folders of pins were left").into()),
        }
    }

    fn complete(&self) -> Outcome<usize> {
        let list = self.grap.json(&["list"])?;
        let rows = list["backups"].as_array().ok_or("no backups in the list")?;
        Ok(rows.iter().filter(|row| row["status"] == "COMPLETE").count())
    }

    /// Stop, restore every backup, judge it; `grap check` on each, `database check` on one in five. Returns the
    /// transactions that were replayed.
    fn judge(mut self, reports: &[Value]) -> Outcome<u64> {
        self.wait_for(10)?;
        let (oracle, _) = self.workload.stop()?;
        self.server.stop()?;
        let markers = oracle.markers(&[&self.server.transaction_logs(), self.keeper.folder()])?;
        let contradictions = oracle.contradictions(&markers);
        if !contradictions.is_empty() {
            return Err(format!("{contradictions:?}").into());
        }
        let judge = Judge::start(self.server.distribution())?;
        let mut replayed = 0;
        for (number, report) in reports.iter().enumerate() {
            let id = report["id"].as_str().ok_or("no id")?;
            let end = tx_id(report, "neo4j").ok_or("no end")?;
            let to = self.folder.path().join(id);
            self.grap.json(&["restore", id, "--to", &to.display().to_string()])?;
            let verdict = judge.verdict(&to, &oracle.expected_at(end, &markers), end)?;
            if !verdict.is_clean() {
                return Err(format!("{id}: {verdict}").into());
            }
            if number % 5 == 0 && !verdict.schema_in_flux {
                check_both(&self.grap, self.server.distribution(), &to)?;
            } else {
                check_natively(&self.grap, &to)?;
            }
            replayed += report["databases"][0]["transactions"].as_u64().unwrap_or(0);
            tree::remove_if_there(&to)?;
        }
        self.grap.json(&["verify", "--read-data"])?;
        Ok(replayed)
    }
}

impl Soak {
    fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Instant::now() > until)
    }

    fn kills(&self, distribution: &Distribution) -> Outcome {
        let (wanted, begun) = (number("GRAP_SOAK_KILLS", 100), Instant::now());
        let live = Live::start(self, distribution, "keep_none", false, 7)?;
        let mut random = rand::rng();
        let (mut kills, mut finished, mut reports) = (0, 0, vec![live.backup("1GiB")?]);
        while kills < wanted && (kills == 0 || !self.is_over()) {
            let limit = live.limit(random.random_range(1..4))?;
            let mut child = live.grap.spawn(&live.arguments(&limit).each_ref().map(String::as_str))?;
            std::thread::sleep(Duration::from_millis(random.random_range(0..3500)));
            child.kill()?;
            // A kill that came too late met a backup that was whole.
            if child.wait()?.success() {
                finished += 1;
            } else {
                kills += 1;
            }
            let expected = reports.len() + finished;
            let found = live.complete()?;
            // Between its publication and its exit a killed backup is whole, too.
            if found > expected {
                finished += found - expected;
            } else if found < expected {
                return Err(format!("{expected} backups were complete, {found} are listed").into());
            }
            if kills % 10 == 0 {
                reports.push(live.backup("1GiB")?);
            }
        }
        reports.push(live.backup("1GiB")?);
        let judged = reports.len();
        live.judge(&reports)?;
        println!(
            "kills: {kills} times kill -9 at random instants, {finished} were whole before it; {judged} backups between, each equal to the oracle and clean; {:?}",
            begun.elapsed()
        );
        Ok(())
    }

    fn rounds(&self, distribution: &Distribution, wanted: usize) -> Outcome {
        let begun = Instant::now();
        let (mut done, mut batch, mut replayed) = (0, 0_u64, 0);
        while done < wanted && (done == 0 || !self.is_over()) {
            let retention = ["keep_none", "keep_all", "2 days 2G"][usize::try_from(batch)? % 3];
            let churn = batch % 2 == 1;
            let live = Live::start(self, distribution, retention, churn, batch)?;
            let mut reports = Vec::new();
            for round in 0..BATCH.min(wanted - done) {
                let limit =
                    if round % 2 == 0 { live.limit(8 + round as u64 * 3)? } else { "1GiB".to_owned() };
                reports.push(live.backup(&limit)?);
                std::thread::sleep(Duration::from_millis(1100));
            }
            done += reports.len();
            replayed += live.judge(&reports)?;
            batch += 1;
            println!("rounds: {done} of {wanted} on {}", distribution.version());
        }
        println!(
            "rounds: {done} hot backups of Neo4j {} under 4 writers, each equal to the oracle and clean; {replayed} transactions replayed; {:?}",
            distribution.version(),
            begun.elapsed()
        );
        Ok(())
    }
}
