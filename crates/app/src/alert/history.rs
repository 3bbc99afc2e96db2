//! The journal of alerts: what happened, and what each sink was told of it.
//!
//! Folded, it gives the open alerts and what waits for each sink. Only that sum counts: the journal is folded when the
//! daemon starts, and when it has become long.

use std::collections::{BTreeMap, BTreeSet};

use grap::state::{SetAside, StateDirectory, StateError};
use grap_core::{AlertEvent, Alerts, Outbox};
use grap_disk::{Journal, JournalError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Lines.
const LONG: usize = 1000;

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "snake_case")]
enum Entry {
    /// So many events have happened.
    Counted {
        number: u64,
    },
    Happened {
        event: AlertEvent,
    },
    Told {
        sink: String,
        number: u64,
    },
    /// From here on the sink is told; that has happened before and waits for it.
    Waiting {
        sink: String,
        events: Vec<AlertEvent>,
    },
}

pub(super) struct History {
    journal: Journal,
    lines: usize,
}

/// What a journal comes to.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) alerts: Alerts,
    /// By the name of the sink.
    pub(super) outboxes: BTreeMap<String, Outbox>,
}

impl History {
    /// One that cannot be read keeps no daemon from its work: it is set aside, and a new one begins.
    pub(super) fn open(
        state: &StateDirectory,
        now: Timestamp,
    ) -> Result<(Self, Folded, Option<SetAside>), StateError> {
        let journal = Journal::new(state.root().join("alerts.journal"), "alerts");
        let read = || Ok(journal.entries()?);
        let (entries, aside) = SetAside::or_begin(&journal, now, |_: &[Entry]| true, read)?;
        let folded = Folded::of(&entries);
        Ok((Self { journal, lines: entries.len() }, folded, aside))
    }

    pub(super) fn happened(&mut self, event: &AlertEvent) -> Result<(), JournalError> {
        self.append(&Entry::Happened { event: event.clone() })
    }

    pub(super) fn told(&mut self, sink: &str, number: u64) -> Result<(), JournalError> {
        self.append(&Entry::Told { sink: sink.to_owned(), number })
    }

    pub(super) fn is_long(&self) -> bool {
        self.lines >= LONG
    }

    /// Put in the place of the journal what it comes to.
    pub(super) fn fold(
        &mut self,
        alerts: &Alerts,
        waiting: Vec<(&str, Vec<AlertEvent>)>,
    ) -> Result<(), JournalError> {
        let mut entries = vec![Entry::Counted { number: alerts.last_number() }];
        entries.extend(alerts.reminders().into_iter().map(|event| Entry::Happened { event }));
        let wait = |(sink, events): (&str, _)| Entry::Waiting { sink: sink.to_owned(), events };
        entries.extend(waiting.into_iter().map(wait));
        self.journal.rewrite(&entries)?;
        self.lines = entries.len();
        Ok(())
    }

    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        self.lines += 1;
        self.journal.append(entry)
    }
}

impl Folded {
    fn of(entries: &[Entry]) -> Self {
        let mut told: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for entry in entries {
            if let Entry::Told { sink, number } = entry {
                told.entry(sink).or_default().insert(*number);
            }
        }
        let was_told = |sink: &str, event: &AlertEvent| {
            told.get(sink).is_some_and(|numbers| numbers.contains(&event.number))
        };
        let add = |sink: &str, outbox: &mut Outbox, event: &AlertEvent| {
            if was_told(sink, event) { outbox.heard(event) } else { outbox.push(event.clone()) }
        };
        let mut folded = Self::default();
        for entry in entries {
            match entry {
                Entry::Counted { number } => folded.alerts.count_from(*number),
                Entry::Happened { event } => {
                    folded.alerts.apply(event);
                    for (sink, outbox) in &mut folded.outboxes {
                        add(sink, outbox, event);
                    }
                }
                Entry::Waiting { sink, events } => {
                    let outbox = folded.outboxes.entry(sink.clone()).or_default();
                    *outbox = Outbox::default();
                    for event in events {
                        add(sink, outbox, event);
                    }
                }
                Entry::Told { .. } => {}
            }
        }
        folded
    }
}
