//! What a client is told while its operation runs: written by a thread of its own, so that the operation never waits
//! for a client that reads slowly, but with what it prints.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use grap_task::{Finding, Level, Monitor, Stop, Unit};

use super::frame::{Frame, write_line};
use crate::view::Printer;

/// Lines that wait to be written.
const QUEUE: usize = 1024;
/// How often progress is told.
const ADVANCE_INTERVAL: Duration = Duration::from_millis(200);

pub(super) struct Reply {
    frames: SyncSender<Frame>,
    advanced: Arc<AtomicU64>,
    writer: JoinHandle<()>,
}

impl Reply {
    /// A client that cannot be written to is gone: its operation is asked to stop.
    pub(super) fn start(stream: UnixStream, stop: Stop) -> io::Result<Self> {
        let (frames, queue) = sync_channel(QUEUE);
        let advanced = Arc::new(AtomicU64::new(0));
        let progress = Arc::clone(&advanced);
        let write = move || {
            if write_all(&stream, &queue, &progress).is_err() {
                stop.request();
            }
        };
        let writer = std::thread::Builder::new().name("client-writer".to_owned()).spawn(write)?;
        Ok(Self { frames, advanced, writer })
    }

    pub(super) fn monitor(&self) -> impl Monitor + use<> {
        Told { frames: self.frames.clone(), advanced: Arc::clone(&self.advanced) }
    }

    /// What is printed is not dropped: it waits for its place in the queue.
    pub(super) fn printer(&self) -> Box<Printer> {
        let frames = self.frames.clone();
        Box::new(move |text| {
            let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "the client is gone");
            frames.send(Frame::Print(text.to_owned())).map_err(gone)
        })
    }

    /// Say the last word, and wait until it is written.
    pub(super) fn end(self, status: u8, error: String) {
        let _ = self.frames.send(Frame::End { status, error });
        drop(self.frames);
        let _ = self.writer.join();
    }
}

fn write_all(stream: &UnixStream, queue: &Receiver<Frame>, advanced: &AtomicU64) -> io::Result<()> {
    let mut stream = stream;
    loop {
        let frame = match queue.recv_timeout(ADVANCE_INTERVAL) {
            Ok(frame) => Some(frame),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let amount = advanced.swap(0, Ordering::Relaxed);
        if amount > 0 {
            write_line(&mut stream, &Frame::Advance(amount))?;
        }
        let Some(frame) = frame else { continue };
        write_line(&mut stream, &frame)?;
        if matches!(frame, Frame::End { .. }) {
            return Ok(());
        }
    }
}

/// The listener of an operation that tells a client. Never waits: what finds no place is not told.
struct Told {
    frames: SyncSender<Frame>,
    advanced: Arc<AtomicU64>,
}

impl Monitor for Told {
    fn begin(&self, step: &str, unit: Unit, total: Option<u64>) {
        // Of the step before.
        self.advanced.store(0, Ordering::Relaxed);
        let frame = Frame::Begin { step: step.to_owned(), bytes: unit == Unit::Bytes, total };
        let _ = self.frames.try_send(frame);
    }

    fn advance(&self, amount: u64) {
        self.advanced.fetch_add(amount, Ordering::Relaxed);
    }

    fn finding(&self, finding: &Finding) {
        let warning = finding.level == Level::Warning;
        let _ = self.frames.try_send(Frame::Finding { warning, text: finding.text.clone() });
    }
}
