//! Every way an operation can fail, and what it is called outside: a stable code, an exit status, hints.
//!
//! The libraries below know no codes. The mapping is one exhaustive match: a new situation does not compile
//! until it has a code. `docs/errors.md` is made from [`Code::ALL`] (a test keeps it so).

use std::path::PathBuf;

use grap_core::{BackupId, Mismatch, PlanRefusal, Shortage, SourceName, TimeRefusal};
use grap_disk::DiskError;
use grap_repository::{ObjectError, RepositoryError};
use grap_task::Stopped;

use crate::archive::{ArchiveError, PathError, SegmentError, StartError, WriteError};
use crate::copy::{AssembleError, CaptureError, ManifestError, RereadError};
use crate::live::{FollowError, LayoutError, LogError, PinError};
use crate::state::StateError;

pub type Result<T> = std::result::Result<T, Error>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Layout(#[from] LayoutError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Pin(#[from] PinError),
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error(transparent)]
    Capture(#[from] CaptureError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Reread(#[from] RereadError),
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("`{target}` is a point in time, no backup")]
    NotABackup { target: String },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    TargetOutside { target: String, database: String, window: String, source: PlanRefusal },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    TimeOutside { target: String, database: String, window: String, source: TimeRefusal },
    #[error("`{target}` lies outside of what can be restored of database `{database}`: {window}")]
    NothingArchived { target: String, database: String, window: String },
    #[error("`{target}` can be restored only across a hole of the archive")]
    ArchiveHole { target: String, source: PlanRefusal },
    #[error("`{target}` names no single point of database `{database}`; take one of: {}", ways.join(", "))]
    TimeUnsure { target: String, database: String, ways: Vec<String>, source: TimeRefusal },
    #[error("`{target}` could mean several points, because {why}; take one of: {}", ways.join(", "))]
    TargetAmbiguous { target: String, why: String, ways: Vec<String> },
    #[error("`{target}` is transaction {id}, and there {what}; take one of: {}", ways.join(", "))]
    TargetInSchemaChange { target: String, id: grap_neo4j::TxId, what: String, ways: Vec<String> },
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
    #[error("not enough room at {}", path.display())]
    NoSpace { path: PathBuf, source: Shortage },
    #[error("the server was {change} while the backup ran")]
    ServerChanged { change: &'static str },
    #[error("the running server (pid {pid}) does not hold the newest log file in {} open: its transaction logs lie elsewhere", path.display())]
    LogsElsewhere { pid: u32, path: PathBuf },
    #[error("another process has made a backup {id} of source `{name}` meanwhile")]
    IdTaken { id: BackupId, name: SourceName },
    #[error("this is not the database that source `{name}` is bound to")]
    SourceMismatch { name: SourceName, source: Mismatch },
    #[error("{} is no place for a new repository: it holds {found}", path.display())]
    PlaceNotEmpty { path: PathBuf, found: String },
    #[error("the repository has no source `{name}`; it has: {}", list(known))]
    SourceUnknown { name: SourceName, known: Vec<SourceName> },
    #[error("the repository has a source `{name}` already")]
    SourceExists { name: SourceName },
    #[error("the repository has several sources: {}", list(known))]
    SourceUnnamed { known: Vec<SourceName> },
    #[error("the record of source `{name}` has version {found}; this program knows 1")]
    SourceNewer { name: SourceName, found: u32 },
    #[error("the repository has no source")]
    NoSource,
    #[error("the record of source `{name}` cannot be read as JSON")]
    SourceRecord { name: SourceName, source: serde_json::Error },
    #[error("there is no backup {wanted}; there are: {}", list(known))]
    BackupNotFound { wanted: String, known: Vec<BackupId> },
    #[error("there is no backup {wanted} that can be read; {} cannot be", damaged.join(", "))]
    BackupUnreadable { wanted: String, damaged: Vec<String> },
    #[error("there is no backup in this repository")]
    NoBackup,
    #[error("the sources {} each have a backup {id}", list(sources))]
    BackupAmbiguous { id: BackupId, sources: Vec<SourceName> },
    #[error("the manifest of backup {id} cannot be read")]
    Manifest { id: BackupId, source: ManifestError },
    #[error("backup {id} holds no file `{path}`")]
    BackupIncomplete { id: BackupId, path: String },
    #[error("backup {id} holds no database `{database}`; it holds: {}", known.join(", "))]
    DatabaseNotFound { id: BackupId, database: String, known: Vec<String> },
    #[error("the repository is damaged: {problems} problems were found")]
    Damaged { problems: usize },
    #[error("backup {id} is damaged: {damaged} files could not be restored; the others are in {}", kept.display())]
    RestoredPartly { id: BackupId, damaged: usize, kept: PathBuf },
}

fn list<T: std::fmt::Display>(names: &[T]) -> String {
    match names {
        [] => "none".to_owned(),
        [shown @ .., last] if shown.len() < 20 => {
            shown.iter().fold(String::new(), |text, name| format!("{text}{name}, ")) + &last.to_string()
        }
        _ => {
            let shown: Vec<String> = names[names.len() - 20..].iter().map(ToString::to_string).collect();
            format!("... {}", shown.join(", "))
        }
    }
}

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal, $status:literal, $hint:literal;)+) => {
        /// What an error is called outside. Stable: scripts match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// `BACKUP_NO_SPACE`
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The exit status of the process.
            pub fn exit_status(self) -> u8 {
                match self { $(Self::$variant => $status),+ }
            }

            /// What the code means.
            pub fn meaning(self) -> String {
                match self { $(Self::$variant => concat!($($meaning),+).trim().to_owned()),+ }
            }

            /// What to try.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),+ }
            }
        }
    };
}

codes! {
    /// The command line or a setting is wrong. Nothing was done.
    Usage = "USAGE", 2, "`grap help VERB` shows what can be said; `grap config show` shows every setting and where it came from.";
    /// The repository is damaged, or a backup in it.
    BackupCorrupted = "BACKUP_CORRUPTED", 9, "`grap verify --read-data` names every damaged object. Another backup may be whole: `grap list`. With `restore --keep-going` what is whole is still written.";
    /// No such backup.
    BackupNotFound = "BACKUP_NOT_FOUND", 6, "`grap list` shows the backups of the repository.";
    /// The target of a restore is not among the points that can be reached. Nothing was written.
    TargetOutsideWindow = "TARGET_OUTSIDE_WINDOW", 16, "`grap window` shows every point that can be reached, on every timeline. What is newer than the archive: `grap restore latest`.";
    /// The target of a restore can be understood in several ways. Nothing was written.
    TargetAmbiguous = "TARGET_AMBIGUOUS", 16, "Say exactly which: each way is named in the message. `grap window` shows the timelines.";
    /// The target of a restore lies inside a schema change, which takes several transactions. Nothing was written.
    TargetInSchemaChange = "TARGET_IN_SCHEMA_CHANGE", 16, "A database restored to it would have an index that is never populated, and its name taken. The message names the nearest points on both sides at which no constraint is half made.";
    /// That time names no single point: clocks stepped there, or nobody watched. Nothing was written.
    TimeUnsure = "TIME_UNSURE", 16, "Name the transaction, tx=N: the message names those on both sides. After a break of the history, --timeline N says which one is meant.";
    /// Objects of the archive of the log are damaged or missing.
    ArchiveDamaged = "ARCHIVE_DAMAGED", 9, "`grap verify` names every damaged object, `grap window` what can still be reached. Take a new backup: what is behind it does not need the damaged part.";
    /// Two sources have a backup of this id.
    BackupAmbiguous = "BACKUP_AMBIGUOUS", 6, "Name it as SOURCE/ID, or give --source.";
    /// The file system has not the room that the operation needs. Nothing was published.
    NoSpace = "BACKUP_NO_SPACE", 5, "Make room, or put the repository (or the target) on a larger file system. What was stored already is used by the next run.";
    /// The installation, or a database in it, is not where it was looked for.
    Neo4jNotFound = "NEO4J_NOT_FOUND", 4, "Give --neo4j-home (the directory with conf/ and data/) or --data (the directory with databases/), and --transactions where the logs lie elsewhere. `grap doctor` says what it sees.";
    /// A format, release or setting that this program does not know. It refuses rather than guesses.
    Neo4jUnsupported = "NEO4J_UNSUPPORTED", 4, "Known are the record formats `aligned` and `standard` of Neo4j 5.0 to 2026.08 Community. A newer release of Grap may know more.";
    /// A transaction or checkpoint log is damaged or incomplete at its source.
    LogDamaged = "LOG_DAMAGED", 7, "If the server is stopped and crashed before, start it once and let it recover. If it runs, look for disk errors: the backup is refused so that nothing false is kept.";
    /// The database has no checkpoint to begin from.
    NoCheckpoint = "NO_CHECKPOINT", 7, "Start the server once; it writes a checkpoint when the database is first opened and when it stops.";
    /// The server was started, stopped or killed while the backup ran, or something else wrote into the store.
    ServerChanged = "SERVER_CHANGED", 8, "Nothing is wrong with the database. Run the backup again.";
    /// The files of the database cannot be read, or its log files cannot be held.
    SourceUnreadable = "SOURCE_UNREADABLE", 4, "Run grap as the server's own user (or root) and with the database's volume mounted. `grap doctor` shows what it may do.";
    /// Log files that the server has deleted hold back more room than the budget allows.
    PinBudgetExceeded = "PIN_BUDGET_EXCEEDED", 5, "The copy took so long that the server rotated away more log than may be held back. Raise --read-limit, or make room on the log's file system.";
    /// The database is not the one that the source is bound to, or another installation (or state directory) writes for the source.
    SourceMismatch = "SOURCE_MISMATCH", 4, "Is this the right repository, and the right database? After an import or a load of a dump, bind the source anew: grap source rebind. If this installation shall write from now on in place of another that is gone: --takeover. For a copy, or another installation: grap source add NAME, and --source NAME.";
    /// No such source, or none was named where there are several.
    SourceUnknown = "SOURCE_UNKNOWN", 6, "`grap source list` shows the sources; `grap source add NAME` makes one; --source NAME chooses.";
    /// The source is there already.
    SourceExists = "SOURCE_EXISTS", 6, "Choose another name.";
    /// There is no repository at this place.
    RepositoryNotFound = "REPOSITORY_NOT_FOUND", 10, "Is the path right, and the volume mounted? `grap init` makes a new repository.";
    /// There is a repository at this place already.
    RepositoryExists = "REPOSITORY_EXISTS", 10, "Nothing was changed. To use it, run grap backup.";
    /// The repository is of a version or kind that this program does not know.
    RepositoryUnsupported = "REPOSITORY_UNSUPPORTED", 10, "Known is restic's repository format version 2.";
    /// Another process holds a lock that excludes this operation.
    RepositoryLocked = "REPOSITORY_LOCKED", 11, "Wait for it to end. If its process is surely dead: grap unlock.";
    /// Our lock was removed, or not refreshed in time. Nothing was published.
    LockLost = "LOCK_LOST", 11, "Did the machine sleep, or did somebody remove locks? Run the operation again.";
    /// Another grap process runs the same job on this state directory.
    JobRunning = "JOB_RUNNING", 11, "Wait for it to end.";
    /// The password opens no key of the repository.
    WrongPassword = "WRONG_PASSWORD", 12, "The recovery key that was printed at `grap init` opens the repository, too: give it in place of the password.";
    /// The storage of the repository failed.
    StorageFailed = "STORAGE_FAILED", 13, "What was stored already is used by the next run.";
    /// The target of a restore, or the place of a new repository, is not empty, or in use.
    TargetNotEmpty = "TARGET_NOT_EMPTY", 4, "Choose a directory that is empty or does not exist yet. Nothing in it was touched.";
    /// What was written by a restore is not what the backup promised. It was not put in place.
    RestoreWrong = "RESTORE_WRONG", 9, "Restore another backup, and report this as a bug with the output of `grap show ID --json`.";
    /// Some files were restored, others are damaged in the repository.
    RestoredPartly = "RESTORED_PARTLY", 3, "This is no database: its log is missing on purpose. Use it only to save what can be saved.";
    /// The state directory cannot be used.
    StateUnusable = "STATE_UNUSABLE", 14, "Choose a directory that this user can write with --state-dir or GRAP_STATE_DIR.";
    /// `grap doctor` found something that stands in the way of backups.
    DoctorFailed = "DOCTOR_FAILED", 15, "Each finding says what to change.";
    /// Transactions of the database can be lost: `grap status` says why.
    Unprotected = "UNPROTECTED", 17, "Each reason is named. Mostly: is `grap archive` running? After a break of the history or a hole a new backup is needed: grap backup.";
    /// Whether the database is protected cannot be said without looking at it.
    ProtectionUnknown = "PROTECTION_UNKNOWN", 18, "Run it where the database is, with --neo4j-home or --data.";
    /// A file could not be read or written.
    FileFailed = "FILE_FAILED", 1, "The message names the call, the path, and what the system said.";
    /// Told to stop by a signal. Nothing was published.
    Interrupted = "INTERRUPTED", 130, "Run it again; what was stored already is used.";
}

impl Error {
    pub fn code(&self) -> Code {
        match self {
            Self::Layout(error) => layout(error),
            Self::Log(error) => log(error),
            Self::Pin(error) => pin(error),
            Self::Follow(error) => follow(error),
            Self::Capture(error) => capture(error),
            Self::Assemble(error) => assemble(error),
            Self::Archive(error) => archive(error),
            Self::Path(PathError::NoSuchPath { .. })
            | Self::TargetOutside { .. }
            | Self::TimeOutside { .. }
            | Self::NothingArchived { .. } => Code::TargetOutsideWindow,
            Self::Path(PathError::Loop { .. }) | Self::ArchiveHole { .. } => Code::ArchiveDamaged,
            Self::TimeUnsure { .. } => Code::TimeUnsure,
            Self::TargetAmbiguous { .. } => Code::TargetAmbiguous,
            Self::TargetInSchemaChange { .. } => Code::TargetInSchemaChange,
            Self::NotABackup { .. } => Code::Usage,
            Self::Reread(_) => Code::RestoreWrong,
            Self::Repository(error) => repository(error),
            Self::State(StateError::Busy { .. }) | Self::IdTaken { .. } => Code::JobRunning,
            Self::State(_) => Code::StateUnusable,
            Self::Disk(error) => target_disk(error),
            Self::Write(error) => write(error),
            Self::Stopped(_) => Code::Interrupted,
            Self::Thread(_) => Code::FileFailed,
            Self::NoSpace { .. } => Code::NoSpace,
            Self::ServerChanged { .. } => Code::ServerChanged,
            Self::LogsElsewhere { .. } => Code::Neo4jNotFound,
            Self::PlaceNotEmpty { .. } => Code::TargetNotEmpty,
            Self::SourceMismatch { .. } => Code::SourceMismatch,
            Self::SourceUnknown { .. } | Self::SourceUnnamed { .. } | Self::NoSource => Code::SourceUnknown,
            Self::SourceExists { .. } => Code::SourceExists,
            Self::BackupNotFound { .. } | Self::NoBackup | Self::DatabaseNotFound { .. } => {
                Code::BackupNotFound
            }
            Self::BackupAmbiguous { .. } => Code::BackupAmbiguous,
            Self::SourceNewer { .. } | Self::Manifest { source: ManifestError::Newer { .. }, .. } => {
                Code::RepositoryUnsupported
            }
            Self::Manifest { .. }
            | Self::SourceRecord { .. }
            | Self::BackupIncomplete { .. }
            | Self::BackupUnreadable { .. }
            | Self::Damaged { .. } => Code::BackupCorrupted,
            Self::RestoredPartly { .. } => Code::RestoredPartly,
        }
    }
}

/// What caused an error, outermost first. A cause that an outer error shows as itself is not said twice.
pub fn causes(error: &dyn std::error::Error) -> Vec<String> {
    let mut said = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        if said.last() != Some(&text) {
            said.push(text);
        }
        cause = inner.source();
    }
    said.split_off(1)
}

fn layout(error: &LayoutError) -> Code {
    match error {
        LayoutError::Disk(error) => source_disk(error),
        LayoutError::SeveralDatabases { .. } => Code::Usage,
        _ => Code::Neo4jNotFound,
    }
}

fn log(error: &LogError) -> Code {
    use grap_neo4j::checkpoint::CheckpointError;
    use grap_neo4j::txlog::{ChainError, HeaderError, ScanError};
    match error {
        LogError::Disk(error) => source_disk(error),
        LogError::Pin(error) => pin(error),
        LogError::Stopped(_) => Code::Interrupted,
        LogError::NoCheckpoint { .. } => Code::NoCheckpoint,
        LogError::Replaced { .. } | LogError::Changed { .. } => Code::ServerChanged,
        LogError::Checkpoint {
            source:
                CheckpointError::UnknownKernel { .. }
                | CheckpointError::Header(HeaderError::EnvelopedLog { .. } | HeaderError::UnknownLogFormat { .. }),
            ..
        }
        | LogError::Header {
            source: HeaderError::EnvelopedLog { .. } | HeaderError::UnknownLogFormat { .. },
            ..
        }
        | LogError::Chain {
            source: ChainError::Scan(ScanError::UnknownKernel { .. } | ScanError::RefusedEntry { .. }),
            ..
        } => Code::Neo4jUnsupported,
        LogError::Chain { source: ChainError::Scan(ScanError::Read { .. }), .. } => Code::SourceUnreadable,
        _ => Code::LogDamaged,
    }
}

fn pin(error: &PinError) -> Code {
    match error {
        PinError::Disk(error) => source_disk(error),
        PinError::BudgetExceeded { .. } => Code::PinBudgetExceeded,
        PinError::TooManyDescriptors { .. } => Code::SourceUnreadable,
    }
}

fn follow(error: &FollowError) -> Code {
    match error {
        FollowError::Disk(error) => source_disk(error),
        FollowError::GateShut { .. } => Code::FileFailed,
        FollowError::TooManyDescriptors { .. } => Code::SourceUnreadable,
        FollowError::UnknownDatabase { .. } | FollowError::NoStores { .. } => Code::Neo4jNotFound,
        FollowError::RunIsPresent => Code::ServerChanged,
        FollowError::OtherOwner { .. } => Code::SourceMismatch,
    }
}

fn capture(error: &CaptureError) -> Code {
    match error {
        CaptureError::Disk(error) => source_disk(error),
        CaptureError::Log(error) => log(error),
        CaptureError::Repository(error) => repository(error),
        CaptureError::File { source: RepositoryError::SourceShort { .. }, .. }
        | CaptureError::StoreReplaced { .. }
        | CaptureError::WrittenBehindOurBack { .. } => Code::ServerChanged,
        CaptureError::File { .. } | CaptureError::NotAFile { .. } => Code::SourceUnreadable,
        CaptureError::Format { .. } | CaptureError::UnknownStore { .. } => Code::Neo4jUnsupported,
        CaptureError::MissingStore { .. } => Code::Neo4jNotFound,
        CaptureError::Metadata { .. }
        | CaptureError::ForeignLog { .. }
        | CaptureError::EndsBeforeCheckpoint { .. } => Code::LogDamaged,
    }
}

fn archive(error: &ArchiveError) -> Code {
    match error {
        ArchiveError::Repository(error) if is_storage(error) => repository(error),
        ArchiveError::Stopped(_) => Code::Interrupted,
        ArchiveError::Start { source: StartError::Newer { .. }, .. }
        | ArchiveError::Segment { source: SegmentError::Unknown, .. } => Code::RepositoryUnsupported,
        ArchiveError::Repository(_) | ArchiveError::Start { .. } | ArchiveError::Segment { .. } => {
            Code::ArchiveDamaged
        }
    }
}

/// As against something stored that is damaged or gone.
fn is_storage(error: &RepositoryError) -> bool {
    !matches!(error, RepositoryError::Damaged { .. } | RepositoryError::Object(ObjectError::NotFound { .. }))
}

fn assemble(error: &AssembleError) -> Code {
    match error {
        AssembleError::Archive(error) => archive(error),
        AssembleError::Disk(error) => target_disk(error),
        AssembleError::Repository(error)
        | AssembleError::Damaged { source: error, .. }
        | AssembleError::Unreadable { source: error, .. } => repository(error),
        AssembleError::Reread(_) | AssembleError::Hash { .. } | AssembleError::LogGap { .. } => {
            Code::RestoreWrong
        }
        AssembleError::Incomplete { .. } => Code::BackupCorrupted,
        AssembleError::TargetNotEmpty { .. } | AssembleError::TargetBusy { .. } => Code::TargetNotEmpty,
        AssembleError::Stopped(_) => Code::Interrupted,
        AssembleError::Thread(_) | AssembleError::Syncer => Code::FileFailed,
    }
}

fn write(error: &WriteError) -> Code {
    match error {
        WriteError::Archive(error) => archive(error),
        WriteError::Follow(error) => follow(error),
        WriteError::Disk(error) => source_disk(error),
        WriteError::NotOurs(_) | WriteError::StartUnreadable { .. } => Code::SourceMismatch,
        WriteError::NoncesHeld { .. } => Code::JobRunning,
        WriteError::NoRandom(_) => Code::FileFailed,
        WriteError::NoLog { .. } => Code::Neo4jNotFound,
        WriteError::Contended { .. } => Code::JobRunning,
    }
}

fn repository(error: &RepositoryError) -> Code {
    match error {
        RepositoryError::Object(error) | RepositoryError::BlobUnreadable { source: error, .. } => {
            object(error)
        }
        RepositoryError::AlreadyRepository => Code::RepositoryExists,
        RepositoryError::NotARepository => Code::RepositoryNotFound,
        RepositoryError::WrongPassword => Code::WrongPassword,
        RepositoryError::UnknownVersion { .. } => Code::RepositoryUnsupported,
        RepositoryError::NoUsableKey { .. }
        | RepositoryError::Damaged { .. }
        | RepositoryError::BlobDamaged { .. }
        | RepositoryError::BlobMissing { .. }
        | RepositoryError::FileLength { .. } => Code::BackupCorrupted,
        RepositoryError::Locked { .. } => Code::RepositoryLocked,
        RepositoryError::LockGone { .. }
        | RepositoryError::LockStale { .. }
        | RepositoryError::PackGone { .. } => Code::LockLost,
        RepositoryError::SourceShort { .. } => Code::ServerChanged,
        RepositoryError::SourceUnreadable { .. } => Code::SourceUnreadable,
        RepositoryError::Stopped(_) => Code::Interrupted,
        RepositoryError::IndexTooLarge { .. }
        | RepositoryError::InvalidTree { .. }
        | RepositoryError::MemoryDamage { .. }
        | RepositoryError::Encode { .. }
        | RepositoryError::Thread(_)
        | RepositoryError::ReaderFailed
        | RepositoryError::WriterFailed => Code::StorageFailed,
    }
}

fn object(error: &ObjectError) -> Code {
    match error {
        ObjectError::Failed { source, .. } => match source.downcast_ref::<DiskError>() {
            Some(error) if error.is_no_space() => Code::NoSpace,
            _ => Code::StorageFailed,
        },
        ObjectError::NotFound { .. } => Code::BackupCorrupted,
        ObjectError::AlreadyExists { .. } | ObjectError::InvalidName { .. } => Code::StorageFailed,
    }
}

fn source_disk(error: &DiskError) -> Code {
    if error.call.writes() { target_disk(error) } else { Code::SourceUnreadable }
}

fn target_disk(error: &DiskError) -> Code {
    if error.is_no_space() { Code::NoSpace } else { Code::FileFailed }
}
