//! One log file, held: by a link in a folder of ours, or by an open descriptor.
//!
//! A link is named `<database>.<file name>.<inode>`, so that a file which the server makes anew under the same
//! name is held beside the one before it. A held inode cannot be given to another file: while the link is
//! there, the name is true.

use std::path::{Path, PathBuf};

use grap_disk::{self as disk, DiskError, Source, Stat};
use grap_neo4j::files::LogFile;

/// How files are held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PinMode {
    /// The folder with the links.
    Links(PathBuf),
    /// The reason why there are no links.
    Descriptors(String),
}

/// One log file that stays readable until its pin is dropped.
#[derive(Debug)]
pub struct PinnedFile {
    pub name: LogFile,
    pub inode: u64,
    held: Held,
}

#[derive(Debug)]
enum Held {
    Link(PathBuf),
    Open(Source),
}

/// What to hold a file with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Grip<'a> {
    /// A link in this folder.
    Link(&'a Path),
    Descriptor,
}

impl PinnedFile {
    /// Hold the file at `path`, which had `inode` when it was looked at. A file that vanishes between the look
    /// and the grip is no error: it was not there.
    pub(super) fn take(
        path: &Path,
        (database, name, inode): (&str, LogFile, u64),
        grip: Grip<'_>,
    ) -> Result<Option<Self>, DiskError> {
        let taken = match grip {
            Grip::Link(folder) => link(path, folder, (database, name, inode)),
            Grip::Descriptor => {
                Source::open(path).and_then(|source| Ok((source.stat()?.inode, Held::Open(source))))
            }
        };
        match taken {
            Ok((inode, held)) => Ok(Some(Self { name, inode, held })),
            Err(error) if error.is_not_found() && grip.still_there()? => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A link that lies in a folder since before: its database, and the file; `None` for other names.
    pub(super) fn found(link: &Path, inode: u64) -> Option<(String, Self)> {
        let (database, name, _) = parse_link_name(link.file_name()?.to_str()?)?;
        Some((database, Self { name, inode, held: Held::Link(link.to_owned()) }))
    }

    /// The number in the file's name.
    pub fn version(&self) -> u64 {
        self.name.version().0
    }

    pub fn open(&self) -> Result<Source, DiskError> {
        match &self.held {
            Held::Link(path) => Source::open(path),
            Held::Open(source) => source.try_clone(),
        }
    }

    /// Where the link lies, if it is held by one.
    pub(super) fn link(&self) -> Option<&Path> {
        match &self.held {
            Held::Link(path) => Some(path),
            Held::Open(_) => None,
        }
    }

    /// `None` where the link is gone.
    pub(super) fn stat(&self) -> Result<Option<Stat>, DiskError> {
        match &self.held {
            Held::Link(path) => disk::stat(path),
            Held::Open(source) => source.stat().map(Some),
        }
    }

    /// Bytes that only this pin keeps: those of a file that the server has deleted.
    pub(super) fn held_bytes(&self) -> Result<u64, DiskError> {
        let ours = u64::from(self.link().is_some());
        Ok(self.stat()?.filter(|stat| stat.links <= ours).map_or(0, |stat| stat.allocated))
    }
}

impl Grip<'_> {
    /// A link fails with "not found" when the log file vanished, but also when our folder did: that would be
    /// a loss.
    fn still_there(self) -> Result<bool, DiskError> {
        match self {
            Self::Link(folder) => Ok(disk::stat(folder)?.is_some()),
            Self::Descriptor => Ok(true),
        }
    }
}

/// Link the file, and see which one was linked: it may have been replaced since it was looked at.
fn link(
    path: &Path,
    folder: &Path,
    (database, name, inode): (&str, LogFile, u64),
) -> Result<(u64, Held), DiskError> {
    let link = folder.join(link_name(database, name, inode));
    match disk::link(path, &link) {
        // Made by a look that failed behind it.
        Err(error) if error.already_exists() => {}
        other => other?,
    }
    // From here on it is held, whatever else fails: the file may be gone before another look.
    let linked = disk::stat(&link).ok().flatten().map_or(inode, |stat| stat.inode);
    if linked == inode {
        return Ok((inode, Held::Link(link)));
    }
    // Under its true name the link cannot stand in the way of the file that the name belongs to.
    let renamed = folder.join(link_name(database, name, linked));
    if disk::rename(&link, &renamed).is_err() {
        return Ok((linked, Held::Link(link)));
    }
    // Two names of one file are left alone by a rename.
    let _ = disk::remove_file(&link);
    Ok((linked, Held::Link(renamed)))
}

fn link_name(database: &str, name: LogFile, inode: u64) -> String {
    format!("{database}.{name}.{inode}")
}

/// The database, the file and the inode of a link's name. Names of databases may hold dots: what is known stands at the
/// end.
pub(super) fn parse_link_name(link: &str) -> Option<(String, LogFile, u64)> {
    let (front, inode) = link.rsplit_once('.')?;
    let inode = inode.parse().ok()?;
    let begins = [".neostore.transaction.db.", ".checkpoint."].map(|part| front.rfind(part));
    let begin = begins.into_iter().flatten().max()?;
    let (database, name) = front.split_at(begin);
    let name = LogFile::parse(name.get(1..)?)?;
    (!database.is_empty()).then(|| (database.to_owned(), name, inode))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test plays the server")]
mod tests {
    use grap_neo4j::ids::LogVersion;

    use super::*;

    #[test]
    fn a_link_name_is_read_as_it_is_written() {
        for database in ["neo4j", "a.b-c", "x.checkpoint.1"] {
            for name in [LogFile::Transactions(LogVersion(12)), LogFile::Checkpoints(LogVersion(0))] {
                let link = link_name(database, name, 77);
                assert_eq!(parse_link_name(&link), Some((database.to_owned(), name, 77)), "{link}");
            }
        }
        for other in ["lock", "run", "owner", "probe", "tmp-00", ".checkpoint.1.7", "a.checkpoint.1.x"] {
            assert_eq!(parse_link_name(other), None, "{other}");
        }
    }

    #[test]
    fn a_file_that_was_replaced_is_held_under_its_true_name() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        std::fs::write(&log, "x").unwrap();
        let inode = disk::stat(&log).unwrap().unwrap().inode;
        let name = LogFile::Transactions(LogVersion(3));
        let pins = folder.path().join("pins");
        std::fs::create_dir(&pins).unwrap();
        for _ in 0..2 {
            let file = PinnedFile::take(&log, ("a", name, inode + 1), Grip::Link(&pins)).unwrap().unwrap();
            assert_eq!(file.inode, inode);
            assert_eq!(disk::list(&pins).unwrap().unwrap(), [link_name("a", name, inode)]);
        }
        std::fs::remove_file(&log).unwrap();
        assert!(PinnedFile::take(&log, ("a", name, 1), Grip::Link(&pins)).unwrap().is_none());
        let gone = folder.path().join("gone");
        assert!(PinnedFile::take(&log, ("a", name, 1), Grip::Link(&gone)).is_err());
    }
}
