//! The whole program on an object storage: S3 as moto plays it, through a network with faults.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use grap_remote::{RemoteOptions, RemoteStore};
use grap_repository::{LocalStore, ObjectStore};
use grap_testkit::judge::check_natively;
use grap_testkit::pitr::World;
use grap_testkit::pitr::world::writers;
use grap_testkit::stores::{Bucket, Fault, LocalS3, Proxy, Request};
use grap_testkit::{Distribution, Grap, Judge, LogKeeper, Server};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

use crate::support::{NOTHING, PROGRAM, Ran, Stopped, contents};

/// Loud, where moto cannot be installed.
pub(crate) fn s3() -> Option<LocalS3> {
    match LocalS3::start() {
        Ok(s3) => Some(s3),
        Err(error @ grap_testkit::Error::Missing { .. }) => {
            println!("SKIPPED: an S3 server (moto) is not here: {error}");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

pub(crate) fn in_bucket(grap: &Grap, bucket: &Bucket, prefix: &str) -> Grap {
    Grap {
        repository: PathBuf::from(format!("{}/{prefix}", bucket.url)),
        environment: bucket.environment.clone(),
        ..grap.clone()
    }
}

pub(crate) fn store(bucket: &Bucket, prefix: &str) -> RemoteStore {
    let options =
        RemoteOptions { variables: bucket.environment.iter().cloned().collect(), ..RemoteOptions::default() };
    RemoteStore::open(&format!("{}/{prefix}", bucket.url), &options).unwrap()
}

/// Byte by byte; every object gets a new date. Locks are of processes, not of repositories.
fn copy_objects(from: &dyn ObjectStore, to: &dyn ObjectStore) -> usize {
    let mut copied = 0;
    for folder in ["data", "grap", "index", "keys", "snapshots"] {
        for info in from.list(folder).unwrap() {
            to.put(&info.name, &[&from.get(&info.name).unwrap()]).unwrap();
            copied += 1;
        }
    }
    to.put("config", &[&from.get("config").unwrap()]).unwrap();
    copied
}

fn restic(bucket: &Bucket, prefix: &str, port: u16, password: &Path, arguments: &[&str]) -> String {
    let name = bucket.url.trim_start_matches("s3://");
    let mut command = Command::new("restic");
    command.args(["--no-cache", "-r", &format!("s3:http://127.0.0.1:{port}/{name}/{prefix}")]);
    command.arg("--password-file").arg(password).args(arguments);
    command.envs(bucket.environment.iter().map(|(name, value)| (name, value)));
    let ran = Ran::command(&mut command);
    assert_eq!(ran.status, 0, "{ran:?}");
    ran.stdout
}

/// One request in eight goes wrong, in ways that pass.
pub(crate) fn bad_network(seed: u64) -> impl Fn(&Request) -> Fault + Send + Sync {
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    move |_| match random.lock().unwrap().random_range(0..300) {
        0..5 => Fault::Answer(503, "SlowDown"),
        5..10 => Fault::AnswerAfter(500, "InternalError"),
        10..15 => Fault::Cut,
        15..20 => Fault::LoseAnswer,
        20..25 => Fault::HalfAnswer,
        25..35 => Fault::Late(150),
        // Until the client gives it up.
        35 => Fault::Hang(2500),
        _ => Fault::None,
    }
}

/// A server under load, whose repository is in a bucket.
pub(crate) fn world(grap: Grap, folder: tempfile::TempDir, distribution: &Distribution) -> World {
    let server = Server::builder(distribution)
        .busy_logs()
        .setting("db.tx_log.rotation.retention_policy", "keep_none")
        .start(&folder.path().join("home"))
        .unwrap();
    let keeper = LogKeeper::start(&server.transaction_logs(), &folder.path().join("kept")).unwrap();
    World { workload: None, server, keeper: Some(keeper), grap, folder }
}

#[test]
fn a_server_under_load_is_kept_in_a_bucket_behind_a_bad_network() {
    let Some(s3) = s3() else { return };
    let proxy = Proxy::start(s3.port()).unwrap();
    let bucket = s3.bucket_through("bucket", proxy.port()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut grap = in_bucket(&Grap::new(Path::new(PROGRAM), folder.path()).unwrap(), &bucket, "graphs/One");
    grap.environment.push(("GRAP_REMOTE_TIMEOUT_S".to_owned(), "2".to_owned()));
    let seed: u64 =
        std::env::var("GRAP_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(rand::random);
    println!("GRAP_SEED={seed}");
    proxy.set(bad_network(seed));
    grap.json(&["init"]).unwrap();

    let distribution = Distribution::standard().unwrap();
    let mut world = world(grap, folder, &distribution);
    world.load(writers()).unwrap();
    let archiver = world.archiver().unwrap();
    world.wait_for(60).unwrap();
    let (base, base_end) = world.backup().unwrap();
    world.wait_for_rotations(2).unwrap();
    world.wait_for(200).unwrap();
    let oracle = world.rest().unwrap();
    let report = archiver.stop().unwrap();
    let (seen, struck) = (proxy.seen(), proxy.struck());
    println!("{seen} requests, {struck} faults: {report}");
    assert!(struck >= 8, "{struck} faults in {seen} requests");
    let log = world.log().unwrap();
    let last = *log.last_key_value().unwrap().0;
    let markers = oracle.markers_in(log.iter().map(|(id, bytes)| (*id, bytes)));
    assert_eq!(oracle.contradictions(&markers), NOTHING);

    let judge = Judge::start(&distribution).unwrap();
    let some = StdRng::seed_from_u64(seed).random_range(base_end..last);
    for id in [base_end, some, last] {
        let (data, _) = world.restore(&[&format!("tx={id}")], &format!("at-{id}")).unwrap();
        judge.verdict(&data, &oracle.expected_at(id, &markers), id).unwrap().assert_clean();
        check_natively(&world.grap, &data).unwrap();
    }
    let (latest, report) = world.restore(&["latest"], "latest").unwrap();
    assert_eq!(grap_testkit::program::tx_id(&report, "neo4j"), Some(last), "{report}");
    judge.verdict(&latest, &oracle.expected_at(last, &markers), last).unwrap().assert_clean();
    world.grap.json(&["verify", "--read-data"]).unwrap();
    println!("{} requests, {} faults", proxy.seen(), proxy.struck());
    proxy.clear();

    restic_agrees(&world, &bucket, s3.port(), &base);
    copies_answer_the_same(&world, &bucket, last);
}

fn restic_agrees(world: &World, bucket: &Bucket, port: u16, base: &str) {
    let restic =
        |arguments: &[&str]| restic(bucket, "graphs/One", port, &world.grap.password_file, arguments);
    assert!(restic(&["check", "--read-data"]).contains("no errors were found"));
    let listed: Value = serde_json::from_str(&restic(&["snapshots", "--json"])).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let by_restic = world.folder.path().join("by-restic");
    restic(&["restore", "latest", "--target", &by_restic.display().to_string()]);
    let (by_grap, _) = world.restore(&[base], "by-grap").unwrap();
    let expected = contents(&by_grap);
    assert!(!expected.is_empty() && contents(&by_restic) == expected);
}

/// The bucket's objects in a directory, and from there under another prefix: the same backups, the same
/// window, the same database.
fn copies_answer_the_same(world: &World, bucket: &Bucket, last: u64) {
    let local = world.folder.path().join("copied");
    let directory = LocalStore::create(&local).unwrap();
    assert!(copy_objects(&store(bucket, "graphs/One"), &directory) > 10);
    copy_objects(&directory, &store(bucket, "other"));
    let original = &world.grap;
    let copies = [Grap { repository: local, ..original.clone() }, in_bucket(original, bucket, "other")];
    let said = |grap: &Grap| (grap.json(&["list"]).unwrap(), grap.json(&["window"]).unwrap());
    let expected = said(original);
    // Restored anew: the judge has opened the others, which changes them.
    let restored = contents(&world.restore(&[&format!("tx={last}")], "again").unwrap().0);
    for (number, copy) in copies.iter().enumerate() {
        assert_eq!(said(copy), expected);
        let to = world.folder.path().join(format!("of-copy-{number}"));
        copy.json(&["restore", &format!("tx={last}"), "--to", &to.display().to_string()]).unwrap();
        assert!(contents(&to) == restored);
    }
}

#[test]
fn what_stands_in_the_way_of_a_repository_in_a_bucket_is_named() {
    let Some(s3) = s3() else { return };
    let bucket = s3.bucket("bucket").unwrap();
    let stopped = Stopped::new();
    let at = |prefix: &str| in_bucket(&stopped.grap, &bucket, prefix);
    let run = |grap: &Grap, arguments: &[&str]| Ran::grap(grap, arguments);

    let none = run(&at("none"), &["list"]).refused("REPOSITORY_NOT_FOUND", 10);
    assert!(none.said().contains("s3://bucket/none"), "{none:?}");
    store(&bucket, "taken").put("photos/cat.jpg", &[b"meow"]).unwrap();
    let taken = run(&at("taken"), &["init"]).refused("TARGET_NOT_EMPTY", 4);
    assert!(taken.said().contains("photos"), "{taken:?}");
    let no_bucket = Bucket { url: "s3://no-such-bucket".to_owned(), ..bucket.clone() };
    let refused = run(&in_bucket(&stopped.grap, &no_bucket, "x"), &["init"]).refused("STORAGE_FAILED", 13);
    assert!(refused.said().contains("NoSuchBucket"), "{refused:?}");
    for url in ["ftp://bucket/x", "s3:///x", "s3://bucket/a//b"] {
        let grap = Grap { repository: PathBuf::from(url), ..at("x") };
        run(&grap, &["list"]).refused("USAGE", 2);
    }
    let mut plain = at("x");
    plain.environment.push(("AWS_ENDPOINT_URL".to_owned(), "http://storage.example.com".to_owned()));
    let plain = run(&plain, &["list"]).refused("USAGE", 2);
    assert!(plain.said().contains("plain text"), "{plain:?}");

    // And where nothing does: made, used, not made again.
    let grap = at("good");
    run(&grap, &["init"]).succeeded();
    run(&grap, &["init"]).refused("REPOSITORY_EXISTS", 10);
    let backup = run(&grap, &["backup", "--data", &stopped.text("data")]).succeeded();
    let id = backup.json()["id"].as_str().unwrap().to_owned();
    run(&grap, &["restore", &id, "--to", &stopped.text("restored")]).succeeded();
    crate::support::assert_restored(&stopped.path("data"), &stopped.path("restored"));
    run(&grap, &["verify", "--read-data"]).succeeded();
}

#[test]
fn rights_room_and_a_dead_storage_are_told_apart() {
    let Some(s3) = s3() else { return };
    let proxy = Proxy::start(s3.port()).unwrap();
    let bucket = s3.bucket_through("bucket", proxy.port()).unwrap();
    let stopped = Stopped::new();
    let mut grap = in_bucket(&stopped.grap, &bucket, "r");
    for (name, value) in [("GRAP_REMOTE_RETRY_S", "2"), ("GRAP_REMOTE_TIMEOUT_S", "1")] {
        grap.environment.push((name.to_owned(), value.to_owned()));
    }
    let run = |arguments: &[&str]| Ran::grap(&grap, arguments);
    let data = stopped.text("data");
    let backup = ["backup", "--data", &data];
    run(&["init"]).succeeded();

    // Whoever may not delete makes backups all the same, and restores them.
    proxy.set(
        |request| if request.method == "DELETE" { Fault::Answer(403, "AccessDenied") } else { Fault::None },
    );
    run(&backup).succeeded();
    run(&backup).succeeded();
    assert!(proxy.struck() >= 2);
    run(&["restore", "latest", "--to", &stopped.text("restored")]).succeeded();
    crate::support::assert_restored(&stopped.path("data"), &stopped.path("restored"));

    let puts = |fault: Fault| {
        move |request: &Request| {
            if request.method == "PUT" && request.target.contains("/data/") { fault } else { Fault::None }
        }
    };
    proxy.set(
        |request| if request.method == "PUT" { Fault::Answer(403, "AccessDenied") } else { Fault::None },
    );
    run(&backup).refused("STORAGE_DENIED", 13);
    proxy.set(puts(Fault::Answer(507, "InsufficientStorage")));
    let full = run(&["init", "--repo", &format!("{}/full", bucket.url)]);
    full.succeeded();
    let other = in_bucket(&grap, &bucket, "full");
    let other = Grap { environment: grap.environment.clone(), ..other };
    Ran::grap(&other, &backup).refused("BACKUP_NO_SPACE", 5);
    proxy.set(|_| Fault::Answer(503, "SlowDown"));
    let dead = run(&["list"]).refused("STORAGE_FAILED", 13);
    assert!(dead.said().contains("gave up after") && dead.said().contains("SlowDown"), "{dead:?}");
    proxy.clear();
    Ran::grap(&other, &backup).succeeded();
    let listed = run(&["list"]).succeeded().json();
    let statuses: Vec<&str> =
        listed["backups"].as_array().unwrap().iter().filter_map(|backup| backup["status"].as_str()).collect();
    assert_eq!(statuses, ["COMPLETE", "COMPLETE", "FAILED", "FAILED"], "{listed}");
}
