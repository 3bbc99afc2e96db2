//! Why a storage cannot be opened. Nothing was asked of it yet.

use std::path::PathBuf;

use grap_disk::DiskError;

#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    #[error(
        "{url} is no storage that is known: s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX is wanted"
    )]
    UnknownUrl { url: String },
    #[error("{url} names no bucket")]
    NoBucket { url: String },
    #[error("the prefix in {url} cannot be used: {why}")]
    BadPrefix { url: String, why: String },
    #[error("the endpoint {endpoint} would be spoken to in plain text, and it is not this machine")]
    PlainText { endpoint: String },
    #[error("{} cannot be read", path.display())]
    Unreadable { path: PathBuf, source: DiskError },
    #[error("{}, profile {profile}: {why}", path.display())]
    Profile { path: PathBuf, profile: String, why: String },
    #[error("{url} cannot be opened with these settings")]
    Settings { url: String, source: object_store::Error },
    #[error("cannot start the threads that speak to {url}")]
    Threads { url: String, source: std::io::Error },
}
