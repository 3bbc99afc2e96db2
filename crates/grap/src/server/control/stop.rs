//! The stop: from the wish to the lock of the stores.
//!
//! The lock is tried every few milliseconds from the wish on, while the command that stops runs beside. It is ours long
//! before that command ends: then the logs are looked at. Where every one of them ends in the checkpoint of a shutdown the
//! stores are final, and a process that only closes connections any more is ended, to save its ten seconds. Where one does
//! not (a crash), nobody is hurried.
//!
//! Whoever starts a server again and again (a service manager, a loop) meets our lock, however the server ended.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use grap_task::{Clock, Finding, Stop, Unit};

use super::command::RunningCommand;
use super::log_end::log_ends;
use super::owner::Owner;
use super::supervisor::{self, SupervisorState, SupervisorVerb};
use super::{ControlError, Manager, ServerControl, StoppedDatabase, StoresLock};
use crate::error::in_one_line;
use crate::live::Installation;
use crate::ops::Session;

const LOOK: Duration = Duration::from_millis(5);
/// A command that has failed may have asked for the stop all the same.
const FAILED_PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions whether the supervisor has anything left to stop.
const SUPERVISOR_LOOK: Duration = Duration::from_secs(1);
/// Whether it is wanted, a service manager says at once.
const QUESTION: Duration = Duration::from_secs(10);
/// The command that stopped it has nothing to do any more, and must not meet the next server.
const COMMAND_END: Duration = Duration::from_secs(30);

/// A server that is stopped, and stays so for as long as this lives: its stores are locked.
#[derive(Debug)]
pub struct StoppedServer {
    lock: StoresLock,
    asked: Asked,
    databases: Vec<StoppedDatabase>,
    was_running: bool,
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

    /// Whether a server held the stores, or a supervisor was about to start one: who calls off what the stop was for has to
    /// start it.
    pub fn was_running(&self) -> bool {
        self.was_running
    }

    /// Whether the lock still keeps servers out.
    pub fn is_locked(&self) -> Result<bool, ControlError> {
        Ok(self.lock.is_in_place()?)
    }

    /// Let go of the lock, when nothing of the stop runs any more.
    pub(super) fn release(mut self, session: &Session<'_>) {
        self.asked.end(session);
    }
}

/// A stop that goes on must not meet the next server, whoever starts it: it ends before the lock goes.
impl Drop for StoppedServer {
    fn drop(&mut self) {
        self.asked.give_up();
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
    if let Some(lock) = StoresLock::try_take(&live.data)? {
        return Ok(keep_down(control, live, lock, &wait));
    }
    let owner = Owner::of(&live.data)?;
    let mut asked = Asked::ask(control)?;
    let stopped = await_lock(live, &mut asked, &wait).and_then(|lock| {
        let databases = log_ends(live);
        if databases.iter().all(|database| database.end.is_clean()) {
            asked.hurry(owner.as_ref(), session);
            return Ok((lock, databases));
        }
        asked.await_end(owner.as_ref(), &wait)?;
        // What was not closed may have been written to until now.
        Ok((lock, log_ends(live)))
    });
    match stopped {
        Ok((lock, databases)) => Ok(StoppedServer { lock, asked, databases, was_running: true }),
        Err(error) => {
            // A stop that is not waited for must not meet a server that is started later.
            asked.give_up();
            Err(error)
        }
    }
}

/// Nobody holds the stores, and now the lock is ours: whoever would start the server is told to leave it, if he can be
/// reached. Who cannot meets our lock.
fn keep_down(
    control: &ServerControl,
    live: &Installation,
    lock: StoresLock,
    wait: &Wait<'_>,
) -> StoppedServer {
    // What we call off by the stop is started again, whoever would have done it.
    let was_running = is_wanted(control, wait.session) != Some(false);
    let asked = Asked::ask(control).unwrap_or_else(|error| {
        let why = format!(
            "the server does not run, and nobody could be told to keep it so: {}",
            in_one_line(&error)
        );
        wait.session.monitor.finding(&Finding::warning(why));
        Asked::Nobody
    });
    StoppedServer { lock, asked, databases: log_ends(live), was_running }
}

/// One that starts, or is started again after a pause, holds no stores.
pub(super) fn is_wanted(control: &ServerControl, session: &Session<'_>) -> Option<bool> {
    match control {
        ServerControl::Commands { manager, .. } => {
            let wanted = &manager.as_ref()?.wanted;
            let (status, _) = answer(wanted, session.clock, &Stop::new()).ok()?;
            Some(status?.success())
        }
        ServerControl::Supervisor { socket } => {
            let status = supervisor::ask(socket, SupervisorVerb::Status).ok()?;
            Some(!matches!(status.state, SupervisorState::Stopping | SupervisorState::Stopped))
        }
    }
}

pub(super) fn require_known(manager: &Manager, session: &Session<'_>) -> Result<(), ControlError> {
    let answer = answer(&manager.known, session.clock, session.stop);
    session.stop.check()?;
    let why = match answer {
        Ok((Some(status), _)) if status.success() => return Ok(()),
        Ok((Some(_), said)) => said,
        Ok((None, said)) => format!("no answer within {} s: {said}", QUESTION.as_secs()),
        Err(error) => error.to_string(),
    };
    Err(ControlError::UnitNotKnown { unit: manager.unit.clone(), why })
}

/// How a question ended, and what it said. One that is not answered soon has no status.
fn answer(question: &str, clock: &Clock, stop: &Stop) -> io::Result<(Option<ExitStatus>, String)> {
    let mut command = RunningCommand::start(question)?;
    let until = clock.since_boot() + QUESTION;
    while command.ended().is_none() && clock.since_boot() < until && !stop.requested() {
        clock.wait(LOOK, stop);
    }
    let status = command.ended();
    command.kill();
    Ok((status, command.said()))
}

fn await_lock(live: &Installation, asked: &mut Asked, wait: &Wait<'_>) -> Result<StoresLock, ControlError> {
    loop {
        if let Some(lock) = StoresLock::try_take(&live.data)? {
            return Ok(lock);
        }
        asked.require_hope(live, wait)?;
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
    /// Nobody: it did not run, and who starts it could not be reached.
    Nobody,
    Command {
        command: RunningCommand,
        failed_at: Option<Duration>,
    },
    Supervisor {
        socket: PathBuf,
        looked_at: Duration,
    },
}

impl Asked {
    fn ask(control: &ServerControl) -> Result<Self, ControlError> {
        match control {
            ServerControl::Commands { stop, .. } => {
                let failed = |source| ControlError::StopNotRun { command: stop.clone(), source };
                let command = RunningCommand::start(stop).map_err(failed)?;
                Ok(Self::Command { command, failed_at: None })
            }
            ServerControl::Supervisor { socket } => {
                supervisor::ask(socket, SupervisorVerb::Stop)?;
                Ok(Self::Supervisor { socket: socket.clone(), looked_at: Duration::ZERO })
            }
        }
    }

    fn require_hope(&mut self, live: &Installation, wait: &Wait<'_>) -> Result<(), ControlError> {
        match self {
            Self::Command { command, failed_at } => command_may_stop_it(command, failed_at, wait),
            Self::Supervisor { socket, looked_at } if wait.gone() >= *looked_at + SUPERVISOR_LOOK => {
                *looked_at = wait.gone();
                supervisor_may_stop_it(socket, live)
            }
            Self::Nobody | Self::Supervisor { .. } => Ok(()),
        }
    }

    /// The stop has failed: what runs of it is ended.
    fn give_up(&mut self) {
        if let Self::Command { command, .. } = self {
            command.kill();
        }
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
            Self::Supervisor { socket, .. } => {
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
                Self::Supervisor { socket, .. } => {
                    let status = supervisor::ask(socket, SupervisorVerb::Status);
                    status.is_ok_and(|status| status.state == SupervisorState::Stopped)
                        || owner.is_some_and(|owner| !owner.is_there())
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

/// One that has failed is waited for no longer than a moment.
fn command_may_stop_it(
    command: &mut RunningCommand,
    failed_at: &mut Option<Duration>,
    wait: &Wait<'_>,
) -> Result<(), ControlError> {
    let Some(status) = command.ended().filter(|status| !status.success()) else { return Ok(()) };
    let failed_at = *failed_at.get_or_insert_with(|| wait.gone());
    if wait.gone().saturating_sub(failed_at) < FAILED_PATIENCE {
        return Ok(());
    }
    Err(ControlError::StopFailed { command: command.text.clone(), status, said: command.said() })
}

/// One that has stopped what it had started stops nothing else. (One that does not answer may be stopping it.)
fn supervisor_may_stop_it(socket: &Path, live: &Installation) -> Result<(), ControlError> {
    let stopped = supervisor::ask(socket, SupervisorVerb::Status)
        .is_ok_and(|status| status.state == SupervisorState::Stopped);
    // It has let go of the stores before it was called stopped.
    match StoresLock::holder(&live.data)?.filter(|_| stopped) {
        None => Ok(()),
        Some(holder) => {
            let who = holder.pid.map_or_else(
                || "a process that is not seen from here".to_owned(),
                |pid| format!("process {pid}"),
            );
            Err(ControlError::HeldByAnother { socket: socket.to_owned(), who })
        }
    }
}
