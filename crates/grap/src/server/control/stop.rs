//! The stop: from the wish to the lock of the stores.
//!
//! The lock is tried every few milliseconds from the wish on, while the command that stops runs beside. It is ours long
//! before that command ends: then the logs are looked at. Where every one of them ends in the checkpoint of a shutdown the
//! stores are final, and a process that only closes connections any more is ended, to save its ten seconds. Where one does
//! not (a crash), nobody is hurried.
//!
//! Whoever starts a server again and again (a service manager, a loop) meets our lock, however the server ended.

use std::path::PathBuf;
use std::time::Duration;

use grap_task::{Finding, Stop, Unit};

use super::command::RunningCommand;
use super::log_end::log_ends;
use super::owner::Owner;
use super::supervisor::{self, SupervisorState, SupervisorVerb};
use super::{ControlError, ServerControl, StoppedDatabase, StoresLock};
use crate::error::in_one_line;
use crate::live::Installation;
use crate::ops::Session;

const LOOK: Duration = Duration::from_millis(5);
/// A command that has failed may have asked for the stop all the same.
const FAILED_PATIENCE: Duration = Duration::from_secs(10);
/// The command that stopped it has nothing to do any more, and must not meet the next server.
const COMMAND_END: Duration = Duration::from_secs(30);

/// A server that is stopped, and stays so for as long as this lives: its stores are locked.
#[derive(Debug)]
pub struct StoppedServer {
    lock: StoresLock,
    asked: Asked,
    databases: Vec<StoppedDatabase>,
    was_running: bool,
    until_lock: Duration,
}

impl StoppedServer {
    /// How the log of each database of the installation ends.
    pub fn databases(&self) -> &[StoppedDatabase] {
        &self.databases
    }

    /// Every database was closed: its stores are whole without recovery.
    pub fn is_clean(&self) -> bool {
        self.databases.iter().all(|database| database.end.is_clean())
    }

    /// Whether a server held the stores at all.
    pub fn was_running(&self) -> bool {
        self.was_running
    }

    /// From the wish to stop it to the lock.
    pub fn until_lock(&self) -> Duration {
        self.until_lock
    }

    /// Let go of the lock, when nothing of the stop runs any more.
    pub(super) fn release(mut self, session: &Session<'_>) {
        self.asked.end(session);
        drop(self.lock);
    }
}

pub(super) fn stop(
    control: &ServerControl,
    live: &Installation,
    limit: Duration,
    session: &Session<'_>,
) -> Result<StoppedServer, ControlError> {
    session.monitor.begin("stop the server", Unit::Items, None);
    let wait = Wait { begun: session.clock.since_boot(), limit, session };
    let free = StoresLock::try_take(&live.data)?;
    let owner = if free.is_some() { None } else { Owner::of(&live.data)? };
    let was_running = free.is_none();
    let mut asked = Asked::ask(control, was_running)?;
    let lock = match free {
        Some(lock) => lock,
        None => await_lock(live, &mut asked, &wait)?,
    };
    let until_lock = wait.gone();
    let databases = log_ends(live);
    let mut stopped = StoppedServer { lock, asked, databases, was_running, until_lock };
    if stopped.is_clean() {
        stopped.asked.hurry(owner.as_ref(), session);
    } else {
        stopped.asked.await_end(owner.as_ref(), &wait)?;
        // What was not closed may have been written to until now.
        stopped.databases = log_ends(live);
    }
    Ok(stopped)
}

fn await_lock(live: &Installation, asked: &mut Asked, wait: &Wait<'_>) -> Result<StoresLock, ControlError> {
    loop {
        if let Some(lock) = StoresLock::try_take(&live.data)? {
            return Ok(lock);
        }
        asked.require_hope(wait)?;
        wait.once()?;
    }
}

struct Wait<'a> {
    begun: Duration,
    limit: Duration,
    session: &'a Session<'a>,
}

impl Wait<'_> {
    fn gone(&self) -> Duration {
        self.session.clock.since_boot().saturating_sub(self.begun)
    }

    fn once(&self) -> Result<(), ControlError> {
        self.session.stop.check()?;
        if self.gone() >= self.limit {
            return Err(ControlError::StopTimedOut { limit: self.limit });
        }
        self.session.clock.wait(LOOK, self.session.stop);
        Ok(())
    }
}

/// Who was asked to stop it.
#[derive(Debug)]
enum Asked {
    /// Nobody: it did not run.
    Nobody,
    Command {
        command: RunningCommand,
        failed_at: Option<Duration>,
    },
    Supervisor {
        socket: PathBuf,
    },
}

impl Asked {
    /// A supervisor is asked in any case, so that it does not start one.
    fn ask(control: &ServerControl, runs: bool) -> Result<Self, ControlError> {
        match control {
            ServerControl::Commands { .. } if !runs => Ok(Self::Nobody),
            ServerControl::Commands { stop, .. } => {
                Ok(Self::Command { command: RunningCommand::start(stop)?, failed_at: None })
            }
            ServerControl::Supervisor { socket } => {
                supervisor::ask(socket, SupervisorVerb::Stop)?;
                Ok(Self::Supervisor { socket: socket.clone() })
            }
        }
    }

    /// A stop command that has failed is waited for no longer than a moment.
    fn require_hope(&mut self, wait: &Wait<'_>) -> Result<(), ControlError> {
        let Self::Command { command, failed_at } = self else { return Ok(()) };
        let Some(status) = command.ended().filter(|status| !status.success()) else { return Ok(()) };
        let failed_at = *failed_at.get_or_insert_with(|| wait.gone());
        if wait.gone().saturating_sub(failed_at) < FAILED_PATIENCE {
            return Ok(());
        }
        Err(ControlError::StopFailed { command: command.text.clone(), status, said: command.said() })
    }

    /// Its stores are final: end what is left of it.
    fn hurry(&self, owner: Option<&Owner>, session: &Session<'_>) {
        match self {
            Self::Nobody => {}
            Self::Command { .. } => {
                if let Some(owner) = owner {
                    owner.end(session.clock);
                }
            }
            Self::Supervisor { socket } => {
                // It may have ended by itself meanwhile: then this is refused.
                let status = supervisor::ask(socket, SupervisorVerb::Status);
                let stopping = status.is_ok_and(|status| status.state == SupervisorState::Stopping);
                if stopping && let Err(error) = supervisor::ask(socket, SupervisorVerb::Kill) {
                    let why = format!("what is left of the server ends by itself: {}", in_one_line(&error));
                    session.monitor.finding(&Finding::info(why));
                }
            }
        }
    }

    /// Until it is surely over: the command has ended, or the process that held the stores.
    fn await_end(&mut self, owner: Option<&Owner>, wait: &Wait<'_>) -> Result<(), ControlError> {
        loop {
            let over = match self {
                Self::Nobody => true,
                Self::Command { command, .. } => {
                    command.ended().is_some() || owner.is_some_and(|owner| !owner.is_there())
                }
                Self::Supervisor { socket } => {
                    supervisor::ask(socket, SupervisorVerb::Status)?.state == SupervisorState::Stopped
                }
            };
            if over {
                return Ok(());
            }
            wait.once()?;
        }
    }

    /// Nothing of the stop may meet the server that is started next.
    fn end(&mut self, session: &Session<'_>) {
        let Self::Command { command, .. } = self else { return };
        let begun = session.clock.since_boot();
        // A stop of ours that was asked for must not cut this short.
        let uncalled = Stop::new();
        while command.ended().is_none() && session.clock.since_boot().saturating_sub(begun) < COMMAND_END {
            session.clock.wait(LOOK, &uncalled);
        }
        if command.ended().is_none() {
            let why = format!(
                "`{}` goes on {} s after the server has stopped: it is ended",
                command.text,
                COMMAND_END.as_secs()
            );
            session.monitor.finding(&Finding::warning(why));
            command.kill();
        }
    }
}
