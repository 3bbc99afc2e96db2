//! The format of the archive, version 1, frozen in `testdata/archive-v1`: what was written once is read for ever,
//! and what a newer program writes is refused.

use grap::archive::{Segment, SegmentError, StartError, StartRecord};
use grap_testkit::fixture::testdata;

fn frozen(name: &str) -> Vec<u8> {
    std::fs::read(testdata().join("archive-v1").join(name)).unwrap()
}

#[test]
fn segments_are_read() {
    let bytes = frozen("segment");
    let found = Segment::parse_object(&bytes).unwrap();
    let [segment] = found.as_slice() else { panic!("{} segments", found.len()) };
    assert_eq!((segment.header.first.0.0, segment.header.last.0.0, segment.header.inode), (2, 4, 7));
    assert_eq!(segment.header.position.offset, 128);
    assert!(segment.to_bytes() == bytes, "the writer writes the same bytes");
    let mut ids = Vec::new();
    segment.log_header().unwrap();
    segment.scan(None, |transaction, _| ids.push(transaction.id.0)).unwrap();
    assert_eq!(ids, [2, 3, 4]);
}

#[test]
fn merged_objects_are_read() {
    let bytes = frozen("merged");
    let parts = Segment::parse_object(&bytes).unwrap();
    let ids: Vec<_> = parts.iter().map(|part| (part.header.first.0.0, part.header.last.0.0)).collect();
    assert_eq!(ids, [(2, 4), (5, 7)]);
    assert!(Segment::merge(&parts) == bytes);
}

#[test]
fn starts_are_read() {
    let start = StartRecord::parse(&frozen("start.json")).unwrap();
    let neo4j = &start.databases["neo4j"];
    let parent = neo4j.parent.unwrap();
    assert_eq!((parent.run.0, parent.id.0, parent.position.offset), (1, 4711, 8192));
    assert_eq!(
        (neo4j.first_id.0, neo4j.side, neo4j.broken.as_deref()),
        (4712, false, Some("an older state was put back"))
    );
    assert!(start.databases["system"].parent.is_none() && start.takeover);
    let again = StartRecord::parse(&start.to_bytes()).unwrap();
    assert_eq!(again, start);
}

#[test]
fn newer_ones_are_refused() {
    let error = Segment::parse_object(&frozen("segment-v2")).unwrap_err();
    assert!(matches!(error, SegmentError::Unknown), "{error}");
    let error = Segment::parse_object(&frozen("merged-v2")).unwrap_err();
    assert!(matches!(error, SegmentError::Unknown), "{error}");
    let error = StartRecord::parse(&frozen("start-v2.json")).unwrap_err();
    assert!(matches!(error, StartError::Newer { found: 2 }), "{error}");
}
