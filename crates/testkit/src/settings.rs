//! `neo4j.conf` of test servers: small, quick to start, quick to stop, loopback only.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Where the data directory is.
pub(crate) const DATA: &str = "server.directories.data";

/// Rotation at 256 KiB (the smallest that 5.20 and later accept) and a checkpoint at every poll.
pub(crate) const BUSY_LOGS: [(&str, &str); 3] = [
    ("db.tx_log.rotation.size", "256K"),
    ("db.checkpoint.interval.time", "1s"),
    ("db.checkpoint.interval.tx", "100"),
];

const QUICK: [(&str, &str); 10] = [
    ("server.http.enabled", "false"),
    ("server.https.enabled", "false"),
    ("server.memory.pagecache.size", "64m"),
    ("db.tx_log.preallocate", "false"),
    ("db.tx_log.rotation.retention_policy", "keep_all"),
    ("internal.dbms.bolt.netty_server_shutdown_quiet_period", "0"),
    ("internal.dbms.bolt.netty_server_shutdown_timeout", "1"),
    ("internal.server.bolt.thread_pool_shutdown_wait_time", "0s"),
    ("dbms.shutdown_transaction_end_timeout", "0s"),
    ("server.bolt.enabled", "true"),
];

/// The kit's settings for a version, Bolt on a loopback port.
pub(crate) fn defaults(version: &str, port: u16) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> =
        QUICK.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    all.insert("server.bolt.listen_address".into(), format!("127.0.0.1:{port}"));
    if is_recent(version) {
        all.insert("dbms.usage_report.enabled".into(), "false".into());
        all.insert("internal.server.bolt.connection_shutdown_wait_time".into(), "0s".into());
    }
    all
}

/// Writes `conf/neo4j.conf` of a home.
pub(crate) fn write(home: &Path, settings: &BTreeMap<String, String>) -> Result<()> {
    let mut text = String::new();
    for (key, value) in settings {
        let _ = writeln!(text, "{key}={value}");
    }
    let path = home.join("conf/neo4j.conf");
    fs::write(&path, text).map_err(Error::file("write", &path))
}

/// 5.13 refuses settings that 5.20 knows.
fn is_recent(version: &str) -> bool {
    let mut parts = version.split('.').filter_map(|part| part.parse::<u32>().ok());
    let (major, minor) = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    (major, minor) >= (5, 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_servers_are_not_given_settings_that_they_do_not_know() {
        assert!(!defaults("5.13.0", 1).contains_key("dbms.usage_report.enabled"));
        assert!(defaults("5.26.30", 1).contains_key("dbms.usage_report.enabled"));
        assert!(defaults("2026.08.1", 1).contains_key("dbms.usage_report.enabled"));
    }
}
