//! Generated stores.

use grap_testkit::data::{DataOptions, big_store};
use grap_testkit::{Distribution, Judge, tree};

#[test]
fn an_imported_store_opens_with_the_asked_number_of_entities() {
    let distribution = Distribution::standard().unwrap();
    let options = DataOptions { nodes: 2000, relationships: 3000, text: 20 };
    let store = big_store(&distribution, options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("data");
    tree::copy(&store, &copy).unwrap();
    let report = Judge::shared(&distribution).unwrap().survey(&copy).unwrap();
    assert!(report.opened && report.failures.is_empty(), "{report:?}");
    assert_eq!((report.nodes, report.relationships), (2000, 3000));
}
