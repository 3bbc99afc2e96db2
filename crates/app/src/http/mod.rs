//! HTTP of `grap serve`: how the database is, how Grap is, and figures of both. It answers questions and changes nothing.
//!
//! - The only async code of the program besides the object storages' is in here: one runtime on the thread of the job,
//!   and what may take time (a lock, a file, the database) on a few threads beside it. The daemon knows nothing of it.
//! - Nobody who asks holds up anybody else: the head of a request has to be there within a limit, a connection takes one
//!   request and ends within a limit, there are so many at once, and only some of those may wait for the database.
//! - The database is asked at most once at a time, and what it said counts for a few seconds ([`crate::daemon`]).
//!
//! Routes, shapes and figures: docs/http.md.

mod answers;
mod hosts;
mod listener;
mod metrics;
mod routes;
mod sheet;

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use grap_task::Stop;

use crate::config::{SettingError, Settings};
use crate::daemon::Daemon;

use hosts::Hosts;
#[cfg(test)]
pub(crate) use sheet::{METRICS, Metric};

/// Until the stop.
pub(crate) fn serve(daemon: &Arc<Daemon>, place: Place, stop: &Stop) -> std::io::Result<()> {
    let listener = TcpListener::bind(place.address)?;
    let log = daemon.log_of("http");
    log.info(&format!("listens on http://{}", listener.local_addr()?));
    listener::run(listener, routes::router(daemon, place.hosts, stop), &log, stop)
}

/// Where to listen, and by which names requests may ask for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    hosts: Hosts,
}

/// `None`: nowhere.
pub(crate) fn place(settings: &Settings) -> Result<Option<Place>, SettingError> {
    settings.parsed("http.hosts", hosts::parse)?;
    let Some(address) = listen_address(settings)? else { return Ok(None) };
    Ok(Some(Place { address, hosts: Hosts::of(settings, address)? }))
}

/// Where to listen; `None`: nowhere. Who asks needs no password and sees names of labels and paths, so that an address
/// others can reach is taken only where that was said, too.
fn listen_address(settings: &Settings) -> Result<Option<SocketAddr>, SettingError> {
    let beyond = settings.parsed("http.beyond_loopback", parse_truth)?.unwrap_or(false);
    let parse = |text: &str| match text.trim() {
        "" => Ok(None),
        text => parse_address(text, beyond).map(Some),
    };
    Ok(settings.parsed("http.listen", parse)?.flatten())
}

fn parse_address(text: &str, beyond: bool) -> Result<SocketAddr, String> {
    let address: SocketAddr =
        text.parse().map_err(|_| "it is not ADDRESS:PORT in numbers, as 127.0.0.1:9479".to_owned())?;
    if address.ip().is_loopback() || beyond {
        return Ok(address);
    }
    Err("other machines can reach that address, and whoever asks needs no password: use 127.0.0.1, or say http.beyond_loopback = true where something in front of it decides who may ask".to_owned())
}

fn parse_truth(text: &str) -> Result<bool, String> {
    text.trim().parse().map_err(|_| "it is neither true nor false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Environment;

    fn address(lines: &[(&'static str, &str)]) -> Result<Option<String>, String> {
        let said = lines.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        let settings = Settings::resolve(Some(file.path()), &Environment::default(), said).unwrap();
        let address = listen_address(&settings).map_err(|error| error.to_string())?;
        Ok(address.map(|address| address.to_string()))
    }

    #[test]
    fn it_listens_where_it_is_told_and_nowhere_else() {
        assert_eq!(address(&[]), Ok(None));
        assert_eq!(address(&[("http.listen", " ")]), Ok(None));
        assert_eq!(address(&[("http.listen", "[::1]:9479")]), Ok(Some("[::1]:9479".to_owned())));
        for open in ["0.0.0.0:9479", "192.0.2.1:80", "[::]:9479"] {
            let refused = address(&[("http.listen", open)]).unwrap_err();
            assert!(refused.contains("http.beyond_loopback"), "{refused}");
            let told = [("http.listen", open), ("http.beyond_loopback", "true")];
            assert_eq!(address(&told), Ok(Some(open.to_owned())));
        }
        for wrong in ["9479", "localhost", "127.0.0.1", "127.0.0.1:99999"] {
            assert!(address(&[("http.listen", wrong)]).unwrap_err().starts_with("http.listen = "));
        }
        assert!(address(&[("http.beyond_loopback", "perhaps")]).is_err());
    }
}
