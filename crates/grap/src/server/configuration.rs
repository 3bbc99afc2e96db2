//! The settings of an instance: what its store needs, and nothing that reaches out or lets anyone in.
//!
//! Of the live configuration only [`INHERITED`] goes along: what changes how stored data are read or a statement is
//! understood. Everything else, directories, ports, plugins, certificates, is the live server's own. No plugin is
//! loaded: the data of Community need none, and a plugin may do at its start what it likes.
//!
//! Strict validation is off, because releases know different settings: what one does not know it leaves aside. So what
//! keeps others out must not rest on a setting that a release lacks; the tests try each way in.

use std::fmt::Write as _;
use std::path::Path;

use super::Mode;
use crate::live::Configuration;

const INHERITED: [&str; 5] = [
    "db.format",
    "db.index.fulltext.default_analyzer",
    "db.query.default_language",
    "db.temporal.timezone",
    "dbms.cypher.lenient_create_relationship",
];

/// The same for every instance.
const FIXED: [(&str, &str); 18] = [
    ("server.config.strict_validation.enabled", "false"),
    // No way out.
    ("dbms.usage_report.enabled", "false"),
    ("dbms.security.allow_csv_import_from_file_urls", "false"),
    ("internal.dbms.cypher_ip_blocklist", "0.0.0.0/0,::/0"),
    // No way in but one port of Bolt with a password.
    ("dbms.security.auth_enabled", "true"),
    ("server.http.enabled", "false"),
    ("server.https.enabled", "false"),
    ("server.bolt.enabled", "true"),
    ("server.bolt.tls_level", "DISABLED"),
    ("server.metrics.enabled", "false"),
    // Its log is not to fill the disk, and nothing of it is to go before it was looked at.
    ("db.tx_log.preallocate", "false"),
    ("db.tx_log.rotation.retention_policy", "keep_all"),
    // Else a stop is ten seconds of waiting for connections that are ours.
    ("dbms.shutdown_transaction_end_timeout", "0s"),
    ("internal.dbms.bolt.netty_server_shutdown_quiet_period", "0"),
    ("internal.dbms.bolt.netty_server_shutdown_timeout", "1"),
    ("internal.server.bolt.thread_pool_shutdown_wait_time", "0s"),
    ("internal.server.bolt.connection_shutdown_wait_time", "0s"),
    // A database that lacks a file is refused, never begun anew.
    ("db.recovery.fail_on_missing_files", "true"),
];

/// What differs from one start to the next.
pub(super) struct Chosen<'a> {
    pub(super) data: &'a Path,
    pub(super) database: &'a str,
    pub(super) page_cache: &'a str,
    pub(super) port: u16,
    pub(super) mode: Mode,
}

/// The text of its `neo4j.conf`.
pub(super) fn configuration(live: &Configuration, chosen: &Chosen<'_>) -> String {
    let mut text = String::from("# Made by grap for one start of a test instance.\n");
    let mut line = |key: &str, value: &str| {
        // A backslash begins an escape in such a file.
        let _ = writeln!(text, "{key}={}", value.replace('\\', "\\\\"));
    };
    for key in INHERITED {
        if let Some(value) = live.get(key) {
            line(key, value);
        }
    }
    for (key, value) in FIXED {
        line(key, value);
    }
    let address = format!("127.0.0.1:{}", chosen.port);
    line("server.default_listen_address", "127.0.0.1");
    line("server.bolt.listen_address", &address);
    line("server.bolt.advertised_address", &address);
    line("server.directories.data", &chosen.data.display().to_string());
    line("initial.dbms.default_database", chosen.database);
    line("server.memory.pagecache.size", chosen.page_cache);
    line(
        "server.databases.default_to_read_only",
        if chosen.mode == Mode::ReadOnly { "true" } else { "false" },
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_store_needs_is_inherited() {
        let live = "db.format=standard\nserver.http.enabled=true\nserver.bolt.listen_address=0.0.0.0:7687\n\
                    server.directories.plugins=/p\ndbms.security.auth_enabled=false\n";
        let chosen = Chosen {
            data: Path::new("/s/data"),
            database: "graph",
            page_cache: "64m",
            port: 40_001,
            mode: Mode::ReadOnly,
        };
        let made = Configuration::parse(&configuration(&Configuration::parse(live), &chosen));
        let is = |key: &str, value: &str| assert_eq!(made.get(key), Some(value), "{key}");
        is("db.format", "standard");
        is("server.http.enabled", "false");
        is("server.bolt.listen_address", "127.0.0.1:40001");
        is("dbms.security.auth_enabled", "true");
        is("initial.dbms.default_database", "graph");
        is("server.databases.default_to_read_only", "true");
        assert_eq!(made.get("server.directories.plugins"), None);
    }
}
