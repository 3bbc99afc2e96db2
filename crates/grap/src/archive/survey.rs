//! What one pass over a path meets: its stretches, the backups that join it, a target, the cut for a time.
//!
//! A backup joins where its end lies on the path: the same store id, id, checksum and place in the log. Nothing
//! joins at a transaction without commands: the marks of import and migrate are the same bytes in every
//! import, so that one would stand for another.

use grap_core::{Commit, Join, Meeting, PathView, Span, StartMark, TimeCut};
use grap_neo4j::txlog::HEADER_LENGTH;
use grap_neo4j::{LogPosition, StoreId, TransactionEnd, TxId};

use super::names::RunNumber;
use super::path::{Path, PathReader, Stretch, Visit};
use super::runs::Runs;
use super::store::ArchiveError;

/// The end of a backup's log of one database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseEnd {
    pub store_id: StoreId,
    pub end: TransactionEnd,
}

/// What to look for.
#[derive(Default)]
pub struct SurveyOptions<'a> {
    /// The whole path without it.
    pub from: Option<TxId>,
    pub to: Option<TxId>,
    pub bases: &'a [BaseEnd],
    /// Where does it stand?
    pub target: Option<TxId>,
    /// Fed with every start and every transaction.
    pub cut: Option<&'a mut TimeCut>,
    /// Shown every transaction.
    pub each: Option<&'a mut dyn FnMut(&Visit<'_>)>,
}

#[derive(Debug, Default)]
pub struct Survey {
    pub stretches: Vec<Stretch>,
    pub view: PathView,
    pub target: Option<Meeting>,
}

/// Go over a path once. Nothing is kept but what was looked for.
pub fn survey(reader: &PathReader<'_>, mut options: SurveyOptions<'_>) -> Result<Survey, ArchiveError> {
    let PathReader { runs, path, .. } = *reader;
    let mut survey = Survey::default();
    let mut meeting = Meeting { span: usize::MAX, end: NOWHERE, bytes: 0 };
    let mut starts = StartMarks::of(runs, path);
    let stretches = reader.visit::<ArchiveError>(options.from, options.to, &mut |visit| {
        if let Some(cut) = options.cut.as_deref_mut() {
            starts.feed(visit.run, cut);
            if visit.stretch != meeting.span && visit.stretch > 0 {
                cut.hole();
            }
            cut.commit(&commit(visit, runs, path));
        }
        if visit.stretch != meeting.span {
            meeting = Meeting { span: visit.stretch, end: NOWHERE, bytes: 0 };
        }
        meeting.end = visit.transaction.end_point();
        meeting.bytes += visit.bytes.len() as u64;
        for (base, wanted) in options.bases.iter().enumerate() {
            if joins(wanted, visit) {
                survey.view.joins.push(Join { base, at: meeting });
            }
        }
        if options.target == Some(meeting.end.id) {
            survey.target = Some(meeting);
        }
        if let Some(each) = options.each.as_deref_mut() {
            each(visit);
        }
        Ok(())
    })?;
    if let Some(cut) = options.cut {
        starts.feed(path.run, cut);
    }
    survey.view.run = path.run.0;
    survey.view.spans = stretches.iter().map(span).collect();
    survey.stretches = stretches;
    Ok(survey)
}

/// Whether the base ends with this transaction. A checkpoint right behind a header names the transaction
/// before the file: such a base ends behind the header, not in the file before.
pub fn joins(base: &BaseEnd, visit: &Visit<'_>) -> bool {
    let end = visit.transaction.end_point();
    let behind_header = LogPosition { version: end.position.version.next(), offset: HEADER_LENGTH as u64 };
    !visit.transaction.without_commands
        && (base.end.id, base.end.checksum) == (end.id, end.checksum)
        && (base.end.position == end.position || base.end.position == behind_header)
        && base.store_id == *visit.store_id
}

fn span(stretch: &Stretch) -> Span {
    Span { first: stretch.first, last: stretch.last, bytes: stretch.bytes, hole: stretch.hole.clone() }
}

fn commit(visit: &Visit<'_>, runs: &Runs, path: &Path) -> Commit {
    let start = runs.get(visit.run).and_then(|run| run.database(&path.database));
    Commit {
        id: visit.transaction.id,
        commit_ms: visit.transaction.commit_time.0,
        clock_ms: visit.segment.header.clock_ms,
        followed: start.is_some_and(|start| !start.side),
    }
}

/// The starts that say something about a path: those of its pieces, and each that followed the database in
/// between, in the order of their numbers.
struct StartMarks {
    /// Newest first.
    left: Vec<StartMark>,
}

impl StartMarks {
    fn of(runs: &Runs, path: &Path) -> Self {
        let mut marks = Vec::new();
        let mut before: Option<(&str, i64)> = None;
        for (number, run) in runs.iter().take_while(|(number, _)| *number <= path.run) {
            let Some(start) = run.database(&path.database).filter(|start| !start.side) else { continue };
            let at_ms = run.start.at.as_millisecond();
            let other = before.filter(|(server, _)| *server != run.start.server_run);
            let on_path = path.pieces.iter().any(|piece| piece.run == number);
            // The first start of all breaks nothing.
            let breaks = on_path && start.broken.is_some() && before.is_some();
            let other_server_since_ms = other.map(|(_, at)| at);
            marks.push(StartMark { run: number.0, at_ms, breaks, other_server_since_ms });
            before = Some((&run.start.server_run, at_ms));
        }
        marks.reverse();
        Self { left: marks }
    }

    /// Tell the cut of every start up to this run's.
    fn feed(&mut self, run: RunNumber, cut: &mut TimeCut) {
        while let Some(mark) = self.left.pop_if(|mark| mark.run <= run.0) {
            cut.start(&mark);
        }
    }
}

/// Before anything was met.
const NOWHERE: TransactionEnd = TransactionEnd {
    position: LogPosition { version: grap_neo4j::LogVersion(0), offset: 0 },
    id: TxId(0),
    checksum: grap_neo4j::Checksum(0),
    commit_time: grap_neo4j::CommitTime(0),
};
