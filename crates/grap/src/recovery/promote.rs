//! What a promotion, or a rollback, does to the world: one method an order.

use grap_core::recovery::{Failure, Guard, Recovery, What};

use crate::error::Result;
use crate::ops::Session;

/// Performs the orders of a switch. As of [`super::Perform`], each call may be the second one: it looks first.
///
/// The lock of the live server is this process's: what the journal says of it another process has seen. Where nothing is
/// exchanged yet, a call without the lock answers [`WhileLocked::Lost`]. Where something is, it takes the lock first, from a
/// server that somebody has started meanwhile if need be: that one refuses the database. Where everything is, a server that
/// runs is whole, and is left alone.
pub trait Promote {
    /// Whether the server runs. Nothing is left behind; an error is what speaks against it.
    fn look_again(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool>;

    /// The side lies on the file systems of what it replaces, and belongs to the server's user.
    fn stage(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// No client has had a transaction open for longer than a limit, and the archive keeps up. A server that does not run has
    /// none; whether it runs.
    fn drain(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool>;

    /// It does not run any more, its lock is ours; whether it ran.
    fn stop_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<bool>;

    fn await_archive(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Archived>>;

    fn guard(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<Guard>>;

    fn take_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<WhileLocked<()>>;

    fn swap_stores(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    fn put_log(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// It serves when this returns, and nobody holds its lock but itself.
    fn start_live(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// An error is what the new database does not do.
    fn confirm(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<Confirmation>;

    fn retire(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    fn record_promotion(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// Decided under the lock: where clients have written to the new database, it stays.
    fn undo(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<UndoEnd>;

    fn start_old(&mut self, recovery: &Recovery, session: &Session<'_>) -> Result<()>;

    /// An error ends this process: where the live database is whole, old or new, and we have stopped it, it is started.
    /// In the middle of the exchanges nothing is done. What fails is told.
    fn leave(&mut self, recovery: &Recovery, session: &Session<'_>);
}

/// What was to be done under the lock of the live server.
#[derive(Debug)]
pub enum WhileLocked<T> {
    Done(T),
    /// It is not ours, and nothing was done.
    Lost(Failure),
}

#[derive(Debug)]
pub enum Archived {
    Reached,
    /// And the live database was given up.
    Missed(Failure),
}

#[derive(Debug)]
pub enum Confirmation {
    Confirmed,
    /// It serves, and nobody could look.
    Unsure(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UndoEnd {
    Undone,
    /// Clients have written to it.
    Written,
}

impl<T> WhileLocked<T> {
    pub(super) fn told(self, done: impl FnOnce(T) -> What) -> What {
        match self {
            Self::Done(value) => done(value),
            Self::Lost(failure) => What::LockLost { failure },
        }
    }
}

impl Archived {
    pub(super) fn told(self) -> What {
        match self {
            Self::Reached => What::ArchiveReached,
            Self::Missed(failure) => What::ArchiveMissed { failure },
        }
    }
}

impl Confirmation {
    pub(super) fn told(self) -> What {
        match self {
            Self::Confirmed => What::Confirmed,
            Self::Unsure(failure) => What::Unconfirmed { failure },
        }
    }
}

impl UndoEnd {
    pub(super) fn told(self) -> What {
        match self {
            Self::Undone => What::Undone,
            Self::Written => What::Written,
        }
    }
}
