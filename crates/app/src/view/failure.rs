//! Errors on stderr: what happened, why, what to try. With `--json` the last line of stderr is an object.

use std::io::Write;

use serde_json::{Value, json};

use super::shapes::SCHEMA_VERSION;
use crate::failure::Failure;

pub(crate) fn failure(failure: &Failure, json: bool) {
    // Nobody is left to tell when this fails.
    let _ = std::io::stderr().lock().write_all(failure_text(failure, json).as_bytes());
}

pub(crate) fn failure_text(failure: &Failure, json: bool) -> String {
    if json {
        return format!("{}\n", failure_shape(failure));
    }
    let code = failure.code();
    let causes = grap::causes(failure);
    let causes = causes.iter().fold(String::new(), |text, cause| text + "  because: " + cause + "\n");
    format!("error[{}]: {failure}\n{causes}  hint: {}\n", code.name(), code.hint())
}

pub(crate) fn failure_shape(failure: &Failure) -> Value {
    let code = failure.code();
    json!({
        "schema_version": SCHEMA_VERSION,
        "error": {
            "code": code.name(),
            "exit_status": code.exit_status(),
            "message": failure.to_string(),
            "causes": grap::causes(failure),
            "hint": code.hint(),
        }
    })
}
