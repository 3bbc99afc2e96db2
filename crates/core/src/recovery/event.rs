//! What can happen to a recovery. The journal of recoveries holds these, and nothing else.

use std::time::Duration;

use grap_neo4j::{Checksum, TxId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::id::RecoveryId;
use super::order::Order;
use super::switch::{Guard, Switch};
use super::tier::{Judgement, Tier};
use crate::{BackupId, SourceName};

/// Something happened.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Event {
    /// By the wall clock.
    pub at: Timestamp,
    /// How long the order took that this is the outcome of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    /// The target is chosen and the plan is fixed. Nothing is written yet.
    Begun {
        id: RecoveryId,
        plan: Plan,
    },
    /// The candidate's directory is there, and says whose it is.
    Reserved,
    /// The candidate is a data directory, whole.
    Restored,
    /// What was written is what the plan promised.
    Reread,
    /// The test instance runs on the candidate.
    Started {
        instance: Instance,
    },
    /// A tier has answered. `print`: what the candidate was when the last tier had passed it; journals of older programs
    /// have none.
    Judged {
        judgement: Judgement,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        print: Option<CandidatePrint>,
    },
    /// The test instance is gone, and nobody stopped it: it ends with the process that started it.
    InstanceLost {
        failure: Failure,
    },
    /// The test instance was stopped in good order: the candidate is a clean store.
    Stopped,
    /// What the validation found stands beside the backup.
    Recorded,
    /// It could not be written there. It stands here, and changes nothing about the candidate.
    RecordMissed {
        failure: Failure,
    },
    /// What the test instance had of its own is gone; the candidate is as it was restored, and opened once.
    ScratchRemoved,
    /// An order could not be done.
    Failed {
        order: Order,
        failure: Failure,
    },
    /// Somebody wants an end to it.
    CancelAsked,
    /// No process of the test instance is left.
    InstanceEnded,
    /// Nothing is left of the candidate.
    CandidateRemoved,
    /// Somebody wants to begin anew.
    ResetAsked,
    /// The candidate is to become the live database.
    PromoteAsked {
        switch: Box<Switch>,
    },
    /// A retired store is to become the live database again. The plan says what it replaces.
    RollbackBegun {
        id: RecoveryId,
        plan: Plan,
        switch: Box<Switch>,
    },
    /// A barrier lies where the live log should be, and no journal knows of it: what was noted beside it is enough to
    /// exchange everything back.
    SwitchFound {
        id: RecoveryId,
        plan: Plan,
        switch: Box<Switch>,
        guard: Guard,
    },
    /// Nothing speaks against it.
    LookedAgain {
        ran: bool,
    },
    /// The side lies where it can be exchanged.
    Staged,
    /// No client is in the middle of something. `ran`: whether there is a server at all now; it may have been started since the
    /// look.
    Drained {
        #[serde(default)]
        ran: bool,
    },
    /// The live server is stopped, and its lock is ours.
    LiveStopped {
        ran: bool,
    },
    /// The lock went with the process that had it, before anything was exchanged: somebody may have started the server.
    LockLost {
        failure: Failure,
    },
    /// The archive holds what was written up to the stop.
    ArchiveReached,
    /// It does not, and the live database was given up.
    ArchiveMissed {
        failure: Failure,
    },
    /// The barrier is written.
    Guarded {
        guard: Guard,
    },
    LogTaken,
    StoresSwapped,
    LogPut,
    LiveStarted,
    Confirmed,
    /// It serves, and whether it is what it should be could not be looked at.
    Unconfirmed {
        failure: Failure,
    },
    /// What was live lies in its place.
    Retired,
    /// It stands beside the backup that the live database was made of.
    PromotionRecorded,
    /// The live database is what it was before.
    Undone,
    /// Clients have written to the new one: it stays.
    Written,
    /// The old one serves again, if it did before.
    OldStarted,
    /// Somebody wants the new one to be asked again.
    ConfirmAsked,
}

impl What {
    /// Whether this is what comes of an order that was done.
    pub(super) fn is_done(&self) -> bool {
        match self {
            Self::Reserved
            | Self::Restored
            | Self::Reread
            | Self::Started { .. }
            | Self::Judged { .. }
            | Self::Stopped
            | Self::Recorded
            | Self::ScratchRemoved
            | Self::InstanceEnded
            | Self::CandidateRemoved
            | Self::LookedAgain { .. }
            | Self::Staged
            | Self::Drained { .. }
            | Self::LiveStopped { .. }
            | Self::ArchiveReached
            | Self::Guarded { .. }
            | Self::LogTaken
            | Self::StoresSwapped
            | Self::LogPut
            | Self::LiveStarted
            | Self::Confirmed
            | Self::Retired
            | Self::PromotionRecorded
            | Self::Undone
            | Self::OldStarted => true,
            Self::Begun { .. }
            | Self::InstanceLost { .. }
            | Self::RecordMissed { .. }
            | Self::Failed { .. }
            | Self::CancelAsked
            | Self::ResetAsked
            | Self::PromoteAsked { .. }
            | Self::RollbackBegun { .. }
            | Self::SwitchFound { .. }
            | Self::LockLost { .. }
            | Self::ArchiveMissed { .. }
            | Self::Unconfirmed { .. }
            | Self::Written
            | Self::ConfirmAsked => false,
        }
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Begun { .. } => "begun",
            Self::Reserved => "reserved",
            Self::Restored => "restored",
            Self::Reread => "reread",
            Self::Started { .. } => "started",
            Self::Judged { .. } => "judged",
            Self::InstanceLost { .. } => "instance_lost",
            Self::Stopped => "stopped",
            Self::Recorded => "recorded",
            Self::RecordMissed { .. } => "record_missed",
            Self::ScratchRemoved => "scratch_removed",
            Self::Failed { .. } => "failed",
            Self::CancelAsked => "cancel_asked",
            Self::InstanceEnded => "instance_ended",
            Self::CandidateRemoved => "candidate_removed",
            Self::ResetAsked => "reset_asked",
            Self::PromoteAsked { .. } => "promote_asked",
            Self::RollbackBegun { .. } => "rollback_begun",
            Self::SwitchFound { .. } => "switch_found",
            Self::LookedAgain { .. } => "looked_again",
            Self::Staged => "staged",
            Self::Drained { .. } => "drained",
            Self::LiveStopped { .. } => "live_stopped",
            Self::LockLost { .. } => "lock_lost",
            Self::ArchiveReached => "archive_reached",
            Self::ArchiveMissed { .. } => "archive_missed",
            Self::Guarded { .. } => "guarded",
            Self::LogTaken => "log_taken",
            Self::StoresSwapped => "stores_swapped",
            Self::LogPut => "log_put",
            Self::LiveStarted => "live_started",
            Self::Confirmed => "confirmed",
            Self::Unconfirmed { .. } => "unconfirmed",
            Self::Retired => "retired",
            Self::PromotionRecorded => "promotion_recorded",
            Self::Undone => "undone",
            Self::Written => "written",
            Self::OldStarted => "old_started",
            Self::ConfirmAsked => "confirm_asked",
        }
    }
}

/// What a recovery is going to do, fixed before it does anything: `latest` means the same after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Plan {
    /// As it was asked for.
    pub target: String,
    /// The id of the repository: ids of backups are the same in a copy of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    pub source: SourceName,
    /// The backup that it begins from.
    pub backup: BackupId,
    /// Whose archived log goes behind it.
    pub timeline: Option<u64>,
    /// The last transaction of each database.
    pub ends: Vec<End>,
    /// The directory of the candidate; UTF-8, so that a journal can hold it. Its last part is the id.
    pub candidate: String,
    /// Of the candidate.
    pub bytes: u64,
    pub limits: Limits,
    /// A rollback: what the promotion (or rollback) of this recovery retired comes back. Source, backup and repository are
    /// those of that recovery; the candidate is the retired store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<RecoveryId>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct End {
    pub database: String,
    pub tx_id: TxId,
    /// Why it may not be where the target is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short: Option<String>,
}

/// How long each part of a validation may take, seconds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// Until every database of the test instance has recovered and is ONLINE.
    pub start_s: u32,
    pub connectivity_s: u32,
    pub schema_s: u32,
    pub orphans_s: u32,
    pub counts_s: u32,
    pub custom_s: u32,
    pub stop_s: u32,
    pub store_s: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            start_s: 3600,
            connectivity_s: 5,
            schema_s: 10,
            orphans_s: 30,
            counts_s: 60,
            custom_s: 60,
            stop_s: 600,
            store_s: 3600,
        }
    }
}

impl Limits {
    pub fn of(&self, tier: Tier) -> Duration {
        let seconds = match tier {
            Tier::Connectivity => self.connectivity_s,
            Tier::Schema => self.schema_s,
            Tier::Orphans => self.orphans_s,
            Tier::Counts => self.counts_s,
            Tier::Custom => self.custom_s,
            Tier::Store => self.store_s,
        };
        Duration::from_secs(u64::from(seconds))
    }
}

/// What tells the test instance from every other process.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Instance {
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// On loopback, the one of Bolt first.
    pub ports: Vec<u16>,
    /// Random text of this start, which the process carries.
    pub nonce: String,
    /// Of the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// What tells a candidate from what somebody has made of it since: taken when the last tier had read it, and looked at
/// again before it is used.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CandidatePrint {
    pub databases: Vec<DatabasePrint>,
}

/// Of one database of a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DatabasePrint {
    pub database: String,
    /// The inodes of its two directories: a copy in their place is another one.
    pub store_inode: u64,
    pub log_inode: u64,
    /// How many files are in both, and their bytes together: for people.
    pub files: u64,
    pub bytes: u64,
    /// SHA-256, in hexadecimal, over the name, the size and the time of the last change of each file, in order.
    pub digest: String,
    /// The last transaction of its log. A server may have put some of its own behind the planned one.
    pub end: TxId,
    pub end_checksum: Checksum,
}

/// What went wrong, as errors are called outside.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Failure {
    pub code: String,
    pub message: String,
}
