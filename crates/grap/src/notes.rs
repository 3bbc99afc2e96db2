//! What is known of a backup since it was published: sealed records `grap/notes/<source>/<backup id>/<n>`, beside
//! the snapshot that is never rewritten (docs/format/repository.md).
//!
//! Notes are only ever put: n counts from 1, and who finds a number taken takes the next. A listing may hide what was
//! put a moment ago, so a reader asks for the next number until there is none. Folded they give a [`Standing`]: the
//! newest verdict counts, a release ends the hold that it names. A note that cannot be read may be a hold or a verdict:
//! then the standing says so, and nothing that depends on it may be deleted. Notes outlive their backup: each deletion
//! leaves a record.

use std::collections::{BTreeMap, BTreeSet};

use grap_core::{BackupId, SourceName, Verdict};
use grap_repository::{Id, ObjectError, Repository, RepositoryError};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalog::Backup;
use crate::error::{Result, in_one_line};

const FOLDER: &str = "grap/notes";
/// Of a note. One of another version cannot be read.
const VERSION: u32 = 1;
/// A verification that found more names so many.
const PROBLEMS_MAX: usize = 20;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub version: u32,
    pub at: Timestamp,
    pub host: String,
    pub program: String,
    pub kind: NoteKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// A verification found nothing wrong; so much of the stored data it read.
    Verified {
        read_data_percent: u8,
    },
    Failed {
        problems: Vec<String>,
        read_data_percent: u8,
    },
    /// Nothing may delete it. The hold is called by the number of this note.
    Held {
        hold: u64,
        holder: String,
        reason: String,
    },
    Released {
        hold: u64,
    },
    /// It is about to be deleted: why, and by which operation.
    Expired {
        why: Vec<String>,
        by: String,
    },
}

/// Who writes a note, and when.
#[derive(Debug, Clone)]
pub struct Author {
    pub at: Timestamp,
    pub host: String,
    pub program: String,
}

/// The notes of one backup, folded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// The newest.
    pub judged: Option<Judged>,
    /// What the newest verification found, where it failed.
    pub problems: Vec<String>,
    /// Those that nobody released, oldest first.
    pub holds: Vec<Hold>,
    /// Those that somebody did.
    pub released: Vec<Hold>,
    /// When it was (about to be) deleted.
    pub expired: Option<Timestamp>,
    /// Why a note cannot be read, naming it.
    pub unreadable: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    pub at: Timestamp,
    /// How much of the stored data was read for it.
    pub read_data_percent: u8,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub hold: u64,
    pub holder: String,
    pub reason: String,
    pub since: Timestamp,
}

impl Standing {
    pub fn verdict(&self) -> Option<Verdict> {
        self.judged.map(|judged| judged.verdict)
    }

    /// Why nobody may decide over the backup.
    pub fn doubt(&self) -> Option<String> {
        (!self.unreadable.is_empty())
            .then(|| format!("a note cannot be read: {}", self.unreadable.join("; ")))
    }

    /// Whether a passed verification that read so much makes the backup good (again): damage that was found by reading
    /// the data is not disproved by a look that did not read all of it.
    pub fn may_become_good(&self, read_data_percent: u8) -> bool {
        let failed = self.judged.filter(|judged| judged.verdict == Verdict::Failed);
        failed.is_none_or(|failed| failed.read_data_percent == 0 || read_data_percent >= 100)
    }

    /// Whether a note would tell nothing new of what is wrong.
    pub fn has_problems_of(&self, kind: &NoteKind) -> bool {
        let NoteKind::Failed { problems, .. } = kind else { return true };
        problems.iter().all(|problem| self.problems.contains(problem))
    }

    /// Packs that its newest verification found damaged.
    pub fn damaged_packs(&self) -> impl Iterator<Item = Id> + '_ {
        // A problem begins with the name of the object.
        let pack = |problem: &String| {
            let name = problem.strip_prefix("data/")?.split_once('/')?.1;
            name.split_once(':')?.0.parse().ok()
        };
        self.problems.iter().filter_map(pack)
    }

    fn add(&mut self, note: Note) {
        let at = note.at;
        match note.kind {
            NoteKind::Verified { read_data_percent } => {
                self.problems.clear();
                self.judged = Some(Judged { verdict: Verdict::Verified, at, read_data_percent });
            }
            NoteKind::Failed { problems, read_data_percent } => {
                // One that read less found something else: what was found by reading the data is still there.
                let before = self.judged.filter(|judged| judged.verdict == Verdict::Failed);
                let read_data_percent =
                    before.map_or(0, |before| before.read_data_percent).max(read_data_percent);
                self.problems = problems;
                self.judged = Some(Judged { verdict: Verdict::Failed, at, read_data_percent });
            }
            NoteKind::Held { hold, holder, reason } => {
                self.holds.push(Hold { hold, holder, reason, since: at });
            }
            NoteKind::Released { hold } => {
                self.released.extend(self.holds.extract_if(.., |held| held.hold == hold));
            }
            NoteKind::Expired { .. } => self.expired = Some(at),
        }
    }
}

impl std::fmt::Display for Hold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} since {}: {}", self.holder, self.since.strftime("%Y-%m-%d %H:%M:%SZ"), self.reason)
    }
}

/// The numbers of a source's notes, from one listing.
pub struct Notes<'a> {
    repository: &'a Repository,
    source: &'a SourceName,
    listed: BTreeMap<BackupId, Vec<u64>>,
}

impl<'a> Notes<'a> {
    pub fn list(repository: &'a Repository, source: &'a SourceName) -> Result<Self> {
        let mut listed: BTreeMap<BackupId, Vec<u64>> = BTreeMap::new();
        for object in repository.list_sealed(&format!("{FOLDER}/{source}"))? {
            let mut parts = object.name.rsplit('/');
            let (number, id) = (parts.next().and_then(number_of), parts.next().map(str::parse::<BackupId>));
            if let (Some(number), Some(Ok(id))) = (number, id) {
                listed.entry(id).or_default().push(number);
            }
        }
        Ok(Self { repository, source, listed })
    }

    /// The standing by the newest verdict alone, as far as it is listed and can be read: one request for most backups.
    fn newest_verdict(&self, id: &BackupId) -> Result<Standing> {
        let mut numbers = self.listed.get(id).cloned().unwrap_or_default();
        numbers.sort_unstable();
        for number in numbers.into_iter().rev() {
            let bytes = match self.repository.get_sealed(&object(self.source, id, number)) {
                Ok(bytes) => bytes,
                Err(
                    RepositoryError::Damaged { .. } | RepositoryError::Object(ObjectError::NotFound { .. }),
                ) => continue,
                Err(error) => return Err(error.into()),
            };
            if let Ok(note @ Note { kind: NoteKind::Verified { .. } | NoteKind::Failed { .. }, .. }) =
                parse(&bytes)
            {
                let mut standing = Standing::default();
                standing.add(note);
                return Ok(standing);
            }
        }
        Ok(Standing::default())
    }

    /// Every note of a backup that can be read, oldest first, folded.
    pub fn standing(&self, id: &BackupId) -> Result<Standing> {
        let mut standing = Standing::default();
        let listed = self.listed.get(id).and_then(|numbers| numbers.iter().copied().max()).unwrap_or(0);
        for number in 1.. {
            let name = object(self.source, id, number);
            match self.repository.get_sealed(&name) {
                Ok(bytes) => match parse(&bytes) {
                    Ok(note) => standing.add(note),
                    Err(why) => standing.unreadable.push(format!("{name}: {why}")),
                },
                Err(RepositoryError::Object(ObjectError::NotFound { .. })) if number > listed => break,
                Err(RepositoryError::Object(ObjectError::NotFound { .. })) => {
                    standing.unreadable.push(format!("{name}: it is missing"));
                }
                Err(error @ RepositoryError::Damaged { .. }) => standing.unreadable.push(in_one_line(&error)),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(standing)
    }
}

/// Packs that were found damaged, by the newest verdicts of these backups. Nothing new rests on them; whoever judges a
/// backup without reading all of it reads these again, because one that was made before may.
pub fn damaged_packs(repository: &Repository, backups: &[Backup]) -> Result<BTreeSet<Id>> {
    let sources: BTreeSet<&SourceName> = backups.iter().map(|backup| &backup.source).collect();
    let mut packs = BTreeSet::new();
    for source in sources {
        let notes = Notes::list(repository, source)?;
        for backup in backups.iter().filter(|backup| backup.source == *source) {
            packs.extend(notes.newest_verdict(&backup.id)?.damaged_packs());
        }
    }
    Ok(packs)
}

/// Put a note under the next free number; `kind` is told which that is.
pub fn put(
    repository: &Repository,
    source: &SourceName,
    id: &BackupId,
    author: &Author,
    kind: impl Fn(u64) -> NoteKind,
) -> Result<u64> {
    let listed = repository.list_sealed(&format!("{FOLDER}/{source}/{id}"))?;
    let mut number = listed.iter().filter_map(|object| number_of(object.base_name())).max().unwrap_or(0) + 1;
    loop {
        let note = Note {
            version: VERSION,
            at: author.at,
            host: author.host.clone(),
            program: author.program.clone(),
            kind: kind(number),
        };
        let bytes = serde_json::to_vec(&note).expect("a note is plain data");
        match repository.put_sealed(&object(source, id, number), &bytes) {
            Ok(()) => return Ok(number),
            Err(RepositoryError::Object(ObjectError::AlreadyExists { .. })) => number += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

impl NoteKind {
    /// Of many problems the first are noted.
    pub fn failed(mut problems: Vec<String>, read_data_percent: u8) -> Self {
        let more = problems.len().saturating_sub(PROBLEMS_MAX);
        problems.truncate(PROBLEMS_MAX);
        if more > 0 {
            problems.push(format!("and {more} more"));
        }
        Self::Failed { problems, read_data_percent }
    }
}

fn parse(bytes: &[u8]) -> std::result::Result<Note, String> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let head: Head = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if head.version != VERSION {
        return Err(format!("it has version {}; this program knows {VERSION}", head.version));
    }
    serde_json::from_slice(bytes).map_err(|error| error.to_string())
}

fn object(source: &SourceName, id: &BackupId, number: u64) -> String {
    format!("{FOLDER}/{source}/{id}/{number:010}")
}

fn number_of(text: &str) -> Option<u64> {
    let plain = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use grap_repository::object::memory::MemoryStore;
    use grap_repository::{InitOptions, KdfCost, ObjectStore as _};
    use grap_task::{Clock, ManualClock};

    use super::*;

    fn repository() -> (std::sync::Arc<MemoryStore>, Repository) {
        let store =
            std::sync::Arc::new(MemoryStore::new(Clock::Manual(ManualClock::at(Timestamp::UNIX_EPOCH))));
        let options = InitOptions {
            hostname: "host".to_owned(),
            username: "user".to_owned(),
            created: Timestamp::UNIX_EPOCH,
            cost: KdfCost::cheapest(),
        };
        let opened = Repository::init(Box::new(std::sync::Arc::clone(&store)), &"password".into(), &options);
        (store, opened.unwrap().0)
    }

    #[test]
    fn the_newest_verdict_counts_and_a_release_ends_the_hold_that_it_names() {
        let (store, repository) = repository();
        let (source, id): (SourceName, BackupId) =
            ("prod".parse().unwrap(), "neo4j-20261125-020000".parse().unwrap());
        let author =
            Author { at: Timestamp::UNIX_EPOCH, host: "host".to_owned(), program: "grap test".to_owned() };
        let note = |kind: NoteKind| put(&repository, &source, &id, &author, move |_| kind.clone()).unwrap();
        let hold = |reason: &str| {
            let held = |hold| NoteKind::Held { hold, holder: "ann".to_owned(), reason: reason.to_owned() };
            put(&repository, &source, &id, &author, held).unwrap()
        };
        let standing = || Notes::list(&repository, &source).unwrap().standing(&id).unwrap();
        assert_eq!(standing(), Standing::default());
        note(NoteKind::Verified { read_data_percent: 0 });
        let (first, second) = (hold("audit"), hold("case 7"));
        assert_eq!((first, second), (2, 3));
        note(NoteKind::failed(vec!["data/ab/1: gone".to_owned(); 50], 100));
        note(NoteKind::Released { hold: first });
        let folded = standing();
        assert_eq!(folded.verdict(), Some(Verdict::Failed));
        assert!(!folded.may_become_good(0) && !folded.may_become_good(99) && folded.may_become_good(100));
        // Something else that is wrong does not make that right.
        note(NoteKind::failed(vec!["index: gone".to_owned()], 0));
        assert!(!standing().may_become_good(0));
        assert_eq!(folded.holds.iter().map(|hold| hold.reason.as_str()).collect::<Vec<_>>(), ["case 7"]);
        note(NoteKind::Verified { read_data_percent: 100 });
        assert_eq!(standing().verdict(), Some(Verdict::Verified));
        assert_eq!(standing().doubt(), None);
        // Another source's backup of that id has notes of its own.
        let other = "other".parse().unwrap();
        assert_eq!(Notes::list(&repository, &other).unwrap().standing(&id).unwrap(), Standing::default());
        // A record of a newer program, one that is damaged, one that is gone: nobody knows what they said.
        for (number, text) in [(8, r#"{"version":2}"#), (9, r#"{"version":1,"kind":{"blessed":{}}}"#)] {
            repository.put_sealed(&object(&source, &id, number), text.as_bytes()).unwrap();
        }
        store.damage(&object(&source, &id, 3), |bytes| bytes[20] ^= 1);
        store.delete(&object(&source, &id, 5)).unwrap();
        let folded = standing();
        assert_eq!(folded.unreadable.len(), 4, "{:?}", folded.unreadable);
        assert!(folded.doubt().unwrap().contains("0000000003"));
    }
}
