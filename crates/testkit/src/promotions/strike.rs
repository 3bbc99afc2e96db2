//! How one of them is struck: Grap at the very call, by strace, or at an instant; by something that it needs and does not
//! get; its server and its supervisor by a signal.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use grap_core::recovery::Order;
use rustix::process::Signal;

use super::place::{CANCEL, Place};
use super::table::{At, EVENTS, How, Strike, Verb, Who};
use crate::error::{Error, Result};
use crate::pitr::require;
use crate::struck::{Call, Does, Running, struck};

const KILL: i32 = 9;

/// How a strike went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    Struck,
    /// What was to be struck was not there, or had ended.
    Missed,
}

impl Place {
    /// Run its verb, and strike. Whatever was struck has ended when this returns.
    pub(super) fn strike(&mut self, strike: Strike) -> Result<Hit> {
        match strike.who {
            Who::Grap => self.strike_grap(strike),
            Who::Server | Who::Supervisor => self.strike_other(strike),
        }
    }

    fn strike_grap(&mut self, strike: Strike) -> Result<Hit> {
        let struck = if strike.is_of_way_back() { &CANCEL } else { &strike.verb.arguments() };
        if let Some(call) = self.call(strike)? {
            return self.strike_call(struck, &call, strike.how);
        }
        match strike.how {
            How::Kill => self.kill_later(struck, strike),
            How::Fail => self.ail(strike),
        }
    }

    /// Where a call is known that is the order, or follows from nothing else.
    fn call(&self, strike: Strike) -> Result<Option<Call>> {
        let journal = |names, number| {
            let path = Some(self.commanded.grap.state.join("recovery.journal"));
            Some(Call { names, path, number })
        };
        Ok(match strike.at {
            At::Before => journal("fsync", strike.noted_before()),
            At::Behind => journal("write", strike.noted_before() + 1),
            At::Inside => self.call_inside(strike)?,
        })
    }

    fn call_inside(&self, strike: Strike) -> Result<Option<Call>> {
        let (log, store) = (self.live_log(), self.live_store());
        let parent = |path: &Path| path.parent().map(Path::to_owned);
        let call = |names, path, number| Some(Call { names, path, number });
        // An exchange is struck between itself and the sync behind it; it fails by itself.
        Ok(match (strike.order, strike.how) {
            (Order::TakeLog, How::Kill) => call("fsync", parent(&log), 1),
            (Order::PutLog, How::Kill) => call("fsync", parent(&log), 2),
            (Order::SwapStores, How::Kill) => call("fsync", parent(&store), 1),
            (Order::TakeLog, How::Fail) => call("renameat2", Some(log), 1),
            (Order::PutLog, How::Fail) => call("renameat2", Some(log), 2),
            (Order::Retire, _) => call("renameat2", Some(self.side_store(strike.verb)?), 2),
            (Order::SwapStores, How::Fail) | (Order::Undo, _) => call("renameat2", Some(store), 1),
            (Order::LookAgain, How::Fail) => call("renameat2", None, 1),
            (Order::Stage, How::Fail) => call("fsync", Some(self.side_store(strike.verb)?), 1),
            _ => None,
        })
    }

    fn strike_call(&self, arguments: &[&str], call: &Call, how: How) -> Result<Hit> {
        let does = if how == How::Kill { Does::Kill } else { Does::Fail };
        let status = struck(&self.commanded.grap, arguments, call, does)?;
        Ok(match how {
            How::Kill if status.signal() != Some(KILL) => Hit::Missed,
            _ => Hit::Struck,
        })
    }

    fn kill_later(&self, arguments: &[&str], strike: Strike) -> Result<Hit> {
        let mut grap = Running::start(&self.commanded.grap, arguments, &[])?;
        if !self.reaches(&mut grap, strike)? {
            return Ok(Hit::Missed);
        }
        grap.signal(Signal::KILL);
        Ok(if grap.ended()?.signal() == Some(KILL) { Hit::Struck } else { Hit::Missed })
    }

    /// Until its order is owed, and then on to the instant within it.
    fn reaches(&self, grap: &mut Running, strike: Strike) -> Result<bool> {
        let asked = match strike.verb {
            Verb::Promote => "promote_asked",
            Verb::Rollback => "rollback_begun",
        };
        let noted = strike.noted_before() + usize::from(strike.at == At::Behind);
        let event = match (strike.is_of_way_back(), noted) {
            (false, 1) => asked,
            (false, noted) => EVENTS[noted - 2],
            (true, 1) => "cancel_asked",
            (true, 2) => "undone",
            (true, _) => "old_started",
        };
        if !self.commanded.run_into(&mut grap.child, event)? {
            return Ok(false);
        }
        if strike.at == At::Inside {
            sleep(self.took(strike.order) / 2);
        }
        Ok(true)
    }

    /// Grap goes on, and whatever becomes of it, it ends.
    fn strike_other(&mut self, strike: Strike) -> Result<Hit> {
        let mut grap = Running::start(&self.commanded.grap, &strike.verb.arguments(), &[])?;
        if !self.reaches(&mut grap, strike)? {
            return Ok(Hit::Missed);
        }
        match (strike.who, strike.how) {
            (Who::Server, how) => {
                let signal = if how == How::Kill { Signal::KILL } else { Signal::TERM };
                let hit = self.commanded.end_server(signal, || grap.ended().map(drop))?;
                return Ok(if hit { Hit::Struck } else { Hit::Missed });
            }
            (_, How::Kill) => {
                self.commanded.signal_supervisor(Signal::KILL)?;
                self.commanded.supervise_anew()?;
            }
            (_, How::Fail) => {
                self.commanded.signal_supervisor(Signal::STOP)?;
                sleep(SILENT);
                self.commanded.signal_supervisor(Signal::CONT)?;
            }
        }
        grap.ended()?;
        Ok(Hit::Struck)
    }

    /// Something that the order needs is not to be had, for as long as Grap runs.
    fn ail(&mut self, strike: Strike) -> Result<Hit> {
        let verb = strike.verb.arguments();
        match strike.order {
            Order::Drain => self.while_somebody_is_in_the_middle(&verb)?,
            Order::StopLive => {
                self.run(&verb, &[("GRAP_SERVER_STOP_COMMAND", "true"), ("GRAP_SERVER_STOP_LIMIT_S", "3")])?;
            }
            Order::AwaitArchive => {
                self.signal_archiver(Signal::STOP);
                self.write()?;
                self.run(&verb, &[("GRAP_PROMOTE_ARCHIVE_LIMIT_S", "8")])?;
                self.signal_archiver(Signal::CONT);
            }
            Order::Guard => return self.while_the_side_goes_away(strike),
            Order::StartLive | Order::StartOld => {
                let arguments = if strike.is_of_way_back() { &CANCEL } else { &verb };
                self.run(
                    arguments,
                    &[("GRAP_SERVER_START_COMMAND", "false"), ("GRAP_SERVER_START_LIMIT_S", "5")],
                )?;
            }
            Order::Confirm => self.while_the_side_is_spoiled(strike)?,
            Order::RecordPromotion => return self.while_the_repository_is_gone(strike),
            order => require(false, || format!("nothing is known that {order} needs"))?,
        }
        Ok(Hit::Struck)
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Result<()> {
        Running::start(&self.commanded.grap, arguments, environment)?.ended().map(drop)
    }

    pub(super) fn signal_archiver(&self, signal: Signal) {
        if let Some(archiver) = &self.archiver {
            archiver.signal(signal);
        }
    }

    fn while_somebody_is_in_the_middle(&self, verb: &[&str]) -> Result<()> {
        let limits = [("GRAP_PROMOTE_TRANSACTION_LIMIT_S", "1"), ("GRAP_PROMOTE_DRAIN_LIMIT_S", "2")];
        self.commanded.server.bolt().held_open(|| self.run(verb, &limits))?
    }

    /// Between the stop and the first exchange.
    fn while_the_side_goes_away(&mut self, strike: Strike) -> Result<Hit> {
        let side = self.side_store(strike.verb)?;
        let away = side.with_extension("away");
        let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(Error::file("rename", from));
        self.signal_archiver(Signal::STOP);
        self.write()?;
        let mut grap = Running::start(&self.commanded.grap, &strike.verb.arguments(), &[])?;
        let comes = self.commanded.run_into(&mut grap.child, "live_stopped")?;
        rename(&side, &away)?;
        self.signal_archiver(Signal::CONT);
        grap.ended()?;
        rename(&away, &side)?;
        Ok(if comes { Hit::Struck } else { Hit::Missed })
    }

    fn while_the_side_is_spoiled(&self, strike: Strike) -> Result<()> {
        let bytes = self.spoil_side(strike.verb)?;
        self.run(&strike.verb.arguments(), &[])?;
        require(!is_spoiled(&self.live_store().join(SPOILED)), || "the spoiled one was kept".to_owned())?;
        if strike.verb == Verb::Rollback { self.mend_side(strike.verb, &bytes) } else { Ok(()) }
    }

    /// The names of the property keys are gone, under their size and time: that is not seen but by the server. What was
    /// there.
    pub(super) fn spoil_side(&self, verb: Verb) -> Result<Vec<u8>> {
        let path = self.side_store(verb)?.join(SPOILED);
        let bytes = fs::read(&path).map_err(Error::file("read", &path))?;
        write_unseen(&path, &vec![0; bytes.len()])?;
        Ok(bytes)
    }

    pub(super) fn mend_side(&self, verb: Verb, bytes: &[u8]) -> Result<()> {
        let path = self.side_store(verb)?.join(SPOILED);
        require(is_spoiled(&path), || format!("{} is not what it was", path.display()))?;
        write_unseen(&path, bytes)
    }

    fn while_the_repository_is_gone(&self, strike: Strike) -> Result<Hit> {
        let repository = &self.commanded.grap.repository;
        let away = repository.with_extension("away");
        let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(Error::file("rename", from));
        let mut grap = Running::start(&self.commanded.grap, &strike.verb.arguments(), &[])?;
        let comes = self.commanded.run_into(&mut grap.child, "live_started")?;
        rename(repository, &away)?;
        grap.ended()?;
        // What somebody may have begun to make there anew is not the repository.
        crate::tree::remove_if_there(repository)?;
        rename(&away, repository)?;
        Ok(if comes { Hit::Struck } else { Hit::Missed })
    }
}

const SPOILED: &str = "neostore.propertystore.db.index.keys";

fn is_spoiled(path: &Path) -> bool {
    fs::read(path).is_ok_and(|found| found.iter().all(|byte| *byte == 0))
}

/// So long a supervisor does not answer.
const SILENT: Duration = Duration::from_secs(3);

/// With the time that it had.
fn write_unseen(path: &Path, bytes: &[u8]) -> Result<()> {
    let modified =
        fs::metadata(path).and_then(|metadata| metadata.modified()).map_err(Error::file("look at", path))?;
    let file = fs::OpenOptions::new().write(true).open(path).map_err(Error::file("open", path))?;
    std::io::Write::write_all(&mut &file, bytes).map_err(Error::file("write", path))?;
    file.set_modified(modified).map_err(Error::file("set the time of", path))
}
