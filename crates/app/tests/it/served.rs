//! What `grap serve` has around it: a state directory that is damaged, sinks for its alerts, a second repository, a
//! service manager, a file system that is full, and clients that ask too much or nothing at all. All of them are real.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grap_testkit::{Grap, tree};
use rustix::process::Signal;
use serde_json::Value;

use crate::interrupted::Small;
use crate::serve::{Daemon, named, quiet, status, write_config};
use crate::support::{Ran, Stopped, assert_restored, cheap_repository, eventually};

fn serve(stopped: &Stopped, more: &str) -> Daemon {
    let config = quiet(stopped.folder.path(), more);
    Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")])
}

fn alert(grap: &Grap, key: &str) -> Option<Value> {
    let alerts = status(grap)["alerts"].as_array().unwrap().clone();
    alerts.into_iter().find(|alert| alert["key"] == key)
}

fn archives(grap: &Grap) -> bool {
    named(&status(grap)["jobs"], "archiver")["state"] == "running"
}

/// A bit that turned over, a newer program's file: archiving goes on, and somebody is told what is not known any more.
#[test]
fn journals_that_cannot_be_read_are_set_aside_and_nothing_stops() {
    let stopped = Stopped::new();
    stopped.backup();
    let daemon = serve(&stopped, "");
    stopped.run(&["backup"]).succeeded();
    daemon.end();
    let journals = ["alerts.journal", "operations.journal", "schedule.journal"];
    let path = |name: &str| stopped.path("state").join(name);
    let mut broken = Vec::new();
    for name in journals {
        let mut bytes = fs::read(path(name)).unwrap();
        match name {
            "operations.journal" => bytes[60] ^= 1,
            _ => bytes["grap-journal ".len()] = b'2',
        }
        fs::write(path(name), &bytes).unwrap();
        broken.push(bytes);
    }
    let daemon = serve(&stopped, "");
    eventually("it archives", || archives(&stopped.grap));
    eventually("it is an alert", || alert(&stopped.grap, "journal").is_some());
    let seen = alert(&stopped.grap, "journal").unwrap();
    assert_eq!(seen["level"], "critical");
    let (message, said) = (seen["message"].as_str().unwrap(), daemon.said());
    let names: Vec<String> = fs::read_dir(stopped.path("state"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains(".damaged-"))
        .collect();
    assert_eq!(names.len(), 3, "{names:?}");
    for (name, bytes) in journals.iter().zip(&broken) {
        let aside = names.iter().find(|aside| aside.starts_with(name)).unwrap();
        assert_eq!(&fs::read(path(aside)).unwrap(), bytes);
        assert!(message.contains(aside) && said.contains(aside), "{aside}: {message} {said}");
    }
    assert!(message.contains("pending retries") && message.contains("which alerts were open"), "{message}");
    // The journal of recoveries is set aside only by who has seen to it that nothing is lost: until then it is an alert.
    assert!(alert(&stopped.grap, "journal.recovery").is_none());
    fs::write(path("recovery.journal"), "of somebody else\n").unwrap();
    daemon.signal(Signal::HUP);
    eventually("it is an alert, too", || alert(&stopped.grap, "journal.recovery").is_some());
    let seen = alert(&stopped.grap, "journal.recovery").unwrap();
    assert_eq!(seen["level"], "critical");
    assert!(seen["message"].as_str().unwrap().contains("recovery.journal"), "{seen}");
    fs::remove_file(path("recovery.journal")).unwrap();
    daemon.signal(Signal::HUP);
    eventually("it is over", || alert(&stopped.grap, "journal.recovery").is_none());
    stopped.run(&["backup"]).succeeded();
    assert!(!named(&status(&stopped.grap)["tasks"], "backup")["last_success"].is_null());
    // Somebody has looked at it.
    for name in &names {
        fs::remove_file(path(name)).unwrap();
    }
    daemon.signal(Signal::HUP);
    eventually("it is over", || alert(&stopped.grap, "journal").is_none());
    daemon.end();
}

/// Without a daemon, too: what was tried before is no reason to make no backup.
#[test]
fn a_journal_of_operations_that_cannot_be_read_keeps_no_backup_from_being_made() {
    let stopped = Stopped::new();
    let (first, second) = (stopped.backup(), stopped.backup());
    let journal = stopped.path("state/operations.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[60] ^= 1;
    fs::write(&journal, bytes).unwrap();
    let ran = stopped.try_backup().succeeded();
    assert!(ran.stderr.contains("operations.journal.damaged-"), "{ran:?}");
    let list = stopped.run(&["list"]).succeeded().json()["backups"].to_string();
    assert!(list.contains(&first) && list.contains(&second), "{list}");
    assert!(!stopped.try_backup().succeeded().stderr.contains("damaged"));
}

/// Takes what is posted to it.
fn webhook() -> (String, Arc<Mutex<Vec<Value>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/alerts", listener.local_addr().unwrap());
    let taken = Arc::<Mutex<Vec<Value>>>::default();
    let kept = Arc::clone(&taken);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut reader = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                let header = line.to_lowercase();
                length = header.strip_prefix("content-length:").map_or(length, |n| n.trim().parse().unwrap());
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
            let answer = b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            reader.get_mut().write_all(answer).unwrap();
        }
    });
    (url, taken)
}

#[test]
fn a_hook_and_a_webhook_hear_what_happens_to_a_daemon() {
    let stopped = Stopped::new();
    stopped.backup();
    let (url, taken) = webhook();
    let heard = stopped.path("heard");
    let sinks = format!(
        "[alert]\nexec = 'echo \"$GRAP_ALERT_EVENT $GRAP_ALERT_KEY $GRAP_ALERT_LEVEL\" >> {}'\nwebhook = \"{url}\"\n",
        heard.display()
    );
    let (repository, away) = (stopped.grap.repository.clone(), stopped.path("away"));
    fs::rename(&repository, &away).unwrap();
    let daemon = serve(&stopped, &sinks);
    let hooked = |line: &str| {
        fs::read_to_string(&heard).unwrap_or_default().lines().filter(|said| *said == line).count()
    };
    let posted = |event: &str| {
        let taken = taken.lock().unwrap();
        taken.iter().filter(|post| post["event"] == event && post["key"] == "repository").count()
    };
    eventually("both hear it", || hooked("raised repository critical") == 1 && posted("raised") == 1);
    fs::rename(&away, &repository).unwrap();
    eventually("both hear that it is over", || {
        hooked("cleared repository critical") == 1 && posted("cleared") == 1
    });
    assert!(taken.lock().unwrap().iter().all(|post| post["program"].as_str().unwrap().starts_with("grap ")));
    eventually("nothing waits", || {
        let sinks = status(&stopped.grap)["sinks"].as_array().unwrap().clone();
        sinks.len() == 2 && sinks.iter().all(|sink| sink["waiting"] == 0 && sink["failing_since"].is_null())
    });
    assert!(!daemon.said().contains(&url), "it may hold a secret");
    daemon.end();
    assert_eq!((hooked("raised repository critical"), posted("raised")), (1, 1), "told once");
}

#[test]
fn a_daemon_keeps_a_second_repository_in_step() {
    let stopped = Stopped::new();
    let folder = stopped.path("second");
    fs::create_dir(&folder).unwrap();
    let second = cheap_repository(&folder, "neo4j");
    let id = stopped.backup();
    let config = write_config(
        stopped.folder.path(),
        &format!(
            "[backup]\nschedule = \"off\"\n[expire]\nschedule = \"off\"\n[gc]\nschedule = \"off\"\n[verify]\nschedule = \"off\"\n[copy]\nschedule = \"* * * * *\"\nto = {:?}\npassword_file = {:?}\n",
            second.repository, second.password_file
        ),
    );
    let daemon = Daemon::start(&stopped.grap, &config, &["--data", &stopped.text("data")]);
    let begun = Instant::now();
    let task = || named(&status(&stopped.grap)["tasks"], "copy").clone();
    // By itself: nobody sets a clock, nobody wakes it.
    while task()["last_success"].is_null() {
        assert!(begun.elapsed() < Duration::from_secs(100), "{} {}", task(), daemon.said());
        std::thread::sleep(Duration::from_millis(500));
    }
    daemon.end();
    let there = Ran::grap(&second, &["list"]).succeeded().json();
    assert_eq!(there["backups"][0]["id"], id.as_str(), "{there}");
    Ran::grap(&second, &["restore", "latest", "--to", &stopped.text("to")]).succeeded();
    assert_restored(&stopped.path("data"), &stopped.path("to"));
}

/// A socket that takes what systemd would be told, each datagram as it came.
struct Manager {
    socket: UnixDatagram,
    said: Vec<String>,
}

impl Manager {
    fn new(at: &Path) -> Self {
        let socket = UnixDatagram::bind(at).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        Self { socket, said: Vec::new() }
    }

    /// Wait for a datagram that begins so; the place at which it stands.
    fn hears(&mut self, word: &str) -> usize {
        let begun = Instant::now();
        let from = self.said.len();
        loop {
            let mut datagram = [0; 1024];
            if let Ok(length) = self.socket.recv(&mut datagram) {
                self.said.push(String::from_utf8(datagram[..length].to_vec()).unwrap());
            }
            if let Some(at) = self.said[from..].iter().position(|said| said.starts_with(word)) {
                return from + at;
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "no {word}: {:?}", self.said);
        }
    }
}

#[test]
fn a_service_manager_is_told_of_each_step_of_a_life() {
    let stopped = Stopped::new();
    stopped.backup();
    let place = stopped.path("notify");
    let mut manager = Manager::new(&place);
    let environment =
        [("NOTIFY_SOCKET", place.display().to_string()), ("WATCHDOG_USEC", "400000".to_owned())];
    let environment = environment.map(|(name, value)| (name.to_owned(), value)).to_vec();
    let grap = Grap { environment, ..stopped.grap.clone() };
    let config = quiet(stopped.folder.path(), "");
    let mut daemon = Daemon::start(&grap, &config, &["--data", &stopped.text("data")]);
    assert_eq!(manager.hears("READY=1"), 0, "nothing before it is ready: {:?}", manager.said);
    assert_eq!(manager.said[0].trim_end(), "READY=1");
    // At least twice within the time after which it would be killed; of the pauses the middle one, which a busy machine
    // does not make longer.
    let mut pauses: Vec<Duration> = (0..9)
        .map(|_| {
            let begun = Instant::now();
            manager.hears("WATCHDOG=1");
            begun.elapsed()
        })
        .collect();
    pauses.sort();
    assert!(pauses[4] < Duration::from_millis(300), "{pauses:?}");

    let clock = || {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        now.tv_sec * 1_000_000 + now.tv_nsec / 1000
    };
    let before = clock();
    daemon.signal(Signal::HUP);
    let reloading = manager.hears("RELOADING=1");
    let usec = manager.said[reloading].lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    let usec: i64 = usec.expect("Type=notify-reload wants the instant").parse().unwrap();
    assert!((before..=clock()).contains(&usec), "{usec} is not between {before} and now");
    assert!(manager.hears("READY=1") > reloading);

    daemon.signal(Signal::TERM);
    manager.hears("STOPPING=1");
    assert_eq!(daemon.ends_within(Duration::from_secs(20)), 0, "{}", daemon.said());
    assert!(daemon.said().contains("ended"), "{}", daemon.said());
}

/// The alert about the room does not come a minute after what failed for want of it.
#[test]
fn where_a_backup_finds_no_room_the_alert_is_there_at_once() {
    let stopped = Stopped::new();
    let Some(_small) = Small::mount(&stopped.path("small"), 64) else { return };
    let grap = Grap { repository: stopped.path("small/repository"), ..stopped.grap.clone() };
    tree::copy(&stopped.grap.repository, &grap.repository).unwrap();
    let config = quiet(stopped.folder.path(), "");
    let daemon = Daemon::start(&grap, &config, &["--data", &stopped.text("data")]);
    eventually("the room is seen", || status(&grap)["space"].is_object());
    assert_eq!(alert(&grap, "space"), None);
    let filler = stopped.path("small/filler");
    let _full = fs::write(&filler, vec![1; 64 << 20]);
    Ran::grap(&grap, &["backup"]).refused("BACKUP_NO_SPACE", 5);
    assert!(alert(&grap, "space").is_some(), "{}", daemon.said());
    fs::remove_file(filler).unwrap();
    Ran::grap(&grap, &["backup"]).succeeded();
    daemon.end();
}

/// As many clients as the daemon takes, and one more; none of them says anything.
#[test]
fn clients_that_are_too_many_or_say_nothing_stop_nobody() {
    let stopped = Stopped::new();
    stopped.backup();
    let daemon = serve(&stopped, "");
    let connect = || UnixStream::connect(stopped.path("state/control.sock")).unwrap();
    let silent: Vec<UnixStream> = (0..32).map(|_| connect()).collect();
    let ran = stopped.run(&["backup"]).refused("JOB_RUNNING", 11);
    assert!(ran.said().contains("too many clients"), "{ran:?}");
    assert!(!daemon.said().contains("panicked"));
    // Those that are gone make room. (One that says nothing is let go after half a minute: `recover` waits as long.)
    drop(silent);
    eventually("there is room", || stopped.run(&["backup"]).status == 0);
    assert!(archives(&stopped.grap));
    // One that says nothing does not keep the daemon from ending.
    let _silent = connect();
    // They are taken in the order in which they come.
    status(&stopped.grap);
    daemon.end();
}
