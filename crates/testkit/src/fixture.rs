//! Frozen stores of real servers, from the repository's `testdata/`.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The folder `testdata/` of the workspace.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Unpacks the cleanly stopped store of `testdata/neo4j-<version>/store.tar.zst` into a folder, which then is
/// a data directory with `databases/neo4j` and `transactions/neo4j` (no `system`: a server makes a new one).
pub fn store_fixture(version: &str, data: &Path) -> Result<()> {
    let packed = testdata().join(format!("neo4j-{version}/store.tar.zst"));
    let file = File::open(&packed).map_err(Error::file("open", &packed))?;
    let unpacked = zstd::Decoder::new(file).map_err(Error::file("decompress", &packed))?;
    tar::Archive::new(unpacked).unpack(data).map_err(Error::file("unpack", &packed))
}
