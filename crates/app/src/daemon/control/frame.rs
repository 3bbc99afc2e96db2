//! The lines that go over the control socket, version 1: documented in `docs/serve.md`.

use std::io::{self, BufRead, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::cli::{Common, Verb};
use crate::daemon::status::DaemonStatus;

pub(super) const VERSION: u32 = 1;

/// A question is a command line; an answer holds at most what a verb prints at once.
pub(super) const QUESTION_MAX: u64 = 1 << 20;
pub(super) const ANSWER_MAX: u64 = 256 << 20;

/// The first line of a client.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Question {
    pub(super) version: u32,
    /// Name and version of the client's program.
    pub(super) program: String,
    pub(super) ask: serde_json::Value,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Ask {
    Status,
    Run(Box<RunRequest>),
}

/// A command line that changes something.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RunRequest {
    pub(crate) common: Common,
    pub(crate) verb: Verb,
    /// Where the client would have worked: these must be the daemon's own.
    pub(crate) said: Vec<Said>,
}

/// A setting of the client that is no default.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) key: String,
    pub(crate) text: String,
    /// `--repo`, `$GRAP_REPO`, a file.
    pub(crate) origin: String,
    pub(crate) is_flag: bool,
}

/// What a client may say later: that its operation is to stop.
pub(super) const STOP: &str = "\"stop\"";

/// A line of the answer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Frame {
    /// The question was understood; what comes now may take long.
    Accepted,
    Begin {
        step: String,
        bytes: bool,
        total: Option<u64>,
    },
    Advance(u64),
    Finding {
        warning: bool,
        text: String,
    },
    /// For standard output.
    Print(String),
    Status(Box<DaemonStatus>),
    /// The only line: nothing was begun.
    Refused {
        /// As in docs/errors.md.
        code: String,
        message: String,
    },
    /// The last one. `error` is for standard error.
    End {
        status: u8,
        error: String,
    },
}

pub(super) fn write_line(stream: &mut impl Write, line: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    stream.write_all(&text)
}

/// Lines of a stream, at most so long; what was read of a line survives a wait that ran out.
pub(super) struct Lines<R> {
    stream: R,
    line: Vec<u8>,
    longest: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(stream: R, longest: u64) -> Self {
        Self { stream, line: Vec::new(), longest }
    }

    /// The next line without its end; `None`: the other side has closed.
    pub(super) fn next(&mut self) -> io::Result<Option<String>> {
        let room = (self.longest + 1).saturating_sub(self.line.len() as u64);
        (&mut self.stream).take(room).read_until(b'\n', &mut self.line)?;
        if self.line.last() != Some(&b'\n') {
            let why = match self.line.len() as u64 {
                0 => return Ok(None),
                length if length > self.longest => "a line is too long",
                _ => "it ends within a line",
            };
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        self.line.pop();
        let line = String::from_utf8(std::mem::take(&mut self.line));
        line.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a line is no text"))
    }
}

pub(super) fn parse<T: DeserializeOwned>(line: &str) -> io::Result<T> {
    Ok(serde_json::from_str(line)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_whole() {
        let mut lines = Lines::new(&b"one\ntwo\n"[..], 3);
        assert_eq!(lines.next().unwrap().as_deref(), Some("one"));
        assert_eq!(lines.next().unwrap().as_deref(), Some("two"));
        assert_eq!(lines.next().unwrap(), None);
        assert!(Lines::new(&b"four\n"[..], 3).next().is_err());
        assert!(Lines::new(&b"torn"[..], 9).next().is_err());
        assert!(Lines::new(&b"\xff\n"[..], 9).next().is_err());
    }
}
