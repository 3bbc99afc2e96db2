//! The swap of a database under a stopped server: three atomic exchanges with a barrier, each of which looks first.
//!
//! | done | live log | live store | place of the side's log | place of the side's store | place of the barrier |
//! |---|---|---|---|---|---|
//! | nothing | old | old | new | new | barrier (or, behind an undo, nothing) |
//! | log taken | **barrier** | old | new | new | old log |
//! | stores swapped | **barrier** | new | new | old store | old log |
//! | log put | new | new | barrier | old store | old log |
//!
//! (docs/promotion.md says what a server does with each of them: in the middle it refuses the database.)
//!
//! Where `system` goes with it, the same is done to both, and one of the two cannot be served without the other: a server
//! that finds the barrier of `system` ends, or never serves, and has touched no file of any database. So that barrier is the first to come and
//! the last to go. Between the two databases, what lies where is then one of these, in this order, or the same backwards:
//!
//! | `system` | the database | |
//! |---|---|---|
//! | nothing | nothing | the old ones are served |
//! | **log taken** | nothing | begun |
//! | **log taken** | **log taken** | |
//! | **stores swapped** | **log taken** | |
//! | **stores swapped** | **stores swapped** | |
//! | **stores swapped** | log put | |
//! | log put | log put | the new ones are served |
//!
//! (The way back goes from the sixth through **stores swapped** with each of the database's rows, and only then does `system`
//! go back.) So in every one of them both are old, or both new, or the barrier of `system` lies there; what is none of them is
//! named, and nothing is touched. Each exchange is durable before the next one begins, so a loss of power leaves one of them, too.
//!
//! Each step is durable when it returns: both directories are synced, also when it was done before and that is not known
//! to be durable.

mod pair;

use std::fmt;
use std::path::Path;

use grap_core::recovery::{Guard, Recovery, Switch};
use grap_neo4j::TransactionEnd;

use crate::error::{Error, Result};
use pair::Pair;

/// How much of the swap is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Swapped {
    Nothing,
    /// Of two databases the barrier of `system` lies in its place, and the other one is what it was.
    SystemTaken,
    LogTaken,
    StoresSwapped,
    /// All of it.
    LogPut,
}

/// The places of one swap.
#[derive(Debug, Clone)]
pub struct Swap {
    user: Pair,
    /// Where it goes with it.
    system: Option<Pair>,
}

impl Swap {
    pub fn of(switch: &Switch) -> Self {
        Self { user: Pair::of(&switch.user), system: switch.system.as_ref().map(Pair::of) }
    }

    /// Write the barriers, and note what lies where. Nothing is exchanged yet. `of_system`: where its log ends, if it goes too.
    pub fn guard(
        &self,
        recovery: &Recovery,
        end: TransactionEnd,
        of_system: Option<TransactionEnd>,
    ) -> Result<Guard> {
        let system = match (&self.system, of_system) {
            (None, None) => None,
            (Some(pair), Some(end)) => Some(Box::new(pair.guard(recovery, end)?)),
            _ => return Err(unclear()),
        };
        Ok(Guard { system, ..self.user.guard(recovery, end)? })
    }

    /// How much is done, by what lies where. Where nothing is, the barrier may be gone: an undo ends with that.
    pub fn look(&self, guard: &Guard) -> Result<Swapped> {
        self.looked(guard, Pair::look)
    }

    /// As [`Swap::look`], for the way back: where what is new lies where it lay, and no barrier in the live place, there is
    /// nothing to be taken back, whatever somebody has made of what is live.
    pub fn look_back(&self, guard: &Guard) -> Result<Swapped> {
        self.looked(guard, Pair::look_back)
    }

    fn looked(&self, guard: &Guard, look: impl Fn(&Pair, &Guard) -> Result<Swapped>) -> Result<Swapped> {
        let user = look(&self.user, guard)?;
        let Some((pair, guard)) = self.system_with(guard)? else { return Ok(user) };
        together(user, look(pair, guard)?)
    }

    /// From here on no server opens the database; where `system` goes too, none opens any.
    pub fn take_log(&self, guard: &Guard) -> Result<()> {
        self.both(guard)?.into_iter().rev().try_for_each(|(pair, guard)| pair.take_log(guard))
    }

    pub fn swap_stores(&self, guard: &Guard) -> Result<()> {
        self.both(guard)?.into_iter().rev().try_for_each(|(pair, guard)| pair.swap_stores(guard))
    }

    /// In the instant of its last exchange the database is whole again, and the new one.
    pub fn put_log(&self, guard: &Guard) -> Result<()> {
        self.both(guard)?.into_iter().try_for_each(|(pair, guard)| pair.put_log(guard))
    }

    /// Back to what was, however much is done. The barriers stay.
    pub fn undo_exchanges(&self, guard: &Guard) -> Result<()> {
        // What a process exchanged back that died before it was durable is not seen any more, and must not come undone alone.
        self.settle()?;
        // What is none of the rows is named before anything is touched.
        let done = self.look_back(guard)?;
        let Some((system, of_system)) = self.system_with(guard)? else {
            return self.user.undo_exchanges(guard);
        };
        if done == Swapped::LogPut {
            system.undo_last(of_system)?;
        }
        self.user.undo_exchanges(guard)?;
        system.undo_exchanges(of_system)
    }

    /// All that lies there now is durable.
    pub fn settle(&self) -> Result<()> {
        self.pairs().try_for_each(Pair::settle)
    }

    /// Whether what is new lies in the live places, wherever the rest has gone since.
    pub fn is_put(&self, guard: &Guard) -> Result<bool> {
        for (pair, guard) in self.both(guard)? {
            if !pair.is_put(guard)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// As far as what is retired has begun to go to its place.
    pub(super) fn is_being_retired(&self, guard: &Guard) -> Result<bool> {
        if self.is_put(guard)? {
            for (pair, guard) in self.both(guard)? {
                if pair.is_being_retired(guard)? {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Behind the last exchange: what was live are directories, each of them.
    pub(super) fn old_are_whole(&self) -> Result<bool> {
        for pair in self.pairs() {
            if !pair.old_is_whole()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// What an undo ends with: the barriers go, and the directories that were made for what did not come.
    pub fn remove_barrier(&self) -> Result<()> {
        self.pairs().try_for_each(Pair::remove_barrier)
    }

    /// The directories that were made for what is retired, where nothing lies in them but what a try that was struck has left.
    pub(super) fn remove_empty(&self) -> Result<()> {
        self.pairs().try_for_each(Pair::remove_empty)
    }

    /// The old halves lie in their places, and the barriers are gone. What somebody has taken away of them, with the new
    /// database in place, is named: the two places where it could be.
    pub fn retire(&self, guard: &Guard) -> Result<Vec<[&Path; 2]>> {
        let mut missing = Vec::new();
        for (pair, guard) in self.both(guard)? {
            if !pair.retire(guard)? {
                missing.push(pair.places_of_old_store());
            }
        }
        Ok(missing)
    }

    fn pairs(&self) -> impl Iterator<Item = &Pair> {
        std::iter::once(&self.user).chain(&self.system)
    }

    /// The database first.
    fn both<'a, 'g>(&'a self, guard: &'g Guard) -> Result<Vec<(&'a Pair, &'g Guard)>> {
        Ok(std::iter::once((&self.user, guard)).chain(self.system_with(guard)?).collect())
    }

    fn system_with<'a, 'g>(&'a self, guard: &'g Guard) -> Result<Option<(&'a Pair, &'g Guard)>> {
        match (&self.system, guard.system.as_deref()) {
            (None, None) => Ok(None),
            (Some(pair), Some(guard)) => Ok(Some((pair, guard))),
            _ => Err(unclear()),
        }
    }
}

/// Of both, by the second table above.
fn together(user: Swapped, system: Swapped) -> Result<Swapped> {
    let is_row = match system {
        Swapped::LogTaken => user <= Swapped::LogTaken,
        Swapped::StoresSwapped => true,
        _ => user == system,
    };
    if !is_row {
        let what = format!("of the database {user} is done, and of `system` {system}");
        return Err(Error::SwapUnknown { what });
    }
    Ok(if user == system { user } else { user.min(system).max(Swapped::SystemTaken) })
}

fn unclear() -> Error {
    Error::SwapUnknown { what: "whether `system` goes with it was noted in one place only".to_owned() }
}

impl fmt::Display for Swapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::SystemTaken => "the first exchange of `system`",
            Self::LogTaken => "the first exchange",
            Self::StoresSwapped => "the second exchange",
            Self::LogPut => "everything",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the barrier of `system` does not lie in its place, both are the same.
    #[test]
    fn one_of_the_two_is_never_ahead_without_the_barrier_of_system() {
        use Swapped::{LogPut, LogTaken, Nothing, StoresSwapped, SystemTaken};
        let rows = [
            ((Nothing, Nothing), Nothing),
            ((Nothing, LogTaken), SystemTaken),
            ((LogTaken, LogTaken), LogTaken),
            ((LogTaken, StoresSwapped), LogTaken),
            ((StoresSwapped, StoresSwapped), StoresSwapped),
            ((LogPut, StoresSwapped), StoresSwapped),
            ((LogPut, LogPut), LogPut),
            // On the way back.
            ((Nothing, StoresSwapped), SystemTaken),
        ];
        let all = [Nothing, LogTaken, StoresSwapped, LogPut];
        for (user, system) in all.into_iter().flat_map(|user| all.map(|system| (user, system))) {
            let row = rows.iter().find(|(row, _)| *row == (user, system));
            match (together(user, system), row) {
                (Ok(done), Some((_, row))) => assert_eq!(done, *row, "{user:?} {system:?}"),
                (Err(error), None) => assert!(error.to_string().contains("`system`"), "{error}"),
                (done, row) => panic!("{user:?} {system:?}: {done:?}, {row:?}"),
            }
        }
    }
}
