//! What a repository in an object storage costs against one in a directory: the same store, in pairs, one right
//! after the other. The storage is moto on this machine, which takes a core of its own: read the ratio as an
//! upper bound. `GRAP_BENCH_ROUNDS` pairs (the median counts); `GRAP_BENCH_STORES=large` for 1 to 2 GB;
//! `GRAP_BENCH_STORES=fixture` for the frozen store of a few MB; `GRAP_BINARY` is the program under test.

#![expect(clippy::print_stdout, reason = "the table is what this program makes")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use grap_testkit::data::{DataOptions, big_store};
use grap_testkit::stores::LocalS3;
use grap_testkit::{Distribution, Grap, store_fixture, tree};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What is timed, in this order.
const STEPS: [&str; 3] = ["first backup", "backup of the same again", "restore"];

fn main() -> Result<()> {
    let binary = PathBuf::from(
        std::env::var("GRAP_BINARY").map_err(|_| "GRAP_BINARY: the path of an optimised grap")?,
    );
    let rounds: usize =
        std::env::var("GRAP_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let folder = tempfile::tempdir()?;
    let data = store(folder.path())?;
    let s3 = LocalS3::start()?;
    let mut seconds = [const { [const { Vec::new() }; 3] }; 2];
    let mut size = 0;
    for round in 0..rounds.max(1) {
        let folder = folder.path().join(format!("round-{round}"));
        std::fs::create_dir(&folder)?;
        let local = Grap::new(&binary, &folder)?;
        let bucket = s3.bucket(&format!("round{round}"))?;
        let repository = PathBuf::from(format!("{}/r", bucket.url));
        let state = folder.join("state-of-remote");
        let remote = Grap { repository, environment: bucket.environment, state, ..local.clone() };
        for (place, grap) in [local, remote].iter().enumerate() {
            let to = folder.join(format!("restored-{place}"));
            for (step, took) in one(grap, &data, &to)?.into_iter().enumerate() {
                seconds[place][step].push(took);
            }
            size = tree::size(&to)?;
            tree::remove_if_there(&to)?;
        }
        tree::remove_if_there(&folder)?;
    }
    print(size as f64 / f64::from(1 << 20), rounds, seconds);
    Ok(())
}

fn store(folder: &Path) -> Result<PathBuf> {
    let data = folder.join("data");
    match std::env::var("GRAP_BENCH_STORES").as_deref() {
        Ok("fixture") => fixture(&data)?,
        Ok("large") => tree::copy(&big_store(&Distribution::standard()?, DataOptions::LARGE)?, &data)?,
        _ => tree::copy(&big_store(&Distribution::standard()?, DataOptions::MEDIUM)?, &data)?,
    }
    Ok(data)
}

/// Two frozen stores, of which one plays the database `system`.
fn fixture(data: &Path) -> Result<()> {
    let system = data.with_extension("system");
    store_fixture("5.26.30", data)?;
    store_fixture("5.13.0", &system)?;
    for side in ["databases", "transactions"] {
        std::fs::rename(system.join(side).join("neo4j"), data.join(side).join("system"))?;
    }
    Ok(tree::remove_if_there(&system)?)
}

/// Seconds of each step.
fn one(grap: &Grap, data: &Path, to: &Path) -> Result<[f64; 3]> {
    let (data, to) = (data.display().to_string(), to.display().to_string());
    let timed = |arguments: &[&str]| -> Result<f64> {
        let began = Instant::now();
        grap.json(arguments)?;
        Ok(began.elapsed().as_secs_f64())
    };
    grap.json(&["init"])?;
    let backup = ["backup", "--data", &data, "--database", "neo4j"];
    Ok([timed(&backup)?, timed(&backup)?, timed(&["restore", "latest", "--to", &to])?])
}

fn print(mib: f64, rounds: usize, seconds: [[Vec<f64>; 3]; 2]) {
    println!("\n## {mib:.0} MiB, a directory against S3 (moto) on this machine, {rounds} pairs, medians\n");
    println!("| what | directory s | S3 s | ratio |\n|---|---|---|---|");
    let [local, remote] = seconds.map(|steps| steps.map(median));
    for (step, (local, remote)) in STEPS.iter().zip(local.into_iter().zip(remote)) {
        println!("| {step} | {local:.2} | {remote:.2} | {:.2} |", remote / local);
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
