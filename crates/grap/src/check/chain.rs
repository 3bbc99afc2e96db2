//! The pieces of a text, an array or a list of labels, put together.

use grap_neo4j::record::DynamicRecord;

use super::bits::Bits;
use super::error::CheckError;
use super::findings::{Findings, Problem, Record};
use super::pages::Pages;

/// Reads the chain that begins with record `first` into `into`; `false`, and a finding, where it is not whole.
///
/// It ends: every record is marked in `owned` when it is reached, and a marked one ends the walk.
pub(super) fn read(
    pages: &mut Pages<'_>,
    owned: &Bits,
    first: u64,
    owner: impl Fn() -> Record,
    into: &mut Vec<u8>,
    findings: &mut Findings,
) -> Result<bool, CheckError> {
    into.clear();
    let (store, mut at) = (pages.store(), first);
    loop {
        let record = || Record(store, at);
        let next = match piece(pages.record(at)?, at, at == first, into) {
            Ok(next) => next,
            Err(why) => {
                findings.add(Problem::DynamicChain, record(), || format!("{why}; it belongs to {}", owner()));
                return Ok(false);
            }
        };
        if owned.set(at) {
            let said = || format!("it is reached a second time, from {}", owner());
            findings.add(Problem::SharedRecord, record(), said);
            return Ok(false);
        }
        match next {
            Some(next) => at = next,
            None => return Ok(true),
        }
    }
}

/// Takes the data of one piece; where it goes on, or what is wrong.
fn piece(
    bytes: Option<&[u8]>,
    id: u64,
    is_first: bool,
    into: &mut Vec<u8>,
) -> Result<Option<u64>, &'static str> {
    if id == 0 {
        return Err("it is the header of the store");
    }
    let bytes = bytes.ok_or("it lies beyond the end of the store")?;
    let record = DynamicRecord::parse(bytes).ok_or("it is shorter than a header")?;
    if !record.in_use {
        return Err("it is not in use");
    }
    if record.start != is_first {
        return Err(if is_first {
            "it is not the start of a chain"
        } else {
            "it is the start of another chain"
        });
    }
    let data = record.data().ok_or("it claims to hold more than there is room for")?;
    if record.next.is_some() && !record.is_full() {
        return Err("it is not full, and yet the chain goes on");
    }
    into.extend_from_slice(data);
    Ok(record.next)
}
