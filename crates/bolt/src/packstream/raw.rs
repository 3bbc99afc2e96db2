//! One whole value in borrowed bytes: for whoever looks at a few heads and gives the rest on as it is.
//!
//! That the bytes are one whole value is seen once, by counting (no recursion, no memory); what is inside is
//! looked at only when it is asked for, and then may turn out to be no text, or no key.

use super::decode::decode_whole;
use super::token::{Reader, Token};
use super::value::Value;
use crate::error::{Error, Result};

/// The bytes of one value, exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

impl<'a> Raw<'a> {
    /// The value at the beginning of `bytes`, and what follows it.
    pub fn split(bytes: &'a [u8]) -> Result<(Self, &'a [u8])> {
        let mut reader = Reader::new(bytes);
        let mut owed: u64 = 1;
        while owed > 0 {
            owed = owed - 1 + reader.token()?.children();
            // Each has a byte at least: what was announced and cannot be there is not counted through.
            if owed > reader.rest().len() as u64 {
                return Err(Error::NeedMore { at: bytes.len() });
            }
        }
        let (value, rest) = bytes.split_at_checked(reader.at()).unwrap_or((bytes, &[]));
        Ok((Self(value), rest))
    }

    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value itself if it is a scalar, else its head.
    pub fn token(self) -> Result<Token<'a>> {
        Reader::new(self.0).token()
    }

    pub fn as_text(self) -> Option<&'a str> {
        match self.token() {
            Ok(Token::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub fn as_int(self) -> Option<i64> {
        match self.token() {
            Ok(Token::Int(value)) => Some(value),
            _ => None,
        }
    }

    /// The elements of a list, the fields of a structure; of everything else none.
    pub fn items(self) -> Items<'a> {
        let mut reader = Reader::new(self.0);
        match reader.token() {
            Ok(head @ (Token::List(_) | Token::Structure { .. })) => {
                Items { rest: reader.rest(), left: head.children() }
            }
            _ => Items { rest: &[], left: 0 },
        }
    }

    /// The pairs of a map; of everything else none.
    pub fn entries(self) -> Entries<'a> {
        let mut reader = Reader::new(self.0);
        match reader.token() {
            Ok(head @ Token::Map(_)) => Entries(Items { rest: reader.rest(), left: head.children() }),
            _ => Entries(Items { rest: &[], left: 0 }),
        }
    }

    /// The value of a key of a map, the first one where there are several.
    pub fn get(self, key: &str) -> Option<Raw<'a>> {
        self.entries().filter_map(Result::ok).find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    pub fn to_value(self) -> Result<Value> {
        decode_whole(self.0)
    }
}

/// Values one behind the other.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    rest: &'a [u8],
    left: u64,
}

impl<'a> Iterator for Items<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        self.left = self.left.checked_sub(1)?;
        // The whole was counted through before: its parts are whole, too.
        let (value, rest) = Raw::split(self.rest).ok()?;
        self.rest = rest;
        Some(value)
    }
}

/// The pairs of a map, in their order.
#[derive(Debug, Clone)]
pub struct Entries<'a>(Items<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<(&'a str, Raw<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        let key = self.0.next()?;
        let value = self.0.next()?;
        Some(key.as_text().map(|key| (key, value)).ok_or(Error::KeyNotText { at: 0 }))
    }
}
