//! What is known of a backup since it was published: sealed records `grap/notes/<source>/<backup id>/<n>`, beside
//! the snapshot that is never rewritten (docs/format/repository.md).
//!
//! Notes are a series (`crate::series`): only ever put. Folded they give a [`Standing`]: the newest verdict counts, a
//! release ends the hold that it names. A note that cannot be read may be a hold or a verdict: then the standing says
//! so, and nothing that depends on it may be deleted. Notes outlive their backup: each deletion leaves a record.

mod promotion;
mod validation;

use std::collections::{BTreeMap, BTreeSet};

use grap_core::{BackupId, SourceName, Verdict};
use grap_repository::{Id, Repository};
use grap_task::Stop;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::abreast::abreast;
use crate::catalog::Backup;
use crate::error::Result;
use crate::series::{Series, number_of};

pub use promotion::{Promoted, Promotion, put_promotion};
pub use validation::{StepTook, Validated, Validation, is_blind, is_death, put_validation};

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
    /// It was restored, opened and judged.
    Validation(Box<Validation>),
    /// What was made of it is live.
    Promotion(Box<Promotion>),
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
    /// Packs that any verification found damaged, passed ones since then or not: one passes, too, where what lies in
    /// the pack lies in another one as well.
    pub damaged_packs: BTreeSet<Id>,
    /// The newest validation.
    pub validated: Option<Validated>,
    /// A validation spoke against it, and none has passed since: nothing else takes that back.
    pub spoken_against: bool,
    /// What the newest promotion of it, or the rollback of one, came to.
    pub promoted: Option<Promoted>,
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

    /// What retention may think of it. One in which something wrong was found when it was opened is not good, whatever
    /// its stored bytes are; that it did pass replaces no verification.
    pub fn worth(&self) -> Option<Verdict> {
        if self.spoken_against { Some(Verdict::Failed) } else { self.verdict() }
    }

    /// Whether it passed when it was last opened, and nothing wrong is known of it.
    pub fn is_validated(&self) -> bool {
        let passed = self.validated.as_ref().is_some_and(Validated::passed);
        passed && self.verdict() != Some(Verdict::Failed)
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
                self.damaged_packs.extend(problems.iter().filter_map(|problem| pack_in(problem)));
                self.problems = problems;
                self.judged = Some(Judged { verdict: Verdict::Failed, at, read_data_percent });
            }
            NoteKind::Validation(validation) => {
                let validated = Validated { at, host: note.host, validation: *validation };
                if validated.passed() {
                    self.spoken_against = false;
                } else if validated.speaks_against_backup() {
                    self.spoken_against = true;
                }
                self.validated = Some(validated);
            }
            NoteKind::Held { hold, holder, reason } => {
                self.holds.push(Hold { hold, holder, reason, since: at });
            }
            NoteKind::Released { hold } => {
                self.released.extend(self.holds.extract_if(.., |held| held.hold == hold));
            }
            NoteKind::Promotion(promotion) => {
                self.promoted = Some(Promoted { at, host: note.host, promotion: *promotion });
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

/// The newest number of each backup's notes, from one listing.
pub struct Notes<'a> {
    repository: &'a Repository,
    source: &'a SourceName,
    listed: BTreeMap<BackupId, u64>,
}

impl<'a> Notes<'a> {
    pub fn list(repository: &'a Repository, source: &'a SourceName) -> Result<Self> {
        let mut listed: BTreeMap<BackupId, u64> = BTreeMap::new();
        for object in repository.list_sealed(&format!("{FOLDER}/{source}"))? {
            let mut parts = object.name.rsplit('/');
            let (number, id) = (parts.next().and_then(number_of), parts.next().map(str::parse::<BackupId>));
            if let (Some(number), Some(Ok(id))) = (number, id) {
                let newest = listed.entry(id).or_default();
                *newest = number.max(*newest);
            }
        }
        Ok(Self { repository, source, listed })
    }

    /// Packs that a listed verification of a backup found damaged.
    fn damaged_packs(&self, id: &BackupId) -> Result<BTreeSet<Id>> {
        let series = series(self.repository, self.source, id);
        let mut standing = Standing::default();
        for number in 1..=self.listed.get(id).copied().unwrap_or(0) {
            series.readable(number)?.into_iter().for_each(|note| standing.add(note));
        }
        Ok(standing.damaged_packs)
    }

    /// Every note of a backup that can be read, oldest first, folded.
    pub fn standing(&self, id: &BackupId) -> Result<Standing> {
        let listed = self.listed.get(id).copied().unwrap_or(0);
        fold(&series(self.repository, self.source, id), listed)
    }
}

/// How one backup stands now.
pub fn standing(repository: &Repository, source: &SourceName, id: &BackupId) -> Result<Standing> {
    let series = series(repository, source, id);
    fold(&series, series.listed()?)
}

fn fold(series: &Series<'_>, listed: u64) -> Result<Standing> {
    let records = series.read(listed)?;
    let mut standing = Standing { unreadable: records.unreadable, ..Standing::default() };
    records.readable.into_iter().for_each(|note| standing.add(note));
    Ok(standing)
}

/// Packs that were found damaged, by any verdict of these backups: what was found of a pack stays true, whatever else
/// holds the same now. Nothing new rests on them, `gc` keeps another place of what lies in them, and whoever judges a
/// backup without reading all of it reads these again, because one that was made before may rest on them.
pub fn damaged_packs(repository: &Repository, backups: &[Backup]) -> Result<BTreeSet<Id>> {
    let lists = lists(repository, backups)?;
    let found = abreast(backups, |backup| lists[&backup.source].damaged_packs(&backup.id))?;
    Ok(found.into_iter().flatten().collect())
}

/// How these backups stand, in their order.
pub fn standings(repository: &Repository, backups: &[Backup], stop: &Stop) -> Result<Vec<Standing>> {
    let lists = lists(repository, backups)?;
    abreast(backups, |backup| {
        stop.check()?;
        lists[&backup.source].standing(&backup.id)
    })
}

/// The notes of every source that one of these is of.
fn lists<'a>(
    repository: &'a Repository,
    backups: &'a [Backup],
) -> Result<BTreeMap<&'a SourceName, Notes<'a>>> {
    let sources: BTreeSet<&SourceName> = backups.iter().map(|backup| &backup.source).collect();
    sources.into_iter().map(|source| Ok((source, Notes::list(repository, source)?))).collect()
}

/// Put a note under the next free number; `kind` is told which that is.
pub fn put(
    repository: &Repository,
    source: &SourceName,
    id: &BackupId,
    author: &Author,
    kind: impl Fn(u64) -> NoteKind,
) -> Result<u64> {
    let series = series(repository, source, id);
    Ok(series.put(series.listed()?, |number| Note::of(author, kind(number)))?)
}

/// As [`put`], unless this author has put such a one already; whether it was put.
fn put_once(
    (repository, source, id): (&Repository, &SourceName, &BackupId),
    author: &Author,
    is_it: impl Fn(&NoteKind) -> bool,
    kind: impl Fn() -> NoteKind,
) -> Result<bool> {
    let series = series(repository, source, id);
    let records = series.read::<Note>(series.listed()?)?;
    if records.readable.iter().any(|note| note.host == author.host && is_it(&note.kind)) {
        return Ok(false);
    }
    series.put(records.newest, |_| Note::of(author, kind()))?;
    Ok(true)
}

impl Note {
    fn of(author: &Author, kind: NoteKind) -> Self {
        Self {
            version: VERSION,
            at: author.at,
            host: author.host.clone(),
            program: author.program.clone(),
            kind,
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

/// The pack that a problem is about: it begins with the name of the object.
fn pack_in(problem: &str) -> Option<Id> {
    let name = problem.strip_prefix("data/")?.split_once('/')?.1;
    name.split_once(':')?.0.parse().ok()
}

fn series<'a>(repository: &'a Repository, source: &SourceName, id: &BackupId) -> Series<'a> {
    Series { repository, folder: format!("{FOLDER}/{source}/{id}"), version: VERSION }
}

#[cfg(test)]
mod tests {
    use grap_core::recovery::{Judgement, Tier, TierVerdict};
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

    fn validation(begun: i64, passed: bool) -> Validation {
        Validation {
            health_check_passed: passed,
            recovery: "recovery-20261126-090000".parse().unwrap(),
            begun: Timestamp::from_second(begun).unwrap(),
            target: "latest".to_owned(),
            timeline: None,
            ends: Vec::new(),
            server_version: None,
            measured: None,
            tiers: Vec::new(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn a_recovery_leaves_one_validation_and_the_newest_one_counts() {
        let (_store, repository) = repository();
        let (source, id): (SourceName, BackupId) =
            ("prod".parse().unwrap(), "neo4j-20261125-020000".parse().unwrap());
        let on = |host: &str| Author {
            at: Timestamp::UNIX_EPOCH,
            host: host.to_owned(),
            program: "grap test".to_owned(),
        };
        let put_by = |host: &str, validation: &Validation| {
            put_validation(&repository, &source, &id, &on(host), validation).unwrap()
        };
        let standing = || standing(&repository, &source, &id).unwrap();
        put(&repository, &source, &id, &on("a"), |_| NoteKind::Verified { read_data_percent: 0 }).unwrap();
        let failed_as = |number: i64, tier: Tier| {
            let verdict = TierVerdict::Failed { code: "X".to_owned(), message: "x".to_owned() };
            let tier = Judgement { tier, verdict, findings: Vec::new(), measured: None };
            Validation { tiers: vec![tier], ..validation(number, false) }
        };
        let failed = failed_as(1, Tier::Store);
        assert!(put_by("a", &failed) && !put_by("a", &failed));
        let failed = standing();
        assert_eq!((failed.verdict(), failed.worth()), (Some(Verdict::Verified), Some(Verdict::Failed)));
        assert!(!failed.is_validated());
        // The operator's own checks judge the graph, which the backup has as the source had it: they say nothing about what
        // another look has found.
        assert!(put_by("a", &failed_as(3, Tier::Custom)));
        assert_eq!((standing().worth(), standing().is_validated()), (Some(Verdict::Failed), false));
        assert!(put_by("a", &validation(8, true)));
        assert!(put_by("a", &failed_as(9, Tier::Custom)));
        assert_eq!((standing().worth(), standing().is_validated()), (Some(Verdict::Verified), false));
        // A server that died of it leaves its worth, and takes what an older look had given it.
        assert!(put_by("a", &validation(4, true)) && standing().is_validated());
        let died = TierVerdict::Failed { code: "INSTANCE_DIED".to_owned(), message: "x".to_owned() };
        let tier =
            Judgement { tier: Tier::Connectivity, verdict: died, findings: Vec::new(), measured: None };
        let died = Validation { tiers: vec![tier], ..validation(5, false) };
        assert!(put_by("a", &died));
        assert_eq!((standing().worth(), standing().is_validated()), (Some(Verdict::Verified), false));
        // Nor does it take back what was found before.
        assert!(put_by("a", &failed_as(6, Tier::Store)));
        assert!(put_by("a", &Validation { begun: Timestamp::from_second(7).unwrap(), ..died }));
        assert_eq!((standing().worth(), standing().is_validated()), (Some(Verdict::Failed), false));
        // An id is unique on one host only, and until its journal is reset.
        assert!(put_by("b", &validation(1, true)) && put_by("a", &validation(2, true)));
        assert_eq!((standing().worth(), standing().is_validated()), (Some(Verdict::Verified), true));
        put(&repository, &source, &id, &on("a"), |_| NoteKind::failed(vec!["x".to_owned()], 0)).unwrap();
        assert!(!standing().is_validated());
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
        let object = |number: u64| format!("{FOLDER}/{source}/{id}/{number:010}");
        // A record of a newer program, one that is damaged, one that is gone: nobody knows what they said.
        for (number, text) in [(8, r#"{"version":2}"#), (9, r#"{"version":1,"kind":{"blessed":{}}}"#)] {
            repository.put_sealed(&object(number), text.as_bytes()).unwrap();
        }
        store.damage(&object(3), |bytes| bytes[20] ^= 1);
        store.delete(&object(5)).unwrap();
        let folded = standing();
        assert_eq!(folded.unreadable.len(), 4, "{:?}", folded.unreadable);
        assert!(folded.doubt().unwrap().contains("0000000003"));
    }
}
