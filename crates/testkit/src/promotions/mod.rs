//! What a promotion and a rollback are worth when they are struck, on real servers.
//!
//! - `strikes`: Grap and the server are killed, and fail, before, inside and behind every order (`table`); each second
//!   time somebody starts the server by hand then; and it is gone on with by the same verb, by `grap serve`, or taken back
//!   by `cancel`, while the other verb is refused.
//! - `supervised`: the same, with the server under `grap supervise`, which is killed, or does not answer.
//! - `cases`: what may be wrong with the live database, the archive, the stop (`cases`).
//! - `versions`: a promotion, a rollback and a strike on each version that is named.
//!
//! Each time one whole database serves: the one that the state says, to the last write that was acknowledged; the other one
//! is whole, too; and a server that was started in the middle has served no mix and changed no file.

mod cases;
mod place;
mod resume;
mod strike;
mod table;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use place::Place;
use strike::Hit;
use table::{How, Strike, Verb, Who, name, spread};

pub use cases::cases;

use crate::Distribution;
use crate::error::{Error, Result};
use crate::pitr::{Tell, claim, require};

/// What a part is run with.
#[derive(Debug, Clone, Copy)]
pub struct Setting<'a> {
    pub binary: &'a Path,
    pub distribution: &'a Distribution,
    /// So many strikes are enough; all by default.
    pub strikes: Option<usize>,
    /// Those of a short run begin with another one each time; with this one where it is said.
    pub first: Option<usize>,
    /// And then it is over.
    pub until: Option<Instant>,
}

/// Of the strikes that there are on Grap and the server, as many as are wanted.
pub fn strikes(setting: &Setting<'_>, tell: Tell<'_>) -> Result<String> {
    campaign("strikes", setting, |who| who != Who::Supervisor, tell)
}

/// And of those on a supervisor.
pub fn supervised(setting: &Setting<'_>, tell: Tell<'_>) -> Result<String> {
    campaign("supervised", setting, |who| who == Who::Supervisor, tell)
}

/// A promotion (which each place begins with), a rollback, and a strike in the middle of one.
pub fn version(setting: &Setting<'_>, tell: Tell<'_>) -> Result<String> {
    let mut place = Place::make(setting, false)?;
    let (order, at) = (grap_core::recovery::Order::SwapStores, table::At::Inside);
    let strike = Strike { verb: Verb::Rollback, order, at, who: Who::Grap, how: How::Kill };
    let mut tally = Tally::default();
    // Somebody starts the server in the middle, with files that may be missing and without; the verb goes on, and `cancel`.
    for number in [0, 2] {
        make(&mut place, strike, number, &mut tally, tell)?;
    }
    Ok(format!(
        "promotions on Neo4j {}: a promotion, and {}",
        setting.distribution.version(),
        tally.summary(2)
    ))
}

#[derive(Debug, Default)]
struct Tally {
    made: BTreeMap<(Verb, String), BTreeMap<(Who, How), usize>>,
    missed: usize,
    finished: usize,
    taken_back: usize,
    unbegun: usize,
    by_hand: usize,
}

fn campaign(
    part: &str,
    setting: &Setting<'_>,
    struck: impl Fn(Who) -> bool,
    tell: Tell<'_>,
) -> Result<String> {
    let begun = Instant::now();
    let all = Strike::all(struck);
    let mut place = Place::make(setting, part == "supervised")?;
    tell(&format!("{part}: promoted with nothing in its way, {:.0?}", begun.elapsed()));
    let first = setting.first.unwrap_or_else(|| rand::Rng::random_range(&mut rand::rng(), 0..all.len()));
    let turned = spread(&all).into_iter().enumerate().cycle().skip(first).take(all.len());
    let mut tally = Tally::default();
    for (number, strike) in turned.take(setting.strikes.unwrap_or(all.len())) {
        if setting.until.is_some_and(|until| Instant::now() >= until) {
            break;
        }
        make(&mut place, strike, number, &mut tally, tell)?;
    }
    if let Some(archiver) = place.archiver.take() {
        archiver.stop()?;
    }
    tally.tell(tell);
    require(tally.count() > 0, || format!("{part}: nothing was struck"))?;
    Ok(format!("{part}: {}, {} s", tally.summary(all.len()), begun.elapsed().as_secs()))
}

/// One strike, and all that is claimed behind it.
fn make(place: &mut Place, strike: Strike, number: usize, tally: &mut Tally, tell: Tell<'_>) -> Result<()> {
    let begun = Instant::now();
    let named = |error: Error| Error::Claim(format!("strike {number}, {strike}: {error}"));
    let (hit, resumed, end) = made(place, strike, number).map_err(named)?;
    tally.add(strike, hit, &resumed, &end);
    tell(&format!("{number}: {strike}: {hit:?}; {resumed}; {end}, {:.0?}", begun.elapsed()));
    Ok(())
}

fn made(place: &mut Place, strike: Strike, number: usize) -> Result<(Hit, String, String)> {
    place.ready(strike.verb)?;
    if strike.is_of_way_back() {
        // What is taken back is in the middle of the swap.
        let middle =
            Strike { order: grap_core::recovery::Order::SwapStores, at: table::At::Behind, ..strike };
        place.write()?;
        place.strike(Strike { how: How::Kill, ..middle })?;
    } else {
        place.write()?;
    }
    let before = place.commanded.journal();
    let hit = place.strike(strike)?;
    let begun = strike.is_of_way_back() || place.commanded.journal() != before;
    let resumed = place.resume(strike, number)?;
    let end = place.ended(strike, begun)?;
    Ok((hit, resumed, end.to_owned()))
}

impl Place {
    /// How it ended, and that it is as that says.
    fn ended(&mut self, strike: Strike, begun: bool) -> Result<&'static str> {
        let status = self.status()?;
        let said = status["status"].as_str().unwrap_or_default();
        let end = match (said, begun) {
            (_, false) => "not begun",
            ("PROMOTED", _) => "finished",
            ("SUCCESS", _) if strike.verb == Verb::Promote => "called off",
            ("FAILED", _) => "taken back",
            _ => return claim(status),
        };
        if end == "finished" {
            self.has_promoted(strike.verb);
        }
        if strike.who == Who::Server {
            // Whoever ended it may have done so before Grap had seen it run, or behind its last look.
            self.commanded.start_by_hand()?;
        }
        self.serves()?;
        self.keeps_the_other()?;
        if end != "called off" && end != "not begun" {
            self.settle()?;
        }
        Ok(end)
    }
}

impl Tally {
    fn add(&mut self, strike: Strike, hit: Hit, resumed: &str, end: &str) {
        if hit == Hit::Missed {
            self.missed += 1;
            return;
        }
        let row = self.made.entry((strike.verb, name(strike.order))).or_default();
        *row.entry((strike.who, strike.how)).or_default() += 1;
        self.by_hand += usize::from(resumed.contains("by hand"));
        match end {
            "finished" => self.finished += 1,
            "not begun" => self.unbegun += 1,
            _ => self.taken_back += 1,
        }
    }

    fn count(&self) -> usize {
        self.made.values().flat_map(BTreeMap::values).sum()
    }

    fn tell(&self, tell: Tell<'_>) {
        for ((verb, order), kinds) in &self.made {
            let mut row = format!("{verb:?} {order}:").to_lowercase();
            for ((who, how), count) in kinds {
                let _ = write!(row, " {} {count}", format!("{who:?} {how:?}").to_lowercase());
            }
            tell(&row);
        }
    }

    fn summary(&self, all: usize) -> String {
        let Self { made, missed, finished, taken_back, unbegun, by_hand } = self;
        let count = self.count();
        format!(
            "{count} of {all} strikes ({} %) in {} orders, {missed} more came too late: {finished} finished, {taken_back} taken back, {unbegun} had not begun; \
             {by_hand} times somebody started the server meanwhile; one whole database served each time, no acknowledged write lost",
            count * 100 / all.max(1),
            made.len(),
        )
    }
}
