//! A bounded window that moves forward over a reader: all the memory that a scan of any length takes.
//!
//! Invariant: `buffer[begin..end]` are the bytes of the file from `offset` on that were read and not yet
//! consumed. Whoever asks for more has consumed all but a few bytes (less than an entry), so there is always
//! room.

use std::io::{self, Read};

/// Large enough that a system call costs nothing, small enough for one per log file of many databases.
const WINDOW_LENGTH: usize = 1 << 20;

pub(crate) struct Window<R> {
    reader: R,
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
    offset: u64,
}

impl<R: Read> Window<R> {
    /// `offset` is where in its file the reader stands.
    pub(crate) fn new(reader: R, offset: u64) -> Window<R> {
        Window { reader, buffer: vec![0; WINDOW_LENGTH], begin: 0, end: 0, offset }
    }

    /// File offset of the first unconsumed byte.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The unconsumed bytes that have been read.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.begin..self.end).unwrap_or_default()
    }

    /// Passes over `count` bytes (at most those that have been read).
    pub(crate) fn consume(&mut self, count: usize) {
        let count = count.min(self.end - self.begin);
        self.begin += count;
        self.offset += count as u64;
    }

    /// Reads once. `false` at the end of the data.
    pub(crate) fn more(&mut self) -> io::Result<bool> {
        if self.end == self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            self.end -= self.begin;
            self.begin = 0;
        }
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        debug_assert!(!room.is_empty(), "asked for more with a full window");
        loop {
            match self.reader.read(room) {
                Ok(count) => {
                    self.end += count.min(room.len());
                    return Ok(count > 0);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads until `count` bytes are there; `false` if the data end before that.
    pub(crate) fn fill(&mut self, count: usize) -> io::Result<bool> {
        while self.bytes().len() < count {
            if !self.more()? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
