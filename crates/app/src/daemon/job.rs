//! A supervised job: one thread that runs one operation, started again when it ends.
//!
//! - However a run ends, with an error or in a panic, it takes nothing else with it: the run has a thread of its own,
//!   and its end is looked at from another.
//! - It is started again after a wait that doubles from a second to five minutes; a run that went well for a minute
//!   begins the waits anew.
//! - A run that only an operator can help (another installation writes for the source) is not repeated: the job stands
//!   `stopped` until it is told to start anew.
//! - Told to end, it asks the run to stop and waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap_task::{Clock, Stop};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::log::Log;

/// Between two runs, at first and at most.
const BACK_OFF_MIN: Duration = Duration::from_secs(1);
const BACK_OFF_MAX: Duration = Duration::from_mins(5);
/// A run of this length went well, whatever ended it.
const WENT_WELL: Duration = Duration::from_mins(1);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// Without an error.
    Done,
    Failed(JobError),
    /// Only an operator can help.
    Refused(JobError),
    /// By the settings there is nothing to do.
    Off,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobError {
    /// As in docs/errors.md; `PANIC` for a fault of the program.
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum JobState {
    Running,
    /// Until it is tried again.
    Waiting,
    /// Until an operator has done something about it.
    Stopped,
    /// Until the settings say otherwise.
    Off,
    Ended,
}

/// What is shown of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JobView {
    pub(crate) name: String,
    pub(crate) state: JobState,
    pub(crate) since: Timestamp,
    /// How often it was started again.
    pub(crate) restarts: u64,
    pub(crate) last_error: Option<JobError>,
}

/// What a run does until its stop.
pub(crate) type Work = Arc<dyn Fn(&Stop) -> RunEnd + Send + Sync>;

pub(crate) struct Job {
    name: &'static str,
    work: Work,
    log: Log,
    clock: Clock,
    control: Mutex<Control>,
    changed: Condvar,
}

struct Control {
    state: JobState,
    since: Timestamp,
    restarts: u64,
    last_error: Option<JobError>,
    /// Of the present run.
    stop: Stop,
    ending: bool,
    /// Run anew at once.
    anew: bool,
}

impl Job {
    pub(crate) fn new(name: &'static str, log: &Log, clock: &Clock, work: Work) -> Arc<Self> {
        let control = Control {
            state: JobState::Waiting,
            since: clock.now(),
            restarts: 0,
            last_error: None,
            stop: Stop::new(),
            ending: false,
            anew: false,
        };
        let (log, clock) = (log.of(name), clock.clone());
        Arc::new(Self { name, work, log, clock, control: Mutex::new(control), changed: Condvar::new() })
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Run it in a thread of its own until [`Job::end`].
    pub(crate) fn start(self: &Arc<Self>) -> std::io::Result<JoinHandle<()>> {
        let job = Arc::clone(self);
        std::thread::Builder::new().name(format!("{}-supervisor", self.name)).spawn(move || job.supervise())
    }

    /// Ask the run to stop, and start no other.
    pub(crate) fn end(&self) {
        let mut control = self.lock();
        control.ending = true;
        control.stop.request();
        self.changed.notify_all();
    }

    /// Ask the run to stop, and start another: settings have changed, or an operator has helped.
    pub(crate) fn start_anew(&self) {
        let mut control = self.lock();
        control.anew = true;
        control.stop.request();
        self.changed.notify_all();
    }

    pub(crate) fn view(&self) -> JobView {
        let control = self.lock();
        JobView {
            name: self.name.to_owned(),
            state: control.state,
            since: control.since,
            restarts: control.restarts,
            last_error: control.last_error.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn supervise(&self) {
        let mut back_off = BACK_OFF_MIN;
        let mut first = true;
        while let Some(stop) = self.begin(first) {
            first = false;
            let began = self.clock.since_boot();
            let end = self.run(&stop);
            if self.clock.since_boot().saturating_sub(began) >= WENT_WELL {
                back_off = BACK_OFF_MIN;
            }
            let wait = self.note(end, back_off);
            back_off = (back_off * 2).min(BACK_OFF_MAX);
            if self.wait(wait) {
                back_off = BACK_OFF_MIN;
            }
        }
        self.set(JobState::Ended);
    }

    /// The stop of a new run; `None`: there is to be no other.
    fn begin(&self, first: bool) -> Option<Stop> {
        let mut control = self.lock();
        if control.ending {
            return None;
        }
        control.anew = false;
        control.stop = Stop::new();
        control.restarts += u64::from(!first);
        let stop = control.stop.clone();
        drop(control);
        self.set(JobState::Running);
        Some(stop)
    }

    fn set(&self, state: JobState) {
        let mut control = self.lock();
        control.state = state;
        control.since = self.clock.now();
    }

    /// A panic ends the thread of the run, and is found when it is joined.
    fn run(&self, stop: &Stop) -> RunEnd {
        let (work, stop) = (Arc::clone(&self.work), stop.clone());
        let thread = std::thread::Builder::new().name(self.name.to_owned()).spawn(move || work(&stop));
        let failed = |code: &str, message: String| {
            RunEnd::Failed(JobError { code: code.to_owned(), message, at: self.clock.now() })
        };
        match thread.map(JoinHandle::join) {
            Ok(Ok(end)) => end,
            Ok(Err(panic)) => failed("PANIC", panic_message(panic.as_ref())),
            Err(error) => failed("FILE_FAILED", format!("cannot start a thread: {error}")),
        }
    }

    /// How long to wait before the next run; `None`: until an operator says so.
    fn note(&self, end: RunEnd, back_off: Duration) -> Option<Duration> {
        let (state, error, wait) = match end {
            RunEnd::Done => (JobState::Waiting, None, Some(back_off)),
            RunEnd::Failed(error) => (JobState::Waiting, Some(error), Some(back_off)),
            RunEnd::Refused(error) => (JobState::Stopped, Some(error), None),
            RunEnd::Off => (JobState::Off, None, None),
        };
        let ending = self.lock().ending;
        if let Some(error) = error {
            let next = match wait {
                _ if ending => String::new(),
                Some(wait) => format!("; tried again in {} s", wait.as_secs()),
                None => "; it is not started again before an operator has looked at it".to_owned(),
            };
            self.log.error(&format!("error[{}]: {}{next}", error.code, error.message));
            self.lock().last_error = Some(error);
        }
        self.set(state);
        wait
    }

    /// `true`: an operator wants the next run now.
    fn wait(&self, longest: Option<Duration>) -> bool {
        let control = self.lock();
        let idle = |control: &mut Control| !control.ending && !control.anew;
        let control = match longest {
            None => self.changed.wait_while(control, idle).unwrap_or_else(PoisonError::into_inner),
            Some(longest) => {
                self.changed
                    .wait_timeout_while(control, longest, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        control.anew
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a message");
    format!("a fault of the program: {text}")
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Instant;

    use super::*;
    use crate::log::{LogFormat, LogLevel, LogStyle};

    fn job(work: impl Fn(&Stop) -> RunEnd + Send + Sync + 'static) -> Arc<Job> {
        let style = LogStyle { format: LogFormat::Text, level: LogLevel::Error };
        Job::new("test", &Log::new(style, Clock::System), &Clock::System, Arc::new(work))
    }

    fn error() -> JobError {
        JobError { code: "X".to_owned(), message: "y".to_owned(), at: Timestamp::UNIX_EPOCH }
    }

    fn eventually(mut done: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !done() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_panic_is_a_failed_run_and_the_next_one_comes() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let job = job(move |stop| {
            assert!(counted.fetch_add(1, Ordering::SeqCst) > 0, "the first run fails");
            stop.wait(Duration::from_mins(1));
            RunEnd::Done
        });
        let thread = job.start().unwrap();
        eventually(|| runs.load(Ordering::SeqCst) == 2);
        eventually(|| job.view().state == JobState::Running);
        let view = job.view();
        assert_eq!((view.restarts, view.last_error.unwrap().code.as_str()), (1, "PANIC"));
        job.end();
        thread.join().unwrap();
        assert_eq!(job.view().state, JobState::Ended);
    }

    #[test]
    fn who_was_refused_waits_for_an_operator() {
        let runs = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&runs);
        let job = job(move |_| {
            counted.fetch_add(1, Ordering::SeqCst);
            RunEnd::Refused(error())
        });
        let thread = job.start().unwrap();
        eventually(|| job.view().state == JobState::Stopped);
        std::thread::sleep(BACK_OFF_MIN + Duration::from_millis(500));
        assert_eq!(runs.load(Ordering::SeqCst), 1);
        job.start_anew();
        eventually(|| runs.load(Ordering::SeqCst) == 2 && job.view().state == JobState::Stopped);
        job.end();
        thread.join().unwrap();
    }

    #[test]
    fn the_end_stops_a_run_and_a_wait() {
        let job = job(|stop| {
            stop.wait(Duration::from_mins(1));
            RunEnd::Failed(error())
        });
        let thread = job.start().unwrap();
        eventually(|| job.view().state == JobState::Running);
        job.end();
        thread.join().unwrap();
    }
}
