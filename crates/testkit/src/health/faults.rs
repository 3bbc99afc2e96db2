//! What can be wrong with a real server, planted one after another; each is told by the right check, with the object named
//! and the right code, and is over when it was mended.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{Answer, Asking};
use crate::error::{Error, Result};
use crate::pitr::{eventually, require};
use crate::{Server, Workload, WorkloadOptions};

const CONNECTIVITY: &str = "connectivity";
const SCHEMA: &str = "schema_consistency";
const CONNECTIVITY_LIMIT: Duration = Duration::from_secs(5);

/// Without a file that declares it, a FAILED index is a fault: nobody wants one. Too long a value makes one.
pub fn failed_index(asking: &Asking, server: &Server) -> Result<()> {
    server.query("CREATE (:Long {text: reduce(s = 'x', i IN range(1, 14) | s + s)})")?;
    server.query("CREATE RANGE INDEX long_text FOR (n:Long) ON (n.text)")?;
    let what = "an index that failed";
    eventually(what, Duration::from_mins(1), || {
        let rows = server.query("SHOW INDEXES YIELD name, state WHERE name = 'long_text' RETURN state")?;
        Ok(rows.iter().any(|row| row.text(0) == "FAILED").then_some(()))
    })?;
    let answer = asking.ask(&[])?;
    answer.require(what, SCHEMA, "UNHEALTHY")?;
    answer.require_word(what, SCHEMA, "long_text")?;
    answer.require_word(what, SCHEMA, "FAILED")?;
    server.query("DROP INDEX long_text")?;
    server.query("MATCH (n:Long) DELETE n")?;
    healthy(what, &asking.ask(&[])?)
}

/// Who guesses is kept out for a while, and so is who knows the password: the server's own words say why.
pub fn locked_account(asking: &Asking) -> Result<()> {
    let what = "an account that is locked";
    let guess = asking.clone().as_user("neo4j/a-wrong-guess");
    for _ in 0..3 {
        let answer = guess.ask(&[])?;
        answer.require(what, CONNECTIVITY, "NEO4J_REFUSED")?;
        require(!answer.said.contains("a-wrong-guess"), || format!("the password is told: {}", answer.said))?;
    }
    let answer = asking.ask(&[])?;
    answer.require(what, CONNECTIVITY, "NEO4J_REFUSED")?;
    answer.require_word(what, CONNECTIVITY, "AuthenticationRateLimit")?;
    // The server keeps it locked for five seconds.
    eventually("the account is open again", Duration::from_mins(1), || {
        std::thread::sleep(Duration::from_secs(1));
        Ok(asking.ask(&[])?.is_healthy().then_some(()))
    })
}

pub fn no_such_database(asking: &Asking) -> Result<()> {
    let what = "a database that is not there";
    let answer = asking.ask(&["--database", "nowhere"])?;
    answer.require(what, CONNECTIVITY, "NEO4J_REFUSED")?;
    answer.require_word(what, CONNECTIVITY, "nowhere")
}

/// SIGSTOP while writers write: the kernel still takes connections for it.
pub fn hung(asking: &Asking, server: &Server) -> Result<Duration> {
    let what = "a server that hangs";
    let workload =
        Workload::start(server, WorkloadOptions { writers: 2, generation: 9, ..WorkloadOptions::default() })?;
    let pid = server.pid().and_then(|pid| Pid::from_raw(pid.cast_signed()));
    let pid = pid.ok_or_else(|| Error::Claim("the server does not run".into()))?;
    let signal =
        |signal| kill_process(pid, signal).map_err(|error| Error::file("signal", "the server")(error.into()));
    signal(Signal::STOP)?;
    let answer = asking.ask(&[]);
    signal(Signal::CONT)?;
    let answer = answer?;
    answer.require(what, CONNECTIVITY, "NEO4J_UNREACHABLE")?;
    answer.require_within(what, CONNECTIVITY, CONNECTIVITY_LIMIT)?;
    workload.stop()?;
    healthy(what, &asking.ask(&[])?)?;
    Ok(answer.took)
}

fn healthy(what: &str, answer: &Answer) -> Result<()> {
    require(answer.is_healthy(), || format!("{what}, and it is over: {}", answer.said))
}

/// All of them, on a server with a password.
pub fn faults(asking: &Asking, server: &Server) -> Result<String> {
    failed_index(asking, server)?;
    no_such_database(asking)?;
    locked_account(asking)?;
    let hung = hung(asking, server)?;
    Ok(format!(
        "faults: Neo4j {}: a FAILED index, a database that is not there, a wrong password and a locked account were told by the right check; a server stopped under load after {:.1} s",
        server.distribution().version(),
        hung.as_secs_f64()
    ))
}
