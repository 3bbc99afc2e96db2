//! The shipped program `grap`, driven as a user drives it: a process, its exit status, its JSON.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::error::{Error, Result};

/// One repository, one state directory, and the program.
#[derive(Debug, Clone)]
pub struct Grap {
    pub binary: PathBuf,
    pub repository: PathBuf,
    pub password_file: PathBuf,
    pub state: PathBuf,
    /// Set for every run: what opens an object storage.
    pub environment: Vec<(String, String)>,
}

impl Grap {
    /// Everything in `folder`, which must exist: `repository`, `password`, `state`. Nothing is initialised
    /// yet.
    pub fn new(binary: &Path, folder: &Path) -> Result<Self> {
        let password_file = folder.join("password");
        std::fs::write(&password_file, "correct horse battery staple\n")
            .map_err(Error::file("write", &password_file))?;
        Ok(Self {
            binary: binary.to_owned(),
            repository: folder.join("repository"),
            state: folder.join("state"),
            password_file,
            environment: Vec::new(),
        })
    }

    /// A repository of its own, made.
    pub fn initialised(binary: &Path, folder: &Path) -> Result<Self> {
        let grap = Self::new(binary, folder)?;
        grap.json(&["init"])?;
        Ok(grap)
    }

    /// The program with its repository, password and state; add what else to say.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.binary);
        // What the user of the tests has set must not leak in.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("GRAP_") || text.starts_with("BACKUP_") || text.starts_with("NEO4J_") {
                command.env_remove(&name);
            }
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.arg("--repo").arg(&self.repository).arg("--password-file").arg(&self.password_file);
        command.arg("--state-dir").arg(&self.state).stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        self.command().args(arguments).output().map_err(Error::file("run", &self.binary))
    }

    /// Start it and let it run.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let mut command = self.command();
        command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().map_err(Error::file("run", &self.binary))
    }

    /// The same, with what it says thrown away, and these variables set besides.
    pub fn spawn_silent(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<Child> {
        let mut command = self.command();
        command.args(arguments).envs(environment.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map_err(Error::file("run", &self.binary))
    }

    /// Run with `--json`; success is required, and the last line of stdout comes back.
    pub fn json(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command().arg("--json").args(arguments).output();
        let output = output.map_err(Error::file("run", &self.binary))?;
        if !output.status.success() {
            return Err(Error::Program { arguments: arguments.join(" "), said: said(&output) });
        }
        last_json(&output.stdout)
            .ok_or_else(|| Error::Program { arguments: arguments.join(" "), said: said(&output) })
    }

    /// Run with `--json`; failure is required, and the error's code comes back.
    pub fn failure(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command().arg("--json").args(arguments).output();
        let output = output.map_err(Error::file("run", &self.binary))?;
        let code =
            last_json(&output.stderr).and_then(|last| last["error"]["code"].as_str().map(str::to_owned));
        match code {
            Some(code) if !output.status.success() => Ok(code),
            _ => Err(Error::Program { arguments: arguments.join(" "), said: said(&output) }),
        }
    }
}

/// The last line, as JSON.
pub fn last_json(text: &[u8]) -> Option<Value> {
    let text = String::from_utf8_lossy(text);
    serde_json::from_str(text.lines().last()?).ok()
}

/// The transaction at which a backup ends, by database.
pub fn tx_id(report: &Value, database: &str) -> Option<u64> {
    let databases = report["databases"].as_array()?;
    databases.iter().find(|found| found["name"] == database)?["tx_id"].as_u64()
}

fn said(output: &Output) -> String {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{stdout}{stderr}", output.status)
}
