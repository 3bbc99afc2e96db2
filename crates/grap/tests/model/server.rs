//! A simulated server: the log files of one database, written as a server writes them, and what can befall
//! them.

use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use grap_neo4j::files::LogFile as LogFileName;
use grap_neo4j::synthetic::{LogWriter, first_header, header_bytes, log_format, store_id};
use grap_neo4j::txlog::{HEADER_LENGTH, LogHeader};
use grap_neo4j::{AppendIndex, CommitTime, KernelVersion, LogVersion, StoreId};

use crate::history::{History, NodeId};

/// One log file.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    pub(crate) inode: u64,
    /// With no transaction, with one, with two ...
    states: Vec<LogWriter>,
    pub(crate) nodes: Vec<NodeId>,
    /// What its first transaction follows.
    base: Option<NodeId>,
    /// Whether its header is written.
    pub(crate) headed: bool,
    /// Its size on disk is at least this: zeros behind what is written.
    allocated: u64,
}

/// One database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) directory: PathBuf,
    kernel: KernelVersion,
    /// Oldest first, never empty.
    pub(crate) files: Vec<LogFile>,
    /// A transaction of which only a part is written: how many bytes stand.
    torn: bool,
    /// The other side of a promotion.
    retired: Option<(PathBuf, Vec<LogFile>)>,
}

/// A copy of a log directory.
#[derive(Debug, Clone)]
pub(crate) struct Saved {
    kernel: KernelVersion,
    files: Vec<LogFile>,
}

impl LogFile {
    pub(crate) fn version(&self) -> u64 {
        self.last().header().version.0
    }

    fn last(&self) -> &LogWriter {
        self.states.last().unwrap()
    }

    fn length(&self) -> u64 {
        self.last().bytes().len() as u64
    }

    fn tip(&self) -> Option<NodeId> {
        self.nodes.last().copied().or(self.base)
    }

    fn path(&self, directory: &Path) -> PathBuf {
        directory.join(LogFileName::Transactions(LogVersion(self.version())).to_string())
    }

    /// Write it whole, as a new file.
    fn create(&mut self, directory: &Path) {
        let path = self.path(directory);
        let _ = std::fs::remove_file(&path);
        let mut bytes = if self.headed { self.last().bytes().to_vec() } else { Vec::new() };
        if self.allocated > bytes.len() as u64 {
            bytes.resize(usize::try_from(self.allocated).unwrap(), 0);
        }
        std::fs::write(&path, bytes).unwrap();
        self.inode = std::fs::metadata(&path).unwrap().ino();
    }

    fn write_at(&self, directory: &Path, offset: u64, bytes: &[u8]) {
        let mut file = std::fs::OpenOptions::new().write(true).open(self.path(directory)).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(bytes).unwrap();
    }

    fn set_length(&self, directory: &Path, length: u64) {
        let file = std::fs::OpenOptions::new().write(true).open(self.path(directory)).unwrap();
        file.set_len(length).unwrap();
    }
}

impl Database {
    /// A fresh store.
    pub(crate) fn new(directory: &Path, kernel: u8, random: i64) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let kernel = KernelVersion::known(kernel).unwrap();
        let mut database =
            Self { directory: directory.to_owned(), kernel, files: Vec::new(), torn: false, retired: None };
        database.begin_file(LogWriter::new(kernel, first_header(kernel, store_id(random))), None, true, 0);
        database
    }

    pub(crate) fn newest(&self) -> &LogFile {
        self.files.last().unwrap()
    }

    pub(crate) fn store(&self) -> &StoreId {
        &self.newest().last().header().store_id
    }

    /// The last transaction of the log.
    pub(crate) fn tip(&self) -> Option<NodeId> {
        self.newest().tip()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.files.iter().flat_map(|file| file.nodes.iter().copied())
    }

    fn begin_file(&mut self, log: LogWriter, base: Option<NodeId>, headed: bool, allocated: u64) {
        let mut file = LogFile { inode: 0, states: vec![log], nodes: Vec::new(), base, headed, allocated };
        file.create(&self.directory);
        self.files.push(file);
    }

    /// Commit. `size`: of the commands; none: a mark.
    pub(crate) fn write(&mut self, history: &mut History, size: usize, time: CommitTime) {
        self.settle();
        let number = history.next();
        let mut command = if size == 0 { Vec::new() } else { format!("transaction {number} ").into_bytes() };
        if size > 0 {
            command.resize(command.len().max(size), b'.');
        }
        let store = self.store().clone();
        let is_first = size == 0;
        let file = self.files.last_mut().unwrap();
        let mut log = file.last().clone();
        let transaction = log.transaction(&command, time);
        let begin = usize::try_from(transaction.start.offset).unwrap();
        let bytes = log.bytes()[begin..].to_vec();
        let parent = if is_first { None } else { file.tip() };
        let node = history.add(parent, &store, transaction, &bytes);
        file.write_at(&self.directory, transaction.start.offset, &bytes);
        file.states.push(log);
        file.nodes.push(node);
    }

    /// The first part of a transaction; the next write puts another one over it.
    pub(crate) fn tear(&mut self, part: usize) {
        self.settle();
        let mut log = self.newest().last().clone();
        let transaction = log.transaction(b"never whole, never whole, never whole", CommitTime(1));
        let begin = usize::try_from(transaction.start.offset).unwrap();
        let bytes = &log.bytes()[begin..];
        let part = 1 + part % (bytes.len() - 1);
        self.newest().write_at(&self.directory, transaction.start.offset, &bytes[..part]);
        self.torn = true;
    }

    /// What a torn transaction left goes, and a header that is missing is written.
    fn settle(&mut self) {
        if self.torn {
            self.torn = false;
            let file = self.newest();
            file.set_length(&self.directory, file.length());
            file.set_length(&self.directory, file.length().max(file.allocated));
        }
        let directory = self.directory.clone();
        let file = self.files.last_mut().unwrap();
        if !file.headed {
            file.headed = true;
            file.write_at(&directory, 0, file.last().bytes());
        }
    }

    /// The next file; a server rotates none in which nothing stands. `headed`: its header is written at once.
    pub(crate) fn rotate(&mut self, kernel: Option<u8>, headed: bool, allocated: u64) {
        if self.newest().nodes.is_empty() {
            return;
        }
        self.settle();
        let kernel = kernel.and_then(KernelVersion::known).map_or(self.kernel, |new| new.max(self.kernel));
        self.kernel = kernel;
        let file = self.newest();
        file.set_length(&self.directory, file.length());
        let (log, base) = (file.last().rotate(kernel), file.tip());
        self.files.last_mut().unwrap().allocated = 0;
        self.begin_file(log, base, headed, allocated);
    }

    /// Unlink all but the newest files; one with a header stays.
    pub(crate) fn prune(&mut self, kept: usize) {
        let kept = kept.max(if self.newest().headed { 1 } else { 2 });
        while self.files.len() > kept {
            let file = self.files.remove(0);
            std::fs::remove_file(file.path(&self.directory)).unwrap();
        }
    }

    /// A crash and its recovery: the last `lost` transactions of the newest file are gone; with `drop_newest`
    /// the whole file is, and the one before it is written on.
    pub(crate) fn crash(&mut self, lost: usize, drop_newest: bool) {
        self.settle_size();
        if drop_newest && self.files.len() > 1 {
            let file = self.files.pop().unwrap();
            std::fs::remove_file(file.path(&self.directory)).unwrap();
        }
        let directory = self.directory.clone();
        let file = self.files.last_mut().unwrap();
        let kept = file.nodes.len().saturating_sub(lost);
        file.nodes.truncate(kept);
        file.states.truncate(kept + 1);
        if file.headed {
            file.set_length(&directory, file.length());
        }
        file.allocated = 0;
    }

    fn settle_size(&mut self) {
        if self.torn {
            self.torn = false;
            self.newest().set_length(&self.directory, self.newest().length());
        }
    }

    pub(crate) fn save(&self) -> Saved {
        Saved { kernel: self.kernel, files: self.files.clone() }
    }

    /// Put an older state back: every file is a new one.
    pub(crate) fn put_back(&mut self, saved: &Saved) {
        self.remove_all();
        self.kernel = saved.kernel;
        self.files = saved.files.clone();
        for file in &mut self.files {
            file.create(&self.directory);
        }
    }

    fn remove_all(&mut self) {
        self.torn = false;
        for file in self.files.drain(..) {
            std::fs::remove_file(file.path(&self.directory)).unwrap();
        }
    }

    /// `neo4j-admin database migrate`: the logs go, numbers and ids go on, a mark begins the new one.
    pub(crate) fn migrate(&mut self, history: &mut History, kernel: u8) {
        let kernel = KernelVersion::known(kernel).unwrap().max(self.kernel);
        let log = self.newest().last().rotate(kernel);
        let header = log.header().clone();
        self.begin_anew(history, kernel, header);
    }

    /// An import: a new store, or one that calls itself the same.
    pub(crate) fn import(&mut self, history: &mut History, kernel: u8, random: i64) {
        let kernel = KernelVersion::known(kernel).unwrap();
        self.begin_anew(history, kernel, first_header(kernel, store_id(random)));
    }

    fn begin_anew(&mut self, history: &mut History, kernel: KernelVersion, header: LogHeader) {
        self.remove_all();
        self.kernel = kernel;
        self.begin_file(LogWriter::new(kernel, header), None, true, 0);
        self.write(history, 0, CommitTime(0));
    }

    /// The log directory is exchanged for a copy of itself that ends `back` transactions earlier.
    pub(crate) fn promote(&mut self, back: usize) {
        self.settle_size();
        let mut files = self.files.clone();
        for _ in 0..back {
            while files.len() > 1 && files.last().unwrap().nodes.is_empty() {
                files.pop();
            }
            let last = files.last_mut().unwrap();
            if last.nodes.pop().is_some() {
                last.states.pop();
            }
        }
        let retired = self.directory.with_extension("retired");
        let _ = std::fs::remove_dir_all(&retired);
        std::fs::rename(&self.directory, &retired).unwrap();
        std::fs::create_dir_all(&self.directory).unwrap();
        let live = std::mem::replace(&mut self.files, files);
        for file in &mut self.files {
            file.allocated = 0;
            file.create(&self.directory);
        }
        self.retired = Some((retired, live));
    }

    /// And back again. `kept`: the files of the other side that are not pruned.
    pub(crate) fn roll_back(&mut self, kept: usize) -> bool {
        let Some((retired, files)) = self.retired.take() else { return false };
        self.settle_size();
        std::fs::remove_dir_all(&self.directory).unwrap();
        std::fs::rename(&retired, &self.directory).unwrap();
        self.files = files;
        self.prune(kept);
        true
    }

    /// A copy in another directory, every file a new one.
    pub(crate) fn copy_to(&self, directory: &Path) -> Self {
        std::fs::create_dir_all(directory).unwrap();
        let mut files = self.files.clone();
        for file in &mut files {
            file.create(directory);
        }
        Self { directory: directory.to_owned(), kernel: self.kernel, files, torn: false, retired: None }
    }
}

/// The header that a file would have, as bytes: for traces that make one by hand.
pub(crate) fn header_at(kernel: u8, version: u64, last_id: u64, random: i64) -> Vec<u8> {
    let kernel = KernelVersion::known(kernel).unwrap();
    let header = LogHeader {
        format: log_format(kernel),
        version: LogVersion(version),
        last_id: grap_neo4j::TxId(last_id),
        last_append_index: Some(AppendIndex(last_id)),
        store_id: store_id(random),
    };
    debug_assert_eq!(header_bytes(&header).len(), HEADER_LENGTH);
    header_bytes(&header).to_vec()
}
