//! Sinks that hang, refuse, do not exist, are not executable, die and are mended: real hooks, a real server.

#![expect(clippy::disallowed_methods, reason = "the tests write hooks and read what they wrote")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grap::state::StateDirectory;
use grap_core::AlertLevel::{Critical, Warning};
use grap_task::Clock;
use serde_json::Value;

use super::sink::{Origin, Sink};
use super::{AlertCenter, Tell};

fn origin() -> Origin {
    Origin { host: "host".to_owned(), program: "grap test".to_owned() }
}

fn exec(command: &str) -> Sink {
    Sink::Exec { command: command.to_owned(), origin: origin() }
}

fn webhook(url: &str) -> Sink {
    Sink::Webhook { url: url.to_owned(), origin: origin() }
}

type Lines = Arc<Mutex<Vec<String>>>;

fn log() -> (Tell, Lines) {
    let lines = Lines::default();
    let kept = Arc::clone(&lines);
    (Arc::new(move |_, line: &str| kept.lock().unwrap().push(line.to_owned())), lines)
}

fn open(state: &Path, sinks: Vec<Sink>) -> (AlertCenter, Lines) {
    let (tell, lines) = log();
    let state = StateDirectory::open(state).unwrap();
    (AlertCenter::open(&state, sinks, Clock::System, tell).unwrap(), lines)
}

fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: not within half a minute");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Answers with a status that can be changed; 0: not at all. Keeps what it took.
struct Server {
    url: String,
    status: Arc<AtomicU16>,
    taken: Arc<Mutex<Vec<Value>>>,
}

impl Server {
    fn new(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook?token=secret", listener.local_addr().unwrap());
        let server = Self { url, status: Arc::new(AtomicU16::new(status)), taken: Arc::default() };
        let (status, taken) = (Arc::clone(&server.status), Arc::clone(&server.taken));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (status, taken) = (Arc::clone(&status), Arc::clone(&taken));
                std::thread::spawn(move || answer(stream.unwrap(), &status, &taken));
            }
        });
        server
    }

    fn events(&self) -> Vec<String> {
        let taken = self.taken.lock().unwrap();
        taken
            .iter()
            .map(|event| format!("{} {}", event["event"].as_str().unwrap(), event["key"].as_str().unwrap()))
            .collect()
    }
}

fn answer(mut stream: TcpStream, status: &AtomicU16, taken: &Mutex<Vec<Value>>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    let body = loop {
        let count = stream.read(&mut part).unwrap_or(0);
        request.extend_from_slice(&part[..count]);
        let text = String::from_utf8_lossy(&request).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
            if body.len() >= length.parse().unwrap() {
                assert!(head.starts_with("post /hook") && head.contains("content-type: application/json"));
                break body.to_owned();
            }
        }
        if count == 0 {
            return;
        }
    };
    match status.load(Ordering::SeqCst) {
        0 => std::thread::sleep(Duration::from_secs(5)),
        200 => {
            taken.lock().unwrap().push(serde_json::from_str(&body).unwrap());
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
        other => {
            let answer = format!("HTTP/1.1 {other} No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}

/// What a hook wrote, a line an event.
fn hooked(file: &Path) -> Vec<String> {
    std::fs::read_to_string(file).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// bcgov/backup-container#140: failure notices were never delivered, and nobody knew.
#[test]
fn a_dead_sink_blocks_nobody_is_seen_and_is_told_once_when_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(0);
    let hook = folder.path().join("hook");
    std::fs::write(&hook, "#!/bin/sh\n").unwrap();
    let (center, lines) = open(folder.path(), vec![webhook(&server.url), exec(&hook.display().to_string())]);
    let begun = Instant::now();
    for number in 0..5 {
        center.raise("backup", Critical, &format!("{number} backups in a row have failed"));
    }
    center.raise("lag", Warning, "behind");
    // Each of the two that are events would have waited for as long as a sink may take.
    assert!(begun.elapsed() < 2 * super::webhook::LIMIT, "{:?}", begun.elapsed());
    eventually("both sinks fail", || center.sinks().iter().all(|sink| sink.failing_since.is_some()));
    let sinks = center.sinks();
    assert_eq!(sinks.iter().map(|sink| sink.waiting).collect::<Vec<_>>(), [2, 2], "{sinks:?}");
    assert!(sinks[1].last_error.as_ref().unwrap().contains("126"), "{sinks:?}");
    eventually("the webhook's reason", || {
        center.sinks()[0].last_error.as_ref().unwrap().contains("timed out")
    });
    server.status.store(500, Ordering::SeqCst);
    eventually("the answer is seen", || center.sinks()[0].last_error.as_ref().unwrap().contains("500"));
    let told = lines.lock().unwrap().join("\n");
    assert!(
        told.contains("the alert sink webhook fails") && told.contains("the alert sink exec fails"),
        "{told}"
    );
    assert!(!told.contains("secret"), "{told}");
    // The lag passes: the sinks have never heard of it.
    center.clear("lag");
    assert_eq!(center.sinks().iter().map(|sink| sink.waiting).collect::<Vec<_>>(), [1, 1]);
    // Mended.
    server.status.store(200, Ordering::SeqCst);
    let file = folder.path().join("heard");
    let script =
        format!("#!/bin/sh\necho \"$GRAP_ALERT_EVENT $GRAP_ALERT_KEY $(cat)\" >> {}\n", file.display());
    std::fs::write(&hook, script).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    eventually("both are told", || server.events().len() == 1 && hooked(&file).len() == 1);
    eventually("and are seen to work", || {
        center.sinks().iter().all(|sink| sink.failing_since.is_none() && sink.waiting == 0)
    });
    assert_eq!(server.events(), ["raised backup"]);
    let json: Value = serde_json::from_str(hooked(&file)[0].strip_prefix("raised backup ").unwrap()).unwrap();
    assert_eq!((json["level"].as_str(), json["host"].as_str()), (Some("critical"), Some("host")));
    center.clear("backup");
    eventually("the all-clear", || server.events().len() == 2 && hooked(&file).len() == 2);
    assert_eq!(server.events()[1], "cleared backup");
    assert_eq!(center.alerts(), []);
}

#[test]
fn no_name_no_server_a_hook_that_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let hangs = exec("sleep 60 & sleep 60");
    let (center, _) = open(folder.path(), vec![webhook("http://no-such-host.invalid/"), hangs]);
    center.raise("lag", Warning, "behind");
    eventually("both fail", || center.sinks().iter().all(|sink| sink.last_error.is_some()));
    let sinks = center.sinks();
    assert!(sinks[1].last_error.as_ref().unwrap().contains("killed after"), "{sinks:?}");
    center.replace_sinks(vec![webhook("http://127.0.0.1:1/"), exec("exit 7")]);
    eventually("others fail", || center.sinks().iter().all(|sink| sink.last_error.is_some()));
    let sinks = center.sinks();
    assert!(sinks[1].last_error.as_ref().unwrap().contains('7'), "{sinks:?}");
    assert_eq!(sinks.iter().map(|sink| sink.waiting).collect::<Vec<_>>(), [1, 1]);
}

/// A daemon that is started again forgets nothing and repeats nothing; a sink that is new hears what is open.
#[test]
fn what_waits_survives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::new(200);
    {
        let (center, _) = open(folder.path(), vec![webhook(&server.url), exec("exit 1")]);
        center.raise("space", Warning, "little room");
        eventually("the webhook is told", || center.sinks()[0].waiting == 0);
        eventually("the hook fails", || center.sinks()[1].last_error.is_some());
    }
    server.status.store(500, Ordering::SeqCst);
    {
        let (center, _) = open(folder.path(), vec![webhook(&server.url), exec("exit 1")]);
        assert_eq!(center.alerts().len(), 1);
        assert_eq!(center.sinks().iter().map(|sink| sink.waiting).collect::<Vec<_>>(), [0, 1]);
        center.raise("space", Warning, "little room");
        center.raise("space", Critical, "no room");
        // What is being told is left alone until it is seen to have failed.
        eventually("one waits for each", || center.sinks().iter().all(|sink| sink.waiting == 1));
    }
    let file = folder.path().join("heard");
    let hook = exec(&format!("echo $GRAP_ALERT_EVENT $GRAP_ALERT_LEVEL >> {}", file.display()));
    server.status.store(200, Ordering::SeqCst);
    {
        let (center, _) = open(folder.path(), vec![webhook(&server.url), hook.clone()]);
        eventually("both are told", || center.sinks().iter().all(|sink| sink.waiting == 0));
        assert_eq!(server.events(), ["raised space", "escalated space"]);
        assert_eq!(hooked(&file), ["raised critical"]);
    }
    // Without the webhook for a while; then it is new, and hears what is open.
    let (center, _) = open(folder.path(), vec![hook]);
    center.replace_sinks(vec![webhook(&server.url)]);
    eventually("it is told", || server.events().len() == 3);
    assert_eq!(server.events()[2], "raised space");
}

/// The journal is folded when it is long, and what it comes to stays.
#[test]
fn an_alert_that_comes_and_goes_fills_nothing() {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (center, _) = open(folder.path(), vec![exec("exit 1")]);
    center.raise("lasts", Critical, "it stays");
    for _ in 0..700 {
        center.raise("flaps", Warning, "there");
        center.clear("flaps");
    }
    assert_eq!(center.sinks()[0].waiting, 1);
    drop(center);
    let lines = std::fs::read_to_string(folder.path().join("alerts.journal")).unwrap().lines().count();
    assert!(lines < 1100, "{lines} lines");
    let (center, _) = open(folder.path(), vec![exec("exit 1")]);
    assert_eq!(center.alerts().len(), 1);
    assert_eq!(center.sinks()[0].waiting, 1);
    let lines = std::fs::read_to_string(folder.path().join("alerts.journal")).unwrap().lines().count();
    assert!(lines < 10, "{lines} lines");
}
