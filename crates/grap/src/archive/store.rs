//! The objects of one source's archive in a repository: put, get, find.
//!
//! What storage may not be assumed to do: a listing may hide what was put a moment ago. So the newest start,
//! and the end of a path, are found by listing **and then asking for the next name** until there is none.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use grap_core::SourceName;
use grap_neo4j::TxId;
use grap_repository::{Lock, ObjectError, ObjectInfo, Repository, RepositoryError};

use grap_task::Stopped;

use super::names::{self, Object, RunNumber, SegmentName};
use super::runs::Runs;
use super::segment::{Segment, SegmentError};
use super::start::{StartError, StartRecord};

#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    #[error(transparent)]
    Stopped(#[from] Stopped),
    #[error("the start record of run {run} is damaged")]
    Start { run: RunNumber, source: StartError },
    #[error("the segment {object} is damaged")]
    Segment { object: String, source: SegmentError },
}

impl ArchiveError {
    /// Of a version that a newer program writes.
    pub fn is_newer(&self) -> bool {
        matches!(
            self,
            Self::Start { source: StartError::Newer { .. }, .. }
                | Self::Segment { source: SegmentError::Unknown, .. }
        )
    }

    /// Something stored is damaged or gone, as against a storage that does not answer.
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Start { .. } | Self::Segment { .. } => !self.is_newer(),
            Self::Stopped(_) => false,
            Self::Repository(error) => matches!(
                error,
                RepositoryError::Damaged { .. } | RepositoryError::Object(ObjectError::NotFound { .. })
            ),
        }
    }
}

/// What a put found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    Stored,
    /// There is an object of that name: somebody else's, or ours if an answer was lost.
    Taken,
}

/// The archive of one source. Clones share what is known of it.
#[derive(Clone)]
pub struct Archive {
    repository: Repository,
    source: SourceName,
    known: Arc<Mutex<Known>>,
}

/// What does not change, and need not be read again.
#[derive(Default)]
struct Known {
    starts: BTreeMap<RunNumber, StartRecord>,
    ends: HashMap<(RunNumber, String), KnownEnd>,
}

/// Where an earlier run ended. What a writer that was overtaken puts behind it later is on no path but its own.
#[derive(Debug, Clone)]
pub(super) struct KnownEnd {
    /// The last name in the listing that this was found behind.
    pub(super) listed: Option<SegmentName>,
    /// Those that the listing hid.
    pub(super) hidden: Vec<SegmentName>,
    /// The last transaction, where that could be read.
    pub(super) last: Option<TxId>,
}

impl Archive {
    pub fn new(repository: Repository, source: SourceName) -> Self {
        Self { repository, source, known: Arc::default() }
    }

    pub fn source(&self) -> &SourceName {
        &self.source
    }

    pub(super) fn repository(&self) -> &Repository {
        &self.repository
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known_end(&self, run: RunNumber, database: &str) -> Option<KnownEnd> {
        self.known().ends.get(&(run, database.to_owned())).cloned()
    }

    pub(super) fn note_end(&self, run: RunNumber, database: &str, end: KnownEnd) {
        self.known().ends.insert((run, database.to_owned()), end);
    }

    /// Whether the repository itself still answers: a storage that went away shows nothing of what it holds.
    pub(super) fn require_storage(&self) -> Result<(), ArchiveError> {
        Ok(self.repository.require_config()?)
    }

    /// Every run and the names of its segments.
    pub fn runs(&self) -> Result<Runs, ArchiveError> {
        let mut segments = Vec::new();
        let mut newest = RunNumber(0);
        for info in self.repository.list_sealed(&names::folder(&self.source))? {
            match Object::parse(&self.source, &info.name) {
                Some(Object::Start(run)) => newest = newest.max(run),
                Some(Object::Segment(run, database, name)) => {
                    newest = newest.max(run);
                    segments.push((run, database, name));
                }
                None => {}
            }
        }
        let mut runs = Runs::default();
        for number in 1.. {
            let run = RunNumber(number);
            match self.start(run) {
                Ok(Some(start)) => runs.add(run, start),
                Ok(None) if run > newest => break,
                Ok(None) => runs.add_damaged(run, "its start record is missing".to_owned()),
                Err(error) if error.is_damage() => runs.add_damaged(run, error.to_string()),
                Err(error) => return Err(error),
            }
        }
        for (run, database, name) in segments {
            runs.add_segment(run, &database, name);
        }
        Ok(runs)
    }

    /// The highest number that is taken.
    pub fn newest(&self) -> Result<Option<RunNumber>, ArchiveError> {
        let listed = self.repository.list_sealed(&names::folder(&self.source))?;
        let number = |object| match object {
            Object::Start(run) | Object::Segment(run, ..) => run,
        };
        let objects = listed.iter().filter_map(|info| Object::parse(&self.source, &info.name));
        let mut newest = objects.map(number).max().unwrap_or(RunNumber(0));
        while self.has_begun(newest.next())? {
            newest = newest.next();
        }
        Ok((newest >= RunNumber::FIRST).then_some(newest))
    }

    /// What a listing shows of a run's segments of one database.
    pub fn segment_names(&self, run: RunNumber, database: &str) -> Result<Vec<SegmentName>, ArchiveError> {
        let listed = self.repository.list_sealed(&names::database_folder(&self.source, run, database))?;
        let name = |object| match object {
            Object::Segment(_, _, name) => Some(name),
            Object::Start(_) => None,
        };
        Ok(listed.iter().filter_map(|info| name(Object::parse(&self.source, &info.name)?)).collect())
    }

    /// `None`: there is no such run.
    pub fn start(&self, run: RunNumber) -> Result<Option<StartRecord>, ArchiveError> {
        if let Some(start) = self.known().starts.get(&run) {
            return Ok(Some(start.clone()));
        }
        let bytes = match self.repository.get_sealed(&names::start(&self.source, run)) {
            Err(RepositoryError::Object(ObjectError::NotFound { .. })) => return Ok(None),
            other => other?,
        };
        let start = StartRecord::parse(&bytes).map_err(|source| ArchiveError::Start { run, source })?;
        self.known().starts.insert(run, start.clone());
        Ok(Some(start))
    }

    /// Whether a run has begun; one question to the storage.
    pub fn has_begun(&self, run: RunNumber) -> Result<bool, ArchiveError> {
        Ok(self.repository.has_sealed(&names::start(&self.source, run))?)
    }

    pub fn put_start(&self, run: RunNumber, start: &StartRecord) -> Result<Put, ArchiveError> {
        self.put(&names::start(&self.source, run), &start.to_bytes())
    }

    /// The segment, or the parts of a merged one; each with the content that its header names.
    pub fn segments(
        &self,
        run: RunNumber,
        database: &str,
        name: SegmentName,
    ) -> Result<Vec<Segment>, ArchiveError> {
        self.load(run, database, name).map(|(_, segments)| segments)
    }

    /// The same, and the bytes of the object without its seal.
    pub(super) fn load(
        &self,
        run: RunNumber,
        database: &str,
        name: SegmentName,
    ) -> Result<(Vec<u8>, Vec<Segment>), ArchiveError> {
        let object = names::segment(&self.source, run, database, name);
        let bytes = self.repository.get_sealed(&object)?;
        let damaged = |source| ArchiveError::Segment { object: object.clone(), source };
        let found = Segment::parse_object(&bytes).map_err(damaged)?;
        let first = found.first().map(|segment| segment.header.first.0);
        let last = found.last().map(|segment| segment.header.last.0);
        if first != Some(name.first) || name.last.is_some_and(|named| last != Some(named)) {
            let (named, found) = (name.first, first.unwrap_or(name.first));
            return Err(damaged(SegmentError::OtherName { named, found }));
        }
        Ok((bytes, found))
    }

    /// Read an object whole: its seal, its hashes, and every transaction in it.
    pub fn check(&self, run: RunNumber, database: &str, name: SegmentName) -> Result<(), ArchiveError> {
        let object = names::segment(&self.source, run, database, name);
        let damaged = |source| ArchiveError::Segment { object: object.clone(), source };
        let mut before = None;
        for segment in self.segments(run, database, name)? {
            segment.log_header().map_err(damaged)?;
            before = Some(segment.scan(before.as_ref(), |_, _| {}).map_err(damaged)?);
        }
        Ok(())
    }

    /// As [`Archive::segments`]; `None` where there is no such object.
    pub fn find_segments(
        &self,
        run: RunNumber,
        database: &str,
        name: SegmentName,
    ) -> Result<Option<Vec<Segment>>, ArchiveError> {
        match self.segments(run, database, name) {
            Err(ArchiveError::Repository(RepositoryError::Object(ObjectError::NotFound { .. }))) => Ok(None),
            other => other.map(Some),
        }
    }

    pub fn put_segment(
        &self,
        run: RunNumber,
        database: &str,
        segment: &Segment,
    ) -> Result<Put, ArchiveError> {
        let name = SegmentName::single(segment.header.first.0);
        self.put(&names::segment(&self.source, run, database, name), &segment.to_bytes())
    }

    /// Put segments of one run again, as one object.
    pub fn put_merged(
        &self,
        run: RunNumber,
        database: &str,
        parts: &[Segment],
    ) -> Result<Option<(SegmentName, Put)>, ArchiveError> {
        let ([first, ..], Some(last)) = (parts, parts.last()) else { return Ok(None) };
        let name = SegmentName { first: first.header.first.0, last: Some(last.header.last.0) };
        let object = names::segment(&self.source, run, database, name);
        self.put(&object, &Segment::merge(parts)).map(|put| Some((name, put)))
    }

    /// Delete a segment. Nobody but `expire` and `gc` does.
    pub fn delete_segment(
        &self,
        run: RunNumber,
        database: &str,
        name: SegmentName,
        lock: &Lock,
    ) -> Result<(), ArchiveError> {
        Ok(self.repository.delete_sealed(&names::segment(&self.source, run, database, name), lock)?)
    }

    /// Bytes, as stored, of every segment that a listing shows.
    pub fn sizes(&self) -> Result<HashMap<(RunNumber, String, SegmentName), u64>, ArchiveError> {
        let listed = self.repository.list_sealed(&names::folder(&self.source))?;
        let size = |info: &ObjectInfo| match Object::parse(&self.source, &info.name)? {
            Object::Segment(run, database, name) => Some(((run, database, name), info.size)),
            Object::Start(_) => None,
        };
        Ok(listed.iter().filter_map(size).collect())
    }

    fn put(&self, object: &str, bytes: &[u8]) -> Result<Put, ArchiveError> {
        match self.repository.put_sealed(object, bytes) {
            Ok(()) => Ok(Put::Stored),
            Err(RepositoryError::Object(ObjectError::AlreadyExists { .. })) => Ok(Put::Taken),
            Err(error) => Err(error.into()),
        }
    }
}
