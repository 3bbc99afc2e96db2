//! Any bytes as values, as messages, as chunks and as a handshake: no panic, no memory for what is only announced. What is
//! decoded is encoded to the shortest form of the same; both readers find the same end.
#![no_main]

use grap_bolt::chunk::{Dechunker, Frame, chunk};
use grap_bolt::handshake::Manifest;
use grap_bolt::message::{Head, Request, Response};
use grap_bolt::packstream::{Raw, decode, decode_whole, encode};
use grap_bolt::{Bookmark, Error, Value};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, bytes) = input;
    value(bytes);
    message(bytes);
    stream(bytes, usize::from(cut) + 1);
    let _ = Manifest::parse(bytes);
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Bookmark::parse(text);
    }
});

fn value(bytes: &[u8]) {
    let raw = Raw::split(bytes);
    match decode(bytes) {
        Ok((value, length)) => {
            let (raw, rest) = raw.expect("what can be decoded can be counted through");
            assert_eq!((raw.bytes(), rest), bytes.split_at(length));
            let shortest = encoded(&value);
            assert!(shortest.len() <= length);
            assert_eq!(encoded(&decode_whole(&shortest).expect("we wrote it")), shortest);
            assert!(matches!(decode(&shortest[..shortest.len() - 1]), Err(Error::NeedMore { .. })));
        }
        Err(Error::NeedMore { .. }) => assert!(matches!(raw, Err(Error::NeedMore { .. }))),
        Err(_) => {}
    }
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(value, &mut bytes).expect("it was decoded");
    bytes
}

fn message(bytes: &[u8]) {
    if let Ok(head) = Head::of(bytes) {
        assert_eq!(head.bytes(), bytes);
        for field in head.fields() {
            let _ = (field.to_value(), field.get("mode"), field.as_text());
        }
    }
    if let Ok(request) = Request::decode(bytes) {
        let mut again = Vec::new();
        request.encode(&mut again).expect("it was decoded");
        assert!(again.len() <= bytes.len() && Request::decode(&again).is_ok());
    }
    if let Ok(response) = Response::decode(bytes) {
        response.encode(&mut Vec::new()).expect("it was decoded");
    }
}

/// The same frames however the stream is cut; and the same stream again, but for how it was cut into chunks.
fn stream(bytes: &[u8], cut: usize) {
    let whole = frames([bytes].into_iter());
    assert_eq!(frames(bytes.chunks(cut)), whole);
    let mut again = Vec::new();
    for frame in &whole {
        match frame {
            Frame::Message(message) => chunk(message, &mut again),
            Frame::Noop => again.extend_from_slice(&grap_bolt::chunk::NOOP),
        }
    }
    assert_eq!(frames([&again[..]].into_iter()), whole);
}

fn frames<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Frame> {
    let (mut dechunker, mut found) = (Dechunker::new(1 << 16), Vec::new());
    for mut piece in pieces {
        loop {
            match dechunker.take(&mut piece) {
                Ok(Some(frame)) => found.push(frame),
                Ok(None) => break,
                Err(_) => return found,
            }
        }
    }
    found
}
