//! Where a server is: `bolt://host:port` and its relatives.
//!
//! `neo4j://` is taken for `bolt://`: one server is meant, and routing would lead away from it.

use std::fmt;
use std::str::FromStr;

use crate::error::Error;

const PORT: u16 = 7687;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name, or an IP address (without brackets).
    pub host: String,
    pub port: u16,
    pub security: Security,
}

/// What protects the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// `bolt://`: nothing.
    Plain,
    /// `bolt+s://`: TLS, with a certificate that is trusted.
    Tls,
    /// `bolt+ssc://`: TLS with any certificate. It keeps out who only listens.
    TlsAnyCertificate,
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(uri: &str) -> Result<Self, Error> {
        let wrong = |why| Error::Address { uri: without_secrets(uri), why };
        let (scheme, rest) = uri.split_once("://").ok_or_else(|| wrong("there is no scheme"))?;
        let security = match scheme.to_ascii_lowercase().as_str() {
            "bolt" | "neo4j" => Security::Plain,
            "bolt+s" | "neo4j+s" => Security::Tls,
            "bolt+ssc" | "neo4j+ssc" => Security::TlsAnyCertificate,
            _ => {
                return Err(wrong("the scheme is none of bolt, bolt+s, bolt+ssc, neo4j, neo4j+s, neo4j+ssc"));
            }
        };
        if rest.contains('@') {
            return Err(wrong("user and password do not belong into the address"));
        }
        let authority = rest.strip_suffix('/').unwrap_or(rest);
        if authority.contains(['/', '?', '#']) {
            return Err(wrong("something follows the host and the port"));
        }
        let (host, port) = split_port(authority).ok_or_else(|| wrong("this is no host and port"))?;
        let port = port.map_or(Ok(PORT), str::parse).map_err(|_| wrong("the port is no number to 65535"))?;
        Ok(Self { host: host.to_owned(), port, security })
    }
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`.
fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let (host, port) = if let Some(bracketed) = authority.strip_prefix('[') {
        let (host, behind) = bracketed.split_once(']')?;
        match behind {
            "" => (host, None),
            _ => (host, Some(behind.strip_prefix(':')?)),
        }
    } else {
        match authority.split_once(':') {
            Some((_, port)) if port.contains(':') => return None,
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        }
    };
    (!host.is_empty()).then_some((host, port))
}

fn without_secrets(uri: &str) -> String {
    match (uri.split_once("://"), uri.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        _ => uri.to_owned(),
    }
}

/// Host and port.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_all_their_forms() {
        for (uri, shown, security) in [
            ("bolt://localhost", "localhost:7687", Security::Plain),
            ("neo4j://db.example:7000/", "db.example:7000", Security::Plain),
            ("BOLT+S://10.0.0.1", "10.0.0.1:7687", Security::Tls),
            ("bolt+ssc://[::1]:7688", "[::1]:7688", Security::TlsAnyCertificate),
            ("neo4j+s://[::1]", "[::1]:7687", Security::Tls),
        ] {
            let address: Address = uri.parse().unwrap();
            assert_eq!((address.to_string().as_str(), address.security), (shown, security));
        }
    }

    #[test]
    fn what_is_no_address_says_why() {
        let why = |uri: &str| uri.parse::<Address>().unwrap_err().to_string();
        assert!(why("localhost:7687").contains("no scheme"));
        assert!(why("http://localhost").contains("scheme is none of"));
        assert!(why("bolt://").contains("no host"));
        assert!(why("bolt://::1").contains("no host"));
        assert!(why("bolt://a:x").contains("no number"));
        assert!(why("bolt://a:70000").contains("no number"));
        assert!(why("neo4j://a/?policy=x").contains("follows"));
        assert_eq!(
            why("bolt://neo4j:secret@host"),
            "bolt://***@host: user and password do not belong into the address; e.g. bolt://localhost:7687"
        );
    }
}
