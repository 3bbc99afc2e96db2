//! What is owed in a state.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::state::{Phase, Recovery, State};
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
            | Self::StopInstance => true,
            Self::WriteRecord | Self::RemoveScratch | Self::EndInstance | Self::RemoveCandidate => false,
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
        Phase::Validated | Phase::Failed => None,
    }
}

/// How much of a recovery an order is, in hundredths. A guess that only a display depends on; none for those of the
/// way back.
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
        Order::EndInstance | Order::RemoveCandidate => 0,
    }
}

/// How far a recovery is, in hundredths, by the orders that are done. None where it goes nowhere.
pub fn percent(state: &State) -> Option<u8> {
    let recovery = state.recovery()?;
    if recovery.phase == Phase::Validated {
        return Some(100);
    }
    let owed = owed(recovery).filter(|_| recovery.phase.is_forward())?;
    Some(FORWARD.iter().take_while(|order| **order != owed).map(|order| share(*order)).sum())
}
