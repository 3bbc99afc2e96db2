//! A stopped installation made of a fixture, whose logs can be cut anywhere; a repository; an archive that the
//! test writes itself, object by object.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use grap::Result;
use grap::archive::{Archive, DatabaseStart, Parent, RunNumber, Segment, SegmentHeader, StartRecord};
use grap::live::{InstallationOptions, Pace, Place};
use grap::ops::{
    self, Access, BackupOptions, ExpireOptions, ExpirePlan, ExpireReport, PlanReport, RestoreOptions,
    RestoreReport, Session, VerifyOptions,
};
use grap::state::StateDirectory;
use grap_core::RetentionRules;
use grap_neo4j::checkpoint::CheckpointLog;
use grap_neo4j::txlog::{FileHeader, HEADER_LENGTH, ScanStart, Scanner, Transaction};
use grap_neo4j::{LogPosition, TransactionEnd, TxId};
use grap_repository::{KdfCost, LocalStore, LockHolder, ObjectStore as _, Repository, WriterOptions};
use grap_task::{Clock, ManualClock, Silent, Stop};
use grap_testkit::fixture::testdata;
use grap_testkit::{logs, store_fixture, tree};
use jiff::Timestamp;
use secrecy::SecretString;

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    clock: Clock,
    holder: LockHolder,
}

/// A transaction of the fixture with its bytes and the header of its file.
#[derive(Clone)]
pub(crate) struct Logged {
    pub(crate) transaction: Transaction,
    pub(crate) bytes: Vec<u8>,
    header: [u8; HEADER_LENGTH],
}

const SIDES: [(&str, &str); 4] =
    [("databases", "neo4j"), ("databases", "system"), ("transactions", "neo4j"), ("transactions", "system")];
/// More than lies between the fixture's commits and the backups of a test.
pub(crate) const WINDOW_DAYS: u32 = 500;

/// What taking a lock waits.
const LOCKING: jiff::SignedDuration = jiff::SignedDuration::from_millis(200);

/// Nothing stays by its age or by counts.
pub(crate) fn expire_options() -> ExpireOptions {
    ExpireOptions {
        source: None,
        rules: RetentionRules { days: 1, daily: 0, weekly: 0, monthly: 0 },
        window_days: WINDOW_DAYS,
        zone: jiff::tz::TimeZone::UTC,
        schedule: None,
    }
}

/// Every start is this installation's.
const NONCE: &str = "ours";

pub(crate) const DATABASES: [&str; 2] = ["neo4j", "system"];

impl World {
    /// The whole logs of a fixture lie in `whole`; `data` is empty until [`World::install`].
    pub(crate) fn new(version: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let folder =
            if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let whole = folder.path().join("whole");
        store_fixture(version, &whole).unwrap();
        let frozen = testdata().join(format!("neo4j-{version}"));
        tree::copy(&whole.join("databases/neo4j"), &whole.join("databases/system")).unwrap();
        for database in DATABASES {
            let from = if database == "system" { frozen.join("system") } else { frozen.clone() };
            let store = whole.join("databases").join(database);
            std::fs::copy(from.join("neostore"), store.join("neostore")).unwrap();
            let logs = whole.join("transactions").join(database);
            let _ = std::fs::remove_dir_all(&logs);
            std::fs::create_dir_all(&logs).unwrap();
            for entry in std::fs::read_dir(&from).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                if name.starts_with("checkpoint.") || name.starts_with("neostore.transaction.db") {
                    std::fs::copy(from.join(&name), logs.join(&name)).unwrap();
                }
            }
        }
        let holder = LockHolder { hostname: "host".into(), username: "user".into(), uid: 0, gid: 0 };
        let clock = Clock::Manual(ManualClock::at("2027-11-25T02:00:00Z".parse().unwrap()));
        let world = Self { folder, clock, holder };
        let state = world.state();
        for side in ["databases", "transactions"] {
            std::fs::create_dir_all(world.path("data").join(side)).unwrap();
        }
        let known = format!("{{\"last\":\"{NONCE}\",\"intended\":[]}}");
        std::fs::write(world.path("state").join("archive-neo4j.json"), known).unwrap();
        ops::init(world.access(), "neo4j".parse().unwrap(), KdfCost::cheapest(), &state, &world.session())
            .unwrap();
        world
    }

    /// One database that was started on 5.13, 5.26 and 2026.08, one after the other.
    pub(crate) fn upgraded() -> Self {
        let world = Self::new("5.13.0");
        let frozen = testdata().join("neo4j-upgrade-5.13-5.26-2026.08");
        let logs = world.path("whole/transactions/neo4j");
        for entry in std::fs::read_dir(&logs).unwrap() {
            std::fs::remove_file(entry.unwrap().path()).unwrap();
        }
        for name in ["3", "4", "5"].map(|version| format!("neostore.transaction.db.{version}")) {
            std::fs::copy(frozen.join(&name), logs.join(&name)).unwrap();
        }
        std::fs::copy(frozen.join("checkpoint.0"), logs.join("checkpoint.0")).unwrap();
        // The store beside it gets the log's store id: slots of a byte and eight bytes, from the sixth on.
        let header = std::fs::read(logs.join("neostore.transaction.db.3")).unwrap();
        let store = world.path("whole/databases/neo4j/neostore");
        let mut neostore = std::fs::read(&store).unwrap();
        for (slot, part) in (5..).zip(header[16..80].chunks(8)) {
            neostore[slot * 9 + 1..slot * 9 + 9].copy_from_slice(part);
        }
        std::fs::write(&store, neostore).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn access(&self) -> Access {
        Access::local(self.path("repository"), SecretString::from("secret"))
    }

    pub(crate) fn session(&self) -> Session<'_> {
        Session {
            clock: &self.clock,
            stop: stop(),
            monitor: &Silent,
            holder: &self.holder,
            program: "grap test",
        }
    }

    pub(crate) fn state(&self) -> StateDirectory {
        StateDirectory::open(&self.path("state")).unwrap()
    }

    pub(crate) fn tick(&self, by: Duration) {
        if let Clock::Manual(clock) = &self.clock {
            clock.advance(by);
        }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The installation as it was when these were the last transactions: the checkpoint files up to the last
    /// record at or below, the logs cut there.
    pub(crate) fn install(&self, neo4j: u64, system: u64) {
        let data = self.path("data");
        // The directory `databases` itself stays: it is the place that may write.
        for (side, database) in SIDES {
            let _ = std::fs::remove_dir_all(data.join(side).join(database));
            let from = self.path("whole").join(side).join(database);
            tree::copy(&from, &data.join(side).join(database)).unwrap();
        }
        for (database, last) in [("neo4j", neo4j), ("system", system)] {
            let logs = data.join("transactions").join(database);
            logs::cut_behind(&logs, last).unwrap();
            let path = logs.join("checkpoint.0");
            let bytes = std::fs::read(&path).unwrap();
            let log = CheckpointLog::parse(&bytes).unwrap();
            let record = log.records.iter().rfind(|record| record.tx_id.0 <= last).unwrap();
            let cut = usize::try_from(record.end).unwrap();
            std::fs::write(&path, &bytes[..cut]).unwrap();
        }
    }

    pub(crate) fn backup(&self) -> String {
        self.tick(Duration::from_secs(1));
        let options = BackupOptions {
            installation: self.installation(),
            source: None,
            tags: Vec::new(),
            note: None,
            read_limit: None,
            niceness: 0,
            writer: WriterOptions { workers: 1, pack_size: 64 << 10, ..WriterOptions::default() },
            pace: Pace::OnDemand,
            takeover: false,
            settings: None,
        };
        let report = ops::backup(&options, self.access(), &self.state(), &self.session()).unwrap();
        report.manifest.id.to_string()
    }

    pub(crate) fn installation(&self) -> InstallationOptions {
        InstallationOptions::Data { data: self.path("data"), transactions: None, database: None }
    }

    pub(crate) fn options(&self, target: &str) -> RestoreOptions {
        RestoreOptions {
            target: target.parse().unwrap(),
            source: None,
            timeline: None,
            to: self.path("to"),
            databases: Vec::new(),
            owner: None,
            keep_going: false,
            no_lock: false,
        }
    }

    pub(crate) fn restore(&self, target: &str) -> Result<RestoreReport> {
        self.restore_with(&self.options(target))
    }

    pub(crate) fn restore_with(&self, options: &RestoreOptions) -> Result<RestoreReport> {
        let _ = std::fs::remove_dir_all(&options.to);
        let report = ops::restore(options, self.access(), &self.state(), &self.session());
        if report.is_err() {
            assert!(!options.to.exists(), "a refused restore leaves nothing");
        }
        report
    }

    /// The code that a restore is refused with, and what it says.
    pub(crate) fn refused(&self, target: &str) -> (&'static str, String) {
        refusal(self.restore(target))
    }

    pub(crate) fn plan(&self, target: &str) -> Result<PlanReport> {
        ops::plan_restore(&self.options(target), self.access(), &self.session())
    }

    /// A window that begins then, for an operation that takes a lock first (the clock goes on meanwhile).
    pub(crate) fn begin_window(&self, begins_ms: i64) {
        if let Clock::Manual(clock) = &self.clock {
            let reach = jiff::SignedDuration::from_hours(24 * i64::from(WINDOW_DAYS));
            clock.step_wall(Timestamp::from_millisecond(begins_ms).unwrap() + reach - LOCKING);
        }
    }

    pub(crate) fn expire(&self) -> Result<ExpireReport> {
        let state = StateDirectory::open(&self.path("state"))?;
        ops::expire(&expire_options(), self.access(), &state, &self.session())
    }

    pub(crate) fn plan_expire(&self) -> Result<ExpirePlan> {
        ops::plan_expire(&expire_options(), self.access(), &self.session())
    }

    /// A backup that is good from now on.
    pub(crate) fn good_backup(&self) -> String {
        let id = self.backup();
        let options =
            VerifyOptions { backup: Some(id.parse().unwrap()), source: None, read_data_percent: None };
        let report = ops::verify(&options, self.access(), &self.session()).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        id
    }

    pub(crate) fn backups(&self) -> Vec<String> {
        let report = ops::list(self.access(), None, &self.state(), &self.session()).unwrap();
        report.rows.into_iter().map(|row| row.id).collect()
    }

    /// The names of the objects below a folder of the repository.
    pub(crate) fn objects(&self, folder: &str) -> Vec<String> {
        let store = LocalStore::open(self.path("repository"));
        let mut names: Vec<String> = store.list(folder).unwrap().into_iter().map(|info| info.name).collect();
        names.sort();
        names
    }

    pub(crate) fn verify(&self) -> Vec<String> {
        let options = VerifyOptions { backup: None, source: None, read_data_percent: None };
        ops::verify(&options, self.access(), &self.session()).unwrap().problems
    }

    pub(crate) fn archive(&self) -> Archive {
        let store = Box::new(LocalStore::open(self.path("repository")));
        let repository = Repository::open(store, &SecretString::from("secret")).unwrap();
        Archive::new(repository, "neo4j".parse().unwrap())
    }

    /// Every transaction of a database of the fixture.
    pub(crate) fn log(&self, database: &str) -> Vec<Logged> {
        read_log(&self.path("whole").join("transactions").join(database))
    }

    /// The bytes of a transaction in the restored log.
    pub(crate) fn restored_bytes(&self, transaction: &Transaction) -> Vec<u8> {
        let name = format!("neostore.transaction.db.{}", transaction.start.version);
        let bytes = std::fs::read(self.path("to/transactions/neo4j").join(name)).unwrap();
        let at = |position: LogPosition| usize::try_from(position.offset).unwrap();
        bytes[at(transaction.start)..at(transaction.end)].to_vec()
    }

    /// The log of a restored database is the server's own, cut right behind the transaction, and nothing else.
    pub(crate) fn assert_log(&self, database: &str, last: u64) {
        let expected = self.path("expected");
        let _ = std::fs::remove_dir_all(&expected);
        tree::copy(&self.path("whole").join("transactions").join(database), &expected).unwrap();
        logs::cut_behind(&expected, last).unwrap();
        let restored = self.path("to/transactions").join(database);
        let found = names(&restored);
        for name in found.iter().filter(|name| name.starts_with("neostore")) {
            let (expected, found) =
                (std::fs::read(expected.join(name)).unwrap(), std::fs::read(restored.join(name)).unwrap());
            assert!(expected == found, "{database}, {last}: {name} differs");
        }
        let newest =
            |names: &[String]| names.iter().filter(|name| name.starts_with("neostore")).max().cloned();
        assert_eq!(newest(&names(&expected)), newest(&found), "{database}, {last}");
        assert_eq!(found.iter().filter(|name| name.starts_with("checkpoint")).count(), 1);
    }
}

pub(crate) fn refusal<T>(result: Result<T>) -> (&'static str, String) {
    let Err(error) = result else { panic!("it was not refused") };
    let causes = grap::causes(&error);
    (error.code().name(), format!("{error}: {}", causes.join(": ")))
}

fn read_log(folder: &Path) -> Vec<Logged> {
    let mut found = Vec::new();
    for file in logs::log_files(folder).unwrap() {
        let bytes = std::fs::read(file).unwrap();
        let Some(header) = FileHeader::parse(&bytes).unwrap().written() else { continue };
        for transaction in Scanner::new(&bytes[HEADER_LENGTH..], ScanStart::of_file(&header)) {
            let transaction = transaction.unwrap();
            let at = |position: LogPosition| usize::try_from(position.offset).unwrap();
            found.push(Logged {
                transaction,
                bytes: bytes[at(transaction.start)..at(transaction.end)].to_vec(),
                header: bytes[..HEADER_LENGTH].try_into().unwrap(),
            });
        }
    }
    found
}

/// Segments of so many transactions, or fewer where a log file ends. The archiver's clock stands a little
/// behind the last commit of each.
pub(crate) fn segments(log: &[Logged], each: usize) -> Vec<Segment> {
    let mut segments: Vec<Segment> = Vec::new();
    let mut count = 0;
    for logged in log {
        let transaction = &logged.transaction;
        let named = (transaction.id, transaction.checksum);
        let clock_ms = transaction.commit_time.0 + 20;
        match segments.last_mut() {
            Some(last) if count < each && last.header.position.version == transaction.start.version => {
                last.header.last = named;
                last.header.clock_ms = last.header.clock_ms.max(clock_ms);
                last.content.extend(&logged.bytes);
                count += 1;
            }
            _ => {
                count = 1;
                segments.push(Segment {
                    header: SegmentHeader {
                        position: transaction.start,
                        inode: 7,
                        clock_ms,
                        first: named,
                        last: named,
                        file_header: logged.header,
                    },
                    content: logged.bytes.clone(),
                });
            }
        }
    }
    segments
}

/// A start that covers one database or both.
pub(crate) struct Start {
    pub(crate) run: u64,
    pub(crate) server: &'static str,
    pub(crate) at_ms: i64,
    pub(crate) databases: BTreeMap<String, DatabaseStart>,
}

impl Start {
    pub(crate) fn new(run: u64, at_ms: i64) -> Self {
        Self { run, server: "server 1", at_ms, databases: BTreeMap::new() }
    }

    pub(crate) fn root(mut self, database: &str, first: u64, broken: Option<&str>) -> Self {
        let start = DatabaseStart {
            parent: None,
            first_id: TxId(first),
            broken: broken.map(str::to_owned),
            side: false,
        };
        self.databases.insert(database.to_owned(), start);
        self
    }

    pub(crate) fn behind(
        mut self,
        database: &str,
        (run, end): (u64, TransactionEnd),
        broken: Option<&str>,
    ) -> Self {
        let start = DatabaseStart {
            parent: Some(Parent::new(RunNumber(run), &end)),
            first_id: end.id.next(),
            broken: broken.map(str::to_owned),
            side: false,
        };
        self.databases.insert(database.to_owned(), start);
        self
    }

    pub(crate) fn put(self, world: &World) {
        let place = grap_disk::stat(&world.path("data/databases")).unwrap().unwrap();
        let born = place.born.map(|born| i64::try_from(born).unwrap());
        let record = StartRecord {
            version: StartRecord::VERSION,
            nonce: NONCE.to_owned(),
            place: Place { inode: place.inode, born },
            host: "host".to_owned(),
            server_run: self.server.to_owned(),
            at: Timestamp::from_millisecond(self.at_ms).unwrap(),
            since_boot_ms: 0,
            takeover: false,
            databases: self.databases,
        };
        world.archive().put_start(RunNumber(self.run), &record).unwrap();
    }
}

/// Another history: the same transactions, committed so much later, with the checksums that follow. (Only of a
/// kernel that does not name the previous checksum.)
pub(crate) fn forged(log: &[Logged], later_ms: i64) -> Vec<Logged> {
    let forge = |logged: &Logged| {
        let mut forged = logged.clone();
        let time = &mut forged.transaction.commit_time;
        time.0 += later_ms;
        let at = forged.bytes.len() - 12;
        forged.bytes[at..at + 8].copy_from_slice(&time.0.to_le_bytes());
        let checksum = crc32c::crc32c(&forged.bytes[..at + 8]);
        forged.bytes[at + 8..].copy_from_slice(&checksum.to_le_bytes());
        forged.transaction.checksum = grap_neo4j::Checksum(checksum);
        forged
    };
    log.iter().map(forge).collect()
}

pub(crate) fn put_all(archive: &Archive, run: u64, database: &str, segments: &[Segment]) {
    for segment in segments {
        archive.put_segment(RunNumber(run), database, segment).unwrap();
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names = grap_disk::list(folder).unwrap().unwrap_or_default();
    names.sort();
    names
}

/// Nobody asks these runs to stop.
fn stop() -> &'static Stop {
    static STOP: std::sync::OnceLock<Stop> = std::sync::OnceLock::new();
    STOP.get_or_init(Stop::new)
}
