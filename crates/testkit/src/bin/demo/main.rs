//! `make demo`: a real Neo4j Community is backed up by `grap` while clients write to it, restored beside it,
//! opened by a second server, and compared with a record kept outside of both: every node, relationship,
//! property, label and index, at exactly the backup's transaction. Then somebody deletes everything, and the
//! archive leads back to the transaction before.
//!
//! Exit status 0 only when nothing differs. `--spoil` changes one node of the restored database before it is
//! compared, to show that this is noticed.

mod guard;
mod mistake;
mod screen;
mod shell;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grap_testkit::error::{Error, Result};
use grap_testkit::graph::Graph;
use grap_testkit::logs::Markers;
use grap_testkit::oracle::Oracle;
use grap_testkit::workload::Indexes;
use grap_testkit::{
    Distribution, Server, Verdict, Workload, WorkloadOptions, admin, judge_server, program, tree,
};
use screen::{Finding, number};
use shell::{Background, Shell};

const WRITERS: u8 = 4;
/// So many transactions come before the backup, or so long is waited for them.
const WARM_UP: (usize, Duration) = (1000, Duration::from_secs(10));
/// The stores are read so slowly that they last so long; with logs, and files that changed and are read
/// again, a copy lasts about three times as long. Several checkpoints fall into it.
const COPY_SECONDS: u64 = 4;

fn main() -> ExitCode {
    let spoil = std::env::args().any(|argument| argument == "--spoil");
    match guard::guarded(move || tell(spoil)) {
        Ok(guard::End::Told(Ok(true))) => ExitCode::SUCCESS,
        Ok(guard::End::Told(Ok(false)) | guard::End::Panicked) => ExitCode::FAILURE,
        Ok(guard::End::Told(Err(error))) => {
            screen::say(&format!("the demo failed: {error}"));
            ExitCode::FAILURE
        }
        Ok(guard::End::Interrupted) => {
            screen::say("interrupted; the servers are stopped and the demo's files are removed");
            ExitCode::from(130)
        }
        Err(error) => {
            screen::say(&format!("the demo cannot begin: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// The whole story; whether everything was as it should be.
fn tell(spoil: bool) -> Result<bool> {
    let begun = Instant::now();
    screen::title("Grap: hot backup of a running Neo4j Community, restored and proved");
    let folder = tempfile::Builder::new()
        .prefix("grap-demo-")
        .tempdir()
        .map_err(Error::file("create", "a temporary folder"))?;

    let distribution = fetch()?;
    let live = start(&distribution, folder.path())?;
    let workload = write(&live)?;
    let (shell, archiver) = archive(folder.path())?;
    let taken = back_up(&shell, &live, &workload)?;
    restore(&shell, &taken.id)?;
    let second = open_beside(&distribution, folder.path())?;
    let (oracle, acknowledged) = stop_writers(workload)?;
    if spoil {
        spoil_one_node(&second)?;
    }
    let exact = judge(&distribution, &taken, &oracle, &live, second)?;
    let undone = mistake::undo(&distribution, &oracle, &live, (&shell, archiver), folder.path())?;
    screen::say(&format!(
        "{} transactions were acknowledged in all; this took {} s.",
        number(acknowledged as u64),
        begun.elapsed().as_secs()
    ));
    Ok(exact && undone)
}

fn fetch() -> Result<Distribution> {
    let version = grap_testkit::install::DEFAULT_VERSION;
    screen::step(1, &format!("A real Neo4j Community {version}"));
    if !Distribution::is_installed(version) {
        screen::say(
            "It is fetched by Maven and started once, to make later starts quick (a minute, the first time only) ...",
        );
    }
    let distribution = Distribution::ensure(version)?;
    screen::say(&format!("ready, on Java {}", distribution.java().feature));
    Ok(distribution)
}

fn start(distribution: &Distribution, folder: &Path) -> Result<Server> {
    screen::step(2, "Start it, with clients that write all the time");
    let server = Server::builder(distribution).busy_logs().start(&folder.join("server"))?;
    screen::say(&format!("{} is up (checkpoint every second, log files of 256 KiB)", server.bolt_uri()));
    Ok(server)
}

/// Writers at work, and something to back up.
fn write(live: &Server) -> Result<Workload> {
    let options = WorkloadOptions {
        writers: WRITERS,
        nodes_per_writer: 3000,
        operations_per_second: Some(3000.0),
        indexes: Indexes::Trees,
        ..WorkloadOptions::default()
    };
    let workload = Workload::start(live, options)?;
    screen::say(&format!(
        "{WRITERS} writers create, change, connect and delete; what each transaction means to do is noted outside of the database"
    ));
    let begun = Instant::now();
    while workload.stats().transactions < WARM_UP.0 && begun.elapsed() < WARM_UP.1 {
        std::thread::sleep(Duration::from_secs(2));
        screen::aside(&pace(&workload));
    }
    Ok(workload)
}

fn pace(workload: &Workload) -> String {
    let lap = workload.lap();
    format!(
        "writers: {} transactions committed, {:.0} a second, 99 of 100 within {} ms",
        number(workload.stats().transactions as u64),
        lap.transactions_per_second(),
        lap.p99.as_millis()
    )
}

/// What is known when a backup begins.
struct Before {
    /// Acknowledged: the backup must hold it.
    acknowledged: u64,
    transactions: usize,
    checkpoints: usize,
}

/// What a backup says of itself, and what went on meanwhile.
struct Taken {
    before: Before,
    id: String,
    tx_id: u64,
    transactions_meanwhile: usize,
    checkpoints_meanwhile: usize,
}

fn archive(folder: &Path) -> Result<(Shell, Background)> {
    screen::step(3, "Keep every transaction from now on");
    let password = folder.join("password");
    std::fs::write(&password, "correct horse battery staple\n").map_err(Error::file("write", &password))?;
    let mut shell = Shell::open(folder)?;
    shell.export(&[
        ("GRAP_REPO", "backups"),
        ("GRAP_PASSWORD_FILE", "password"),
        ("GRAP_STATE_DIR", "state"),
    ]);
    shell.grap("init", || {})?;
    let archiver = shell.background("archive --neo4j-home server", "archive.log")?;
    Ok((shell, archiver))
}

fn back_up(shell: &Shell, live: &Server, workload: &Workload) -> Result<Taken> {
    screen::step(4, "Back it up while they write");
    let markers = workload.oracle().markers(&[&live.transaction_logs()])?;
    let before = Before {
        acknowledged: workload.oracle().acknowledged_up_to(&markers),
        transactions: workload.stats().transactions,
        checkpoints: checkpoints(live),
    };
    let limit = tree::size(&live.data().join("databases"))? / 1024 / COPY_SECONDS;
    workload.lap();
    let writers = || screen::aside(&pace(workload));
    shell.grap(&format!("backup --neo4j-home server --read-limit {limit}KiB --tag demo"), writers)?;
    let transactions_meanwhile = workload.stats().transactions - before.transactions;
    let checkpoints_meanwhile = checkpoints(live) - before.checkpoints;
    screen::say("");
    screen::say(&format!(
        "Meanwhile {} transactions were committed and the server made {checkpoints_meanwhile} checkpoints; it was never stopped, paused or asked.",
        number(transactions_meanwhile as u64)
    ));
    let report = shell.json("show latest")?;
    let odd = || Error::Program { arguments: "show latest".to_owned(), said: report.to_string() };
    let tx_id = program::tx_id(&report, "neo4j").ok_or_else(odd)?;
    let id = report["id"].as_str().ok_or_else(odd)?.to_owned();
    Ok(Taken { before, id, tx_id, transactions_meanwhile, checkpoints_meanwhile })
}

/// How many checkpoints the server has made, as its own log says.
fn checkpoints(server: &Server) -> usize {
    let log = std::fs::read(server.home().join("logs/debug.log")).unwrap_or_default();
    String::from_utf8_lossy(&log).matches("checkpoint completed").count()
}

/// By its id: `latest` would go on to the end of what is archived meanwhile.
fn restore(shell: &Shell, id: &str) -> Result<()> {
    screen::step(5, "Restore it beside the running server");
    shell.grap("list", || {})?;
    shell.grap("verify --read-data", || {})?;
    shell.grap(&format!("restore {id} --to restored"), || {})
}

fn open_beside(distribution: &Distribution, folder: &Path) -> Result<Server> {
    screen::step(6, "Open what was restored in a second Neo4j");
    let second = Server::open_restored(distribution, &folder.join("restored"), &folder.join("second"))?;
    screen::say(&format!("{} is up, on the restored directory", second.bolt_uri()));
    Ok(second)
}

/// From here on the log is final.
fn stop_writers(workload: Workload) -> Result<(Arc<Oracle>, usize)> {
    let (oracle, stats) = workload.stop()?;
    screen::say(&format!(
        "Only now the writers of the first one stop, after {} transactions.",
        number(stats.transactions as u64)
    ));
    Ok((oracle, stats.transactions))
}

fn spoil_one_node(second: &Server) -> Result<()> {
    screen::say(
        "--spoil: one property of one node of the restored database is changed, without telling anyone.",
    );
    second.query("MATCH (n:A) WITH n LIMIT 1 SET n.i = 20250101").map(drop)
}

/// Ask the second server everything, stop it, and let Neo4j's own checker look at its files.
fn judge(
    distribution: &Distribution,
    taken: &Taken,
    oracle: &Oracle,
    live: &Server,
    mut second: Server,
) -> Result<bool> {
    screen::step(7, "Compare it with what the writers meant, at exactly the backup's transaction");
    let markers = oracle.markers(&[&live.transaction_logs()])?;
    let expected = oracle.expected_at(taken.tx_id, &markers);
    let mut details = oracle.contradictions(&markers);
    let verdict = judge_server(&second, &expected)?;
    details.extend(verdict.problems.iter().cloned());
    let mut findings = vec![taken.meanwhile(), taken.holds_what_was_acknowledged()];
    findings.extend(compared(&expected, &verdict, taken.tx_id));
    findings.push(told_apart(oracle, &markers, taken.tx_id, &expected));
    findings.push(writes(&second)?);
    second.stop()?;
    screen::say("The second server is stopped; `neo4j-admin database check` reads its files ...");
    let data = second.data();
    let check = admin::check(distribution, &data)?;
    details.extend(check.complaints());
    findings.push(Finding {
        what: "neo4j-admin database check".into(),
        found: if check.is_clean() {
            "no inconsistency".into()
        } else {
            format!("exit status {}", check.code)
        },
        ok: check.is_clean(),
    });
    screen::say("");
    Ok(screen::verdict(&findings, &details, "The backup of a running, busy database is exact."))
}

impl Taken {
    /// A backup of an idle database would prove nothing.
    fn meanwhile(&self) -> Finding {
        let (transactions, checkpoints) = (self.transactions_meanwhile, self.checkpoints_meanwhile);
        Finding {
            what: "went on during the backup".into(),
            found: format!("{} transactions, {checkpoints} checkpoints", number(transactions as u64)),
            ok: transactions > 0 && checkpoints > 1,
        }
    }

    fn holds_what_was_acknowledged(&self) -> Finding {
        let (end, acknowledged) = (self.tx_id, self.before.acknowledged);
        Finding {
            what: "acknowledged before it began".into(),
            found: format!("up to transaction {acknowledged}; the backup reaches {end}"),
            ok: end >= acknowledged,
        }
    }
}

fn compared(expected: &Graph, verdict: &Verdict, tx_id: u64) -> Vec<Finding> {
    let count = |what: &str, expected: usize, found: u64| Finding {
        what: format!("{what} at transaction {tx_id}"),
        found: format!("{} expected, {} found", number(expected as u64), number(found)),
        ok: expected as u64 == found,
    };
    let online = verdict.report.indexes.iter().filter(|index| index.state == "ONLINE").count();
    let indexes = verdict.report.indexes.len();
    let nodes = expected.nodes.values().map(|node| node.properties.len() + node.labels.len());
    let relationships = expected.relationships.values().map(|relationship| relationship.properties.len());
    let values = nodes.chain(relationships).sum::<usize>();
    vec![
        count("nodes", expected.nodes.len(), verdict.report.nodes),
        count("relationships", expected.relationships.len(), verdict.report.relationships),
        Finding {
            what: "every label and property".into(),
            found: format!("{} compared, {} differences", number(values as u64), verdict.problems.len()),
            ok: verdict.is_clean(),
        },
        Finding {
            what: "indexes".into(),
            found: format!("{online} of {indexes} online"),
            ok: online == indexes && indexes > 0,
        },
    ]
}

/// The comparison is worth something only if it tells a transaction from the one before it.
fn told_apart(oracle: &Oracle, markers: &Markers, tx_id: u64, expected: &Graph) -> Finding {
    let ids = markers.ids();
    let before = ids.iter().rev().find(|id| **id < tx_id).copied().unwrap_or(0);
    let end = ids.iter().rev().find(|id| **id <= tx_id).copied().unwrap_or(0);
    let earlier = oracle.expected_at(before.min(end.saturating_sub(1)), markers);
    let differences = earlier.differences(expected, 1000).len();
    Finding {
        what: "one transaction less would show".into(),
        found: format!("{differences} differences"),
        ok: differences > 0,
    }
}

fn writes(second: &Server) -> Result<Finding> {
    second.query("CREATE (:Demo {said: 'written after the restore'})")?;
    let rows = second.query("MATCH (d:Demo) RETURN count(d)")?;
    let ok = rows.first().and_then(|row| row.int(0)) == Some(1);
    Ok(Finding {
        what: "a new write".into(),
        found: if ok { "works".into() } else { "was not found again".into() },
        ok,
    })
}
