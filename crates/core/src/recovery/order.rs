//! What is owed in a state.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::phase::Phase;
use super::state::{Recovery, State};
use super::tier::Tier;

/// Something to do, now. Each looks first, and acts only where that is not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Make the candidate's directory, and write into it whose it is.
    Reserve,
    Restore,
    /// Read what was written, and compare it with the plan.
    Reread,
    StartInstance,
    Judge(Tier),
    /// In good order, so that the store is clean.
    StopInstance,
    /// Put what the validation found beside the backup.
    WriteRecord,
    /// Remove what the test instance had of its own.
    RemoveScratch,
    /// By any means. There may be none.
    EndInstance,
    /// With all that is in it, if it is this recovery's. There may be none.
    RemoveCandidate,
    /// At what was validated, and at what is live: nothing may speak against it. Nothing is left behind.
    LookAgain,
    /// Put the side where it can be exchanged.
    Stage,
    /// Wait until no client is in the middle of something, and the archive keeps up.
    Drain,
    /// And take its lock.
    StopLive,
    AwaitArchive,
    /// Write the barrier, and note what is there.
    Guard,
    /// Exchange the live log and the barrier: from here on no server opens the database.
    TakeLog,
    SwapStores,
    /// Exchange the barrier and the side's log: the database is whole.
    PutLog,
    StartLive,
    Confirm,
    /// Move what was live to its place, and remove the barrier.
    Retire,
    RecordPromotion,
    /// Exchange back what was exchanged, unless clients have written since. Removes the barrier.
    Undo,
    /// See that the old database serves, if it did before.
    StartOld,
}

/// The orders of a recovery that goes well.
pub const FORWARD: [Order; 13] = [
    Order::Reserve,
    Order::Restore,
    Order::Reread,
    Order::StartInstance,
    Order::Judge(Tier::Connectivity),
    Order::Judge(Tier::Schema),
    Order::Judge(Tier::Orphans),
    Order::Judge(Tier::Counts),
    Order::Judge(Tier::Custom),
    Order::StopInstance,
    Order::Judge(Tier::Store),
    Order::WriteRecord,
    Order::RemoveScratch,
];

/// The orders of a promotion, or a rollback, that goes well.
pub const SWITCH: [Order; 13] = [
    Order::LookAgain,
    Order::Stage,
    Order::Drain,
    Order::StopLive,
    Order::AwaitArchive,
    Order::Guard,
    Order::TakeLog,
    Order::SwapStores,
    Order::PutLog,
    Order::StartLive,
    Order::Confirm,
    Order::Retire,
    Order::RecordPromotion,
];

/// Those of the ways back.
pub const BACK: [Order; 4] = [Order::EndInstance, Order::RemoveCandidate, Order::Undo, Order::StartOld];

impl Order {
    /// Whether the recovery fails when this cannot be done. An order that clears away stays owed until it is done, and
    /// a record that cannot be written is missed and noted.
    pub fn can_fail(self) -> bool {
        match self {
            Self::Reserve
            | Self::Restore
            | Self::Reread
            | Self::StartInstance
            | Self::Judge(_)
            | Self::StopInstance
            | Self::LookAgain
            | Self::Stage
            | Self::Drain
            | Self::StopLive
            | Self::AwaitArchive
            | Self::Guard
            | Self::TakeLog
            | Self::SwapStores
            | Self::PutLog
            | Self::StartLive
            | Self::Confirm => true,
            Self::WriteRecord
            | Self::RemoveScratch
            | Self::EndInstance
            | Self::RemoveCandidate
            | Self::Retire
            | Self::RecordPromotion
            | Self::Undo
            | Self::StartOld => false,
        }
    }

    /// It puts something down in the repository; that it cannot is noted, and stops nothing.
    pub fn is_record(self) -> bool {
        matches!(self, Self::WriteRecord | Self::RecordPromotion)
    }

    /// A step of a promotion or a rollback, or of its way back.
    pub fn is_of_switch(self) -> bool {
        SWITCH.contains(&self) || matches!(self, Self::Undo | Self::StartOld)
    }

    /// A step of one that goes well during which no database is served, but for the end of the last.
    pub fn nobody_is_served(self) -> bool {
        match self {
            Self::StopLive
            | Self::AwaitArchive
            | Self::Guard
            | Self::TakeLog
            | Self::SwapStores
            | Self::PutLog
            | Self::StartLive => true,
            Self::Reserve
            | Self::Restore
            | Self::Reread
            | Self::StartInstance
            | Self::Judge(_)
            | Self::StopInstance
            | Self::WriteRecord
            | Self::RemoveScratch
            | Self::EndInstance
            | Self::RemoveCandidate
            | Self::LookAgain
            | Self::Stage
            | Self::Drain
            | Self::Confirm
            | Self::Retire
            | Self::RecordPromotion
            | Self::Undo
            | Self::StartOld => false,
        }
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Reserve => "make the directory of the candidate",
            Self::Restore => "restore",
            Self::Reread => "read again what was restored",
            Self::StartInstance => "start the test instance",
            Self::Judge(tier) => return write!(f, "validate: {tier}"),
            Self::StopInstance => "stop the test instance",
            Self::WriteRecord => "record what was found",
            Self::RemoveScratch => "remove what the test instance left",
            Self::EndInstance => "end the test instance",
            Self::RemoveCandidate => "remove the candidate",
            Self::LookAgain => "look again",
            Self::Stage => "put the new database beside the live one",
            Self::Drain => "wait for open transactions and the archive",
            Self::StopLive => "stop the live server",
            Self::AwaitArchive => "wait for the archive",
            Self::Guard => "write the barrier",
            Self::TakeLog => "take the live log away",
            Self::SwapStores => "exchange the stores",
            Self::PutLog => "put the new log in place",
            Self::StartLive => "start the live server",
            Self::Confirm => "ask the new database",
            Self::Retire => "put the old database aside",
            Self::RecordPromotion => "record what was done",
            Self::Undo => "exchange back",
            Self::StartOld => "see that the old database serves",
        };
        f.write_str(text)
    }
}

/// What is owed: nothing, or one thing.
pub fn order(state: &State) -> Option<Order> {
    state.recovery().and_then(owed)
}

pub(super) fn owed(recovery: &Recovery) -> Option<Order> {
    match recovery.phase {
        Phase::Begun => Some(Order::Reserve),
        Phase::Reserved => Some(Order::Restore),
        Phase::Restored => Some(Order::Reread),
        Phase::Reread => Some(Order::StartInstance),
        Phase::Running => Some(recovery.unjudged(&Tier::RUNNING).map_or(Order::StopInstance, Order::Judge)),
        Phase::Stopped => Some(recovery.unjudged(&Tier::STOPPED).map_or(Order::WriteRecord, Order::Judge)),
        Phase::Recorded => Some(Order::RemoveScratch),
        Phase::Ending => Some(Order::EndInstance),
        Phase::Noting => Some(Order::WriteRecord),
        Phase::Dropping | Phase::Resetting => Some(Order::RemoveCandidate),
        Phase::Asked => Some(Order::LookAgain),
        Phase::LookedAgain => Some(Order::Stage),
        Phase::Staged => Some(Order::Drain),
        Phase::Drained => Some(Order::StopLive),
        Phase::LiveStopped => Some(Order::AwaitArchive),
        Phase::ArchiveReached => Some(Order::Guard),
        Phase::Guarded => Some(Order::TakeLog),
        Phase::LogTaken => Some(Order::SwapStores),
        Phase::StoresSwapped => Some(Order::PutLog),
        Phase::LogPut => Some(Order::StartLive),
        Phase::LiveStarted | Phase::AskedAgain => Some(Order::Confirm),
        Phase::Confirmed => Some(Order::Retire),
        Phase::Retired => Some(Order::RecordPromotion),
        Phase::Undoing => Some(Order::Undo),
        Phase::Restarting => Some(Order::StartOld),
        Phase::Validated | Phase::Failed | Phase::Promoted => None,
    }
}

/// How much of a recovery an order is, in hundredths. A guess that only a display depends on; none for those of the
/// ways back, and for those of a promotion.
pub fn share(order: Order) -> u8 {
    match order {
        Order::Restore => 44,
        Order::StartInstance => 15,
        Order::Judge(Tier::Store) => 13,
        Order::Judge(Tier::Orphans) => 8,
        Order::Judge(Tier::Counts) => 5,
        Order::Reread | Order::Judge(Tier::Custom) | Order::StopInstance => 3,
        Order::Judge(Tier::Schema) => 2,
        Order::Reserve | Order::Judge(Tier::Connectivity) | Order::WriteRecord | Order::RemoveScratch => 1,
        Order::LookAgain
        | Order::Stage
        | Order::Drain
        | Order::StopLive
        | Order::AwaitArchive
        | Order::Guard
        | Order::TakeLog
        | Order::SwapStores
        | Order::PutLog
        | Order::StartLive
        | Order::Confirm
        | Order::Retire
        | Order::RecordPromotion
        | Order::EndInstance
        | Order::RemoveCandidate
        | Order::Undo
        | Order::StartOld => 0,
    }
}

/// How far a recovery is, in hundredths, by the orders that are done. None where it goes nowhere.
pub fn percent(state: &State) -> Option<u8> {
    let recovery = state.recovery()?;
    if matches!(recovery.phase, Phase::Validated | Phase::Promoted) {
        return Some(100);
    }
    let owed = owed(recovery).filter(|_| recovery.phase.is_forward())?;
    Some(FORWARD.iter().take_while(|order| **order != owed).map(|order| share(*order)).sum())
}
