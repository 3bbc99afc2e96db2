//! `grap supervise -- COMMAND`: the parent of Neo4j, process 1 of its container or anywhere else.
//!
//! - It starts the command, passes on signals, takes orphans, starts a server again that has failed, and lets others stop
//!   and start it over a socket. What is to be done is decided by [`machine`], which is pure; this is its shell.
//! - One thread that waits for everything at once (`poll`): signals come through a pipe, clients never block it. Beside it
//!   only an [`attendant`], from a start of the server until it is ready and its schema applied.
//! - Whatever fails of Grap's own (a socket that cannot be bound, a schema that cannot be applied) is said, and Neo4j goes
//!   on. It does so, too, when this process is killed: only the end of a container takes it along. Whoever supervises next
//!   sees that the stores are held, and starts no second one.

mod attendant;
mod child;
mod machine;
mod signals;
mod socket;

use std::ffi::OsString;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grap::live::{Installation, InstallationOptions};
use grap::server::control::supervisor::{
    SupervisedStores, SupervisorAnswer, SupervisorState, SupervisorStatus, SupervisorVerb,
};
use grap::server::control::{Owner, StoresLock};
use grap_task::Clock;
use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal};

use crate::failure::Failure;
use crate::host;
use crate::log::Log;
use crate::notify;
use attendant::Attendant;
pub(crate) use attendant::{Duties, Schema};
use child::{Fate, Group};
pub(crate) use machine::RestartPolicy;
use machine::{Act, Machine};
use signals::Signals;
use socket::{Asked, Socket, refusal};

/// Characters of the command in the log.
const SHOWN: usize = 200;

/// Where nothing else wakes us: what is left of a group may end without our being told.
const TICK: Duration = Duration::from_millis(500);
/// The service manager is told that it takes longer, for so long, and so often.
const LONGER: Duration = Duration::from_mins(1);
const LONGER_AGAIN: Duration = Duration::from_secs(20);

/// What it is told.
pub(crate) struct Options {
    pub(crate) command: Vec<OsString>,
    pub(crate) policy: RestartPolicy,
    /// From SIGTERM to SIGKILL.
    pub(crate) grace: Duration,
    /// Or why there is none.
    pub(crate) socket: Result<PathBuf, String>,
    /// Whose stores are looked at before a start, where it is known.
    pub(crate) installation: Option<InstallationOptions>,
    pub(crate) duties: Duties,
}

/// Until the server has ended for good. The exit status is the server's.
pub(crate) fn supervise(options: Options) -> Result<u8, Failure> {
    let log = options.duties.log.clone();
    let signals = Signals::listen()?;
    if let Err(error) = child::take_orphans() {
        log.warning(&format!("orphans cannot be taken: {error}"));
    }
    let socket = listen(&options.socket, &log);
    let supervisor = Supervisor {
        machine: Machine::new(options.policy, options.grace),
        seen: (SupervisorState::Stopped, options.duties.clock.now()),
        clock: options.duties.clock.clone(),
        duties: Arc::new(options.duties),
        command: options.command,
        installation: options.installation,
        before: child::children(),
        group: None,
        other: None,
        longer_at: Duration::ZERO,
        attendant: None,
        ending: None,
        log,
    };
    supervisor.log.info(&format!("{} supervises {}", host::PROGRAM, supervisor.shown_command()));
    supervisor.run(signals, socket)
}

/// Without a socket it is supervised all the same.
fn listen(path: &Result<PathBuf, String>, log: &Log) -> Option<Socket> {
    let listening = path.clone().and_then(|path| Socket::listen(&path).map(|socket| (socket, path)));
    match listening {
        Ok((socket, path)) => {
            log.info(&format!("it is asked at {}", path.display()));
            Some(socket)
        }
        Err(why) => {
            log.error(&format!(
                "there is no socket, so nobody can have the server stopped or started; it is supervised all the same: {why}"
            ));
            None
        }
    }
}

struct Supervisor {
    machine: Machine,
    /// The machine's state, and since when.
    seen: (SupervisorState, Timestamp),
    command: Vec<OsString>,
    installation: Option<InstallationOptions>,
    duties: Arc<Duties>,
    /// Children of ours before anything was started.
    before: Vec<Pid>,
    group: Option<Group>,
    /// A server that we have not started, and that holds the stores.
    other: Option<Owner>,
    /// When the service manager is told next that it takes longer.
    longer_at: Duration,
    attendant: Option<Attendant>,
    ending: Option<u8>,
    clock: Clock,
    log: Log,
}

impl Supervisor {
    fn run(mut self, mut signals: Signals, mut socket: Option<Socket>) -> Result<u8, Failure> {
        self.act(Some(Act::Start));
        loop {
            self.look_after_group();
            self.look_after_other();
            self.ask_for_patience();
            let due = self.machine.tick(self.now());
            self.act(due);
            if let Some(status) = self.ending {
                notify::stopping();
                self.log.info(&format!("ended with status {status}"));
                return Ok(status);
            }
            self.wait(&signals, socket.as_ref());
            for signal in signals.take() {
                self.heed(signal);
            }
            self.hear_attendant();
            if let Some(socket) = &mut socket {
                socket.serve(self.now(), |asked| self.answer(asked));
            }
        }
    }

    fn now(&self) -> Duration {
        self.clock.since_boot()
    }

    /// For the log; a class path is longer than anybody reads.
    fn shown_command(&self) -> String {
        let words: Vec<_> = self.command.iter().map(|word| word.to_string_lossy()).collect();
        let text = words.join(" ");
        match text.char_indices().nth(SHOWN) {
            Some((end, _)) => format!("{} ...", &text[..end]),
            None => text,
        }
    }

    /// Until something has happened, or something is due.
    fn wait(&self, signals: &Signals, socket: Option<&Socket>) {
        let mut descriptors = vec![PollFd::from_borrowed_fd(signals.descriptor(), PollFlags::IN)];
        let attendant = self.attendant.as_ref().map(|attendant| attendant.stream.as_fd());
        let asked = socket.into_iter().flat_map(Socket::descriptors);
        descriptors
            .extend(attendant.into_iter().chain(asked).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        let longer = self.takes_longer().then_some(self.longer_at);
        let due = self.machine.due().into_iter().chain(socket.and_then(Socket::due)).chain(longer).min();
        let draining = self.group.as_ref().is_some_and(|group| group.fate() == Fate::Headless);
        let left = due.map(|due| due.saturating_sub(self.now()) + Duration::from_millis(1));
        let draining =
            draining || (self.other.is_some() && self.machine.state() == SupervisorState::Stopping);
        let left = if draining { Some(left.unwrap_or(TICK).min(TICK)) } else { left };
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        // A signal in between is no failure: what came of it is looked at next.
        let _ = poll(&mut descriptors, timeout.as_ref());
    }

    fn heed(&mut self, signal: Signal) {
        match signal {
            Signal::CHILD => {}
            Signal::TERM | Signal::INT => {
                self.log.info(&format!("told to end by {}", signals::name(signal)));
                let act = self.machine.leave(self.now());
                self.act(act);
            }
            other => {
                if let Some(group) = &self.group {
                    self.log.info(&format!("{} is passed on", signals::name(other)));
                    group.signal(other);
                }
            }
        }
    }

    /// Every dead process is asked for, and what that means for the server is looked at.
    fn look_after_group(&mut self) {
        let orphans = child::reap(&mut self.group);
        if orphans > 0 {
            self.log.debug(&format!("{orphans} orphans have ended"));
        }
        let act = match self.group.as_ref().map(Group::fate) {
            None | Some(Fate::Runs) => return,
            Some(Fate::Headless) => {
                let act = self.machine.leader_gone(self.now());
                match act {
                    // Not said each time that one is found.
                    Some(Act::Kill) => {
                        if let Some(group) = &self.group {
                            group.signal(Signal::KILL);
                        }
                        return;
                    }
                    Some(_) => {
                        self.log.warning("it has ended and left processes behind: they are ended, too");
                    }
                    None => {}
                }
                act
            }
            Some(Fate::Over(status)) => {
                (self.group, self.attendant) = (None, None);
                self.log.info(&format!("it has ended with status {status}"));
                let act = self.machine.ended(status, self.now());
                self.tell_pause();
                act
            }
        };
        self.act(act);
    }

    /// One that is not ours, and was told to end.
    fn look_after_other(&mut self) {
        if self.other.as_ref().is_none_or(Owner::is_there) {
            return;
        }
        self.other = None;
        if self.group.is_none() && self.machine.state() == SupervisorState::Stopping {
            self.log.info("the server that held the stores has ended");
            let act = self.machine.ended(0, self.now());
            self.act(act);
        }
    }

    /// In a state that has an end, and may take longer than a service manager waits.
    fn takes_longer(&self) -> bool {
        !matches!(self.machine.state(), SupervisorState::Running | SupervisorState::Stopped)
    }

    fn ask_for_patience(&mut self) {
        if self.takes_longer() && self.now() >= self.longer_at {
            notify::longer(LONGER);
            self.longer_at = self.now() + LONGER_AGAIN;
        }
    }

    fn tell_pause(&self) {
        if let Some(pause) = self.machine.pause_left(self.now()) {
            self.log.warning(&format!("it is started again in {} s", pause.as_secs_f32().round()));
        }
    }

    fn act(&mut self, act: Option<Act>) {
        match act {
            None => {}
            Some(Act::Start) => self.start(),
            Some(Act::Terminate) => self.signal(Signal::TERM),
            Some(Act::Kill) => self.signal(Signal::KILL),
            Some(Act::Exit(status)) => self.ending = Some(status),
        }
        self.note_state();
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = &self.group {
            let (name, leader) = (signals::name(signal), group.pid());
            self.log.info(&format!("{name} goes to the group of process {leader}"));
            group.signal(signal);
        } else if let Some(other) = &self.other {
            let name = signals::name(signal);
            self.log.info(&format!("{name} goes to process {}, which holds the stores", other.pid()));
            other.signal(signal);
        }
    }

    fn start(&mut self) {
        if let Some(why) = self.look_for_other() {
            // Said once, not at each look.
            if self.machine.message() != Some(&why) {
                self.log.warning(&format!("no second server is started: {why}"));
            }
            self.machine.in_the_way(why, self.other.is_some(), self.now());
            return;
        }
        match Group::start(&self.command, &self.before) {
            Ok(group) => {
                self.log.info(&format!("started as process {}", group.pid()));
                self.group = Some(group);
                self.machine.started(self.now());
                if self.duties.bolt.is_none() {
                    // Whether it is ready will never be seen.
                    notify::ready();
                }
                self.attend();
            }
            Err(error) => {
                let why = format!("{} cannot be started: {error}", self.shown_command());
                self.log.error(&why);
                let act = self.machine.not_started(why, self.now());
                self.tell_pause();
                self.act(act);
            }
        }
    }

    /// A server that holds the stores, as far as they are known: left by one of us that was killed, or started by hand.
    fn look_for_other(&mut self) -> Option<String> {
        self.other = None;
        let data = Installation::data_directory(self.installation.as_ref()?).ok()?;
        let holder = StoresLock::holder(&data).ok()??;
        self.other = Owner::of(&data).ok().flatten();
        let who = holder.pid.map_or_else(|| "somebody".to_owned(), |pid| format!("process {pid}"));
        Some(format!("{who} holds the stores in {}; its end is waited for", data.display()))
    }

    fn attend(&mut self) {
        match Attendant::start(&self.duties) {
            Ok(attendant) => self.attendant = Some(attendant),
            Err(error) => {
                self.log.error(&format!("whether it is ready is not looked at, nor its schema: {error}"));
            }
        }
    }

    fn hear_attendant(&mut self) {
        let Some(attendant) = &mut self.attendant else { return };
        let mut byte = [0];
        match attendant.stream.read(&mut byte) {
            Ok(1) => {
                self.machine.ready();
                self.note_state();
                self.log.info("ready: Bolt answers");
                notify::ready();
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            // It is done, or cannot go on; it says so itself.
            _ => self.attendant = None,
        }
    }

    fn answer(&mut self, asked: &Asked) -> SupervisorAnswer {
        if asked.verb != SupervisorVerb::Status {
            self.log.info(&format!("a {}, asked for by {}", asked.verb.name(), asked.who));
        }
        if asked.verb == SupervisorVerb::Stop
            && let Err(why) = self.meet_other()
        {
            return refusal(why);
        }
        match self.machine.asked(asked.verb, self.now()) {
            Ok(act) => {
                self.act(act);
                SupervisorAnswer::Status(self.status())
            }
            Err(why) => refusal(why),
        }
    }

    /// A stop is meant for whoever holds the stores: left by one of us that was killed, or started by hand. One that cannot
    /// be told is named. A promotion's own lock is no server's.
    fn meet_other(&mut self) -> Result<(), String> {
        if self.group.is_some() || self.machine.state() == SupervisorState::Stopping {
            return Ok(());
        }
        let held = self.look_for_other();
        self.machine.nobody_in_the_way();
        match held {
            None => Ok(()),
            Some(why) if self.other.is_some() => {
                self.machine.in_the_way(why, true, self.now());
                Ok(())
            }
            Some(_) if self.holds_a_foreign_lock() => Ok(()),
            Some(why) => Err(format!("no server of ours runs, and another cannot be told to stop: {why}")),
        }
    }

    fn holds_a_foreign_lock(&self) -> bool {
        let data = self.installation.as_ref().and_then(|known| Installation::data_directory(known).ok());
        let holder = data.and_then(|data| StoresLock::holder(&data).ok().flatten());
        holder.is_none_or(|holder| holder.is_foreign_lock)
    }

    fn note_state(&mut self) {
        if self.machine.state() != self.seen.0 {
            self.seen = (self.machine.state(), self.clock.now());
        }
    }

    fn status(&self) -> SupervisorStatus {
        let (state, since) = self.seen;
        SupervisorStatus {
            state,
            pid: self.group.as_ref().map(Group::pid),
            since,
            restarts: self.machine.restarts(),
            ready: state == SupervisorState::Running,
            message: self.machine.message().map(str::to_owned),
            stores: self.stores(),
        }
    }

    /// Whoever would stop another's server is to see that it is another's.
    fn stores(&self) -> Option<SupervisedStores> {
        let data = Installation::data_directory(self.installation.as_ref()?).ok()?;
        SupervisedStores::of(&data).ok()?
    }
}
