//! What one sink still has to be told.
//!
//! It holds at most an all-clear and one more event of each key, so a sink that is dead for a year and an alert that
//! comes and goes every minute fill no memory: what is superseded is dropped. An all-clear of an alert that the sink
//! has never heard of cancels both.
//!
//! The event that is being told is left alone, for nobody knows whether it arrives: [`Outbox::failed`] says that it did
//! not, [`Outbox::told`] that it did.

use super::{AlertChange, AlertEvent};

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outbox {
    waiting: Vec<AlertEvent>,
    /// The number of the first one, while it is being told.
    telling: Option<u64>,
}

impl Outbox {
    pub fn waiting(&self) -> &[AlertEvent] {
        &self.waiting
    }

    pub fn push(&mut self, event: AlertEvent) {
        let of_key = |other: &AlertEvent| other.key == event.key && Some(other.number) != self.telling;
        let find = |change: AlertChange| {
            self.waiting.iter().position(|other| of_key(other) && other.change == change)
        };
        let raised = find(AlertChange::Raised);
        let update = find(AlertChange::Escalated).or_else(|| find(AlertChange::Repeated));
        let mut event = event;
        match event.change {
            AlertChange::Raised => {}
            AlertChange::Cleared => {
                if let Some(raised) = raised {
                    self.waiting.remove(raised);
                    return;
                }
                if let Some(update) = update {
                    self.waiting.remove(update);
                }
            }
            // The newer text, as the stronger change.
            AlertChange::Escalated | AlertChange::Repeated => {
                if let Some(before) = raised.or(update) {
                    let before = self.waiting.remove(before).change;
                    if before != AlertChange::Repeated {
                        event.change = before;
                    }
                }
            }
        }
        self.waiting.push(event);
    }

    /// The sink was told this event before: what waited of its key was before it.
    pub fn heard(&mut self, event: &AlertEvent) {
        self.waiting.retain(|waiting| waiting.key != event.key);
    }

    /// The next to be told.
    pub fn begin(&mut self) -> Option<AlertEvent> {
        let first = self.waiting.first()?;
        self.telling = Some(first.number);
        Some(first.clone())
    }

    /// The event of this number has arrived.
    pub fn told(&mut self, number: u64) {
        self.waiting.retain(|event| event.number != number);
        self.telling = self.telling.filter(|telling| *telling != number);
    }

    /// It has not: what has come since may have made it pointless.
    pub fn failed(&mut self) {
        self.telling = None;
        for event in std::mem::take(&mut self.waiting) {
            self.push(event);
        }
    }
}
