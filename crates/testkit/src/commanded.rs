//! A server that commands start and stop, as a service manager has them, with the program told so: for what stops and starts
//! the live server by itself.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::error::{Error, Result};
use crate::pitr::{eventually, require};
use crate::{Distribution, Grap, Server, tree};

const LIMIT: Duration = Duration::from_mins(3);

/// Dropping it ends what runs of it.
#[derive(Debug)]
pub struct Commanded {
    folder: tempfile::TempDir,
    pub server: Server,
    pub grap: Grap,
}

impl Drop for Commanded {
    fn drop(&mut self) {
        let _ = self.run("kill.sh");
    }
}

impl Commanded {
    /// It runs, and has a repository; nothing is in either.
    pub fn start(binary: &Path, distribution: &Distribution) -> Result<Self> {
        Self::start_on(binary, distribution, None)
    }

    /// As [`start`](Self::start), on a copy of this data directory.
    pub fn start_on(binary: &Path, distribution: &Distribution, data: Option<&Path>) -> Result<Self> {
        let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
        let home = folder.path().join("home");
        if let Some(data) = data {
            fs::create_dir(&home).map_err(Error::file("make", &home))?;
            tree::copy(data, &home.join("data"))?;
        }
        let server = Server::builder(distribution).prepare(&home)?;
        let lib = server.home().join("lib");
        std::os::unix::fs::symlink(distribution.folder().join("lib"), &lib)
            .map_err(Error::file("link", &lib))?;
        let mut grap = Grap::initialised(binary, folder.path())?;
        let script = |name: &str| format!("sh {}", folder.path().join(name).display());
        for (name, value) in [
            ("GRAP_RECOVERY_JAVA_HOME", distribution.java().home.display().to_string()),
            ("GRAP_NEO4J_HOME", server.home().display().to_string()),
            ("GRAP_NEO4J_URI", server.bolt_uri()),
            ("GRAP_NEO4J_AUTH", "none".to_owned()),
            ("GRAP_SERVER_STOP_COMMAND", script("stop.sh")),
            ("GRAP_SERVER_START_COMMAND", script("start.sh")),
        ] {
            grap.environment.push((name.into(), value));
        }
        let commanded = Self { folder, server, grap };
        commanded.write_scripts()?;
        commanded.start_by_hand()?;
        eventually("the server answers", LIMIT, || Ok(commanded.server.database_status("neo4j").ok()))?;
        commanded.server.await_online()?;
        Ok(commanded)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write_scripts(&self) -> Result<()> {
        let command = self.server.command();
        let words = std::iter::once(command.get_program()).chain(command.get_args()).map(OsString::from);
        let quoted: Vec<String> = words.map(|word| format!("'{}'", word.display())).collect();
        let (home, pid) = (self.server.home().display(), self.path("pid"));
        let pid = pid.display();
        let start = format!(
            "cd {home}\nsetsid {} >>logs/console.log 2>&1 </dev/null &\necho $! >{pid}\n",
            quoted.join(" ")
        );
        let stop = format!("kill \"$(cat {pid})\"\n");
        let kill = format!("kill -9 \"$(cat {pid})\"\n");
        for (name, text) in [("start.sh", start), ("stop.sh", stop), ("kill.sh", kill)] {
            fs::write(self.path(name), text).map_err(Error::file("write", name))?;
        }
        Ok(())
    }

    fn run(&self, script: &str) -> Result<bool> {
        let status = Command::new("sh").arg(self.path(script)).stderr(std::process::Stdio::null()).status();
        Ok(status.map_err(Error::file("run", script))?.success())
    }

    /// Whatever is being done to it. One that runs is enough: it is the one that the command to stop knows.
    pub fn start_by_hand(&self) -> Result<()> {
        if self.is_locked()? {
            return Ok(());
        }
        require(self.run("start.sh")?, || "the start command has failed".to_owned())
    }

    /// Stopped and started by the same commands that the program is told; back when it serves.
    pub fn restart_by_hand(&self) -> Result<()> {
        require(self.run("stop.sh")?, || "the stop command has failed".to_owned())?;
        eventually("it has stopped", LIMIT, || Ok((!self.is_locked()?).then_some(())))?;
        self.start_by_hand()?;
        eventually("the server answers", LIMIT, || Ok(self.server.database_status("neo4j").ok()))?;
        self.server.await_online()
    }

    /// Whether some process holds the lock of the stores.
    fn is_locked(&self) -> Result<bool> {
        let lock = self.server.data().join("databases/store_lock");
        let Ok(lock) = fs::metadata(&lock) else { return Ok(false) };
        let held = fs::read_to_string("/proc/locks").map_err(Error::file("read", "/proc/locks"))?;
        let inode = format!(":{} ", lock.ino());
        Ok(held.lines().any(|line| line.contains(&inode)))
    }

    /// The last event of the recovery.
    pub fn last_event(&self) -> String {
        let text = fs::read_to_string(self.grap.state.join("recovery.journal")).unwrap_or_default();
        let last = text.lines().last().and_then(|line| line.split_once(' ')).map(|(_, event)| event);
        let event = last.and_then(|event| serde_json::from_str::<Value>(event).ok());
        event.and_then(|event| event["event"].as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Until this is its last event. False: it has ended before.
    pub fn run_into(&self, child: &mut Child, event: &str) -> Result<bool> {
        let begun = Instant::now();
        // No pause: what is waited for lasts a millisecond.
        while self.last_event() != event {
            if child.try_wait().map_err(Error::file("look at", "grap"))?.is_some() {
                return Ok(false);
            }
            require(begun.elapsed() < LIMIT, || format!("`{event}` does not come"))?;
        }
        Ok(true)
    }
}
