//! The words that go over the socket of `grap supervise`, and the asking end of it.
//!
//! One line of JSON asks, one line of JSON answers; a connection may ask several times. The page for people:
//! `docs/supervise.md`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap_disk::{self as disk, DiskError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ControlError;

/// Longest line of a question, its end included.
pub const QUESTION_MAX: usize = 4096;
const ANSWER_MAX: u64 = 64 << 10;
/// It answers at once, whatever the server does.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SupervisorQuestion {
    pub verb: SupervisorVerb,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorVerb {
    Status,
    /// SIGTERM, after the grace SIGKILL; it stays stopped until it is told to start.
    Stop,
    Start,
    /// A stop, and a start behind it.
    Restart,
    /// SIGKILL now; only while it is being stopped.
    Kill,
}

impl SupervisorVerb {
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Stop => "stop",
            Self::Start => "start",
            Self::Restart => "restart",
            Self::Kill => "kill",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SupervisorAnswer {
    Status(SupervisorStatus),
    Refused { error: SupervisorRefusal },
}

/// How it stands once the question is taken; what was asked for comes later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorStatus {
    pub state: SupervisorState,
    /// Of the command that it runs.
    pub pid: Option<u32>,
    /// In this state.
    pub since: Timestamp,
    /// Starts behind an end that nobody asked for.
    pub restarts: u64,
    /// Bolt has answered since the start.
    pub ready: bool,
    /// Why it is so, where there is something to say.
    pub message: Option<String>,
    /// Whose server it is, where it knows that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stores: Option<SupervisedStores>,
}

/// The directory `databases` of a data directory. It may be seen at another path from another container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisedStores {
    pub path: PathBuf,
    pub inode: u64,
    /// Nanoseconds since 1970, where the file system keeps the time of birth.
    pub born: Option<i64>,
}

impl SupervisedStores {
    /// `None`: it is not there.
    pub fn of(data: &Path) -> Result<Option<Self>, DiskError> {
        let path = data.join("databases");
        let found = disk::stat(&path)?;
        Ok(found.map(|found| {
            let born = found.born.and_then(|born| i64::try_from(born).ok());
            Self { path, inode: found.inode, born }
        }))
    }

    /// What cannot be compared is not told apart.
    pub(super) fn is_of(&self, data: &Path) -> Result<bool, DiskError> {
        let Some(ours) = Self::of(data)? else { return Ok(true) };
        let is_born_then = self.born.zip(ours.born).is_none_or(|(theirs, ours)| theirs == ours);
        Ok(self.inode == ours.inode && is_born_then)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SupervisorState {
    /// It runs, and Bolt has not answered yet.
    Starting,
    Running,
    Stopping,
    Stopped,
    /// It has ended by itself, and is started again after a pause.
    BackingOff,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorRefusal {
    /// As in docs/errors.md.
    pub code: String,
    pub message: String,
}

/// Ask it one thing.
pub fn ask(socket: &Path, verb: SupervisorVerb) -> Result<SupervisorStatus, ControlError> {
    let silent = |source| ControlError::SupervisorSilent { socket: socket.to_owned(), source };
    match exchange(socket, verb).map_err(silent)? {
        SupervisorAnswer::Status(status) => Ok(status),
        SupervisorAnswer::Refused { error } => {
            let said = format!("{} [{}]", error.message, error.code);
            Err(ControlError::SupervisorRefuses { socket: socket.to_owned(), verb, said })
        }
    }
}

fn exchange(socket: &Path, verb: SupervisorVerb) -> io::Result<SupervisorAnswer> {
    let stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut question = serde_json::to_vec(&SupervisorQuestion { verb })?;
    question.push(b'\n');
    (&stream).write_all(&question)?;
    let mut line = String::new();
    BufReader::new(stream.take(ANSWER_MAX)).read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection"));
    }
    Ok(serde_json::from_str(&line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_what_the_page_says() {
        let question = serde_json::to_string(&SupervisorQuestion { verb: SupervisorVerb::Status }).unwrap();
        assert_eq!(question, r#"{"verb":"status"}"#);
        let answer = r#"{"state":"backing_off","pid":null,"since":"2026-11-26T10:00:00Z","restarts":3,"ready":false,"message":"it ended with status 1"}"#;
        let parsed: SupervisorAnswer = serde_json::from_str(answer).unwrap();
        let SupervisorAnswer::Status(status) = &parsed else { panic!("{parsed:?}") };
        assert_eq!((status.state, status.restarts), (SupervisorState::BackingOff, 3));
        assert_eq!(serde_json::to_string(&parsed).unwrap(), answer);
        let refused = r#"{"error":{"code":"USAGE","message":"no"}}"#;
        assert!(matches!(serde_json::from_str(refused).unwrap(), SupervisorAnswer::Refused { .. }));
        assert!(serde_json::from_str::<SupervisorQuestion>(r#"{"verb":"rm"}"#).is_err());
    }
}
