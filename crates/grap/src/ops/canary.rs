//! `canary`: what an application does, from one end to the other: write, read it back, and find it in the archive.
//!
//! - It writes two nodes `:GrapCanary` and a relationship `:GRAP_CANARY` between them, in one transaction, and removes
//!   them in another, whatever came between. What a run that died left is removed by the next one.
//! - *In the archive* is asked from the outside, as the lag is: the end of the current path has reached the transaction,
//!   and the live log goes on from there. Nothing that an archiver says of itself counts.
//! - Everything that can be missing without a write is looked for before it: who cannot ask the archive writes nothing.

use std::time::Duration;

use grap_bolt::client::Options;
use grap_core::{CheckOutcome, SourceName};
use grap_neo4j::TxId;
use grap_repository::Repository;

use super::Session;
use crate::archive::{Archive, DatabaseLag, LagProbe, Standing};
use crate::ask::Asker;
use crate::error::{Result, in_one_line};
use crate::live::{Installation, InstallationOptions};
use crate::random::random;
use crate::sources;

#[derive(Debug, Clone)]
pub struct CanaryOptions {
    pub connection: Options,
    /// The user's home database by default.
    pub database: Option<String>,
    /// Whose log is archived.
    pub installation: InstallationOptions,
    /// The repository's only one, where it is not named.
    pub source: Option<SourceName>,
    /// Within this time what was written is in the archive.
    pub archive_limit: Duration,
}

/// What came of a run.
#[derive(Debug, Clone)]
pub struct CanaryRun {
    pub outcome: std::result::Result<CheckOutcome, String>,
    pub duration: Duration,
    /// From the server's word that it was committed to its being seen in the archive; `None`: it was not seen there.
    pub archived_after: Option<Duration>,
}

/// Each of the three: to log on and write, to read, to remove.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// Between two looks at the archive, at first and at most.
const LOOK_MIN: Duration = Duration::from_millis(50);
const LOOK_MAX: Duration = Duration::from_secs(1);
/// What is older was left by a run that died.
const LEFT_BEHIND: Duration = Duration::from_mins(10);

pub fn canary(
    options: &CanaryOptions,
    open: impl FnOnce() -> Result<Repository>,
    session: &Session<'_>,
) -> CanaryRun {
    let begun = session.clock.since_boot();
    let mut archived_after = None;
    let outcome = fly(options, open, session, &mut archived_after);
    CanaryRun { outcome, duration: session.clock.since_boot().saturating_sub(begun), archived_after }
}

type Outcome = std::result::Result<CheckOutcome, String>;

fn fly(
    options: &CanaryOptions,
    open: impl FnOnce() -> Result<Repository>,
    session: &Session<'_>,
    archived_after: &mut Option<Duration>,
) -> Outcome {
    let repository = open().map_err(|error| in_one_line(&error))?;
    let ready = Ready::new(options, &repository, session).map_err(|error| in_one_line(&error))?;
    let mut bird = Bird::new(options, session)?;
    let flown = bird.fly(&ready, options.archive_limit, archived_after);
    // What was perhaps written goes, whatever else was found.
    let removed = bird.remove().map_err(|why| format!("what it wrote is not removed: {why}"));
    match (flown, removed) {
        (Ok(message), Ok(())) => Ok(CheckOutcome { message, findings: Vec::new() }),
        (Err(why), Ok(())) | (Ok(_), Err(why)) => Err(why),
        (Err(why), Err(too)) => Err(format!("{why}; {too}")),
    }
}

/// Where the archive is looked at.
struct Ready {
    installation: Installation,
    archive: Archive,
    database: String,
}

impl Ready {
    fn new(options: &CanaryOptions, repository: &Repository, session: &Session<'_>) -> Result<Self> {
        session.stop.check()?;
        let installation = Installation::find(&options.installation)?;
        let source = sources::choose(repository, options.source.as_ref())?;
        let archive = Archive::new(repository.clone(), source.name);
        let user_database = installation.databases.first().cloned().unwrap_or_default();
        let database = options.database.clone().unwrap_or(user_database);
        Ok(Self { installation, archive, database })
    }
}

struct Bird<'a> {
    options: &'a CanaryOptions,
    asker: Asker,
    nonce: String,
    session: &'a Session<'a>,
    /// Once it may have been.
    written: bool,
}

impl<'a> Bird<'a> {
    fn new(options: &'a CanaryOptions, session: &'a Session<'a>) -> std::result::Result<Self, String> {
        let nonce = hex::encode(random().map_err(|error| format!("no random bytes: {error}"))?);
        Ok(Self { asker: asker(options)?, options, nonce, session, written: false })
    }

    fn fly(
        &mut self,
        ready: &Ready,
        limit: Duration,
        archived_after: &mut Option<Duration>,
    ) -> std::result::Result<String, String> {
        self.written = true;
        let now = self.session.clock.now().as_millisecond();
        let written = self.asker.write_canary(&self.nonce, now);
        let transaction =
            written.map_err(|error| format!("it cannot be written: {}", in_one_line(&error)))?;
        let committed = self.session.clock.since_boot();
        self.asker.set_budget(ANSWER_LIMIT);
        match self.asker.read_canary(&self.nonce) {
            Ok(1) => {}
            Ok(found) => return Err(format!("what was committed is read back {found} times, not once")),
            Err(error) => return Err(format!("it cannot be read back: {}", in_one_line(&error))),
        }
        self.wait_for(TxId(transaction), ready, committed + limit)
            .map_err(|why| format!("transaction {transaction} is not in the archive: {why}"))?;
        let took = self.session.clock.since_boot().saturating_sub(committed);
        *archived_after = Some(took);
        Ok(format!(
            "transaction {transaction} was read back, and in the archive after {} ms",
            took.as_millis()
        ))
    }

    /// Until the archive's end has reached the transaction, and the live log goes on from it.
    fn wait_for(&self, wanted: TxId, ready: &Ready, until: Duration) -> std::result::Result<(), String> {
        let Session { clock, stop, .. } = *self.session;
        let mut probe = LagProbe::new(&ready.installation, &ready.archive, stop);
        let mut wait = LOOK_MIN;
        loop {
            let seen = match probe.measure(clock.now()) {
                Ok(lags) => judge(&lags, &ready.database, wanted),
                Err(error) => Err(in_one_line(&error)),
            };
            let Err(why) = seen else { return Ok(()) };
            stop.check().map_err(|stopped| in_one_line(&stopped))?;
            if clock.since_boot() >= until {
                return Err(why);
            }
            clock.wait(wait, stop);
            wait = (wait * 2).min(LOOK_MAX);
        }
    }

    /// Its own, and what those before it left. Over another connection: the first one may be what has failed.
    fn remove(self) -> std::result::Result<(), String> {
        if !self.written {
            return Ok(());
        }
        drop(self.asker);
        let mut asker = asker(self.options)?;
        let left = i64::try_from(LEFT_BEHIND.as_millis()).unwrap_or(i64::MAX);
        let before = self.session.clock.now().as_millisecond().saturating_sub(left);
        asker.remove_canaries(&self.nonce, before).map_err(|error| in_one_line(&error))
    }
}

fn asker(options: &CanaryOptions) -> std::result::Result<Asker, String> {
    let connection = Options { budget: Some(ANSWER_LIMIT), ..options.connection.clone() };
    Asker::open(&connection, options.database.as_deref()).map_err(|error| in_one_line(&error))
}

fn judge(lags: &[DatabaseLag], database: &str, wanted: TxId) -> std::result::Result<(), String> {
    let lag = lags
        .iter()
        .find(|lag| lag.database == database)
        .ok_or_else(|| format!("the installation that is archived has no database `{database}`"))?;
    match (lag.standing, &lag.archived) {
        (Standing::Follows, Some(end)) if end.id >= wanted => Ok(()),
        (Standing::Follows, Some(end)) => Err(format!("it ends at {}", end.id.0)),
        _ => Err(lag.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lag(standing: Standing) -> DatabaseLag {
        DatabaseLag {
            database: "neo4j".into(),
            live: TxId(9),
            archived: None,
            transactions: 0,
            milliseconds: 0,
            standing,
        }
    }

    #[test]
    fn an_archive_of_another_history_does_not_count() {
        for standing in [Standing::Gap, Standing::Fork, Standing::OtherStore, Standing::NothingArchived] {
            assert!(judge(&[lag(standing)], "neo4j", TxId(1)).is_err(), "{standing:?}");
        }
        let why = judge(&[lag(Standing::Follows)], "other", TxId(1)).unwrap_err();
        assert!(why.contains("no database `other`"), "{why}");
    }
}
