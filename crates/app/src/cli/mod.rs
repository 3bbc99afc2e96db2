//! The command line: what can be said, and what is done about it.

mod arguments;
mod canary;
mod check;
mod copy;
mod health;
mod maintenance;
mod open;
mod promote;
mod recover;
mod release_store;
mod resolve;
mod retention;
mod secret;
mod server_control;
mod serving;
mod status;
mod supervise;
mod verbs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use grap::Code;
use grap_task::Stop;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::config::Environment;
use crate::failure::Failure;
use crate::view;

pub(crate) use arguments::{
    Arguments, Common, CopyArguments, DrillArguments, ExpireArguments, GcArguments, LOCATIONS, Verb,
};
pub(crate) use verbs::{Call, lag_max};

/// Run the program.
pub(crate) fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_understood(&error),
    };
    let json = arguments.json();
    let stop = Stop::new();
    // A supervisor has a use for signals of its own.
    let heeded = if matches!(arguments.verb, Verb::Supervise(_)) { Ok(()) } else { heed_signals(&stop) };
    let outcome = heeded.and_then(|()| verbs::run(arguments, &Environment::of_process(), &stop));
    match outcome {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            view::failure(&failure, json);
            ExitCode::from(failure.code().exit_status())
        }
    }
}

/// An error, or the help that was asked for.
fn not_understood(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // What is behind `--` is another program's.
    let ours: Vec<_> = std::env::args_os().take_while(|argument| argument != "--").collect();
    let is_health_json = |pair: &[OsString]| pair[0] == "--format" && pair[1] == "json";
    let json = ours.iter().any(|argument| argument == "--json" || argument == "--format=json")
        || ours.windows(2).any(is_health_json);
    if json {
        view::failure(&Failure::Usage(in_words(error)), true);
    } else {
        let _ = error.print();
    }
    ExitCode::from(Code::Usage.exit_status())
}

/// What is wrong, and the tip, without the usage.
fn in_words(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "a subcommand is missing".to_owned();
    }
    let text = error.render().to_string();
    let is_usage = |part: &&str| part.starts_with("Usage:") || part.starts_with("For more information");
    let parts = text.split("\n\n").take_while(|part| !is_usage(part));
    let words = parts.flat_map(str::split_whitespace).collect::<Vec<_>>().join(" ");
    words.strip_prefix("error: ").unwrap_or(&words).to_owned()
}

/// The first SIGINT or SIGTERM asks for a stop; the second ends the program as it is (nothing half-done can
/// be taken for whole).
fn heed_signals(stop: &Stop) -> Result<(), Failure> {
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])
        .map_err(|error| Failure::Usage(format!("cannot heed signals: {error}")))?;
    let stop = stop.clone();
    let heed = move || {
        for signal in signals.forever() {
            // `restic unlock` sends it to the holder of a lock, to see whether it lives.
            if signal == SIGHUP {
                continue;
            }
            if stop.requested() {
                std::process::exit(130);
            }
            stop.request();
        }
    };
    let thread = std::thread::Builder::new().name("signals".to_owned()).spawn(heed);
    thread.map(drop).map_err(|error| Failure::Usage(format!("cannot start a thread: {error}")))
}
