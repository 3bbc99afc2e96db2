//! The properties of an owner: its chain of property records, the texts and arrays behind them, every value decoded.

use grap_neo4j::record::{
    Block, PropertyRecord, RecordStore, Stored, Value, ValueError, decode_array, decode_block,
};

use super::Check;
use super::chain;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::pages::Pages;

/// Reads properties, one owner after another. Each thread has one.
pub(super) struct PropertyReader<'a> {
    check: &'a Check<'a>,
    properties: Pages<'a>,
    strings: Pages<'a>,
    arrays: Pages<'a>,
    /// Texts that are packed into blocks.
    scratch: Vec<u8>,
    /// Texts and arrays from records of their own.
    pieces: Vec<u8>,
}

/// Who has properties.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) store: RecordStore,
    pub(super) id: u64,
    /// The first record of the chain.
    pub(super) property: Option<u64>,
}

impl Owner {
    fn record(&self) -> Record {
        Record(self.store, self.id)
    }
}

impl<'a> PropertyReader<'a> {
    pub(super) fn new(check: &'a Check<'a>) -> Self {
        let pages = |store| Pages::new(check.stores.get(store));
        Self {
            check,
            properties: pages(RecordStore::Properties),
            strings: pages(RecordStore::Strings),
            arrays: pages(RecordStore::Arrays),
            scratch: Vec::new(),
            pieces: Vec::new(),
        }
    }

    /// Calls `each` with every property that can be read.
    ///
    /// It ends: each record is marked when it is reached, and a marked one ends the walk.
    pub(super) fn read(
        &mut self,
        owner: Owner,
        findings: &mut Findings,
        mut each: impl FnMut(u32, &Value<'_>),
    ) -> Result<(), CheckError> {
        let (mut previous, mut at) = (None, owner.property);
        while let Some(id) = at {
            let place = || Record(RecordStore::Properties, id);
            let Some(record) = self.record(id)? else {
                findings.add(Problem::PropertyChain, place(), || {
                    format!("it is not in use, but in the chain of {}", owner.record())
                });
                return Ok(());
            };
            if self.check.owned.properties.set(id) {
                findings.add(Problem::SharedRecord, place(), || {
                    format!("it is reached a second time, from {}", owner.record())
                });
                return Ok(());
            }
            if record.previous != previous {
                findings.add(Problem::PropertyChain, place(), || {
                    let (found, right) = (named(record.previous), named(previous));
                    format!("before it stands {found}, not {right}, in the chain of {}", owner.record())
                });
            }
            self.blocks(&record, id, owner, findings, &mut each)?;
            (previous, at) = (at, record.next);
        }
        Ok(())
    }

    /// A record that is in use.
    fn record(&mut self, id: u64) -> Result<Option<PropertyRecord>, CheckError> {
        let bytes = self.properties.record(id)?.and_then(|bytes| bytes.first_chunk());
        Ok(bytes.map(PropertyRecord::parse).filter(PropertyRecord::in_use))
    }

    fn blocks(
        &mut self,
        record: &PropertyRecord,
        id: u64,
        owner: Owner,
        findings: &mut Findings,
        each: &mut impl FnMut(u32, &Value<'_>),
    ) -> Result<(), CheckError> {
        for block in record.properties() {
            let decoded = match block {
                Ok(block) => self.property(block, owner, findings, each)?,
                Err(error) => Err((None, error)),
            };
            if let Err((key, error)) = decoded {
                findings.add(Problem::Value, Record(RecordStore::Properties, id), || {
                    format!("{}, {}: {error}", self.property_name(key), owner.record())
                });
            }
        }
        Ok(())
    }

    fn property(
        &mut self,
        block: Block<'_>,
        owner: Owner,
        findings: &mut Findings,
        each: &mut impl FnMut(u32, &Value<'_>),
    ) -> Result<Result<(), (Option<u32>, ValueError)>, CheckError> {
        let wrong = |error| (Some(block.key), error);
        let owned = &self.check.owned;
        let pieces = &mut self.pieces;
        match decode_block(block.blocks, &mut self.scratch) {
            Ok(Stored::Here(value)) => each(block.key, &value),
            Ok(Stored::String { record }) => {
                if chain::read(
                    &mut self.strings,
                    &owned.strings,
                    record,
                    || owner.record(),
                    pieces,
                    findings,
                )? {
                    match str::from_utf8(pieces) {
                        Ok(text) => each(block.key, &Value::Text(text)),
                        Err(_) => return Ok(Err(wrong(ValueError::NotUtf8))),
                    }
                }
            }
            Ok(Stored::Array { record }) => {
                if chain::read(&mut self.arrays, &owned.arrays, record, || owner.record(), pieces, findings)?
                {
                    match decode_array(pieces) {
                        Ok(array) => each(block.key, &array),
                        Err(error) => return Ok(Err(wrong(error))),
                    }
                }
            }
            Err(error) => return Ok(Err(wrong(error))),
        }
        Ok(Ok(()))
    }

    fn property_name(&self, key: Option<u32>) -> String {
        let token = key.and_then(|key| self.check.tokens.keys.get(u64::from(key)));
        token.map_or_else(|| "a property".to_owned(), |token| format!("property `{}`", token.name))
    }
}

fn named(record: Option<u64>) -> String {
    record.map_or_else(|| "nothing".to_owned(), |id| format!("property record {id}"))
}
