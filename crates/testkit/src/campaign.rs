//! What the long runs are told from outside: numbers, an end, the program under test.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A variable that holds a number.
pub fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A variable that holds seconds.
pub fn seconds(variable: &str, default: usize) -> Duration {
    Duration::from_secs(number(variable, default) as u64)
}

/// `GRAP_SOAK_SECONDS` from now.
pub fn deadline() -> Option<Instant> {
    let seconds = number("GRAP_SOAK_SECONDS", 0);
    (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds as u64))
}

/// `GRAP_BINARY`, else the program beside this one.
pub fn binary() -> Result<PathBuf> {
    let named = std::env::var_os("GRAP_BINARY").map(PathBuf::from);
    let own = || std::env::current_exe().map(|own| own.with_file_name("grap"));
    let path = named.map_or_else(own, Ok).map_err(Error::file("find", "this program"))?;
    if path.is_file() {
        return Ok(path);
    }
    Err(Error::Missing {
        what: format!("the program {}", path.display()),
        try_command: "cargo build --release -p grap-app --bin grap".to_owned(),
    })
}
