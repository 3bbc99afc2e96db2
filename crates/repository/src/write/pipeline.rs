//! The threads of a writer: the caller reads, workers hash, deduplicate, compress and encrypt, uploaders
//! put full packs.
//!
//! ```text
//! caller --jobs--> workers --(current pack, under a mutex)--full packs--> uploaders --> storage
//!    ^----done, with the buffer----/
//! ```
//!
//! Bounded: so many buffers are under way, then the caller waits for one to come back; so many packs, then
//! the workers wait.
//!
//! The first failure is kept and ends the run: everyone looks at [`Failure`] before the next piece of work,
//! and the caller's next call returns it. No deadlock after it: uploaders go on receiving and only store no
//! more, and the caller never waits without looking at the failure. A thread that panics is a failure, too.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, unbounded};

use super::packer::Packer;
use super::{CHUNK_SIZE, WriterOptions};
use crate::error::{RepositoryError, Result};
use crate::format::crypto::{IV_LENGTH, OVERHEAD};
use crate::format::id::Id;
use crate::format::pack::{BlobKind, PackBuilder};
use crate::index::Index;
use crate::repository::{Inner, Repository};

/// The largest blob: a pack stays far below the 4 GiB that its offsets can say.
const BLOB_MAX: usize = 1 << 30;
/// How long a wait goes on before it looks for a failure.
const LOOK_EVERY: Duration = Duration::from_millis(100);

pub(super) struct Pipeline {
    jobs: Option<Sender<Job>>,
    packs: Option<Sender<PackBuilder>>,
    done: Receiver<Done>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    under_way: usize,
    under_way_max: usize,
    spare: Vec<Vec<u8>>,
}

/// What the threads of one writer share.
struct Shared {
    inner: Arc<Inner>,
    failure: Failure,
    uploads: Uploads,
    packer: Packer,
    known: Index,
    /// By the number of the pack in `known`: the new snapshot uses it.
    used: Vec<AtomicBool>,
    /// Stored by this run, or under way.
    fresh: Mutex<HashSet<(BlobKind, Id)>>,
    level: i32,
    zero_chunk: Id,
}

struct Job {
    number: usize,
    kind: BlobKind,
    buffer: Vec<u8>,
}

/// A blob that is in a pack, or will be once the pack is full.
pub(super) struct Done {
    /// As submitted.
    pub(super) number: usize,
    pub(super) id: Id,
    /// Plain and stored bytes, if the blob is new.
    pub(super) new: Option<(u64, u64)>,
    buffer: Vec<u8>,
}

impl Pipeline {
    pub(super) fn start(repository: &Repository, known: Index, options: &WriterOptions) -> Result<Self> {
        let workers = options.workers.max(1);
        let under_way_max = workers * 4;
        let (jobs, job_receiver) = bounded(under_way_max);
        let (done_sender, done) = unbounded();
        let (packs, pack_receiver) = bounded(0);
        let shared = Arc::new(Shared {
            inner: Arc::clone(&repository.inner),
            failure: Failure::default(),
            uploads: Uploads::default(),
            packer: Packer::new(options.pack_size),
            used: known.packs().iter().map(|_| AtomicBool::new(false)).collect(),
            known,
            fresh: Mutex::default(),
            level: options.level,
            zero_chunk: Id::of(&vec![0; CHUNK_SIZE]),
        });
        let mut pipeline = Self {
            jobs: Some(jobs),
            packs: Some(packs.clone()),
            done,
            shared,
            threads: Vec::new(),
            under_way: 0,
            under_way_max,
            spare: Vec::new(),
        };
        for _ in 0..workers {
            let (jobs, done, packs) = (job_receiver.clone(), done_sender.clone(), packs.clone());
            pipeline.spawn("chunk-worker", move |shared| work(shared, &jobs, &done, &packs))?;
        }
        for _ in 0..options.uploads.max(1) {
            let packs = pack_receiver.clone();
            pipeline.spawn("pack-uploader", move |shared| upload(shared, &packs))?;
        }
        Ok(pipeline)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce(&Shared) + Send + 'static) -> Result<()> {
        let shared = Arc::clone(&self.shared);
        let run = move || {
            let _guard = FailOnPanic(&shared.failure);
            run(&shared);
        };
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run);
        self.threads.push(thread.map_err(RepositoryError::Thread)?);
        Ok(())
    }

    /// Hand over a blob. It comes back from [`Self::receive`] under its number.
    pub(super) fn submit(&mut self, number: usize, kind: BlobKind, buffer: Vec<u8>) -> Result<()> {
        self.shared.failure.check()?;
        if buffer.len() > BLOB_MAX {
            return Err(RepositoryError::Encode { why: format!("a blob of {} bytes", buffer.len()) });
        }
        let jobs = self.jobs.as_ref().ok_or(RepositoryError::WriterFailed)?;
        jobs.send(Job { number, kind, buffer }).map_err(|_| RepositoryError::WriterFailed)?;
        self.under_way += 1;
        Ok(())
    }

    /// As many blobs are under way as may be: one has to be received before the next is submitted.
    pub(super) fn is_full(&self) -> bool {
        self.under_way >= self.under_way_max
    }

    /// A buffer that came back, or a new one.
    pub(super) fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    /// A blob that is done; `None` when none is under way.
    pub(super) fn receive(&mut self) -> Result<Option<Done>> {
        while self.under_way > 0 {
            self.shared.failure.check()?;
            match self.done.recv_timeout(LOOK_EVERY) {
                Ok(mut done) => {
                    self.under_way -= 1;
                    self.spare.push(std::mem::take(&mut done.buffer));
                    return Ok(Some(done));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.shared.failure.check().map(|()| None)
    }

    /// Whether a blob is stored, or will be: then what is published next uses it.
    pub(super) fn has(&self, kind: BlobKind, id: Id) -> bool {
        self.shared.has(kind, id)
    }

    /// Put everything that is still in memory. Returns the packs that hold what was submitted, with their
    /// sizes.
    pub(super) fn flush(&mut self) -> Result<Vec<(Id, u64)>> {
        while self.receive()?.is_some() {}
        if let Some(packs) = &self.packs {
            for pack in self.shared.packer.rest() {
                self.shared.uploads.hand_on(packs, pack)?;
            }
        }
        self.shared.uploads.wait(&self.shared.failure);
        self.shared.failure.check()?;
        self.shared.packer.put_index(&self.shared.inner)?;
        let used = |(pack, used): (&crate::index::IndexedPack, &AtomicBool)| {
            used.load(Ordering::Relaxed).then_some((pack.id, pack.size))
        };
        let mut packs: Vec<_> =
            self.shared.known.packs().iter().zip(&self.shared.used).filter_map(used).collect();
        packs.extend(self.shared.packer.written());
        Ok(packs)
    }

    /// The packs that were put.
    pub(super) fn written(&self) -> Vec<(Id, u64)> {
        self.shared.packer.written()
    }

    fn join(&mut self) {
        self.jobs = None;
        self.packs = None;
        for thread in self.threads.drain(..) {
            // A panic was noted as a failure.
            let _ = thread.join();
        }
    }
}

impl Drop for Pipeline {
    /// Without `flush` nothing more is put.
    fn drop(&mut self) {
        self.shared.failure.end();
        self.join();
    }
}

fn work(shared: &Shared, jobs: &Receiver<Job>, done: &Sender<Done>, packs: &Sender<PackBuilder>) {
    let mut worker = match Worker::new(shared) {
        Ok(worker) => worker,
        Err(error) => return shared.failure.set(error),
    };
    for job in jobs {
        if shared.failure.is_set() {
            continue;
        }
        match worker.store(&job, packs) {
            Ok((id, new)) => drop(done.send(Done { number: job.number, id, new, buffer: job.buffer })),
            Err(error) => shared.failure.set(error),
        }
    }
}

/// One thread's compressor and buffer.
struct Worker<'a> {
    shared: &'a Shared,
    zstd: zstd::bulk::Compressor<'static>,
    scratch: Vec<u8>,
}

impl<'a> Worker<'a> {
    fn new(shared: &'a Shared) -> Result<Self> {
        let zstd = zstd::bulk::Compressor::new(shared.level)
            .map_err(|error| RepositoryError::Encode { why: error.to_string() })?;
        Ok(Self { shared, zstd, scratch: Vec::new() })
    }

    /// Store a blob unless it is stored. Plain and stored bytes, if it is new.
    fn store(&mut self, job: &Job, packs: &Sender<PackBuilder>) -> Result<(Id, Option<(u64, u64)>)> {
        let Job { kind, buffer, .. } = job;
        let id = self.id(buffer);
        if !self.shared.claim(*kind, id) {
            return Ok((id, None));
        }
        let (length, uncompressed) = self.seal(buffer)?;
        let sealed = &self.scratch[..length];
        if let Some(full) = self.shared.packer.add(*kind, id, sealed, uncompressed) {
            self.shared.uploads.hand_on(packs, full)?;
        }
        Ok((id, Some((buffer.len() as u64, length as u64))))
    }

    /// Databases are full of zeros: comparing is ten times faster than hashing.
    fn id(&self, buffer: &[u8]) -> Id {
        const ZEROS: [u8; 4096] = [0; 4096];
        let zero = buffer.len() == CHUNK_SIZE && buffer.chunks(4096).all(|part| *part == ZEROS[..part.len()]);
        if zero { self.shared.zero_chunk } else { Id::of(buffer) }
    }

    /// Compress (if that makes it smaller) and encrypt into `scratch`. Stored bytes, and the plain length if
    /// compressed.
    fn seal(&mut self, plain: &[u8]) -> Result<(usize, Option<u32>)> {
        let room = zstd::zstd_safe::compress_bound(plain.len()).max(plain.len());
        if self.scratch.len() < room + OVERHEAD as usize {
            self.scratch.resize(room + OVERHEAD as usize, 0);
        }
        let compressed = self
            .zstd
            .compress_to_buffer(plain, &mut self.scratch[IV_LENGTH..IV_LENGTH + room])
            .map_err(|error| RepositoryError::Encode { why: error.to_string() })?;
        let smaller = compressed < plain.len();
        if !smaller {
            self.scratch[IV_LENGTH..IV_LENGTH + plain.len()].copy_from_slice(plain);
        }
        let length = if smaller { compressed } else { plain.len() } + OVERHEAD as usize;
        self.shared.inner.key.seal_in_place(&mut self.scratch[..length]);
        let plain_length = u32::try_from(plain.len()).expect("blobs are at most BLOB_MAX");
        Ok((length, smaller.then_some(plain_length)))
    }
}

impl Shared {
    /// Whether the caller has to store the blob: nobody else has or does.
    fn claim(&self, kind: BlobKind, id: Id) -> bool {
        !self.is_known(kind, id)
            && self.fresh.lock().unwrap_or_else(PoisonError::into_inner).insert((kind, id))
    }

    fn has(&self, kind: BlobKind, id: Id) -> bool {
        self.is_known(kind, id)
            || self.fresh.lock().unwrap_or_else(PoisonError::into_inner).contains(&(kind, id))
    }

    /// Whether a pack of before holds it, which is used then.
    fn is_known(&self, kind: BlobKind, id: Id) -> bool {
        let place = self.known.places(kind, &id).next();
        place.inspect(|place| self.used[place.pack].store(true, Ordering::Relaxed)).is_some()
    }
}

fn upload(shared: &Shared, packs: &Receiver<PackBuilder>) {
    for pack in packs {
        if !shared.failure.is_set()
            && let Err(error) = shared.packer.put(&shared.inner, pack)
        {
            shared.failure.set(error);
        }
        shared.uploads.done();
    }
}

/// How many packs are handed on and not yet put.
#[derive(Default)]
struct Uploads {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Uploads {
    fn hand_on(&self, packs: &Sender<PackBuilder>, pack: PackBuilder) -> Result<()> {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        packs.send(pack).map_err(|_| RepositoryError::WriterFailed)
    }

    fn done(&self) {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.changed.notify_all();
    }

    /// Until all are put, or one failed. An uploader that panicked is a failure, too.
    fn wait(&self, failure: &Failure) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        while *count > 0 && !failure.is_set() {
            count = self.changed.wait_timeout(count, LOOK_EVERY).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The first failure of a pipeline.
#[derive(Default)]
struct Failure {
    set: AtomicBool,
    error: Mutex<Option<RepositoryError>>,
}

impl Failure {
    fn set(&self, error: RepositoryError) {
        let mut kept = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.set.swap(true, Ordering::SeqCst) {
            *kept = Some(error);
        }
    }

    /// Let the threads come to their end.
    fn end(&self) {
        self.set.store(true, Ordering::SeqCst);
    }

    fn is_set(&self) -> bool {
        self.set.load(Ordering::SeqCst)
    }

    /// The failure itself for the first who asks.
    fn check(&self) -> Result<()> {
        if !self.is_set() {
            return Ok(());
        }
        let mut kept = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        Err(kept.take().unwrap_or(RepositoryError::WriterFailed))
    }
}

struct FailOnPanic<'a>(&'a Failure);

impl Drop for FailOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end();
        }
    }
}
