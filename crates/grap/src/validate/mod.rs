//! Is a candidate what it should be? The tiers of a validation, one function each; the machine of the recovery
//! ([`crate::recovery`]) decides which is asked next.
//!
//! - While the test instance runs ([`judge`]): connectivity, schema, orphans, counts, the operator's own checks.
//! - When it has stopped cleanly ([`check_store`]): the native checker, then the server's own.
//! - At the end ([`record`]): what was found goes beside the backup.
//!
//! A tier gives an [`Answer`] and keeps all that it found, with the objects named. That the candidate could not be asked,
//! because its server is gone or silent, is an answer, too: nobody calls such a candidate good. An error is only what says nothing
//! about it: a stop that was asked for, a local file that cannot be written.

mod end;
mod running;
mod schema;
mod seen;
mod store;

use std::path::PathBuf;
use std::time::Duration;

use grap_core::recovery::{Recovery, Tier};
use grap_core::schema::SchemaFile;
use grap_neo4j::TxId;
use grap_repository::Repository;

pub use end::{End, look_at_end};
pub(crate) use schema::not_shown;
use seen::{Seen, answer};

use crate::error::{Code, Result};
use crate::notes::{Validation, put_validation};
use crate::ops::{CustomCheck, Session};
use crate::recovery::Answer;
use crate::server::{InstanceHome, ServerError, TestInstance};

/// What a candidate is judged by.
#[derive(Debug, Clone)]
pub struct Expectation {
    pub database: String,
    /// Its last transaction.
    pub end: TxId,
    /// The oldest release that reads what is in it.
    pub server_min: String,
    /// What the operator declared the schema to be.
    pub declared: Option<SchemaFile>,
    /// The data directory that holds the restored `system`, where there is one.
    pub system: Option<PathBuf>,
    /// The operator's own.
    pub checks: Vec<CustomCheck>,
}

/// Ask the running instance; it answers within `limit`.
pub fn judge(
    tier: Tier,
    instance: &mut TestInstance,
    expectation: &Expectation,
    limit: Duration,
    session: &Session<'_>,
) -> Result<Answer> {
    let seen = match tier {
        Tier::Connectivity => running::connectivity(instance, expectation, limit),
        Tier::Schema => schema::schema(instance, expectation, limit, session),
        Tier::Orphans => running::orphans(instance, limit, session),
        Tier::Counts => running::counts(instance, limit),
        Tier::Custom => running::custom(instance, expectation, limit),
        Tier::Store => Ok(Seen::skipped("the candidate runs")),
    };
    session.stop.check()?;
    let ended = match &seen {
        Ok(_) => instance.ended(),
        Err(blind) => instance.ended_behind(blind.bolt()),
    };
    answer(tier, seen, ended)
}

/// Read the cleanly stopped candidate that is the database of this home.
pub fn check_store(
    home: &InstanceHome,
    expectation: &Expectation,
    limit: Duration,
    session: &Session<'_>,
) -> Result<Answer> {
    let seen = store::store(home, expectation, limit, session);
    session.stop.check()?;
    answer(Tier::Store, seen, None)
}

/// What a start that failed says about the candidate: `None` where it says nothing, because there was nothing to start,
/// or nothing to start it with.
pub fn refused(error: &ServerError) -> Option<Answer> {
    let code = match error {
        ServerError::Refused { .. } => Code::RestoreHealthFailed,
        ServerError::Died { .. } => Code::InstanceDied,
        ServerError::Ended { .. } | ServerError::NotReady { .. } => Code::InstanceFailed,
        _ => return None,
    };
    Some(seen::failed(code, crate::in_one_line(error)))
}

/// Put what the validation of this recovery found beside its backup: once, however often it is called. Nothing is put where no tier has judged it to its end.
pub fn record(repository: &Repository, recovery: &Recovery, session: &Session<'_>) -> Result<()> {
    let Some(validation) = Validation::of(recovery) else { return Ok(()) };
    let plan = &recovery.plan;
    put_validation(repository, &plan.source, &plan.backup, &session.author(), &validation)?;
    Ok(())
}
