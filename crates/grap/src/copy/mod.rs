//! From live files to a snapshot, and from a snapshot to a data directory.

mod assemble;
mod capture;
mod extend;
mod manifest;
mod reread;
mod throttle;
mod tree;

pub use assemble::{AssembleError, AssembleOptions, Assembled, Continuation, Damage, assemble};
pub use capture::{Capture, CaptureError, CapturedDatabase, StillLife, read_metadata, still_life};
pub use extend::{ArchivedLog, LogExtension, LogPiece};
pub use manifest::{
    CheckpointRef, DatabaseManifest, FileRole, MANIFEST_NAME, Manifest, ManifestError, ManifestFile, Omitted,
    Point, ServerManifest,
};
pub use reread::{RereadError, reread};
pub use throttle::Throttle;
pub use tree::SnapshotTree;
