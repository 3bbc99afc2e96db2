//! What a candidate was when it had passed, so that what was judged is what is used: not what somebody has made of it since.
//!
//! A print is cheap: names, sizes, times and two inodes of each database, and the last transaction of its log. It is taken
//! when the last tier has read the stopped store. Nobody writes there behind that: the instance has ended, and what clears
//! away behind it does not touch the two directories of a database. So whatever differs later was changed by somebody else: a
//! file cut or gone, a server that was started on it, another directory in its place. A changed byte under the old size and
//! time it does not see; that would need every byte read again.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use grap_core::recovery::{CandidatePrint, DatabasePrint, Plan, Recovery};
use grap_disk::{self as disk, Entry, Kind};
use sha2::{Digest as _, Sha256};

use super::place::Place;
use crate::check::{CheckError, last_transaction, not_running};
use crate::error::{Error, Result, in_one_line};
use crate::live::LogError;

/// Of every database that the plan names.
pub(super) fn print(place: &Place, plan: &Plan) -> Result<CandidatePrint> {
    let databases =
        plan.ends.iter().map(|end| print_of(&Sides::of(place, &end.database))).collect::<Result<_>>();
    Ok(CandidatePrint { databases: databases? })
}

/// An error says what is another.
pub(super) fn still_what_passed(recovery: &Recovery) -> Result<()> {
    let place = Place::of(recovery);
    let path = || place.root().to_owned();
    let Some(passed) = &recovery.print else { return Err(Error::CandidateUnprinted { path: path() }) };
    let changed = |why: String| Error::CandidateChanged { path: path(), why };
    match place.require_ours() {
        Err(Error::CandidateTaken { .. }) => {
            return Err(changed("it is gone, or does not say any more whose it is".to_owned()));
        }
        other => other?,
    }
    for was in &passed.databases {
        let sides = Sides::of(&place, &was.database);
        match not_running(&sides.store) {
            Err(error @ CheckError::Running { .. }) => return Err(changed(error.to_string())),
            other => other?,
        }
        if let Some(why) = differs(was, &sides)? {
            return Err(changed(format!("database `{}`: {why}", was.database)));
        }
    }
    Ok(())
}

/// Where the two directories of a database are.
struct Sides {
    database: String,
    store: PathBuf,
    log: PathBuf,
}

impl Sides {
    fn of(place: &Place, database: &str) -> Self {
        let data = place.data_of(database);
        let store = data.join("databases").join(database);
        Self { database: database.to_owned(), store, log: data.join("transactions").join(database) }
    }
}

fn print_of(sides: &Sides) -> Result<DatabasePrint> {
    let inode = |path: &Path| {
        let found = disk::stat_link(path)?.filter(|stat| stat.kind == Kind::Directory);
        let missing =
            || Error::CandidateWrong { path: path.to_owned(), why: "it is no directory".to_owned() };
        found.map(|stat| stat.inode).ok_or_else(missing)
    };
    let (store_inode, log_inode) = (inode(&sides.store)?, inode(&sides.log)?);
    let end = last_transaction(&sides.log, &sides.database)?;
    let mut listed = Listed::default();
    listed.add(&sides.store)?;
    listed.add(&sides.log)?;
    Ok(DatabasePrint {
        database: sides.database.clone(),
        store_inode,
        log_inode,
        files: listed.files,
        bytes: listed.bytes,
        digest: hex::encode(Sha256::digest(listed.text)),
        end: end.id,
        end_checksum: end.checksum,
    })
}

/// What lies in a directory, in order.
#[derive(Default)]
struct Listed {
    text: String,
    files: u64,
    bytes: u64,
}

impl Listed {
    fn add(&mut self, root: &Path) -> Result<()> {
        self.text.push('\n');
        for Entry { path, stat } in disk::walk(root)? {
            let name = path.strip_prefix(root).unwrap_or(&path).display();
            match stat.kind {
                // Its time follows from what is in it.
                Kind::Directory => drop(writeln!(self.text, "{name}/")),
                kind => {
                    self.files += 1;
                    self.bytes += stat.size;
                    let (size, modified) = (stat.size, stat.modified);
                    let _ = writeln!(self.text, "{name} {kind:?} {size} {modified}");
                }
            }
        }
        Ok(())
    }
}

/// In words; the first that tells the most.
fn differs(was: &DatabasePrint, sides: &Sides) -> Result<Option<String>> {
    let is = match print_of(sides) {
        Ok(is) => is,
        Err(error) if is_unanswered(&error) => return Err(error),
        Err(error) => return Ok(Some(in_one_line(&error))),
    };
    Ok(if (is.end, is.end_checksum) != (was.end, was.end_checksum) {
        let another = if is.end == was.end { ", another one," } else { "" };
        Some(format!("its log ends with transaction {}{another} where {} had passed", is.end, was.end))
    } else if (is.files, is.bytes) != (was.files, was.bytes) {
        let (files, bytes) = (was.files, was.bytes);
        Some(format!("{} files with {} bytes are there; {files} with {bytes} had passed", is.files, is.bytes))
    } else if (is.store_inode, is.log_inode) != (was.store_inode, was.log_inode) {
        Some("another directory is in its place".to_owned())
    } else if is.digest != was.digest {
        Some("a file was written since, or is another one".to_owned())
    } else {
        None
    })
}

/// What the disk does not let us read now says nothing about what is there. That something is gone does.
fn is_unanswered(error: &Error) -> bool {
    match error {
        Error::Disk(error)
        | Error::Check(CheckError::Disk(error) | CheckError::Log(LogError::Disk(error))) => {
            !error.is_not_found()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use grap_neo4j::synthetic::{
        LogWriter, checkpoint, checkpoint_record, first_header, header_bytes, store_id,
    };
    use grap_neo4j::{CommitTime, KernelVersion};

    use super::super::place::tests::recovery;
    use super::*;
    use crate::error::Code;

    const LOG: &str = "data/transactions/neo4j/neostore.transaction.db.0";
    const NODES: &str = "data/databases/neo4j/neostore.nodestore.db";

    /// A candidate of four transactions, as it is when it has passed; `change` strikes it then.
    fn told(change: impl FnOnce(&Path)) -> Result<()> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("c");
        let mut recovery = recovery(&root, "2026-11-26T02:00:00Z");
        let place = Place::of(&recovery);
        place.make().unwrap();
        write(&root.join(NODES), b"nodes");
        let (log, checkpoints) = logs(7);
        write(&root.join(LOG), &log);
        write(&root.join("data/transactions/neo4j/checkpoint.0"), &checkpoints);
        recovery.print = Some(print(&place, &recovery.plan)?);
        still_what_passed(&recovery)?;
        change(&root);
        still_what_passed(&recovery)
    }

    fn write(path: &Path, bytes: &[u8]) {
        disk::create_dir_all(path.parent().unwrap()).unwrap();
        disk::replace(path, &[bytes]).unwrap();
    }

    /// A log whose transactions were committed at `time`, and the checkpoint at its end.
    fn logs(time: i64) -> (Vec<u8>, Vec<u8>) {
        let (kernel, id) = (KernelVersion::known(20).unwrap(), store_id(1));
        let mut log = LogWriter::new(kernel, first_header(kernel, id.clone()));
        let ends: Vec<_> =
            (0..4).map(|_| log.transaction(b"command", CommitTime(time)).end_point()).collect();
        let record = checkpoint_record(&checkpoint(kernel, id.clone(), &ends[3], "test"));
        let header = header_bytes(&first_header(kernel, id));
        (log.bytes().to_vec(), [&header[..], &record[..]].concat())
    }

    fn changed(change: impl FnOnce(&Path)) -> String {
        let error = told(change).unwrap_err();
        assert_eq!(error.code(), Code::CandidateChanged, "{error}");
        error.to_string()
    }

    #[test]
    fn what_nobody_has_touched_is_still_what_passed() {
        told(|_| {}).unwrap();
        told(|root| drop(disk::list(&root.join("data")).unwrap())).unwrap();
    }

    #[test]
    fn whatever_somebody_does_to_a_candidate_is_noticed() {
        let log = |root: &Path| disk::read(&root.join(LOG), 1 << 20).unwrap();
        let cut = changed(|root| write(&root.join(LOG), &log(root)[..200]));
        assert!(cut.contains("database `neo4j`"), "{cut}");
        // The same ids and sizes, by another hand.
        let other = changed(|root| {
            let (log, checkpoints) = logs(8);
            write(&root.join(LOG), &log);
            write(&root.join("data/transactions/neo4j/checkpoint.0"), &checkpoints);
        });
        assert!(other.contains("another one, where"), "{other}");
        let longer = changed(|root| write(&root.join(NODES), b"nodes and more"));
        assert!(longer.contains("bytes are there"), "{longer}");
        let gone = changed(|root| disk::remove_file(&root.join(NODES)).unwrap());
        assert!(gone.contains("2 files"), "{gone}");
        changed(|root| write(&root.join(NODES).with_file_name("more"), b"x"));
        // As long as it was.
        let written = changed(|root| write(&root.join(NODES), b"NODES"));
        assert!(written.contains("was written since"), "{written}");
        let copied = changed(|root| {
            let (store, aside) = (root.join("data/databases/neo4j"), root.join("aside"));
            disk::rename(&store, &aside).unwrap();
            disk::create_dir_all(&store).unwrap();
            disk::rename(&aside.join("neostore.nodestore.db"), &root.join(NODES)).unwrap();
        });
        assert!(copied.contains("another directory"), "{copied}");
        changed(|root| disk::remove_tree(&root.join("data/transactions")).unwrap());
        changed(|root| disk::remove_tree(&root.join("data/databases")).unwrap());
        let away = changed(|root| disk::rename(root, &root.with_file_name("away")).unwrap());
        assert!(away.contains("gone"), "{away}");
    }

    #[test]
    fn a_disk_that_does_not_answer_has_changed_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let unread = || disk::read(folder.path(), 1).unwrap_err();
        let gone = || disk::read(&folder.path().join("gone"), 1).unwrap_err();
        for (error, expected) in [
            (Error::Disk(unread()), true),
            (Error::Disk(gone()), false),
            (Error::Check(CheckError::Disk(unread())), true),
            (Error::Check(CheckError::Log(LogError::Disk(unread()))), true),
            (Error::Check(CheckError::Log(LogError::Disk(gone()))), false),
            (Error::Check(CheckError::Changed { path: folder.path().to_owned() }), false),
        ] {
            assert_eq!(is_unanswered(&error), expected, "{error:?}");
        }
    }

    /// It was judged by a program that noted no print.
    #[test]
    fn what_was_not_noted_cannot_be_said() {
        let folder = tempfile::tempdir().unwrap();
        let old = recovery(&folder.path().join("c"), "2026-11-26T02:00:00Z");
        let told = still_what_passed(&old).unwrap_err();
        assert!(matches!(told, Error::CandidateUnprinted { .. }), "{told}");
        assert_eq!(told.code(), Code::CandidateChanged);
    }
}
