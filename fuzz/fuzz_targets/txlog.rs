//! Any bytes behind a header: no panic; every transaction that is reported stands there with its checksum, one behind
//! the other, under consecutive ids; a scan in small pieces finds the same.
#![no_main]

use std::io::Read;

use grap_neo4j::synthetic::{first_header, store_id};
use grap_neo4j::txlog::{FileHeader, ScanStart, Scanner, Tail, Transaction};
use grap_neo4j::KernelVersion;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u8, &[u8])| {
    let (kernel, piece, entries) = input;
    let _ = FileHeader::parse(entries);
    let Some(kernel) = KernelVersion::known(kernel % 28 + 5) else { return };
    let start = ScanStart::of_file(&first_header(kernel, store_id(1)));
    let whole = scan(entries, start);
    let mut at = start.position.offset;
    let mut id = start.last_id;
    for transaction in &whole.0 {
        assert_eq!((transaction.start.offset, transaction.id), (at, id.next()));
        let (from, to) = (transaction.start.offset as usize - 128, transaction.end.offset as usize - 128);
        assert_eq!(crc32c::crc32c(&entries[from..to - 4]), transaction.checksum.0);
        (at, id) = (transaction.end.offset, transaction.id);
    }
    let pieces = Pieces { bytes: entries, length: usize::from(piece).max(1) };
    assert_eq!(scan(pieces, start), whole);
});

fn scan(reader: impl Read, start: ScanStart) -> (Vec<Transaction>, Option<Tail>) {
    let mut scanner = Scanner::new(reader, start);
    let transactions = scanner.by_ref().map_while(Result::ok).collect();
    (transactions, scanner.tail())
}

struct Pieces<'a> {
    bytes: &'a [u8],
    length: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(self.length);
        self.bytes.read(&mut buffer[..length])
    }
}
