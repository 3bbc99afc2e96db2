//! What can be said. Settings are texts here; `resolve` reads them, wherever they were said.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

use super::secret::Secret;

/// Durability for graph memory: hot backup of a running Neo4j Community Edition, from outside the server.
#[derive(Debug, Clone, Parser)]
#[command(name = "grap", version, max_term_width = 100, disable_help_subcommand = false)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// For every verb.
#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct Common {
    /// The repository: a directory, or s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://CONTAINER/PREFIX
    #[arg(long, global = true, value_name = "DIR|URL")]
    pub(crate) repo: Option<String>,
    /// File that holds the repository's password
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) password_file: Option<String>,
    /// Command (for sh) that prints the repository's password
    #[arg(long, global = true, value_name = "COMMAND")]
    pub(crate) password_command: Option<String>,
    /// Name of the source; the repository's only one by default
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) source: Option<String>,
    /// Directory of Grap's own state
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) state_dir: Option<String>,
    /// Configuration file [default: /etc/grap/grap.toml, where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print JSON on standard output
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum Verb {
    /// Make a repository; prints its recovery key once
    Init,
    /// Back up the databases of an installation, running or stopped
    Backup(BackupArguments),
    /// Keep every transaction from now on, until told to stop (SIGTERM)
    Archive(ArchiveArguments),
    /// Archive, and do everything that has a schedule, until told to stop (SIGTERM)
    Serve(ServeArguments),
    /// Run Neo4j: start it again when it fails, stop and start it for others over a socket, apply the declared schema
    Supervise(SuperviseArguments),
    /// The backups of the repository
    List,
    /// All that is known of one backup
    Show {
        /// A backup's id, or latest
        backup: String,
    },
    /// Look for damage; exit status 0 only when there is none. Reads the whole archive, too, unless BACKUP is named
    Verify(VerifyArguments),
    /// Turn a backup, and archived log behind it, into a data directory
    Restore(RestoreArguments),
    /// Open a point of the past in a read-only Neo4j of its own, for looking. It ends with Ctrl-C, and nothing of it stays
    Open(OpenArguments),
    /// Make a candidate of a target, open and validate it. The live database is not touched
    #[command(subcommand)]
    Recover(RecoverVerb),
    /// Recover into scratch space, to see that it would work and how long it takes; nothing of it stays
    Drill(DrillArguments),
    /// Every point that can be restored, on every timeline. Reads the whole archive of the log
    Window,
    /// Is the installation protected, and if not, why; exit status 0 only when it is
    Status(StatusArguments),
    /// Can this installation be backed up, and what is wrong?
    Doctor(Installation),
    /// Ask the running server how its database is; exit status 0 only when it is healthy
    Health(HealthArguments),
    /// Indexes and constraints, as a file declares them
    #[command(subcommand)]
    Schema(SchemaVerb),
    /// Is a stopped database whole? Reads every record; exit status 0 only when nothing is wrong
    Check(CheckArguments),
    /// Delete what no rule keeps: old backups, and archived log from before the window. A backup's own room comes back with gc
    Expire(ExpireArguments),
    /// Delete one backup
    Delete(DeleteArguments),
    /// Let nothing delete a backup until it is released
    Hold(HoldArguments),
    /// End every hold on a backup
    Release(ReleaseArguments),
    /// Keep a second repository in step: backups, sources, holds and the archive of the log
    Copy(CopyArguments),
    /// Remove the locks of dead processes
    Unlock,
    /// Give back the room of what no backup needs
    Gc(GcArguments),
    /// The passwords of the repository
    #[command(subcommand)]
    Key(KeyVerb),
    /// The installations that back up into this repository
    #[command(subcommand)]
    Source(SourceVerb),
    /// Settings
    #[command(subcommand)]
    Config(ConfigVerb),
}

/// Where Neo4j is: a home, or a data directory.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Installation {
    /// Home of the Neo4j installation
    #[arg(long, value_name = "DIR")]
    pub(crate) neo4j_home: Option<String>,
    /// Data directory (with databases/ in it), in place of a home
    #[arg(long, value_name = "DIR", conflicts_with = "neo4j_home")]
    pub(crate) data: Option<String>,
    /// Directory of the transaction logs, where it is not transactions/ in the data directory
    #[arg(long, value_name = "DIR", conflicts_with = "neo4j_home")]
    pub(crate) transactions: Option<String>,
    /// The user database, where a data directory holds several
    #[arg(long, value_name = "NAME", conflicts_with = "neo4j_home")]
    pub(crate) database: Option<String>,
}

/// The running server, and one of its databases.
#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct Bolt {
    /// Address of the server, as bolt://localhost:7687
    #[arg(long, value_name = "URI")]
    pub(crate) uri: Option<String>,
    /// File that holds USER/PASSWORD, or none
    #[arg(long, value_name = "FILE")]
    pub(crate) auth_file: Option<String>,
    /// The database; the user's home database by default
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct HealthArguments {
    #[command(flatten)]
    pub(crate) bolt: Bolt,
    /// Text for people, or JSON, as --json
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: Format,
    /// Count nodes and relationships, by label and type
    #[arg(long)]
    pub(crate) detailed: bool,
    /// Write two nodes, read them back, find them in the archive, and remove them again. Needs the repository and the installation
    #[arg(long)]
    pub(crate) canary: bool,
    /// The schema that should be there; without it nothing must be FAILED
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<String>,
    /// Checks of your own, in Cypher: each returns a row for each thing that is wrong
    #[arg(long, value_name = "FILE")]
    pub(crate) checks: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
pub(crate) enum Format {
    Text,
    Json,
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum SchemaVerb {
    /// Make what is missing, wait until all is ONLINE. Nothing is dropped or changed; exit status 0 only when all is as declared
    Apply(SchemaApplyArguments),
    /// How the server's schema differs; exit status 0 only when all is as declared
    Diff(SchemaArguments),
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct SchemaArguments {
    #[command(flatten)]
    pub(crate) bolt: Bolt,
    /// CREATE INDEX and CREATE CONSTRAINT statements, each ended by a semicolon
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct SchemaApplyArguments {
    #[command(flatten)]
    pub(crate) schema: SchemaArguments,
    /// From the first statement until everything is ONLINE
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    pub(crate) wait: u32,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct BackupArguments {
    #[command(flatten)]
    pub(crate) installation: Installation,
    /// Read at most so many bytes a second from the database, as 50MiB
    #[arg(long, value_name = "RATE")]
    pub(crate) read_limit: Option<String>,
    /// A tag; can be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub(crate) tags: Vec<String>,
    /// A note
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// This installation writes for the source from now on, whoever did before
    #[arg(long)]
    pub(crate) takeover: bool,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct ArchiveArguments {
    #[command(flatten)]
    pub(crate) installation: Installation,
    /// This installation writes for the source from now on, whoever did before
    #[arg(long)]
    pub(crate) takeover: bool,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct SuperviseArguments {
    /// What starts the server, and ends when it does: after `--`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
    /// Where others ask how it is, and have it stopped and started
    #[arg(long, value_name = "PATH")]
    pub(crate) socket: Option<String>,
    /// From SIGTERM to SIGKILL
    #[arg(long, value_name = "SECONDS")]
    pub(crate) grace: Option<String>,
    /// Whether a server that has ended by itself is started again: on-failure, always or never
    #[arg(long, value_name = "WHEN")]
    pub(crate) restart: Option<String>,
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct VerifyArguments {
    /// A backup's id, or latest; all by default
    pub(crate) backup: Option<String>,
    /// Read the stored data, too: all of it, or so many percent
    #[arg(long, value_name = "PERCENT", num_args = 0..=1, require_equals = true, default_missing_value = "100")]
    pub(crate) read_data: Option<String>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct RestoreArguments {
    /// latest | neo4j-YYYYMMDD-HHMMSS | SOURCE/ID | tx=[DATABASE:]N | before-tx=[DATABASE:]N |
    /// time=2026-11-25T02:00:00Z (reads the whole timeline first)
    pub(crate) target: String,
    /// Becomes a data directory; must be empty or not exist
    #[arg(long, value_name = "DIR", required_unless_present = "dry_run")]
    pub(crate) to: Option<PathBuf>,
    /// Another history than the current one, by the number that `grap window` shows
    #[arg(long, value_name = "N")]
    pub(crate) timeline: Option<u64>,
    /// Show what would be done: which backup, how much log, what will be lost. Nothing is written
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Only this database; can be given several times
    #[arg(long = "database", value_name = "NAME")]
    pub(crate) databases: Vec<String>,
    /// Owner of everything written
    #[arg(long, value_name = "UID[:GID]")]
    pub(crate) owner: Option<String>,
    /// Where something is damaged, write the rest, never the log
    #[arg(long)]
    pub(crate) keep_going: bool,
    /// Take no lock: for a repository on read-only media
    #[arg(long)]
    pub(crate) no_lock: bool,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct OpenArguments {
    /// As that of `grap restore`: latest, a backup's id, tx=N, before-tx=N, time=2026-11-25T02:00:00Z
    pub(crate) target: String,
    /// End by itself after so long, as 30m or 2h
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) duration: Option<String>,
    /// The user database, where a backup holds several
    #[arg(long, value_name = "NAME")]
    pub(crate) database: Option<String>,
    /// Another history than the current one, by the number that `grap window` shows
    #[arg(long, value_name = "N")]
    pub(crate) timeline: Option<u64>,
    /// Home of the Neo4j that is started [default: the live one's]
    #[arg(long, value_name = "DIR")]
    pub(crate) neo4j_home: Option<String>,
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum RecoverVerb {
    /// Begin, or go on with what is under way; ends with a candidate that has passed, or failed. Exit status 0 only when it has passed
    Start(RecoverStartArguments),
    /// How it stands, whoever is at it
    Status,
    /// Make the candidate that has passed the live database; what was live is retired. Finishes what was interrupted, and asks
    /// again what was not confirmed. Exit status 0 only when the new database is confirmed
    Promote(PromoteArguments),
    /// Make a retired database the live one again; what is live now is retired. Finishes what was interrupted
    Rollback(RollbackArguments),
    /// Remove a retired database, when the repository holds all of it
    Release(StoreReleaseArguments),
    /// End it, whoever is at it; the candidate goes. A promotion is taken back, and its candidate stays
    Cancel,
    /// Behind its end: the candidate goes, and a new one can begin. Sets aside a journal that cannot be read
    Reset,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct PromoteArguments {
    /// Make the candidate's `system` live, too: users and passwords are those of the target
    #[arg(long)]
    pub(crate) with_system: bool,
    #[command(flatten)]
    pub(crate) switch: SwitchArguments,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct RollbackArguments {
    /// The recovery that retired it [default: the last promotion, or rollback]
    pub(crate) id: Option<String>,
    #[command(flatten)]
    pub(crate) switch: SwitchArguments,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct StoreReleaseArguments {
    /// The recovery that retired it [default: the oldest]
    pub(crate) id: Option<String>,
    /// Show what would be removed, and what holds it; nothing is done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Whether it is held anywhere or not: what is nowhere else is lost
    #[arg(long, requires = "id")]
    pub(crate) give_up: bool,
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct SwitchArguments {
    /// Show what would be done, and what will be lost; nothing is done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Give the live database up: it may be missing or unreadable, and what is not archived of it may be lost
    #[arg(long)]
    pub(crate) live_is_lost: bool,
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct RecoverStartArguments {
    /// As that of `grap restore`: latest, a backup's id, tx=N, before-tx=N, time=2026-11-25T02:00:00Z [default: what is
    /// under way, else latest]
    pub(crate) target: Option<String>,
    #[command(flatten)]
    pub(crate) installation: Installation,
    /// Another history than the current one, by the number that `grap window` shows
    #[arg(long, value_name = "N")]
    pub(crate) timeline: Option<u64>,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct DrillArguments {
    /// As that of `grap restore` [default: drill.target]
    #[arg(conflicts_with_all = ["random", "history"])]
    pub(crate) target: Option<String>,
    /// Any transaction that can be reached
    #[arg(long, conflicts_with = "history")]
    pub(crate) random: bool,
    /// The drills before, and how long each step took. Nothing is done
    #[arg(long)]
    pub(crate) history: bool,
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct GcArguments {
    /// Show what would be done; nothing is deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum KeyVerb {
    /// Every key: its id, who made it, and which is in use
    List,
    /// One more password
    Add(NewPassword),
    /// A new password in place of the one that opens the repository now
    Change(NewPassword),
    /// Remove a key, never the one in use
    Remove {
        /// As `grap key list` shows it, or how it begins
        id: String,
    },
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
#[group(required = true, multiple = false)]
pub(crate) struct NewPassword {
    /// File that holds the new password
    #[arg(long = "new-password-file", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Command (for sh) that prints the new password
    #[arg(long = "new-password-command", value_name = "COMMAND")]
    pub(crate) command: Option<String>,
    /// Read where it was said, before anybody else does the work
    #[arg(skip)]
    pub(crate) read: Option<Secret>,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct ExpireArguments {
    /// Show what would go and why each item stays or goes. Nothing is deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct DeleteArguments {
    /// A backup's id
    pub(crate) backup: String,
    /// Say whether it may go. Nothing is deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct HoldArguments {
    /// A backup's id, or latest
    pub(crate) backup: String,
    /// Why: `grap show` and `grap expire --dry-run` say it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct ReleaseArguments {
    /// A backup's id, or latest
    pub(crate) backup: String,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct StatusArguments {
    #[command(flatten)]
    pub(crate) installation: Installation,
}

#[derive(Debug, Clone, Args, Serialize, Deserialize)]
pub(crate) struct CheckArguments {
    /// A data directory with all its databases, or one store directory: databases/NAME
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
    /// Directory of the transaction logs, where it is not transactions/ in the data directory
    #[arg(long, value_name = "DIR")]
    pub(crate) transactions: Option<PathBuf>,
}

#[derive(Debug, Clone, Default, Args, Serialize, Deserialize)]
pub(crate) struct CopyArguments {
    /// The second repository; make it with grap init
    #[arg(long, value_name = "REPO")]
    pub(crate) to: Option<String>,
    /// File that holds its password; the first one's by default
    #[arg(long, value_name = "FILE")]
    pub(crate) to_password_file: Option<String>,
    /// Command (for sh) that prints its password
    #[arg(long, value_name = "COMMAND")]
    pub(crate) to_password_command: Option<String>,
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum SourceVerb {
    /// The sources and what they are bound to
    List,
    /// Make a new source; its first backup binds it
    Add {
        /// 1 to 64 of a-z 0-9 . _ -
        name: String,
    },
    /// Bind the source to the databases that the installation holds now
    Rebind(Installation),
}

#[derive(Debug, Clone, Subcommand, Serialize, Deserialize)]
pub(crate) enum ConfigVerb {
    /// Every setting, its value and where it came from
    Show,
}

/// Where the work is done: a daemon does it for a client only where these are its own.
pub(crate) const LOCATIONS: [&str; 7] =
    ["repository", "source", "state_dir", "neo4j.home", "neo4j.data", "neo4j.transactions", "neo4j.database"];

impl Verb {
    /// Whether it changes something that a daemon looks after: then it is the daemon that does it, where one runs.
    pub(crate) fn is_for_the_daemon(&self) -> bool {
        match self {
            Self::Backup(_)
            | Self::Copy(_)
            | Self::Hold(_)
            | Self::Release(_)
            | Self::Recover(RecoverVerb::Start(_) | RecoverVerb::Cancel | RecoverVerb::Reset)
            | Self::Unlock
            | Self::Key(KeyVerb::Add(_) | KeyVerb::Change(_) | KeyVerb::Remove { .. })
            | Self::Source(SourceVerb::Add { .. } | SourceVerb::Rebind(_)) => true,
            Self::Drill(DrillArguments { history, .. }) => !history,
            Self::Recover(
                RecoverVerb::Promote(PromoteArguments { switch, .. })
                | RecoverVerb::Rollback(RollbackArguments { switch, .. }),
            ) => !switch.dry_run,
            Self::Recover(RecoverVerb::Release(StoreReleaseArguments { dry_run, .. }))
            | Self::Gc(GcArguments { dry_run })
            | Self::Expire(ExpireArguments { dry_run })
            | Self::Delete(DeleteArguments { dry_run, .. }) => !dry_run,
            Self::Init
            | Self::Archive(_)
            | Self::Serve(_)
            | Self::Supervise(_)
            | Self::List
            | Self::Show { .. }
            | Self::Verify(_)
            | Self::Restore(_)
            | Self::Open(_)
            | Self::Recover(RecoverVerb::Status)
            | Self::Window
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Health(_)
            | Self::Schema(_)
            | Self::Check(_)
            | Self::Key(KeyVerb::List)
            | Self::Source(SourceVerb::List)
            | Self::Config(_) => false,
        }
    }

    /// For the log of the daemon.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Unlock => "unlock",
            Self::Gc(_) => "gc",
            Self::Copy(_) => "copy",
            Self::Expire(_) => "expire",
            Self::Delete(_) => "delete",
            Self::Hold(_) => "hold",
            Self::Release(_) => "release",
            Self::Recover(_) => "recover",
            Self::Drill(_) => "drill",
            Self::Key(_) => "key",
            Self::Source(_) => "source",
            _ => "client",
        }
    }
}

impl Bolt {
    fn flags(&self) -> [(&'static str, &Option<String>); 3] {
        [("neo4j.uri", &self.uri), ("neo4j.auth_file", &self.auth_file), ("neo4j.database", &self.database)]
    }
}

impl Arguments {
    pub(crate) fn json(&self) -> bool {
        let is_json = |health: &HealthArguments| health.format == Format::Json;
        self.common.json || matches!(&self.verb, Verb::Health(health) if is_json(health))
    }

    /// The settings that were said as flags.
    pub(crate) fn flags(&self) -> Vec<(&'static str, String)> {
        let common = &self.common;
        let mut said = vec![
            ("repository", &common.repo),
            ("password_file", &common.password_file),
            ("password_command", &common.password_command),
            ("source", &common.source),
            ("state_dir", &common.state_dir),
        ];
        let installation = match &self.verb {
            Verb::Backup(backup) => {
                said.push(("backup.read_limit", &backup.read_limit));
                Some(&backup.installation)
            }
            Verb::Archive(archive) => Some(&archive.installation),
            Verb::Supervise(supervise) => {
                said.extend([
                    ("supervise.socket", &supervise.socket),
                    ("supervise.grace_s", &supervise.grace),
                    ("supervise.restart", &supervise.restart),
                ]);
                Some(&supervise.installation)
            }
            Verb::Health(health) => {
                said.extend([("health.schema_file", &health.schema), ("health.checks_file", &health.checks)]);
                said.extend(health.bolt.flags());
                None
            }
            Verb::Schema(
                SchemaVerb::Diff(schema) | SchemaVerb::Apply(SchemaApplyArguments { schema, .. }),
            ) => {
                said.extend(schema.bolt.flags());
                None
            }
            Verb::Open(open) => {
                said.push(("recovery.neo4j_home", &open.neo4j_home));
                None
            }
            Verb::Copy(copy) => {
                said.extend([
                    ("copy.to", &copy.to),
                    ("copy.password_file", &copy.to_password_file),
                    ("copy.password_command", &copy.to_password_command),
                ]);
                None
            }
            Verb::Recover(
                RecoverVerb::Start(RecoverStartArguments { installation, .. })
                | RecoverVerb::Promote(PromoteArguments {
                    switch: SwitchArguments { installation, .. }, ..
                })
                | RecoverVerb::Rollback(RollbackArguments {
                    switch: SwitchArguments { installation, .. }, ..
                })
                | RecoverVerb::Release(StoreReleaseArguments { installation, .. }),
            )
            | Verb::Drill(DrillArguments { installation, .. })
            | Verb::Doctor(installation)
            | Verb::Source(SourceVerb::Rebind(installation))
            | Verb::Serve(ServeArguments { installation })
            | Verb::Status(StatusArguments { installation }) => Some(installation),
            _ => None,
        };
        if let Some(installation) = installation {
            said.extend([
                ("neo4j.home", &installation.neo4j_home),
                ("neo4j.data", &installation.data),
                ("neo4j.transactions", &installation.transactions),
                ("neo4j.database", &installation.database),
            ]);
        }
        said.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}
