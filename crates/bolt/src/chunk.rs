//! Framing: a message goes in chunks (a length of 16 bits, then so many bytes), and ends with an empty one.
//!
//! An empty chunk where no message has begun is a NOOP: who answers late says with it that he is still there.
//! The [`Dechunker`] takes bytes as they come, cut anywhere, and holds no more of a message than has come.

use crate::error::{Error, Result};

const CHUNK_MAX: usize = 0xffff;

/// Appends a message (not empty) in chunks.
pub fn chunk(message: &[u8], out: &mut Vec<u8>) {
    for part in message.chunks(CHUNK_MAX) {
        let length = u16::try_from(part.len()).expect("a chunk is cut to 16 bits");
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(part);
    }
    out.extend_from_slice(&NOOP);
}

/// An empty chunk.
pub const NOOP: [u8; 2] = [0, 0];

/// What came whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    Message(Vec<u8>),
    Noop,
}

/// Chunks to messages.
#[derive(Debug)]
pub struct Dechunker {
    limit: usize,
    message: Vec<u8>,
    next: Next,
}

#[derive(Debug, Clone, Copy)]
enum Next {
    Length,
    /// Its first byte has come.
    LengthEnd(u8),
    Bytes(usize),
}

impl Dechunker {
    /// For messages of at most so many bytes.
    pub fn new(limit: usize) -> Self {
        Self { limit, message: Vec::new(), next: Next::Length }
    }

    /// Takes bytes off the front of `input`, up to the end of the next frame; without one, all of them.
    /// After an error there is no way on.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Frame>> {
        loop {
            match self.next {
                Next::Length => {
                    let Some(first) = byte(input) else { return Ok(None) };
                    self.next = Next::LengthEnd(first);
                }
                Next::LengthEnd(first) => {
                    let Some(second) = byte(input) else { return Ok(None) };
                    let length = usize::from(u16::from_be_bytes([first, second]));
                    if length == 0 {
                        return Ok(Some(self.end()));
                    }
                    if self.message.len() + length > self.limit {
                        return Err(Error::MessageTooLarge { limit: self.limit });
                    }
                    self.next = Next::Bytes(length);
                }
                Next::Bytes(left) => {
                    let (here, rest) = input.split_at(left.min(input.len()));
                    self.message.extend_from_slice(here);
                    *input = rest;
                    if here.len() < left {
                        self.next = Next::Bytes(left - here.len());
                        return Ok(None);
                    }
                    self.next = Next::Length;
                }
            }
        }
    }

    /// Whether nothing of a next frame has come.
    pub fn is_between_frames(&self) -> bool {
        self.message.is_empty() && matches!(self.next, Next::Length)
    }

    fn end(&mut self) -> Frame {
        self.next = Next::Length;
        match std::mem::take(&mut self.message) {
            message if message.is_empty() => Frame::Noop,
            message => Frame::Message(message),
        }
    }
}

fn byte(input: &mut &[u8]) -> Option<u8> {
    let (first, rest) = input.split_first()?;
    *input = rest;
    Some(*first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(dechunker: &mut Dechunker, mut input: &[u8]) -> Vec<Frame> {
        let mut found = Vec::new();
        while let Some(frame) = dechunker.take(&mut input).unwrap() {
            found.push(frame);
        }
        assert!(input.is_empty());
        found
    }

    proptest! {
        #[test]
        fn messages_come_back_however_they_are_cut(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..8),
            cuts in prop::collection::vec(1..40_usize, 1..20),
        ) {
            let mut stream = Vec::new();
            for message in &messages {
                chunk(message, &mut stream);
            }
            let mut dechunker = Dechunker::new(300);
            let (mut found, mut rest, mut cuts) = (Vec::new(), &stream[..], cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, behind) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                found.extend(frames(&mut dechunker, piece));
                rest = behind;
            }
            let expected: Vec<Frame> = messages.into_iter()
                .map(|message| if message.is_empty() { Frame::Noop } else { Frame::Message(message) })
                .collect();
            prop_assert_eq!(found, expected);
            prop_assert!(dechunker.is_between_frames());
        }

        #[test]
        fn a_message_may_be_cut_into_any_chunks(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..50), 1..10),
        ) {
            let mut stream: Vec<u8> = parts.iter()
                .flat_map(|part| [&[0, u8::try_from(part.len()).unwrap()][..], part].concat())
                .collect();
            stream.extend_from_slice(&NOOP);
            let found = frames(&mut Dechunker::new(1000), &stream);
            prop_assert_eq!(found, vec![Frame::Message(parts.concat())]);
        }

        #[test]
        fn any_bytes_are_frames_or_too_large(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
            let mut dechunker = Dechunker::new(1000);
            let mut input = &bytes[..];
            loop {
                match dechunker.take(&mut input) {
                    Ok(Some(Frame::Message(message))) => prop_assert!(message.len() <= 1000),
                    Ok(Some(Frame::Noop)) => {}
                    Ok(None) => { prop_assert!(input.is_empty()); break }
                    Err(error) => { assert!(matches!(error, Error::MessageTooLarge { .. })); break }
                }
            }
            prop_assert!(dechunker.message.capacity() <= 2 * 1000);
        }
    }

    #[test]
    fn long_messages_go_in_several_chunks() {
        let message = vec![7; 2 * CHUNK_MAX + 1];
        let mut stream = Vec::new();
        chunk(&message, &mut stream);
        assert_eq!(stream.len(), message.len() + 4 * 2);
        assert_eq!(frames(&mut Dechunker::new(message.len()), &stream), [Frame::Message(message)]);
    }
}
