//! Alerts, told: to the log at once, to the exec hook and the webhook by a thread each.
//!
//! - Whoever raises an alert never waits for a sink. Each sink has a queue ([`Outbox`]), and is tried again with longer
//!   and longer waits until it takes what is first in it, or that has become pointless.
//! - What happened, and what each sink was told, is a journal in the state directory: a daemon that is started again
//!   goes on where it was. Where the journal cannot be written (its disk may be the one that is full) the alert goes out
//!   all the same, and the log says so.
//! - A sink that fails is itself something to be seen: [`SinkView`].

mod exec;
mod history;
mod sink;
mod webhook;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use grap::state::{StateDirectory, StateError};
use grap_core::{AlertChange, AlertEvent, AlertLevel, Alerts, Outbox};
use grap_disk::JournalError;
use grap_task::{Clock, Level, Stop};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use history::History;
pub(crate) use sink::{Origin, Sink};

/// How often it is looked whether an alert is to be told again.
const LOOK_EVERY: Duration = Duration::from_mins(1);
/// A sink that failed is tried again after these, and then after the last of them again and again.
const TRY_AGAIN: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_mins(1),
    Duration::from_mins(5),
    Duration::from_mins(10),
];
/// Of those waits, one part in so many: tests have no patience.
const HASTE: u32 = if cfg!(test) { 100 } else { 1 };

/// Where the log is.
pub(crate) type Tell = Arc<dyn Fn(Level, &str) + Send + Sync>;

/// An open alert, as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AlertView {
    pub(crate) key: String,
    pub(crate) level: AlertLevel,
    pub(crate) message: String,
    pub(crate) since: Timestamp,
}

/// How a sink does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SinkView {
    /// `exec`, `webhook`.
    pub(crate) sink: String,
    /// Since when it has taken nothing, and why the last try failed.
    pub(crate) failing_since: Option<Timestamp>,
    pub(crate) last_error: Option<String>,
    /// Events that it has not been told.
    pub(crate) waiting: usize,
}

/// The one place where alerts are raised and cleared.
pub(crate) struct AlertCenter {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Shared {
    clock: Clock,
    tell: Tell,
    state: Mutex<State>,
    /// Something may be waiting, or the threads are to end.
    changed: Condvar,
}

struct State {
    alerts: Alerts,
    history: History,
    sinks: Vec<Queue>,
    /// Threads of an earlier generation end.
    generation: u64,
    stop: Stop,
}

/// A sink and what it still has to be told.
struct Queue {
    sink: Sink,
    outbox: Outbox,
    failing_since: Option<Timestamp>,
    last_error: Option<String>,
}

impl AlertCenter {
    /// Go on where the last one was.
    pub(crate) fn open(
        state: &StateDirectory,
        sinks: Vec<Sink>,
        clock: Clock,
        tell: Tell,
    ) -> Result<Self, StateError> {
        let (history, folded, aside) = History::open(state, clock.now())?;
        if let Some(aside) = aside {
            tell(Level::Warning, &aside.to_string());
        }
        let state =
            State { alerts: folded.alerts, history, sinks: Vec::new(), generation: 0, stop: Stop::new() };
        let shared = Arc::new(Shared { clock, tell, state: Mutex::new(state), changed: Condvar::new() });
        let center = Self { shared, threads: Mutex::default() };
        center.set_sinks(sinks, &|sink| folded.outboxes.get(sink).cloned());
        Ok(center)
    }

    /// The situation is there. Cheap where that is known; never waits for a sink.
    pub(crate) fn raise(&self, key: &str, level: AlertLevel, message: &str) {
        let mut state = self.shared.lock();
        let now = self.shared.clock.now();
        let event = state.alerts.raise(key, level, message, now);
        self.shared.happen(&mut state, event);
    }

    /// The situation is over, if it was there.
    pub(crate) fn clear(&self, key: &str) {
        let mut state = self.shared.lock();
        let event = state.alerts.clear(key, self.shared.clock.now());
        self.shared.happen(&mut state, event);
    }

    /// Every open alert, by key.
    pub(crate) fn alerts(&self) -> Vec<AlertView> {
        let view = |(key, alert): (&str, &grap_core::OpenAlert)| AlertView {
            key: key.to_owned(),
            level: alert.level,
            message: alert.message.clone(),
            since: alert.since,
        };
        self.shared.lock().alerts.open().map(view).collect()
    }

    pub(crate) fn sinks(&self) -> Vec<SinkView> {
        let view = |queue: &Queue| SinkView {
            sink: queue.sink.name().to_owned(),
            failing_since: queue.failing_since,
            last_error: queue.last_error.clone(),
            waiting: queue.outbox.waiting().len(),
        };
        self.shared.lock().sinks.iter().map(view).collect()
    }

    /// The settings were read anew. What a sink of the same kind has not been told waits for the new one.
    pub(crate) fn replace_sinks(&self, sinks: Vec<Sink>) {
        let outboxes: Vec<(&'static str, Outbox)> = {
            let mut state = self.shared.lock();
            state.sinks.drain(..).map(|queue| (queue.sink.name(), queue.outbox)).collect()
        };
        let known = |name: &str| {
            let found = outboxes.iter().find(|(sink, _)| *sink == name);
            found.map(|(_, outbox)| {
                let mut outbox = outbox.clone();
                // Its thread ends; whether it is told what it is being told now nobody waits for.
                outbox.failed();
                outbox
            })
        };
        self.set_sinks(sinks, &known);
    }

    /// A sink that was not there before is told what is open.
    fn set_sinks(&self, sinks: Vec<Sink>, known: &dyn Fn(&str) -> Option<Outbox>) {
        let mut state = self.shared.lock();
        state.stop.request();
        state.stop = Stop::new();
        state.generation += 1;
        let reminders = state.alerts.reminders();
        let all_open = || {
            let mut outbox = Outbox::default();
            for event in &reminders {
                outbox.push(event.clone());
            }
            outbox
        };
        state.sinks = sinks
            .into_iter()
            .map(|sink| {
                let outbox = known(sink.name()).unwrap_or_else(all_open);
                Queue { sink, outbox, failing_since: None, last_error: None }
            })
            .collect();
        self.shared.fold(&mut state);
        let (names, generation, stop) = (
            state.sinks.iter().map(|queue| queue.sink.name()).collect(),
            state.generation,
            state.stop.clone(),
        );
        drop(state);
        self.shared.changed.notify_all();
        self.start_threads(names, generation, &stop);
    }

    fn start_threads(&self, names: Vec<&'static str>, generation: u64, stop: &Stop) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of the generation before have been told; a hook that hangs is killed by its time limit.
        threads.retain(|thread| !thread.is_finished());
        let mut start = |name: String, run: Box<dyn FnOnce(&Shared) + Send>| {
            let shared = Arc::clone(&self.shared);
            match std::thread::Builder::new().name(name).spawn(move || run(&shared)) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    (self.shared.tell)(Level::Warning, &format!("alerts cannot be sent: no thread: {error}"));
                }
            }
        };
        for name in names {
            let stop = stop.clone();
            start(format!("alert-{name}"), Box::new(move |shared| shared.deliver(name, generation, &stop)));
        }
        let stop = stop.clone();
        start("alert-clock".to_owned(), Box::new(move |shared| shared.repeat(generation, &stop)));
    }

    /// Let the threads end; what a sink has not been told stays in the journal.
    fn end(&self) {
        {
            let mut state = self.shared.lock();
            state.generation += 1;
            state.stop.request();
        }
        self.shared.changed.notify_all();
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for AlertCenter {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Persist, apply, tell.
    fn happen(&self, state: &mut State, event: Option<AlertEvent>) {
        let Some(event) = event else { return };
        self.note(state.history.happened(&event));
        state.alerts.apply(&event);
        (self.tell)(log_level(&event), &log_line(&event));
        for queue in &mut state.sinks {
            queue.outbox.push(event.clone());
        }
        if state.history.is_long() {
            self.fold(state);
        }
        self.changed.notify_all();
    }

    /// Put the sum in the place of the journal.
    fn fold(&self, state: &mut State) {
        let waiting = state.sinks.iter().map(|queue| (queue.sink.name(), queue.outbox.waiting()));
        let waiting: Vec<(&str, Vec<AlertEvent>)> =
            waiting.map(|(name, events)| (name, events.to_vec())).collect();
        let folded = state.history.fold(&state.alerts, waiting);
        self.note(folded);
    }

    fn note(&self, result: Result<(), JournalError>) {
        if let Err(error) = result {
            let text = format!("an alert could not be noted ({error}): it may be told again after a restart");
            (self.tell)(Level::Warning, &text);
        }
    }

    /// Tell again, once a day, what lasts.
    fn repeat(&self, generation: u64, stop: &Stop) {
        while !stop.wait(LOOK_EVERY) {
            let mut state = self.lock();
            while state.generation == generation
                && let Some(event) = state.alerts.due(self.clock.now())
            {
                self.happen(&mut state, Some(event));
            }
        }
    }

    /// The thread of a sink.
    fn deliver(&self, name: &'static str, generation: u64, stop: &Stop) {
        let mut failures = 0_usize;
        while let Some((sink, event)) = self.next(name, generation) {
            let sent = sink.send(&event, stop);
            if !self.sent(name, generation, &event, sent) {
                failures = 0;
                continue;
            }
            let wait = TRY_AGAIN[failures.min(TRY_AGAIN.len() - 1)] / HASTE;
            failures += 1;
            if stop.wait(wait) {
                return;
            }
        }
    }

    /// Wait for the next event of a sink; `None`: the sinks are others now, or all is to end.
    fn next(&self, name: &str, generation: u64) -> Option<(Sink, AlertEvent)> {
        let mut state = self.lock();
        loop {
            if state.generation != generation {
                return None;
            }
            let queue = state.sinks.iter_mut().find(|queue| queue.sink.name() == name)?;
            if let Some(event) = queue.outbox.begin() {
                return Some((queue.sink.clone(), event));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Note how it went; says whether it failed.
    fn sent(&self, name: &str, generation: u64, event: &AlertEvent, sent: Result<(), String>) -> bool {
        let mut state = self.lock();
        let State { sinks, history, generation: current, .. } = &mut *state;
        let queue = sinks.iter_mut().find(|queue| queue.sink.name() == name);
        let Some(queue) = queue.filter(|_| *current == generation || sent.is_ok()) else { return true };
        match sent {
            Ok(()) => {
                queue.outbox.told(event.number);
                let was_failing = queue.failing_since.take();
                queue.last_error = None;
                let noted = history.told(name, event.number);
                if was_failing.is_some() {
                    (self.tell)(Level::Info, &format!("the alert sink {name} takes alerts again"));
                }
                self.note(noted);
                false
            }
            Err(why) => {
                queue.outbox.failed();
                if queue.failing_since.is_none() {
                    queue.failing_since = Some(self.clock.now());
                }
                if queue.last_error.as_ref() != Some(&why) {
                    (self.tell)(
                        Level::Warning,
                        &format!("the alert sink {name} fails: {why}; it is tried again"),
                    );
                }
                queue.last_error = Some(why);
                true
            }
        }
    }
}

fn log_level(event: &AlertEvent) -> Level {
    if event.change == AlertChange::Cleared { Level::Info } else { Level::Warning }
}

fn log_line(event: &AlertEvent) -> String {
    let AlertEvent { change, key, level, message, .. } = event;
    match change {
        AlertChange::Cleared => format!("over: {key} (it was: {message})"),
        AlertChange::Raised => format!("{level} alert {key}: {message}"),
        AlertChange::Escalated | AlertChange::Repeated => {
            format!("{level} alert {key} ({change}): {message}")
        }
    }
}

#[cfg(test)]
mod tests;
