//! Advisory locks between Grap's own processes (`flock`). The lock goes with the process: a dead holder holds
//! nothing.
//!
//! And others' locks, which are of `fcntl`: [`posix_lock_holder`] asks who holds one, without ever taking it;
//! [`ForeignLock`] takes one, to keep that program out.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use rustix::fs::FlockOperation;

use crate::error::{Call, DiskError, Result};
use crate::faults::step;

/// Between two questions for a lock.
const WAIT: Duration = Duration::from_millis(10);

/// Held until dropped. Never used on Neo4j's own files.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Take the lock on `path`, creating the file if need be; `None` when another process holds it.
    pub fn try_exclusive(path: &Path) -> Result<Option<Self>> {
        step(Call::Lock, path)?;
        let failed = |error: io::Error| DiskError::new(Call::Lock, path, error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Whether some process holds the lock. Who asks is in nobody's way who asks, too; only who wants the lock at
    /// this very moment has to ask again. Where there is no such file it is held by nobody.
    pub fn is_held(path: &Path) -> Result<bool> {
        step(Call::Lock, path)?;
        let failed = |error: io::Error| DiskError::new(Call::Lock, path, error);
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(failed(error)),
        };
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// As [`FileLock::try_exclusive`], asked again for as long as `longest`: for locks that are held for a
    /// moment.
    pub fn wait_exclusive(path: &Path, longest: Duration) -> Result<Option<Self>> {
        let mut waited = Duration::ZERO;
        loop {
            match Self::try_exclusive(path)? {
                None if waited < longest => std::thread::sleep(WAIT),
                taken => return Ok(taken),
            }
            waited += WAIT;
        }
    }
}

/// Who holds a `fcntl` write lock on a file, asked with `F_GETLK`: `None` for nobody. The pid is `None` where
/// the holder lives in another pid namespace (the kernel then reports 0), or no process does (-1: an open file). A file that is not there is
/// locked by nobody.
pub fn posix_lock_holder(path: &Path) -> Result<Option<Holder>> {
    step(Call::Stat, path)?;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(DiskError::new(Call::Lock, path, error)),
    };
    let mut question = whole(libc::F_WRLCK);
    fcntl(&file, FcntlArg::F_GETLK(&mut question))
        .map_err(|error| DiskError::new(Call::Lock, path, io::Error::from(error)))?;
    if i32::from(question.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    let pid = u32::try_from(question.l_pid).ok().filter(|pid| *pid != 0);
    Ok(Some(Holder { pid, is_foreign_lock: question.l_pid == -1 }))
}

/// A `fcntl` write lock on the whole of another program's file, which that program respects, until dropped.
///
/// It belongs to the open file (`F_OFD_SETLK`), not to the process: it conflicts with the locks of a JVM, but closing
/// another descriptor of the file in this process does not lose it, as it would lose a lock of a process.
#[derive(Debug)]
pub struct ForeignLock {
    file: File,
}

impl ForeignLock {
    /// `None` when somebody holds it. The file is not changed; where there is none it is made, and given to the owner of
    /// its directory: whose lock it is must be able to open it.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        step(Call::Lock, path)?;
        let failed = |error: io::Error| DiskError::new(Call::Lock, path, error);
        let file = match OpenOptions::new().read(true).write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make_for_owner(path)?,
            other => other.map_err(failed)?,
        };
        match fcntl(&file, FcntlArg::F_OFD_SETLK(&whole(libc::F_WRLCK))) {
            Ok(_) => Ok(Some(Self { file })),
            Err(nix::errno::Errno::EAGAIN | nix::errno::Errno::EACCES) => Ok(None),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Whether this name still is the file that is locked: who has removed it has let in whoever makes it anew.
    pub fn is_in_place(&self, path: &Path) -> Result<bool> {
        step(Call::Stat, path)?;
        let locked =
            rustix::fs::fstat(&self.file).map_err(|error| DiskError::new(Call::Stat, path, error))?;
        let found = crate::stat(path)?;
        Ok(found.is_some_and(|found| (found.device, found.inode) == (locked.st_dev, locked.st_ino)))
    }
}

impl Drop for ForeignLock {
    /// By word, and not only by closing the file: a child that was just forked holds the open file, too, until it becomes
    /// another program.
    fn drop(&mut self) {
        let _ = fcntl(&self.file, FcntlArg::F_OFD_SETLK(&whole(libc::F_UNLCK)));
    }
}

/// One that cannot be given to its owner is not left behind: its program could not open it. Who has made it meanwhile has
/// made it for himself.
fn make_for_owner(path: &Path) -> Result<File> {
    step(Call::Create, path)?;
    let failed = |error: io::Error| DiskError::new(Call::Create, path, error);
    let open = |new: bool| OpenOptions::new().read(true).write(true).create_new(new).mode(0o644).open(path);
    let file = match open(true) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return open(false).map_err(failed),
        other => other.map_err(failed)?,
    };
    let folder = path.parent().map(crate::stat).transpose();
    let given = folder.and_then(|folder| {
        step(Call::ChangeOwner, path)?;
        let Some(folder) = folder.flatten() else { return Ok(()) };
        std::os::unix::fs::fchown(&file, Some(folder.uid), Some(folder.gid))
            .map_err(|error| DiskError::new(Call::ChangeOwner, path, error))
    });
    if let Err(error) = given {
        let _ = crate::remove_file(path);
        return Err(error);
    }
    Ok(file)
}

/// A lock of this type on a whole file.
#[expect(clippy::cast_possible_truncation, reason = "these constants fit a short: the C structure says so")]
fn whole(kind: libc::c_int) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

/// The holder of a lock that we asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder {
    pub pid: Option<u32>,
    /// An open file holds it, as a [`ForeignLock`] does, and no process: so it is no server's.
    pub is_foreign_lock: bool,
}

/// When a process of this pid namespace started, in clock ticks since boot; `None` when there is no such
/// process. With the pid it names one process for as long as the machine runs.
pub fn process_start(pid: u32) -> Result<Option<u64>> {
    let text = match crate::read(Path::new(&format!("/proc/{pid}/stat")), 1 << 16) {
        Ok(text) => text,
        Err(error) if error.is_not_found() => return Ok(None),
        Err(error) => return Err(error),
    };
    let text = String::from_utf8_lossy(&text);
    // Field 22; the fields are counted behind the command name, which may hold anything.
    let behind_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    Ok(behind_name.split(' ').nth(19).and_then(|field| field.parse().ok()))
}

/// Whether a process holds a file open; `None` where its descriptors may not be looked at.
pub fn holds_open(pid: u32, file: &crate::Stat) -> Option<bool> {
    let folder = std::path::PathBuf::from(format!("/proc/{pid}/fd"));
    let names = crate::list(&folder).ok()??;
    let same = |name: &String| {
        let held = crate::stat(&folder.join(name)).ok().flatten();
        held.is_some_and(|held| (held.device, held.inode) == (file.device, file.inode))
    };
    Some(names.iter().any(same))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_lock_is_seen_by_who_asks_for_a_lock_of_a_process_and_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store_lock");
        std::fs::write(&path, b"theirs").unwrap();
        let lock = ForeignLock::try_take(&path).unwrap().unwrap();
        // It is the open file's: a second one conflicts even within one process, and closing that one does not lose it.
        assert!(ForeignLock::try_take(&path).unwrap().is_none());
        assert_eq!(posix_lock_holder(&path).unwrap(), Some(Holder { pid: None, is_foreign_lock: true }));
        assert!(ForeignLock::try_take(&path).unwrap().is_none());
        assert!(lock.is_in_place(&path).unwrap());
        drop(lock);
        assert_eq!(posix_lock_holder(&path).unwrap(), None);
        assert!(ForeignLock::try_take(&path).unwrap().is_some());
        assert_eq!(std::fs::read(&path).unwrap(), b"theirs");
    }

    #[test]
    fn a_lock_on_a_file_that_was_removed_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store_lock");
        let lock = ForeignLock::try_take(&path).unwrap().unwrap();
        std::fs::remove_file(&path).unwrap();
        assert!(!lock.is_in_place(&path).unwrap());
        let other = ForeignLock::try_take(&path).unwrap().unwrap();
        assert!(!lock.is_in_place(&path).unwrap() && other.is_in_place(&path).unwrap());
    }

    #[test]
    #[expect(clippy::print_stderr, reason = "what is skipped says so")]
    fn a_missing_file_is_made_for_the_owner_of_its_directory() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store_lock");
        let root = rustix::process::getuid().is_root();
        if root {
            std::os::unix::fs::chown(folder.path(), Some(7474), Some(7474)).unwrap();
        } else {
            eprintln!("SKIPPED in part: only root can give a directory away");
        }
        assert!(ForeignLock::try_take(&path).unwrap().is_some());
        let stat = crate::stat(&path).unwrap().unwrap();
        let owner = crate::stat(folder.path()).unwrap().unwrap();
        assert_eq!((stat.uid, stat.gid, stat.size), (owner.uid, owner.gid, 0));
        assert!(!root || stat.uid == 7474);
    }

    /// Many who ask at once do not take each other for a holder.
    #[test]
    fn who_asks_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("recover.lock");
        assert!(!FileLock::is_held(&path).unwrap());
        drop(FileLock::try_exclusive(&path).unwrap().unwrap());
        let ask = |held: bool| {
            let asked = || (0..2000).all(|_| FileLock::is_held(&path).unwrap() == held);
            std::thread::scope(|scope| {
                let askers: Vec<_> = (0..4).map(|_| scope.spawn(asked)).collect();
                askers.into_iter().all(|asker| asker.join().unwrap())
            })
        };
        assert!(ask(false));
        let _lock = FileLock::try_exclusive(&path).unwrap().unwrap();
        assert!(ask(true));
    }
}
