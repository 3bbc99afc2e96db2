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
    /// A variable that is set to nothing is a mistake: what it decides must not fall back to a default in silence.
    pub(crate) never_empty: bool,
    pub(crate) help: &'static str,
}

const PLAIN: Key =
    Key { name: "", flag: "", variables: &[], default: None, secret: false, never_empty: false, help: "" };

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
        name: "neo4j.uri",
        flag: "--uri",
        variables: &["GRAP_NEO4J_URI", "NEO4J_URI"],
        default: Some("bolt://localhost:7687"),
        help: "address of the running server: bolt://HOST:PORT, bolt+s:// with TLS, bolt+ssc:// with TLS and any certificate; neo4j:// is taken for bolt://",
        ..PLAIN
    },
    Key {
        name: "neo4j.auth",
        variables: &["GRAP_NEO4J_AUTH", "NEO4J_AUTH"],
        secret: true,
        help: "USER/PASSWORD, or none",
        ..PLAIN
    },
    Key {
        name: "neo4j.auth_file",
        flag: "--auth-file",
        variables: &["GRAP_NEO4J_AUTH_FILE", "NEO4J_AUTH_FILE"],
        help: "file that holds USER/PASSWORD, or none",
        ..PLAIN
    },
    Key {
        name: "neo4j.ca_file",
        variables: &["GRAP_NEO4J_CA_FILE"],
        help: "certificates (PEM) that are trusted at a bolt+s:// address in place of the system's: a private authority's, or the server's own",
        ..PLAIN
    },
    Key {
        name: "health.schema_file",
        flag: "--schema",
        variables: &["GRAP_HEALTH_SCHEMA_FILE", "GRAP_SCHEMA_FILE"],
        help: "the declared schema, CREATE INDEX and CREATE CONSTRAINT statements: `grap health` expects it, `grap supervise` makes what is missing of it at each start",
        ..PLAIN
    },
    Key {
        name: "health.checks_file",
        flag: "--checks",
        variables: &["GRAP_HEALTH_CHECKS_FILE"],
        help: "further checks of `grap health`: Cypher statements that return a row for each thing that is wrong, each named by a line `// NAME` before it",
        ..PLAIN
    },
    Key {
        name: "health.canary",
        variables: &["GRAP_HEALTH_CANARY"],
        default: Some("off"),
        help: "how often `grap serve` writes two nodes, finds them in the archive and removes them again, as 5m, at least 10s; or off",
        ..PLAIN
    },
    Key {
        name: "http.listen",
        variables: &["GRAP_HTTP_LISTEN"],
        help: "where `grap serve` answers over HTTP, as 127.0.0.1:9479; nowhere by default",
        ..PLAIN
    },
    Key {
        name: "http.hosts",
        variables: &["GRAP_HTTP_HOSTS"],
        help: "further names by which requests may ask, with commas between, as grap.example.org; on loopback its own names are answered",
        ..PLAIN
    },
    Key {
        name: "http.beyond_loopback",
        variables: &["GRAP_HTTP_BEYOND_LOOPBACK"],
        default: Some("false"),
        help: "true: http.listen may be an address that other machines can reach; whoever asks needs no password",
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
        name: "log.format",
        variables: &["GRAP_LOG_FORMAT"],
        default: Some("text"),
        help: "of the lines that `grap serve` writes to standard error: text or json",
        ..PLAIN
    },
    Key {
        name: "log.level",
        variables: &["GRAP_LOG_LEVEL", "LOG_LEVEL"],
        default: Some("info"),
        help: "what `grap serve` says: error, warn, info or debug",
        ..PLAIN
    },
    Key {
        name: "backup.schedule",
        variables: &["GRAP_BACKUP_SCHEDULE", "BACKUP_SCHEDULE"],
        default: Some("0 2 * * *"),
        help: "when `grap serve` makes a backup: minute, hour, day of the month, month, day of the week; or off",
        ..PLAIN
    },
    Key {
        name: "expire.schedule",
        variables: &["GRAP_EXPIRE_SCHEDULE"],
        default: Some("30 3 * * *"),
        help: "when `grap serve` lets go of what need not be kept; or off",
        ..PLAIN
    },
    Key {
        name: "gc.schedule",
        variables: &["GRAP_GC_SCHEDULE"],
        default: Some("0 4 * * 0"),
        help: "when `grap serve` gives back space that nothing uses; or off",
        ..PLAIN
    },
    Key {
        name: "verify.schedule",
        variables: &["GRAP_VERIFY_SCHEDULE"],
        default: Some("0 5 * * *"),
        help: "when `grap serve` reads a part of the repository again; or off",
        ..PLAIN
    },
    Key {
        name: "copy.schedule",
        variables: &["GRAP_COPY_SCHEDULE"],
        default: Some("0 6 * * *"),
        help: "when `grap serve` copies to the second repository, where there is one; or off",
        ..PLAIN
    },
    Key {
        name: "schedule.timezone",
        variables: &["GRAP_SCHEDULE_TIMEZONE"],
        help: "time zone of all schedules, as Europe/Berlin; by default the system's, else UTC",
        ..PLAIN
    },
    Key {
        name: "schedule.jitter_s",
        variables: &["GRAP_SCHEDULE_JITTER_S"],
        default: Some("0"),
        help: "seconds over which hosts spread their runs behind a common slot, 0 to 86400",
        ..PLAIN
    },
    Key {
        name: "retention.days",
        variables: &["GRAP_RETENTION_DAYS", "BACKUP_RETENTION_DAYS"],
        default: Some("30"),
        never_empty: true,
        help: "a backup that began within so many days stays, 1 to 36500",
        ..PLAIN
    },
    Key {
        name: "retention.daily",
        variables: &["GRAP_RETENTION_DAILY_COUNT", "BACKUP_RETENTION_DAILY_COUNT"],
        default: Some("7"),
        never_empty: true,
        help: "of so many of the last days that have a verified backup the newest one stays, 0 to 1000; not all three counts can be 0",
        ..PLAIN
    },
    Key {
        name: "retention.weekly",
        variables: &["GRAP_RETENTION_WEEKLY_COUNT", "BACKUP_RETENTION_WEEKLY_COUNT"],
        default: Some("4"),
        never_empty: true,
        help: "of so many of the last weeks that have a verified backup the newest one stays, 0 to 1000; not all three counts can be 0",
        ..PLAIN
    },
    Key {
        name: "retention.monthly",
        variables: &["GRAP_RETENTION_MONTHLY_COUNT", "BACKUP_RETENTION_MONTHLY_COUNT"],
        default: Some("1"),
        never_empty: true,
        help: "of so many of the last months that have a verified backup the newest one stays, 0 to 1000; not all three counts can be 0",
        ..PLAIN
    },
    Key {
        name: "retention.window_days",
        variables: &["GRAP_RETENTION_WINDOW_DAYS", "BACKUP_RETENTION_WINDOW_DAYS"],
        default: Some("7"),
        never_empty: true,
        help: "every point of so many days can be restored: the archive of the log is kept that far back, 1 to 36500",
        ..PLAIN
    },
    Key {
        name: "verify.percent_per_day",
        variables: &["GRAP_VERIFY_PERCENT_PER_DAY"],
        default: Some("1"),
        help: "how many in a hundred of the stored packs `grap serve` reads again in a day, 1 to 100: at 1 every byte in a hundred days",
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
        name: "recovery.neo4j_home",
        flag: "--neo4j-home",
        variables: &["GRAP_RECOVERY_NEO4J_HOME"],
        help: "home of the Neo4j Community that opens restored databases, with its jars in lib/; by default neo4j.home",
        ..PLAIN
    },
    Key {
        name: "recovery.java_home",
        variables: &["GRAP_RECOVERY_JAVA_HOME"],
        help: "home of the Java that runs it; by default one that fits of JAVA_HOME, PATH and /usr/lib/jvm",
        ..PLAIN
    },
    Key {
        name: "recovery.scratch_dir",
        variables: &["GRAP_RECOVERY_SCRATCH_DIR"],
        help: "where restored databases are opened, which needs their room; by default open/ in the state directory",
        ..PLAIN
    },
    Key {
        name: "recovery.heap",
        variables: &["GRAP_RECOVERY_HEAP"],
        default: Some("512m"),
        help: "largest Java heap of such a Neo4j, as 512m or 2g",
        ..PLAIN
    },
    Key {
        name: "recovery.page_cache",
        variables: &["GRAP_RECOVERY_PAGE_CACHE"],
        default: Some("64m"),
        help: "page cache of such a Neo4j, as 64m or 1g",
        ..PLAIN
    },
    Key {
        name: "recovery.start_limit_s",
        variables: &["GRAP_RECOVERY_START_LIMIT_S"],
        default: Some("3600"),
        help: "seconds that such a Neo4j may take to recover a database and build its indexes, 10 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.candidate_dir",
        variables: &["GRAP_RECOVERY_CANDIDATE_DIR"],
        help: "where `grap recover` makes the candidate; by default .grap/candidate in the live data directory, so that it is on the same file system and can take its place by a rename",
        ..PLAIN
    },
    Key {
        name: "recovery.connectivity_limit_s",
        variables: &["GRAP_RECOVERY_CONNECTIVITY_LIMIT_S"],
        default: Some("5"),
        help: "seconds that asking whether a candidate's database is ONLINE and ends where it should may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.schema_limit_s",
        variables: &["GRAP_RECOVERY_SCHEMA_LIMIT_S"],
        default: Some("10"),
        help: "seconds that comparing a candidate's indexes and constraints, their building included may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.orphans_limit_s",
        variables: &["GRAP_RECOVERY_ORPHANS_LIMIT_S"],
        default: Some("30"),
        help: "seconds that looking for orphans in a candidate may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.counts_limit_s",
        variables: &["GRAP_RECOVERY_COUNTS_LIMIT_S"],
        default: Some("60"),
        help: "seconds that comparing a candidate's counts may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.custom_limit_s",
        variables: &["GRAP_RECOVERY_CUSTOM_LIMIT_S"],
        default: Some("60"),
        help: "seconds that the checks of health.checks_file on a candidate may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.stop_limit_s",
        variables: &["GRAP_RECOVERY_STOP_LIMIT_S"],
        default: Some("600"),
        help: "seconds that stopping a candidate's Neo4j in good order may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "recovery.store_limit_s",
        variables: &["GRAP_RECOVERY_STORE_LIMIT_S"],
        default: Some("3600"),
        help: "seconds that reading every record of a stopped candidate may take, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "drill.schedule",
        variables: &["GRAP_DRILL_SCHEDULE"],
        default: Some("off"),
        help: "when `grap serve` drills a recovery, as `0 3 * * 6`; or off",
        ..PLAIN
    },
    Key {
        name: "drill.target",
        variables: &["GRAP_DRILL_TARGET"],
        default: Some("latest"),
        help: "what a drill restores where no target is named: latest, or random for any transaction that can be reached",
        ..PLAIN
    },
    Key {
        name: "drill.scratch_dir",
        variables: &["GRAP_DRILL_SCRATCH_DIR"],
        help: "where a drill restores, which needs its room; by default drill/ in the state directory",
        ..PLAIN
    },
    Key {
        name: "drill.max_age_days",
        variables: &["GRAP_DRILL_MAX_AGE_DAYS"],
        default: Some("14"),
        help: "where drills have a schedule: days after which `grap serve` raises an alert when none has gone well, 1 to 3650",
        ..PLAIN
    },
    Key {
        name: "promote.after_validation",
        variables: &["GRAP_PROMOTE_AFTER_VALIDATION", "PROMOTE_AFTER_VALIDATION"],
        default: Some("false"),
        help: "whether `grap recover start` goes on and promotes a candidate that has passed: true or false",
        ..PLAIN
    },
    Key {
        name: "promote.transaction_limit_s",
        variables: &["GRAP_PROMOTE_TRANSACTION_LIMIT_S"],
        default: Some("10"),
        help: "seconds that a client's transaction may be open when `grap recover promote` stops the live server, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "promote.drain_limit_s",
        variables: &["GRAP_PROMOTE_DRAIN_LIMIT_S"],
        default: Some("60"),
        help: "seconds that it waits for older ones to end; then it is called off, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "promote.archive_limit_s",
        variables: &["GRAP_PROMOTE_ARCHIVE_LIMIT_S"],
        default: Some("60"),
        help: "seconds that it waits, before the stop and once more behind it, until the archive holds what is live; then it is called off, and the old database started again, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "promote.confirm_limit_s",
        variables: &["GRAP_PROMOTE_CONFIRM_LIMIT_S"],
        default: Some("60"),
        help: "seconds until the new database has to be ONLINE with its schema; else the old one is put back, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "server.supervisor_socket",
        variables: &["GRAP_SERVER_SUPERVISOR_SOCKET"],
        help: "how the live server is stopped and started: the socket of the `grap supervise` that is its parent",
        ..PLAIN
    },
    Key {
        name: "server.systemd_unit",
        variables: &["GRAP_SERVER_SYSTEMD_UNIT"],
        help: "or: the unit of systemd that it is, for `systemctl stop` and `systemctl start`",
        ..PLAIN
    },
    Key {
        name: "server.stop_command",
        variables: &["GRAP_SERVER_STOP_COMMAND"],
        help: "or: a command (for sh) that stops it; it may end before the server has",
        ..PLAIN
    },
    Key {
        name: "server.start_command",
        variables: &["GRAP_SERVER_START_COMMAND"],
        help: "and one that starts it, and leaves it running",
        ..PLAIN
    },
    Key {
        name: "server.stop_limit_s",
        variables: &["GRAP_SERVER_STOP_LIMIT_S"],
        default: Some("120"),
        help: "seconds from the wish to stop the live server until it has let go of its stores, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "server.start_limit_s",
        variables: &["GRAP_SERVER_START_LIMIT_S"],
        default: Some("600"),
        help: "seconds from the start of the live server until it answers over Bolt, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "supervise.socket",
        flag: "--socket",
        variables: &["GRAP_SUPERVISE_SOCKET"],
        help: "where `grap supervise` listens; by default supervise.sock in the state directory",
        ..PLAIN
    },
    Key {
        name: "supervise.grace_s",
        flag: "--grace",
        variables: &["GRAP_SUPERVISE_GRACE_S"],
        default: Some("120"),
        help: "seconds between SIGTERM and SIGKILL, 1 to 86400",
        ..PLAIN
    },
    Key {
        name: "supervise.restart",
        flag: "--restart",
        variables: &["GRAP_SUPERVISE_RESTART"],
        default: Some("on-failure"),
        help: "whether `grap supervise` starts a server again that has ended by itself: on-failure, always or never",
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
