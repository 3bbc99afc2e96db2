//! SIGKILL of each container in turn while a client writes; `down` and `up`. What was acknowledged is there.

use super::docker::{about, logs};
use super::ledger::{self, Ledger};
use super::place::{LIMIT, Place};
use crate::error::Result;
use crate::pitr::{eventually, require};

const MORE: usize = 20;
/// Differs in one, and declares another one.
const ANOTHER_SCHEMA: &str = "CREATE CONSTRAINT memory_id FOR (m:Memory) REQUIRE m.key IS UNIQUE;
CREATE INDEX memory_at FOR (m:Memory) ON (m.at);
";

pub(super) fn each_container_while_a_client_writes(place: &Place) -> Result<String> {
    let ledger = Ledger::open(place, 1)?;
    for container in place.containers() {
        ledger.wait_for(MORE)?;
        place.kill(&[&container])?;
        restarted(&container, 1)?;
        ledger.go_on_at(place)?;
        ledger.wait_for(MORE)?;
    }
    let written = ledger.close()?;
    let acknowledged = ledger::acknowledged(&written, |_, _| true);
    ledger::require_all(&acknowledged, &ledger::found(&place.served()?)?, "behind the kills")?;
    place.protected()?;
    let text =
        format!("each container killed while a client wrote {} times: nothing is lost", acknowledged.len());
    Ok(text)
}

/// By the engine, for it has ended otherwise than was wished.
pub(super) fn restarted(container: &str, times: usize) -> Result<()> {
    eventually("a killed container is started again", LIMIT, || {
        let said = about(container, "{{.RestartCount}} {{.State.Running}}")?;
        Ok((said == format!("{times} true")).then_some(()))
    })
}

pub(super) fn down_and_up_with_another_schema(place: &Place) -> Result<()> {
    place.compose(&["down"])?;
    place.write_schema(ANOTHER_SCHEMA)?;
    place.compose(&["up", "-d"])?;
    place.served()?;
    eventually("the schema is looked at", LIMIT, || {
        Ok(logs(&place.neo4j())?.contains("Schema initialization: 2 declared, 1 created").then_some(()))
    })?;
    let said = logs(&place.neo4j())?;
    let drift = said.lines().find(|line| line.contains("the schema has drifted, and is left as it is"));
    require(drift.is_some_and(|drift| drift.contains("memory_id")), || format!("no drift is told: {said}"))?;
    place.protected()
}
