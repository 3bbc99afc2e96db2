//! The exec hook: a command for sh. It gets the event as JSON on its standard input and in variables
//! `GRAP_ALERT_...`; it has taken the event when it ends with status 0 within the limit. Beyond the limit it is killed
//! with all that it has started.

use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use grap_task::Stop;
use rustix::process::{Pid, Signal, kill_process_group};

use super::sink::Message;

const LIMIT: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 30 });
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// Of what it says on standard error, for the message.
const SAID_MAX: u64 = 4096;

pub(super) fn run(command: &str, message: &Message<'_>, stop: &Stop) -> Result<(), String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .env("GRAP_ALERT_EVENT", &message.event)
        .env("GRAP_ALERT_KEY", message.key)
        .env("GRAP_ALERT_LEVEL", &message.level)
        .env("GRAP_ALERT_MESSAGE", message.text)
        .env("GRAP_ALERT_SINCE", message.since.to_string())
        .env("GRAP_ALERT_AT", message.at.to_string())
        .env("GRAP_ALERT_HOST", message.host)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(|error| format!("it cannot be started: {error}"))?;
    let said = talk(&mut child, message.to_json());
    let status = wait(&mut child, stop)?;
    if status.success() {
        return Ok(());
    }
    let said = said.recv_timeout(LOOK_EVERY).unwrap_or_default();
    let said = said.trim();
    Err(if said.is_empty() { status.to_string() } else { format!("{status}: {said}") })
}

/// Feed it, and hear what it says, in threads that end with it.
fn talk(child: &mut Child, json: Vec<u8>) -> mpsc::Receiver<String> {
    if let Some(mut input) = child.stdin.take() {
        // One that does not read its input may end before it is written.
        let _ = thread("alert-hook-input").spawn(move || input.write_all(&json));
    }
    let (send, said) = mpsc::channel();
    if let Some(errors) = child.stderr.take() {
        let _ = thread("alert-hook-errors").spawn(move || {
            let mut text = Vec::new();
            let _ = errors.take(SAID_MAX).read_to_end(&mut text);
            let _ = send.send(String::from_utf8_lossy(&text).into_owned());
        });
    }
    said
}

fn thread(name: &str) -> std::thread::Builder {
    std::thread::Builder::new().name(name.to_owned())
}

fn wait(child: &mut Child, stop: &Stop) -> Result<std::process::ExitStatus, String> {
    let began = Instant::now();
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(status),
            Ok(None) if began.elapsed() < LIMIT => {}
            Ok(None) => {
                kill(child);
                return Err(format!("it was killed after {} s", LIMIT.as_secs()));
            }
            Err(error) => return Err(error.to_string()),
        }
        if stop.wait(LOOK_EVERY) {
            kill(child);
            return Err("it was killed, because the daemon ends or its settings changed".to_owned());
        }
    }
}

fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}
