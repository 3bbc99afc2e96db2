//! The program `docker`, run.

use std::process::{Command, Output, Stdio};

use crate::error::{Error, Result};

/// What it has printed; success is required.
pub(super) fn docker(arguments: &[&str]) -> Result<String> {
    successful("docker", arguments, &output(arguments)?)
}

pub(super) fn output(arguments: &[&str]) -> Result<Output> {
    let command = Command::new("docker").args(arguments).stdin(Stdio::null()).output();
    command.map_err(Error::file("run", "docker"))
}

pub(super) fn successful(program: &str, arguments: &[&str], output: &Output) -> Result<String> {
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(Error::Process {
        program: format!("{program} {}", arguments.join(" ")),
        outcome: output.status.to_string(),
        output: format!("{stdout}{stderr}"),
    })
}

/// Of a container, in the engine's own words.
pub(super) fn about(container: &str, format: &str) -> Result<String> {
    docker(&["inspect", "-f", format, container])
}

/// Everything that a container has said so far.
pub(super) fn logs(container: &str) -> Result<String> {
    let said = output(&["logs", container])?;
    let (stdout, stderr) = (String::from_utf8_lossy(&said.stdout), String::from_utf8_lossy(&said.stderr));
    Ok(format!("{stdout}{stderr}"))
}
