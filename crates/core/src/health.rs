//! How a database is, from checks that were made one after the other.
//!
//! - The checks come in a fixed order, cheapest first. After the first that failed no other is made: what it would say
//!   follows from the failure, or cannot be asked. It is [`CheckState::Skipped`], never passed.
//! - Healthy is only what was looked at: a report without checks, or with a skipped one, is not healthy.

use std::time::Duration;

/// How one check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckState {
    Pass,
    Fail,
    /// Not made, because one before it failed.
    Skipped,
}

impl CheckState {
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Skipped => "skipped",
        }
    }
}

/// What a check found: a sentence, and the objects that are wrong. It passed when there are none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckOutcome {
    pub message: String,
    pub findings: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    pub name: String,
    pub state: CheckState,
    pub message: String,
    /// Each names the object that is wrong.
    pub findings: Vec<String>,
    pub duration: Duration,
}

/// The checks in their order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checks(Vec<HealthCheck>);

impl Checks {
    /// Makes the next check, if none before it failed. `check` gives what it found, or why it could not be made, and
    /// how long it took.
    pub fn next(&mut self, name: &str, check: impl FnOnce() -> (Result<CheckOutcome, String>, Duration)) {
        let made = match self.failed() {
            Some(failed) => skipped(name, &failed.name),
            None => judged(name, check()),
        };
        self.0.push(made);
    }

    pub fn failed(&self) -> Option<&HealthCheck> {
        self.0.iter().find(|check| check.state == CheckState::Fail)
    }

    pub fn is_healthy(&self) -> bool {
        !self.0.is_empty() && self.0.iter().all(|check| check.state == CheckState::Pass)
    }

    pub fn iter(&self) -> impl Iterator<Item = &HealthCheck> {
        self.0.iter()
    }
}

fn skipped(name: &str, failed: &str) -> HealthCheck {
    HealthCheck {
        name: name.to_owned(),
        state: CheckState::Skipped,
        message: format!("not made, because {failed} failed"),
        findings: Vec::new(),
        duration: Duration::ZERO,
    }
}

fn judged(name: &str, (outcome, duration): (Result<CheckOutcome, String>, Duration)) -> HealthCheck {
    let (state, CheckOutcome { message, findings }) = match outcome {
        Ok(outcome) if outcome.findings.is_empty() => (CheckState::Pass, outcome),
        Ok(outcome) => (CheckState::Fail, outcome),
        Err(message) => (CheckState::Fail, CheckOutcome { message, findings: Vec::new() }),
    };
    HealthCheck { name: name.to_owned(), state, message, findings, duration }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn found(findings: &[&str]) -> (Result<CheckOutcome, String>, Duration) {
        let findings = findings.iter().map(|&finding| finding.to_owned()).collect();
        (Ok(CheckOutcome { message: "looked".to_owned(), findings }), SECOND)
    }

    #[test]
    fn healthy_is_what_passed_every_check() {
        let mut checks = Checks::default();
        assert!(!checks.is_healthy(), "nothing was looked at");
        checks.next("one", || found(&[]));
        checks.next("two", || found(&[]));
        assert!(checks.is_healthy());
        checks.next("three", || found(&["index x"]));
        assert!(!checks.is_healthy());
    }

    #[test]
    fn nothing_is_asked_behind_a_failure() {
        for failure in [found(&["index x"]), (Err("no answer".to_owned()), SECOND)] {
            let mut checks = Checks::default();
            checks.next("one", || failure);
            checks.next("two", || panic!("it must not be made"));
            let states: Vec<_> = checks.iter().map(|check| check.state).collect();
            assert_eq!(states, [CheckState::Fail, CheckState::Skipped]);
            assert_eq!(checks.failed().map(|check| check.name.as_str()), Some("one"));
            assert!(!checks.is_healthy());
        }
    }
}
