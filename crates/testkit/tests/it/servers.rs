//! Starting, stopping, killing real servers.

use grap_testkit::{Distribution, Server};

#[test]
fn a_server_keeps_its_data_over_stop_and_kill() {
    for version in Distribution::matrix() {
        let distribution = Distribution::ensure(&version).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::builder(&distribution).start(&folder.path().join("home")).unwrap();
        server.query("CREATE (:A {x: 1})").unwrap();
        server.stop().unwrap();
        server.restart().unwrap();
        server.query("CREATE (:A {x: 2})").unwrap();
        server.kill().unwrap();
        server.restart().unwrap();
        assert_eq!(server.query("MATCH (a:A) RETURN sum(a.x)").unwrap()[0].int(0), Some(3), "{version}");
    }
}
