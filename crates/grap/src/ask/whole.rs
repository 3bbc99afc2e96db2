//! Everything counted by looking at it: a scan of all records, without the counts store and without an index. For a
//! database that nobody writes to.

use std::collections::BTreeMap;

use grap_bolt::{Result, Value};

use super::asker::{Asker, Count, Counts};

const NODES: &str = "MATCH (n) RETURN labels(n), count(*)";
const RELATIONSHIPS: &str = "MATCH ()-[r]->() RETURN type(r), count(*)";

impl Asker {
    /// Labels and types that nothing has are not in it.
    pub fn counts_by_scan(&mut self) -> Result<Counts> {
        let (mut counts, mut labels) = (Counts::default(), BTreeMap::<String, i64>::new());
        for row in self.ask(NODES)?.rows {
            let parsed = row.first().and_then(Value::as_list).zip(row.get(1).and_then(Value::as_int));
            let (names, count) = parsed.ok_or_else(|| self.unexpected("a count is no number"))?;
            counts.nodes += count;
            for name in names.iter().filter_map(Value::as_text) {
                *labels.entry(name.to_owned()).or_default() += count;
            }
        }
        for row in self.ask(RELATIONSHIPS)?.rows {
            let parsed = row.first().and_then(Value::as_text).zip(row.get(1).and_then(Value::as_int));
            let (name, count) = parsed.ok_or_else(|| self.unexpected("a count is no number"))?;
            counts.relationships += count;
            counts.types.push(Count { name: name.to_owned(), count });
        }
        counts.labels = labels.into_iter().map(|(name, count)| Count { name, count }).collect();
        counts.types.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(counts)
    }
}
