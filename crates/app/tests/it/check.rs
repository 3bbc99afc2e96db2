//! `grap check` as a user meets it: exit status, JSON, what is refused.

use std::path::Path;

use grap_testkit::judge::check_natively;
use grap_testkit::records::{RecordFile, put_u32};
use grap_testkit::{Grap, store_fixture};

#[test]
fn a_stopped_store_is_checked_and_damage_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    store_fixture("rich-5.26.30", &data).unwrap();
    let grap = Grap::new(Path::new(env!("CARGO_BIN_EXE_grap")), folder.path()).unwrap();
    let store = data.join("databases/neo4j");
    let (whole, one) = (data.display().to_string(), store.display().to_string());
    for directory in [&whole, &one] {
        let report = grap.json(&["check", directory]).unwrap();
        assert_eq!(
            (report["ok"].as_bool(), report["databases"][0]["findings"].as_u64()),
            (Some(true), Some(0))
        );
        assert_eq!(report["databases"][0]["digest"], "e4b99a17a1bb57de557e1ff6535aa383");
        assert_eq!(report["databases"][0]["labels"]["Flags"], 1);
        assert_eq!(report["databases"][0]["types"]["T9"], 1);
    }

    RecordFile::relationships(&store).unwrap().change(5, |bytes| put_u32(bytes, 5, 99_999)).unwrap();
    let output = grap.run(&["--json", "check", &whole]).unwrap();
    assert_eq!(output.status.code(), Some(21));
    let report = grap_testkit::program::last_json(&output.stdout).unwrap();
    let kept = report["databases"][0]["kept"].as_array().unwrap();
    let endpoint = |found: &serde_json::Value| found["problem"] == "endpoint" && found["record_id"] == 5;
    assert!(kept.iter().any(endpoint), "{kept:?}");
    assert_eq!(grap.failure(&["check", &whole]).unwrap(), "STORE_DAMAGED");
    // What judges every restored store sees it, too.
    let judged = check_natively(&grap, &data).unwrap_err().to_string();
    assert!(judged.contains("STORE_DAMAGED"), "{judged}");
    let text = String::from_utf8(grap.run(&["check", &one]).unwrap().stdout).unwrap();
    assert!(text.contains("relationship 5: its node 99999 is not in use [endpoint]"), "{text}");
    assert_eq!(grap.failure(&["check", &folder.path().display().to_string()]).unwrap(), "NEO4J_NOT_FOUND");
}
