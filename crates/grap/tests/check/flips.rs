//! Single bits of a stopped store, flipped one after another: what the structure shows, what only the digest shows, what
//! `neo4j-admin database check` shows, what nobody sees. Part of `make soak`. `GRAP_FLIPS` (1000) bits of the bytes that are in
//! use; `GRAP_FLIPS_JUDGED` (50) of them are shown to `database check`, too (a JVM each).

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use grap_testkit::campaign::number;
use grap_testkit::damage::{Damage, Injury, inflict};
use grap_testkit::{Distribution, admin, store_fixture};

use crate::check;

/// What is flipped: every store whose bytes are more than a few.
const STORES: [&str; 9] = [
    "nodestore.db",
    "nodestore.db.labels",
    "relationshipstore.db",
    "relationshipgroupstore.db",
    "propertystore.db",
    "propertystore.db.strings",
    "propertystore.db.arrays",
    "propertystore.db.index.keys",
    "schemastore.db",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    Structure,
    DigestOnly,
    Nothing,
}

/// Of one store.
#[derive(Default)]
struct Counts {
    flips: u32,
    structure: u32,
    digest_only: u32,
    nothing: u32,
    /// Of those that were shown to `database check`: it saw it; it alone did.
    judged: u32,
    by_check: u32,
    by_check_alone: u32,
}

#[test]
#[ignore = "the long campaign; see its head"]
fn flips_are_seen() {
    let (flips, judged) = (number("GRAP_FLIPS", 1000), number("GRAP_FLIPS_JUDGED", 50));
    let folder = tempfile::tempdir().unwrap();
    store_fixture("rich-5.26.30", folder.path()).unwrap();
    let store = folder.path().join("databases/neo4j");
    let distribution = Distribution::standard().unwrap();
    let clean = check(&store).unwrap().digest;
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    for round in 0..flips {
        let name = STORES[round % STORES.len()];
        let injury = draw(folder.path(), name, round);
        inflict(folder.path(), &injury).unwrap();
        let counts = table.entry(name).or_default();
        let sight = look(&store, clean);
        counts.add(sight);
        if judged > 0 && round % (flips / judged).max(1) == 0 {
            let output = admin::check(&distribution, folder.path()).unwrap();
            counts.judged += 1;
            counts.by_check += u32::from(!output.is_clean());
            if !output.is_clean() && sight == Sight::Nothing {
                counts.by_check_alone += 1;
                println!("seen by database check alone: {injury:?}");
            }
        }
        // A second flip of the same bit makes it whole.
        inflict(folder.path(), &injury).unwrap();
    }
    print(&table);
    assert_eq!(look(&store, clean), Sight::Nothing, "the store is whole at the end");
}

impl Counts {
    fn add(&mut self, sight: Sight) {
        self.flips += 1;
        *match sight {
            Sight::Structure => &mut self.structure,
            Sight::DigestOnly => &mut self.digest_only,
            Sight::Nothing => &mut self.nothing,
        } += 1;
    }
}

fn look(store: &Path, clean: u128) -> Sight {
    match check(store) {
        Ok(report) if report.findings.total() == 0 && report.digest == clean => Sight::Nothing,
        Ok(report) if report.findings.total() == 0 => Sight::DigestOnly,
        Ok(_) | Err(_) => Sight::Structure,
    }
}

/// A bit within the part of a file that is in use.
fn draw(data: &Path, store: &str, round: usize) -> Injury {
    let file = PathBuf::from(format!("databases/neo4j/neostore.{store}"));
    let bytes = fs::read(data.join(&file)).unwrap();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1) as u64;
    let random = (round as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let bit = u8::try_from(random >> 61).unwrap();
    Injury { file, damage: Damage::Flip { offset: (random >> 16) % used, bit } }
}

fn print(table: &BTreeMap<&str, Counts>) {
    println!(
        "| store | flips | structure | digest only | nothing | shown to database check | seen by it | by it alone |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (store, counts) in table {
        let Counts { flips, structure, digest_only, nothing, judged, by_check, by_check_alone } = counts;
        println!(
            "| {store} | {flips} | {structure} | {digest_only} | {nothing} | {judged} | {by_check} | {by_check_alone} |"
        );
    }
}
