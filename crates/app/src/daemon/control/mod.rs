//! The control socket: `grap VERB` asks the daemon of its state directory to do the work.
//!
//! While a daemon runs, verbs that change something go through it, so that there is one hand that does: the client
//! sends what was said on its command line, the daemon runs the very same code, and the client shows what comes back
//! and ends with the same exit status. Reading verbs do not need the socket; `status` asks it what the daemon knows.
//!
//! - The socket lies in the state directory, for its owner alone; whoever connects is asked who he is (`SO_PEERCRED`)
//!   and must be the daemon's own user or root.
//! - One JSON line is the question, JSON lines are the answer ([`frame`]); sizes and waits are bounded.
//! - A client that is told to stop says so; one that is gone counts as one that said so.

mod client;
mod frame;
mod reply;
mod server;

use std::path::{Path, PathBuf};

pub(crate) use client::{ask_status, forward};
pub(crate) use frame::{RunRequest, Said};
pub(crate) use server::Server;

fn socket_path(state: &Path) -> PathBuf {
    state.join("control.sock")
}
