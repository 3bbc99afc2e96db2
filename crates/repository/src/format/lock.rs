//! Lock objects as restic writes them, with one field more.
//!
//! restic takes a lock of its own host for dead when no process has its pid. In containers that is wrong:
//! two of them may share a host name, and neither sees the other's processes. So Grap adds the field `grap`
//! (restic ignores it): the boot and the pid namespace in which the pid means something, and when that
//! process started.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockFile {
    pub time: Timestamp,
    #[serde(default)]
    pub exclusive: bool,
    #[serde(default)]
    pub hostname: String,
    #[serde(default)]
    pub username: String,
    #[serde(default)]
    pub pid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uid: u32,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grap: Option<Process>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde asks for")]
fn is_zero(id: &u32) -> bool {
    *id == 0
}

/// A process, told apart from every other that ever had or will have its pid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Process {
    /// Of the kernel, from `/proc/sys/kernel/random/boot_id`.
    pub boot: String,
    /// The pid namespace, as `/proc/self/ns/pid` reads.
    pub namespace: String,
    /// When the process started, clock ticks since boot.
    pub started: u64,
}
