//! A run of the program, and the signal that ends it.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::place::{LIMIT, Place};
use crate::Grap;
use crate::error::{Error, Result};
use crate::pitr::{Tell, claim};

const KILL: i32 = 9;
/// So often one is struck anew that had ended before it was struck.
const TRIES: u32 = 6;

/// When a run is struck.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    /// So long after so many events are in the journal.
    Behind { events: usize, further: Duration },
    /// So long after its start.
    After(Duration),
}

/// How a strike went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hit {
    /// Before it had noted anything.
    Before,
    /// While what was meant was owed.
    Inside,
    /// What was meant had been done, and the run had not ended.
    Behind,
    /// The run had ended by itself: this is no strike.
    Missed,
}

/// Strikes of one kind.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count {
    before: usize,
    inside: usize,
    behind: usize,
    missed: usize,
}

impl Count {
    pub(super) fn add(&mut self, hit: Hit) {
        match hit {
            Hit::Before => self.before += 1,
            Hit::Inside => self.inside += 1,
            Hit::Behind => self.behind += 1,
            Hit::Missed => self.missed += 1,
        }
    }

    pub(super) fn kills(&self) -> usize {
        self.before + self.inside + self.behind
    }

    pub(super) fn missed(&self) -> usize {
        self.missed
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, inside, behind, missed } = self;
        write!(f, "{} kills ({inside} in the middle", self.kills())?;
        if *before > 0 {
            write!(f, ", {before} before anything was noted")?;
        }
        if *behind > 0 {
            write!(f, ", {behind} a moment behind what was meant")?;
        }
        write!(f, ")")?;
        if *missed > 0 {
            write!(f, " and {missed} that always came too late")?;
        }
        Ok(())
    }
}

impl Moment {
    fn earlier(self) -> Self {
        match self {
            Self::Behind { events, further } => Self::Behind { events, further: further / 2 },
            Self::After(further) => Self::After(further.mul_f64(0.8)),
        }
    }
}

/// Strike until it was our signal that ended it, each time earlier. `again` makes it as it was before.
pub(super) fn surely(
    moment: Moment,
    tell: Tell<'_>,
    mut strike: impl FnMut(Moment) -> Result<Hit>,
    mut again: impl FnMut() -> Result<()>,
) -> Result<Hit> {
    let mut moment = moment;
    for _ in 0..TRIES {
        match strike(moment)? {
            Hit::Missed => {}
            hit => return Ok(hit),
        }
        tell(&format!("recoveries: the run had ended before {moment:?}; once more, earlier"));
        moment = moment.earlier();
        again()?;
    }
    Ok(Hit::Missed)
}

/// A run under way; dropping it kills it.
pub(super) struct Run {
    child: Child,
}

impl Run {
    pub(super) fn start(grap: &Grap, arguments: &[&str]) -> Result<Self> {
        let mut command = grap.command();
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { child: command.spawn().map_err(Error::file("run", &grap.binary))? })
    }

    fn is_running(&mut self) -> Result<bool> {
        Ok(self.child.try_wait().map_err(Error::file("look at", "grap"))?.is_none())
    }

    /// Until the moment has come, or the run has ended.
    pub(super) fn wait_for(&mut self, place: &Place, moment: Moment) -> Result<()> {
        match moment {
            Moment::After(further) => sleep(further),
            Moment::Behind { events, further } => {
                let begun = Instant::now();
                while place.events().len() < events && self.is_running()? {
                    if begun.elapsed() > LIMIT {
                        return claim(format!("event {events} does not come: {:?}", place.events()));
                    }
                    sleep(Duration::from_micros(500));
                }
                sleep(further);
            }
        }
        Ok(())
    }

    /// SIGKILL; it is gone when this returns. `noted` are the events that there were before it was started.
    pub(super) fn kill(mut self, place: &Place, moment: Moment, noted: usize) -> Result<Hit> {
        self.child.kill().map_err(Error::file("kill", "grap"))?;
        let status = self.child.wait().map_err(Error::file("wait for", "grap"))?;
        Ok(match (status.signal(), moment) {
            (Some(KILL), Moment::Behind { events, .. }) if place.events().len() > events => Hit::Behind,
            (Some(KILL), Moment::After(_)) if place.events().len() == noted => Hit::Before,
            (Some(KILL), _) => Hit::Inside,
            _ => Hit::Missed,
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
