//! The file system of the server is full, and writers go on until they cannot. Whatever the server makes of it, an answer
//! comes within the limits, and it is not "healthy" when the database takes no transaction any more. Needs root, for the mount.

use std::time::Duration;

use super::{Answer, Asking};
use crate::error::{Error, Result};
use crate::pitr::outage::Small;
use crate::pitr::{Tell, eventually, require};
use crate::serve::full::Ballast;
use crate::{Distribution, Grap, Server};

const MIB: u32 = 160;

pub fn full(grap: &Grap, distribution: &Distribution, tell: Tell<'_>) -> Result<String> {
    let ground = tempfile::tempdir().map_err(Error::file("create", "a temporary folder"))?;
    let Some(small) = Small::mount(ground.path(), MIB)? else {
        return Ok("full: SKIPPED: a small file system can be mounted by root only".into());
    };
    let home = ground.path().join("home");
    let mut server = Server::builder(distribution).password("right-password").start(&home)?;
    let asking = Asking::of(grap, &server);
    server.query("UNWIND range(1, 200) AS i CREATE (:Before {i: i})-[:NEXT]->(:Before)")?;
    told("before", &asking.ask(&[])?, true, tell)?;

    let ballast = Ballast::fill(ground.path(), 10)?;
    ballast.rest()?;
    let refused = write_until_refused(&server)?;
    let answer = asking.ask(&["--detailed"])?;
    // The server's own word on whether the database can be used is the truth that the answer is measured by.
    let usable = server.query("MATCH (n:Before) RETURN count(n)").is_ok();
    told("full", &answer, usable, tell)?;
    let said = if usable {
        "it is still readable, and called healthy".to_owned()
    } else {
        format!("it takes no transaction any more, told with {}", answer.code.clone().unwrap_or_default())
    };

    ballast.remove()?;
    server.kill()?;
    server.restart()?;
    told("after a restart with room", &asking.ask(&[])?, true, tell)?;
    drop(server);
    drop(small);
    Ok(format!(
        "full: Neo4j {} on a full file system of {MIB} MiB: writers refused ({refused}); {said}; answered in {:.1} s; healthy again after room was made and it was started anew",
        distribution.version(),
        answer.took.as_secs_f64()
    ))
}

fn told(when: &str, answer: &Answer, usable: bool, tell: Tell<'_>) -> Result<()> {
    tell(&format!("full, {when}: status {}, {:?}: {}", answer.status, answer.took, answer.said.trim()));
    for (check, seconds) in [("connectivity", 5), ("schema_consistency", 10), ("orphan_detection", 30)] {
        answer.require_within(when, check, Duration::from_secs(seconds))?;
    }
    require(answer.is_healthy() == usable, || format!("{when}: usable is {usable}: {}", answer.said))
}

/// The first refusal, in the server's words.
fn write_until_refused(server: &Server) -> Result<String> {
    let bolt = server.bolt();
    eventually("a refused write", Duration::from_mins(2), || {
        let written = bolt.run("UNWIND range(1, 300) AS i CREATE (:Filler {text: toString(i) + reduce(s = 'x', k IN range(1, 10) | s + s)})");
        Ok(written.err().map(|error| error.to_string().lines().next().unwrap_or_default().to_owned()))
    })
}
