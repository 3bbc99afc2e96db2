//! Indexes and constraints that come and go while others write.
//!
//! A schema command cannot carry a marker. So the thread commits a marker transaction of its own before and
//! after each command: between the two ids the object is in flux, outside of them its presence is known.

use std::thread;
use std::time::Duration;

use super::Context;
use super::client::{Client, Fate};
use super::key::{Marker, SCHEMA};
use crate::error::{Error, Result};

/// Each schema change makes the server plan every statement anew: more often than this and it does little
/// else.
const PAUSE: Duration = Duration::from_secs(1);
const KINDS: [(&str, &str); 7] = [
    ("INDEX", "CREATE RANGE INDEX $ FOR (n:A) ON (n.f)"),
    ("CONSTRAINT", "CREATE CONSTRAINT $ FOR (n:D) REQUIRE n.k IS UNIQUE"),
    ("INDEX", "CREATE TEXT INDEX $ FOR (n:B) ON (n.s)"),
    ("INDEX", "CREATE POINT INDEX $ FOR (n:A) ON (n.g2)"),
    ("INDEX", "CREATE FULLTEXT INDEX $ FOR (n:C|D) ON EACH [n.word, n.s]"),
    ("INDEX", "CREATE RANGE INDEX $ FOR (n:C) ON (n.i, n.b)"),
    ("INDEX", "CREATE RANGE INDEX $ FOR ()-[x:OWNS]-() ON (x.s)"),
];

/// Creates and drops schema objects until the workload is stopped; at most two of its own exist at a time.
pub(crate) fn run(context: &Context) -> Result<()> {
    let mut client = Client::new(context, SCHEMA);
    let mut existing: Vec<(&str, String)> = Vec::new();
    for (number, (what, create)) in KINDS.iter().cycle().enumerate() {
        if context.stopped() {
            break;
        }
        let name = format!("churn_{number}");
        if step(context, &mut client, (what, &name), &create.replace('$', &name))? {
            existing.push((what, name));
        }
        thread::sleep(PAUSE);
        if existing.len() > 1 {
            let (what, name) = existing.remove(0);
            if step(context, &mut client, (what, &name), &format!("DROP {what} {name}"))? {
                existing.push((what, name));
            }
        }
    }
    Ok(())
}

/// Runs one schema command between two markers; whether the object exists afterwards. After a deadlock with a
/// writer, or when the server was gone, what is there then is what counts. A constraint whose making the server
/// did not live through has an index that is POPULATING for ever: it is dropped, as an operator would.
fn step(
    context: &Context,
    client: &mut Client<'_>,
    (what, name): (&str, &str),
    statement: &str,
) -> Result<bool> {
    let creates = !statement.starts_with("DROP");
    // Nothing is sent behind the end of the workload: the object is not in flux.
    let before @ Some(_) = mark(context, client)? else { return Ok(!creates) };
    let step = context.oracle.schema_begun(name, statement, before);
    loop {
        let ran = client.bolt().run(statement);
        if let Err(error) = &ran
            && is_defect(error)
        {
            return ran.map(|_| creates);
        }
        let Some(exists) = exists(context, client, (what, name)) else { return Ok(creates) };
        if exists == creates {
            if let Some(after) = mark(context, client)? {
                context.oracle.schema_done(step, after, exists);
            }
            return Ok(exists);
        }
        if creates && what == "CONSTRAINT" {
            // If the server is gone again, the next round tries it again.
            let _ = client.bolt().run(&format!("DROP INDEX {name} IF EXISTS"));
        }
    }
}

fn mark(context: &Context, client: &mut Client<'_>) -> Result<Option<Marker>> {
    while !context.stopped() {
        if let Fate::Committed(marker) = client.commit(Vec::new())? {
            return Ok(Some(marker));
        }
    }
    Ok(None)
}

/// `None`: the workload ended before there was an answer.
fn exists(context: &Context, client: &mut Client<'_>, (what, name): (&str, &str)) -> Option<bool> {
    let all = if what == "CONSTRAINT" { "CONSTRAINTS" } else { "INDEXES" };
    let question = format!("SHOW {all} YIELD name WHERE name = '{name}' RETURN name");
    while !context.stopped() {
        match client.bolt().run(&question) {
            Ok(rows) => return Some(!rows.is_empty()),
            Err(_) => client.await_server(),
        }
    }
    None
}

fn is_defect(error: &Error) -> bool {
    match error {
        Error::Bolt { source, .. } => match source.as_ref() {
            neo4j::Neo4jError::ServerError { error, .. } => error.code().contains("ClientError.Statement"),
            _ => false,
        },
        _ => true,
    }
}
