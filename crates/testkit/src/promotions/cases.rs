//! What may be wrong with the live database, the archive, the stop and the clients when somebody wants another database.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::Setting;
use super::place::{CANCEL, Place};
use super::table::Verb;
use crate::Grap;
use crate::digest::of_server;
use crate::error::{Error, Result};
use crate::pitr::archiver::Archiver;
use crate::pitr::{Tell, eventually, require};

const PROMOTE: [&str; 2] = ["recover", "promote"];
const ROLLBACK: [&str; 2] = ["recover", "rollback"];
const LOST: [&str; 3] = ["recover", "promote", "--live-is-lost"];
const WRITERS: i64 = 4;

/// What it is called, what it does, and what it found.
type Case = (&'static str, fn(&mut Place) -> Result<String>);

/// The last ones give the live database up.
const CASES: [Case; 12] = [
    ("twice", two_promotions_and_three_rollbacks_in_a_row),
    ("archiver-down", the_archiver_is_down),
    ("stop-does-nothing", the_stop_does_nothing),
    ("server-hangs", the_server_hangs),
    ("not-confirmed", the_new_database_is_refused),
    ("crashed", a_server_that_crashed_is_retired_and_comes_back),
    ("late-cancel", a_cancel_comes_too_late),
    ("in-flight", clients_write_all_the_time),
    ("store-missing", the_live_store_is_missing),
    ("gone-called-off", what_is_gone_is_called_off),
    ("log-truncated", the_live_log_is_cut_to_nothing),
    ("repository-gone", the_repository_is_gone),
];
const ELSEWHERE: &str = "logs-elsewhere";

/// All of them, or those of these names.
pub fn cases(setting: &Setting<'_>, only: &[String], tell: Tell<'_>) -> Result<String> {
    let begun = Instant::now();
    let is_wanted = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let wanted: Vec<Case> = CASES.into_iter().filter(|(name, _)| is_wanted(name)).collect();
    let is_over = || setting.until.is_some_and(|until| Instant::now() >= until);
    let (mut made, mut skipped) = (0, 0);
    if !wanted.is_empty() {
        let mut place = Place::make(setting, false)?;
        for (name, case) in &wanted {
            if is_over() {
                break;
            }
            let began = Instant::now();
            let found = case(&mut place).map_err(|error| Error::Claim(format!("{name}: {error}")))?;
            made += 1;
            tell(&format!("cases: {name}: {found}, {:.0?}", began.elapsed()));
        }
    }
    let all = wanted.len() + usize::from(is_wanted(ELSEWHERE));
    require(all > 0, || {
        format!("there is no case {only:?}: {:?}, {ELSEWHERE}", CASES.map(|(name, _)| name))
    })?;
    if is_wanted(ELSEWHERE) && !is_over() {
        let found = the_logs_lie_elsewhere(setting)?;
        (made, skipped) = (made + usize::from(found.is_some()), usize::from(found.is_none()));
        let found = found.as_deref().unwrap_or("SKIPPED, nothing can be mounted here");
        tell(&format!("cases: {ELSEWHERE}: {found}"));
    }
    Ok(format!("cases: {made} of {all}, {skipped} skipped, {} s", begun.elapsed().as_secs()))
}

impl Place {
    fn grap_with(&self, environment: &[(&str, &str)]) -> Grap {
        let mut grap = self.commanded.grap.clone();
        grap.environment.extend(environment.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        grap
    }

    /// Called off, and what was live is what it was.
    fn is_called_off(&self, verb: [&str; 2], environment: &[(&str, &str)], codes: &[&str]) -> Result<String> {
        let code = self.grap_with(environment).failure(&verb)?;
        let status = self.status()?;
        require(codes.contains(&code.as_str()), || format!("{code}, and {codes:?} was to come: {status:#}"))?;
        self.serves()?;
        Ok(code)
    }

    fn promoted(&mut self, arguments: &[&str], verb: Verb) -> Result<Value> {
        let said = self.commanded.grap.json(arguments)?;
        require(said["status"] == "PROMOTED", || format!("{said}"))?;
        self.has_promoted(verb);
        self.serves()?;
        Ok(said)
    }

    fn restart_archiver(&mut self) -> Result<()> {
        self.archiver = None;
        self.archiver = Some(Archiver::start(&self.commanded.grap, &[])?);
        Ok(())
    }

    fn retired(&self) -> Result<Vec<Value>> {
        Ok(self.status()?["retired"].as_array().cloned().unwrap_or_default())
    }
}

fn two_promotions_and_three_rollbacks_in_a_row(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    place.write()?;
    let first = place.live.clone();
    let said = place.promoted(&PROMOTE, Verb::Promote)?;
    let first_id = said["recovery"]["id"].as_str().unwrap_or_default().to_owned();
    place.write()?;
    let second = place.live.clone();
    place.commanded.grap.json(&["recover", "reset"])?;
    let backup = place.backup.clone();
    place.commanded.grap.json(&["recover", "start", &backup])?;
    place.promoted(&PROMOTE, Verb::Promote)?;
    let count = place.retired()?.len();
    require(count >= 2, || format!("{count} are retired"))?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    require(place.live == second, || "another one came back".to_owned())?;
    place.write()?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    // Not the newest: by its name.
    let left = std::mem::replace(&mut place.aside, first.clone());
    place.promoted(&["recover", "rollback", &first_id], Verb::Rollback)?;
    require(place.live == first, || "another one came back".to_owned())?;
    drop(left);
    place.settle()?;
    Ok("each database came back as it was".to_owned())
}

/// It is asked before anything is stopped, also where it was there a moment ago.
fn the_archiver_is_down(place: &mut Place) -> Result<String> {
    place.ready(Verb::Rollback)?;
    if let Some(archiver) = place.archiver.take() {
        archiver.stop()?;
    }
    place.write()?;
    let events = place.commanded.events().len();
    let limit = [("GRAP_PROMOTE_ARCHIVE_LIMIT_S", "3")];
    let code = place.is_called_off(ROLLBACK, &limit, &["PROMOTION_CALLED_OFF"])?;
    let noted = place.commanded.events().split_off(events);
    require(!noted.iter().any(|event| event == "live_stopped"), || format!("it was stopped: {noted:?}"))?;
    place.restart_archiver()?;
    place.settle()?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    place.settle()?;
    Ok(format!("{code}, nothing was stopped; and with an archiver it is done"))
}

fn the_stop_does_nothing(place: &mut Place) -> Result<String> {
    place.ready(Verb::Rollback)?;
    place.write()?;
    let nothing = [("GRAP_SERVER_STOP_COMMAND", "true"), ("GRAP_SERVER_STOP_LIMIT_S", "3")];
    let code = place.is_called_off(ROLLBACK, &nothing, &["PROMOTION_CALLED_OFF"])?;
    let why = place.status()?["recovery"]["cause"].clone();
    require(why["code"] == "SERVER_STOP_TIMED_OUT", || format!("{why}"))?;
    place.settle()?;
    Ok(format!("{code}: {}", why["code"]))
}

/// It hears the stop when everybody has given it up.
fn the_server_hangs(place: &mut Place) -> Result<String> {
    place.ready(Verb::Rollback)?;
    place.write()?;
    let grap = place.grap_with(&[("GRAP_SERVER_STOP_LIMIT_S", "5")]);
    let mut child = grap.spawn(&ROLLBACK)?;
    let comes = place.commanded.run_into(&mut child, "drained")?;
    let hangs = place.commanded.signal_server(Signal::STOP);
    let gives_up = eventually("it is given up", Duration::from_mins(1), || {
        let last = place.commanded.last_event();
        Ok(["failed", "undone", "old_started"].contains(&last.as_str()).then_some(()))
    });
    place.commanded.signal_server(Signal::CONT);
    gives_up?;
    let ended = child.wait_with_output().map_err(Error::file("wait for", "grap"))?;
    require(comes && hangs && !ended.status.success(), || format!("{comes} {hangs} {ended:?}"))?;
    // It may end only now; whoever gave the stop up has waited for that, or the next one sees to it.
    if place.owed()?.is_some() {
        drop(place.commanded.grap.run(&ROLLBACK)?);
    }
    place.serves()?;
    let why = place.status()?["recovery"]["cause"]["code"].clone();
    place.settle()?;
    Ok(format!("called off ({why}), and the old one serves behind the late end"))
}

fn the_new_database_is_refused(place: &mut Place) -> Result<String> {
    let mut codes = BTreeSet::new();
    for verb in [Verb::Promote, Verb::Rollback] {
        place.ready(verb)?;
        place.write()?;
        let bytes = place.spoil_side(verb)?;
        codes.insert(place.is_called_off(verb.arguments(), &[], &["PROMOTION_ROLLED_BACK"])?);
        require(place.status()?["status"] == "FAILED", || "it has not failed".to_owned())?;
        if verb == Verb::Rollback {
            place.mend_side(verb, &bytes)?;
        }
        place.keeps_the_other()?;
        place.settle()?;
    }
    Ok(format!("{codes:?}: the old one serves"))
}

fn a_server_that_crashed_is_retired_and_comes_back(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    place.write()?;
    let kill = place.commanded.crash_command();
    let said = place.grap_with(&[("GRAP_SERVER_STOP_COMMAND", &kill)]).json(&PROMOTE)?;
    require(said["status"] == "PROMOTED", || format!("{said}"))?;
    place.has_promoted(Verb::Promote);
    place.serves()?;
    place.keeps_the_other()?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    place.settle()?;
    Ok("what was killed by the stop is retired, comes back, and holds every write".to_owned())
}

fn a_cancel_comes_too_late(place: &mut Place) -> Result<String> {
    place.ready(Verb::Rollback)?;
    place.write()?;
    let mut child = place.commanded.grap.spawn(&ROLLBACK)?;
    let comes = place.commanded.run_into(&mut child, "log_put")?;
    let code = place.commanded.grap.failure(&CANCEL)?;
    let ended = child.wait_with_output().map_err(Error::file("wait for", "grap"))?;
    require(comes && code == "RECOVERY_STATE" && ended.status.success(), || format!("{code}: {ended:?}"))?;
    place.has_promoted(Verb::Rollback);
    place.serves()?;
    place.settle()?;
    Ok(format!("refused ({code}), and it is done"))
}

/// Each write that was acknowledged is in the new database, or in the retired one; none in both, and none in neither.
fn clients_write_all_the_time(place: &mut Place) -> Result<String> {
    place.ready(Verb::Rollback)?;
    let over = AtomicBool::new(false);
    let (shared, end): (&Place, _) = (place, &over);
    let (acknowledged, promoted) = scope(|scope| {
        let start = |writer| scope.spawn(move || write_until(shared, writer, end));
        let writers: Vec<_> = (0..WRITERS).map(start).collect();
        sleep(Duration::from_secs(3));
        let promoted = shared.commanded.grap.json(&ROLLBACK);
        sleep(Duration::from_secs(3));
        over.store(true, Ordering::Relaxed);
        let acknowledged: Vec<i64> =
            writers.into_iter().flat_map(|writer| writer.join().unwrap_or_default()).collect();
        (acknowledged, promoted)
    });
    promoted?;
    let here = flights(place)?;
    place.live = of_server(&place.commanded.server.bolt())?;
    place.commanded.grap.json(&ROLLBACK)?;
    place.commanded.await_online()?;
    let there = flights(place)?;
    let both = here.intersection(&there).count();
    let lost = acknowledged.iter().filter(|number| !here.contains(number) && !there.contains(number)).count();
    require(lost == 0 && both == 0, || format!("{lost} are lost, {both} are in both"))?;
    require(!here.is_empty() && !there.is_empty(), || format!("{} here, {} there", here.len(), there.len()))?;
    place.aside = place.live.clone();
    place.live = of_server(&place.commanded.server.bolt())?;
    place.settle()?;
    Ok(format!(
        "{} acknowledged by {WRITERS} clients: {} in the retired database, {} in the new one, none lost",
        acknowledged.len(),
        there.len(),
        here.len()
    ))
}

/// The numbers that were acknowledged. A server that is down is asked again.
fn write_until(place: &Place, writer: i64, over: &AtomicBool) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    let mut number = writer;
    let mut bolt = place.commanded.server.bolt();
    while !over.load(Ordering::Relaxed) {
        number += WRITERS;
        if bolt.run(&format!("CREATE (:Flight {{n: {number}}})")).is_ok() {
            acknowledged.push(number);
        } else {
            sleep(Duration::from_millis(50));
            bolt = place.commanded.server.bolt();
        }
    }
    acknowledged
}

fn flights(place: &Place) -> Result<BTreeSet<i64>> {
    let rows = place.commanded.server.query("MATCH (n:Flight) RETURN n.n")?;
    Ok(rows.iter().filter_map(|row| row.int(0)).collect())
}

fn the_live_store_is_missing(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    let store = place.live_store();
    place.commanded.end_server(Signal::TERM, || Ok(()))?;
    fs::remove_dir_all(&store).map_err(Error::file("remove", &store))?;
    given_up(place)
}

/// Behind the stop, while it waits for an archive that nobody fills: a server that was started again would make an empty
/// database, and serve that.
fn what_is_gone_is_called_off(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    let halves = [place.live_store(), place.live_log()];
    place.archiver = None;
    place.commanded.end_server(Signal::TERM, || Ok(()))?;
    for half in &halves {
        fs::remove_dir_all(half).map_err(Error::file("remove", half))?;
    }
    let mut child = place.commanded.grap.spawn(&LOST)?;
    let comes = place.commanded.run_into(&mut child, "live_stopped")?;
    child.kill().and_then(|()| child.wait()).map_err(Error::file("kill", "grap"))?;
    require(comes, || "it ended before".to_owned())?;
    let code = place.commanded.grap.failure(&CANCEL)?;
    let is_down = !place.commanded.is_locked()? && halves.iter().all(|half| !half.exists());
    require(is_down && code == "PROMOTION_REFUSED", || format!("{code}, down: {is_down}"))?;
    done_in_place_of_what_is_lost(place)?;
    Ok(format!("called off ({code}), no server is started; and done with --live-is-lost"))
}

fn the_live_log_is_cut_to_nothing(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    place.write()?;
    let log = place.live_log();
    place.commanded.end_server(Signal::TERM, || Ok(()))?;
    for file in crate::tree::files(&log)? {
        let path = log.join(file);
        fs::File::create(&path).map_err(Error::file("cut", &path))?;
    }
    given_up(place)
}

/// Refused by name; done when it is given up.
fn given_up(place: &mut Place) -> Result<String> {
    let code = place.commanded.grap.failure(&PROMOTE)?;
    require(["PROMOTION_REFUSED", "PROMOTION_CALLED_OFF", "LOG_DAMAGED"].contains(&code.as_str()), || {
        code.clone()
    })?;
    done_in_place_of_what_is_lost(place)?;
    Ok(format!("refused ({code}), and done with --live-is-lost"))
}

fn done_in_place_of_what_is_lost(place: &mut Place) -> Result<()> {
    place.promoted(&LOST, Verb::Promote)?;
    // There is nothing whole that could come back.
    for retired in place.retired()? {
        crate::tree::remove_if_there(Path::new(retired["path"].as_str().unwrap_or_default()))?;
    }
    place.settle()?;
    place.restart_archiver()
}

fn the_repository_is_gone(place: &mut Place) -> Result<String> {
    place.ready(Verb::Promote)?;
    place.write()?;
    let repository = place.commanded.grap.repository.clone();
    let away = repository.with_extension("away");
    let rename = |from: &Path, to: &Path| fs::rename(from, to).map_err(Error::file("rename", from));
    place.archiver = None;
    rename(&repository, &away)?;
    let code = place.commanded.grap.failure(&PROMOTE)?;
    place.serves()?;
    let said = place.promoted(&LOST, Verb::Promote)?;
    rename(&away, &repository)?;
    place.keeps_the_other()?;
    place.settle()?;
    place.restart_archiver()?;
    Ok(format!(
        "refused ({code}), done with --live-is-lost; recorded: {}",
        said["recovery"]["unrecorded"].is_null()
    ))
}

/// A file system in memory for the logs; unmounted when this is dropped.
struct Mounted(PathBuf);

impl Mounted {
    fn at(path: &Path) -> Option<Self> {
        let done = Command::new("mount").args(["-t", "tmpfs", "grap-logs"]).arg(path).status();
        done.is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

/// The candidate's log is copied there, and what is retired lies there. None: it cannot be tried.
fn the_logs_lie_elsewhere(setting: &Setting<'_>) -> Result<Option<String>> {
    let folder = tempfile::tempdir().map_err(Error::file("make", "a scratch directory"))?;
    let Some(mounted) = Mounted::at(folder.path()) else { return Ok(None) };
    // Where the server begins with them.
    crate::tree::copy(&setting.distribution.template().join("transactions"), &mounted.0)?;
    let root = mounted.0.display().to_string();
    let mut place = Place::make_with(setting, false, &[("server.directories.transaction.logs.root", &root)])?;
    place.write()?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    place.write()?;
    place.promoted(&ROLLBACK, Verb::Rollback)?;
    let left = crate::tree::files(&mounted.0.join(".grap/candidate")).unwrap_or_default();
    require(left.is_empty(), || format!("left behind: {left:?}"))?;
    Ok(Some("a promotion and two rollbacks, the logs on a file system of their own".to_owned()))
}
