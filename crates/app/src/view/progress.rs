//! Progress: a bar with rate and time left on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use grap_task::{Clock, Finding, Level, Monitor, Unit};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::text::bytes;

/// The listener for this stderr. With `--json` findings are objects, one a line.
pub(crate) fn monitor(json: bool) -> Box<dyn Monitor> {
    if std::io::stderr().is_terminal() && !json {
        Box::new(Bars { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) })
    } else {
        Box::new(Lines { json, state: Mutex::new(LineState::default()) })
    }
}

struct Bars {
    bar: ProgressBar,
}

impl Monitor for Bars {
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>) {
        let template = match (unit, total) {
            (Unit::Bytes, Some(_)) => {
                "{msg:28} {wide_bar} {bytes:>11}/{total_bytes:11} {binary_bytes_per_sec:>13} {eta:>4} left"
            }
            (Unit::Bytes, None) => "{msg:28} {bytes} {binary_bytes_per_sec}",
            (Unit::Items, Some(_)) => "{msg:28} {pos}/{len}",
            (Unit::Items, None) => "{msg}",
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
        self.bar.set_message(step.to_owned());
        self.bar.set_position(0);
        self.bar.reset();
        match total {
            Some(total) => self.bar.set_length(total),
            None => self.bar.unset_length(),
        }
        self.bar.tick();
    }

    fn advance(&self, amount: u64) {
        self.bar.inc(amount);
        // The total was an estimate: what is copied may grow.
        if self.bar.length().is_some_and(|length| length < self.bar.position()) {
            self.bar.set_length(self.bar.position());
        }
    }

    fn finding(&self, finding: &Finding) {
        self.bar.suspend(|| say(&line(finding, false)));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A line at the beginning of a step, and one every few seconds within.
struct Lines {
    json: bool,
    state: Mutex<LineState>,
}

#[derive(Default)]
struct LineState {
    step: String,
    bytes: bool,
    total: Option<u64>,
    done: u64,
    said: Duration,
}

const SAY_EVERY: Duration = Duration::from_secs(5);

impl Monitor for Lines {
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>) {
        let state = LineState {
            step: step.to_owned(),
            bytes: unit == Unit::Bytes,
            total,
            done: 0,
            said: Clock::System.since_boot(),
        };
        if !self.json {
            match total.filter(|_| state.bytes) {
                Some(total) => say(&format!("{step} ({})\n", bytes(total))),
                None => say(&format!("{step}\n")),
            }
        }
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    fn advance(&self, amount: u64) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.done += amount;
        let now = Clock::System.since_boot();
        if self.json || now.saturating_sub(state.said) < SAY_EVERY {
            return;
        }
        state.said = now;
        let amount = |amount: u64| if state.bytes { bytes(amount) } else { amount.to_string() };
        // The total was an estimate: what is copied may grow.
        let total = state.total.filter(|total| state.done <= *total);
        let of = total.map_or_else(String::new, |total| format!(" of {}", amount(total)));
        say(&format!("{}: {}{of}\n", state.step, amount(state.done)));
    }

    fn finding(&self, finding: &Finding) {
        say(&line(finding, self.json));
    }
}

fn line(finding: &Finding, json: bool) -> String {
    let level = match finding.level {
        Level::Info => "info",
        Level::Warning => "warning",
    };
    if json {
        format!(
            "{}\n",
            serde_json::json!({ "schema_version": 1, "finding": { "level": level, "message": finding.text } })
        )
    } else {
        format!("{level}: {}\n", finding.text)
    }
}

/// Progress that nobody reads is no reason to fail.
fn say(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
