//! Reads the archive of the log as docs/format/archive.md describes it, with no more of the product's code than
//! opens the repository and takes the seal off an object.
//!
//! It believes what the objects say of runs and parents, and checks the rest: the SHA-256 of a content, that a
//! content is whole transactions (START, COMMIT, CRC: the kit's own scanner), that no transaction stands twice
//! in a run, and that a merged object holds what its parts hold.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use grap_repository::{LocalStore, Repository};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::logs;
use crate::program::Grap;

const HEADER: usize = 272;
const MERGED_HEADER: usize = 16;
const MERGED_PART: usize = 24;

/// The archive of one source, in a repository directory.
pub struct ArchiveReader {
    repository: Repository,
    directory: PathBuf,
    source: String,
    /// Nothing stored is ever modified.
    segments: HashMap<String, Arc<Vec<Kept>>>,
    starts: BTreeMap<u64, Value>,
}

/// One stored transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: u64,
    pub bytes: Vec<u8>,
}

/// What a start says of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStart {
    pub run: u64,
    /// Run and transaction that it goes on from.
    pub parent: Option<(u64, u64)>,
    pub first_id: u64,
    /// Why a new timeline begins here.
    pub broken: Option<String>,
    pub side: bool,
}

/// The transactions of one path.
#[derive(Debug, Clone)]
pub struct ArchivedPath {
    pub run: u64,
    /// From the root to `run`.
    pub starts: Vec<DatabaseStart>,
    pub transactions: BTreeMap<u64, Vec<u8>>,
    /// The object (its path in the repository) that first held each.
    pub objects: BTreeMap<u64, String>,
}

impl ArchivedPath {
    pub fn first(&self) -> u64 {
        self.transactions.keys().next().copied().unwrap_or(0)
    }

    pub fn last(&self) -> u64 {
        self.transactions.keys().next_back().copied().unwrap_or(0)
    }

    /// The first id that is not there between the first and the last one.
    pub fn hole(&self) -> Option<u64> {
        let mut ids = self.transactions.keys().zip(self.transactions.keys().skip(1));
        ids.find(|(one, next)| *one + 1 != **next).map(|(one, _)| one + 1)
    }

    /// What is not as the log has it, from the path's first transaction on to the log's last one.
    pub fn differences(&self, log: &BTreeMap<u64, Vec<u8>>) -> Vec<String> {
        let mut found = Vec::new();
        for (id, bytes) in log.range(self.first()..) {
            match self.transactions.get(id) {
                None => found.push(format!("transaction {id} is not archived")),
                Some(kept) if kept != bytes => found.push(format!("transaction {id} is another one")),
                Some(_) => {}
            }
        }
        let beyond = self.transactions.keys().filter(|id| !log.contains_key(id));
        found.extend(beyond.map(|id| format!("transaction {id} is archived and not in the log")));
        found
    }

    /// The last transaction, in log order, before the first one that was committed later; `None`: nothing was
    /// committed later, or nothing before.
    pub fn before(&self, time_ms: i64) -> Option<u64> {
        let later = |bytes: &Vec<u8>| logs::commit_ms(bytes).is_some_and(|at| at > time_ms);
        let first = self.transactions.iter().find(|(_, bytes)| later(bytes))?.0;
        self.transactions.range(..first).next_back().map(|(id, _)| *id)
    }
}

impl ArchiveReader {
    /// Of the source `neo4j`, as `grap init` calls it.
    pub fn open(grap: &Grap) -> Result<Self> {
        let password = fs::read_to_string(&grap.password_file)
            .map_err(Error::file("read", &grap.password_file))?
            .trim_end()
            .to_owned();
        let store = LocalStore::open(&grap.repository);
        let repository = Repository::open(Box::new(store), &password.into()).map_err(archive)?;
        Ok(Self {
            repository,
            directory: grap.repository.clone(),
            source: "neo4j".to_owned(),
            segments: HashMap::new(),
            starts: BTreeMap::new(),
        })
    }

    /// Every start record, by the number of its run.
    pub fn starts(&mut self) -> Result<&BTreeMap<u64, Value>> {
        for number in 1.. {
            if self.starts.contains_key(&number) {
                continue;
            }
            let name = format!("grap/log/{}/{number:010}/start", self.source);
            if !self.directory.join(&name).is_file() {
                break;
            }
            let bytes = self.repository.get_sealed(&name).map_err(archive)?;
            self.starts.insert(number, serde_json::from_slice(&bytes).map_err(archive)?);
        }
        Ok(&self.starts)
    }

    /// The highest number of a run.
    pub fn newest(&mut self) -> Result<u64> {
        Ok(self.starts()?.last_key_value().map_or(0, |(run, _)| *run))
    }

    /// What each start that covers the database says of it.
    pub fn database_starts(&mut self, database: &str) -> Result<Vec<DatabaseStart>> {
        let starts = self.starts()?.iter();
        Ok(starts.filter_map(|(run, start)| database_start(*run, &start["databases"][database])).collect())
    }

    /// The current path, or that of a run. `None`: nothing was archived of the database.
    pub fn path(&mut self, database: &str, run: Option<u64>) -> Result<Option<ArchivedPath>> {
        let starts = self.database_starts(database)?;
        let current = || starts.iter().rev().find(|start| !start.side).map(|start| start.run);
        let Some(run) = run.or_else(current) else { return Ok(None) };
        let mut chain = Vec::new();
        let mut next = Some(run);
        let mut open_end = None;
        while let Some(run) = next {
            let start = starts.iter().find(|start| start.run == run);
            let start = start.ok_or_else(|| Error::Archive(format!("run {run} has no start")))?;
            chain.push((start.clone(), open_end));
            next = start.parent.map(|(run, _)| run);
            open_end = start.parent.map(|(_, id)| id);
        }
        chain.reverse();
        let (mut transactions, mut objects) = (BTreeMap::new(), BTreeMap::new());
        for (start, last) in &chain {
            for (object, kept) in self.run(start.run, database)? {
                let within = start.first_id..=last.unwrap_or(u64::MAX);
                for kept in kept.iter().filter(|kept| within.contains(&kept.id)) {
                    if transactions.insert(kept.id, kept.bytes.clone()).is_some() {
                        let twice = format!("transaction {} stands twice on the path of {run}", kept.id);
                        return Err(Error::Archive(twice));
                    }
                    objects.insert(kept.id, object.clone());
                }
            }
        }
        let starts = chain.into_iter().map(|(start, _)| start).collect();
        Ok(Some(ArchivedPath { run, starts, transactions, objects }))
    }

    /// Single segments of a run, by their first transaction. Merged ones are held against them.
    pub fn run(&mut self, run: u64, database: &str) -> Result<Vec<(String, Arc<Vec<Kept>>)>> {
        let mut singles = Vec::new();
        let mut merged = Vec::new();
        for name in self.names(run, database)? {
            let object = format!("grap/log/{}/{run:010}/{database}/{name}", self.source);
            let kept = self.segment(&object)?;
            if name.contains('-') { merged.push((object, kept)) } else { singles.push((object, kept)) }
        }
        let by_id: HashMap<u64, &Kept> =
            singles.iter().flat_map(|(_, kept)| kept.iter()).map(|kept| (kept.id, kept)).collect();
        for (object, kept) in &merged {
            if kept.iter().any(|kept| by_id.get(&kept.id).is_some_and(|single| *single != kept)) {
                return Err(Error::Archive(format!("{object} holds something else than its parts")));
            }
        }
        Ok(singles)
    }

    /// Names of the segments of a run, merged ones among them.
    pub fn names(&self, run: u64, database: &str) -> Result<Vec<String>> {
        let folder = self.directory.join(format!("grap/log/{}/{run:010}/{database}", self.source));
        let Ok(entries) = fs::read_dir(&folder) else { return Ok(Vec::new()) };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::file("list", &folder))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| name.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-'));
        names.sort();
        Ok(names)
    }

    /// When an object appeared under its name.
    pub fn appeared(&self, object: &str) -> Result<SystemTime> {
        let path = self.directory.join(object);
        let found = fs::metadata(&path).map_err(Error::file("stat", &path))?;
        let (seconds, nanoseconds) = (found.ctime(), found.ctime_nsec());
        let since = Duration::new(seconds.unsigned_abs(), u32::try_from(nanoseconds).unwrap_or(0));
        Ok(SystemTime::UNIX_EPOCH + since)
    }

    /// The content of an object without its seal.
    pub fn unsealed(&self, object: &str) -> Result<Vec<u8>> {
        self.repository.get_sealed(object).map_err(archive)
    }

    /// Put other content under a name, sealed as ours is: what was there goes.
    pub fn forge(&self, object: &str, content: &[u8]) -> Result<()> {
        let path = self.directory.join(object);
        fs::remove_file(&path).map_err(Error::file("remove", &path))?;
        self.repository.put_sealed(object, content).map_err(archive)
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn segment(&mut self, object: &str) -> Result<Arc<Vec<Kept>>> {
        if let Some(known) = self.segments.get(object) {
            return Ok(Arc::clone(known));
        }
        let bytes = self.unsealed(object)?;
        let kept = parse(&bytes).map_err(|why| Error::Archive(format!("{object}: {why}")))?;
        let kept = Arc::new(kept);
        self.segments.insert(object.to_owned(), Arc::clone(&kept));
        Ok(kept)
    }
}

fn archive(error: impl std::fmt::Display) -> Error {
    Error::Archive(error.to_string())
}

fn database_start(run: u64, start: &Value) -> Option<DatabaseStart> {
    let parent = &start["parent"];
    Some(DatabaseStart {
        run,
        parent: parent["run"].as_u64().zip(parent["tx_id"].as_u64()),
        first_id: start["first_id"].as_u64()?,
        broken: start["break"].as_str().map(str::to_owned),
        side: start["side"].as_bool()?,
    })
}

/// The transactions of a segment, single or merged.
fn parse(bytes: &[u8]) -> std::result::Result<Vec<Kept>, String> {
    if !bytes.starts_with(b"grapmrg1") {
        return single(bytes);
    }
    let count = usize::try_from(u32_at(bytes, 12)?).map_err(|error| error.to_string())?;
    let mut at = MERGED_HEADER + count * MERGED_PART;
    let mut kept = Vec::new();
    for part in 0..count {
        let length = u64_at(bytes, MERGED_HEADER + part * MERGED_PART + 16)?;
        let end = at + usize::try_from(length).map_err(|error| error.to_string())?;
        kept.extend(single(bytes.get(at..end).ok_or("a part is cut short")?)?);
        at = end;
    }
    if at == bytes.len() { Ok(kept) } else { Err("something stands behind the parts".to_owned()) }
}

fn single(bytes: &[u8]) -> std::result::Result<Vec<Kept>, String> {
    if !bytes.starts_with(b"grapseg1") {
        return Err("it is no segment".to_owned());
    }
    let content = bytes.get(HEADER..).ok_or("it is cut short")?;
    if bytes[80..112] != Sha256::digest(content)[..] {
        return Err("the SHA-256 of its content is another".to_owned());
    }
    let (first, last) = (u64_at(bytes, 48)?, u64_at(bytes, 56)?);
    let mut kept = Vec::new();
    let end = logs::for_each_in(content, first, |id, bytes| kept.push(Kept { id, bytes: bytes.to_vec() }));
    let ids = kept.first().map(|kept| kept.id).zip(kept.last().map(|kept| kept.id));
    if end != content.len() || ids != Some((first, last)) {
        return Err(format!("it does not hold the transactions {first} to {last}: {ids:?}"));
    }
    Ok(kept)
}

fn u32_at(bytes: &[u8], at: usize) -> std::result::Result<u32, String> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or("it is cut short")?;
    Ok(u32::from_le_bytes(*field))
}

fn u64_at(bytes: &[u8], at: usize) -> std::result::Result<u64, String> {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk()).ok_or("it is cut short")?;
    Ok(u64::from_le_bytes(*field))
}

/// A segment without the transaction with this id, under a header that fits what is left: lengths, ids, hash.
/// What it names as first and last stays, unless it is one of them that goes.
pub fn without(segment: &[u8], id: u64) -> Result<Vec<u8>> {
    let kept = single(segment).map_err(Error::Archive)?;
    let content: Vec<u8> =
        kept.iter().filter(|kept| kept.id != id).flat_map(|kept| kept.bytes.iter().copied()).collect();
    let mut forged = segment[..HEADER].to_vec();
    forged[72..80].copy_from_slice(&(content.len() as u64).to_le_bytes());
    forged[80..112].copy_from_slice(&Sha256::digest(&content));
    forged.extend_from_slice(&content);
    Ok(forged)
}

/// How many transactions a single segment holds.
pub fn count(segment: &[u8]) -> Result<usize> {
    single(segment).map(|kept| kept.len()).map_err(Error::Archive)
}
