//! A healthy server is called healthy, whatever goes on in it: writers at work, nodes that go with their relationships,
//! indexes and constraints that come and go all the time. Each alarm is a false one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::Asking;
use crate::error::{Error, Result};
use crate::pitr::{Spread, Tell, require};
use crate::{Server, Workload, WorkloadOptions};

/// What stays while everything else comes and goes: the workload makes it before its first write.
const DECLARED: &str = "CREATE CONSTRAINT n_k FOR (n:N) REQUIRE n.k IS UNIQUE;
CREATE INDEX a_i FOR (n:A) ON (n.i);
CREATE RANGE INDEX FOR (n:B) ON (n.s, n.i);
CREATE POINT INDEX b_p2 FOR (n:B) ON (n.p2);
CREATE INDEX link_w FOR ()-[x:LINK]-() ON (x.w);
CREATE TEXT INDEX a_s FOR (n:A) ON (n.s);
CREATE FULLTEXT INDEX words FOR (n:A|B) ON EACH [n.word];
";

/// What comes and goes beside what the workload itself makes and drops, as fast as the server takes it. On a label of its
/// own: where a schema command waits for a label that every statement of the writers locks when it is planned, the server
/// (2026.08.1 and 5.26.30) can lock them against each other for good, and sees no deadlock.
const FLEETING: [(&str, &str); 4] = [
    ("CREATE CONSTRAINT fleeting_c FOR (n:Fleeting) REQUIRE n.k IS UNIQUE", "DROP CONSTRAINT fleeting_c"),
    ("CREATE RANGE INDEX fleeting_r FOR (n:Fleeting) ON (n.k, n.s)", "DROP INDEX fleeting_r"),
    ("CREATE TEXT INDEX fleeting_t FOR (n:Fleeting) ON (n.s)", "DROP INDEX fleeting_t"),
    ("CREATE FULLTEXT INDEX fleeting_f FOR (n:Fleeting) ON EACH [n.s]", "DROP INDEX fleeting_f"),
];
const FLEETING_NODES: &str = "UNWIND range(1, 2000) AS i CREATE (:Fleeting {k: i, s: 'text ' + i})";

/// Asks `checks` times: in turn without a schema, with a declared one, and with counts.
pub fn churn(asking: &Asking, server: &Server, checks: usize, tell: Tell<'_>) -> Result<String> {
    let file = tempfile::NamedTempFile::new().map_err(Error::file("create", "a temporary file"))?;
    std::fs::write(file.path(), DECLARED).map_err(Error::file("write", file.path()))?;
    let schema = file.path().display().to_string();
    let workload =
        Workload::start(server, WorkloadOptions { schema_churn: true, ..WorkloadOptions::default() })?;
    server.query(FLEETING_NODES)?;
    let over = AtomicBool::new(false);
    let (asked, changes) = thread::scope(|scope| {
        let changing = scope.spawn(|| change_the_schema(server, &over));
        let asked = ask(asking, &schema, checks, tell);
        over.store(true, Ordering::Relaxed);
        let changes = changing.join().map_err(|_| Error::Workload("the schema's thread panicked".into()))?;
        asked.map(|asked| (asked, changes))
    })?;
    let (_, stats) = workload.stop()?;
    let Asked { alarms, uncounted, took } = asked;
    require(alarms.is_empty(), || format!("{} of {checks} checks: {}", alarms.len(), alarms.join("\n")))?;
    require(changes > 0 && stats.transactions > 0, || "nothing went on".to_owned())?;
    Ok(format!(
        "churn: {checks} checks of a healthy Neo4j {}, no false alarm, while {} transactions and {changes} changes of the schema (beside those of the workload) were made; {uncounted} without counts in time; a call took {}",
        server.distribution().version(),
        stats.transactions,
        Spread::of(took),
    ))
}

/// What the calls came to.
#[derive(Default)]
struct Asked {
    alarms: Vec<String>,
    /// Healthy, but the counts were not there in time: no alarm, and told.
    uncounted: usize,
    took: Vec<Duration>,
}

fn ask(asking: &Asking, schema: &str, checks: usize, tell: Tell<'_>) -> Result<Asked> {
    let ways: [&[&str]; 3] = [&[], &["--schema", schema], &["--schema", schema, "--detailed"]];
    let mut asked = Asked::default();
    for number in 0..checks {
        let answer = asking.ask(ways[number % ways.len()])?;
        asked.took.push(answer.took);
        asked.uncounted += usize::from(!answer.report["counts_error"].is_null());
        if !answer.is_healthy() {
            tell(&format!("check {number}: {}", answer.said));
            asked.alarms.push(format!("check {number} after {:?}: {}", answer.took, answer.said));
        }
    }
    Ok(asked)
}

/// Until it is over; how many changes were made. One that meets a deadlock made none.
fn change_the_schema(server: &Server, over: &AtomicBool) -> usize {
    let bolt = server.bolt();
    let mut changes = 0;
    for (create, drop) in FLEETING.iter().cycle() {
        for statement in [create, drop] {
            if over.load(Ordering::Relaxed) {
                return changes;
            }
            changes += usize::from(bolt.run(statement).is_ok());
            thread::sleep(Duration::from_millis(100));
        }
    }
    changes
}
