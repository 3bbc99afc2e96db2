//! Ctrl-C, SIGTERM and SIGHUP end the demo with all that it started.
//!
//! The story runs in a thread of its own. On a signal every child process (and theirs) is killed, by its id;
//! the story then meets an error, unwinds, and so removes its folder. Nothing is left behind.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, getpid, kill_process};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

const LOOK_EVERY: Duration = Duration::from_millis(50);
const UNWIND_WITHIN: Duration = Duration::from_secs(20);

/// How the story ended.
pub(crate) enum End<T> {
    Told(T),
    Panicked,
    Interrupted,
}

/// Tell the story, or stop it at a signal.
pub(crate) fn guarded<T: Send + 'static>(
    story: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<End<T>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        flag::register(signal, Arc::clone(&interrupted))?;
    }
    let teller = thread::Builder::new().name("story".to_owned()).spawn(story)?;
    while !teller.is_finished() {
        if interrupted.load(Ordering::Relaxed) {
            let begun = Instant::now();
            while !teller.is_finished() && begun.elapsed() < UNWIND_WITHIN {
                kill_descendants();
                thread::sleep(LOOK_EVERY);
            }
            kill_descendants();
            return Ok(End::Interrupted);
        }
        thread::sleep(LOOK_EVERY);
    }
    Ok(teller.join().map_or(End::Panicked, End::Told))
}

fn kill_descendants() {
    let parents = parents();
    let ours = getpid().as_raw_nonzero().get();
    let is_ours = |process: i32| {
        std::iter::successors(parents.get(&process), |parent| parents.get(parent))
            .any(|parent| *parent == ours)
    };
    for process in parents.keys().copied().filter(|process| is_ours(*process)) {
        if let Some(process) = Pid::from_raw(process) {
            // It may have ended meanwhile.
            let _ = kill_process(process, Signal::KILL);
        }
    }
}

/// Every process of this machine with its parent.
fn parents() -> BTreeMap<i32, i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let process = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
            // Behind the name, which may hold anything: state, parent.
            let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()?;
            Some((process, parent))
        })
        .collect()
}
