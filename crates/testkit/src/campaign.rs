//! What every long run is told by its environment.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// A number from the environment; `default` where it is not set.
pub fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The same as seconds.
pub fn seconds(variable: &str, default: usize) -> Duration {
    Duration::from_secs(number(variable, default) as u64)
}

/// When a part is to end early, after the round under way: `GRAP_SOAK_SECONDS` from now.
pub fn deadline() -> Option<Instant> {
    let long = seconds("GRAP_SOAK_SECONDS", 0);
    (!long.is_zero()).then(|| Instant::now() + long)
}

/// The program under test: `GRAP_BINARY`, else the one beside this program.
pub fn binary() -> Result<PathBuf> {
    let named = std::env::var_os("GRAP_BINARY").map(PathBuf::from);
    let beside = || std::env::current_exe().map(|own| own.with_file_name("grap"));
    let path = named.map_or_else(beside, Ok).map_err(Error::file("find", "this program"))?;
    if path.is_file() {
        return Ok(path);
    }
    let try_command = "cargo build --release -p grap-app --bin grap".into();
    Err(Error::Missing { what: format!("{}", path.display()), try_command })
}
