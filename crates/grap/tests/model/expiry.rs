//! What the code itself decides about old log, in a model's world: every base is a verified backup.

use std::collections::BTreeSet;

use grap::archive::{self, ExpiredLog, History, Keeping, KnownBackup, RunNumber, SegmentName};
use grap::catalog::Backup;
use grap::copy::{CheckpointRef, DatabaseManifest, Manifest, Point, ServerManifest};
use grap::notes::Author;
use grap_repository::{Id, Snapshot, SnapshotId, TreeId};
use grap_task::Stop;
use jiff::Timestamp;

use crate::keeper::Base;
use crate::world::World;

/// The segments that go.
pub(crate) fn names(decided: &Keeping) -> BTreeSet<(RunNumber, String, SegmentName)> {
    let of = |going: &archive::Going| {
        let (run, database) = (going.run, going.database.clone());
        going.names.iter().map(move |(name, _)| (run, database.clone(), *name)).collect::<Vec<_>>()
    };
    decided.going.iter().flat_map(of).collect()
}

impl World {
    pub(crate) fn decide(&self, since_ms: i64) -> Keeping {
        let since = Timestamp::from_millisecond(since_ms).unwrap();
        let decided = archive::keep(&self.known(), &|_| true, since).unwrap();
        assert_eq!(decided.doubt, None);
        decided
    }

    /// Say what goes, before it goes.
    pub(crate) fn record(&self, decided: &Keeping) {
        let at = Timestamp::from_millisecond(self.time().0).unwrap();
        let author = Author { at, host: "host".to_owned(), program: "model".to_owned() };
        let log = ExpiredLog::load(&self.archive).unwrap();
        log.put(&self.archive, &author, at, &decided.ranges()).unwrap();
    }

    /// What a verification of the archive says now.
    pub(crate) fn problems(&self) -> Vec<String> {
        let mut verified = archive::Verified::default();
        archive::verify(&self.known(), &Stop::new(), &mut verified).unwrap();
        verified.problems
    }

    fn known(&self) -> History {
        let backups = self.bases.iter().enumerate().map(|(number, base)| backup(number, base)).collect();
        History::of(self.archive.clone(), self.archive.runs().unwrap(), backups, Stop::new())
    }
}

fn backup(number: usize, base: &Base) -> KnownBackup {
    let id: grap_core::BackupId = format!("neo4j-20261125-020000-{}", number + 2).parse().unwrap();
    let zero: Id = "0".repeat(64).parse().unwrap();
    let snapshot = Snapshot {
        id: SnapshotId(zero),
        time: Timestamp::UNIX_EPOCH,
        parent: None,
        tree: TreeId(zero),
        paths: Vec::new(),
        hostname: String::new(),
        username: String::new(),
        tags: Vec::new(),
        program_version: String::new(),
    };
    let end = Point::from(base.end);
    let database = DatabaseManifest {
        name: base.database.clone(),
        store_id: base.store_id.clone(),
        database_id: String::new(),
        format: "aligned".to_owned(),
        kernel: 0,
        server_min: String::new(),
        checkpoint: CheckpointRef { version: 0, end_offset: 0, reason: String::new(), point: end },
        replay_from: base.end.position,
        end,
        transactions: 0,
        nodes: None,
        relationships: None,
        files: Vec::new(),
        omitted: Vec::new(),
    };
    let source: grap_core::SourceName = "prod".parse().unwrap();
    let manifest = Manifest {
        manifest_version: Manifest::VERSION,
        id: id.clone(),
        source: source.clone(),
        started: Timestamp::UNIX_EPOCH,
        finished: Timestamp::UNIX_EPOCH,
        program: String::new(),
        host: String::new(),
        server: ServerManifest { running: true, version: None },
        databases: vec![database],
        tags: Vec::new(),
        note: None,
        bytes: 0,
        bytes_added: 0,
        archive: None,
        configuration: Vec::new(),
    };
    KnownBackup { backup: Backup { id, source, snapshot }, manifest }
}
