//! The second half of the story: somebody deletes everything, and the archive leads back to the transaction
//! before.

use std::path::Path;

use grap_testkit::error::Result;
use grap_testkit::oracle::Oracle;
use grap_testkit::{Distribution, Server, judge_server};

use crate::screen::{self, Finding};
use crate::shell::{Background, Shell};
use crate::{compared, writes};

/// Make the mistake on the live server, restore to the transaction before it, and compare. The backup is older
/// than most of what comes back.
pub(crate) fn undo(
    distribution: &Distribution,
    oracle: &Oracle,
    live: &Server,
    (shell, archiver): (&Shell, Background),
    folder: &Path,
) -> Result<bool> {
    screen::step(8, "A mistake: somebody deletes everything");
    let markers = oracle.markers(&[&live.transaction_logs()])?;
    let last = markers.last();
    live.query("MATCH (n) DETACH DELETE n")?;
    let left = live.query("MATCH (n) RETURN count(n)")?.first().and_then(|row| row.int(0));
    let mistake = last + 1;
    screen::say(&format!(
        "MATCH (n) DETACH DELETE n: {} nodes are left. That was transaction {mistake}.",
        left.unwrap_or(-1)
    ));
    archiver.stop()?;
    shell.grap("window", || {})?;

    screen::step(9, "Go back to the transaction before it");
    shell.grap(&format!("restore before-tx={mistake} --to undone"), || {})?;
    let third = Server::open_restored(distribution, &folder.join("undone"), &folder.join("third"))?;
    let expected = oracle.expected_at(last, &markers);
    let verdict = judge_server(&third, &expected)?;
    let mut findings = vec![Finding {
        what: "nodes after the mistake".into(),
        found: format!("{} in the live database", left.unwrap_or(-1)),
        ok: left == Some(0),
    }];
    findings.extend(compared(&expected, &verdict, last));
    findings.push(writes(&third)?);
    screen::say("");
    let well = "The mistake is undone: every transaction before it is there, and nothing else.";
    Ok(screen::verdict(&findings, &verdict.problems, well))
}
