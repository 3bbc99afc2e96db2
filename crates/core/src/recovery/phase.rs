//! The last thing that was done in a recovery, and what that is called outside.

use std::fmt;

/// The last thing that was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    Begun,
    Reserved,
    Restored,
    Reread,
    Running,
    Stopped,
    Recorded,
    /// A candidate that every tier has passed.
    Validated,
    /// It failed; a test instance may run.
    Ending,
    /// It failed by what a tier found, or its server died, and that is to be written down.
    Noting,
    /// It failed, and its candidate is of no use.
    Dropping,
    /// One end.
    Failed,
    /// It had ended, and its candidate is to go.
    Resetting,
    /// A side is to become the live database.
    Asked,
    LookedAgain,
    Staged,
    Drained,
    /// The live server is stopped, and its lock is ours, as long as this process lives.
    LiveStopped,
    ArchiveReached,
    /// The barrier is written. The next thing changes the live database.
    Guarded,
    LogTaken,
    StoresSwapped,
    /// The live database is whole again, and it is the side.
    LogPut,
    LiveStarted,
    Confirmed,
    /// What was live lies in its place.
    Retired,
    /// The other end.
    Promoted,
    /// Somebody wants the promoted database to be asked again.
    AskedAgain,
    /// What was exchanged is to be exchanged back.
    Undoing,
    /// The old database is there again, and is to serve.
    Restarting,
}

/// What a recovery is called outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    NotRecovering,
    Recovering,
    Validation,
    Success,
    Promoted,
    Failed,
}

impl Phase {
    /// On the way to a validated candidate: it can fail, and be cancelled.
    pub fn is_forward(self) -> bool {
        matches!(
            self,
            Self::Begun
                | Self::Reserved
                | Self::Restored
                | Self::Reread
                | Self::Running
                | Self::Stopped
                | Self::Recorded
        )
    }

    /// On the way to another live database, and before it is the live one: it can be called off.
    pub fn is_switching(self) -> bool {
        matches!(
            self,
            Self::Asked
                | Self::LookedAgain
                | Self::Staged
                | Self::Drained
                | Self::LiveStopped
                | Self::ArchiveReached
                | Self::Guarded
                | Self::LogTaken
                | Self::StoresSwapped
        )
    }

    pub fn can_be_cancelled(self) -> bool {
        self.is_forward() || self.is_switching()
    }

    /// The live server is stopped by us, or may be: nobody should be kept waiting for long.
    pub fn live_is_down(self) -> bool {
        matches!(
            self,
            Self::LiveStopped
                | Self::ArchiveReached
                | Self::Guarded
                | Self::LogTaken
                | Self::StoresSwapped
                | Self::LogPut
                | Self::Undoing
                | Self::Restarting
        )
    }

    /// It is, or somebody has been told to stop it.
    pub fn live_may_be_down(self) -> bool {
        self.live_is_down() || self == Self::Drained
    }

    /// Nothing is owed.
    pub fn is_end(self) -> bool {
        matches!(self, Self::Validated | Self::Failed | Self::Promoted)
    }

    /// An old database that does not come up again is not waited for for ever.
    pub fn can_be_reset(self) -> bool {
        self.is_end() || self == Self::Restarting
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Begun => "begun",
            Self::Reserved => "reserved",
            Self::Restored => "restored",
            Self::Reread => "reread",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Recorded => "recorded",
            Self::Validated => "validated",
            Self::Ending => "ending",
            Self::Noting => "noting",
            Self::Dropping => "dropping",
            Self::Failed => "failed",
            Self::Resetting => "resetting",
            Self::Asked => "asked",
            Self::LookedAgain => "looked_again",
            Self::Staged => "staged",
            Self::Drained => "drained",
            Self::LiveStopped => "live_stopped",
            Self::ArchiveReached => "archive_reached",
            Self::Guarded => "guarded",
            Self::LogTaken => "log_taken",
            Self::StoresSwapped => "stores_swapped",
            Self::LogPut => "log_put",
            Self::LiveStarted => "live_started",
            Self::Confirmed => "confirmed",
            Self::Retired => "retired",
            Self::Promoted => "promoted",
            Self::AskedAgain => "asked_again",
            Self::Undoing => "undoing",
            Self::Restarting => "restarting",
        }
    }

    /// What is failing is called failed, and a candidate that goes away is nobody's: what is still owed changes nothing
    /// about how it ends. A promotion is none until it is done; on its way back it `fails` or was called off.
    pub(super) fn status(self, fails: bool) -> Status {
        match self {
            Self::Begun | Self::Reserved | Self::Restored => Status::Recovering,
            Self::Reread | Self::Running | Self::Stopped | Self::Recorded => Status::Validation,
            Self::Ending | Self::Noting | Self::Dropping | Self::Failed => Status::Failed,
            Self::Resetting => Status::NotRecovering,
            Self::Undoing | Self::Restarting if fails => Status::Failed,
            Self::Promoted | Self::AskedAgain => Status::Promoted,
            Self::Validated
            | Self::Asked
            | Self::LookedAgain
            | Self::Staged
            | Self::Drained
            | Self::LiveStopped
            | Self::ArchiveReached
            | Self::Guarded
            | Self::LogTaken
            | Self::StoresSwapped
            | Self::LogPut
            | Self::LiveStarted
            | Self::Confirmed
            | Self::Retired
            | Self::Undoing
            | Self::Restarting => Status::Success,
        }
    }
}

impl Status {
    pub const ALL: [Self; 6] = [
        Self::NotRecovering,
        Self::Recovering,
        Self::Validation,
        Self::Success,
        Self::Promoted,
        Self::Failed,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::NotRecovering => "NOT_RECOVERING",
            Self::Recovering => "RECOVERING",
            Self::Validation => "VALIDATION",
            Self::Success => "SUCCESS",
            Self::Promoted => "PROMOTED",
            Self::Failed => "FAILED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
