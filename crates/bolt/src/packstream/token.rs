//! One step of PackStream: a scalar with its content, or the head of what holds other values.
//!
//! Everything that reads PackStream reads tokens, so that a marker is understood in one place.

use crate::error::{Error, Result};

/// A scalar, or the head of a list, map or structure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Token<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Uuid([u8; 16]),
    Bytes(&'a [u8]),
    Text(&'a str),
    /// So many values follow.
    List(u32),
    /// So many pairs of text and value follow.
    Map(u32),
    /// So many values follow.
    Structure {
        tag: u8,
        fields: u8,
    },
}

impl Token<'_> {
    /// How many values follow that belong to this one.
    pub(crate) fn children(&self) -> u64 {
        match *self {
            Self::List(length) => u64::from(length),
            Self::Map(length) => 2 * u64::from(length),
            Self::Structure { fields, .. } => u64::from(fields),
            _ => 0,
        }
    }
}

/// Goes over bytes, token by token. After an error it stands where it stood before.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Offset of the next token.
    pub fn at(&self) -> usize {
        self.at
    }

    /// The bytes that were not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next token.
    pub fn token(&mut self) -> Result<Token<'a>> {
        let begin = self.at;
        let token = self.read();
        if token.is_err() {
            self.at = begin;
        }
        token
    }

    fn read(&mut self) -> Result<Token<'a>> {
        let at = self.at;
        let [marker] = self.array()?;
        Ok(match marker {
            0x00..=0x7f | 0xf0..=0xff => Token::Int(i64::from(marker.cast_signed())),
            0x80..=0x8f => self.text(u32::from(marker & 0x0f))?,
            0x90..=0x9f => Token::List(u32::from(marker & 0x0f)),
            0xa0..=0xaf => Token::Map(u32::from(marker & 0x0f)),
            0xb0..=0xbf => {
                let [tag] = self.array()?;
                Token::Structure { tag, fields: marker & 0x0f }
            }
            0xc0 => Token::Null,
            0xc1 => Token::Float(f64::from_be_bytes(self.array()?)),
            0xc2 => Token::Bool(false),
            0xc3 => Token::Bool(true),
            0xc8 => Token::Int(i64::from(i8::from_be_bytes(self.array()?))),
            0xc9 => Token::Int(i64::from(i16::from_be_bytes(self.array()?))),
            0xca => Token::Int(i64::from(i32::from_be_bytes(self.array()?))),
            0xcb => Token::Int(i64::from_be_bytes(self.array()?)),
            0xcc..=0xce => {
                let length = self.length(marker - 0xcc)?;
                Token::Bytes(self.slice(length)?)
            }
            0xd0..=0xd2 => {
                let length = self.length(marker - 0xd0)?;
                self.text(length)?
            }
            0xd4..=0xd6 => Token::List(self.length(marker - 0xd4)?),
            0xd8..=0xda => Token::Map(self.length(marker - 0xd8)?),
            0xe0 => Token::Uuid(self.array()?),
            _ => return Err(Error::UnknownMarker { at, marker }),
        })
    }

    /// A length of 1, 2 or 4 bytes (width 0, 1, 2).
    fn length(&mut self, width: u8) -> Result<u32> {
        Ok(match width {
            0 => u32::from(u8::from_be_bytes(self.array()?)),
            1 => u32::from(u16::from_be_bytes(self.array()?)),
            _ => u32::from_be_bytes(self.array()?),
        })
    }

    fn text(&mut self, length: u32) -> Result<Token<'a>> {
        let at = self.at;
        let bytes = self.slice(length)?;
        std::str::from_utf8(bytes).map(Token::Text).map_err(|_| Error::NotUtf8 { at })
    }

    fn slice(&mut self, length: u32) -> Result<&'a [u8]> {
        let end = usize::try_from(length).ok().and_then(|length| self.at.checked_add(length));
        let bytes = end.and_then(|end| self.bytes.get(self.at..end));
        let bytes = bytes.ok_or(Error::NeedMore { at: self.bytes.len() })?;
        self.at += bytes.len();
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.rest().first_chunk::<N>().ok_or(Error::NeedMore { at: self.bytes.len() })?;
        self.at += N;
        Ok(*bytes)
    }
}
