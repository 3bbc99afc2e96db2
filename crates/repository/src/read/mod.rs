//! Reading back: trees, and files in order, decoded ahead by several threads.
//!
//! No byte leaves this module that was not checked against the SHA-256 by which it was asked for; a blob that
//! lies in several packs is tried in each. Errors name the blob, the pack and the place in it.
//!
//! A file is read in windows of some chunks. Workers fetch and decode whole windows; the caller's thread
//! takes them in order. Memory is bounded by the windows under way.

mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use grap_task::{Finding, Monitor, Stop};

use crate::error::{RepositoryError, Result};
use crate::format::id::{Id, TreeId};
use crate::format::pack::BlobKind;
use crate::format::tree::{Node, Tree};
use crate::index::Index;
use crate::repository::{Inner, Repository};
pub(crate) use window::Decoder;
use window::{Window, file_windows, windows};

/// Reads what the index knew when it was made.
pub struct Reader {
    inner: Arc<Inner>,
    index: Index,
    workers: usize,
}

impl Repository {
    /// Loads the index. List the snapshots before: what they need was in the index when they were published.
    pub fn reader(&self, monitor: &dyn Monitor) -> Result<Reader> {
        let (index, damaged) = self.inner.load_index()?;
        for error in damaged {
            monitor.finding(&Finding::warning(error.to_string()));
        }
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        Ok(Reader { inner: Arc::clone(&self.inner), index, workers })
    }
}

impl Reader {
    /// The nodes of a directory, sorted by name.
    pub fn load_tree(&self, id: TreeId) -> Result<Vec<Node>> {
        let bytes = Decoder::new(&self.inner, &self.index)?.blob(BlobKind::Tree, &id.0)?;
        let damaged = |why| RepositoryError::Damaged { object: format!("tree {id}"), why };
        Ok(Tree::parse(&bytes).map_err(damaged)?.nodes)
    }

    /// The bytes of a directory, as they are stored.
    pub(crate) fn tree_bytes(&self, id: TreeId) -> Result<Vec<u8>> {
        Decoder::new(&self.inner, &self.index)?.blob(BlobKind::Tree, &id.0)
    }

    /// Give each of these chunks to `sink`, in the order in which they are stored.
    pub(crate) fn read_chunks<E: From<RepositoryError>>(
        &self,
        mut ids: Vec<Id>,
        stop: &Stop,
        mut sink: impl FnMut(&Id, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        ids.sort_by_cached_key(|id| self.index.places(BlobKind::Data, id).next().map(|place| place.order()));
        let windows = windows(&self.index, &ids)?;
        self.read_ahead(&windows, |window, bytes| {
            stop.check().map_err(RepositoryError::from)?;
            window.split(&self.index, bytes)?.into_iter().try_for_each(|(id, chunk)| sink(id, chunk))
        })
    }

    /// One chunk of a file, by its number: for what lies around damage.
    pub fn read_chunk(&self, node: &Node, number: u64) -> Result<Vec<u8>> {
        let ids = node.content();
        let id = usize::try_from(number).ok().and_then(|number| ids.get(number));
        let short = || RepositoryError::FileLength { name: node.name.clone(), found: 0, expected: node.size };
        Decoder::new(&self.inner, &self.index)?.blob(BlobKind::Data, id.ok_or_else(short)?)
    }

    /// Give a file's bytes to `sink`, in order, from the chunk that holds byte `from` on: first the offset in
    /// the file, then what is there. Fails if the chunks are not as long as the file together.
    pub fn read_file<E: From<RepositoryError>>(
        &self,
        node: &Node,
        from: u64,
        stop: &Stop,
        mut sink: impl FnMut(u64, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let windows = file_windows(&self.index, node, from)?;
        let mut deliver = |window: &Window<'_>, bytes: &[u8]| {
            stop.check().map_err(RepositoryError::from)?;
            let skip = usize::try_from(from.saturating_sub(window.offset)).unwrap_or(usize::MAX);
            sink(window.offset + skip as u64, &bytes[skip.min(bytes.len())..])
        };
        if windows.len() < 2 {
            let mut decoder = Decoder::new(&self.inner, &self.index)?;
            let mut bytes = Vec::new();
            return windows.iter().try_for_each(|window| {
                decoder.window(window, &mut bytes)?;
                deliver(window, &bytes)
            });
        }
        self.read_ahead(&windows, deliver)
    }

    /// Decode windows on several threads; deliver them in order on this one.
    fn read_ahead<E: From<RepositoryError>>(
        &self,
        windows: &[Window<'_>],
        mut deliver: impl FnMut(&Window<'_>, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        std::thread::scope(|scope| {
            let (jobs, job_receiver) = unbounded();
            let (spare, spare_receiver) = unbounded();
            for _ in 0..self.workers {
                let (jobs, spare) = (job_receiver.clone(), spare_receiver.clone());
                let thread = std::thread::Builder::new().name("chunk-reader".to_owned());
                let run = move || self.decode(&jobs, &spare);
                thread.spawn_scoped(scope, run).map_err(RepositoryError::Thread)?;
            }
            // Dropped at the first error, so that the workers come to their end.
            let jobs: Sender<WindowJob<'_, '_>> = jobs;
            let mut ahead = VecDeque::new();
            let mut rest = windows.iter();
            loop {
                while ahead.len() < self.workers * 2 {
                    let Some(window) = rest.next() else { break };
                    let (reply, decoded) = bounded(1);
                    jobs.send(WindowJob { window, reply }).map_err(|_| RepositoryError::ReaderFailed)?;
                    ahead.push_back((window, decoded));
                }
                let Some((window, decoded)) = ahead.pop_front() else { return Ok(()) };
                let bytes = decoded.recv().map_err(|_| RepositoryError::ReaderFailed)??;
                deliver(window, &bytes)?;
                let _ = spare.send(bytes);
            }
        })
    }

    fn decode(&self, jobs: &Receiver<WindowJob<'_, '_>>, spare: &Receiver<Vec<u8>>) {
        let mut decoder = Decoder::new(&self.inner, &self.index);
        for job in jobs {
            let mut bytes = spare.try_recv().unwrap_or_default();
            let decoded = match &mut decoder {
                Ok(decoder) => decoder.window(job.window, &mut bytes).map(|()| bytes),
                Err(_) => Err(RepositoryError::ReaderFailed),
            };
            // The caller may have gone on to an error.
            let _ = job.reply.send(decoded);
        }
    }
}

struct WindowJob<'w, 'i> {
    window: &'w Window<'i>,
    reply: Sender<Result<Vec<u8>>>,
}
