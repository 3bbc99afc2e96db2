//! The rules of the schema: each is a map in the property store. What a rule demands of the graph is not judged.

use grap_neo4j::record::{RecordStore, SchemaRecord};

use super::Check;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::properties::{Owner, PropertyReader};
use super::rules::{Rule, Words};
use super::scan::{Worker, scan};

/// What every key of a rule begins with.
const PREFIX: &str = "__org.neo4j.SchemaRule.";

/// Every rule that can be read, by id.
pub(super) fn read(check: &Check<'_>, findings: &mut Findings) -> Result<Vec<Rule>, CheckError> {
    let file = check.stores.get(RecordStore::Schema);
    let new = || SchemaWorker {
        check,
        properties: PropertyReader::new(check),
        rules: Vec::new(),
        findings: Findings::default(),
    };
    let mut rules = Vec::new();
    for worker in scan(check, file, "schema", new)? {
        findings.append(worker.findings);
        rules.extend(worker.rules);
    }
    rules.sort_by_key(|rule: &Rule| rule.id);
    Ok(rules)
}

struct SchemaWorker<'a> {
    check: &'a Check<'a>,
    properties: PropertyReader<'a>,
    rules: Vec<Rule>,
    findings: Findings,
}

impl Worker for SchemaWorker<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        let Some(record) = bytes.first_chunk().map(SchemaRecord::parse).filter(|record| record.in_use) else {
            return Ok(());
        };
        let keys = &self.check.tokens.keys;
        let (mut words, mut foreign) = (Words::default(), 0);
        let owner = Owner { store: RecordStore::Schema, id, property: record.property };
        self.properties.read(owner, &mut self.findings, |key, value| {
            match keys.get(u64::from(key)).and_then(|token| token.name.strip_prefix(PREFIX)) {
                Some(word) => words.add(word, value),
                None => foreign += 1,
            }
        })?;
        let place = || Record(RecordStore::Schema, id);
        if words.is_empty() {
            self.findings.add(Problem::Schema, place(), || "it has no rule".to_owned());
        } else {
            self.rules.push(words.rule(id, self.check.tokens));
        }
        if foreign > 0 {
            let said = || format!("{foreign} of its properties are not those of a rule");
            self.findings.add(Problem::Schema, place(), said);
        }
        Ok(())
    }
}
