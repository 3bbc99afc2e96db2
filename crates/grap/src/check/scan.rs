//! Every record of a store, in chunks of pages that threads take one after another.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use grap_neo4j::record::PAGE_SIZE;
use grap_task::Unit;

use super::Check;
use super::error::CheckError;
use super::stores::StoreFile;

/// Pages that a thread takes at once: half a megabyte.
const CHUNK: u64 = 64;

/// What a thread does with records, and what it keeps of them.
pub(super) trait Worker {
    fn record(&mut self, id: u64, bytes: &[u8]) -> Result<(), CheckError>;
}

/// Hands every record of the store to one of the workers; all workers, when all is done.
pub(super) fn scan<W: Worker + Send>(
    check: &Check<'_>,
    file: &StoreFile,
    step: &str,
    worker: impl Fn() -> W + Sync,
) -> Result<Vec<W>, CheckError> {
    check.monitor.begin(step, Unit::Bytes, Some(file.bytes()));
    go_over(check, file, worker)
}

/// As [`scan`], as a part of a step that has begun.
pub(super) fn go_over<W: Worker + Send>(
    check: &Check<'_>,
    file: &StoreFile,
    worker: impl Fn() -> W + Sync,
) -> Result<Vec<W>, CheckError> {
    let next = AtomicU64::new(0);
    // A store of one chunk needs one thread.
    let wanted = usize::try_from(file.pages.div_ceil(CHUNK)).unwrap_or(usize::MAX);
    let threads = check.threads.min(wanted).max(1);
    thread::scope(|scope| {
        let mut running = Vec::new();
        for _ in 0..threads {
            let work = || {
                let worked = chunks(check, file, &next, worker());
                if worked.is_err() {
                    // The others need not go on.
                    next.store(file.pages, Ordering::Relaxed);
                }
                worked
            };
            let named = thread::Builder::new().name("check".to_owned()).spawn_scoped(scope, work);
            running.push(named.map_err(CheckError::Thread)?);
        }
        let ended = running.into_iter().map(|thread| match thread.join() {
            Ok(worked) => worked,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        ended.collect()
    })
}

fn chunks<W: Worker>(
    check: &Check<'_>,
    file: &StoreFile,
    next: &AtomicU64,
    mut worker: W,
) -> Result<W, CheckError> {
    let mut buffer = vec![0; usize::try_from(CHUNK).expect("few") * PAGE_SIZE];
    let (per_page, size) = (file.geometry.per_page(), file.geometry.record_size());
    let first_id = file.store.first_id();
    loop {
        let begin = next.fetch_add(CHUNK, Ordering::Relaxed);
        if begin >= file.pages {
            return Ok(worker);
        }
        check.stop.check()?;
        let read = file.read_pages(&mut buffer, begin)?;
        for (page, bytes) in (begin..).zip(buffer[..read].chunks_exact(PAGE_SIZE)) {
            for (id, record) in (page * per_page..).zip(bytes.chunks_exact(size)) {
                if id >= first_id {
                    worker.record(id, record)?;
                }
            }
        }
        check.monitor.advance(read as u64);
    }
}
