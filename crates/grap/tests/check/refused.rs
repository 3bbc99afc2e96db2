//! What is no store that may be checked.

use std::fs;

use grap::check::{CheckError, require_clean};
use grap_neo4j::StoreId;
use grap_neo4j::synthetic::{neostore_bytes, store_id};
use grap_testkit::store_fixture;

use crate::check;

#[test]
fn other_formats_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    store_fixture("5.26.30", folder.path()).unwrap();
    let (store, log) = (folder.path().join("databases/neo4j"), folder.path().join("transactions/neo4j"));
    require_clean(&store, &log, "neo4j").unwrap();
    for (engine, format) in [("record", "standard"), ("record", "high_limit"), ("block", "block")] {
        let id = StoreId { engine: engine.to_owned(), format: format.to_owned(), ..store_id(1) };
        fs::write(store.join("neostore"), neostore_bytes(uuid::Uuid::nil(), &id)).unwrap();
        match require_clean(&store, &log, "neo4j") {
            Err(CheckError::Format { format: named, .. }) => assert_eq!(named, format!("{engine}-{format}")),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn files_that_are_missing_are_named() {
    let folder = tempfile::tempdir().unwrap();
    store_fixture("5.26.30", folder.path()).unwrap();
    let (store, log) = (folder.path().join("databases/neo4j"), folder.path().join("transactions/neo4j"));
    fs::remove_file(store.join("neostore.propertystore.db.arrays")).unwrap();
    let missing = check(&store).unwrap_err().to_string();
    assert!(missing.contains("neostore.propertystore.db.arrays is missing"), "{missing}");
    fs::write(store.join("neostore.propertystore.db.arrays"), [0; 8192]).unwrap();
    assert!(matches!(check(&store), Err(CheckError::Header { .. })));
    fs::remove_dir_all(&log).unwrap();
    assert!(matches!(require_clean(&store, &log, "neo4j"), Err(CheckError::NoLog { .. })));
}
