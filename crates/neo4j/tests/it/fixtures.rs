//! Access to `testdata/`: the fixture folders, their files, and what an independent decoder read in them.

#![expect(clippy::disallowed_methods, reason = "the library opens no files; its tests read the fixtures")]

use std::fs;
use std::path::{Path, PathBuf};

use grap_neo4j::StoreId;
use serde_json::Value;

/// Folders with logs in a supported format.
const FOLDERS: [&str; 15] = [
    "neo4j-5.5.0",
    "neo4j-5.13.0",
    "neo4j-5.13.0/system",
    "neo4j-5.20.0",
    "neo4j-5.26.30",
    "neo4j-5.26.30/system",
    "neo4j-2026.02.2",
    "neo4j-2026.08.1",
    "neo4j-2026.08.1/system",
    "neo4j-upgrade-5.13-5.26-2026.08",
    "neo4j-import-migrate/import-5.13.0",
    "neo4j-import-migrate/import-5.26.30",
    "neo4j-import-migrate/import-2026.08.1",
    "neo4j-import-migrate/migrate-5.13.0-to-5.26.30",
    MIGRATED_TO_2026,
];

pub(crate) const MIGRATED_TO_2026: &str = "neo4j-import-migrate/migrate-5.26.30-to-2026.08.1";

pub(crate) fn folders() -> impl Iterator<Item = &'static str> {
    FOLDERS.into_iter()
}

pub(crate) fn bytes(folder: &str, file: &str) -> Vec<u8> {
    let path = root().join(folder).join(file);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The lines of an `expected*.jsonl`, cut into files: its lines, and its summary.
pub(crate) fn expected(folder: &str, list: &str) -> Vec<Expected> {
    let text = String::from_utf8(bytes(folder, list)).unwrap();
    let mut files = Vec::new();
    let mut lines = Vec::new();
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["summary"] == true {
            let name = line["file"].as_str().unwrap().to_owned();
            files.push(Expected { name, lines: std::mem::take(&mut lines), summary: line });
        } else {
            lines.push(line);
        }
    }
    assert!(lines.is_empty(), "{folder}/{list}: lines without a summary");
    files
}

pub(crate) struct Expected {
    pub(crate) name: String,
    pub(crate) lines: Vec<Value>,
    pub(crate) summary: Value,
}

pub(crate) fn store_id(value: &Value) -> StoreId {
    let text = |name: &str| value[name].as_str().unwrap().to_owned();
    let number = |name: &str| value[name].as_i64().unwrap();
    StoreId {
        created_ms: number("created"),
        random: number("random"),
        engine: text("engine"),
        format: text("format"),
        major: i8::try_from(number("major")).unwrap(),
        minor: i8::try_from(number("minor")).unwrap(),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata")
}
