//! Bookmarks: what a transaction gives to say "not before me". The server's own text goes back as it came; what is in
//! it is looked at here.
//!
//! `FB:` + Base64 of the PackStream values `[UUID of the database: 16 bytes]`, the id of a committed transaction, `[]`.
//! The answer to a read gives one, too: the newest transaction that its database had committed. The answer to a write
//! gives its own id or, beside other writers, that of a transaction shortly after.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::packstream::{Reader, Token};

/// What a bookmark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// What the ids of elements begin with; not the `databaseID` of `SHOW DATABASES`.
    pub database: [u8; 16],
    pub transaction: u64,
}

impl Bookmark {
    /// `None` for a bookmark of another form: there may be others.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = STANDARD.decode(text.strip_prefix("FB:")?).ok()?;
        let mut reader = Reader::new(&bytes);
        let mut token = || reader.token().ok();
        let (Token::List(1), Token::Bytes(database)) = (token()?, token()?) else { return None };
        let (Token::Int(transaction), Token::List(0)) = (token()?, token()?) else { return None };
        Some(Self { database: database.try_into().ok()?, transaction: transaction.try_into().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bookmark_of_a_server() {
        let bookmark = Bookmark::parse("FB:kcwQtyJmLwFqRaaGetWxEHfdgAOQ").unwrap();
        assert_eq!(bookmark.transaction, 3);
        assert_eq!(bookmark.database[..4], [0xb7, 0x22, 0x66, 0x2f]);
    }

    #[test]
    fn another_form_is_none() {
        for text in ["", "FB:", "FB:!", "FB:kcwQ", "neo4j:bookmark:v1:tx7", "FB:wA=="] {
            assert_eq!(Bookmark::parse(text), None);
        }
    }
}
