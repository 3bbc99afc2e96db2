//! `grap serve`: one process of supervised jobs that nobody has to remember.
//!
//! - The archiver, the watch over lag and protection, the schedule, the one over promotions that nobody is at and the control
//!   socket each have threads of their own; whatever becomes of one of them, the others go on ([`job`]).
//! - Only a wrong setting, or a second daemon on the same state directory, ends the daemon at its start. A repository or
//!   a database that is away is tried again.
//! - It holds `serve.lock` in its state directory for its life. The operations take their own locks, as they do when
//!   they are called from the command line: there is no other path to them.
//! - SIGTERM: every job is asked to stop and waited for. SIGHUP: the settings are read anew, checked as a whole, and
//!   taken or refused ([`reload`]).

mod alarms;
mod canary;
mod control;
mod drilling;
mod health;
mod job;
mod promotion;
mod reload;
mod run;
mod scheduler;
mod space;
pub(crate) mod status;
mod tasks;
mod timetable;
mod watching;
mod web;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use grap::state::StateDirectory;
use grap_repository::LockHolder;
use grap_task::{Clock, Stop};
use jiff::Timestamp;

use crate::alert::AlertCenter;
use crate::cli::{Arguments, Call};
use crate::config::{Environment, Settings};
use crate::failure::Failure;
use crate::host;
use crate::log::{Log, LogStyle};
use crate::notify;

pub(crate) use canary::CanarySeen;
pub(crate) use control::{RunRequest, Said, ask_status, forward};
pub(crate) use health::HealthSeen;
pub(crate) use web::Figures;

use canary::Canaries;
use control::Server;
use health::HealthLooks;
use job::{Job, RunEnd};
use reload::Hangups;
use scheduler::Scheduler;
use status::SpaceView;
pub(crate) use timetable::Timetable;
use watching::Watched;

/// How often the daemon looks around, where nothing else wakes it.
const TICK: Duration = Duration::from_secs(1);

/// Between two looks at what was set aside in the state directory.
const STATE_INTERVAL: Duration = Duration::from_mins(1);

/// The job that drives the schedule: it takes new settings without a new start.
const SCHEDULER: &str = "scheduler";

/// Takes what is set when it begins something.
const PROMOTION: &str = "promotion";

/// They are off by default.
const HTTP: &str = "http";
const CANARY: &str = "canary";

/// What a job of the daemon does until its stop.
type OwnWork = fn(&Arc<Daemon>, &Stop) -> RunEnd;

/// What every job shares.
pub(crate) struct Daemon {
    /// As it was called: the settings are read anew from the same places.
    arguments: Arguments,
    environment: Environment,
    settings: RwLock<Arc<Settings>>,
    holder: LockHolder,
    clock: Clock,
    log: Log,
    state: StateDirectory,
    since: Timestamp,
    jobs: RwLock<Vec<Arc<Job>>>,
    /// Set at the start.
    scheduler: OnceLock<Arc<Scheduler>>,
    alerts: AlertCenter,
    watched: RwLock<Watched>,
    health: HealthLooks,
    canaries: Mutex<Canaries>,
    /// The protection is to be looked at soon: something has happened that may change it.
    look_now: AtomicBool,
    space: Mutex<Option<SpaceView>>,
    /// Why settings that were read anew were not taken.
    refused: Mutex<Option<String>>,
}

/// Until a stop is asked for.
pub(crate) fn serve(arguments: &Arguments, call: &Call<'_>) -> Result<(), Failure> {
    call.check_settings()?;
    let state = call.state()?;
    let _lock = state.lock_serve().map_err(grap::Error::from)?;
    let daemon = Daemon::new(arguments, call, state)?;
    let hangups = Hangups::listen()?;
    let _ = daemon.scheduler.set(daemon.make_scheduler()?);
    let server = Server::start(daemon.state.root(), &daemon)?;
    let threads = daemon.start_jobs()?;
    notify::ready();
    daemon.log.info(&format!(
        "{} serves on the state directory {}",
        host::PROGRAM,
        daemon.state.root().display()
    ));

    daemon.go_on(call.session.stop, &hangups);

    notify::stopping();
    daemon.log.info("told to stop: every job is asked to end");
    daemon.end_jobs();
    server.end();
    for thread in threads {
        let _ = thread.join();
    }
    daemon.log.info("ended");
    Ok(())
}

impl Daemon {
    fn new(arguments: &Arguments, call: &Call<'_>, state: StateDirectory) -> Result<Arc<Self>, Failure> {
        let clock = Clock::System;
        let log = Log::new(LogStyle::of(call.settings)?, clock.clone());
        let holder = host::holder(call.environment);
        let sinks = alarms::sinks(call.settings, &holder.hostname)?;
        let alerts = alarms::open(&state, sinks, &clock, &log)?;
        Ok(Arc::new(Self {
            arguments: arguments.clone(),
            environment: call.environment.clone(),
            settings: RwLock::new(Arc::new(call.settings.clone())),
            holder,
            alerts,
            log,
            watched: RwLock::default(),
            health: HealthLooks::default(),
            canaries: Mutex::default(),
            look_now: AtomicBool::new(false),
            space: Mutex::default(),
            refused: Mutex::default(),
            state,
            since: clock.now(),
            clock,
            jobs: RwLock::default(),
            scheduler: OnceLock::new(),
        }))
    }

    fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn scheduler(&self) -> Option<&Arc<Scheduler>> {
        self.scheduler.get()
    }

    fn jobs(&self) -> Vec<Arc<Job>> {
        self.jobs.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn start_jobs(self: &Arc<Self>) -> Result<Vec<JoinHandle<()>>, Failure> {
        let works: [(&'static str, OwnWork); 7] = [
            ("archiver", |daemon, stop| daemon.archive(stop)),
            ("watch", |daemon, stop| daemon.watch(stop)),
            (SCHEDULER, |daemon, stop| daemon.run_scheduler(stop)),
            ("space", |daemon, stop| daemon.measure_space(stop)),
            (PROMOTION, |daemon, stop| daemon.watch_promotions(stop)),
            (CANARY, |daemon, stop| daemon.fly_canaries(stop)),
            (HTTP, Self::serve_http),
        ];
        let mut threads = Vec::new();
        for (name, work) in works {
            let daemon = Arc::clone(self);
            let job = Job::new(name, &self.log, &self.clock, Arc::new(move |stop| work(&daemon, stop)));
            self.jobs.write().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&job));
            threads.push(job.start().map_err(grap::Error::Thread)?);
        }
        Ok(threads)
    }

    fn end_jobs(&self) {
        for job in self.jobs() {
            job.end();
        }
    }

    /// The main thread's part: settings read anew when asked, the service manager told that we live.
    fn go_on(&self, stop: &Stop, hangups: &Hangups) {
        let ping = notify::watchdog_interval();
        let (mut pinged, mut state_judged) = (Duration::ZERO, None);
        while !self.clock.wait(ping.map_or(TICK, |ping| ping.min(TICK)), stop) {
            if hangups.take() {
                self.reload();
            }
            for job in self.jobs() {
                self.judge_job(&job.view());
            }
            let now = self.clock.since_boot();
            if state_judged.is_none_or(|judged| now.saturating_sub(judged) >= STATE_INTERVAL) {
                state_judged = Some(now);
                self.judge_state();
            }
            if ping.is_some_and(|ping| now.saturating_sub(pinged) >= ping) {
                pinged = now;
                notify::alive();
            }
        }
    }
}

/// Whether the settings that only the daemon has make sense.
pub(crate) fn check(settings: &Settings) -> Result<(), Failure> {
    LogStyle::of(settings)?;
    Timetable::of(settings, "", true)?;
    alarms::sinks(settings, "")?;
    crate::http::place(settings)?;
    canary::interval(settings)?;
    Ok(())
}
