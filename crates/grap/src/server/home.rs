//! The private home of an instance, beside the restored data.
//!
//! Its `system` database is a new one, whatever the backup held: users and passwords of the live server do not open it.
//! The one user's password is written down as `neo4j-admin dbms set-initial-password` does it, before the first start,
//! so that the server is at no moment open with the password that everybody knows. (Whether the server took it shows:
//! nobody could log in otherwise, we included.)

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use grap_disk::{self as disk, Kind};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::configuration::{Chosen, configuration};
use super::{InstanceFolder, Mode, ServerError, ServerInstallation, ServerRelease};
use crate::random::random;

/// The one user of a new `system` database.
pub(super) const USER: &str = "neo4j";

/// Exit codes of a JVM that ended by itself: a signal that it has handled is 128 and more, 0 is an end in good order.
const BY_ITSELF: std::ops::RangeInclusive<i32> = 1..=127;
/// Of a JVM that was told to end when it has no memory left.
const OUT_OF_MEMORY: i32 = 3;
const PORT_TAKEN: [&str; 2] = ["Address already in use", "BindException"];
/// What a machine may not have.
const MISSED: [&str; 9] = [
    "OutOfMemoryError",
    "Cannot allocate memory",
    "insufficient memory",
    "unable to create native thread",
    "No space left on device",
    "Disk quota exceeded",
    "Input/output error",
    "Read-only file system",
    "Too many open files",
];

/// Of a log so much is read from its end: what a server said last.
const TAIL: u64 = 256 << 10;
/// And from its beginning, for what a start says early: settings and much else stand before it.
const HEAD: u64 = 4 << 20;

/// How often the server hashes a password.
const ROUNDS: usize = 1024;

/// How an instance is made.
#[derive(Debug, Clone)]
pub struct InstanceOptions {
    pub installation: ServerInstallation,
    /// `512m`
    pub heap: String,
    /// `64m`
    pub page_cache: String,
}

/// Where an instance has what is its own.
#[derive(Debug)]
pub(crate) struct InstancePlace {
    /// What tells its processes from all others.
    pub(crate) id: String,
    pub(crate) root: PathBuf,
    /// Holds `database`, and `system` not yet.
    pub(crate) data: PathBuf,
}

/// A home that is ready for a start.
#[derive(Debug)]
pub struct InstanceHome {
    pub(super) options: InstanceOptions,
    /// What tells its processes from all others.
    pub(super) id: String,
    pub(super) root: PathBuf,
    pub(super) data: PathBuf,
    pub(super) database: String,
    pub(super) password: SecretString,
}

impl InstanceHome {
    /// In a folder whose data directory holds `database`, and `system` not yet.
    pub fn make(
        folder: &InstanceFolder,
        database: &str,
        options: InstanceOptions,
    ) -> Result<Self, ServerError> {
        let place = InstancePlace {
            id: folder.id().to_owned(),
            root: folder.path().join("home"),
            data: folder.data(),
        };
        Self::make_in(place, database, options)
    }

    /// The same in a place that somebody else looks after.
    pub(crate) fn make_in(
        InstancePlace { id, root, data }: InstancePlace,
        database: &str,
        options: InstanceOptions,
    ) -> Result<Self, ServerError> {
        for name in ["conf", "logs", "plugins", "import", "run", "licenses", "tmp"] {
            disk::create_dir_all(&root.join(name))?;
        }
        let password = SecretString::from(random_hex()?);
        let salt = random().map_err(ServerError::NoRandom)?;
        let users = data.join("dbms");
        disk::create_dir_all(&users)?;
        disk::replace(&users.join("auth.ini"), &[first_user(password.expose_secret(), salt).as_bytes()])?;
        let database = database.to_owned();
        Ok(Self { options, id, root, data, database, password })
    }

    /// The directory of the user database's stores.
    pub fn store(&self) -> PathBuf {
        self.data.join("databases").join(&self.database)
    }

    /// Of the server that is started in it.
    pub fn release(&self) -> &ServerRelease {
        &self.options.installation.release
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    pub(super) fn configure(&self, port: u16, mode: Mode) -> Result<(), ServerError> {
        let options = &self.options;
        let chosen = Chosen {
            data: &self.data,
            database: &self.database,
            page_cache: &options.page_cache,
            port,
            mode,
        };
        let file = self.root.join("conf/neo4j.conf");
        Ok(disk::replace(&file, &[configuration(&options.installation.live, &chosen).as_bytes()])?)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(name)
    }

    /// The logs of this start tell of nothing before it.
    pub(super) fn remove_logs(&self) -> Result<(), ServerError> {
        for name in ["neo4j.log", "debug.log", "console.log"] {
            disk::remove_file(&self.log(name))?;
        }
        Ok(())
    }

    /// What went wrong, in the server's own words: the deepest cause, else the last thing it said.
    pub(super) fn last_words(&self) -> String {
        let cause = |name| last_line(&self.log(name), |line| line.contains("Caused by: "));
        let said = |name| last_line(&self.log(name), |line| !line.trim().is_empty());
        let words = cause("debug.log").or_else(|| said("console.log")).or_else(|| said("neo4j.log"));
        let words = words.unwrap_or_else(|| "it said nothing".to_owned());
        words.chars().take(600).collect()
    }

    /// Whether somebody else had the port.
    pub(super) fn port_was_taken(&self) -> bool {
        self.says(&PORT_TAKEN)
    }

    /// What its end means. It died of its database only where its own log says that it had begun to open it, it ended by
    /// itself, and it missed nothing that is the machine's to give: what a signal ends, or a JVM without memory, says
    /// nothing about the database (docs/validation.md).
    pub(super) fn ended(&self, status: ExitStatus) -> ServerError {
        let said = self.last_words();
        let by_itself = status.code().is_some_and(|code| BY_ITSELF.contains(&code) && code != OUT_OF_MEMORY);
        let missed = self.port_was_taken() || self.says(&MISSED);
        if by_itself && self.says_opening() && !missed {
            ServerError::Died { database: self.database.clone(), status, said }
        } else {
            ServerError::Ended { status, said }
        }
    }

    /// `... Starting 'DatabaseId{e6dc0ffb[neo4j]}'.`, in 5.x and 2026.x alike.
    fn says_opening(&self) -> bool {
        let name = format!("[{}]}}'", self.database);
        let opening = |line: &str| line.contains("Starting 'DatabaseId{") && line.contains(&name);
        let log = self.log("debug.log");
        last_line(&log, opening).is_some()
            || part_of(&log, |_| (0, HEAD)).is_some_and(|head| head.lines().any(opening))
    }

    fn says(&self, words: &[&str]) -> bool {
        let said = |line: &str| words.iter().any(|word| line.contains(word));
        ["debug.log", "neo4j.log", "console.log"]
            .iter()
            .any(|name| last_line(&self.log(name), said).is_some())
    }

    /// Whether the server says that it has stopped in good order.
    pub(crate) fn says_stopped(root: &Path) -> bool {
        last_line(&root.join("logs/neo4j.log"), |line| !line.trim().is_empty())
            .is_some_and(|line| line.ends_with("Stopped."))
    }

    /// Whether the server says that its start is over, and that it listens at our port.
    pub(super) fn says_started(&self, port: u16) -> bool {
        let log = self.log("neo4j.log");
        last_line(&log, |line| line.ends_with("Started.")).is_some()
            && last_line(&log, |line| line.contains("Bolt enabled") && line.contains(&port.to_string()))
                .is_some()
    }
}

/// The last line of a log that is as wanted; a log that is not there has none.
fn last_line(log: &Path, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let tail = part_of(log, |size| (size.saturating_sub(TAIL), size))?;
    tail.lines().rev().find(|line| wanted(line)).map(|line| line.trim().to_owned())
}

/// What stands from one offset of a log to another; which, by its size.
fn part_of(log: &Path, which: impl Fn(u64) -> (u64, u64)) -> Option<String> {
    let stat = disk::stat(log).ok()??;
    if stat.kind != Kind::File {
        return None;
    }
    let source = disk::Source::open(log).ok()?;
    let (from, to) = which(stat.size);
    let mut part = vec![0; usize::try_from(to.min(stat.size).saturating_sub(from)).ok()?];
    let read = source.read_at(&mut part, from).ok()?;
    Some(String::from_utf8_lossy(&part[..read]).into_owned())
}

pub(super) fn random_hex() -> Result<String, ServerError> {
    Ok(hex::encode(random().map_err(ServerError::NoRandom)?))
}

/// `user:SHA-256,<hash>,<salt>,<rounds>:`
fn first_user(password: &str, salt: [u8; 16]) -> String {
    let mut hash = Sha256::new_with_prefix(salt).chain_update(password).finalize();
    for _ in 1..ROUNDS {
        hash = Sha256::digest(hash);
    }
    format!("{USER}:SHA-256,{},{},{ROUNDS}:\n", hex::encode(hash), hex::encode(salt))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::live::Configuration;

    /// The server's own tool made 32 bytes of salt; the length is free.
    #[test]
    fn the_first_user_is_as_the_servers_own_tool_writes_it() {
        let line = first_user("secret-secret", [7; 16]);
        assert!(
            line.starts_with("neo4j:SHA-256,") && line.ends_with(",07070707070707070707070707070707,1024:\n")
        );
        assert_eq!(line.len(), "neo4j:SHA-256,".len() + 64 + 1 + 32 + ",1024:\n".len());
    }

    /// Each line: how it ended, what its log says, whether it died of the database.
    #[test]
    fn only_a_server_that_began_to_open_the_database_and_ended_by_itself_died_of_it() {
        use std::os::unix::process::ExitStatusExt as _;

        let opening = "INFO [o.n.d.d.DatabaseLifecycles] Starting 'DatabaseId{e6dc0ffb[neo4j]}'.\n";
        let of_system = "INFO [o.n.d.d.DatabaseLifecycles] Starting 'DatabaseId{00000000[system]}'.\n";
        let after = |more: &str| format!("{opening}{more}\n");
        let exit = |code: i32| ExitStatus::from_raw(code << 8);
        let killed = |signal: i32| ExitStatus::from_raw(signal);
        for (status, log, died) in [
            (exit(1), opening.to_owned(), true),
            (exit(1), after("ERROR java.lang.IllegalStateException: record 7"), true),
            // 2026.x writes JSON.
            (exit(1), r#"{"message":"Starting 'DatabaseId{b722662f[neo4j]}'."}"#.to_owned(), true),
            (exit(1), String::new(), false),
            (exit(1), of_system.to_owned(), false),
            (exit(0), opening.to_owned(), false),
            (exit(3), opening.to_owned(), false),
            (exit(143), opening.to_owned(), false),
            (killed(9), opening.to_owned(), false),
            (killed(11), opening.to_owned(), false),
            (exit(1), after("Caused by: java.net.BindException: Address already in use"), false),
            (exit(1), after("java.lang.OutOfMemoryError: Java heap space"), false),
            (exit(1), after("java.io.IOException: No space left on device"), false),
            (exit(1), after("java.io.IOException: Disk quota exceeded"), false),
            (exit(1), after("java.io.IOException: Input/output error"), false),
            (exit(1), after("java.nio.file.FileSystemException: x: Read-only file system"), false),
            // It said much until it died.
            (exit(1), after(&"INFO a long line of a recovery\n".repeat(20_000)), true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let home = home(folder.path());
            disk::create_dir_all(&folder.path().join("logs")).unwrap();
            disk::publish(&home.log("debug.log"), &[log.as_bytes()]).unwrap();
            let error = home.ended(status);
            assert_eq!(matches!(error, ServerError::Died { .. }), died, "{error}");
        }
    }

    /// There is nothing behind it that could be started.
    pub(crate) fn home(root: &Path) -> InstanceHome {
        let installation = ServerInstallation {
            lib: PathBuf::new(),
            release: "5.26.30".parse().unwrap(),
            java: PathBuf::new(),
            live: Configuration::default(),
        };
        InstanceHome {
            options: InstanceOptions { installation, heap: "64m".to_owned(), page_cache: "64m".to_owned() },
            id: "id".to_owned(),
            root: root.to_owned(),
            data: root.join("data"),
            database: "neo4j".to_owned(),
            password: "secret".into(),
        }
    }

    #[test]
    fn the_last_words_are_the_deepest_cause() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("debug.log");
        disk::publish(&log, &[b"a\nCaused by: x\nCaused by: y: why\n\tat z\n"]).unwrap();
        let cause = |line: &str| line.contains("Caused by: ");
        assert_eq!(last_line(&log, cause).as_deref(), Some("Caused by: y: why"));
        assert_eq!(last_line(&folder.path().join("none"), cause), None);
    }
}
