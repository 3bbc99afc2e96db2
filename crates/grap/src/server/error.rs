//! What keeps a second Neo4j from opening a restored database.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

use grap_disk::DiskError;
use grap_task::Stopped;

use super::ServerRelease;

#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Stopped(#[from] Stopped),

    // What could be started.
    #[error("no Neo4j can be started from {}: there is no neo4j-kernel-*.jar", lib.display())]
    NoJars { lib: PathBuf },
    #[error("{} holds {found}, which is not Neo4j Community 5 or later", lib.display())]
    UnknownRelease { lib: PathBuf, found: String },
    #[error("no Java that runs Neo4j {release} was found: it needs {wanted}; found: {}", found(seen))]
    NoJava { release: ServerRelease, wanted: &'static str, seen: Vec<String> },
    #[error("the Neo4j in {} is {release}; database `{database}` needs {needed} or later", lib.display())]
    TooOld { lib: PathBuf, release: ServerRelease, database: String, needed: String },

    // Starting it.
    #[error("no random bytes from the system")]
    NoRandom(#[source] io::Error),
    #[error("no free port on 127.0.0.1")]
    NoPort(#[source] io::Error),
    #[error("other processes are at work in {} for too long", path.display())]
    Contended { path: PathBuf },
    #[error("what an earlier run left cannot be ended: process {pid} of {}", path.display())]
    Lingers { pid: u32, path: PathBuf },
    #[error("the server could not be started")]
    Spawn(#[source] io::Error),
    #[error("the server ended by itself ({status}): {said}")]
    Ended { status: ExitStatus, said: String },
    #[error("the server had begun to open database `{database}`, and ended by itself ({status}): {said}")]
    Died { database: String, status: ExitStatus, said: String },
    #[error("the server was not ready within {} s: {said}", limit.as_secs())]
    NotReady { limit: Duration, said: String },
    #[error("the server did not stop within {} s", limit.as_secs())]
    NotStopped { limit: Duration },

    #[error("neo4j-admin database check of `{database}` did not end within {} s", limit.as_secs())]
    AdminTooLong { database: String, limit: Duration },
    #[error("neo4j-admin database check of `{database}` ended with {status}, and found nothing: {said}")]
    AdminEnded { database: String, status: ExitStatus, said: String },

    // What it says.
    #[error("the server does not let us in, or does not answer")]
    Bolt(#[from] grap_bolt::Error),
    #[error("the server does not open database `{database}` ({status}): {said}")]
    Refused { database: String, status: String, said: String },
    #[error("the opened database `{database}` ends with transaction {found}; {promised} was promised")]
    WrongEnd { database: String, promised: u64, found: u64 },
}

fn found(seen: &[String]) -> String {
    if seen.is_empty() { "none".to_owned() } else { seen.join(", ") }
}
