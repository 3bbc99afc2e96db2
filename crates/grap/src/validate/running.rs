//! The tiers that are a few questions to the running instance. Nobody else is at it: what is asked twice is the same.

use std::collections::BTreeMap;
use std::time::Duration;

use grap_bolt::Error as BoltError;

use super::end::{End, look_at_end};
use super::seen::{Blind, Seen};
use super::{Expectation, Session};
use crate::ask::{Count, Counts, EndpointsSeen};
use crate::server::{ServerError, TestInstance};

/// Things of one kind that are named.
const NAMED: usize = 100;
/// What of the limit is left for a sample, when a look at everything did not end.
const SAMPLE_SHARE: u32 = 4;

type Result = std::result::Result<Seen, Blind>;

/// Every database is ONLINE; the newest transaction is the promised one.
pub(super) fn connectivity(instance: &TestInstance, expectation: &Expectation, limit: Duration) -> Result {
    let mut asker = instance.asker(limit)?;
    let databases = asker.databases()?;
    let mut wrong: Vec<String> = databases
        .iter()
        .filter(|database| database.status != "online")
        .map(|database| format!("database `{}` is {} {}", database.name, database.status, database.message))
        .collect();
    if databases.iter().all(|database| database.name != expectation.database) {
        wrong.push(format!("there is no database `{}`", expectation.database));
    }
    let found = asker.newest_transaction()?;
    let (release, promised) = (instance.release(), expectation.end.0);
    let mut remarks = Vec::new();
    match look_at_end(expectation.end, found, &expectation.server_min, release) {
        End::AsPromised => {}
        End::Upgraded(own) => remarks.push(format!(
            "Neo4j {release} has upgraded the store: {own} transactions of its own behind {promised}"
        )),
        End::Other => {
            let database = expectation.database.clone();
            wrong.push(ServerError::WrongEnd { database, promised, found }.to_string());
        }
    }
    let message =
        format!("{}: {} databases; the newest transaction is {found}", asker.agent(), databases.len());
    Ok(Seen { message, wrong, remarks, ..Seen::default() })
}

/// Relationships end at nodes that are there. All of them are looked at, where there is time for it.
pub(super) fn orphans(instance: &TestInstance, limit: Duration, session: &Session<'_>) -> Result {
    let until = session.clock.since_boot() + limit;
    let whole = instance.asker(limit.saturating_sub(limit / SAMPLE_SHARE))?.all_endpoints();
    let seen = match whole {
        Err(BoltError::Timeout { .. }) => {
            let left = until.saturating_sub(session.clock.since_boot());
            instance.asker(left)?.endpoints(left / 2, session.clock, session.stop)?
        }
        other => other?,
    };
    let EndpointsSeen { relationships, seen, whole, dangling } = seen;
    if seen == 0 && relationships > 0 {
        return Ok(Seen::skipped(format!(
            "none of {relationships} relationships was met in time; tier store reads them"
        )));
    }
    let how = if whole { "all of them" } else { "a sample: there was no time for more" };
    let mut wrong: Vec<String> = dangling.iter().take(NAMED).map(ToString::to_string).collect();
    if dangling.len() > NAMED {
        wrong.push(format!("and {} more", dangling.len() - NAMED));
    }
    let message = format!("the ends of {seen} relationships ({how}; {relationships} are counted)");
    Ok(Seen { message, wrong, ..Seen::default() })
}

/// What the counts store says, against what a scan of all records counts.
pub(super) fn counts(instance: &TestInstance, limit: Duration) -> Result {
    let mut asker = instance.asker(limit)?;
    let both = asker.counts().and_then(|counted| Ok((counted, asker.counts_by_scan()?)));
    let (counted, scanned) = match both {
        Err(BoltError::Timeout { .. }) => {
            let why =
                format!("no scan of all records ended within {} s; tier store counts them", limit.as_secs());
            return Ok(Seen::skipped(why));
        }
        both => both?,
    };
    let message = format!("{} nodes, {} relationships", scanned.nodes, scanned.relationships);
    Ok(Seen { message, wrong: differences(&counted, &scanned), ..Seen::default() })
}

fn differences(counted: &Counts, scanned: &Counts) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: String, counted: i64, scanned: i64| {
        if counted != scanned {
            wrong.push(format!("{what}: the counts store says {counted}, a scan finds {scanned}"));
        }
    };
    compare("nodes".to_owned(), counted.nodes, scanned.nodes);
    compare("relationships".to_owned(), counted.relationships, scanned.relationships);
    let lists = [
        ("nodes with label", &counted.labels, &scanned.labels),
        ("relationships of type", &counted.types, &scanned.types),
    ];
    for (what, counted, scanned) in lists {
        for (name, [counted, scanned]) in by_name(counted, scanned) {
            compare(format!("{what} `{name}`"), counted, scanned);
        }
    }
    wrong
}

/// What is in one list only is there 0 times in the other.
fn by_name<'a>(counted: &'a [Count], scanned: &'a [Count]) -> BTreeMap<&'a str, [i64; 2]> {
    let mut both: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    for (side, counts) in [counted, scanned].into_iter().enumerate() {
        for count in counts {
            both.entry(&count.name).or_default()[side] += count.count;
        }
    }
    both
}

/// The operator's own checks: each row is something that is wrong.
pub(super) fn custom(instance: &TestInstance, expectation: &Expectation, limit: Duration) -> Result {
    if expectation.checks.is_empty() {
        return Ok(Seen::skipped("there are none"));
    }
    let mut wrong = Vec::new();
    let mut asker = instance.asker(limit)?;
    for check in &expectation.checks {
        match asker.rows(&check.statement, NAMED) {
            Ok(rows) => wrong.extend(rows.iter().map(|row| format!("{}: {row}", check.name))),
            // The statement is wrong, or had no time: the others are asked all the same, as far as they can be.
            Err(error) => wrong.push(format!("{}: {}", check.name, crate::in_one_line(&error))),
        }
    }
    Ok(Seen { message: format!("{} checks", expectation.checks.len()), wrong, ..Seen::default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_count_that_differs_is_named() {
        let count = |name: &str, count| Count { name: name.to_owned(), count };
        let counted = Counts {
            nodes: 5,
            relationships: 3,
            labels: vec![count("A", 2), count("B", 1)],
            types: vec![count("T", 3)],
        };
        assert!(differences(&counted, &counted).is_empty());
        let scanned = Counts {
            nodes: 4,
            relationships: 3,
            labels: vec![count("A", 2), count("C", 1)],
            types: vec![count("T", 3)],
        };
        assert_eq!(
            differences(&counted, &scanned),
            [
                "nodes: the counts store says 5, a scan finds 4",
                "nodes with label `B`: the counts store says 1, a scan finds 0",
                "nodes with label `C`: the counts store says 0, a scan finds 1",
            ]
        );
        // A label that nothing has any more is known to the server still.
        let unused = Counts { labels: vec![count("D", 0)], ..Counts::default() };
        assert!(differences(&unused, &Counts::default()).is_empty());
    }
}
