//! How long work reports: it counts and says, and never prints.

use std::sync::{Mutex, PoisonError};

/// What the numbers of a step count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    Bytes,
    Items,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Worth knowing.
    Info,
    /// Worth doing something about; the work goes on.
    Warning,
}

/// Something the operator should know that does not end the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub level: Level,
    pub text: String,
}

impl Finding {
    pub fn info(text: impl Into<String>) -> Self {
        Self { level: Level::Info, text: text.into() }
    }

    pub fn warning(text: impl Into<String>) -> Self {
        Self { level: Level::Warning, text: text.into() }
    }
}

/// The listener of one operation. Called from several threads; must not block.
pub trait Monitor: Send + Sync {
    /// A named step begins, and the one before it has ended. `total` is an estimate, in `unit`.
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>);
    /// The current step went on by so many of its units.
    fn advance(&self, amount: u64);
    fn finding(&self, finding: &Finding);
}

/// Hears nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Monitor for Silent {
    fn begin(&self, _: &str, _: Unit, _: Option<u64>) {}
    fn advance(&self, _: u64) {}
    fn finding(&self, _: &Finding) {}
}

/// Keeps what it hears, for tests and for reports.
#[derive(Debug, Default)]
pub struct Collected {
    steps: Mutex<Vec<String>>,
    findings: Mutex<Vec<Finding>>,
}

impl Collected {
    pub fn steps(&self) -> Vec<String> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn findings(&self) -> Vec<Finding> {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Monitor for Collected {
    fn begin(&self, step: &str, _: Unit, _: Option<u64>) {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner).push(step.to_owned());
    }

    fn advance(&self, _: u64) {}

    fn finding(&self, finding: &Finding) {
        self.findings.lock().unwrap_or_else(PoisonError::into_inner).push(finding.clone());
    }
}
