//! TLS with a real server that has a certificate of a private authority, for the name `localhost` only.

use std::fs;
use std::path::Path;

use grap_bolt::Error;
use grap_bolt::client::{Address, Connection, Options, Scope, Security};
use grap_testkit::{Distribution, Server};
use tempfile::TempDir;

use crate::support::options;

fn certificate(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/certificates").join(name)).unwrap()
}

fn start(distribution: &Distribution, home: &Path) -> Server {
    let folder = home.join("certificates/bolt");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("public.crt"), certificate("server.crt")).unwrap();
    fs::write(folder.join("private.key"), certificate("server.key")).unwrap();
    Server::builder(distribution)
        .setting("dbms.ssl.policy.bolt.enabled", "true")
        .setting("dbms.ssl.policy.bolt.base_directory", folder.display().to_string())
        .setting("dbms.ssl.policy.bolt.client_auth", "NONE")
        .setting("server.bolt.tls_level", "OPTIONAL")
        .start(home)
        .unwrap()
}

#[test]
fn tls_believes_whom_it_should() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let home = TempDir::new().unwrap();
        let server = start(&distribution, home.path());
        let try_it = |host: &str, security, authorities: Option<&str>| {
            let address = Address { host: host.into(), port: server.bolt_address().port(), security };
            let authorities = authorities.map(certificate);
            let options = Options { address, authorities, ..options(server.bolt_address()) };
            let mut connection = Connection::open(&options)?;
            connection.run(&Scope::default(), "RETURN 1")?.answer().map(drop)
        };
        let refused = |outcome: Result<(), Error>| match outcome.unwrap_err() {
            Error::Tls { source, .. } => source.to_string(),
            other => panic!("{other:?}"),
        };
        let (name, ip) = ("localhost", "127.0.0.1");
        // Its authority, under its name; itself, under any name; any, if so wished.
        try_it(name, Security::Tls, Some("authority.crt")).unwrap();
        try_it(ip, Security::Tls, Some("server.crt")).unwrap();
        try_it(ip, Security::TlsAnyCertificate, None).unwrap();
        try_it(ip, Security::Plain, None).unwrap();
        // Another name than its own, an authority that has not signed it, the system's.
        assert!(refused(try_it(ip, Security::Tls, Some("authority.crt"))).contains("not valid for name"));
        assert!(refused(try_it(name, Security::Tls, Some("another.crt"))).contains("UnknownIssuer"));
        assert!(refused(try_it(name, Security::Tls, None)).contains("UnknownIssuer"));
        assert!(matches!(try_it(name, Security::Tls, Some("server.key")), Err(Error::Certificates { .. })));
    }
}

/// It is not spoken to in plain text because of that.
pub(crate) fn a_server_without_tls_is_an_error(server: &Server) {
    let mut options = options(server.bolt_address());
    options.address.security = Security::TlsAnyCertificate;
    let error = Connection::open(&options).unwrap_err();
    assert!(matches!(error, Error::Tls { .. } | Error::Closed { .. }), "{error:?}");
}
