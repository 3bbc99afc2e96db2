//! What the jobs run: the same operations as on the command line, their findings to the log.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use grap::{Code, in_one_line};
use grap_core::schedule::Task;
use grap_disk as disk;
use grap_repository::Repository;
use grap_task::{Finding, Monitor, Stop, Stopped, Unit};

use super::Daemon;
use super::alarms::REPOSITORY;
use super::control::{RunRequest, Said};
use super::job::{JobError, JobState, RunEnd};
use super::scheduler::ByHand;
use super::status::DaemonStatus;
use super::tasks::runs_as;
use crate::cli::{Arguments, Call, LOCATIONS};
use crate::config::Settings;
use crate::failure::Failure;
use crate::host;
use crate::log::Log;
use crate::view::{Output, Stdout};
use grap::ops::Session;

/// Between two tries to open the repository while it is away.
const REACH_AGAIN_MIN: Duration = Duration::from_secs(1);
const REACH_AGAIN_MAX: Duration = Duration::from_secs(30);
/// Between two looks whether a client's operation may begin.
const ENTER_AGAIN: Duration = Duration::from_millis(200);

impl Daemon {
    /// A call of the program, as a job or a client makes it.
    pub(super) fn call<T>(
        &self,
        settings: &Settings,
        (stop, monitor): (&Stop, &dyn Monitor),
        output: Output<'_>,
        run: impl FnOnce(&Call<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let session =
            Session { clock: &self.clock, stop, monitor, holder: &self.holder, program: host::PROGRAM };
        run(&Call { settings, environment: &self.environment, session: &session, output })
    }

    /// As [`Daemon::call`], for the daemon's own work: by its settings, reported to its log.
    pub(super) fn own_call<T>(
        &self,
        job: &'static str,
        stop: &Stop,
        run: impl FnOnce(&Call<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let (settings, log) = (self.settings(), self.log.of(job));
        let output = Output { json: false, stdout: &Stdout::Nowhere };
        self.call(&settings, (stop, &log), output, run)
    }

    /// The archiver, until its stop.
    pub(super) fn archive(&self, stop: &Stop) -> RunEnd {
        let log = self.log.of("archiver");
        let report = self.own_call("archiver", stop, |call| {
            call.archive_for_daemon(|| Ok(self.reach_repository("archiver", stop)?))
        });
        match report {
            Ok(report) => {
                let shipped = &report.shipped;
                log.info(&format!(
                    "{} transactions of source `{}` were archived in {} segments",
                    shipped.transactions, report.source, shipped.segments
                ));
                RunEnd::Done
            }
            Err(failure) => self.end_of(&failure),
        }
    }

    /// The repository, however long it is away.
    pub(super) fn reach_repository(&self, job: &'static str, stop: &Stop) -> Result<Repository, Stopped> {
        let log = self.log.of(job);
        let open = |call: &Call<'_>| call.open_repository();
        let (mut wait, mut failed) = (REACH_AGAIN_MIN, false);
        loop {
            stop.check()?;
            match self.own_call(job, stop, open) {
                Ok(repository) => {
                    if failed {
                        log.info("the repository can be opened again");
                    }
                    self.alerts.clear(REPOSITORY);
                    return Ok(repository);
                }
                Err(failure) => {
                    let why = format!("the repository cannot be opened: {}", in_one_line(&failure));
                    if !failed {
                        log.error(&format!(
                            "error[{}]: {why}; it is tried again and again",
                            failure.code().name()
                        ));
                    }
                    failed = true;
                    self.alerts.raise(REPOSITORY, grap_core::AlertLevel::Critical, &why);
                }
            }
            self.clock.wait(wait, stop);
            wait = (wait * 2).min(REACH_AGAIN_MAX);
        }
    }

    pub(super) fn end_of(&self, failure: &Failure) -> RunEnd {
        self.heed_space(failure);
        let error = JobError {
            code: failure.code().name().to_owned(),
            message: in_one_line(failure),
            at: self.clock.now(),
        };
        match failure.code() {
            Code::SourceMismatch => RunEnd::Refused(error),
            _ => RunEnd::Failed(error),
        }
    }

    /// What a client asked for.
    pub(super) fn run_for_client(
        &self,
        request: RunRequest,
        stop: &Stop,
        monitor: &dyn Monitor,
        stdout: &Stdout,
    ) -> Result<(), Failure> {
        let own = self.settings();
        agree(&own, &request.said)?;
        let RunRequest { common, verb, .. } = request;
        let name = verb.name();
        let log = self.log.of(name);
        log.info("asked for by a client");
        let arguments = Arguments { common, verb };
        let mut settings = (*own).clone();
        // Where the work is done is settled, and what opens the repository is the daemon's own.
        let flags = arguments.flags().into_iter();
        settings.say(flags.filter(|(key, _)| !LOCATIONS.contains(key) && !key.starts_with("password")));
        let output = Output { json: arguments.common.json, stdout };
        let tee = Tee { client: monitor, log: &log };
        let by_hand = self.enter(runs_as(&arguments.verb), stop, &tee)?;
        let ended =
            self.call(&settings, (stop, &tee), output, |call| call.perform_for_client(arguments.verb));
        if let Ok(counts) = ended {
            self.after_a_client(by_hand.filter(|_| counts));
        }
        if ended.is_ok() && name == "key" {
            self.try_own_password(stop, &tee);
        }
        match &ended {
            Ok(_) => log.info("done"),
            Err(failure) => {
                self.heed_space(failure);
                log.error(&format!("error[{}]: {}", failure.code().name(), in_one_line(failure)));
            }
        }
        ended.map(drop)
    }

    /// What runs has the repository open and would not notice; what begins later would fail.
    fn try_own_password(&self, stop: &Stop, monitor: &dyn Monitor) {
        #[expect(
            clippy::redundant_closure_for_method_calls,
            reason = "the method alone is of one lifetime only"
        )]
        let opened = self.own_call("key", stop, |call| call.open_repository());
        if let Err(failure) = opened {
            let text = format!(
                "the daemon itself cannot open the repository any more, give it the new password before its next task begins: {}",
                in_one_line(&failure)
            );
            monitor.finding(&Finding::warning(text));
        }
    }

    /// So that nothing begins that is in its way. What runs already, and is something else, is waited for.
    fn enter(
        &self,
        task: Option<Task>,
        stop: &Stop,
        monitor: &dyn Monitor,
    ) -> Result<Option<ByHand<'_>>, Failure> {
        let (Some(task), Some(scheduler)) = (task, self.scheduler()) else { return Ok(None) };
        let mut told = false;
        loop {
            let busy = match scheduler.enter(task, stop) {
                Ok(by_hand) => return Ok(Some(by_hand)),
                Err(busy) => busy,
            };
            if busy.by == task {
                return Err(Failure::Found { code: Code::JobRunning, message: busy.to_string() });
            }
            if !told {
                told = true;
                monitor.finding(&Finding::info(format!("{} is running: its end is waited for", busy.by)));
            }
            scheduler.make_way(task);
            if self.clock.wait(ENTER_AGAIN, stop) {
                return Err(grap::Error::Stopped(Stopped).into());
            }
        }
    }

    /// What went well may count as a run of its task, and may have helped a job that waits for an operator.
    fn after_a_client(&self, by_hand: Option<ByHand<'_>>) {
        if let Some(by_hand) = by_hand {
            by_hand.went_well();
        }
        self.look_now.store(true, Ordering::SeqCst);
        for job in self.jobs() {
            if job.view().state == JobState::Stopped {
                job.start_anew();
            }
        }
    }

    pub(super) fn status(&self) -> DaemonStatus {
        DaemonStatus {
            program: host::PROGRAM.to_owned(),
            pid: std::process::id(),
            since: self.since,
            refused: self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            alerts: self.alerts.alerts(),
            sinks: self.alerts.sinks(),
            lag: self.watched().lag,
            protection: self.watched().protection,
            space: *self.space.lock().unwrap_or_else(PoisonError::into_inner),
            tasks: self.scheduler().map_or_else(Vec::new, |scheduler| scheduler.view()),
            jobs: self.jobs().iter().map(|job| job.view()).collect(),
        }
    }
}

/// A client that would have worked elsewhere than the daemon does must not be told that it is done.
fn agree(own: &Settings, said: &[Said]) -> Result<(), Failure> {
    for Said { key, text, origin, is_flag } in said {
        let own = own.value(key);
        let differs = match own {
            Some(own) => !same_place(&own.text, text),
            None => *is_flag,
        };
        if differs {
            let own = own
                .map_or_else(|| "not set".to_owned(), |own| format!("`{}` (from {})", own.text, own.origin));
            return Err(Failure::Usage(format!(
                "{key} is `{text}` here (from {origin}), and {own} for the daemon that runs on this state directory: leave it out, or give another --state-dir"
            )));
        }
    }
    Ok(())
}

fn same_place(one: &str, other: &str) -> bool {
    let real = |text: &str| disk::absolute(std::path::Path::new(text)).ok();
    one == other || real(one).is_some_and(|one| real(other) == Some(one))
}

/// To the client and to the log.
struct Tee<'a> {
    client: &'a dyn Monitor,
    log: &'a Log,
}

impl Monitor for Tee<'_> {
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>) {
        self.client.begin(step, unit, total);
        self.log.begin(step, unit, total);
    }

    fn advance(&self, amount: u64) {
        self.client.advance(amount);
    }

    fn finding(&self, finding: &Finding) {
        self.client.finding(finding);
        self.log.finding(finding);
    }
}
