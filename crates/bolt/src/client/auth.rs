//! Who we are to the server.

use secrecy::{ExposeSecret, SecretString};

use crate::error::{Error, Result};
use crate::packstream::Map;

#[derive(Debug, Clone, Default)]
pub enum Auth {
    #[default]
    None,
    Basic {
        user: String,
        password: SecretString,
    },
}

impl Auth {
    pub fn basic(user: impl Into<String>, password: impl Into<String>) -> Self {
        Self::Basic { user: user.into(), password: SecretString::from(password.into()) }
    }

    /// As in `NEO4J_AUTH`: `user/password`, or `none`.
    pub fn parse(text: &str) -> Result<Self> {
        if text == "none" {
            return Ok(Self::None);
        }
        match text.split_once('/') {
            None => Err(Error::Authentication { why: "has no `/`" }),
            Some(("", _)) => Err(Error::Authentication { why: "names no user" }),
            Some((_, "")) => Err(Error::Authentication { why: "has no password" }),
            Some((user, password)) => Ok(Self::basic(user, password)),
        }
    }

    /// What goes over the wire.
    pub(super) fn to_map(&self) -> Map {
        match self {
            Self::None => Map::new().with("scheme", "none"),
            Self::Basic { user, password } => Map::new()
                .with("scheme", "basic")
                .with("principal", user.as_str())
                .with("credentials", password.expose_secret()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_a_slash_and_is_not_shown() {
        let auth = Auth::parse("neo4j/se/cret").unwrap();
        assert_eq!(auth.to_map().text("credentials"), Some("se/cret"));
        assert!(!format!("{auth:?}").contains("se/cret"));
        assert_eq!(Auth::parse("none").unwrap().to_map().text("scheme"), Some("none"));
        for wrong in ["", "neo4j", "/x", "neo4j/"] {
            assert!(matches!(Auth::parse(wrong), Err(Error::Authentication { .. })));
        }
    }
}
