//! Sources that cannot be read, or are not understood: refused by name, in `backup` and in `doctor`, and no
//! backup of the other database alone.

use std::fs;
use std::path::Path;

use grap_testkit::fixture::testdata;

use crate::support::{NOTHING, Ran, Stopped, pins};

/// Spoil a stopped installation; the backup is refused with this code and names all of these.
fn refused(code: &str, names: &[&str], spoil: impl FnOnce(&Path)) -> (Stopped, Ran) {
    let stopped = Stopped::new();
    spoil(&stopped.path("data"));
    let ran = stopped.try_backup();
    assert_eq!(ran.code(), code, "{ran:?}");
    for name in names {
        assert!(ran.said().contains(name), "`{name}` is not named: {ran:?}");
    }
    assert_eq!(pins(&stopped.path("data")), NOTHING);
    let list = stopped.run(&["list"]).succeeded().json();
    let rows = list["backups"].as_array().unwrap();
    assert!(rows.iter().all(|row| row["status"] == "FAILED" && row["error"]["code"] == code), "{list}");
    (stopped, ran)
}

fn doctor(stopped: &Stopped, names: &[&str]) {
    let ran = stopped.run(&["doctor", "--data", &stopped.text("data")]);
    assert_eq!((ran.status, ran.code().as_str()), (15, "DOCTOR_FAILED"), "{ran:?}");
    for name in names {
        assert!(ran.said().contains(name), "`{name}` is not named: {ran:?}");
    }
}

#[test]
fn an_empty_log_file_of_the_system_database() {
    let names = ["log file 0 of database `system`", "0 bytes"];
    let (stopped, _) = refused("LOG_DAMAGED", &names, |data| {
        let logs = data.join("transactions/system");
        let newest = grap_testkit::logs::log_files(&logs).unwrap().pop().unwrap();
        for file in grap_testkit::logs::log_files(&logs).unwrap() {
            fs::remove_file(file).unwrap();
        }
        let _ = newest;
        fs::write(logs.join("neostore.transaction.db.0"), b"").unwrap();
        // The checkpoint of the fixture names a later file: this one is the only one, and empty.
        keep_first_checkpoint(&logs);
    });
    doctor(&stopped, &names);
}

/// The first record of the checkpoint file names log file 0.
fn keep_first_checkpoint(logs: &Path) {
    let path = logs.join("checkpoint.0");
    let bytes = fs::read(&path).unwrap();
    let log = grap_neo4j::checkpoint::CheckpointLog::parse(&bytes).unwrap();
    let first =
        log.records.iter().find(|record| record.position.version.0 == 0).expect("the first checkpoint");
    fs::write(&path, &bytes[..usize::try_from(first.end).unwrap()]).unwrap();
}

#[test]
fn store_files_that_are_missing_or_cut() {
    let store = |data: &Path, name: &str| data.join("databases/neo4j").join(name);
    refused("NEO4J_NOT_FOUND", &["neostore.propertystore.db"], |data| {
        fs::remove_file(store(data, "neostore.propertystore.db")).unwrap();
    });
    refused("NEO4J_NOT_FOUND", &["neostore.nodestore.db"], |data| {
        fs::remove_file(store(data, "neostore.nodestore.db")).unwrap();
        fs::create_dir(store(data, "neostore.nodestore.db")).unwrap();
    });
    refused("NEO4J_UNSUPPORTED", &["neostore.vectorstore.db"], |data| {
        fs::write(store(data, "neostore.vectorstore.db"), b"a store of a format to come").unwrap();
    });
    for length in [0, 100] {
        let (stopped, _) = refused("LOG_DAMAGED", &["metadata store of database `neo4j`"], |data| {
            let bytes = fs::read(store(data, "neostore")).unwrap();
            fs::write(store(data, "neostore"), &bytes[..length]).unwrap();
        });
        doctor(&stopped, &["metadata store of database `neo4j`"]);
    }
    refused("NO_CHECKPOINT", &["neo4j"], |data| {
        fs::remove_file(data.join("transactions/neo4j/checkpoint.0")).unwrap();
    });
}

#[test]
fn logs_of_a_format_or_a_kernel_that_is_not_known() {
    for (version, name) in [("v10", "10"), ("v11", "11")] {
        let (stopped, _) = refused("NEO4J_UNSUPPORTED", &["database `neo4j`", name], |data| {
            let head = testdata().join(format!("neo4j-enveloped-2026.08.1/{version}-checkpoint.0.head"));
            fs::copy(head, data.join("transactions/neo4j/checkpoint.0")).unwrap();
        });
        doctor(&stopped, &["NEO4J_UNSUPPORTED"]);
        refused("NEO4J_UNSUPPORTED", &["database `neo4j`", name], |data| {
            let head = format!("neo4j-enveloped-2026.08.1/{version}-neostore.transaction.db.0.head");
            let logs = data.join("transactions/neo4j");
            let newest = grap_testkit::logs::log_files(&logs).unwrap().pop().unwrap();
            fs::copy(testdata().join(head), newest).unwrap();
        });
    }
}

#[test]
fn an_installation_that_is_not_there() {
    let stopped = Stopped::new();
    let empty = stopped.path("empty");
    fs::create_dir(&empty).unwrap();
    for place in [empty.display().to_string(), stopped.text("nowhere")] {
        let ran = stopped.run(&["backup", "--data", &place]).refused("NEO4J_NOT_FOUND", 4);
        assert!(ran.said().contains(&place), "{ran:?}");
    }
    fs::remove_dir_all(stopped.path("data/transactions/system")).unwrap();
    stopped.try_backup().refused("NEO4J_NOT_FOUND", 4);
}
