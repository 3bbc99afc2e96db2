//! Append-only journals: the evidence that survives a crash.
//!
//! Format, version 1: a header line `grap-journal 1 <kind>` LF, then one line an entry: `crc32c` of the JSON
//! in 8 lower-case hex digits, a space, the JSON without line breaks, LF. A torn *last* line (no LF, or a
//! wrong checksum with nothing behind it) was never acknowledged: it is cut. A bad line before it is damage,
//! and refused. A header of a newer version is refused. Who can do without the entries sets such a file aside
//! ([`Journal::set_aside`]): it stays as it is, under another name.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::DiskError;
use crate::file::{Sink, read};
use crate::lock::FileLock;
use crate::publish::{rename_new, replace, sync_dir};

/// Journals are small; a larger one is not ours.
const SIZE_MAX: u64 = 256 << 20;

/// Appends take a moment; who waits longer waits for something that hangs.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(5);

/// Between the name of a journal and the instant at which it was set aside.
const DAMAGED: &str = ".damaged-";

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error("{} is not a journal of kind {kind} in a version this program knows", path.display())]
    Foreign { path: PathBuf, kind: String },
    #[error("line {line} of the journal {} is damaged", path.display())]
    Damaged { path: PathBuf, line: usize },
    #[error("another process has held the journal {} for too long", path.display())]
    Busy { path: PathBuf },
}

impl JournalError {
    /// What stands there cannot be read, and will not be readable later: it is damaged, or another program's.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::Damaged { .. })
    }
}

/// One journal file. Appends are serialised between processes by a short lock on `<path>.lock`.
#[derive(Debug, Clone)]
pub struct Journal {
    path: PathBuf,
    kind: &'static str,
}

impl Journal {
    pub fn new(path: PathBuf, kind: &'static str) -> Self {
        Self { path, kind }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn header(&self) -> String {
        format!("grap-journal 1 {}\n", self.kind)
    }

    /// Every whole entry, oldest first. A journal that does not exist yet is empty.
    pub fn entries<T: DeserializeOwned>(&self) -> Result<Vec<T>, JournalError> {
        Ok(self.load()?.0)
    }

    /// The whole entries, and whether something torn stands behind them.
    fn load<T: DeserializeOwned>(&self) -> Result<(Vec<T>, Torn), JournalError> {
        let text = match read(&self.path, SIZE_MAX) {
            Ok(text) => text,
            Err(error) if error.is_not_found() => return Ok((Vec::new(), Torn::No)),
            Err(error) => return Err(error.into()),
        };
        let header = self.header();
        let Some(body) = text.strip_prefix(header.as_bytes()) else {
            let torn_header = header.as_bytes().starts_with(&text);
            let foreign = JournalError::Foreign { path: self.path.clone(), kind: self.kind.to_owned() };
            return if torn_header { Ok((Vec::new(), Torn::At(0))) } else { Err(foreign) };
        };
        let mut entries = Vec::new();
        let mut kept = header.len();
        let lines: Vec<&[u8]> = body.split_inclusive(|byte| *byte == b'\n').collect();
        for (index, line) in lines.iter().enumerate() {
            match parse_line(line) {
                Some(entry) => entries.push(entry),
                None if index + 1 == lines.len() => return Ok((entries, Torn::At(kept))),
                None => return Err(JournalError::Damaged { path: self.path.clone(), line: index + 2 }),
            }
            kept += line.len();
        }
        Ok((entries, Torn::No))
    }

    /// Append one entry; durable when this returns.
    pub fn append<T: Serialize>(&self, entry: &T) -> Result<(), JournalError> {
        let _lock = self.lock()?;
        if let (_, Torn::At(length)) = self.load::<serde::de::IgnoredAny>()? {
            self.cut(length)?;
        }
        let new = crate::stat(&self.path)?.is_none_or(|stat| stat.size == 0);
        let mut sink = Sink::append(&self.path)?;
        if new {
            sink.write_all(self.header().as_bytes())?;
        }
        sink.write_all(&line_of(entry))?;
        sink.finish()?;
        if new {
            sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        }
        Ok(())
    }

    /// Put these entries in place of all that are there, at once: a reader finds the old ones or the new ones.
    pub fn rewrite<T: Serialize>(&self, entries: &[T]) -> Result<(), JournalError> {
        let _lock = self.lock()?;
        let lines: Vec<u8> = entries.iter().flat_map(|entry| line_of(entry)).collect();
        Ok(replace(&self.path, &[self.header().as_bytes(), &lines])?)
    }

    /// Rename a file of which the entries cannot be read, or are not `legal`, so that a new one can begin:
    /// `<name>.damaged-<instant>`. `None`: nothing is wrong with it; another process was here first.
    pub fn set_aside<T: DeserializeOwned>(
        &self,
        instant: &str,
        legal: impl FnOnce(&[T]) -> bool,
    ) -> Result<Option<PathBuf>, JournalError> {
        let _lock = self.lock()?;
        match self.load::<T>() {
            Ok((entries, _)) if legal(&entries) => return Ok(None),
            Err(error) if !error.is_unreadable() => return Err(error),
            Ok(_) | Err(_) => {}
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!("{DAMAGED}{instant}"));
        let aside = self.path.with_file_name(name);
        rename_new(&self.path, &aside)?;
        sync_dir(self.path.parent().unwrap_or(Path::new(".")))?;
        Ok(Some(aside))
    }

    /// The name of the journal, where a file of this name is one that was set aside.
    pub fn set_aside_of(name: &str) -> Option<&str> {
        Some(name.split_once(DAMAGED)?.0)
    }

    fn cut(&self, length: usize) -> Result<(), JournalError> {
        let text = read(&self.path, SIZE_MAX)?;
        Ok(replace(&self.path, &[text.get(..length).unwrap_or(&text)])?)
    }

    fn lock(&self) -> Result<FileLock, JournalError> {
        let path = self.path.with_extension("lock");
        let lock = FileLock::wait_exclusive(&path, LOCK_WAIT_MAX)?;
        lock.ok_or_else(|| JournalError::Busy { path: self.path.clone() })
    }
}

enum Torn {
    No,
    /// Behind this many good bytes.
    At(usize),
}

fn line_of(entry: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_string(entry).expect("journal entries are plain data");
    format!("{:08x} {json}\n", crc32c::crc32c(json.as_bytes())).into_bytes()
}

fn parse_line<T: DeserializeOwned>(line: &[u8]) -> Option<T> {
    let text = std::str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let (checksum, json) = text.split_once(' ')?;
    let checksum = u32::from_str_radix(checksum, 16).ok()?;
    (crc32c::crc32c(json.as_bytes()) == checksum).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal() -> (tempfile::TempDir, Journal) {
        let directory = tempfile::tempdir().unwrap();
        let journal = Journal::new(directory.path().join("attempts"), "test");
        (directory, journal)
    }

    #[test]
    fn a_torn_last_line_is_cut_wherever_it_is_torn() {
        let (_directory, journal) = journal();
        for number in 0..3 {
            journal.append(&number).unwrap();
        }
        let whole = std::fs::read(journal.path()).unwrap();
        let two = whole.len() - line_of(&2).len();
        for length in 0..whole.len() {
            std::fs::write(journal.path(), &whole[..length]).unwrap();
            let entries: Vec<i32> = journal.entries().unwrap();
            assert_eq!(entries, (0..3).take(entries.len()).collect::<Vec<_>>(), "cut at {length}");
            assert_eq!(entries.len() == 2, (two..whole.len()).contains(&length), "cut at {length}");
            journal.append(&9).unwrap();
            assert_eq!(journal.entries::<i32>().unwrap().last(), Some(&9), "cut at {length}");
        }
    }

    #[test]
    fn all_entries_can_be_replaced() {
        let (_directory, journal) = journal();
        journal.rewrite(&[7]).unwrap();
        journal.append(&8).unwrap();
        journal.append(&9).unwrap();
        journal.rewrite(&[17]).unwrap();
        journal.append(&10).unwrap();
        assert_eq!(journal.entries::<i32>().unwrap(), [17, 10]);
    }

    #[test]
    fn a_flipped_bit_before_the_last_line_is_refused() {
        let (_directory, journal) = journal();
        journal.append(&"first").unwrap();
        journal.append(&"second").unwrap();
        let mut bytes = std::fs::read(journal.path()).unwrap();
        let place = journal.header().len() + 12;
        bytes[place] ^= 1;
        std::fs::write(journal.path(), bytes).unwrap();
        assert!(matches!(journal.entries::<String>(), Err(JournalError::Damaged { line: 2, .. })));
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_as_it_is_and_nothing_else() {
        let (directory, journal) = journal();
        let legal = |entries: &[i32]| !entries.contains(&13);
        for number in [1, 2] {
            journal.append(&number).unwrap();
        }
        assert_eq!(journal.set_aside("1", legal).unwrap(), None);
        let whole = std::fs::read(journal.path()).unwrap();
        let mut flipped = whole.clone();
        flipped[journal.header().len() + 9] ^= 1;
        for (instant, bytes) in [
            ("1", flipped.as_slice()),
            ("2", b"grap-journal 2 test\n".as_slice()),
            ("3", b"another thing".as_slice()),
        ] {
            std::fs::write(journal.path(), bytes).unwrap();
            let aside = journal.set_aside(instant, legal).unwrap().unwrap();
            assert_eq!(aside, directory.path().join(format!("attempts.damaged-{instant}")));
            assert_eq!(std::fs::read(&aside).unwrap(), bytes);
            assert!(journal.entries::<i32>().unwrap().is_empty());
        }
        journal.append(&13).unwrap();
        assert!(journal.set_aside("4", legal).unwrap().is_some());
        // What was set aside before is not replaced.
        journal.append(&13).unwrap();
        assert!(journal.set_aside("4", legal).is_err());
        assert_eq!(journal.entries::<i32>().unwrap(), [13]);
        assert_eq!(Journal::set_aside_of("attempts.damaged-4"), Some("attempts"));
        assert_eq!(Journal::set_aside_of("attempts"), None);
    }

    #[test]
    fn a_newer_version_is_refused() {
        let (_directory, journal) = journal();
        std::fs::write(journal.path(), "grap-journal 2 test\n").unwrap();
        assert!(matches!(journal.entries::<String>(), Err(JournalError::Foreign { .. })));
        assert!(matches!(journal.append(&1), Err(JournalError::Foreign { .. })));
    }
}
