//! Frozen stores of real servers, from the repository's `testdata/`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::tree;

/// The folder `testdata/` of the workspace.
pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}

/// Packs the database `neo4j` of a stopped data directory as `testdata/<name>/store.tar.zst`.
pub fn freeze_store(data: &Path, name: &str) -> Result<()> {
    let folder = testdata().join(name);
    fs::create_dir_all(&folder).map_err(Error::file("create", &folder))?;
    let packed = folder.join("store.tar.zst");
    let file = File::create(&packed).map_err(Error::file("create", &packed))?;
    let pack = || -> std::io::Result<()> {
        let mut archive = tar::Builder::new(zstd::Encoder::new(file, 19)?);
        for directory in ["databases/neo4j", "transactions/neo4j"] {
            archive.append_dir_all(directory, data.join(directory))?;
        }
        archive.into_inner()?.finish().map(drop)
    };
    pack().map_err(Error::file("pack", &packed))
}

/// Unpacks the cleanly stopped store of `testdata/neo4j-<name>/store.tar.zst` into a folder, which then is
/// a data directory with `databases/neo4j` and `transactions/neo4j` (no `system`: a server makes a new one).
pub fn store_fixture(name: &str, data: &Path) -> Result<()> {
    let packed = testdata().join(format!("neo4j-{name}/store.tar.zst"));
    let file = File::open(&packed).map_err(Error::file("open", &packed))?;
    let unpacked = zstd::Decoder::new(file).map_err(Error::file("decompress", &packed))?;
    tar::Archive::new(unpacked).unpack(data).map_err(Error::file("unpack", &packed))
}

/// As [`store_fixture`], with another one in the place of `system`: for what asks for both and starts no server.
pub fn installation_fixture(name: &str, data: &Path) -> Result<()> {
    store_fixture(name, data)?;
    let other = data.join("other");
    store_fixture(if name == "5.13.0" { "5.26.30" } else { "5.13.0" }, &other)?;
    for side in ["databases", "transactions"] {
        tree::copy(&other.join(side).join("neo4j"), &data.join(side).join("system"))?;
    }
    std::fs::remove_dir_all(&other).map_err(Error::file("remove", &other))
}
