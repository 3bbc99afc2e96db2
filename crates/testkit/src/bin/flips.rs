//! Single bits of a stopped store, flipped one after another: what `grap check` sees by structure, what only its digest sees,
//! what `neo4j-admin database check` sees, what nobody sees. `GRAP_FLIPS` (1000) bits of the bytes that are in use;
//! `GRAP_FLIPS_JUDGED` (50) of them are shown to `database check`, too (a JVM each); `GRAP_BINARY` is the program under test.
//!
//! A bit that `database check` sees and `grap check` does not is listed, with its place.

#![expect(clippy::print_stdout, reason = "its table is what it is for")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use grap_testkit::campaign::{binary, deadline, number};
use grap_testkit::damage::{Damage, Injury, inflict};
use grap_testkit::program::last_json;
use grap_testkit::{Distribution, Grap, admin, store_fixture};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Record stores by what is flipped in them; the token stores are a few bytes.
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

/// By store.
#[derive(Default)]
struct Counts {
    flips: u32,
    structure: u32,
    digest_only: u32,
    unseen: u32,
    /// Of those that were shown to `database check`: it saw it; and we did not.
    judged: u32,
    by_check: u32,
    by_check_alone: u32,
}

fn main() -> Outcome {
    let (flips, judged, until) = (number("GRAP_FLIPS", 1000), number("GRAP_FLIPS_JUDGED", 50), deadline());
    let folder = tempfile::tempdir()?;
    store_fixture("rich-5.26.30", folder.path())?;
    let grap = Grap::new(&binary()?, folder.path())?;
    let distribution = if judged > 0 { Some(Distribution::standard()?) } else { None };
    let clean = look(&grap, folder.path())?.ok_or("the store is not clean to begin with")?;
    let mut random = StdRng::seed_from_u64(13);
    let mut table: BTreeMap<&str, Counts> = BTreeMap::new();
    let mut alone = Vec::new();
    for round in 0..flips {
        if until.is_some_and(|until| std::time::Instant::now() > until) {
            println!("ended early, after {round} of {flips}");
            break;
        }
        let store = STORES[round % STORES.len()];
        let injury = draw(folder.path(), store, &mut random)?;
        inflict(folder.path(), &injury)?;
        let seen = table.entry(store).or_default();
        seen.flips += 1;
        let found = match look(&grap, folder.path())? {
            None => &mut seen.structure,
            Some(digest) if digest != clean => &mut seen.digest_only,
            Some(_) => &mut seen.unseen,
        };
        *found += 1;
        let unseen = seen.unseen;
        if let Some(distribution) =
            distribution.as_ref().filter(|_| round % (flips / judged.max(1)).max(1) == 0)
        {
            seen.judged += 1;
            let output = admin::check(distribution, folder.path())?;
            if !output.is_clean() {
                seen.by_check += 1;
                if look(&grap, folder.path())?.is_some_and(|digest| digest == clean) {
                    seen.by_check_alone += 1;
                    alone.push(format!("{injury:?} ({unseen})"));
                }
            }
        }
        // A second flip of the same bit makes it whole.
        inflict(folder.path(), &injury)?;
    }
    print(&table, &alone);
    if look(&grap, folder.path())? == Some(clean) {
        Ok(())
    } else {
        Err("the store is not whole at the end".into())
    }
}

/// A bit within the part of a file that is in use.
fn draw(data: &Path, store: &str, random: &mut impl Rng) -> Outcome<Injury> {
    let file = PathBuf::from(format!("databases/neo4j/neostore.{store}"));
    let bytes = std::fs::read(data.join(&file))?;
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let (offset, bit) = (random.random_range(0..used as u64), random.random_range(0..8));
    Ok(Injury { file, damage: Damage::Flip { offset, bit } })
}

/// The digest of a store in which `grap check` finds nothing.
fn look(grap: &Grap, data: &Path) -> Outcome<Option<String>> {
    let directory = data.join("databases/neo4j").display().to_string();
    let output = grap.run(&["--json", "check", &directory])?;
    match (output.status.code(), last_json(&output.stdout)) {
        (Some(0), Some(report)) => Ok(report["databases"][0]["digest"].as_str().map(str::to_owned)),
        // Findings, or a store that cannot be read at all.
        (Some(21 | 4 | 7), _) => Ok(None),
        other => Err(format!("grap check: {other:?} {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

fn print(table: &BTreeMap<&str, Counts>, alone: &[String]) {
    println!(
        "| store | flips | seen by structure | by the digest only | by neither | shown to database check | seen by it | by it alone |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (store, seen) in table {
        let Counts { flips, structure, digest_only, unseen, judged, by_check, by_check_alone } = seen;
        println!(
            "| {store} | {flips} | {structure} | {digest_only} | {unseen} | {judged} | {by_check} | {by_check_alone} |"
        );
    }
    for place in alone {
        println!("seen by database check alone: {place}");
    }
}
