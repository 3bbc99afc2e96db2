//! The stack in containers, driven as its user drives it: `scripts/stack`, compose, `docker exec`, and clients at Bolt. It
//! has a project, containers, volumes and secrets of its own; all of them go at the end.
//!
//! - `guarded`: who reaches what, and who reads what; each refusal beside the same thing allowed.
//! - `kills`: SIGKILL of each container while a client writes; `down` and `up`; the declared schema.
//! - `journey`: corrupted by Cypher, recovered to just before, promoted, rolled back; both containers killed in the middle.
//!
//! A client on the host reaches Bolt by the container's own address: Docker lets processes of the host do that, and nobody
//! else.

mod docker;
mod guarded;
mod idle;
mod journey;
mod kills;
mod ledger;
mod place;

use std::fmt::Write as _;
use std::time::Instant;

use crate::error::Result;
use crate::pitr::Tell;
use place::Place;

pub use idle::idle;

/// Of the image that `GRAP_IMAGE` names. `long`: killed behind every step of a rollback, unless the time is over before.
pub fn stack(long: bool, until: Option<Instant>, tell: Tell<'_>) -> Result<String> {
    let begun = Instant::now();
    let place = Place::make()?;
    let told = Told { tell, begun };
    place.told_why(tell, stories(&place, long, until, &told))?;
    place.remove()?;
    Ok(format!("stack: {} all is well, {} s", place.engine(), begun.elapsed().as_secs()))
}

fn stories(place: &Place, long: bool, until: Option<Instant>, told: &Told<'_>) -> Result<()> {
    place.up_from_nothing()?;
    told.about("up from nothing, and the declared schema is there");
    guarded::secrets_are_told_to_nobody(place)?;
    guarded::processes_may_little(place)?;
    guarded::volumes_are_read_by_nobody_else(place)?;
    guarded::neo4j_is_reached_from_the_internal_network_alone(place)?;
    told.about("secrets, processes, volumes, networks");
    let kills = kills::each_container_while_a_client_writes(place)?;
    told.about(&kills);
    let mut journey = journey::recovered_and_promoted(place)?;
    told.about(&journey.said);
    journey.roll_back(place)?;
    told.about(&journey.said);
    kills::down_and_up_with_another_schema(place)?;
    journey.is_whole(place)?;
    told.about("down, another schema, up: drift is reported, and everything is there");
    let moments = if long {
        &journey::MOMENTS[..]
    } else {
        &journey::MOMENTS[journey::IN_THE_MIDDLE..=journey::IN_THE_MIDDLE]
    };
    for moment in moments {
        if until.is_some_and(|until| Instant::now() >= until) {
            told.about("STOPPED EARLY");
            break;
        }
        journey.struck(place, moment)?;
        told.about(&journey.said);
    }
    Ok(())
}

/// With the time.
struct Told<'a> {
    tell: Tell<'a>,
    begun: Instant,
}

impl Told<'_> {
    fn about(&self, what: &str) {
        let mut line = String::new();
        let _ = write!(line, "stack: {:>4} s  {what}", self.begun.elapsed().as_secs());
        (self.tell)(&line);
    }
}
