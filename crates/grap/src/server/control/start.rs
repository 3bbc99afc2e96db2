//! The start: from the lock to a server that serves.
//!
//! What counts is what is seen: a server holds the lock of the stores, and who listens at its address speaks Bolt. A
//! command that has ended well says nothing; one that has failed is no failure where a server serves all the same. A
//! supervisor that does not answer may be starting itself (a container): it is asked again until the limit.
//!
//! Of a server that was told to stop before ([`super::serving`]) more is asked: it may hold its stores and answer for as long
//! as its last checkpoint takes.

use std::time::Duration;

use grap_bolt::client::{Limits, Options, greet};
use grap_task::{Finding, Unit};

use super::command::RunningCommand;
use super::serving::{Serving, serving};
use super::supervisor::{self, SupervisorVerb};
use super::{Before, ControlError, ServerControl, StoresLock};
use crate::error::in_one_line;
use crate::live::Installation;
use crate::ops::Session;

const LOOK: Duration = Duration::from_millis(50);
/// Of a server that was told to stop before it is not known whether it stays: it must serve for so long.
const STEADY: Duration = Duration::from_secs(30);
const STEADY_LOOK: Duration = Duration::from_secs(1);
/// A command that has failed may have started it all the same.
const FAILED_PATIENCE: Duration = Duration::from_secs(5);
/// Before a supervisor that did not answer is asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

pub(super) fn start(
    control: &ServerControl,
    before: Before,
    live: &Installation,
    bolt: &Options,
    limit: Duration,
    session: &Session<'_>,
) -> Result<(), ControlError> {
    session.monitor.begin("start the server", Unit::Items, None);
    let early = matches!(before, Before::StopFailed).then(|| control.start_command()).flatten();
    let steady = if let Before::Stopped(stopped) = before {
        stopped.release(session);
        Duration::ZERO
    } else {
        STEADY.min(limit / 2)
    };
    let limits = Limits { connect: Duration::from_secs(2), handshake: Duration::from_secs(5), ..bolt.limits };
    let bolt = Options { limits, ..bolt.clone() };
    let mut start = Starting {
        control,
        live,
        bolt,
        steady,
        asked: Asked::Nobody { again_at: None, why: None },
        seen: Seen::Nobody,
    };
    // That it meets the server which has not ended is no failure; a service manager keeps it for when it has.
    let _early = early.map(RunningCommand::start).transpose().map_err(|source| {
        ControlError::StartNotRun { command: early.unwrap_or_default().to_owned(), source }
    })?;
    let begun = session.clock.since_boot();
    loop {
        let now = session.clock.since_boot();
        start.recall(now);
        start.look(now)?;
        if start.is_done(now, session) {
            return Ok(());
        }
        session.stop.check()?;
        if now.saturating_sub(begun) >= limit {
            return Err(start.timed_out(limit));
        }
        let pause = if matches!(start.seen, Seen::Serving { .. }) { STEADY_LOOK } else { LOOK };
        session.clock.wait(pause, session.stop);
    }
}

/// Who was asked to start it.
enum Asked {
    /// Or a supervisor that could not be.
    Nobody {
        again_at: Option<Duration>,
        why: Option<ControlError>,
    },
    Command(RunningCommand),
    Supervisor,
}

/// At the last look.
enum Seen {
    /// Nobody has been looked for yet.
    Nobody,
    /// Nobody holds the stores.
    Free {
        since: Duration,
    },
    /// Somebody does, and does not answer.
    Mute(grap_bolt::Error),
    Unready(String),
    /// It was seen at every look since then; what else there is to tell of it.
    Serving {
        since: Duration,
        doubt: Option<String>,
    },
}

struct Starting<'a> {
    control: &'a ServerControl,
    live: &'a Installation,
    bolt: Options,
    /// It must be seen to serve for so long; zero: it was down when we began.
    steady: Duration,
    asked: Asked,
    seen: Seen,
}

impl Starting<'_> {
    /// A supervisor is told in any case that a stop is no longer wanted; it starts nothing twice.
    fn recall(&mut self, now: Duration) {
        let ServerControl::Supervisor { socket } = self.control else { return };
        let Asked::Nobody { again_at, why } = &mut self.asked else { return };
        if again_at.is_some_and(|at| now < at) {
            return;
        }
        match supervisor::ask(socket, SupervisorVerb::Start) {
            Ok(_) => self.asked = Asked::Supervisor,
            Err(error) => (*again_at, *why) = (Some(now + ASK_AGAIN), Some(error)),
        }
    }

    fn look(&mut self, now: Duration) -> Result<(), ControlError> {
        if StoresLock::holder(&self.live.data)?.is_none() {
            return self.nobody_holds_the_stores(now);
        }
        let since = match self.seen {
            Seen::Serving { since, .. } => since,
            _ => now,
        };
        self.seen = match greet(&self.bolt) {
            Err(error) => Seen::Mute(error),
            Ok(_) if self.steady.is_zero() => Seen::Serving { since, doubt: None },
            Ok(_) => match serving(&self.bolt, &self.live.databases) {
                Serving::Yes => Seen::Serving { since, doubt: None },
                Serving::Doubtful(why) => Seen::Serving { since, doubt: Some(why) },
                Serving::No(why) => Seen::Unready(why),
            },
        };
        Ok(())
    }

    /// Run the command that starts it, or see whether there is hope that one comes.
    fn nobody_holds_the_stores(&mut self, now: Duration) -> Result<(), ControlError> {
        let since = match self.seen {
            Seen::Free { since } => since,
            _ => now,
        };
        self.seen = Seen::Free { since };
        match (self.control, &mut self.asked) {
            (ServerControl::Commands { start, .. }, Asked::Nobody { .. }) => {
                let failed = |source| ControlError::StartNotRun { command: start.clone(), source };
                self.asked = Asked::Command(RunningCommand::start(start).map_err(failed)?);
                self.seen = Seen::Nobody;
                Ok(())
            }
            (_, Asked::Command(command)) => match command.ended() {
                Some(status) if !status.success() && now.saturating_sub(since) >= FAILED_PATIENCE => {
                    let (command, said) = (command.text.clone(), command.said());
                    Err(ControlError::StartFailed { command, status, said })
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn is_done(&self, now: Duration, session: &Session<'_>) -> bool {
        let Seen::Serving { since, doubt } = &self.seen else { return false };
        if now.saturating_sub(*since) < self.steady {
            return false;
        }
        if let Some(doubt) = doubt {
            session.monitor.finding(&Finding::warning(format!("the server answers, but {doubt}")));
        }
        true
    }

    fn timed_out(self, limit: Duration) -> ControlError {
        match (self.seen, self.asked) {
            (Seen::Mute(source), _) => ControlError::NotServing { limit, source },
            (Seen::Unready(said), _) => ControlError::NotOnline { limit, said },
            (Seen::Serving { .. }, _) => {
                let said = format!("it has for less than {} s", self.steady.as_secs());
                ControlError::NotOnline { limit, said }
            }
            (_, Asked::Nobody { why: Some(why), .. }) => why,
            (_, Asked::Nobody { .. }) => {
                ControlError::StartTimedOut { limit, said: "nobody was asked".to_owned() }
            }
            (_, Asked::Command(command)) => ControlError::StartTimedOut { limit, said: command.said() },
            (_, Asked::Supervisor) => {
                ControlError::StartTimedOut { limit, said: self.control.supervisor_says() }
            }
        }
    }
}

impl ServerControl {
    fn start_command(&self) -> Option<&str> {
        match self {
            Self::Commands { start, .. } => Some(start),
            Self::Supervisor { .. } => None,
        }
    }

    fn supervisor_says(&self) -> String {
        let Self::Supervisor { socket } = self else { return String::new() };
        match supervisor::ask(socket, SupervisorVerb::Status) {
            Ok(status) => status.message.unwrap_or_else(|| "the supervisor goes on trying".to_owned()),
            Err(error) => in_one_line(&error),
        }
    }
}
