//! A writer and reader of the restic repository format, version 2.
//!
//! - [`Repository`] opens one, or makes a new one, in any [`ObjectStore`]; [`LocalStore`] is a directory.
//! - [`Lock`]s are restic's: both tools respect each other.
//! - [`Writer`] stores files and trees and publishes a snapshot, last of all.
//! - [`Reader`] reads them back; every byte it gives was checked against its SHA-256.
//! - [`Repository::check`] finds damage, and says which snapshots and files it hurts.
//! - [`Repository::plan_prune`] finds what no snapshot needs; [`PrunePlan::execute`] gives its room back.
//! - [`Repository::keys`]: passwords are added, changed and removed, never the last one.
//! - Sealed objects ([`Repository::put_sealed`]) keep small records beside the snapshots, under `grap/`.
//!
//! Invariants: nothing stored is ever modified; a snapshot that exists is complete; no stored byte can make
//! this crate panic. What is written is told in `docs/format/repository.md`.

mod check;
mod delete;
mod digest;
mod error;
mod format;
mod index;
mod keys;
mod lock;
pub mod object;
mod prune;
mod read;
mod repository;
mod sealed;
mod write;

pub use check::{
    Affected, CheckOptions, CheckReport, Damage, PackRange, ReadData, StoredPacks, StoredReport,
};
pub use digest::digest_of;
pub use error::{RepositoryError, Result, StoredBlob};
pub use format::id::{Id, NotAnId, SnapshotId, TreeId};
pub use format::key::{KdfCost, RecoveryKey};
pub use format::pack::BlobKind;
pub use format::snapshot::{Snapshot, SnapshotDraft};
pub use format::tree::{Meta, Node, NodeKind};
pub use keys::{KeyInfo, RECOVERY};
pub use lock::{Lock, LockHolder, LockInfo, LockState, StaleReason};
pub use object::{LocalStore, ObjectCall, ObjectError, ObjectInfo, ObjectStore};
pub use prune::{PruneOptions, PrunePlan, PruneReport, PruneSummary};
pub use read::Reader;
pub use repository::{InitOptions, Repository, Snapshots};
pub use write::{FileContent, Writer, WriterOptions, WriterReport, chunk_size};
