//! Reading whole packs: the name, the header against the index, every blob against its id.

use crossbeam_channel::unbounded;
use grap_task::{Monitor, Stop, Unit};

use super::Bad;
use super::report::Damages;
use crate::error::{RepositoryError, Result};
use crate::format::id::Id;
use crate::format::pack::{BlobKind, PackedBlob, open_blob, read_header};
use crate::index::Index;
use crate::object::ObjectError;
use crate::repository::{Inner, Repository, object_name};

/// What is wrong with one pack.
#[derive(Default)]
struct Verdict {
    why: Vec<String>,
    bad: Vec<(BlobKind, Id)>,
    /// Nothing of it can be read.
    unreadable: bool,
    /// Because the storage did not answer, as against an object that is gone.
    storage_failed: bool,
    bytes: u64,
}

/// Read the packs of these numbers, on all cores. Returns the bytes read.
pub(super) fn read(
    repository: &Repository,
    index: &Index,
    numbers: &[usize],
    stop: &Stop,
    monitor: &dyn Monitor,
    damages: &mut Damages,
    bad: &mut Bad,
) -> Result<u64> {
    let total = numbers.iter().map(|number| index.packs()[*number].size).sum();
    monitor.begin("read packs", Unit::Bytes, Some(total));
    let mut verdicts = read_all(repository, index, numbers, stop, monitor)?;
    stop.check()?;
    verdicts.sort_by_key(|(number, _)| *number);
    let mut bytes = 0;
    for (number, verdict) in verdicts {
        bytes += verdict.bytes;
        let Some(damage) = damages.add_all(&object_name("data", index.packs()[number].id), verdict.why)
        else {
            continue;
        };
        if verdict.storage_failed {
            damages.storage_failed(damage);
        }
        if verdict.unreadable {
            bad.whole.insert(number, damage);
        }
        bad.blobs.extend(verdict.bad.iter().map(|(kind, id)| ((number, *kind, *id), damage)));
    }
    Ok(bytes)
}

fn read_all(
    repository: &Repository,
    index: &Index,
    numbers: &[usize],
    stop: &Stop,
    monitor: &dyn Monitor,
) -> Result<Vec<(usize, Verdict)>> {
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let (jobs, job_receiver) = unbounded();
    for number in numbers {
        let _ = jobs.send(*number);
    }
    drop(jobs);
    let counts = blob_counts(index);
    let run = || {
        let mut verdicts = Vec::new();
        while let Ok(number) = job_receiver.recv()
            && !stop.requested()
        {
            let verdict = judge(&repository.inner, index, number, counts[number]);
            monitor.advance(verdict.bytes);
            verdicts.push((number, verdict));
        }
        verdicts
    };
    std::thread::scope(|scope| {
        let mut threads = Vec::new();
        for _ in 0..workers {
            let thread = std::thread::Builder::new().name("pack-reader".to_owned());
            threads.push(thread.spawn_scoped(scope, run).map_err(RepositoryError::Thread)?);
        }
        let mut verdicts = Vec::new();
        for thread in threads {
            verdicts.extend(thread.join().map_err(|_| RepositoryError::ReaderFailed)?);
        }
        Ok(verdicts)
    })
}

/// How many blobs the index lists for each pack.
fn blob_counts(index: &Index) -> Vec<usize> {
    let mut counts = vec![0; index.packs().len()];
    for place in index.all_blobs() {
        counts[place.pack] += 1;
    }
    counts
}

fn judge(inner: &Inner, index: &Index, number: usize, indexed_count: usize) -> Verdict {
    let pack = index.packs()[number].id;
    let mut verdict = Verdict::default();
    let mut bytes = match inner.store.get(&object_name("data", pack)) {
        Ok(bytes) => bytes,
        Err(error) => {
            verdict.why.push(format!("it cannot be read: {error}"));
            verdict.unreadable = true;
            verdict.storage_failed = !matches!(error, ObjectError::NotFound { .. });
            return verdict;
        }
    };
    verdict.bytes = bytes.len() as u64;
    if Id::of(&bytes) != pack {
        verdict.why.push("its SHA-256 is not its name".to_owned());
    }
    let is_indexed = |blob: &PackedBlob| {
        index.places(blob.kind, &blob.id).any(|place| place.pack == number && place.blob == *blob)
    };
    let blobs = match read_header(&bytes, &inner.key) {
        Ok(header) if header.len() == indexed_count && header.iter().all(is_indexed) => header,
        header => {
            let why = header.err().unwrap_or_else(|| "its header and the index disagree".to_owned());
            verdict.why.push(why);
            index.all_blobs().filter(|place| place.pack == number).map(|place| place.blob).collect()
        }
    };
    verdict.open_blobs(inner, &blobs, &mut bytes);
    verdict
}

impl Verdict {
    fn open_blobs(&mut self, inner: &Inner, blobs: &[PackedBlob], pack: &mut [u8]) {
        let mut zstd = match zstd::bulk::Decompressor::new() {
            Ok(zstd) => zstd,
            Err(error) => return self.why.push(format!("it cannot be decompressed: {error}")),
        };
        let mut plain = Vec::new();
        for blob in blobs {
            plain.resize(blob.plain_length() as usize, 0);
            let start = blob.offset as usize;
            let opened = pack
                .get_mut(start..start + blob.length as usize)
                .ok_or_else(|| "the pack ends before it".to_owned())
                .and_then(|sealed| open_blob(&inner.key, &mut zstd, blob, sealed, &mut plain));
            if let Err(why) = opened {
                if self.bad.is_empty() {
                    self.why.push(format!("{} {} at byte {}: {why}", blob.kind, blob.id, blob.offset));
                }
                self.bad.push((blob.kind, blob.id));
            }
        }
        if self.bad.len() > 1 {
            self.why.push(format!("{} of its {} blobs are damaged", self.bad.len(), blobs.len()));
        }
    }
}
