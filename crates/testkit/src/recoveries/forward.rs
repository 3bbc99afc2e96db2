//! Every order on the way to a validated candidate: struck, gone on with, validated; and each of those candidates is reset
//! by a run that is struck, too.

use super::place::{Place, RESET, START, Seen};
use super::strike::{Hit, surely};
use super::{Ended, Figures, PARTS};
use crate::error::Result;
use crate::pitr::{Tell, require};

pub(super) fn every_order(
    place: &Place,
    is_over: &dyn Fn() -> bool,
    tell: Tell<'_>,
    figures: &mut Figures,
) -> Result<Ended> {
    place.grap.json(&START)?;
    let orders = place.seen();
    let reset = place.unstruck(&RESET)?;
    place.settle()?;
    let total: u128 = orders.iter().map(|seen| seen.took.as_millis()).sum();
    tell(&format!("recoveries: {} orders, {total} ms; a reset {reset:?}", orders.len()));
    figures.orders = orders.len();
    let all = orders.iter().flat_map(|seen| PARTS.map(|part| (seen, part)));
    for (number, (seen, part)) in all.enumerate() {
        if is_over() {
            return Ok(Ended::Early);
        }
        let hit = struck(place, seen, part, tell)?;
        let starts = validated(place)?;
        let reset = place.strike_back(&RESET, &reset, number)?;
        place.settle()?;
        figures.forward.add(hit);
        figures.started_anew += usize::from(starts > 1);
        figures.resets.add(reset);
        tell(&format!(
            "recoveries: {} at {:.0} %: {hit:?}, {starts} starts; its reset: {reset:?}",
            seen.event,
            part * 100.0
        ));
    }
    Ok(Ended::Whole)
}

fn struck(place: &Place, seen: &Seen, part: f64, tell: Tell<'_>) -> Result<Hit> {
    let strike = |moment| place.strike(&place.grap, &START, moment);
    surely(seen.moment(part), tell, strike, || place.settle())
}

/// It goes on to a candidate that has passed, and its own verdict stands beside the backup, where those of others do, too. How often an instance was started.
fn validated(place: &Place) -> Result<u64> {
    if place.status()? != "SUCCESS" {
        place.grap.json(&START)?;
    }
    let said = place.grap.json(&["recover", "status"])?;
    let recovery = &said["recovery"];
    require(said["status"] == "SUCCESS" && recovery["unrecorded"].is_null(), || format!("{said}"))?;
    let shown = place.grap.json(&["show", &place.backup])?;
    let (noted, own) = (&shown["validation"], recovery["id"].is_string());
    let is_its_own = own && noted["recovery"] == recovery["id"] && noted["begun"] == recovery["begun"];
    require(shown["status"] == "VALIDATED" && is_its_own, || format!("{shown} of {recovery}"))?;
    place.nothing_runs()?;
    Ok(recovery["starts"].as_u64().unwrap_or_default())
}
