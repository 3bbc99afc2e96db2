//! Types commands of the shipped program `grap`, and shows what it really prints.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use grap_testkit::error::{Error, Result};
use grap_testkit::program::last_json;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::screen;

/// A place where commands are typed.
pub(crate) struct Shell {
    binary: PathBuf,
    folder: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Shell {
    /// With `grap` as it was built beside this program.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        let own = std::env::current_exe().map_err(Error::file("find", "this program"))?;
        let binary = own.with_file_name("grap");
        if !binary.is_file() {
            return Err(Error::Missing {
                what: format!("the program {}", binary.display()),
                try_command: "cargo build -p grap-app".to_owned(),
            });
        }
        Ok(Self { binary, folder: folder.to_owned(), variables: Vec::new() })
    }

    /// `export NAME=value ...`
    pub(crate) fn export(&mut self, variables: &[(&'static str, &str)]) {
        let shown: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
        screen::command(&format!("export {}", shown.join(" ")));
        self.variables.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
    }

    /// Run it, show every line as it comes, and call `meanwhile` every so often until it ends. Success is
    /// required.
    pub(crate) fn grap(&self, arguments: &str, mut meanwhile: impl FnMut()) -> Result<()> {
        screen::command(&format!("grap {arguments}"));
        let mut command = self.command();
        // One pipe for both, so that the lines come in their order.
        let (output, input) = std::io::pipe().map_err(Error::file("make", "a pipe"))?;
        let second = input.try_clone().map_err(Error::file("duplicate", "a pipe"))?;
        command.args(words(arguments)).stdout(input).stderr(second);
        let mut child = command.spawn().map_err(Error::file("start", &self.binary))?;
        // It holds our ends of the pipe: the output ends when the child's do.
        drop(command);
        let (sender, lines) = mpsc::channel();
        let relay = relay(output, sender);
        loop {
            match lines.recv_timeout(Duration::from_secs(3)) {
                Ok(line) => screen::output(&line),
                Err(mpsc::RecvTimeoutError::Timeout) => meanwhile(),
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
        }
        let _ = relay.join();
        let status = child.wait().map_err(Error::file("wait for", &self.binary))?;
        if status.success() {
            return Ok(());
        }
        Err(Error::Program { arguments: arguments.to_owned(), said: status.to_string() })
    }

    /// `grap ... &`: it runs until it is told to stop. What it says goes to a file.
    pub(crate) fn background(&self, arguments: &str, log: &str) -> Result<Background> {
        screen::command(&format!("grap {arguments} > {log} 2>&1 &"));
        let path = self.folder.join(log);
        let output = std::fs::File::create(&path).map_err(Error::file("create", &path))?;
        let errors = output.try_clone().map_err(Error::file("duplicate", &path))?;
        let mut command = self.command();
        command.args(words(arguments)).stdout(output).stderr(errors);
        let child = command.spawn().map_err(Error::file("start", &self.binary))?;
        Ok(Background { child, arguments: arguments.to_owned(), log: path })
    }

    /// Ask without showing it.
    pub(crate) fn json(&self, arguments: &str) -> Result<Value> {
        let output = self.command().arg("--json").args(words(arguments)).output();
        let output = output.map_err(Error::file("start", &self.binary))?;
        last_json(&output.stdout).filter(|_| output.status.success()).ok_or_else(|| Error::Program {
            arguments: arguments.to_owned(),
            said: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // What the user has set must not leak in.
        for (name, _) in std::env::vars_os() {
            if ["GRAP_", "BACKUP_", "NEO4J_"].iter().any(|prefix| name.to_string_lossy().starts_with(prefix))
            {
                command.env_remove(&name);
            }
        }
        command.envs(self.variables.iter().cloned()).current_dir(&self.folder).stdin(Stdio::null());
        command
    }
}

/// A command in the background; killed with the story.
pub(crate) struct Background {
    child: Child,
    arguments: String,
    log: PathBuf,
}

impl Background {
    /// SIGTERM; show what it said last. Success is required.
    pub(crate) fn stop(mut self) -> Result<()> {
        screen::command("kill %1");
        if let Some(process) = Pid::from_raw(self.child.id().cast_signed()) {
            // It may have ended by itself: its status tells.
            let _ = kill_process(process, Signal::TERM);
        }
        let status = self.child.wait().map_err(Error::file("wait for", &self.log))?;
        let said = std::fs::read_to_string(&self.log).map_err(Error::file("read", &self.log))?;
        if !status.success() {
            return Err(Error::Program { arguments: self.arguments.clone(), said });
        }
        for line in said.lines().skip_while(|line| !line.starts_with("archived")) {
            screen::output(line);
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The demo's commands quote with `'` only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, part) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

fn relay(pipe: impl Read + Send + 'static, to: mpsc::Sender<String>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(std::result::Result::ok) {
            if to.send(line).is_err() {
                return;
            }
        }
    })
}
