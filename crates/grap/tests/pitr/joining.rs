//! Which backups join a path: the very transaction, in the very place, of the very store; never the mark that an
//! import or a migration leaves.

use grap::archive::{BaseEnd, PathReader, RunNumber, Segment, SegmentHeader, SurveyOptions, survey};
use grap_neo4j::synthetic::{LogWriter, first_header, store_id};
use grap_neo4j::{Checksum, CommitTime, KernelVersion, TransactionEnd};
use grap_task::Stop;

use crate::world::{Start, World, put_all};

/// A fresh log whose second transaction is without commands.
fn imported() -> (World, Vec<TransactionEnd>) {
    let world = World::new("5.26.30");
    let kernel = KernelVersion::known(22).unwrap();
    let mut log = LogWriter::new(kernel, first_header(kernel, store_id(1)));
    let written: Vec<_> = [&b"one"[..], b"", b"three", b"four"]
        .into_iter()
        .map(|commands| log.transaction(commands, CommitTime(1_000)))
        .collect();
    let bytes = log.bytes();
    let (first, last) = (&written[0], &written[3]);
    let at = |offset: u64| usize::try_from(offset).unwrap();
    let segment = Segment {
        header: SegmentHeader {
            position: first.start,
            inode: 1,
            clock_ms: 1_000,
            first: (first.id, first.checksum),
            last: (last.id, last.checksum),
            file_header: bytes[..128].try_into().unwrap(),
        },
        content: bytes[at(first.start.offset)..at(last.end.offset)].to_vec(),
    };
    Start::new(1, 500).root("neo4j", 2, None).put(&world);
    put_all(&world.archive(), 1, "neo4j", &[segment]);
    (world, written.iter().map(grap_neo4j::txlog::Transaction::end_point).collect())
}

#[test]
fn only_the_very_transaction_joins_and_never_a_mark() {
    let (world, ends) = imported();
    let base = |end: TransactionEnd, store: i64| BaseEnd { store_id: store_id(store), end };
    let mut moved = ends[2];
    moved.position.offset += 1;
    let other = TransactionEnd { checksum: Checksum(ends[2].checksum.0 ^ 1), ..ends[2] };
    let bases = [
        base(ends[0], 1),
        base(ends[1], 1),
        base(ends[2], 1),
        base(ends[3], 1),
        base(ends[2], 2),
        base(moved, 1),
        base(other, 1),
    ];
    let archive = world.archive();
    let runs = archive.runs().unwrap();
    let path = runs.path("neo4j", RunNumber(1)).unwrap();
    let options = SurveyOptions { bases: &bases, ..SurveyOptions::default() };
    let reader = PathReader { archive: &archive, runs: &runs, path: &path, stop: &Stop::new() };
    let joined = survey(&reader, options).unwrap().view.joins;
    assert_eq!(joined.iter().map(|join| join.base).collect::<Vec<_>>(), [0, 2, 3]);
}
