//! The start: from the lock to a server that serves.
//!
//! What counts is what is seen: a server holds the lock of the stores, and who listens at its address speaks Bolt. A
//! command that has ended well says nothing; one that has failed is no failure where a server serves all the same.

use std::time::Duration;

use grap_bolt::client::{Limits, Options, greet};
use grap_task::Unit;

use super::command::RunningCommand;
use super::stop::StoppedServer;
use super::supervisor::{self, SupervisorVerb};
use super::{ControlError, ServerControl, StoresLock};
use crate::live::Installation;
use crate::ops::Session;

const LOOK: Duration = Duration::from_millis(50);
/// Of a server that was told to stop before it is not known whether it stays: it must answer for so long.
const STEADY: Duration = Duration::from_secs(30);
/// A command that has failed may have started it all the same.
const FAILED_PATIENCE: Duration = Duration::from_secs(10);
/// Between the start and the lock lies the start of a JVM. For so long nobody need hold the stores.
const VAIN: Duration = Duration::from_mins(2);

pub(super) fn start(
    control: &ServerControl,
    stopped: Option<StoppedServer>,
    live: &Installation,
    bolt: &Options,
    limit: Duration,
    session: &Session<'_>,
) -> Result<(), ControlError> {
    session.monitor.begin("start the server", Unit::Items, None);
    let steady = if stopped.is_some() { Duration::ZERO } else { STEADY };
    if let Some(stopped) = stopped {
        stopped.release(session);
    }
    let mut start =
        Starting { control, asked: Asked::Nobody, answering_since: None, free_since: None, refused: None };
    start.recall()?;
    let begun = session.clock.since_boot();
    loop {
        let now = session.clock.since_boot();
        if StoresLock::holder(&live.data)?.is_none() {
            start.nobody_holds_the_stores(now)?;
        } else if start.answers(bolt, now).is_some_and(|since| now.saturating_sub(since) >= steady) {
            return Ok(());
        }
        session.stop.check()?;
        if now.saturating_sub(begun) >= limit {
            return Err(start.timed_out(limit));
        }
        session.clock.wait(LOOK, session.stop);
    }
}

/// Who was asked to start it.
enum Asked {
    Nobody,
    Command(RunningCommand),
    Supervisor,
}

struct Starting<'a> {
    control: &'a ServerControl,
    asked: Asked,
    answering_since: Option<Duration>,
    free_since: Option<Duration>,
    refused: Option<grap_bolt::Error>,
}

impl Starting<'_> {
    /// A supervisor can be told that a stop is no longer wanted, and starts nothing twice.
    fn recall(&mut self) -> Result<(), ControlError> {
        if matches!(self.control, ServerControl::Supervisor { .. }) {
            self.asked = ask(self.control)?;
        }
        Ok(())
    }

    /// Ask for the start, or see whether there is hope that one comes.
    fn nobody_holds_the_stores(&mut self, now: Duration) -> Result<(), ControlError> {
        self.answering_since = None;
        let since = *self.free_since.get_or_insert(now);
        let waited = now.saturating_sub(since);
        match &mut self.asked {
            Asked::Nobody => {
                self.asked = ask(self.control)?;
                self.free_since = None;
                Ok(())
            }
            Asked::Supervisor if waited >= VAIN => {
                Err(ControlError::StartInVain { waited, said: "the supervisor goes on trying".to_owned() })
            }
            Asked::Supervisor => Ok(()),
            Asked::Command(command) => match command.ended() {
                Some(status) if !status.success() && waited >= FAILED_PATIENCE => {
                    let (command, said) = (command.text.clone(), command.said());
                    Err(ControlError::StartFailed { command, status, said })
                }
                Some(_) if waited >= VAIN => Err(ControlError::StartInVain { waited, said: command.said() }),
                _ => Ok(()),
            },
        }
    }

    /// Since when it has answered, each time that it was asked.
    fn answers(&mut self, bolt: &Options, now: Duration) -> Option<Duration> {
        self.free_since = None;
        let limits =
            Limits { connect: Duration::from_secs(2), handshake: Duration::from_secs(5), ..bolt.limits };
        match greet(&Options { limits, ..bolt.clone() }) {
            Ok(_) => Some(*self.answering_since.get_or_insert(now)),
            Err(error) => {
                self.answering_since = None;
                self.refused = Some(error);
                None
            }
        }
    }

    fn timed_out(self, limit: Duration) -> ControlError {
        match (self.free_since, self.refused) {
            (None, Some(source)) => ControlError::NotServing { limit, source },
            _ => ControlError::StartTimedOut { limit },
        }
    }
}

fn ask(control: &ServerControl) -> Result<Asked, ControlError> {
    match control {
        ServerControl::Commands { start, .. } => RunningCommand::start(start).map(Asked::Command),
        ServerControl::Supervisor { socket } => {
            supervisor::ask(socket, SupervisorVerb::Start).map(|_| Asked::Supervisor)
        }
    }
}
