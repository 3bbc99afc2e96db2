//! The log of what runs for long (`serve`, `supervise`): one line an entry on standard error, as text or as JSON.
//!
//! What operations report to their monitor goes here under the name of the job that runs them. Format and level can
//! change while the daemon runs; a log that cannot be written is no reason to fail.

use std::io::Write;
use std::sync::{Arc, PoisonError, RwLock};

use grap_task::{Clock, Finding, Level, Monitor, Unit};
use serde_json::json;

use crate::config::Settings;
use crate::failure::Failure;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

impl LogFormat {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("it is neither text nor json".to_owned()),
        }
    }
}

/// What is said from this level on; the later ones say more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Error,
    Warning,
    Info,
    Debug,
}

impl LogLevel {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "error" => Ok(Self::Error),
            "warn" | "warning" => Ok(Self::Warning),
            "info" => Ok(Self::Info),
            // There is nothing finer.
            "debug" | "trace" => Ok(Self::Debug),
            _ => Err("it is none of error, warn, info, debug".to_owned()),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Info => "info",
            Self::Debug => "debug",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogStyle {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

impl LogStyle {
    const DEFAULT: Self = Self { format: LogFormat::Text, level: LogLevel::Info };

    pub(crate) fn of(settings: &Settings) -> Result<Self, Failure> {
        let format = settings.parsed("log.format", LogFormat::parse)?;
        let level = settings.parsed("log.level", LogLevel::parse)?;
        Ok(Self {
            format: format.unwrap_or(Self::DEFAULT.format),
            level: level.unwrap_or(Self::DEFAULT.level),
        })
    }
}

/// Shared by every job; each writes whole lines.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    style: Arc<RwLock<LogStyle>>,
    clock: Clock,
    job: &'static str,
}

impl Log {
    pub(crate) fn new(style: LogStyle, clock: Clock) -> Self {
        Self { style: Arc::new(RwLock::new(style)), clock, job: "serve" }
    }

    /// Of the settings' style, for entries of this name. Where they make no sense it is written as by default, and says so.
    pub(crate) fn of_settings(settings: &Settings, name: &'static str) -> Self {
        let style = LogStyle::of(settings);
        let log = Self::new(*style.as_ref().unwrap_or(&LogStyle::DEFAULT), Clock::System).of(name);
        if let Err(failure) = style {
            log.error(&format!("the log is written as by default: {}", grap::in_one_line(&failure)));
        }
        log
    }

    /// The same log, for entries of this job.
    pub(crate) fn of(&self, job: &'static str) -> Self {
        Self { job, ..self.clone() }
    }

    pub(crate) fn restyle(&self, style: LogStyle) {
        *self.style.write().unwrap_or_else(PoisonError::into_inner) = style;
    }

    pub(crate) fn error(&self, text: &str) {
        self.write(LogLevel::Error, text);
    }

    pub(crate) fn warning(&self, text: &str) {
        self.write(LogLevel::Warning, text);
    }

    pub(crate) fn info(&self, text: &str) {
        self.write(LogLevel::Info, text);
    }

    pub(crate) fn debug(&self, text: &str) {
        self.write(LogLevel::Debug, text);
    }

    fn write(&self, level: LogLevel, text: &str) {
        let style = *self.style.read().unwrap_or_else(PoisonError::into_inner);
        if level > style.level {
            return;
        }
        let line = self.line(style.format, level, text);
        let _ = std::io::stderr().lock().write_all(line.as_bytes());
    }

    fn line(&self, format: LogFormat, level: LogLevel, text: &str) -> String {
        let time = self.clock.now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        match format {
            LogFormat::Text => {
                // One entry is one line, whatever a message holds.
                let text = text.replace('\n', "\\n");
                format!("{time} {:<7} {}: {text}\n", level.name(), self.job)
            }
            LogFormat::Json => {
                let entry = json!({ "time": time, "level": level.name(), "job": self.job, "message": text });
                format!("{entry}\n")
            }
        }
    }
}

impl Monitor for Log {
    fn begin(&self, step: &str, _: Unit, _: Option<u64>) {
        self.debug(step);
    }

    fn advance(&self, _: u64) {}

    fn finding(&self, finding: &Finding) {
        match finding.level {
            Level::Info => self.info(&finding.text),
            Level::Warning => self.warning(&finding.text),
        }
    }
}

#[cfg(test)]
mod tests {
    use grap_task::ManualClock;

    use super::*;

    #[test]
    fn an_entry_is_one_line() {
        let clock = Clock::Manual(ManualClock::at("2026-11-26T01:02:03.5Z".parse().unwrap()));
        let style = LogStyle { format: LogFormat::Text, level: LogLevel::Info };
        let log = Log::new(style, clock).of("archiver");
        assert_eq!(
            log.line(LogFormat::Text, LogLevel::Warning, "two\nlines"),
            "2026-11-26T01:02:03.500Z warning archiver: two\\nlines\n"
        );
        assert_eq!(
            log.line(LogFormat::Json, LogLevel::Info, "a \"word\"\n"),
            "{\"job\":\"archiver\",\"level\":\"info\",\"message\":\"a \\\"word\\\"\\n\",\"time\":\"2026-11-26T01:02:03.500Z\"}\n"
        );
    }

    #[test]
    fn levels_and_formats_have_names() {
        assert_eq!(LogLevel::parse("WARN"), Ok(LogLevel::Warning));
        assert!(LogLevel::parse("loud").is_err());
        assert!(LogFormat::parse("xml").is_err());
        assert!(LogLevel::Debug > LogLevel::Info && LogLevel::Info > LogLevel::Error);
    }
}
