//! Big stores for benches: made once by `neo4j-admin database import full` from generated CSV, kept in the
//! cache.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::admin;
use crate::error::{Error, Result};
use crate::install::{Distribution, lock_file};
use crate::server::make_home;
use crate::{settings, tree};

/// Size of a generated store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataOptions {
    pub nodes: u64,
    pub relationships: u64,
    /// Characters of random text in each node: what does not compress and does not repeat.
    pub text: usize,
}

impl DataOptions {
    /// About 660 MB; made in half a CPU minute.
    pub const MEDIUM: Self = Self { nodes: 1_000_000, relationships: 1_000_000, text: 60 };
    /// About 1.75 GB; made in two CPU minutes.
    pub const LARGE: Self = Self { nodes: 2_500_000, relationships: 5_000_000, text: 200 };
}

/// A data directory with a store of this size, without transactions of its own: from the cache, made at first
/// use. It belongs to the cache: copy it (`tree::copy`) before a server opens it.
pub fn big_store(distribution: &Distribution, options: DataOptions) -> Result<PathBuf> {
    let DataOptions { nodes, relationships, text } = options;
    let name = format!("store-{nodes}-{relationships}-{text}");
    let store = distribution.folder().join(&name);
    let _held_until_return = lock_file(&distribution.folder().join(format!("{name}.lock")))?;
    if !store.is_dir() {
        make(distribution, options, &store)?;
    }
    Ok(store)
}

fn make(distribution: &Distribution, options: DataOptions, store: &Path) -> Result<()> {
    let folder = distribution.folder();
    let scratch = tempfile::tempdir_in(folder).map_err(Error::file("create a folder in", folder))?;
    let home = scratch.path().join("home");
    make_home(&home)?;
    settings::write(&home, &settings::defaults(distribution.version(), 0))?;
    let (nodes, relationships) = (scratch.path().join("nodes.csv"), scratch.path().join("relationships.csv"));
    write_csv(&nodes, |out| write_nodes(out, options))?;
    write_csv(&relationships, |out| write_relationships(out, options))?;
    let output = admin::run(
        distribution,
        &home,
        &[
            "database",
            "import",
            "full",
            "neo4j",
            "--normalize-types=false",
            "--overwrite-destination",
            &format!("--nodes=N:Imported={}", nodes.display()),
            &format!("--relationships=LINK={}", relationships.display()),
        ],
    )?;
    if output.code != 0 {
        return Err(Error::Process {
            program: "neo4j-admin database import full".into(),
            outcome: format!("exit code {}", output.code),
            output: output.text,
        });
    }
    tree::copy(&distribution.template().join("databases/system"), &home.join("data/databases/system"))?;
    tree::copy(&distribution.template().join("transactions/system"), &home.join("data/transactions/system"))?;
    fs::rename(home.join("data"), store).map_err(Error::file("rename to", store))
}

fn write_csv(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>) -> Result<()> {
    let file = File::create(path).map_err(Error::file("create", path))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    fill(&mut out).and_then(|()| out.flush()).map_err(Error::file("write", path))
}

fn write_nodes(out: &mut impl Write, options: DataOptions) -> std::io::Result<()> {
    let mut random = StdRng::seed_from_u64(options.nodes);
    writeln!(out, ":ID,k:long,i:int,f:double,s:string,t:string")?;
    for node in 0..options.nodes {
        let (i, f) = (random.random_range(0..1000), random.random::<f64>());
        let text = random_text(&mut random, options.text);
        writeln!(out, "{node},{},{i},{f},name {i},{text}", key(node))?;
    }
    Ok(())
}

fn write_relationships(out: &mut impl Write, options: DataOptions) -> std::io::Result<()> {
    let mut random = StdRng::seed_from_u64(options.relationships);
    writeln!(out, ":START_ID,:END_ID,k:long,w:double")?;
    for relationship in 0..options.relationships {
        let (from, to) = (random.random_range(0..options.nodes), random.random_range(0..options.nodes));
        let weight = f64::from(random.random_range(0..200)) * 0.5;
        writeln!(out, "{from},{to},{},{weight}", key(options.nodes + relationship))?;
    }
    Ok(())
}

/// Above all keys of workloads, so that a workload can run on top of the imported graph.
fn key(number: u64) -> u64 {
    1 << 50 | number
}

fn random_text(random: &mut impl Rng, length: usize) -> String {
    (0..length).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect()
}
