//! `copy` while the archive grows, killed behind a random number of objects: into a bucket behind a bad network, and
//! into directories. Whatever was killed, what is there can be read, and the next run completes it: the second
//! repository gives the same answers and the same databases as the first.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use grap_remote::{RemoteOptions, RemoteStore};
use grap_repository::object::Retry;
use grap_repository::{InitOptions, KdfCost, Repository};
use grap_task::{Clock, Stop};
use grap_testkit::pitr::World;
use grap_testkit::pitr::world::writers;
use grap_testkit::stores::{Bucket, Proxy};
use grap_testkit::{Distribution, Grap, tree};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::s3::{bad_network, in_bucket, s3, world};
use crate::support::{NOTHING, PROGRAM, Ran, cheap_repository, contents, eventually, password};

/// Kills of copies into a bucket, ...
const KILLS_REMOTE: usize = 4;
/// ... and into a directory.
const KILLS_LOCAL: usize = 5;

/// A repository in the bucket whose password costs nothing to try.
fn cheap_in_bucket(grap: &Grap, bucket: &Bucket, prefix: &str) -> Grap {
    let grap = in_bucket(grap, bucket, prefix);
    let options =
        RemoteOptions { variables: bucket.environment.iter().cloned().collect(), ..RemoteOptions::default() };
    let store = RemoteStore::open(&format!("{}/{prefix}", bucket.url), &options).unwrap();
    let store = Retry::new(store, Duration::from_secs(20), Clock::System, Stop::new());
    let options = InitOptions {
        hostname: "host".into(),
        username: "user".into(),
        created: "2026-11-25T02:00:00Z".parse().unwrap(),
        cost: KdfCost::cheapest(),
    };
    Repository::init(Box::new(store), &password(&grap), &options).unwrap();
    Ran::grap(&grap, &["source", "add", "neo4j"]).succeeded();
    grap
}

/// A copy of the world's repository to `second`, under way.
fn spawn(world: &World, second: &Grap) -> Child {
    let to = second.repository.display().to_string();
    let from = Grap { environment: second.environment.clone(), ..world.grap.clone() };
    from.spawn(&["--json", "copy", "--to", &to]).unwrap()
}

/// Kill it when a part of the objects that it has to bring has come; whether it was at it.
fn kill(mut child: Child, objects: Range<usize>, come: impl Fn() -> usize, random: &mut StdRng) -> bool {
    let until = objects.start + random.random_range(1..=objects.len().max(1));
    eventually("its part of the objects, or its end", || {
        come() >= until || child.try_wait().unwrap().is_some()
    });
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    alive
}

/// Nothing is wrong with what is there, and it is what the first repository has.
fn assert_in_step(world: &World, second: &Grap, what: &str) {
    let ran = Ran::of(&spawn(world, second).wait_with_output().unwrap()).succeeded();
    assert_eq!(ran.json()["ok"], true, "{what}: {ran:?}");
    let said = |grap: &Grap| (grap.json(&["list"]).unwrap(), grap.json(&["window"]).unwrap());
    let ids = |grap: &Grap| {
        let (list, window) = said(grap);
        let rows = list["backups"].as_array().unwrap().iter();
        let rows = rows.filter(|row| row["status"] == "COMPLETE");
        (rows.map(|row| row["id"].to_string()).collect::<Vec<_>>(), window)
    };
    assert_eq!(ids(second), ids(&world.grap), "{what}");
    second.json(&["verify", "--read-data"]).unwrap();
}

/// Both give the same directories.
fn assert_same_databases(world: &World, second: &Grap, targets: &[&str], what: &str) {
    for target in targets {
        let (from_first, _) = world.restore(&[target], "from-first").unwrap();
        let to = world.folder.path().join("from-second");
        tree::remove_if_there(&to).unwrap();
        second.json(&["restore", target, "--to", &to.display().to_string()]).unwrap();
        assert!(contents(&from_first) == contents(&to), "{what}, {target}");
    }
}

/// Whole ones, without the locks.
fn count_objects(repository: &Path) -> usize {
    let objects = tree::files(repository).unwrap().into_iter();
    let is_written = |object: &Path| !object.file_name().unwrap().to_string_lossy().starts_with("tmp-");
    objects.filter(|object| !object.starts_with("locks") && is_written(object)).count()
}

fn folder(world: &World, name: &str) -> PathBuf {
    let folder = world.folder.path().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn copies_that_are_killed_while_the_archive_grows_are_completed_by_the_next() {
    let Some(s3) = s3() else { return };
    let seed: u64 =
        std::env::var("GRAP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("GRAP_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let proxy = Proxy::start(s3.port()).unwrap();
    let bucket = s3.bucket_through("bucket", proxy.port()).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let grap = cheap_repository(scratch.path(), "neo4j");
    let mut remote = cheap_in_bucket(&grap, &bucket, "second/One");
    remote.environment.push(("GRAP_REMOTE_TIMEOUT_S".to_owned(), "2".to_owned()));
    let distribution = Distribution::standard().unwrap();
    let mut world = world(grap, scratch, &distribution);
    assert_eq!(world.grap.binary, Path::new(PROGRAM));
    world.load(writers()).unwrap();
    let archiver = world.archiver().unwrap();
    world.wait_for(60).unwrap();
    let (first, base_end) = world.backup().unwrap();

    // Under load, through a network that fails.
    let come = Arc::new(AtomicUsize::new(0));
    let (faults, counted) = (bad_network(seed), Arc::clone(&come));
    proxy.set(move |request| {
        let brings = request.method == "PUT" && !request.target.contains("/locks/");
        counted.fetch_add(usize::from(brings), Ordering::SeqCst);
        faults(request)
    });
    let come = || come.load(Ordering::SeqCst);
    let mut alive = 0;
    for number in 0..KILLS_REMOTE {
        world.wait_for(20).unwrap();
        if number == KILLS_REMOTE / 2 {
            world.backup().unwrap();
        }
        let here = count_objects(&world.grap.repository);
        let part = come()..come() + here.saturating_sub(come()) / 4;
        alive += usize::from(kill(spawn(&world, &remote), part, come, &mut random));
    }
    // The bucket is as the last one left it.
    remote.json(&["list"]).unwrap();
    world.rest().unwrap();
    let report = archiver.stop().unwrap();
    println!("{alive} of {KILLS_REMOTE} were killed under way; archiver: {report}");
    assert_in_step(&world, &remote, "behind a bad network");
    println!("{} requests, {} faults", proxy.seen(), proxy.struck());
    assert!(alive >= KILLS_REMOTE / 2 && proxy.struck() > 6, "{alive} alive, {} faults", proxy.struck());
    proxy.clear();
    let base = format!("tx={base_end}");
    assert_same_databases(&world, &remote, &["latest", &base, &first], "S3");

    // Into a directory.
    let whole = folder(&world, "whole");
    let whole = cheap_repository(&whole, "neo4j");
    assert_in_step(&world, &whole, "undisturbed");
    let whole = count_objects(&whole.repository);
    let mut alive = 0;
    let second = cheap_repository(&folder(&world, "second"), "neo4j");
    for _ in 0..KILLS_LOCAL {
        let come = || count_objects(&second.repository);
        let there = come();
        // The half of what is left at most: the next one has something to do, too.
        let part = there..there + whole.saturating_sub(there) / 2;
        println!("{there} of {whole} are there");
        alive += usize::from(kill(spawn(&world, &second), part, come, &mut random));
        let problems = Ran::grap(&second, &["verify", "--read-data"]).succeeded().json()["problems"].clone();
        assert_eq!(problems.as_array().map_or(1, Vec::len), NOTHING.len(), "{problems}");
    }
    assert_in_step(&world, &second, "killed");
    assert_same_databases(&world, &second, &["latest", &base], "killed");
    println!("{alive} of {KILLS_LOCAL} were killed under way");
    assert!(alive >= 2, "{alive} of the kills found a copy under way");
}
