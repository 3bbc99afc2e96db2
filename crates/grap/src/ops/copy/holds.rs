//! Holds travel, and so do their releases: what somebody said must stay stays in both. They are put before the
//! backups, so that no `expire` there finds one without.
//!
//! A hold has another number there; it is known by who holds it, why, and since when. One that was released there
//! alone is not put again.

use super::{CopyReport, Pair, Standings};
use crate::catalog::{Backup, Catalog};
use crate::error::{Error, Result};
use crate::notes::{self, Author, Hold, NoteKind, Standing};
use crate::ops::Session;

pub(super) fn carry(
    pair: &Pair,
    catalog: &Catalog,
    standings: &Standings,
    session: &Session<'_>,
    report: &mut CopyReport,
) -> Result<()> {
    for (backup, (here, there)) in catalog.backups.iter().zip(standings.here.iter().zip(&standings.there)) {
        session.stop.check()?;
        if let Some(doubt) = here.doubt() {
            report.problems.push(format!("backup {}: {doubt}", backup.id));
        }
        carry_of(pair, backup, (here, there), session)?;
    }
    Ok(())
}

fn carry_of(
    pair: &Pair,
    backup: &Backup,
    (here, there): (&Standing, &Standing),
    session: &Session<'_>,
) -> Result<()> {
    let author = session.author();
    let put = |author: &Author, kind: &dyn Fn(u64) -> NoteKind| {
        notes::put(&pair.to, &backup.source, &backup.id, author, kind).map_err(Error::at_copy)
    };
    for Hold { holder, reason, since, .. } in here.holds.iter().filter(|hold| !there.knows(hold)) {
        let held = |hold| NoteKind::Held { hold, holder: holder.clone(), reason: reason.clone() };
        put(&Author { at: *since, ..author.clone() }, &held)?;
    }
    for hold in &here.released {
        for other in there.holds.iter().filter(|other| is_same(hold, other)) {
            put(&author, &|_| NoteKind::Released { hold: other.hold })?;
        }
    }
    Ok(())
}

impl Standing {
    /// Whether it was held by that once, released or not.
    fn knows(&self, hold: &Hold) -> bool {
        self.holds.iter().chain(&self.released).any(|other| is_same(hold, other))
    }
}

fn is_same(hold: &Hold, other: &Hold) -> bool {
    (&hold.holder, &hold.reason, hold.since) == (&other.holder, &other.reason, other.since)
}
