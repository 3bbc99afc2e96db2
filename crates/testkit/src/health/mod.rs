//! The campaigns that show what `grap health` is worth: the shipped program, asked again and again while a real server is
//! under load, and asked once for each thing that can be wrong. The long runs are the bin `health`.
//!
//! - [`churn`]: writers, and indexes and constraints that come and go all the time; not one false alarm.
//! - [`peers`]: peers that accept and never answer, answer half, die in the middle: told within the limit of the check.
//! - [`faults`]: what is wrong on a real server that goes on answering, and one that does not.
//! - [`full`]: the file system of the server is full.
//! - [`speed`]: a million nodes.

pub mod churn;
pub mod faults;
pub mod full;
pub mod peers;
pub mod speed;

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::pitr::require;
use crate::program::last_json;
use crate::{Grap, Server};

const CHECKS: [&str; 3] = ["connectivity", "schema_consistency", "orphan_detection"];
/// What a loaded machine may add to the limit of a check.
const GRACE: Duration = Duration::from_secs(1);
/// What starting and ending the program may take there.
const SLACK: Duration = Duration::from_secs(5);

/// `grap health`, and whom it asks.
#[derive(Debug, Clone)]
pub struct Asking {
    grap: Grap,
    uri: String,
    auth: String,
}

/// What one call said.
#[derive(Debug)]
pub struct Answer {
    /// The exit status; -1 when a signal ended it.
    pub status: i32,
    /// Of its error, where there is one.
    pub code: Option<String>,
    pub report: Value,
    /// Wall time of the whole program.
    pub took: Duration,
    /// Everything that it wrote.
    pub said: String,
}

impl Asking {
    /// Asks this server, as user `neo4j` where it has a password.
    pub fn of(grap: &Grap, server: &Server) -> Self {
        let auth = server.password().map_or_else(|| "none".to_owned(), |word| format!("neo4j/{word}"));
        Self { grap: grap.clone(), uri: server.bolt_uri(), auth }
    }

    #[must_use]
    pub fn at(mut self, uri: &str) -> Self {
        uri.clone_into(&mut self.uri);
        self
    }

    /// `user/password`, or `none`.
    #[must_use]
    pub fn as_user(mut self, auth: &str) -> Self {
        auth.clone_into(&mut self.auth);
        self
    }

    pub fn ask(&self, arguments: &[&str]) -> Result<Answer> {
        let mut command = self.grap.command();
        command.env("NEO4J_URI", &self.uri).env("NEO4J_AUTH", &self.auth);
        command.args(["--json", "health"]).args(arguments);
        let begun = Instant::now();
        let output = command.output().map_err(Error::file("run", &self.grap.binary))?;
        let took = begun.elapsed();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code =
            last_json(&output.stderr).and_then(|last| last["error"]["code"].as_str().map(str::to_owned));
        Ok(Answer {
            status: output.status.code().unwrap_or(-1),
            code,
            report: last_json(&output.stdout).unwrap_or_default(),
            took,
            said: format!("{}{}", text(&output.stdout), text(&output.stderr)),
        })
    }
}

impl Answer {
    /// Exit status 0 and nothing else, and every check passed.
    pub fn is_healthy(&self) -> bool {
        self.status == 0 && self.report["status"] == "healthy"
    }

    /// How long a check took, in milliseconds.
    pub fn milliseconds(&self, check: &str) -> f64 {
        self.report["checks"][check]["duration_ms"].as_f64().unwrap_or_default()
    }

    /// This check failed, none behind it was made, and the program ended with this code.
    fn require(&self, what: &str, check: &str, code: &str) -> Result<()> {
        let found = (self.report["checks"][check]["status"].as_str(), self.code.as_deref());
        require(found == (Some("fail"), Some(code)), || {
            format!("{what}: {check} should fail with {code}: {}", self.said)
        })
    }

    /// A finding of the check, or its message, has these words.
    fn require_word(&self, what: &str, check: &str, word: &str) -> Result<()> {
        let said = &self.report["checks"][check];
        require(said.to_string().contains(word), || format!("{what}: `{word}` is not said: {}", self.said))
    }

    /// The check ended within its limit, and the program soon after what all checks took.
    fn require_within(&self, what: &str, check: &str, limit: Duration) -> Result<()> {
        let (ms, took) = (self.milliseconds(check), self.took);
        let most = (limit + GRACE).as_secs_f64() * 1e3;
        require(ms <= most, || format!("{what}: {check} ended after {ms} ms, its limit is {limit:?}"))?;
        let all: f64 = CHECKS.iter().map(|check| self.milliseconds(check)).sum();
        let most = Duration::from_secs_f64(all / 1e3) + SLACK;
        require(took < most, || format!("{what}: told after {took:?}; the checks took {all:.0} ms"))
    }
}
