//! Records that are in use, and that nobody reached: what they hold is lost to the graph, and their room, too.

use grap_neo4j::record::{DynamicRecord, GroupRecord, PropertyRecord, RecordStore};
use grap_task::Unit;

use super::Check;
use super::bits::Bits;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::scan::{Worker, go_over};

pub(super) fn find(check: &Check<'_>, findings: &mut Findings) -> Result<(), CheckError> {
    let owned = &check.owned;
    let stores = [
        (RecordStore::Groups, &owned.groups),
        (RecordStore::Properties, &owned.properties),
        (RecordStore::Strings, &owned.strings),
        (RecordStore::Arrays, &owned.arrays),
        (RecordStore::NodeLabels, &owned.labels),
    ];
    let bytes = stores.iter().map(|(store, _)| check.stores.get(*store).bytes()).sum();
    check.monitor.begin("orphans", Unit::Bytes, Some(bytes));
    for (store, owned) in stores {
        let new = || OrphanWorker { store, owned, findings: Findings::default() };
        for worker in go_over(check, check.stores.get(store), new)? {
            findings.append(worker.findings);
        }
    }
    Ok(())
}

struct OrphanWorker<'a> {
    store: RecordStore,
    owned: &'a Bits,
    findings: Findings,
}

impl Worker for OrphanWorker<'_> {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError> {
        if is_in_use(self.store, bytes) && !self.owned.get(id) {
            self.findings.add(Problem::Orphan, Record(self.store, id), || {
                "it is in use and belongs to nothing".to_owned()
            });
        }
        Ok(())
    }
}

fn is_in_use(store: RecordStore, bytes: &[u8]) -> bool {
    match store {
        RecordStore::Groups => bytes.first_chunk().is_some_and(|bytes| GroupRecord::parse(bytes).in_use),
        RecordStore::Properties => {
            bytes.first_chunk().is_some_and(|bytes| PropertyRecord::parse(bytes).in_use())
        }
        _ => DynamicRecord::parse(bytes).is_some_and(|record| record.in_use),
    }
}
