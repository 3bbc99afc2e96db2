//! On whose behalf operations run.

use std::sync::Arc;

use grap_repository::LockHolder;
use grap_task::{Clock, Monitor, Silent, Stop};

use crate::error::Result;
use crate::ops::{Access, Session};

/// The way to the repository, anew for each operation.
pub type OpenRepository = dyn Fn() -> Result<Access> + Send + Sync;

/// What every operation is given, owned.
#[derive(Clone)]
pub struct Caller {
    pub clock: Clock,
    /// Requested, it ends what runs.
    pub stop: Stop,
    /// Hears how far it is, and what was found on the way.
    pub monitor: Arc<dyn Monitor>,
    /// As whom the repository is locked.
    pub holder: LockHolder,
    /// Name and version of the program, as noted in backups.
    pub program: String,
}

impl Caller {
    /// This process, by the system's clock; nobody listens.
    pub fn new(program: impl Into<String>) -> Self {
        let (uname, uid) = (rustix::system::uname(), rustix::process::getuid().as_raw());
        let holder = LockHolder {
            hostname: uname.nodename().to_string_lossy().into_owned(),
            username: format!("uid-{uid}"),
            uid,
            gid: rustix::process::getgid().as_raw(),
        };
        let (clock, stop) = (Clock::System, Stop::new());
        Self { clock, stop, monitor: Arc::new(Silent), holder, program: program.into() }
    }

    pub fn session(&self) -> Session<'_> {
        Session {
            clock: &self.clock,
            stop: &self.stop,
            monitor: self.monitor.as_ref(),
            holder: &self.holder,
            program: &self.program,
        }
    }
}
