//! The ways back: a recovery that fails or is cancelled, struck in each order that clears away, or while it is cancelled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::place::{CANCEL, Place, RESET, START, Seen};
use super::strike::{Hit, Moment, Run, surely};
use super::{Ended, Figures, PARTS};
use crate::Grap;
use crate::error::{Error, Result};
use crate::pitr::{Tell, require};

/// The events that the orders of a way back end with.
const BACK: [&str; 3] = ["instance_ended", "candidate_removed", "recorded"];
/// So often a cancellation is struck.
const CANCELS: usize = 12;

/// How a recovery comes to turn back.
struct Way {
    name: &'static str,
    /// It is struck behind this event first, and then spoiled.
    prepared: Option<&'static str>,
    spoil: fn(&Place) -> Result<()>,
    mend: fn(&Place) -> Result<()>,
    /// A file that a setting names.
    setting: Option<(&'static str, &'static str)>,
    /// Behind this event, and so much later, it is cancelled from elsewhere.
    cancelled: Option<(&'static str, Duration)>,
    /// Whether the candidate is kept.
    keeps: bool,
}

const NOTHING: fn(&Place) -> Result<()> = |_| Ok(());

const WAYS: [Way; 5] = [
    Way {
        name: "the restore cannot be done",
        prepared: Some("reserved"),
        spoil: |place| renamed(&packs(place), &away(place)),
        mend: |place| renamed(&away(place), &packs(place)),
        setting: None,
        cancelled: None,
        keeps: false,
    },
    Way {
        name: "a store file is damaged between",
        prepared: Some("reread"),
        spoil: |place| {
            let store = place.candidate()?.join("data/databases/neo4j/neostore.nodestore.db");
            std::fs::remove_file(&store).map_err(Error::file("remove", &store))
        },
        mend: NOTHING,
        setting: None,
        cancelled: None,
        keeps: true,
    },
    Way {
        name: "another schema is declared",
        prepared: None,
        spoil: NOTHING,
        mend: NOTHING,
        setting: Some(("GRAP_HEALTH_SCHEMA_FILE", "CREATE INDEX planted FOR (n:Planted) ON (n.n);\n")),
        cancelled: None,
        keeps: true,
    },
    Way {
        name: "cancelled while the instance starts",
        prepared: None,
        spoil: NOTHING,
        mend: NOTHING,
        setting: None,
        cancelled: Some(("reread", Duration::from_millis(1500))),
        keeps: false,
    },
    Way {
        name: "cancelled while the instance is asked",
        prepared: None,
        spoil: NOTHING,
        mend: NOTHING,
        setting: Some((
            "GRAP_HEALTH_CHECKS_FILE",
            "// takes long\nUNWIND range(1, 2000000000) AS n WITH n WHERE n < 0 RETURN n;\n",
        )),
        cancelled: Some(("judged counts", Duration::from_millis(300))),
        keeps: false,
    },
];

pub(super) fn every_way(
    place: &Place,
    is_over: &dyn Fn() -> bool,
    tell: Tell<'_>,
    figures: &mut Figures,
) -> Result<Ended> {
    for way in &WAYS {
        let grap = way.grap(place)?;
        way.unstruck(place, &grap)?;
        let seen: Vec<Seen> =
            place.seen().into_iter().filter(|seen| BACK.contains(&seen.event.as_str())).collect();
        require(!seen.is_empty(), || format!("{}: it does not turn back: {:?}", way.name, place.events()))?;
        let reset = place.unstruck(&RESET)?;
        place.settle()?;
        let strikes = seen.iter().flat_map(|seen| PARTS.map(|part| (seen, part)));
        for (number, (seen, part)) in (0..).zip(strikes) {
            if is_over() {
                return Ok(Ended::Early);
            }
            let strike = |moment| way.strike(place, &grap, moment);
            let hit = surely(seen.moment(part), tell, strike, || place.settle())?;
            figures.back.add(hit);
            let said = format!("recoveries: {}: {} at {:.0} %: {hit:?}", way.name, seen.event, part * 100.0);
            if hit == Hit::Missed {
                tell(&said);
                continue;
            }
            let by = way.gone_on_with(place, number)?;
            let struck = place.strike_back(&RESET, &reset, number)?;
            place.settle()?;
            figures.resets.add(struck);
            tell(&format!("{said}, gone on with by {by}; its reset: {struck:?}"));
        }
    }
    Ok(Ended::Whole)
}

impl Way {
    fn grap(&self, place: &Place) -> Result<Grap> {
        let mut grap = place.grap.clone();
        if let Some((key, text)) = self.setting {
            let file = place.folder.path().join("setting.cypher");
            std::fs::write(&file, text).map_err(Error::file("write", &file))?;
            grap.environment.push((key.into(), file.display().to_string()));
        }
        Ok(grap)
    }

    /// Up to where it is spoiled; a run that meets it.
    fn begin(&self, place: &Place, grap: &Grap) -> Result<Run> {
        if let Some(event) = self.prepared {
            let mut run = Run::start(grap, &START)?;
            let moment = Moment::Behind { events: position(event), further: Duration::ZERO };
            run.wait_for(place, moment)?;
            run.kill(place, moment, 0)?;
            place.nothing_runs()?;
            require(place.behind(event).is_some(), || format!("no {event}: {:?}", place.events()))?;
            (self.spoil)(place)?;
        }
        let mut run = Run::start(grap, &START)?;
        if let Some((event, further)) = self.cancelled {
            run.wait_for(place, Moment::Behind { events: position(event), further })?;
            grap.json(&CANCEL)?;
        }
        Ok(run)
    }

    fn unstruck(&self, place: &Place, grap: &Grap) -> Result<()> {
        let mut run = self.begin(place, grap)?;
        // It ends before so many.
        run.wait_for(place, Moment::Behind { events: usize::MAX, further: Duration::ZERO })?;
        self.ended(place)?;
        (self.mend)(place)
    }

    fn strike(&self, place: &Place, grap: &Grap, moment: Moment) -> Result<Hit> {
        let mut run = self.begin(place, grap)?;
        run.wait_for(place, moment)?;
        let hit = run.kill(place, moment, 0)?;
        place.nothing_runs()?;
        (self.mend)(place)?;
        Ok(hit)
    }

    /// By whom what is owed is done: a start that finds it, or the reset behind this.
    fn gone_on_with(&self, place: &Place, number: usize) -> Result<&'static str> {
        let said = place.grap.json(&["recover", "status"])?;
        let owes = !said["recovery"]["order"].is_null();
        if !owes || number % 2 == 1 {
            return Ok("reset");
        }
        place.grap.failure(&START)?;
        self.ended(place)?;
        Ok("start")
    }

    /// It has failed, and its candidate is there or not, as it should be.
    fn ended(&self, place: &Place) -> Result<()> {
        let said = place.grap.json(&["recover", "status"])?;
        require(said["status"] == "FAILED" && said["recovery"]["order"].is_null(), || {
            format!("{}: {said}", self.name)
        })?;
        place.nothing_runs()?;
        let kept = place.candidate().is_ok();
        require(kept == self.keeps, || format!("{}: a candidate is there: {kept}", self.name))
    }
}

/// `recover cancel` itself, of a recovery that nobody is at.
pub(super) fn cancels(
    place: &Place,
    is_over: &dyn Fn() -> bool,
    tell: Tell<'_>,
    figures: &mut Figures,
) -> Result<Ended> {
    let prepare = |event: &str| {
        let moment = Moment::Behind { events: position(event), further: Duration::ZERO };
        let strike = |moment| place.strike(&place.grap, &START, moment);
        surely(moment, tell, strike, || place.settle()).map(drop)
    };
    prepare("reread")?;
    let cancel = place.unstruck(&CANCEL)?;
    place.settle()?;
    tell(&format!("recoveries: {cancel:?}"));
    for number in 0..CANCELS {
        if is_over() {
            return Ok(Ended::Early);
        }
        // An instance may have been started, and be gone, or was about to be.
        let event = if number % 4 == 0 { "started" } else { "reread" };
        prepare(event)?;
        let strike = |moment| {
            let hit = place.strike(&place.grap, &CANCEL, moment)?;
            stands_as_it_was_heard(place).map(|()| hit)
        };
        let again = || place.settle().and_then(|()| prepare(event));
        let hit = surely(cancel.moment(place.events().len(), number), tell, strike, again)?;
        place.settle()?;
        figures.cancels.add(hit);
        tell(&format!("recoveries: cancel behind {event}: {hit:?}"));
    }
    Ok(Ended::Whole)
}

/// A wish that is in the journal is never lost; what is not there was not heard, and changes nothing.
fn stands_as_it_was_heard(place: &Place) -> Result<()> {
    let expected = if place.behind("cancel_asked").is_some() { "FAILED" } else { "VALIDATION" };
    let status = place.status()?;
    require(status == expected, || format!("{status}, not {expected}: {:?}", place.events()))
}

/// How many events there are when this one is, in a recovery that nothing has struck yet.
fn position(event: &str) -> usize {
    const FIRST: [&str; 9] = [
        "begun",
        "reserved",
        "restored",
        "reread",
        "started",
        "judged connectivity",
        "judged schema",
        "judged orphans",
        "judged counts",
    ];
    FIRST.iter().position(|known| *known == event).map_or(usize::MAX, |index| index + 1)
}

fn packs(place: &Place) -> PathBuf {
    place.grap.repository.join("data")
}

fn away(place: &Place) -> PathBuf {
    place.grap.repository.join("data-away")
}

fn renamed(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(Error::file("rename", from))
}
