//! Negative controls: an archive with a segment removed, swapped, cut, or forged. Whatever it takes to hide it,
//! a target behind the damage is refused, `window` no longer shows it, and `verify` finds it.

use std::path::Path;

use rand::Rng;
use serde_json::Value;

use super::world::DATABASE;
use super::{World, claim, require};
use crate::archive::{self, ArchiveReader, ArchivedPath};
use crate::damage::{Damage, Injury, inflict};
use crate::error::{Error, Result};
use crate::program::Grap;
use crate::tree;

const KINDS: [&str; 6] = [
    "removed",
    "swapped with another",
    "cut",
    "without an inner transaction",
    "without its first",
    "without its last",
];

pub fn controls(
    world: &World,
    reader: &mut ArchiveReader,
    path: &ArchivedPath,
    base_end: u64,
) -> Result<String> {
    let mut random = rand::rng();
    // Of the run that holds the base's end, so that what is behind stands on the same path.
    let behind: Vec<&String> = path.objects.range(base_end + 1..).map(|(_, object)| object).collect();
    let mut objects: Vec<String> = behind.into_iter().cloned().collect();
    objects.dedup();
    // Neither the first nor the last: something must lie behind.
    let large = |object: &&String| {
        reader.unsealed(object).and_then(|bytes| archive::count(&bytes)).is_ok_and(|count| count > 2)
    };
    let inner = objects.get(1..objects.len().saturating_sub(3)).unwrap_or_default();
    let candidates: Vec<&String> = inner.iter().filter(large).collect();
    for kind in KINDS {
        if candidates.is_empty() {
            return claim("no segment of three transactions to damage");
        }
        let object = candidates[random.random_range(0..candidates.len())];
        let other = objects.iter().rev().find(|other| *other != object).cloned().unwrap_or_default();
        let copy = copy_without_merged(world, "controls")?;
        damage(&copy, object, &other, kind)?;
        refused(world, &copy, path, object, kind)?;
        tree::remove_if_there(&copy.repository)?;
    }
    Ok(format!("a segment {}: refused by restore, window and verify", KINDS.join(", ")))
}

/// Merged objects are a second copy: what damages the archive must not find one.
fn copy_without_merged(world: &World, name: &str) -> Result<Grap> {
    let mut copy = world.grap.clone();
    copy.repository = world.folder.path().join(name);
    tree::remove_if_there(&copy.repository)?;
    tree::copy(&world.grap.repository, &copy.repository)?;
    let log = copy.repository.join("grap/log");
    for file in tree::files(&log)? {
        if file.file_name().is_some_and(|name| name.to_string_lossy().contains('-')) {
            tree::remove_if_there(&log.join(file))?;
        }
    }
    Ok(copy)
}

fn damage(copy: &Grap, object: &str, other: &str, kind: &str) -> Result<()> {
    let injure = |damage| inflict(&copy.repository, &Injury { file: object.into(), damage });
    match kind {
        "removed" => injure(Damage::Delete),
        "swapped with another" => injure(Damage::Swap { other: other.into() }),
        "cut" => {
            let path = copy.repository.join(object);
            let size = std::fs::metadata(&path).map_err(Error::file("stat", &path))?.len();
            injure(Damage::Truncate { length: size * 2 / 3 })
        }
        _ => {
            let forger = ArchiveReader::open(copy)?;
            let segment = forger.unsealed(object)?;
            let first: u64 = Path::new(object)
                .file_name()
                .and_then(|name| name.to_str()?.parse().ok())
                .ok_or_else(|| Error::Claim(format!("{object} is no segment")))?;
            let count = archive::count(&segment)? as u64;
            let dropped = match kind {
                "without its first" => first,
                "without its last" => first + count - 1,
                _ => first + count / 2,
            };
            forger.forge(object, &archive::without(&segment, dropped)?)
        }
    }
}

/// Restore, window and verify of a damaged copy.
fn refused(world: &World, copy: &Grap, path: &ArchivedPath, object: &str, kind: &str) -> Result<()> {
    let held: Vec<u64> =
        path.objects.iter().filter(|(_, found)| *found == object).map(|(id, _)| *id).collect();
    let last = held.last().copied().unwrap_or(0);
    let to = world.folder.path().join("must-not-be");
    for target in [last, last + 1, path.last()] {
        let shown = to.display().to_string();
        let code = copy.failure(&["restore", &format!("tx={target}"), "--to", &shown]);
        let code = code.map_err(|error| Error::Claim(format!("{object} {kind}, tx={target}: {error}")))?;
        let known = ["ARCHIVE_DAMAGED", "TARGET_OUTSIDE_WINDOW"].contains(&code.as_str());
        require(known, || format!("{object} {kind}, tx={target}: {code}"))?;
        require(!to.exists(), || format!("{object} {kind}: something was written"))?;
    }
    let window = copy.json(&["window"])?;
    require(!shows(&window, last), || format!("{object} {kind}: the window shows {last}: {window}"))?;
    let code = copy.failure(&["verify"])?;
    require(code == "BACKUP_CORRUPTED" || code == "ARCHIVE_DAMAGED", || {
        format!("{object} {kind}: verify says {code}")
    })
}

/// Whether a span of any timeline of the database holds the transaction.
fn shows(window: &Value, id: u64) -> bool {
    let all = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let databases = all(&window["sources"]).into_iter().flat_map(|source| all(&source["databases"]));
    let databases = databases.filter(|database| database["name"] == DATABASE);
    let spans = databases
        .flat_map(|database| all(&database["timelines"]))
        .filter(|timeline| timeline["current"] == true)
        .flat_map(|timeline| all(&timeline["spans"]));
    let at = |point: &Value| point["tx_id"].as_u64().unwrap_or(0);
    spans.into_iter().any(|span| (at(&span["first"])..=at(&span["last"])).contains(&id))
}
