//! Is the new database what it should be? A few questions, in seconds: a validation has asked the others.

use std::path::Path;
use std::time::Duration;

use grap_bolt::Error as BoltError;
use grap_core::recovery::{Guard, Switch};
use grap_core::schema::faults;
use grap_disk::Source;
use grap_neo4j::files::LogFile;

use super::{LiveServer, LiveSwitch, PAUSE, asker, seconds};
use crate::archive::ends_there;
use crate::check::read_rules;
use crate::error::{Error, Result, in_one_line};
use crate::live::SYSTEM;
use crate::ops::Session;
use crate::recovery::perform;
use crate::recovery::promote::Confirmation;
use crate::validate::against_stores;

const ANSWER: Duration = Duration::from_secs(10);

/// What one look found.
enum Found {
    Good,
    /// It may become good.
    NotYet(String),
    /// The server does not let us look.
    Blind(Error),
}

impl LiveSwitch<'_> {
    pub(super) fn confirmed(
        &mut self,
        switch: &Switch,
        guard: &Guard,
        session: &Session<'_>,
    ) -> Result<Confirmation> {
        let live = self.live()?;
        let until = session.clock.since_boot() + seconds(switch.limits.confirm_s);
        require_end(switch, guard)?;
        loop {
            let why = match look(&live, switch, session)? {
                Found::Good => return Ok(Confirmation::Confirmed),
                Found::Blind(error) => return Ok(Confirmation::Unsure(perform::failure(&error))),
                Found::NotYet(why) => why,
            };
            if session.clock.since_boot() >= until {
                return Err(Error::NotConfirmed { why });
            }
            session.clock.wait(PAUSE, session.stop);
            session.stop.check()?;
        }
    }
}

/// The live log holds what the new database ended with.
fn require_end(switch: &Switch, guard: &Guard) -> Result<()> {
    let file = LogFile::Transactions(guard.end.position.version);
    let path = Path::new(&switch.live.log).join(file.to_string());
    if ends_there(&Source::open(&path)?, &guard.end)? {
        return Ok(());
    }
    Err(Error::NotConfirmed { why: format!("{} does not hold {}", path.display(), guard.end) })
}

/// The database is ONLINE, and shows the schema that is in its stores.
fn look(live: &LiveServer, switch: &Switch, session: &Session<'_>) -> Result<Found> {
    // `system` answers, however the other one is.
    let asked = asker(live, SYSTEM, ANSWER).and_then(|mut system| {
        let databases = system.databases()?;
        let named = databases.into_iter().find(|database| database.name == switch.database);
        Ok(match named {
            Some(database) if database.status == "online" => {
                Ok(asker(live, &switch.database, ANSWER)?.schema()?)
            }
            Some(database) => {
                Err(format!("database `{}` is {} {}", database.name, database.status, database.message))
            }
            None => Err(format!("there is no database `{}`", switch.database)),
        })
    });
    let shown = match asked {
        Ok(Ok(shown)) => shown,
        Ok(Err(why)) => return Ok(Found::NotYet(why)),
        // Whoever is not let in has not seen anything wrong.
        Err(error) if is_not_let_in(&error) => return Ok(Found::Blind(error)),
        Err(error) => return Ok(Found::NotYet(in_one_line(&error))),
    };
    let (rules, _) = read_rules(Path::new(&switch.live.store), session.stop, session.monitor)?;
    let missing = against_stores(&rules, &shown);
    let faults = faults(&shown).into_iter().map(|fault| fault.to_string());
    Ok(match faults.chain(missing).next() {
        None => Found::Good,
        Some(why) => Found::NotYet(why),
    })
}

fn is_not_let_in(error: &Error) -> bool {
    match error {
        Error::Bolt(BoltError::Tls { .. }) => true,
        Error::Bolt(BoltError::Server { failure, .. }) => {
            failure.code().starts_with("Neo.ClientError.Security.")
        }
        _ => false,
    }
}
