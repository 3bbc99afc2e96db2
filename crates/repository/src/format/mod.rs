//! The bytes of restic's repository format v2. Pure: no storage, no clock, no threads.
//!
//! Decoders never panic and never trust a length; what they refuse is named by the caller, who knows the
//! object. The format as Grap writes it is told in `docs/format/repository.md`.

pub(crate) mod config;
pub(crate) mod crypto;
pub(crate) mod document;
pub(crate) mod id;
pub(crate) mod index;
pub(crate) mod key;
pub(crate) mod lock;
pub(crate) mod pack;
pub(crate) mod snapshot;
pub(crate) mod tree;
