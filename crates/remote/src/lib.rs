//! Repositories in the object storages of others: S3 and what speaks like it, Google Cloud Storage, Azure Blob
//! Storage.
//!
//! [`RemoteStore`] is an `ObjectStore` as a directory is one: the same names below a prefix, so that restic
//! reads the repository there, too. The only user of the crate `object_store`, and of its runtime: everybody
//! else blocks.
//!
//! Why nothing is ever overwritten: every put carries the condition that there is no such object, in the words
//! of the storage (`If-None-Match: *`, a generation of 0), and the storage decides. One that ignores the
//! condition is found out by `grap_repository::object::require_put_if_absent` before a repository is made.
//!
//! Nothing is repeated here, and nothing is slowed down: decorators do that (`grap_repository::object`).

mod address;
mod answer;
mod client;
mod error;
mod profile;
mod store;

pub use error::RemoteError;
pub use store::{RemoteOptions, RemoteStore};

/// Whether this is the URL of a storage, and no path.
pub fn is_url(place: &str) -> bool {
    place.contains("://")
}
