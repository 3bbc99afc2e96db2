//! Reading a whole log file, and readers that answer in pieces.

use std::io::{self, Read};

use grap_neo4j::KernelVersion;
use grap_neo4j::txlog::{
    FileHeader, HEADER_LENGTH, LogHeader, ScanError, ScanStart, Scanner, Tail, Transaction,
};

pub(crate) fn header(file: &[u8]) -> LogHeader {
    FileHeader::parse(file).unwrap().written().unwrap()
}

pub(crate) fn entries(file: &[u8]) -> &[u8] {
    &file[HEADER_LENGTH..]
}

/// All transactions of a file with its header, and what ended the scan.
pub(crate) fn scan(file: &[u8]) -> (Vec<Transaction>, Result<Tail, ScanError>) {
    scan_reader(entries(file), ScanStart::of_file(&header(file)))
}

pub(crate) fn scan_reader(
    reader: impl Read,
    start: ScanStart,
) -> (Vec<Transaction>, Result<Tail, ScanError>) {
    let mut scanner = Scanner::new(reader, start);
    let mut transactions = Vec::new();
    for next in scanner.by_ref() {
        match next {
            Ok(transaction) => transactions.push(transaction),
            Err(error) => return (transactions, Err(error)),
        }
    }
    let tail = scanner.tail().unwrap();
    assert!(scanner.next().is_none(), "an ended scan stays ended");
    (transactions, Ok(tail))
}

pub(crate) fn kernel(byte: u8) -> KernelVersion {
    KernelVersion::known(byte).unwrap()
}

/// One kernel of every START layout, and of every checkpoint layout.
pub(crate) const KERNELS: [u8; 8] = [5, 12, 16, 17, 20, 22, 30, 32];

/// A reader that gives as many bytes at once as the next of `sizes` says; 0 stands for an interruption.
pub(crate) struct Pieces<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) sizes: std::iter::Cycle<std::vec::IntoIter<usize>>,
}

impl<'a> Pieces<'a> {
    pub(crate) fn new(bytes: &'a [u8], mut sizes: Vec<usize>) -> Pieces<'a> {
        sizes.push(7);
        Pieces { bytes, sizes: sizes.into_iter().cycle() }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.sizes.next().unwrap();
        if size == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = size.min(buffer.len());
        self.bytes.read(&mut buffer[..length])
    }
}
