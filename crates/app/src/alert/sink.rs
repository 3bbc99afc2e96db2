//! Where alerts go, besides the log.

use grap_core::AlertEvent;
use grap_task::Stop;
use jiff::Timestamp;
use serde::Serialize;

use super::{exec, webhook};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sink {
    /// A command for sh.
    Exec { command: String, origin: Origin },
    /// A URL that is posted to. It may hold a secret: it is in no message.
    Webhook { url: String, origin: Origin },
}

/// Who tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) host: String,
    /// Name and version.
    pub(crate) program: String,
}

/// As it is sent: docs/alerts.md.
#[derive(Debug, Serialize)]
pub(super) struct Message<'a> {
    pub(super) schema_version: u32,
    pub(super) event: String,
    pub(super) key: &'a str,
    pub(super) level: String,
    #[serde(rename = "message")]
    pub(super) text: &'a str,
    pub(super) since: Timestamp,
    pub(super) at: Timestamp,
    pub(super) number: u64,
    pub(super) host: &'a str,
    pub(super) program: &'a str,
}

impl Sink {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Exec { .. } => "exec",
            Self::Webhook { .. } => "webhook",
        }
    }

    /// Tell one event, within a limit of time. The error says why it was not taken.
    pub(super) fn send(&self, event: &AlertEvent, stop: &Stop) -> Result<(), String> {
        match self {
            Self::Exec { command, origin } => exec::run(command, &Message::of(event, origin), stop),
            Self::Webhook { url, origin } => webhook::post(url, &Message::of(event, origin)),
        }
    }
}

impl<'a> Message<'a> {
    fn of(event: &'a AlertEvent, origin: &'a Origin) -> Self {
        Self {
            schema_version: 1,
            event: event.change.to_string(),
            key: &event.key,
            level: event.level.to_string(),
            text: &event.message,
            since: event.since,
            at: event.at,
            number: event.number,
            host: &origin.host,
            program: &origin.program,
        }
    }

    pub(super) fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a message is plain data")
    }
}
