//! A wall clock that can be set while a server, the daemon and every command run: retention counts days, and nobody
//! waits for them.
//!
//! A library that the programs are started with (`LD_PRELOAD`) adds what stands in a file to the answers of
//! `clock_gettime`, `gettimeofday` and `time`. The kernel's own times (of files) and the monotonic clock go on as they are,
//! as they do when an operator sets the clock. It is made by `cc`, which every build of this project needs.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::error::{Error, Result};

const LIBRARY: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static volatile const long *ahead;
__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("SET_CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *map = mmap(0, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (map != MAP_FAILED) ahead = map;
}
int clock_gettime(clockid_t clock, struct timespec *at) {
    int failed = syscall(SYS_clock_gettime, clock, at);
    if (!failed && ahead && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += *ahead;
    return failed;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *to) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (to) *to = now.tv_sec;
    return now.tv_sec;
}
"#;

/// How far ahead of this machine's clock the programs are.
#[derive(Debug)]
pub struct SetClock {
    library: PathBuf,
    place: PathBuf,
    file: File,
    ahead: Duration,
}

impl SetClock {
    /// Its files go into this folder.
    pub fn make(folder: &Path) -> Result<Self> {
        let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
        fs::write(&source, LIBRARY).map_err(Error::file("write", &source))?;
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O2", "-o"]).arg(&library).arg(&source);
        let output = cc.output().map_err(Error::file("run", "cc"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::Process {
                program: "cc".into(),
                outcome: output.status.to_string(),
                output: said,
            });
        }
        let place = folder.join("clock");
        let file = File::create(&place).map_err(Error::file("create", &place))?;
        let mut clock = Self { library, place, file, ahead: Duration::ZERO };
        clock.jump(Duration::ZERO)?;
        Ok(clock)
    }

    /// What a program has to be started with.
    pub fn environment(&self) -> Vec<(String, String)> {
        let library = self.library.display().to_string();
        vec![("LD_PRELOAD".into(), library), ("SET_CLOCK_FILE".into(), self.place.display().to_string())]
    }

    /// From now on it is so much later, for all of them.
    pub fn jump(&mut self, by: Duration) -> Result<()> {
        self.ahead += by;
        let seconds = i64::try_from(self.ahead.as_secs()).unwrap_or(i64::MAX);
        self.file.write_all_at(&seconds.to_ne_bytes(), 0).map_err(Error::file("write", &self.place))
    }

    pub fn ahead(&self) -> Duration {
        self.ahead
    }
}
