//! What an error is called outside: a stable name, an exit status, a hint.
//!
//! `docs/errors.md` is made from [`Code::ALL`] (a test keeps it so).

macro_rules! codes {
    ($($(#[doc = $meaning:literal])+ $variant:ident = $name:literal, $status:literal, $hint:literal;)+) => {
        /// What an error is called outside. Stable: scripts match on it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Code {
            $($(#[doc = $meaning])+ $variant,)+
        }

        impl Code {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// `BACKUP_NO_SPACE`
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// The exit status of the process.
            pub fn exit_status(self) -> u8 {
                match self { $(Self::$variant => $status),+ }
            }

            /// What the code means.
            pub fn meaning(self) -> String {
                match self { $(Self::$variant => concat!($($meaning),+).trim().to_owned()),+ }
            }

            /// What to try.
            pub fn hint(self) -> &'static str {
                match self { $(Self::$variant => $hint),+ }
            }
        }
    };
}

codes! {
    /// The command line or a setting is wrong. Nothing was done.
    Usage = "USAGE", 2, "`grap help VERB` shows what can be said; `grap config show` shows every setting and where it came from.";
    /// The repository is damaged, or a backup in it.
    BackupCorrupted = "BACKUP_CORRUPTED", 9, "`grap verify --read-data` names every damaged object. Another backup may be whole: `grap list`. With `restore --keep-going` what is whole is still written.";
    /// No such backup.
    BackupNotFound = "BACKUP_NOT_FOUND", 6, "`grap list` shows the backups of the repository.";
    /// The target of a restore is not among the points that can be reached. Nothing was written.
    TargetOutsideWindow = "TARGET_OUTSIDE_WINDOW", 16, "`grap window` shows every point that can be reached, on every timeline. What is newer than the archive: `grap restore latest`.";
    /// The target of a restore can be understood in several ways. Nothing was written.
    TargetAmbiguous = "TARGET_AMBIGUOUS", 16, "Say exactly which: each way is named in the message. `grap window` shows the timelines.";
    /// The target of a restore lies inside a schema change, which takes several transactions. Nothing was written.
    TargetInSchemaChange = "TARGET_IN_SCHEMA_CHANGE", 16, "A database restored to it would have an index that is never populated, and its name taken. The message names the nearest points on both sides at which no constraint is half made.";
    /// That time names no single point: clocks stepped there, or nobody watched. Nothing was written.
    TimeUnsure = "TIME_UNSURE", 16, "Name the transaction, tx=N: the message names those on both sides. After a break of the history, --timeline N says which one is meant.";
    /// Objects of the archive of the log are damaged or missing.
    ArchiveDamaged = "ARCHIVE_DAMAGED", 9, "`grap verify` names every damaged object, `grap window` what can still be reached. Take a new backup: what is behind it does not need the damaged part.";
    /// Two sources have a backup of this id.
    BackupAmbiguous = "BACKUP_AMBIGUOUS", 6, "Name it as SOURCE/ID, or give --source.";
    /// Somebody holds the backup. Nothing was deleted.
    BackupHeld = "BACKUP_HELD", 19, "`grap show ID` says who holds it and why. `grap release ID` ends every hold on it.";
    /// The backup is the last good one of its source, or the kept window of the archive begins from it. Nothing was deleted.
    BackupNeeded = "BACKUP_NEEDED", 19, "Take a newer backup and let it pass `grap verify ID`; a window that reaches less far back (retention.window_days) needs it no longer either.";
    /// The file system has not the room that the operation needs. Nothing was published.
    NoSpace = "BACKUP_NO_SPACE", 5, "Make room, or put the repository (or the target) on a larger file system. `grap expire`, then `grap gc` give room in a repository back, also where no byte is free. What was stored already is used by the next run.";
    /// The installation, or a database in it, is not where it was looked for.
    Neo4jNotFound = "NEO4J_NOT_FOUND", 4, "Give --neo4j-home (the directory with conf/ and data/) or --data (the directory with databases/), and --transactions where the logs lie elsewhere; `grap check` takes such a directory as it is. `grap doctor` says what it sees.";
    /// A format, release or setting that this program does not know. It refuses rather than guesses.
    Neo4jUnsupported = "NEO4J_UNSUPPORTED", 4, "Known are the record formats `aligned` and `standard` of Neo4j 5.0 to 2026.08 Community. A newer release of Grap may know more.";
    /// A transaction or checkpoint log is damaged or incomplete at its source.
    LogDamaged = "LOG_DAMAGED", 7, "If the server is stopped and crashed before, start it once and let it recover. If it runs, look for disk errors: the backup is refused so that nothing false is kept.";
    /// The database has no checkpoint to begin from.
    NoCheckpoint = "NO_CHECKPOINT", 7, "Start the server once; it writes a checkpoint when the database is first opened and when it stops.";
    /// The server was started, stopped or killed while the backup ran, or something else wrote into the store.
    ServerChanged = "SERVER_CHANGED", 8, "Nothing is wrong with the database. Run the backup again.";
    /// The files of the database cannot be read, or its log files cannot be held.
    SourceUnreadable = "SOURCE_UNREADABLE", 4, "Run grap as the server's own user (or root) and with the database's volume mounted. `grap doctor` shows what it may do.";
    /// Log files that the server has deleted hold back more room than the budget allows.
    PinBudgetExceeded = "PIN_BUDGET_EXCEEDED", 5, "The copy took so long that the server rotated away more log than may be held back. Raise --read-limit, or make room on the log's file system.";
    /// The database is not the one that the source is bound to, or another installation (or state directory) writes for the source.
    SourceMismatch = "SOURCE_MISMATCH", 4, "Is this the right repository, and the right database? The message says what differs. After an import or a load of a dump, bind the source anew: grap source rebind. For a copy, or another installation: grap source add NAME, and --source NAME.";
    /// No such source, or none was named where there are several.
    SourceUnknown = "SOURCE_UNKNOWN", 6, "`grap source list` shows the sources; `grap source add NAME` makes one; --source NAME chooses.";
    /// The source is there already.
    SourceExists = "SOURCE_EXISTS", 6, "Choose another name.";
    /// There is no repository at this place.
    RepositoryNotFound = "REPOSITORY_NOT_FOUND", 10, "Is the path right, and the volume mounted (or the bucket and the prefix)? Only where there never was one: `grap init`.";
    /// There is a repository at this place already.
    RepositoryExists = "REPOSITORY_EXISTS", 10, "Nothing was changed. To use it, run grap backup.";
    /// The repository is of a version or kind that this program does not know.
    RepositoryUnsupported = "REPOSITORY_UNSUPPORTED", 10, "Known is restic's repository format version 2.";
    /// Another process holds a lock that excludes this operation.
    RepositoryLocked = "REPOSITORY_LOCKED", 11, "Wait for it to end. If its process is surely dead: grap unlock.";
    /// No key of the repository begins so, or several do.
    KeyNotFound = "KEY_NOT_FOUND", 6, "`grap key list` shows the keys and their ids.";
    /// The key is the last one that is known to open the repository. It was not removed.
    KeyLast = "KEY_LAST", 11, "Open the repository with another password (or the recovery key) to remove this one; `grap key change` puts a new password in place of the one in use.";
    /// Our lock was removed, or not refreshed in time. Nothing was published.
    LockLost = "LOCK_LOST", 11, "Did the machine sleep, or did somebody remove locks? Run the operation again.";
    /// Another grap process runs the same job on this state directory.
    JobRunning = "JOB_RUNNING", 11, "Wait for it to end. (An archiver does not end, and one is enough.)";
    /// The password opens no key of the repository.
    WrongPassword = "WRONG_PASSWORD", 12, "The recovery key that was printed at `grap init` opens the repository, too: give it in place of the password.";
    /// The storage of the repository failed.
    StorageFailed = "STORAGE_FAILED", 13, "What was stored already is used by the next run.";
    /// The storage of the repository denies a right, or does not know who asks.
    StorageDenied = "STORAGE_DENIED", 13, "Are the credentials set, and valid? docs/object-stores.md names the rights that are needed, and where credentials are looked for. The message names the call and the object.";
    /// The target of a restore, or the place of a new repository, is not empty, or in use.
    TargetNotEmpty = "TARGET_NOT_EMPTY", 4, "Choose a directory that is empty or does not exist yet. Nothing in it was touched.";
    /// What was written by a restore is not what the backup promised. It was not put in place.
    RestoreWrong = "RESTORE_WRONG", 9, "Restore another backup, and report this as a bug with the output of `grap show ID --json`.";
    /// Some files were restored, others are damaged in the repository.
    RestoredPartly = "RESTORED_PARTLY", 3, "This is no database: its log is missing on purpose. Use it only to save what can be saved.";
    /// Something is damaged where it is copied from, or where it was copied to; everything else is copied.
    CopiedPartly = "COPIED_PARTLY", 3, "Each problem names the object. `grap verify --read-data` on that repository says what it hurts. What could not be copied is tried again by the next copy.";
    /// There is no repository at the place that is to be copied to.
    CopyTargetMissing = "COPY_TARGET_MISSING", 10, "Is the path right, and the volume mounted? Only where there never was one: make it with grap init --repo R2 --source NAME (the name that this repository's source has).";
    /// The repository to copy to is no copy of this one, or no longer.
    CopyMixed = "COPY_MIXED", 10, "Two histories are never mixed in one repository. Copy to a new one: grap init --repo R2. If the copy is in production now, it is the repository to copy from.";
    /// The state directory cannot be used.
    StateUnusable = "STATE_UNUSABLE", 14, "Choose a directory that this user can write with --state-dir or GRAP_STATE_DIR. Where the message names a journal in it: move that file away (recovery.journal: `grap recover reset` does it); no backup is touched, and only what it noted is forgotten.";
    /// `grap doctor` found something that stands in the way of backups.
    DoctorFailed = "DOCTOR_FAILED", 15, "Each finding says what to change.";
    /// Transactions of the database can be lost: `grap status` says why.
    Unprotected = "UNPROTECTED", 17, "Each reason is named. Mostly: is `grap archive` running? After a break of the history or a hole a new backup is needed: grap backup.";
    /// Whether the database is protected cannot be said without looking at it.
    ProtectionUnknown = "PROTECTION_UNKNOWN", 18, "Run it where the database is, with --neo4j-home or --data.";
    /// The daemon has a critical alert open: `grap status` names it.
    AlertOpen = "ALERT_OPEN", 20, "What is wrong is named in the message, and in the daemon's log. When it is mended the alert closes by itself.";
    /// The server cannot be reached over Bolt, or does not answer in time.
    Neo4jUnreachable = "NEO4J_UNREACHABLE", 23, "Is the server running, and NEO4J_URI its address? The message says what was tried and for how long.";
    /// What answers at the address speaks no Bolt that Grap knows, or the TLS between does not agree.
    Neo4jNotBolt = "NEO4J_NOT_BOLT", 23, "NEO4J_URI names the port of Bolt (7687), not of HTTP (7474). A server with a certificate: bolt+s://; with one that nobody signed: bolt+ssc://.";
    /// The server refused: the message is its own.
    Neo4jRefused = "NEO4J_REFUSED", 23, "Where it is the password: NEO4J_AUTH is USER/PASSWORD, or none; or neo4j.auth_file names a file that holds it. Where a database is not available: debug.log in logs/ of Neo4j's home says why, docs/runbooks/lost-graph.md what to do.";
    /// Whether the server has done it is not known: the connection ended between the order and the answer.
    CommitInDoubt = "COMMIT_IN_DOUBT", 24, "Look before doing it again. `grap schema apply` may always be run again: it makes nothing twice.";
    /// A check of `grap health` failed. The report says which, and what it found.
    Unhealthy = "UNHEALTHY", 25, "The first check that failed is named, with each object. docs/health.md says what each check can see.";
    /// The schema of the database is not the declared one.
    SchemaDrift = "SCHEMA_DRIFT", 26, "`grap schema apply` makes what is missing. What is there and differs it leaves: drop it yourself if it is to be made anew.";
    /// The recovery is not in a state in which this can be asked for. Nothing was done.
    RecoveryState = "RECOVERY_STATE", 27, "`grap recover status` says where it stands. Under way: `grap recover start` without a target goes on, `grap recover cancel` ends it. Ended (SUCCESS, FAILED, PROMOTED): `grap recover reset` first, then the same again. Nothing there: `grap recover start TARGET` comes first. A drill waits for the end of a recovery: docs/recovery.md.";
    /// The candidate of a recovery has passed, and is not any more what passed: somebody has changed it since. It is not used.
    CandidateChanged = "CANDIDATE_CHANGED", 27, "`grap recover reset` removes it; `grap recover start TARGET` makes a new one, and judges it. Nobody but Grap may write into its directory, and no server may be started on it.";
    /// A restored database was opened and judged, and did not pass. The live one is not touched.
    RestoreHealthFailed = "RESTORE_HEALTH_FAILED", 28, "Each finding names the object; `grap recover status`, `grap drill --history --json` or `grap show BACKUP` has them all, and docs/validation.md says what each tier can see. A recovery's candidate is kept for a look until `grap recover reset`; another target, or another backup, may pass.";
    /// Something speaks against a promotion or a rollback. The live database is what it was.
    PromotionRefused = "PROMOTION_REFUSED", 31, "The message says what. `--dry-run` shows the plan. Where the live database itself is what stands in the way: --live-is-lost gives it up by name.";
    /// A promotion or a rollback was called off before anything was exchanged, or was taken back. The old database serves, if it did before.
    PromotionCalledOff = "PROMOTION_CALLED_OFF", 32, "`grap recover status` has the reason. The candidate (or the retired database) is what it was: mend what the message names, and ask again (for a rollback `grap recover reset` first).";
    /// The new database did not serve as it should: the old one was put back, and serves.
    PromotionRolledBack = "PROMOTION_ROLLED_BACK", 33, "`grap recover status` has the reason, and the server's own log. `grap recover reset` first; another target may do.";
    /// The new database is in place, and whether it is what it should be is not known; or it is not, and clients have written to it.
    PromotionUnconfirmed = "PROMOTION_UNCONFIRMED", 34, "Look at it. `grap recover promote` asks it again (where Grap was not let in: what the database takes now goes into neo4j.auth or its file first); `grap recover rollback` puts the old one back, and what was written since goes with the new one.";
    /// In the middle of a promotion something lies where it should not. Nothing was touched; the server refuses the database until this is finished.
    SwapUnfinished = "SWAP_UNFINISHED", 35, "The message says what lies where, and docs/promotion.md what should. When each directory is in one of those places again: `grap recover promote` finishes, `grap recover cancel` takes it back.";
    /// No retired database is there to go back to.
    RetiredNotFound = "RETIRED_NOT_FOUND", 36, "`grap recover status` lists what was retired. Without one: `grap recover start TARGET`, and promote that.";
    /// The repository does not hold all of a retired database, as far as can be seen. Nothing was removed.
    RetiredNotBackedUp = "RETIRED_NOT_BACKED_UP", 37, "The message says what is missing. Does the archiver run, and is the repository in reach? `grap recover release ID --give-up` removes it all the same: what is nowhere else is lost then.";
    /// There is no Neo4j that could be started on a restored database, or no Java that runs it. Nothing was written.
    ServerNotStartable = "SERVER_NOT_STARTABLE", 4, "Name a home of Neo4j Community with its jars in lib/: --neo4j-home or recovery.neo4j_home. A Java is looked for in recovery.java_home, JAVA_HOME, PATH and /usr/lib/jvm.";
    /// The Neo4j that could be started is older than the one that wrote the database. Nothing was written.
    ServerTooOld = "SERVER_TOO_OLD", 4, "Name a home of that release or a later one: --neo4j-home or recovery.neo4j_home.";
    /// The Neo4j that was started on a restored database does not open it, or has ended by itself.
    InstanceFailed = "INSTANCE_FAILED", 22, "The message has the server's own words. Not enough memory: raise recovery.heap. Not ready in time: raise recovery.start_limit_s. Does another target open? `grap restore` writes the same files for a look of your own.";
    /// The Neo4j that was started on a restored database had begun to open it, and ended by itself. Nobody knows yet whether the database is at fault; the backup does not count as validated any more.
    InstanceDied = "INSTANCE_DIED", 22, "The message has the server's own words. Another try (`grap drill`), with more memory (recovery.heap) or another release, tells whether it is the backup; `grap check` reads the candidate without a server, when one has opened and stopped it.";
    /// A tool of the server's own did not do what it was started for.
    Neo4jAdminFailed = "NEO4J_ADMIN_FAILED", 22, "Give it more time (recovery.store_limit_s) or memory (recovery.heap).";
    /// A restored database could not be read to its end within the limit. Nothing is known of it.
    CheckTooLong = "CHECK_TOO_LONG", 22, "Give it more time (recovery.store_limit_s), or start it when the machine is less busy.";
    /// Nothing says how the live server is stopped and started, or systemd cannot start the unit that is named. Nothing was done.
    ServerControlMissing = "SERVER_CONTROL_MISSING", 29, "Set server.supervisor_socket (a server under `grap supervise`), or server.systemd_unit (as `systemctl list-units` has it, for a user who may ask), or server.stop_command and server.start_command: docs/supervise.md.";
    /// The supervisor of the live server does not answer on its socket, or refuses.
    SupervisorUnreachable = "SUPERVISOR_UNREACHABLE", 29, "Does `grap supervise` run, and is server.supervisor_socket its socket (on a volume that both see)? Its user, or its group, may use it.";
    /// The live server holds its stores longer than it may take to stop. Its lock was not taken; it may still end.
    ServerStopTimedOut = "SERVER_STOP_TIMED_OUT", 30, "Nothing was changed. Does the command really stop it? A large checkpoint takes time: raise server.stop_limit_s. See that it serves.";
    /// The command that stops the live server has failed, or another's server holds its stores, and that server goes on.
    ServerStopFailed = "SERVER_STOP_FAILED", 30, "Nothing was changed. The message has the command's own words: run it by hand, as the same user. A server that was started by hand is stopped by hand.";
    /// The live server was told to start, and does not serve.
    ServerStartFailed = "SERVER_START_FAILED", 30, "Look into its log (logs/neo4j.log, logs/debug.log), and start it by hand. Does it only take long: raise server.start_limit_s. NEO4J_URI must be its address.";
    /// The database is running: its stores change under whoever reads them. Nothing was checked.
    DatabaseRunning = "DATABASE_RUNNING", 8, "Stop the server, or check a restored copy: grap restore latest --to DIR, start and stop a server on it, grap check DIR; `grap drill` does all of that by itself.";
    /// The database was not shut down cleanly: its stores are whole only after recovery. Nothing was checked.
    NeedsRecovery = "NEEDS_RECOVERY", 7, "Start a server on it and stop it cleanly, then check again. (What `grap restore` writes needs this, too; `grap drill TARGET` restores, starts, stops and checks by itself.)";
    /// `grap check` found that a database is damaged.
    StoreDamaged = "STORE_DAMAGED", 21, "Each finding names the store and the record. Restore a backup from before the damage to another place and check that: docs/check.md.";
    /// A file could not be read or written.
    FileFailed = "FILE_FAILED", 1, "The message names the call, the path, and what the system said.";
    /// Told to stop, by a signal or by `grap recover cancel`. Nothing was published.
    Interrupted = "INTERRUPTED", 130, "Run it again; what was stored already is used. (Behind `grap recover cancel`: grap recover reset first.)";
}
