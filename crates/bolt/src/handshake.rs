//! How client and server agree on a version.
//!
//! The client sends [`MAGIC`] and four proposals, each `[0, back, minor, major]`: the minors `minor - back ..= minor`.
//! - The old way: the server answers with four bytes, the version it chose, or zeros.
//! - The manifest (5.7 and later): one of the proposals is [`MANIFEST`]; the server answers with the same four bytes, a
//!   count, so many ranges, and its capabilities; the client sends its choice and the capabilities it wants. Counts and
//!   capabilities are varints: 7 bits a byte, the lowest first. Nobody has a capability yet.

use std::fmt;

use crate::error::{Error, Result};

pub const MAGIC: [u8; 4] = [0x60, 0x60, 0xb0, 0x17];

/// The proposal that asks for the manifest, and the answer that brings it.
pub const MANIFEST: [u8; 4] = [0, 0, 1, 0xff];

/// A manifest of more ranges than this is none.
const RANGES_MAX: u64 = 64;

/// A version of Bolt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub major: u8,
    pub minor: u8,
}

impl Version {
    pub const V4_4: Self = Self::new(4, 4);
    pub const V5_0: Self = Self::new(5, 0);
    /// Log on with a message of its own.
    pub const V5_1: Self = Self::new(5, 1);
    /// The client says which program it is.
    pub const V5_3: Self = Self::new(5, 3);
    /// Failures carry a GQL status.
    pub const V5_7: Self = Self::new(5, 7);
    pub const V5_8: Self = Self::new(5, 8);
    /// Vectors.
    pub const V6_0: Self = Self::new(6, 0);
    /// UUIDs.
    pub const V6_1: Self = Self::new(6, 1);

    pub const fn new(major: u8, minor: u8) -> Self {
        Self { major, minor }
    }

    /// Whether this crate speaks it. There are servers of 5.0 to 5.4 and 5.6 to 5.8; no server has taken 5.5.
    pub fn is_supported(self) -> bool {
        matches!((self.major, self.minor), (4, 4) | (5, 0..=4 | 6..=8) | (6, 0..=1))
    }

    /// As four bytes.
    pub fn bytes(self) -> [u8; 4] {
        [0, 0, self.minor, self.major]
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Minors `newest.minor - back` to `newest.minor` of one major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    pub newest: Version,
    pub back: u8,
}

impl Range {
    pub fn parse([_, back, minor, major]: [u8; 4]) -> Self {
        Self { newest: Version::new(major, minor), back }
    }

    pub fn bytes(self) -> [u8; 4] {
        [0, self.back, self.newest.minor, self.newest.major]
    }

    /// Its versions, the newest first.
    pub fn versions(self) -> impl Iterator<Item = Version> {
        let oldest = self.newest.minor.saturating_sub(self.back);
        (oldest..=self.newest.minor).rev().map(move |minor| Version::new(self.newest.major, minor))
    }
}

/// What our client sends first.
pub fn offer() -> [u8; 20] {
    let five = Range { newest: Version::V5_8, back: 8 }.bytes();
    let four = Version::V4_4.bytes();
    let mut offer = [0; 20];
    let parts = [MAGIC, MANIFEST, five, four, [0; 4]];
    for (place, part) in offer.chunks_exact_mut(4).zip(parts) {
        place.copy_from_slice(&part);
    }
    offer
}

/// The first four bytes of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Chosen(Version),
    /// A manifest follows.
    Manifest,
    /// None of the proposals.
    Nothing,
    /// It is no Bolt server (or it wants TLS).
    NotBolt,
}

impl Answer {
    pub fn parse(bytes: [u8; 4]) -> Self {
        match bytes {
            MANIFEST => Self::Manifest,
            [0, 0, 0, 0] => Self::Nothing,
            [0, 0, minor, major @ 1..=0x20] => Self::Chosen(Version::new(major, minor)),
            _ => Self::NotBolt,
        }
    }
}

/// What a server says it speaks, behind the four bytes [`MANIFEST`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub ranges: Vec<Range>,
    pub capabilities: u64,
}

impl Manifest {
    /// The manifest at the beginning of `bytes`, and its length there.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut rest = bytes;
        let short = || Error::NeedMore { at: bytes.len() };
        let count = varint(&mut rest)?.ok_or_else(short)?;
        if count > RANGES_MAX {
            return Err(Error::NotAMessage { what: "a manifest with too many ranges" });
        }
        let mut ranges = Vec::new();
        for _ in 0..count {
            let (range, behind) = rest.split_first_chunk().ok_or_else(short)?;
            ranges.push(Range::parse(*range));
            rest = behind;
        }
        let capabilities = varint(&mut rest)?.ok_or_else(short)?;
        Ok((Self { ranges, capabilities }, bytes.len() - rest.len()))
    }

    pub fn encode(&self, out: &mut Vec<u8>) {
        encode_varint(self.ranges.len() as u64, out);
        out.extend(self.ranges.iter().flat_map(|range| range.bytes()));
        encode_varint(self.capabilities, out);
    }

    /// The newest version of it that this crate speaks.
    pub fn newest_supported(&self) -> Option<Version> {
        self.versions().filter(|version| version.is_supported()).max()
    }

    pub fn versions(&self) -> impl Iterator<Item = Version> {
        self.ranges.iter().flat_map(|range| range.versions())
    }
}

/// The client's last word after a manifest: this version, no capability.
pub fn choice(version: Version) -> [u8; 5] {
    let [zero, also_zero, minor, major] = version.bytes();
    [zero, also_zero, minor, major, 0]
}

/// Takes a varint off the front; `None` where the bytes end within it.
fn varint(rest: &mut &[u8]) -> Result<Option<u64>> {
    let mut value = 0_u64;
    for shift in (0..63).step_by(7) {
        let Some((byte, behind)) = rest.split_first() else { return Ok(None) };
        *rest = behind;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(Some(value));
        }
    }
    Err(Error::NotAMessage { what: "a varint of more than 63 bits" })
}

fn encode_varint(mut value: u64, out: &mut Vec<u8>) {
    while value > 0x7f {
        out.push(u8::try_from(value & 0x7f).expect("7 bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("7 bits"));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the three servers answered to a client that offered a manifest.
    const ANSWERS: [(&str, Version); 2] = [
        ("03 00040404 00040405 00020805 00", Version::V5_8),
        ("04 00040404 00040405 00020805 00010106 00", Version::V6_1),
    ];

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: String = hex.split_whitespace().collect();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_offer_is_that_of_a_driver() {
        assert_eq!(offer()[..12], bytes("6060b017 000001ff 00080805"));
        assert_eq!(Answer::parse([0, 0, 4, 5]), Answer::Chosen(Version::new(5, 4)));
        assert_eq!(Answer::parse(*b"HTTP"), Answer::NotBolt);
        assert_eq!(Answer::parse([0; 4]), Answer::Nothing);
        assert_eq!(Answer::parse(MANIFEST), Answer::Manifest);
    }

    #[test]
    fn manifests_of_real_servers() {
        for (answer, newest) in ANSWERS {
            let answer = bytes(answer);
            let (manifest, length) = Manifest::parse(&answer).unwrap();
            assert_eq!((length, manifest.newest_supported()), (answer.len(), Some(newest)));
            let mut again = Vec::new();
            manifest.encode(&mut again);
            assert_eq!(again, answer);
            for end in 0..answer.len() {
                assert!(matches!(Manifest::parse(&answer[..end]), Err(Error::NeedMore { .. })));
            }
        }
        assert_eq!(choice(Version::V6_1), [0, 0, 1, 6, 0]);
    }

    #[test]
    fn a_manifest_without_an_end_is_none() {
        for endless in [vec![0xff; 30], vec![65], [vec![0], vec![0x80; 30]].concat()] {
            assert!(matches!(Manifest::parse(&endless), Err(Error::NotAMessage { .. })), "{endless:?}");
        }
    }

    proptest! {
        #[test]
        fn manifests_come_back(
            ranges in prop::collection::vec(any::<[u8; 3]>(), 0..20),
            capabilities in 0..u64::MAX >> 1,
        ) {
            let ranges = ranges.into_iter().map(|[a, b, c]| Range::parse([0, a, b, c])).collect();
            let manifest = Manifest { ranges, capabilities };
            let mut encoded = Vec::new();
            manifest.encode(&mut encoded);
            prop_assert_eq!(Manifest::parse(&encoded).unwrap(), (manifest, encoded.len()));
        }

        #[test]
        fn any_bytes_are_a_manifest_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Manifest::parse(&bytes);
        }
    }
}
