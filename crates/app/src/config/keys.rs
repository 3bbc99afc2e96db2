//! Every setting there is.

/// One setting and the ways to say it.
#[derive(Debug)]
pub(crate) struct Key {
    /// In the configuration file.
    pub(crate) name: &'static str,
    /// On the command line; empty where it cannot be said there.
    pub(crate) flag: &'static str,
    /// In the environment, the first that is set wins.
    pub(crate) variables: &'static [&'static str],
    pub(crate) default: Option<&'static str>,
    pub(crate) secret: bool,
    pub(crate) help: &'static str,
}

const PLAIN: Key = Key { name: "", flag: "", variables: &[], default: None, secret: false, help: "" };

pub(crate) const ALL: &[Key] = &[
    Key {
        name: "repository",
        flag: "--repo",
        variables: &["GRAP_REPO", "GRAP_REPOSITORY", "BACKUP_STORAGE_PATH"],
        help: "directory of the repository, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX",
        ..PLAIN
    },
    Key {
        name: "password_file",
        flag: "--password-file",
        variables: &["GRAP_PASSWORD_FILE"],
        help: "file that holds the repository's password",
        ..PLAIN
    },
    Key {
        name: "password_command",
        flag: "--password-command",
        variables: &["GRAP_PASSWORD_COMMAND"],
        help: "command (for sh) that prints the repository's password",
        ..PLAIN
    },
    Key {
        name: "password",
        variables: &["GRAP_PASSWORD"],
        secret: true,
        help: "the repository's password itself",
        ..PLAIN
    },
    Key {
        name: "source",
        flag: "--source",
        variables: &["GRAP_SOURCE"],
        help: "name of the source",
        ..PLAIN
    },
    Key {
        name: "state_dir",
        flag: "--state-dir",
        variables: &["GRAP_STATE_DIR"],
        help: "directory of Grap's own state",
        ..PLAIN
    },
    Key {
        name: "neo4j.home",
        flag: "--neo4j-home",
        variables: &["GRAP_NEO4J_HOME"],
        help: "home of the Neo4j installation",
        ..PLAIN
    },
    Key {
        name: "neo4j.conf",
        variables: &["GRAP_NEO4J_CONF", "NEO4J_CONF"],
        help: "directory that holds neo4j.conf, where it is not conf/ in the home",
        ..PLAIN
    },
    Key {
        name: "neo4j.data",
        flag: "--data",
        variables: &["GRAP_NEO4J_DATA"],
        help: "data directory (with databases/ in it), in place of a home",
        ..PLAIN
    },
    Key {
        name: "neo4j.transactions",
        flag: "--transactions",
        variables: &["GRAP_NEO4J_TRANSACTIONS"],
        help: "directory of the transaction logs, where it is not transactions/ in the data directory",
        ..PLAIN
    },
    Key {
        name: "neo4j.database",
        flag: "--database",
        variables: &["GRAP_NEO4J_DATABASE"],
        help: "the user database, where a data directory holds several",
        ..PLAIN
    },
    Key {
        name: "backup.read_limit",
        flag: "--read-limit",
        variables: &["GRAP_BACKUP_READ_LIMIT"],
        help: "bytes a second that are read from the database, as 50MiB; no limit by default",
        ..PLAIN
    },
    Key {
        name: "backup.compression",
        variables: &["GRAP_BACKUP_COMPRESSION", "BACKUP_COMPRESSION"],
        default: Some("3"),
        help: "zstd level, 1 to 19",
        ..PLAIN
    },
    Key {
        name: "backup.niceness",
        variables: &["GRAP_BACKUP_NICENESS"],
        default: Some("19"),
        help: "how nice the copying threads are beside a running server, 0 to 19",
        ..PLAIN
    },
    Key {
        name: "archive.interval_ms",
        variables: &["GRAP_ARCHIVE_INTERVAL_MS"],
        help: "under load, a segment of a database at most so often; a lone commit goes at once; by default 250, or 1000 where the repository is in an object storage",
        ..PLAIN
    },
    Key {
        name: "archive.segment_mib",
        variables: &["GRAP_ARCHIVE_SEGMENT_MIB"],
        default: Some("16"),
        help: "MiB of log in one segment, 1 to 256, as long as a transaction is not longer",
        ..PLAIN
    },
    Key {
        name: "archive.lag_max_s",
        variables: &["GRAP_ARCHIVE_LAG_MAX_S"],
        default: Some("60"),
        help: "seconds that the archive may be behind and `grap status` still says PROTECTED, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "alert.exec",
        variables: &["GRAP_ALERT_EXEC"],
        help: "command (for sh) that is run for each alert and its all-clear, with the event as JSON on its standard input",
        ..PLAIN
    },
    Key {
        name: "alert.webhook",
        variables: &["GRAP_ALERT_WEBHOOK"],
        secret: true,
        help: "http or https URL that each alert and its all-clear is posted to, as JSON; it may hold a secret",
        ..PLAIN
    },
    Key {
        name: "copy.to",
        flag: "--to",
        variables: &["GRAP_COPY_TO"],
        help: "the second repository, which `grap copy` keeps in step",
        ..PLAIN
    },
    Key {
        name: "copy.password_file",
        flag: "--to-password-file",
        variables: &["GRAP_COPY_PASSWORD_FILE"],
        help: "file that holds the second repository's password; without any of these three it is the first one's",
        ..PLAIN
    },
    Key {
        name: "copy.password_command",
        flag: "--to-password-command",
        variables: &["GRAP_COPY_PASSWORD_COMMAND"],
        help: "command (for sh) that prints the second repository's password",
        ..PLAIN
    },
    Key {
        name: "copy.password",
        variables: &["GRAP_COPY_PASSWORD"],
        secret: true,
        help: "the second repository's password itself",
        ..PLAIN
    },
    Key {
        name: "gc.unused_percent",
        variables: &["GRAP_GC_UNUSED_PERCENT"],
        default: Some("5"),
        help: "unused room in partly used packs that gc leaves alone, in a hundred of the whole, 0 to 99; less costs more copying",
        ..PLAIN
    },
    Key {
        name: "remote.retry_s",
        variables: &["GRAP_REMOTE_RETRY_S"],
        default: Some("120"),
        help: "seconds that a call to an object storage tries again what may pass, 0 to 86400",
        ..PLAIN
    },
    Key {
        name: "remote.timeout_s",
        variables: &["GRAP_REMOTE_TIMEOUT_S"],
        default: Some("30"),
        help: "seconds that a request to an object storage may take, and one more for each 256 KiB, 1 to 3600",
        ..PLAIN
    },
    Key {
        name: "remote.upload_limit",
        variables: &["GRAP_REMOTE_UPLOAD_LIMIT"],
        help: "bytes a second that are sent to an object storage, as 10MiB; no limit by default",
        ..PLAIN
    },
    Key {
        name: "remote.download_limit",
        variables: &["GRAP_REMOTE_DOWNLOAD_LIMIT"],
        help: "bytes a second that are fetched from an object storage, as 10MiB; no limit by default",
        ..PLAIN
    },
];

/// The key of this name. Names are written in this program only.
pub(crate) fn key(name: &str) -> &'static Key {
    ALL.iter().find(|key| key.name == name).expect("every name used is in the table")
}
