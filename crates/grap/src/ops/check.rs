//! `check`: is a stopped database whole? The native checker on one store directory, or on all databases of a data
//! directory. It only reads, and takes no lock: that nobody writes is seen before and after.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use grap_disk::{self as disk, Kind};
use grap_neo4j::files::METADATA;

use super::Session;
use crate::check::{CheckError, StoreReport, check_store, require_clean};
use crate::error::Result;

#[derive(Debug, Clone)]
pub struct CheckOptions {
    /// A store directory (`databases/<db>`), or a data directory with all its databases.
    pub directory: PathBuf,
    /// Holds a directory of logs for each database, where it is not `transactions` in the data directory.
    pub transactions: Option<PathBuf>,
}

#[derive(Debug)]
pub struct CheckReport {
    pub databases: Vec<CheckedDatabase>,
    pub duration: Duration,
}

#[derive(Debug)]
pub struct CheckedDatabase {
    pub name: String,
    pub directory: PathBuf,
    pub report: StoreReport,
    pub duration: Duration,
}

impl CheckReport {
    /// Findings in all databases.
    pub fn findings(&self) -> u64 {
        self.databases.iter().map(|database| database.report.findings.total()).sum()
    }
}

/// A database to check.
struct Candidate {
    name: String,
    store: PathBuf,
    log: PathBuf,
}

pub fn check(options: &CheckOptions, session: &Session<'_>) -> Result<CheckReport> {
    let began = session.clock.since_boot();
    let candidates = candidates(options)?;
    for Candidate { name, store, log } in &candidates {
        require_clean(store, log, name)?;
    }
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut databases = Vec::new();
    for Candidate { name, store, .. } in candidates {
        let began = session.clock.since_boot();
        let report = check_store(&store, threads, session.stop, session.monitor)?;
        let duration = session.clock.since_boot().saturating_sub(began);
        databases.push(CheckedDatabase { name, directory: store, report, duration });
    }
    Ok(CheckReport { databases, duration: session.clock.since_boot().saturating_sub(began) })
}

fn candidates(options: &CheckOptions) -> Result<Vec<Candidate>> {
    let no_store = || CheckError::NoStore { path: options.directory.clone() };
    if !is_directory(&options.directory)? {
        return Err(no_store().into());
    }
    let directory = disk::absolute(&options.directory)?;
    let (data, stores) = if disk::stat(&directory.join(METADATA))?.is_some() {
        // `<data>/databases/<db>`
        (directory.ancestors().nth(2).unwrap_or(&directory).to_owned(), vec![directory])
    } else {
        (directory.clone(), stores_below(&directory.join("databases"))?)
    };
    if stores.is_empty() {
        return Err(no_store().into());
    }
    let transactions = options.transactions.clone().unwrap_or_else(|| data.join("transactions"));
    let candidate = |store: PathBuf| {
        let name = store.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Candidate { log: transactions.join(&name), name, store }
    };
    Ok(stores.into_iter().map(candidate).collect())
}

/// Every directory there is a database, one that lost its files, too.
fn stores_below(databases: &Path) -> Result<Vec<PathBuf>> {
    let mut stores = Vec::new();
    for name in disk::list(databases)?.unwrap_or_default() {
        let store = databases.join(&name);
        if !name.starts_with('.') && is_directory(&store)? {
            stores.push(store);
        }
    }
    stores.sort();
    Ok(stores)
}

fn is_directory(path: &Path) -> Result<bool> {
    Ok(disk::stat(path)?.is_some_and(|stat| stat.kind == Kind::Directory))
}
