//! Behind a strike: somebody starts the server by hand, another verb is refused, and then it is gone on with, or taken back.

use std::collections::BTreeMap;
use std::time::Duration;

use grap_core::recovery::{Order, SWITCH};
use rustix::process::Signal;

use super::place::{CANCEL, LIMIT, Place, STATUS};
use super::table::{At, How, Strike, Verb, Who, name, named};
use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{claim, eventually, require};
use crate::program::last_json;

/// In turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resumed {
    Verb,
    Serve,
    Cancel,
}

const TURNS: [Resumed; 3] = [Resumed::Verb, Resumed::Serve, Resumed::Cancel];

/// What becomes of a recovery that was struck, and is said by the exit status.
const ENDS: [&str; 3] = ["PROMOTION_CALLED_OFF", "PROMOTION_ROLLED_BACK", "PROMOTION_UNCONFIRMED"];

/// From here on it is finished, and not taken back.
fn is_in_place(order: Order) -> bool {
    matches!(
        order,
        Order::StartLive
            | Order::Confirm
            | Order::Retire
            | Order::RecordPromotion
            | Order::Undo
            | Order::StartOld
    )
}

/// What was live is whole still, and what is written to it now is to be in the retired database.
fn is_before_the_swap(order: Order) -> bool {
    SWITCH.iter().take_while(|found| **found != Order::SwapStores).any(|found| *found == order)
}

impl Place {
    pub(super) fn owed(&self) -> Result<Option<Order>> {
        Ok(named(&self.status()?["recovery"]["order"]))
    }

    /// Whatever was struck. Says how it was gone on with.
    pub(super) fn resume(&mut self, strike: Strike, number: usize) -> Result<String> {
        self.is_not_left_down(strike)?;
        let mut told = String::new();
        if number.is_multiple_of(2) && strike.who != Who::Supervisor {
            told += self.somebody_starts_it(number.is_multiple_of(4))?;
        }
        let Some(owed) = self.owed()? else { return Ok(told + "nothing owed") };
        self.refuses(strike.verb.other())?;
        let turn = match TURNS[number % TURNS.len()] {
            Resumed::Cancel if is_in_place(owed) => Resumed::Verb,
            turn => turn,
        };
        match turn {
            Resumed::Verb => self.go_on(&strike.verb.arguments())?,
            Resumed::Cancel => self.go_on(&CANCEL)?,
            Resumed::Serve => self.serve()?,
        }
        if let Some(owed) = self.owed()? {
            return claim(format!("`{owed}` is owed still"));
        }
        Ok(format!("{told}{} by {turn:?}", name(owed)))
    }

    /// What failed, and was not killed, leaves nothing down that is whole.
    fn is_not_left_down(&self, strike: Strike) -> Result<()> {
        let was_told_not_to =
            strike.at == At::Inside && matches!(strike.order, Order::StartLive | Order::StartOld);
        let is_left = strike.who == Who::Grap && strike.how == How::Fail;
        if is_left && !was_told_not_to && !self.has_barrier() {
            require(self.commanded.is_locked()?, || "a whole database was left down".to_owned())?;
        }
        Ok(())
    }

    /// In the middle of a swap it refuses the database, and changes no file of either.
    fn somebody_starts_it(&mut self, files_may_be_missing: bool) -> Result<&'static str> {
        if self.commanded.is_locked()? {
            return Ok("");
        }
        let (barrier, before) =
            (self.has_barrier(), if self.has_barrier() { self.bytes()? } else { BTreeMap::new() });
        self.let_files_be_missing(files_may_be_missing)?;
        self.commanded.start_by_hand()?;
        if !barrier {
            self.let_files_be_missing(false)?;
            self.commanded.await_online()?;
            if self.owed()?.is_some_and(is_before_the_swap) {
                self.write()?;
                return Ok("started by hand and written to, ");
            }
            return Ok("started by hand, ");
        }
        let server = &self.commanded.server;
        eventually("it refuses the database", LIMIT, || {
            let status = server.database_status("neo4j").ok().map(|status| status.status);
            require(status.as_deref() != Some("online"), || "it serves a mix".to_owned())?;
            Ok(status.filter(|status| !["starting", "initial"].contains(&status.as_str())))
        })?;
        require(self.bytes()? == before, || {
            "a server that was started in the middle has changed a file".to_owned()
        })?;
        self.let_files_be_missing(false)?;
        Ok(if files_may_be_missing {
            "refused by hand, with files that may be missing, "
        } else {
            "refused by hand, "
        })
    }

    fn refuses(&self, verb: Verb) -> Result<()> {
        let code = self.commanded.grap.failure(&verb.arguments())?;
        require(code == "RECOVERY_STATE", || format!("{verb:?} in the middle of the other one: {code}"))
    }

    fn go_on(&self, arguments: &[&str]) -> Result<()> {
        let output = self.commanded.grap.command().arg("--json").args(arguments).output();
        let output = output.map_err(Error::file("run", "grap"))?;
        let code =
            last_json(&output.stderr).and_then(|said| Some(said["error"]["code"].as_str()?.to_owned()));
        let is_an_end = output.status.success() || code.is_some_and(|code| ENDS.contains(&code.as_str()));
        require(is_an_end, || {
            format!(
                "{arguments:?} does not go on: {} {}",
                output.status,
                String::from_utf8_lossy(&output.stderr)
            )
        })
    }

    /// The daemon finishes it by itself. It archives, too, so nobody else may.
    fn serve(&mut self) -> Result<()> {
        if let Some(archiver) = self.archiver.take() {
            // What lies behind a barrier it cannot see, and its last look says so.
            let (barrier, stopped) = (self.has_barrier(), archiver.stop());
            require(barrier || stopped.is_ok(), || format!("the archiver: {stopped:?}"))?;
        }
        let mut daemon = self.commanded.grap.spawn_silent(&["serve"], &[])?;
        let served = eventually("the daemon finishes it", LIMIT, || {
            let ended = daemon.try_wait().map_err(Error::file("look at", "grap serve"))?;
            require(ended.is_none(), || format!("the daemon has ended: {ended:?}"))?;
            std::thread::sleep(Duration::from_millis(200));
            let status = self.commanded.grap.json(&STATUS)?;
            Ok((status["recovery"]["order"].is_null() && status["running"] == false).then_some(()))
        });
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&daemon), Signal::TERM);
        let ended = daemon.wait().map_err(Error::file("wait for", "grap serve"))?;
        served?;
        require(ended.success(), || format!("the daemon has ended with {ended}"))?;
        self.archiver = Some(Archiver::start(&self.commanded.grap, &[])?);
        Ok(())
    }
}
