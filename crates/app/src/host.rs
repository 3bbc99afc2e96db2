//! Who and where we are: for locks and manifests.

use grap_repository::LockHolder;

use crate::config::Environment;

/// Name and version, as noted in backups.
pub(crate) const PROGRAM: &str = concat!("grap ", env!("CARGO_PKG_VERSION"));

pub(crate) fn holder(environment: &Environment) -> LockHolder {
    let uname = rustix::system::uname();
    let uid = rustix::process::getuid().as_raw();
    let user = environment.get("USER").or_else(|| environment.get("LOGNAME"));
    LockHolder {
        hostname: uname.nodename().to_string_lossy().into_owned(),
        username: user.map_or_else(|| format!("uid-{uid}"), str::to_owned),
        uid,
        gid: rustix::process::getgid().as_raw(),
    }
}
