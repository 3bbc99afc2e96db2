//! `make bench`: Grap beside what people do today, on the same bytes, in one run.
//!
//! Each line is one whole process (or pipeline), timed by `time`: wall seconds, CPU seconds, peak memory of
//! the largest process; and the bytes that it left. The page cache is warm for all. `GRAP_BENCH_STORES`
//! chooses `medium` (1 M nodes + 1 M relationships) and `large` (1 to 2 GB); `GRAP_BENCH_ROUNDS` repeats (the
//! median counts); `GRAP_BINARY` is the program under test. `bench check`: the two checkers alone; `bench drill`: a
//! whole drill by step; `bench promote`: from a recovery's start to the promoted database.

#![expect(clippy::print_stdout, reason = "the table is what this program makes")]

mod promotion;

use std::collections::HashSet;
use std::error::Error;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use grap_testkit::data::{DataOptions, big_store};
use grap_testkit::pitr::load;
use grap_testkit::workload::Indexes;
use grap_testkit::{Distribution, Grap, Server, Workload, WorkloadOptions, tree};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// One timed command.
#[derive(Debug, Clone, Copy, Default)]
struct Cost {
    wall: f64,
    cpu: f64,
    /// MiB.
    memory: f64,
    /// MiB left behind.
    bytes: f64,
}

/// What a table is about.
#[derive(Clone, Copy)]
struct Subject<'a> {
    distribution: &'a Distribution,
    binary: &'a Path,
    name: &'a str,
    options: DataOptions,
    rounds: usize,
}

fn main() -> Result<()> {
    let binary = PathBuf::from(
        std::env::var("GRAP_BINARY").map_err(|_| "GRAP_BINARY: the path of an optimised grap")?,
    );
    let stores = std::env::var("GRAP_BENCH_STORES").unwrap_or_else(|_| "medium,large".to_owned());
    let rounds = std::env::var("GRAP_BENCH_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let distribution = Distribution::standard()?;
    let part = std::env::args().nth(1);
    for store in stores.split(',').filter(|store| *store != "none") {
        let options = if store == "large" { DataOptions::LARGE } else { DataOptions::MEDIUM };
        let subject = Subject { distribution: &distribution, binary: &binary, name: store, options, rounds };
        match part.as_deref() {
            Some("check") => checkers(subject)?,
            Some("drill") => drills(subject)?,
            Some("promote") => promotion::promotions(subject)?,
            Some(other) => return Err(format!("there is no part {other}: check, drill, promote").into()),
            None => {
                stopped_store(subject)?;
                drills(subject)?;
                promotion::promotions(subject)?;
            }
        }
    }
    if part.is_some() { Ok(()) } else { beside_writers(&distribution, &binary) }
}

/// `grap drill`, by step: the run with the median time. The numbers are its own, as in its history.
fn drills(subject: Subject<'_>) -> Result<()> {
    let Subject { distribution, binary, name, options, rounds } = subject;
    let mut place = Place::closed(distribution, binary, options)?;
    let home = place.path("home");
    std::os::unix::fs::symlink(distribution.folder().join("lib"), home.join("lib"))?;
    let java = distribution.java().home.display().to_string();
    place.grap.environment.push(("GRAP_RECOVERY_JAVA_HOME".into(), java));
    place.grap.environment.push(("GRAP_NEO4J_HOME".into(), home.display().to_string()));
    shell(&format!("{} init", words(&place.grap)))?;
    place.grap.json(&["backup"])?;
    let total = |drill: &Value| drill["total_ms"].as_u64().unwrap_or_default();
    let mut drills = (0..rounds.max(1))
        .map(|_| place.grap.json(&["drill"]))
        .collect::<std::result::Result<Vec<_>, _>>()?;
    drills.sort_by_key(total);
    let drill = &drills[drills.len() / 2];
    if drill["outcome"] != "SUCCESS" {
        return Err(format!("the drill did not pass: {drill}").into());
    }
    let size = tree::size(&place.data.join("databases"))? as f64 / MIB;
    println!("\n## a drill of {name}: {size:.0} MiB of stores; load {}\n", load());
    println!("| step | s |\n|---|---|");
    for step in drill["steps"].as_array().into_iter().flatten() {
        let took = step["took_ms"].as_f64().unwrap_or_default() / 1e3;
        println!("| {} | {took:.2} |", step["order"].as_str().unwrap_or_default());
    }
    println!("| all | {:.2} |", total(drill) as f64 / 1e3);
    Ok(())
}

/// `grap check` beside `neo4j-admin database check`, on a store that a server has closed.
fn checkers(subject: Subject<'_>) -> Result<()> {
    let Subject { distribution, binary, name, options, rounds } = subject;
    let place = Place::closed(distribution, binary, options)?;
    let store = place.data.join("databases/neo4j");
    let size = tree::size(&store)? as f64 / MIB;
    println!(
        "\n## {name}: {} nodes, {} relationships, {size:.0} MiB of stores; load {}\n",
        options.nodes,
        options.relationships,
        load()
    );
    println!("| what | wall s | CPU s | peak MiB |\n|---|---|---|---|");
    let line = |what: &str, cost: Cost| {
        println!("| {what} | {:.2} | {:.1} | {:.0} |", cost.wall, cost.cpu, cost.memory);
    };
    let native = median(rounds, || place.native_check())?;
    line("grap check, with the digest", native);
    let official = median(rounds, || place.database_check(distribution))?;
    line("neo4j-admin database check", official);
    println!(
        "\ncheck against database check: {:.1} times faster (asked: 5.0); load {}",
        official.wall / native.wall,
        load()
    );
    Ok(())
}

/// A place for one store's bench.
struct Place {
    folder: tempfile::TempDir,
    data: PathBuf,
    grap: Grap,
}

impl Place {
    /// A copy of a generated store, once opened and closed by a server: `dump` and the checkers want one that is recovered.
    fn closed(distribution: &Distribution, binary: &Path, options: DataOptions) -> Result<Self> {
        let folder = tempfile::tempdir_in(distribution.folder())?;
        let data = folder.path().join("home/data");
        std::fs::create_dir_all(folder.path().join("home"))?;
        tree::copy(&big_store(distribution, options)?, &data)?;
        let grap = Grap::new(binary, folder.path())?;
        let place = Self { folder, data, grap };
        Server::builder(distribution).start(&place.path("home"))?.stop()?;
        Ok(place)
    }

    fn native_check(&self) -> Result<Cost> {
        let store = self.data.join("databases/neo4j");
        measured(self, &format!("{} check {}", words(&self.grap), store.display()), &self.path("none"))
    }

    fn database_check(&self, distribution: &Distribution) -> Result<Cost> {
        // It leaves a report only where it finds something.
        let (admin, report) = (admin_words(distribution, &self.path("home")), self.path("report"));
        let command = format!("{admin} database check neo4j --report-path={}", report.display());
        measured(self, &command, &self.path("none"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An empty place for a command's output.
    fn fresh(&self, name: &str) -> Result<String> {
        let path = self.path(name);
        if path.is_file() {
            std::fs::remove_file(&path)?;
        } else {
            tree::remove_if_there(&path)?;
        }
        Ok(path.display().to_string())
    }
}

#[expect(clippy::too_many_lines, reason = "one table, line by line")]
fn stopped_store(subject: Subject<'_>) -> Result<()> {
    let Subject { distribution, binary, name, options, rounds } = subject;
    let place = Place::closed(distribution, binary, options)?;
    // The bytes that a backup holds: without the preallocated rest of the log.
    let same = place.path("same").display().to_string();
    let grap_words = words(&place.grap);
    let (data, repository) = (place.data.display().to_string(), place.grap.repository.clone());
    shell(&format!(
        "{grap_words} init && {grap_words} backup --data {data} && {grap_words} restore latest --to {same}"
    ))?;
    let size = tree::size(Path::new(&same))? as f64 / MIB;
    println!(
        "\n## {name}: {} nodes, {} relationships, {size:.0} MiB, stopped\n",
        options.nodes, options.relationships
    );
    println!("| what | wall s | MiB/s | CPU s | peak MiB | left MiB |\n|---|---|---|---|---|---|");
    let restic = place.path("restic");
    let restic_env = format!("RESTIC_PASSWORD=x RESTIC_REPOSITORY={}", restic.display());
    let admin = admin_words(distribution, &place.path("home"));
    let line = |what: &str, cost: Cost| {
        println!(
            "| {what} | {:.2} | {:.0} | {:.1} | {:.0} | {:.1} |",
            cost.wall,
            size / cost.wall,
            cost.cpu,
            cost.memory,
            cost.bytes
        );
    };

    // Full backups.
    let full = median(rounds, || {
        tree::remove_if_there(&repository)?;
        shell(&format!("{grap_words} init"))?;
        measured(&place, &format!("{grap_words} backup --data {data}"), &repository)
    })?;
    line("grap backup (first)", full);
    let zstd = median(rounds, || {
        let out = place.fresh("plain.zst")?;
        let files = format!("find {same} -type f -print0 | xargs -0 cat");
        measured(&place, &format!("{files} | zstd -q -3 -T2 -o {out}"), Path::new(&out))
    })?;
    line("zstd -3 -T2 of the same bytes", zstd);
    let tar = median(rounds, || {
        let out = place.fresh("tar.zst")?;
        measured(&place, &format!("tar -C {same} -cf - . | zstd -q -3 -T2 -o {out}"), Path::new(&out))
    })?;
    line("tar, zstd -3 -T2 (server stopped)", tar);
    let dump = median(rounds, || {
        let out = place.fresh("dump")?;
        std::fs::create_dir_all(&out)?;
        measured(&place, &format!("{admin} database dump neo4j --to-path={out}"), Path::new(&out))
    })?;
    line("neo4j-admin dump (server stopped)", dump);
    let check = median(rounds, || place.native_check())?;
    line("grap check, with the digest", check);
    let database_check = median(rounds, || place.database_check(distribution))?;
    line("neo4j-admin database check", database_check);
    let restic_full = median(rounds, || {
        tree::remove_if_there(&restic)?;
        shell(&format!("{restic_env} restic -q init"))?;
        measured(&place, &format!("{restic_env} restic -q backup {same}"), &restic)
    })?;
    line("restic backup (server stopped)", restic_full);

    // One page in a hundred changes.
    let changed = change_pages(&place.data)? as f64 / MIB;
    change_pages(Path::new(&same))?;
    let before = tree::size(&repository)? as f64 / MIB;
    let mut second = measured(&place, &format!("{grap_words} backup --data {data}"), &repository)?;
    second.bytes -= before;
    line(&format!("grap backup (1 % of pages changed, in {changed:.1} MiB of chunks)"), second);
    let before = tree::size(&restic)? as f64 / MIB;
    let mut restic_second = measured(&place, &format!("{restic_env} restic -q backup {same}"), &restic)?;
    restic_second.bytes -= before;
    line("restic backup (the same)", restic_second);
    let unchanged =
        median(rounds, || measured(&place, &format!("{grap_words} backup --data {data}"), &repository))?;
    line("grap backup (nothing changed)", Cost { bytes: 0.0, ..unchanged });

    // Verify and restore.
    let verify = median(rounds, || {
        measured(&place, &format!("{grap_words} verify --read-data"), &place.path("none"))
    })?;
    line("grap verify --read-data", verify);
    let restore = median(rounds, || {
        let out = place.fresh("restored")?;
        measured(&place, &format!("{grap_words} restore latest --to {out}"), Path::new(&out))
    })?;
    line("grap restore", restore);
    let untar = median(rounds, || {
        let out = place.fresh("untarred")?;
        std::fs::create_dir_all(&out)?;
        measured(
            &place,
            &format!("zstd -dc {} | tar -C {out} -xf -", place.path("tar.zst").display()),
            Path::new(&out),
        )
    })?;
    line("zstd -d, tar -x", untar);
    let load = median(rounds, || {
        let from = place.path("dump").display().to_string();
        measured(
            &place,
            &format!("{admin} database load neo4j --from-path={from} --overwrite-destination=true"),
            &place.data,
        )
    })?;
    line("neo4j-admin load", load);
    let restic_restore = median(rounds, || {
        let out = place.fresh("restic-restored")?;
        measured(&place, &format!("{restic_env} restic -q restore latest --target {out}"), Path::new(&out))
    })?;
    line("restic restore", restic_restore);

    println!("\n| goal | asked | measured |\n|---|---|---|");
    let goal = |what: &str, asked: &str, measured: f64| println!("| {what} | {asked} | {measured:.2} |");
    goal("full backup against zstd -3 -T2 of the same bytes", ">= 1.0", zstd.wall / full.wall);
    goal("full backup against dump", ">= 2.0", dump.wall / full.wall);
    goal("bytes added for 1 % of pages, against the changed 64 KiB chunks", "<= 1.1", second.bytes / changed);
    goal("restore against load", ">= 1.5", load.wall / restore.wall);
    goal("check against database check", ">= 5.0", database_check.wall / check.wall);
    goal("size of the first backup against the store", "<= 0.60", full.bytes / size);
    Ok(())
}

const MIB: f64 = 1024.0 * 1024.0;
const PAGE: u64 = 8192;
const CHUNK: u64 = 65536;

/// Overwrite one page in a hundred of the larger store files with random bytes; returns the bytes of the 64
/// KiB chunks that this changed.
fn change_pages(data: &Path) -> Result<u64> {
    let mut random = StdRng::seed_from_u64(1);
    let mut changed = HashSet::new();
    for entry in std::fs::read_dir(data.join("databases/neo4j"))? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let store = name.ends_with("store.db") || name.ends_with(".strings") || name.ends_with(".arrays");
        let pages = std::fs::metadata(&path)?.len() / PAGE;
        if !store || pages < 100 {
            continue;
        }
        let file = std::fs::OpenOptions::new().write(true).open(&path)?;
        for _ in 0..pages / 100 {
            let mut page = vec![0; 8192];
            random.fill(&mut page[..]);
            let offset = random.random_range(0..pages) * PAGE;
            file.write_all_at(&page, offset)?;
            changed.insert((name.clone(), offset / CHUNK));
        }
    }
    Ok(changed.len() as u64 * CHUNK)
}

/// The writers' throughput and latency without a backup, and while backups run one after another.
fn beside_writers(distribution: &Distribution, binary: &Path) -> Result<()> {
    let folder = tempfile::tempdir_in(distribution.folder())?;
    let home = folder.path().join("home");
    std::fs::create_dir_all(&home)?;
    tree::copy(&big_store(distribution, DataOptions::MEDIUM)?, &home.join("data"))?;
    let server = Server::builder(distribution)
        .setting("server.memory.pagecache.size", "1g")
        .heap("1g")
        .start(&home)?;
    let grap = Grap::initialised(binary, folder.path())?;
    let options =
        WorkloadOptions { indexes: Indexes::Trees, operations: Some(5), ..WorkloadOptions::default() };
    let workload = Workload::start(&server, options)?;
    std::thread::sleep(Duration::from_secs(20));
    workload.lap();
    println!("\n## Writers beside a backup (1 M nodes + 1 M relationships, 4 writers)\n");
    println!(
        "| round | tx/s without | tx/s with | lost % | p99 ms without | p99 ms with | backup s |\n|---|---|---|---|---|---|---|"
    );
    for round in 1..=3 {
        std::thread::sleep(Duration::from_secs(20));
        let alone = workload.lap();
        let report = grap.json(&["backup", "--neo4j-home", &home.display().to_string()])?;
        let with = workload.lap();
        let rate = |stats: &grap_testkit::workload::Stats| stats.transactions_per_second();
        println!(
            "| {round} | {:.0} | {:.0} | {:.0} | {:.0} | {:.0} | {:.1} |",
            rate(&alone),
            rate(&with),
            100.0 * (1.0 - rate(&with) / rate(&alone)),
            alone.p99.as_secs_f64() * 1e3,
            with.p99.as_secs_f64() * 1e3,
            report["duration_ms"].as_f64().unwrap_or_default() / 1e3
        );
    }
    workload.stop()?;
    Ok(())
}

fn words(grap: &Grap) -> String {
    let command = grap.command();
    let program = std::iter::once(command.get_program()).chain(command.get_args());
    program.map(|word| format!("'{}'", word.to_string_lossy())).collect::<Vec<_>>().join(" ")
}

fn admin_words(distribution: &Distribution, home: &Path) -> String {
    format!(
        "NEO4J_HOME={home} NEO4J_CONF={home}/conf '{java}' -XX:+UseParallelGC -cp '{lib}/*' org.neo4j.cli.AdminTool",
        home = home.display(),
        java = distribution.java().home.join("bin/java").display(),
        lib = distribution.folder().join("lib").display()
    )
}

fn shell(command: &str) -> Result<()> {
    let output = Command::new("bash").args(["-o", "pipefail", "-c", command]).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said =
        String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    Err(format!("{command}: {}: {said}", output.status).into())
}

fn measured(place: &Place, command: &str, left: &Path) -> Result<Cost> {
    let times = place.path("times");
    let script = place.path("script");
    std::fs::write(&script, command)?;
    shell(&format!(
        "/usr/bin/time -f '%e %U %S %M' -o {} bash -o pipefail {}",
        times.display(),
        script.display()
    ))?;
    let text = std::fs::read_to_string(&times)?;
    let figures: Vec<f64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [wall, user, system, memory] = figures[..] else { return Err(format!("time said: {text}").into()) };
    let left =
        if left.is_dir() { tree::size(left)? } else { std::fs::metadata(left).map_or(0, |file| file.len()) };
    let bytes = left as f64 / MIB;
    Ok(Cost { wall, cpu: user + system, memory: memory / 1024.0, bytes })
}

/// The run with the median wall time.
fn median(rounds: usize, mut run: impl FnMut() -> Result<Cost>) -> Result<Cost> {
    let mut costs = (0..rounds.max(1)).map(|_| run()).collect::<Result<Vec<_>>>()?;
    costs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    Ok(costs[costs.len() / 2])
}
