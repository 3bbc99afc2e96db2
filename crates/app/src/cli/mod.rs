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

use std::process::ExitCode;

use clap::Parser;
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

/// The help, too, is told so.
fn not_understood(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    // What is behind `--` is another program's.
    let mut ours = std::env::args_os().take_while(|argument| argument != "--");
    if ours.any(|argument| argument == "--json") {
        let text = error.render().to_string();
        let first = text.split("\n\n").next().unwrap_or_default();
        view::failure(&Failure::Usage(first.trim_start_matches("error: ").to_owned()), true);
    } else {
        let _ = error.print();
    }
    ExitCode::from(Code::Usage.exit_status())
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
