//! The one error of the test kit: what happened, where, and what to try.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Result of everything in this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What can go wrong with real servers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file operation failed.
    #[error("{doing} {}: {source}", path.display())]
    File { doing: &'static str, path: PathBuf, source: io::Error },
    /// A program that the kit needs is not installed.
    #[error("{what} not found; try: {try_command}")]
    Missing { what: String, try_command: String },
    /// A child process could not be started or ended badly.
    #[error("{program} failed ({outcome}); the end of its output:\n{output}")]
    Process { program: String, outcome: String, output: String },
    /// The server did not come up.
    #[error("server in {} {what}; the end of its log:\n{log}", home.display())]
    Start { home: PathBuf, what: String, log: String },
    /// The server is up but refused a database.
    #[error("database {database} is {status}: {message}\nthe end of the debug log:\n{log}")]
    Refused { database: String, status: String, message: String, log: String },
    /// Something did not happen in time.
    #[error("{what}: not within {waited:?}")]
    Timeout { what: String, waited: Duration },
    /// The server answered a question with an error.
    #[error("bolt: {doing}: {source}")]
    Bolt { doing: String, source: Box<neo4j::Neo4jError> },
    /// The workload met something that it does not understand: a defect of the kit or of the server.
    #[error("workload: {0}")]
    Workload(String),
    /// The judge answered something else than a report.
    #[error("judge: {0}")]
    Judge(String),
    /// The program under test ended otherwise than was required.
    #[error("grap {arguments}: {said}")]
    Program { arguments: String, said: String },
    /// A stored archive is not as its format says, or cannot be read.
    #[error("archive: {0}")]
    Archive(String),
    /// What was shown is not what is claimed.
    #[error("not as claimed: {0}")]
    Claim(String),
    /// A transaction log that should be whole is not.
    #[error("log {}: {what}", path.display())]
    Log { path: PathBuf, what: String },
}

impl Error {
    /// For `map_err`: names the operation and the path of a file error.
    pub fn file(doing: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_path_buf();
        move |source| Self::File { doing, path, source }
    }

    /// For `map_err`: names the question that a server failed to answer.
    pub fn bolt(doing: impl Into<String>) -> impl FnOnce(neo4j::Neo4jError) -> Self {
        let doing = doing.into();
        move |source| Self::Bolt { doing, source: Box::new(source) }
    }
}

/// The last `lines` lines of a text file; an explanation in its place when it cannot be read.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    match std::fs::read(path) {
        Ok(bytes) => last_lines(&String::from_utf8_lossy(&bytes), lines),
        Err(error) => format!("({}: {error})", path.display()),
    }
}

/// The last `lines` lines of a text.
pub(crate) fn last_lines(text: &str, lines: usize) -> String {
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}
