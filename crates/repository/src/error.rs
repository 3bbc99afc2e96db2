//! One error for the crate, one variant for each situation.

use std::io;
use std::time::Duration;

use grap_task::Stopped;

use crate::format::id::{Id, SnapshotId};
use crate::format::pack::BlobKind;
use crate::lock::LockInfo;
use crate::object::ObjectError;

pub type Result<T, E = RepositoryError> = std::result::Result<T, E>;

/// What went wrong, with the name of the object. `Display` never repeats its source.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The storage failed, or what was asked for is not there.
    #[error(transparent)]
    Object(#[from] ObjectError),
    #[error("there is a repository already")]
    AlreadyRepository,
    #[error("this is not a repository: there is no config object")]
    NotARepository,
    #[error("no key of this repository opens with this password")]
    WrongPassword,
    #[error("the repository has no usable key: {why}")]
    NoUsableKey { why: String },
    #[error("no key of this repository begins with {wanted}; there are: {}", list(known))]
    KeyNotFound { wanted: String, known: Vec<Id> },
    #[error("several keys begin with {wanted}: {}", list(matching))]
    KeyAmbiguous { wanted: String, matching: Vec<Id> },
    /// Of no other key it is known that it opens the repository.
    #[error("key {id} is the one that opened the repository, and no other is proved to: it stays")]
    KeyLast { id: Id },
    #[error("key {id}, which opened the repository, is gone or damaged by now; no other one is removed")]
    KeyGone { id: Id },
    #[error("the new key {id} does not open the repository when it is read back: {why}")]
    KeyUnproved { id: Id, why: String },
    #[error("the repository has format version {found}; this program knows version 2")]
    UnknownVersion { found: u32 },
    #[error("{object} is damaged: {why}")]
    Damaged { object: String, why: String },
    #[error("{blob} is damaged: {why}")]
    BlobDamaged { blob: Box<StoredBlob>, why: String },
    #[error("{kind} {blob} is in no pack that is known")]
    BlobMissing { kind: BlobKind, blob: Id },
    #[error("{blob} cannot be read")]
    BlobUnreadable { blob: Box<StoredBlob>, source: ObjectError },
    #[error("the chunks of {name} have {found} bytes together instead of {expected}")]
    FileLength { name: String, found: u64, expected: u64 },
    #[error("the index is larger than the memory of this machine ({entries} entries were read)")]
    IndexTooLarge { entries: usize },
    #[error("the repository is locked {}by {holder}", if holder.exclusive { "exclusively " } else { "" })]
    Locked { holder: Box<LockInfo> },
    #[error("our lock {lock} is gone: somebody removed it while we worked")]
    LockGone { lock: String },
    /// Nothing that it needs was deleted.
    #[error("snapshot {snapshot} appeared while our exclusive lock was there: somebody does not respect it")]
    SnapshotAppeared { snapshot: SnapshotId },
    /// Nothing was deleted.
    #[error(
        "not everything that snapshot {snapshot} needs can be read, so it is not known what may be deleted"
    )]
    SnapshotIncomplete { snapshot: SnapshotId, source: Box<RepositoryError> },
    #[error("our lock {lock} was last refreshed {} minutes ago: others may take it for stale", age.as_secs() / 60)]
    LockStale { lock: String, age: Duration },
    /// A defect of the caller: whoever deletes holds the exclusive lock of this very repository.
    #[error("{object} was not deleted: our lock does not exclude others")]
    LockNotExclusive { object: String },
    #[error("the source ended after {found} bytes; {planned} were planned")]
    SourceShort { found: u64, planned: u64 },
    #[error("the source cannot be read, at byte {offset}")]
    SourceUnreadable { offset: u64, source: io::Error },
    #[error("this is no directory that can be stored: {why}")]
    InvalidTree { why: String },
    #[error("pack {pack} is needed by the new snapshot and is no longer there with {expected} bytes")]
    PackGone { pack: Id, expected: u64, found: Option<u64> },
    #[error("blob {blob} changed in memory between its encryption and its storing: suspect the memory")]
    MemoryDamage { blob: Id },
    #[error("cannot encode: {why}")]
    Encode { why: String },
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// As against the one that is written.
    #[error("the snapshot cannot be read in the repository that it is copied from")]
    CopySource(#[source] Box<RepositoryError>),
    /// What ended the writer was reported by the call that met it.
    #[error("the writer has failed before")]
    WriterFailed,
    #[error("a thread that reads has failed")]
    ReaderFailed,
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

fn list(ids: &[Id]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A blob and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredBlob {
    pub kind: BlobKind,
    pub id: Id,
    pub pack: Id,
    /// In the pack.
    pub offset: u32,
}

impl std::fmt::Display for StoredBlob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}, in pack {} at byte {},", self.kind, self.id, self.pack, self.offset)
    }
}
