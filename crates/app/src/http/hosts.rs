//! By which name the requests may ask for us. A page that a browser has loaded from anywhere can have its name resolved to
//! our address (DNS rebinding), and would read the answers of a listener that only this machine reaches: it asks under its
//! own name, which the browser puts into every request.
//!
//! On loopback the names are those of loopback, the address itself, and what `http.hosts` adds. Beyond it whoever is in front
//! decides; where `http.hosts` is set, that counts there, too. A request that says no name comes from no browser.

use std::net::SocketAddr;

use axum::http::header::HOST;
use axum::http::{HeaderMap, HeaderValue, Uri};

use crate::config::{SettingError, Settings};

const OF_LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// `None`: any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hosts(Option<Vec<String>>);

impl Hosts {
    pub(super) fn of(settings: &Settings, address: SocketAddr) -> Result<Self, SettingError> {
        let said = settings.parsed("http.hosts", parse)?.unwrap_or_default();
        if !address.ip().is_loopback() && said.is_empty() {
            return Ok(Self(None));
        }
        let own = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
        let known = OF_LOOPBACK.into_iter().map(str::to_owned);
        Ok(Self(Some(known.chain([own]).chain(said).collect())))
    }

    /// Every name that it says is one of ours.
    pub(super) fn admit(&self, headers: &HeaderMap, uri: &Uri) -> bool {
        let Some(known) = &self.0 else { return true };
        let is_known = |host: &str| {
            let name = without_port(host).to_ascii_lowercase();
            known.contains(&name)
        };
        let in_header = |value: &HeaderValue| value.to_str().is_ok_and(is_known);
        headers.get_all(HOST).iter().all(in_header)
            && uri.authority().is_none_or(|said| is_known(said.as_str()))
    }
}

/// `[::1]:80`, `localhost:80`, `localhost`
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Names with commas between.
pub(super) fn parse(text: &str) -> Result<Vec<String>, String> {
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(name).collect()
}

fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._[:]".contains(c);
    if without_port(text) == text && text.chars().all(plain) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("`{text}` is no name of a host without a port, as grap.example.org"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn hosts(address: &str, said: &str) -> Result<Hosts, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let said = vec![("http.hosts", said.to_owned())];
        let settings = Settings::resolve(Some(file.path()), &Environment::default(), said).unwrap();
        Hosts::of(&settings, address.parse().unwrap()).map_err(|error| error.to_string())
    }

    fn admits(hosts: &Hosts, names: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(HOST, name.parse().unwrap());
        }
        hosts.admit(&headers, &Uri::from_static("/livez"))
    }

    #[test]
    fn on_loopback_only_its_own_names_are_answered() {
        let loopback = hosts("127.0.0.1:9479", "").unwrap();
        for own in ["localhost", "LOCALHOST:9479", "127.0.0.1", "127.0.0.1:80", "[::1]", "[::1]:9479"] {
            assert!(admits(&loopback, &[own]), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:9479",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":80",
            "[::2]",
        ] {
            assert!(!admits(&loopback, &[foreign]), "{foreign}");
        }
        assert!(admits(&loopback, &[]), "no browser says nothing");
        assert!(!admits(&loopback, &["localhost", "evil.example"]));
        let absolute = Uri::from_static("http://evil.example/livez");
        assert!(!loopback.admit(&HeaderMap::new(), &absolute));
        assert!(admits(&hosts("127.0.0.5:9479", "").unwrap(), &["127.0.0.5:9479"]));
        assert!(admits(&hosts("127.0.0.1:9479", "a.example, Grap.Example").unwrap(), &["grap.example:443"]));
    }

    #[test]
    fn beyond_loopback_whoever_is_in_front_decides() {
        assert!(admits(&hosts("0.0.0.0:9479", "").unwrap(), &["any.example"]));
        let named = hosts("0.0.0.0:9479", "grap.example").unwrap();
        assert!(admits(&named, &["grap.example"]) && admits(&named, &["localhost:9479"]));
        assert!(!admits(&named, &["any.example"]));
        for wrong in ["grap.example:80", "http://grap.example", "a b"] {
            assert!(hosts("0.0.0.0:9479", wrong).unwrap_err().starts_with("http.hosts = "), "{wrong}");
        }
    }
}
