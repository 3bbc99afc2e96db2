//! Which code each situation has: one exhaustive match, and one for each library below.

use grap_disk::DiskError;
use grap_repository::{ObjectError, RepositoryError};

use super::{Code, Error};
use crate::archive::{ArchiveError, PathError, SegmentError, StartError, WriteError};
use crate::check::CheckError;
use crate::copy::{AssembleError, CaptureError, ManifestError};
use crate::live::{FollowError, LayoutError, LogError, PinError};
use crate::server::ServerError;
use crate::server::control::ControlError;
use crate::server::control::supervisor::SupervisorVerb;
use crate::state::StateError;

impl Error {
    pub fn code(&self) -> Code {
        match self {
            Self::Layout(error) => layout(error),
            Self::Log(error) => log(error),
            Self::Pin(error) => pin(error),
            Self::Follow(error) => follow(error),
            Self::Capture(error) => capture(error),
            Self::Assemble(error) => assemble(error),
            Self::Bolt(error) => bolt(error),
            Self::Archive(error) => archive(error),
            Self::Path(PathError::NoSuchPath { .. })
            | Self::TargetOutside { .. }
            | Self::TimeOutside { .. }
            | Self::NothingArchived { .. }
            | Self::NoDrillTarget { .. } => Code::TargetOutsideWindow,
            Self::Path(PathError::Loop { .. })
            | Self::ArchiveHole { .. }
            | Self::NewestRunUnreadable { .. } => Code::ArchiveDamaged,
            Self::TimeUnsure { .. } => Code::TimeUnsure,
            Self::TargetAmbiguous { .. } => Code::TargetAmbiguous,
            Self::TargetInSchemaChange { .. } => Code::TargetInSchemaChange,
            Self::NotABackup { .. }
            | Self::OpenWhich { .. }
            | Self::SystemNotOpened
            | Self::CandidatePath { .. }
            | Self::NotOpenedAgain { .. }
            | Self::LiveUnknown { .. } => Code::Usage,
            Self::Server(error) => server(error),
            Self::Control(error) => control(error),
            Self::Reread(_) | Self::CandidateWrong { .. } => Code::RestoreWrong,
            Self::Repository(error) => repository(error),
            Self::State(StateError::Busy { .. }) | Self::IdTaken { .. } | Self::DrillBesideRecovery => {
                Code::JobRunning
            }
            Self::State(_) | Self::SwitchUnknown { .. } => Code::StateUnusable,
            Self::Disk(error) => target_disk(error),
            Self::Write(error) => write(error),
            Self::Check(error) => check(error),
            Self::Stopped(_) | Self::SwitchPaused { .. } => Code::Interrupted,
            Self::Thread(_) => Code::FileFailed,
            Self::NoSpace { .. } | Self::NoRoomForJournal { .. } => Code::NoSpace,
            Self::ServerChanged { .. } => Code::ServerChanged,
            Self::LogsElsewhere { .. } => Code::Neo4jNotFound,
            Self::NoRepository { .. } => Code::RepositoryNotFound,
            Self::PlaceNotEmpty { .. } | Self::CandidateTaken { .. } => Code::TargetNotEmpty,
            Self::SourceMismatch { .. } => Code::SourceMismatch,
            Self::SourceUnknown { .. } | Self::SourceUnnamed { .. } | Self::NoSource => Code::SourceUnknown,
            Self::SourceExists { .. } => Code::SourceExists,
            Self::BackupNotFound { .. } | Self::NoBackup | Self::DatabaseNotFound { .. } => {
                Code::BackupNotFound
            }
            Self::BackupHeld { .. } => Code::BackupHeld,
            Self::BackupNeeded { .. } => Code::BackupNeeded,
            Self::BackupAmbiguous { .. } => Code::BackupAmbiguous,
            Self::SourceNewer { .. } | Self::Manifest { source: ManifestError::Newer { .. }, .. } => {
                Code::RepositoryUnsupported
            }
            Self::Manifest { .. }
            | Self::SourceRecord { .. }
            | Self::BackupIncomplete { .. }
            | Self::BackupUnreadable { .. }
            | Self::BackupInDoubt { .. }
            | Self::Damaged { .. } => Code::BackupCorrupted,
            Self::RestoredPartly { .. } => Code::RestoredPartly,
            Self::AtCopy { error } => match error.code() {
                Code::RepositoryNotFound => Code::CopyTargetMissing,
                code => code,
            },
            Self::CopyToItself { .. }
            | Self::CopyOfOther { .. }
            | Self::CopyNotEmpty { .. }
            | Self::CopyDiverged { .. } => Code::CopyMixed,
            Self::CopiedPartly { .. } => Code::CopiedPartly,
            Self::RecoveryInTheWay { .. }
            | Self::OtherRecovery { .. }
            | Self::OtherRepository { .. }
            | Self::OtherServer { .. }
            | Self::NoRecovery { .. }
            | Self::CancelNotHeard { .. }
            | Self::SwitchOwed { .. }
            | Self::TooLateToCancel { .. }
            | Self::ClaimHeld { .. } => Code::RecoveryState,
            Self::StillOwed(error) => error.code(),
            Self::PromotionRefused { .. } | Self::LiveGone { .. } => Code::PromotionRefused,
            Self::NotConfirmed { .. } => Code::PromotionUnconfirmed,
            Self::SwapUnknown { .. } | Self::MarkUnreadable { .. } | Self::BarrierOfAnother { .. } => {
                Code::SwapUnfinished
            }
            Self::NoRetired { .. } => Code::RetiredNotFound,
            Self::RetiredNotBackedUp { .. } => Code::RetiredNotBackedUp,
            Self::CandidateChanged { .. } | Self::CandidateUnprinted { .. } => Code::CandidateChanged,
        }
    }
}

fn bolt(error: &grap_bolt::Error) -> Code {
    use grap_bolt::Error as Bolt;
    match error {
        Bolt::Resolve { .. }
        | Bolt::Connect { .. }
        | Bolt::Timeout { .. }
        | Bolt::Closed { .. }
        | Bolt::Broken { .. }
        | Bolt::Poisoned { .. } => Code::Neo4jUnreachable,
        Bolt::NotBolt { .. }
        | Bolt::NoCommonVersion { .. }
        | Bolt::Tls { .. }
        | Bolt::Unexpected { .. }
        | Bolt::NeedMore { .. }
        | Bolt::UnknownMarker { .. }
        | Bolt::NotUtf8 { .. }
        | Bolt::KeyNotText { .. }
        | Bolt::TooDeep { .. }
        | Bolt::NotEncodable { .. }
        | Bolt::MessageTooLarge { .. }
        | Bolt::NotAMessage { .. } => Code::Neo4jNotBolt,
        Bolt::Server { .. } | Bolt::Ignored { .. } | Bolt::TransactionOver { .. } => Code::Neo4jRefused,
        Bolt::CommitInDoubt { .. } => Code::CommitInDoubt,
        Bolt::Address { .. } | Bolt::Authentication { .. } | Bolt::Certificates { .. } => Code::Usage,
    }
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

fn check(error: &CheckError) -> Code {
    match error {
        CheckError::Disk(error) => source_disk(error),
        CheckError::Stopped(_) => Code::Interrupted,
        CheckError::Log(error) => log(error),
        CheckError::NoStore { .. } | CheckError::NoLog { .. } => Code::Neo4jNotFound,
        CheckError::Running { .. } => Code::DatabaseRunning,
        CheckError::NotClean { .. } => Code::NeedsRecovery,
        CheckError::Format { .. } => Code::Neo4jUnsupported,
        CheckError::Metadata { .. } | CheckError::Missing { .. } | CheckError::Header { .. } => {
            Code::StoreDamaged
        }
        CheckError::Checkpoint { .. } => Code::LogDamaged,
        CheckError::Changed { .. } => Code::ServerChanged,
        CheckError::Thread(_) => Code::FileFailed,
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

fn server(error: &ServerError) -> Code {
    match error {
        ServerError::Disk(error) => target_disk(error),
        ServerError::Stopped(_) => Code::Interrupted,
        ServerError::NoJars { .. } | ServerError::NoJava { .. } => Code::ServerNotStartable,
        ServerError::UnknownRelease { .. } => Code::Neo4jUnsupported,
        ServerError::TooOld { .. } => Code::ServerTooOld,
        ServerError::Died { .. } => Code::InstanceDied,
        ServerError::WrongEnd { .. } => Code::RestoreWrong,
        ServerError::AdminTooLong { .. } | ServerError::AdminEnded { .. } => Code::Neo4jAdminFailed,
        ServerError::Contended { .. } => Code::JobRunning,
        ServerError::NoRandom(_) | ServerError::NoPort(_) | ServerError::Spawn(_) => Code::FileFailed,
        ServerError::Lingers { .. }
        | ServerError::Ended { .. }
        | ServerError::NotReady { .. }
        | ServerError::NotStopped { .. }
        | ServerError::Bolt(_)
        | ServerError::Refused { .. } => Code::InstanceFailed,
    }
}

fn control(error: &ControlError) -> Code {
    match error {
        ControlError::Disk(error) => target_disk(error),
        ControlError::Stopped(_) => Code::Interrupted,
        ControlError::NotSet | ControlError::UnitNotKnown { .. } => Code::ServerControlMissing,
        ControlError::NoUnit { .. } => Code::Usage,
        ControlError::SupervisorSilent { .. } => Code::SupervisorUnreachable,
        ControlError::SupervisorRefuses { verb, .. } => match verb {
            SupervisorVerb::Status => Code::SupervisorUnreachable,
            SupervisorVerb::Stop | SupervisorVerb::Kill => Code::ServerStopFailed,
            SupervisorVerb::Start | SupervisorVerb::Restart => Code::ServerStartFailed,
        },
        ControlError::SupervisorOfAnother { .. } => Code::PromotionRefused,
        ControlError::StopTimedOut { .. } => Code::ServerStopTimedOut,
        ControlError::StopNotRun { .. }
        | ControlError::StopFailed { .. }
        | ControlError::HeldByAnother { .. } => Code::ServerStopFailed,
        ControlError::StartNotRun { .. }
        | ControlError::StartFailed { .. }
        | ControlError::NotOnline { .. }
        | ControlError::StartTimedOut { .. }
        | ControlError::NotServing { .. } => Code::ServerStartFailed,
    }
}

fn write(error: &WriteError) -> Code {
    match error {
        WriteError::Archive(error) => archive(error),
        WriteError::Follow(error) => follow(error),
        WriteError::Disk(error) => source_disk(error),
        WriteError::NotOurs(_) | WriteError::StartUnreadable { .. } | WriteError::PlaceChanged => {
            Code::SourceMismatch
        }
        WriteError::NoRandom(_) => Code::FileFailed,
        WriteError::NoLog { .. } => Code::Neo4jNotFound,
        WriteError::NoncesHeld { .. } | WriteError::Contended { .. } => Code::JobRunning,
        WriteError::NotDrained { .. } => Code::StorageFailed,
    }
}

fn repository(error: &RepositoryError) -> Code {
    match error {
        RepositoryError::Object(error) | RepositoryError::BlobUnreadable { source: error, .. } => {
            object(error)
        }
        RepositoryError::CopySource(error) => repository(error),
        RepositoryError::AlreadyRepository => Code::RepositoryExists,
        RepositoryError::NotARepository => Code::RepositoryNotFound,
        RepositoryError::WrongPassword => Code::WrongPassword,
        RepositoryError::UnknownVersion { .. } => Code::RepositoryUnsupported,
        RepositoryError::KeyNotFound { .. } | RepositoryError::KeyAmbiguous { .. } => Code::KeyNotFound,
        RepositoryError::KeyLast { .. } | RepositoryError::KeyGone { .. } => Code::KeyLast,
        RepositoryError::NoUsableKey { .. }
        | RepositoryError::Damaged { .. }
        | RepositoryError::BlobDamaged { .. }
        | RepositoryError::BlobMissing { .. }
        | RepositoryError::FileLength { .. } => Code::BackupCorrupted,
        RepositoryError::SnapshotIncomplete { source, .. } => repository(source),
        RepositoryError::Locked { .. } => Code::RepositoryLocked,
        RepositoryError::LockGone { .. }
        | RepositoryError::LockStale { .. }
        | RepositoryError::SnapshotAppeared { .. }
        | RepositoryError::PackGone { .. } => Code::LockLost,
        RepositoryError::SourceShort { .. } => Code::ServerChanged,
        RepositoryError::SourceUnreadable { .. } => Code::SourceUnreadable,
        RepositoryError::Stopped(_) => Code::Interrupted,
        RepositoryError::KeyUnproved { .. }
        | RepositoryError::IndexTooLarge { .. }
        | RepositoryError::InvalidTree { .. }
        | RepositoryError::LockNotExclusive { .. }
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
        ObjectError::Denied { .. } => Code::StorageDenied,
        ObjectError::Full { .. } => Code::NoSpace,
        ObjectError::AlreadyExists { .. } | ObjectError::InvalidName { .. } | ObjectError::Refused { .. } => {
            Code::StorageFailed
        }
    }
}

fn source_disk(error: &DiskError) -> Code {
    if error.call.writes() { target_disk(error) } else { Code::SourceUnreadable }
}

fn target_disk(error: &DiskError) -> Code {
    if error.is_no_space() { Code::NoSpace } else { Code::FileFailed }
}
