//! Every version of Bolt that a server takes: offered alone through a relay, which makes it the old handshake.

use grap_bolt::client::{Connection, Rows, Scope, Statement};
use grap_bolt::view::{DateTime, Node, Zone};
use grap_bolt::{Error, Value, Version};
use grap_testkit::Server;

use crate::relay::Relay;
use crate::support::{connect, is_calendar, options};

pub(crate) fn each_version_is_spoken(server: &Server) {
    let taken = taken_by(server);
    assert_eq!(connect(server).version(), *taken.last().unwrap());
    for version in all() {
        let relay = Relay::offering(server.bolt_address(), version);
        match Connection::open(&options(relay.address)) {
            Ok(connection) if taken.contains(&version) => works(connection, version),
            Err(Error::NoCommonVersion { .. }) if !taken.contains(&version) => {}
            other => panic!("{version}: {other:?}"),
        }
    }
}

fn all() -> Vec<Version> {
    let five = (0..=8).map(|minor| Version::new(5, minor));
    [Version::V4_4].into_iter().chain(five).chain([Version::V6_0, Version::V6_1]).collect()
}

fn taken_by(server: &Server) -> Vec<Version> {
    let newest = match server.distribution().version() {
        "5.13.0" => Version::new(5, 4),
        _ if is_calendar(server) => Version::V6_1,
        _ => Version::V5_8,
    };
    all().into_iter().filter(|version| version.is_supported() && *version <= newest).collect()
}

fn works(mut connection: Connection, version: Version) {
    assert_eq!(connection.version(), version);
    let at = DateTime { seconds: 1_795_600_000, nanoseconds: 1, zone: Zone::Named("Europe/Paris") };
    let statement = Statement::new("CREATE (n:V {at: $at}) RETURN n, n.at").with("at", at);
    let mut transaction = connection.begin(&Scope::write("neo4j")).unwrap();
    let answer = transaction.run(statement).unwrap().answer().unwrap();
    let [node, back] = &answer.rows[0][..] else { panic!("{answer:?}") };
    assert_eq!(DateTime::of(back), Some(at), "{version}");
    assert_eq!(Node::of(node).unwrap().element_id.is_some(), version >= Version::V5_0);
    transaction.rollback().unwrap();
    let error = connection.run(&Scope::default(), "RETURN 1 / 0").and_then(Rows::finish).unwrap_err();
    let failure = error.failure().unwrap();
    assert_eq!(failure.code(), "Neo.ClientError.Statement.ArithmeticError");
    assert_eq!(failure.gql_status().is_some(), version >= Version::V5_7);
    let answer = connection.run(&Scope::default(), "RETURN 1").unwrap().answer().unwrap();
    assert_eq!(answer.single(), Some(&Value::Int(1)));
}
