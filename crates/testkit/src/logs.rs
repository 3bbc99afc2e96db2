//! Reads transaction logs as the oracle needs them: which marker stands in which transaction.
//!
//! This is a second, independent reader beside the product's own: it knows only START, COMMIT and their CRC,
//! so a defect of the product's scanner cannot hide in the judgement about it.
//!
//! Why the last marker in a transaction is its own: the update of the marker node shows the image before (the
//! previous marker) and then the image after; no other command of a transaction holds a marker.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::workload::{Marker, Run};

const HEADER: usize = 128;
const COMMIT: usize = 22;
const NAME: &str = "neostore.transaction.db.";

/// The ids of the transactions of a workload, as the log shows them.
#[derive(Debug, Clone, Default)]
pub struct Markers {
    ids: HashMap<Marker, u64>,
    first: u64,
    last: u64,
}

impl Markers {
    /// Reads all logs of the folders, the live one first. A later folder (kept links) only tells about ids
    /// below those of the folders before it, and within a folder the newest file of a version is right:
    /// so a branch that died in a crash, and is still linked, does not count.
    pub(crate) fn read(run: Run, known: &HashSet<Marker>, folders: &[&Path]) -> Result<Self> {
        Ok(Self::new(gather(folders, |bytes| last_marker(run, known, bytes))?))
    }

    /// The same for transactions that someone else has found: an archive, the product's own scanner.
    pub(crate) fn collect<T: AsRef<[u8]>>(
        run: Run,
        known: &HashSet<Marker>,
        transactions: impl IntoIterator<Item = (u64, T)>,
    ) -> Self {
        Self::new(
            transactions
                .into_iter()
                .map(|(id, bytes)| (id, last_marker(run, known, bytes.as_ref())))
                .collect(),
        )
    }

    fn new(found: BTreeMap<u64, Option<Marker>>) -> Self {
        let first = found.keys().next().copied().unwrap_or(0);
        let last = found.keys().next_back().copied().unwrap_or(0);
        let ids = found.into_iter().filter_map(|(id, marker)| Some((marker?, id))).collect();
        Self { ids, first, last }
    }

    /// Markers in this order and nothing else: for the oracle of a workload without unknown outcomes.
    pub(crate) fn assumed(markers: impl Iterator<Item = Marker>) -> Self {
        let ids: HashMap<Marker, u64> = markers.zip(1..).collect();
        let last = ids.len() as u64;
        Self { ids, first: 1, last }
    }

    /// Id of the transaction that left this marker; `None`: it is not in the log.
    pub fn id(&self, marker: Marker) -> Option<u64> {
        self.ids.get(&marker).copied()
    }

    /// Id of the last transaction in the log (of anyone).
    pub fn last(&self) -> u64 {
        self.last
    }

    /// Id of the first transaction that was read.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// All ids of transactions of the workload, in order.
    pub fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.ids.values().copied().collect();
        ids.sort_unstable();
        ids
    }
}

/// Every transaction of these folders, with its bytes: chosen as the markers' ids are.
pub fn transactions(folders: &[&Path]) -> Result<BTreeMap<u64, Vec<u8>>> {
    gather(folders, <[u8]>::to_vec)
}

/// What `keep` makes of each transaction, by id. A gap in the ids is an error.
fn gather<T>(folders: &[&Path], keep: impl Fn(&[u8]) -> T) -> Result<BTreeMap<u64, T>> {
    let mut found: BTreeMap<u64, T> = BTreeMap::new();
    for folder in folders {
        let below = found.keys().next().copied().unwrap_or(u64::MAX);
        for file in log_files(folder)? {
            let read = for_each_transaction(&file, |id, bytes| {
                if id < below {
                    found.entry(id).or_insert_with(|| keep(bytes));
                }
            });
            match read {
                Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                other => other?,
            }
        }
    }
    match found.keys().zip(found.keys().skip(1)).find(|(one, next)| *one + 1 != **next) {
        None => Ok(found),
        Some((id, next)) => Err(Error::Log {
            path: folders.first().map_or_else(PathBuf::new, |folder| folder.to_path_buf()),
            what: format!("transaction {next} follows {id}: a file was missed"),
        }),
    }
}

/// When a transaction was committed by the server's clock, milliseconds since 1970: it stands in its COMMIT.
pub fn commit_ms(transaction: &[u8]) -> Option<i64> {
    let at = transaction.len().checked_sub(COMMIT - 10)?;
    Some(i64::from_le_bytes(*transaction.get(at..)?.first_chunk()?))
}

/// The highest version of a log file in a folder; 0 where there is none.
pub fn newest_version(folder: &Path) -> Result<u64> {
    Ok(versions(folder)?.last().copied().unwrap_or(0))
}

/// The versions of the log files in a folder, ascending.
pub fn versions(folder: &Path) -> Result<Vec<u64>> {
    let names = log_files(folder)?;
    let of = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix(NAME).and_then(version);
    Ok(names.iter().filter_map(of).collect())
}

/// Calls `visit` with the id and the bytes of each complete transaction of a log file, in order.
pub fn for_each_transaction(file: &Path, visit: impl FnMut(u64, &[u8])) -> Result<()> {
    let bytes = fs::read(file).map_err(Error::file("read", file))?;
    if bytes.get(..HEADER).is_none_or(|header| header.iter().all(|byte| *byte == 0)) {
        return Ok(());
    }
    if !matches!(bytes[0], 8 | 9) {
        return Err(Error::Log { path: file.to_path_buf(), what: format!("format {} is unknown", bytes[0]) });
    }
    for_each_in(&bytes[HEADER..], big_endian(&bytes[8..16]) + 1, visit);
    Ok(())
}

/// The same for bytes that begin with the transaction `first`; returns where the last complete one ends.
pub fn for_each_in(bytes: &[u8], first: u64, mut visit: impl FnMut(u64, &[u8])) -> usize {
    let (mut id, mut begin) = (first, 0);
    while let Some(end) = end_of_transaction(bytes, begin, id) {
        visit(id, &bytes[begin..end]);
        begin = end;
        id += 1;
    }
    begin
}

/// Cuts the logs of a folder right behind the transaction with this id: the end of its file, later files
/// removed. Together with an older store and its checkpoint file this is a restore to that transaction, made
/// by hand.
pub fn cut_behind(folder: &Path, tx_id: u64) -> Result<()> {
    let mut found = false;
    for file in log_files(folder)? {
        if found {
            fs::remove_file(&file).map_err(Error::file("remove", &file))?;
            continue;
        }
        let mut end = HEADER as u64;
        for_each_transaction(&file, |id, bytes| {
            if id <= tx_id {
                end += bytes.len() as u64;
                found = id == tx_id;
            }
        })?;
        if found {
            let log = File::options().write(true).open(&file).map_err(Error::file("open", &file))?;
            log.set_len(end).map_err(Error::file("truncate", &file))?;
        }
    }
    let missing = || Error::Log { path: folder.to_path_buf(), what: format!("no transaction {tx_id}") };
    found.then_some(()).ok_or_else(missing)
}

/// The files of a transaction log folder that hold transactions: by log version, newest file first within
/// one.
pub fn log_files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found: BTreeMap<(u64, std::cmp::Reverse<(i64, i64)>), PathBuf> = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let path = entry.map_err(Error::file("list", folder))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Some(version) = name.strip_prefix(NAME).and_then(version) else { continue };
        // A file that was pruned between the listing and here is gone: its transactions are in the kept
        // folder.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        found.insert((version, std::cmp::Reverse((metadata.mtime(), metadata.mtime_nsec()))), path);
    }
    Ok(found.into_values().collect())
}

/// `12` or, as the log keeper names its links, `12.<inode>`.
fn version(suffix: &str) -> Option<u64> {
    suffix.split('.').next()?.parse().ok()
}

/// Where the transaction that begins here ends, if it is whole: behind a COMMIT with the id and the right
/// CRC.
fn end_of_transaction(bytes: &[u8], begin: usize, id: u64) -> Option<usize> {
    let kernel = *bytes.get(begin)?;
    if kernel == 0 || *bytes.get(begin + 1)? != 1 {
        return None;
    }
    let mut pattern = vec![kernel, 5];
    pattern.extend(id.to_le_bytes());
    memchr::memmem::find_iter(&bytes[begin..], &pattern).find_map(|offset| {
        let commit = begin + offset;
        let crc = bytes.get(commit + COMMIT - 4..commit + COMMIT)?;
        let right = crc32c::crc32c(&bytes[begin..commit + COMMIT - 4]).to_le_bytes() == crc;
        right.then_some(commit + COMMIT)
    })
}

fn last_marker(run: Run, known: &HashSet<Marker>, transaction: &[u8]) -> Option<Marker> {
    memchr::memmem::rfind_iter(transaction, &run.marker_suffix()).find_map(|offset| {
        let bytes = transaction.get(offset.checked_sub(5)?..offset + 3)?;
        let marker = Marker(i64::from_le_bytes(bytes.try_into().ok()?));
        known.contains(&marker).then_some(marker)
    })
}

fn big_endian(bytes: &[u8]) -> u64 {
    u64::from_be_bytes(bytes.try_into().expect("eight bytes"))
}
