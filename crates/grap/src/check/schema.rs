//! The rules of the schema: each is a map in the property store. What a rule demands of the graph is not judged.

use grap_neo4j::record::{RecordStore, SchemaRecord};

use super::Check;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::properties::{Owner, PropertyReader};
use super::scan::{Worker, scan};

/// What every key of a rule begins with.
const PREFIX: &str = "__org.neo4j.SchemaRule.";

pub(super) fn read(check: &Check<'_>, findings: &mut Findings) -> Result<(), CheckError> {
    let file = check.stores.get(RecordStore::Schema);
    let new =
        || SchemaWorker { check, properties: PropertyReader::new(check), findings: Findings::default() };
    for worker in scan(check, file, "schema", new)? {
        findings.append(worker.findings);
    }
    Ok(())
}

struct SchemaWorker<'a> {
    check: &'a Check<'a>,
    properties: PropertyReader<'a>,
    findings: Findings,
}

impl Worker for SchemaWorker<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let Some(record) = bytes.first_chunk().map(SchemaRecord::parse).filter(|record| record.in_use) else {
            return Ok(());
        };
        let keys = &self.check.tokens.keys;
        let (mut known, mut foreign) = (0, 0);
        let owner = Owner { store: RecordStore::Schema, id, property: record.property };
        self.properties.read(owner, &mut self.findings, |key, _| match keys.get(u64::from(key)) {
            Some(token) if token.name.starts_with(PREFIX) => known += 1,
            _ => foreign += 1,
        })?;
        let place = || Record(RecordStore::Schema, id);
        if known == 0 {
            self.findings.add(Problem::Schema, place(), || "it has no rule".to_owned());
        }
        if foreign > 0 {
            let said = || format!("{foreign} of its properties are not those of a rule");
            self.findings.add(Problem::Schema, place(), said);
        }
        Ok(())
    }
}
