//! HTTP of `grap serve`, by curl: what it answers while all is well, while the database hangs, while a recovery runs, and
//! to those who ask badly or say nothing.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use grap::recovery::{Lane, Machine};
use grap::state::StateDirectory;
use grap_core::recovery::{Limits, Plan};
use grap_task::Clock;
use grap_testkit::health::peers::dies_once_at;
use grap_testkit::{Distribution, Grap, Server, prometheus};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::serve::{Daemon, named, quiet, status};
use crate::support::{Ran, Stopped, cheap_repository, eventually};

struct Site {
    port: u16,
}

struct Answer {
    status: u16,
    head: String,
    body: String,
    took: Duration,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }
}

impl Site {
    fn somewhere() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        Self { port: free.local_addr().unwrap().port() }
    }

    fn setting(&self) -> String {
        format!("http.listen = \"127.0.0.1:{}\"\n", self.port)
    }

    fn curl(&self, path: &str, more: &[&str]) -> Answer {
        let begun = Instant::now();
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        let output = Command::new("curl")
            .args(["--silent", "--include", "--max-time", "30", "--noproxy", "*"])
            .args(more)
            .arg(url)
            .output()
            .expect("curl is there: apt-get install -y curl");
        let text = String::from_utf8(output.stdout).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Answer { status, head: head.to_lowercase(), body: body.to_owned(), took: begun.elapsed() }
    }

    fn get(&self, path: &str) -> Answer {
        self.curl(path, &[])
    }

    /// What is answered to these bytes.
    fn said(&self, request: &str) -> String {
        let mut stream = self.silent();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn silent(&self) -> TcpStream {
        TcpStream::connect(("127.0.0.1", self.port)).unwrap()
    }
}

fn beside_stopped(stopped: &Stopped, more: &str) -> Daemon {
    let config = quiet(stopped.folder.path(), more);
    Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")])
}

#[test]
fn who_asks_badly_or_says_nothing_hinders_nobody() {
    let (stopped, site) = (Stopped::new(), Site::somewhere());
    let daemon = beside_stopped(&stopped, &site.setting());
    eventually("it is ready", || site.get("/readyz").status == 200);
    assert_eq!(site.get("/livez").json()["status"], "alive");
    assert_eq!(site.curl("/livez", &["--head"]).status, 200);
    for (path, more, status) in [
        ("/", &[][..], 404),
        ("/health", &[], 404),
        ("/metrics/../../etc/passwd", &["--path-as-is"], 404),
        ("/livez", &["--request", "POST", "--data", "x"], 405),
        ("/health/graph?detailed=perhaps", &[], 400),
        ("/livez", &["--header", &format!("x: {}", "y".repeat(40_000))], 431),
    ] {
        let answer = site.curl(path, more);
        assert_eq!(answer.status, status, "{path} {}", answer.head);
    }
    // Under the name of a page whose name leads to us (DNS rebinding); and under ours.
    for (host, status) in [
        ("evil.example", 421),
        ("evil.example:80", 421),
        ("localhost", 200),
        ("[::1]:9479", 200),
        ("127.0.0.1", 200),
    ] {
        let answer = site.said(&format!("GET /livez HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
        assert_eq!(answer.contains("\"reason\":\"other_host\""), status == 421, "{answer}");
    }
    // No way to log on is set: that is nothing that the database did.
    let answer = site.get("/health/graph");
    assert_eq!(answer.status, 500, "{}", answer.body);
    assert_eq!(answer.json()["error"]["code"], "USAGE", "{}", answer.body);
    eventually("the figures say so", || site.get("/metrics").body.contains("\ngrap_health_failed 1\n"));

    // As many as there may be, and more: those who ask wait no longer than the silent are borne with.
    let one = site.silent();
    assert!(site.get("/livez").took < Duration::from_secs(2));
    let mut silent: Vec<TcpStream> = (0..100).map(|_| site.silent()).collect();
    let answer = site.get("/livez");
    assert_eq!(answer.status, 200);
    assert!(answer.took < Duration::from_secs(13), "{:?}", answer.took);
    println!("behind 100 silent clients: answered after {:?}", answer.took);
    // Half a request, drop by drop, is silence, too.
    silent.clear();
    let mut slow = site.silent();
    let begun = Instant::now();
    let ended = loop {
        std::thread::sleep(Duration::from_millis(300));
        if slow.write_all(b"x").is_err() || begun.elapsed() > Duration::from_secs(20) {
            break begun.elapsed();
        }
    };
    assert!(ended < Duration::from_secs(10), "{ended:?}");

    // Its end waits for none of them.
    let _more: Vec<TcpStream> = (0..10).map(|_| site.silent()).collect();
    let begun = Instant::now();
    daemon.end();
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
    drop(one);
}

#[test]
fn an_address_is_moved_and_one_in_use_is_told() {
    let (stopped, site, other) = (Stopped::new(), Site::somewhere(), Site::somewhere());
    let taken = TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let daemon = beside_stopped(&stopped, &site.setting());
    eventually("it is told", || daemon.said().contains("cannot listen on 127.0.0.1:"));
    let job = |name: &str| named(&status(&stopped.grap)["jobs"], name)["state"].clone();
    eventually("the rest runs", || job("archiver") == "running");
    assert_eq!(job("canary"), "off");
    drop(taken);
    eventually("it is tried again", || site.get("/livez").status == 200);
    // What is archived does not notice a move.
    quiet(stopped.folder.path(), &other.setting());
    daemon.signal(Signal::HUP);
    eventually("it has moved", || other.get("/livez").status == 200 && site.get("/livez").status == 0);
    assert_eq!(named(&status(&stopped.grap)["jobs"], "archiver")["restarts"], 0);
    quiet(stopped.folder.path(), "http.listen = \"0.0.0.0:1\"");
    daemon.signal(Signal::HUP);
    eventually("it is refused", || daemon.said().contains("http.beyond_loopback"));
    assert_eq!(other.get("/livez").status, 200);
    quiet(stopped.folder.path(), "");
    daemon.signal(Signal::HUP);
    eventually("it is off", || other.get("/livez").status == 0 && job("http") == "off");
    daemon.end();
}

struct World {
    folder: tempfile::TempDir,
    server: Server,
    site: Site,
    daemon: Daemon,
}

impl World {
    /// A server whose log is archived, and canaries every 10 seconds.
    fn start() -> (Self, Grap) {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let server = Server::builder(&Distribution::standard().unwrap()).password("right-password");
        let server = server.start(&home).unwrap();
        let site = Site::somewhere();
        let grap = cheap_repository(folder.path(), "neo4j");
        let more = format!(
            "{}archive.lag_max_s = 5\nhealth.canary = \"10s\"\nneo4j.uri = \"{}\"\nneo4j.auth = \"neo4j/right-password\"\n",
            site.setting(),
            server.bolt_uri()
        );
        let config = quiet(folder.path(), &more);
        let daemon = Daemon::start(&grap, &config, &["--neo4j-home", home.to_str().unwrap()]);
        (Self { folder, server, site, daemon }, grap)
    }

    fn canary_by_hand(&self, grap: &Grap, uri: &str) -> Ran {
        let mut command = grap.command();
        command.env("NEO4J_URI", uri).env("NEO4J_AUTH", "neo4j/right-password");
        command.env("GRAP_NEO4J_HOME", self.folder.path().join("home"));
        Ran::command(command.args(["--json", "health", "--canary"]))
    }

    fn canaries(&self) -> i64 {
        self.server.query("MATCH (n:GrapCanary) RETURN count(n)").unwrap()[0].int(0).unwrap()
    }
}

#[test]
fn the_health_of_a_real_server_over_http() {
    let (world, grap) = World::start();
    world.server.query("UNWIND range(1, 50) AS i CREATE (:A {x: i})-[:T]->(:B {y: i})").unwrap();
    a_canary_comes_back_through_the_archive(&world, &grap);
    a_canary_whose_connection_dies_is_removed_over_another(&world, &grap);
    a_healthy_database_is_healthy(&world);
    many_who_ask_at_once_are_told_the_same(&world);
    the_figures_are_read_by_prometheus(&world);
    a_recovery_is_told_while_it_runs(&world, &grap.state);
    while_nothing_is_archived_nothing_is_healthy(&world, &grap);
    a_hung_server_is_told_and_holds_up_nobody_else(&world);
    world.daemon.end();
}

fn a_canary_comes_back_through_the_archive(world: &World, grap: &Grap) {
    let canary = || world.site.get("/health/graph").json()["checks"]["canary"].clone();
    eventually("a canary has come back", || canary()["status"] == "pass");
    let message = canary()["message"].as_str().unwrap().to_owned();
    println!("canary: {message}");
    assert!(message.contains("in the archive after"), "{message}");
    // By hand, too; and what a run left that died.
    let old = "CREATE (:GrapCanary {nonce: 'old', at_ms: 1})-[:GRAP_CANARY]->(:GrapCanary {nonce: 'old', at_ms: 1})";
    world.server.query(old).unwrap();
    let ran = world.canary_by_hand(grap, &world.server.bolt_uri()).succeeded();
    assert_eq!(ran.json()["checks"]["canary"]["status"], "pass", "{ran:?}");
    eventually("nothing is left of them", || world.canaries() == 0);
}

/// It is gone when what was written is asked for.
fn a_canary_whose_connection_dies_is_removed_over_another(world: &World, grap: &Grap) {
    let peer = dies_once_at(b"MATCH (:GrapCanary", world.server.bolt_address()).unwrap();
    let ran = world.canary_by_hand(grap, &format!("bolt://{peer}")).refused("UNHEALTHY", 25);
    let said = ran.json()["checks"]["canary"]["message"].as_str().unwrap_or_default().to_owned();
    assert!(said.contains("it cannot be read back") && !said.contains("not removed"), "{ran:?}");
    eventually("nothing is left of it", || world.canaries() == 0);
}

fn a_healthy_database_is_healthy(world: &World) {
    let answer = world.site.get("/health/graph");
    let report = answer.json();
    assert_eq!((answer.status, &report["status"]), (200, &"healthy".into()), "{report}");
    assert!(
        answer.head.contains("content-type: application/json") && answer.head.contains("connection: close")
    );
    for check in ["connectivity", "schema_consistency", "orphan_detection", "canary"] {
        assert_eq!(report["checks"][check]["status"], "pass", "{report}");
    }
    assert!(report["counts"].is_null());
    let detailed = world.site.get("/health/graph?detailed=true").json();
    assert!(detailed["counts"]["nodes"].as_i64() >= Some(100), "{detailed}");
    assert_eq!(detailed["counts"]["labels"]["A"], 50);
    assert!(world.site.get("/health/graph").json()["counts"].is_null());
}

fn many_who_ask_at_once_are_told_the_same(world: &World) {
    // Until what is known counts no more.
    std::thread::sleep(Duration::from_secs(6));
    let ask = || world.site.get("/health/graph").json()["timestamp"].clone();
    let told: Vec<Value> = std::thread::scope(|scope| {
        let askers: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        askers.into_iter().map(|asker| asker.join().unwrap()).collect()
    });
    assert!(told.iter().all(|one| one.is_string() && *one == told[0]), "{told:?}");
}

fn the_figures_are_read_by_prometheus(world: &World) {
    let answer = world.site.get("/metrics");
    assert!(answer.head.contains("content-type: text/plain; version=0.0.4"), "{}", answer.head);
    assert!(answer.took < Duration::from_secs(2), "{:?}", answer.took);
    let families = prometheus::parse(&answer.body).unwrap();
    let figure = |name: &str, label: &str| families.get(name).and_then(|family| family.get(label)).copied();
    assert_eq!(figure("neo4j_health_status", ""), Some(1.0), "{families:?}");
    assert_eq!(figure("neo4j_health_check_status", "canary"), Some(1.0));
    assert_eq!(figure("grap_health_failed", ""), Some(0.0));
    assert_eq!(figure("grap_canary_status", ""), Some(1.0));
    assert_eq!(figure("grap_job_running", "archiver"), Some(1.0));
    assert_eq!(figure("grap_archive_follows", "neo4j"), Some(1.0));
    assert!(figure("grap_rpo_seconds", "neo4j").is_some_and(|seconds| seconds < 60.0), "{families:?}");
    assert!(figure("grap_job_restarts", "archiver").is_some(), "{families:?}");
    println!("{} families, {} bytes, read by prometheus_client", families.len(), answer.body.len());
}

/// Somebody is at it: we hold its lock.
fn a_recovery_is_told_while_it_runs(world: &World, state: &Path) {
    let state = StateDirectory::open(state).unwrap();
    let machine = Machine::open(&state, Lane::Recovery, &Clock::System).unwrap();
    let id = machine.next_id(Clock::System.now());
    let plan = Plan {
        repository: None,
        target: "latest".to_owned(),
        source: "neo4j".parse().unwrap(),
        backup: "neo4j-20261126-010000".parse().unwrap(),
        timeline: None,
        ends: Vec::new(),
        candidate: world.folder.path().join(id.as_str()).display().to_string(),
        bytes: 1,
        limits: Limits::default(),
        undoes: None,
    };
    let machine = machine.begin(id.clone(), plan, &Clock::System).unwrap();
    let answer = world.site.get("/health/graph");
    let told = answer.json();
    assert_eq!((answer.status, &told["reason"]), (503, &"database_recovery_in_progress".into()), "{told}");
    assert_eq!(told["message"], "Database is recovering; please retry in 10 seconds");
    assert!(answer.head.contains("retry-after: 10"), "{}", answer.head);
    let recovery = &told["recovery"];
    assert_eq!((&recovery["id"], &recovery["status"]), (&id.as_str().into(), &"RECOVERING".into()), "{told}");
    assert_eq!(recovery["progress_percent"], 0);
    assert!(world.site.get("/metrics").body.contains("\ngrap_recovery_in_progress 1\n"));
    // A process that is gone has not touched the database.
    drop(machine);
    assert_eq!(world.site.get("/health/graph").status, 200);
}

/// The database is well, and what is written to it would be lost.
fn while_nothing_is_archived_nothing_is_healthy(world: &World, grap: &Grap) {
    let away = grap.repository.with_extension("away");
    std::fs::rename(&grap.repository, &away).unwrap();
    let begun = Instant::now();
    eventually("it is not healthy", || world.site.get("/health/graph").status == 503);
    println!("nothing is archived: 503 after {:?}", begun.elapsed());
    let told = world.site.get("/health/graph").json();
    assert_eq!(told["checks"]["connectivity"]["status"], "pass", "{told}");
    assert_eq!(told["checks"]["canary"]["status"], "fail", "{told}");
    // Nor later, as long as that lasts.
    for _ in 0..20 {
        let answer = world.site.get("/health/graph");
        assert_eq!(answer.status, 503, "{}", answer.body);
        std::thread::sleep(Duration::from_millis(500));
    }
    std::fs::rename(&away, &grap.repository).unwrap();
    eventually("it is healthy again", || world.site.get("/health/graph").status == 200);
}

fn a_hung_server_is_told_and_holds_up_nobody_else(world: &World) {
    let pid = Pid::from_raw(i32::try_from(world.server.pid().unwrap()).unwrap()).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    let (hung, others) = std::thread::scope(|scope| {
        let hung = scope.spawn(|| {
            let begun = Instant::now();
            loop {
                let answer = world.site.get("/health/graph");
                // What it said a moment ago counts still.
                if answer.status != 200 || begun.elapsed() > Duration::from_secs(30) {
                    break (answer, begun.elapsed());
                }
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let mut others = Vec::new();
        while !hung.is_finished() {
            others.extend(["/livez", "/readyz", "/metrics"].map(|path| world.site.get(path).took));
            std::thread::sleep(Duration::from_millis(100));
        }
        (hung.join().unwrap(), others)
    });
    kill_process(pid, Signal::CONT).unwrap();
    let (answer, took) = hung;
    let slowest = others.iter().max().unwrap();
    println!("hung server: 503 after {took:?}; {} other answers, the slowest {slowest:?}", others.len());
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.json()["checks"]["connectivity"]["status"], "fail", "{}", answer.body);
    assert!(took < Duration::from_secs(20) && *slowest < Duration::from_secs(3), "{took:?} {slowest:?}");
    eventually("it is healthy again", || world.site.get("/health/graph").status == 200);
}

/// A client that goes away in the middle takes nothing with it.
#[test]
fn a_client_that_reads_nothing_holds_up_nobody() {
    let (stopped, site) = (Stopped::new(), Site::somewhere());
    let daemon = beside_stopped(&stopped, &site.setting());
    eventually("it listens", || site.get("/livez").status == 200);
    let mut deaf: Vec<TcpStream> = (0..30).map(|_| site.silent()).collect();
    for client in &mut deaf {
        client.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    }
    let answer = site.get("/metrics");
    assert!(answer.status == 200 && answer.took < Duration::from_secs(3), "{:?}", answer.took);
    let mut said = String::new();
    deaf[0].read_to_string(&mut said).unwrap();
    assert!(said.starts_with("HTTP/1.1 200 OK") && said.contains("grap_build_info"), "{said}");
    daemon.end();
}
