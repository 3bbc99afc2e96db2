//! One error: which call, on which path, and what the system said.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub type Result<T> = std::result::Result<T, DiskError>;

/// A failed call on a local file. `Display` never repeats its source.
#[derive(Debug, thiserror::Error)]
#[error("cannot {call} {}", path.display())]
pub struct DiskError {
    pub call: Call,
    pub path: PathBuf,
    #[source]
    pub source: io::Error,
}

impl DiskError {
    pub(crate) fn new(call: Call, path: &Path, source: impl Into<io::Error>) -> Self {
        Self { call, path: path.to_owned(), source: source.into() }
    }

    /// What a `Read` of a [`Source`](crate::Source) reported, with its path again.
    pub fn reading(path: &Path, source: io::Error) -> Self {
        Self::new(Call::Read, path, source)
    }

    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    pub fn already_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// The file system (or a quota) is full.
    pub fn is_no_space(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    pub fn is_permission_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// So that a [`Source`](crate::Source) can stand where a `Read` is wanted and the path still travels.
impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        Self::new(error.source.kind(), error)
    }
}

/// What was asked of the system; also what [`faults`](crate::faults) counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Call {
    Open,
    Read,
    Stat,
    List,
    Create,
    Write,
    Sync,
    SyncDirectory,
    Rename,
    Link,
    Remove,
    CreateDirectory,
    Lock,
    ChangeOwner,
    ChangeMode,
    SetTimes,
    MeasureSpace,
}

impl Call {
    /// Whether the call changes what is stored.
    pub fn writes(self) -> bool {
        !matches!(self, Self::Open | Self::Read | Self::Stat | Self::List | Self::MeasureSpace)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Read => "read",
            Self::Stat => "look at",
            Self::List => "list",
            Self::Create => "create",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::SyncDirectory => "sync the directory",
            Self::Rename => "rename",
            Self::Link => "hard-link",
            Self::Remove => "remove",
            Self::CreateDirectory => "create the directory",
            Self::Lock => "lock",
            Self::ChangeOwner => "change the owner of",
            Self::ChangeMode => "change the mode of",
            Self::SetTimes => "set the times of",
            Self::MeasureSpace => "measure the free space of",
        })
    }
}
