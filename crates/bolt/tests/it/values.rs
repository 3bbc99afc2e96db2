//! Every type of Cypher there and back, judged by another client (the driver of the test kit), too.

use grap_bolt::client::{Connection, Scope, Statement};
use grap_bolt::view::{
    Date, DateTime, Duration, Element, LocalDateTime, LocalTime, Node, Path, Point, Relationship, Time,
    Vector, Zone,
};
use grap_bolt::{Map, Value, Version};
use grap_testkit::Server;
use grap_testkit::value::{self as kit, canonical_received};

use crate::support::{connect, encoded};

pub(crate) fn every_type_comes_back(server: &Server) {
    let mut connection = connect(server);
    for value in values() {
        assert_eq!(encoded(&echo(&mut connection, &value)), encoded(&value), "{value:?}");
    }
    maps(&mut connection);
    graph(&mut connection);
    if connection.version() >= Version::V6_1 {
        vectors_and_uuids(&mut connection);
    } else {
        eprintln!("SKIPPED on {}: vectors and UUIDs, which came with Bolt 6.1", connection.agent());
    }
    another_client_sees_the_same(server, &mut connection);
}

fn echo(connection: &mut Connection, value: &Value) -> Value {
    let statement = Statement::new("RETURN $value").with("value", value.clone());
    let answer = connection.run(&Scope::read("neo4j"), statement).unwrap().answer().unwrap();
    answer.single().unwrap().clone()
}

fn values() -> Vec<Value> {
    let mut values: Vec<Value> = vec![
        Value::Null,
        true.into(),
        false.into(),
        Value::List(vec![]),
        Value::List(vec![1.into(), Value::Null, "a".into(), Value::List(vec![2.5.into()])]),
        Map::new().into(),
        Date { days: -719_162 }.into(),
        Date { days: 20_783 }.into(),
        LocalTime { nanoseconds: 86_399_999_999_999 }.into(),
        Time { nanoseconds: 1, offset_seconds: -64_800 }.into(),
        LocalDateTime { seconds: -1, nanoseconds: 999_999_999 }.into(),
        DateTime { seconds: 1_795_600_000, nanoseconds: 7, zone: Zone::Offset(7200) }.into(),
        DateTime { seconds: 1_795_600_000, nanoseconds: 0, zone: Zone::Named("Europe/Berlin") }.into(),
        Duration { months: -14, days: 3, seconds: 86_400, nanoseconds: 999_999_999 }.into(),
        Point { srid: 7203, x: 1.5, y: -2.5, z: None }.into(),
        Point { srid: 9157, x: 1.0, y: 2.0, z: Some(3.0) }.into(),
        Point { srid: 4326, x: 13.4, y: 52.5, z: None }.into(),
        Point { srid: 4979, x: 13.4, y: 52.5, z: Some(34.0) }.into(),
    ];
    for power in [0, 4, 7, 8, 15, 16, 31, 32, 53, 62] {
        for near in -1..=1 {
            let integer = (1_i64 << power) + near;
            values.extend([integer.into(), (-integer).into()]);
        }
    }
    values.extend([i64::MIN, i64::MAX].map(Value::from));
    let floats = [0.0, -0.0, 1.1, f64::MIN_POSITIVE, 5e-324, f64::MAX, f64::INFINITY, f64::NEG_INFINITY];
    values.extend(floats.map(Value::from));
    values.push(f64::NAN.into());
    for length in [0, 1, 15, 16, 255, 256, 65_535, 65_536, 200_000] {
        values.push("x".repeat(length).into());
        values.push(vec![0xa5_u8; length].into());
        values.push(Value::List(vec![1.into(); length.min(70_000)]));
    }
    values.push("Grüße, 世界, 🦀, e\u{301}, \u{0}, \u{10ffff}".into());
    values
}

/// The server keeps no order of keys; every pair comes back.
fn maps(connection: &mut Connection) {
    for length in [1, 15, 16, 300] {
        let map: Map = (0..length).map(|n| (format!("key {n}"), Value::Int(n))).collect();
        let Value::Map(mut back) = echo(connection, &map.clone().into()) else { panic!("no map") };
        back.0.sort_by_key(|(_, value)| value.as_int());
        assert_eq!(back, map);
    }
}

fn graph(connection: &mut Connection) {
    let create =
        "CREATE (a:A:B {n: 1})-[r:R {w: 2.5}]->(b) WITH a, r, b MATCH p = (b)<-[:R]-(a) RETURN a, r, p";
    let answer = connection.run(&Scope::write("neo4j"), create).unwrap().answer().unwrap();
    assert_eq!(answer.fields, ["a", "r", "p"]);
    let [a, r, p] = &answer.rows[0][..] else { panic!("{answer:?}") };
    let (a, r, p) = (Node::of(a).unwrap(), Relationship::of(r).unwrap(), Path::of(p).unwrap());
    let mut labels: Vec<_> = a.labels().collect();
    labels.sort_unstable();
    assert_eq!((labels, a.properties.get("n")), (vec!["A", "B"], Some(&Value::Int(1))));
    assert_eq!((r.kind, r.properties.get("w")), ("R", Some(&Value::Float(2.5))));
    assert_eq!(r.start, Some((a.id, a.element_id)));
    assert_eq!(r.end, Some((p.start.id, p.start.element_id)));
    let [step] = &p.steps[..] else { panic!("{p:?}") };
    assert!(step.backwards);
    assert_eq!((step.to.element_id, step.relationship.element_id), (a.element_id, r.element_id));
    assert!(a.element_id.is_some_and(|id| id.starts_with("4:")), "{a:?}");
    assert_eq!((answer.summary.kind(), answer.summary.count("nodes-created")), ("rw", 2));
}

fn vectors_and_uuids(connection: &mut Connection) {
    let bytes = [0x3f, 0x80, 0, 0, 0xc0, 0, 0, 0];
    for element in
        [Element::Int8, Element::Int16, Element::Int32, Element::Int64, Element::Float32, Element::Float64]
    {
        let value = Value::from(Vector { element, bytes: &bytes });
        let back = echo(connection, &value);
        assert_eq!(back, value);
        assert_eq!(Vector::of(&back).unwrap().len(), 8 / element.size());
    }
    let made = "CYPHER 25 RETURN vector([1, -2], 2, FLOAT32), uuid()";
    let answer = connection.run(&Scope::read("neo4j"), made).unwrap().answer().unwrap();
    assert_eq!(Vector::of(&answer.rows[0][0]), Some(Vector { element: Element::Float32, bytes: &bytes }));
    let uuid = &answer.rows[0][1];
    assert!(matches!(uuid, Value::Uuid(_)), "{uuid:?}");
    assert_eq!(echo(connection, uuid), *uuid);
}

/// What we write, the driver reads; what the driver writes, we read.
fn another_client_sees_the_same(server: &Server, connection: &mut Connection) {
    let driver = server.bolt();
    for (ours, theirs) in pairs() {
        let create = Statement::new("CREATE (n:Ours {v: $v})").with("v", ours.clone());
        let summary = connection.run(&Scope::write("neo4j"), create).unwrap().finish().unwrap();
        assert_eq!(summary.count("properties-set"), 1);
        let rows = driver.run("MATCH (n:Ours) WITH n, n.v AS v DELETE n RETURN v").unwrap();
        assert_eq!(canonical_received(&rows[0].0[0]), theirs.canonical());

        let parameters = [("v".to_owned(), theirs.to_bolt())].into();
        driver.run_with("CREATE (n:Theirs {v: $v})", &parameters).unwrap();
        let read = "MATCH (n:Theirs) WITH n, n.v AS v DELETE n RETURN v";
        let answer = connection.run(&Scope::write("neo4j"), read).unwrap().answer().unwrap();
        assert_eq!(encoded(answer.single().unwrap()), encoded(&ours));
    }
}

fn pairs() -> Vec<(Value, kit::Value)> {
    let seconds = 1_795_600_000;
    vec![
        (i64::MIN.into(), kit::Value::Int(i64::MIN)),
        ((-0.0).into(), kit::Value::Float(-0.0)),
        ("ß 🦀".into(), kit::Value::Text("ß 🦀".into())),
        (vec![1_u8, 2].into(), kit::Value::Bytes(vec![1, 2])),
        (Date { days: 7 }.into(), kit::Value::Date(7)),
        (LocalTime { nanoseconds: 9 }.into(), kit::Value::LocalTime(9)),
        (Time { nanoseconds: 5, offset_seconds: 3600 }.into(), kit::Value::Time(5, 3600)),
        (LocalDateTime { seconds, nanoseconds: 3 }.into(), kit::Value::LocalDateTime(seconds, 3)),
        (
            DateTime { seconds, nanoseconds: 3, zone: Zone::Offset(-3600) }.into(),
            kit::Value::DateTime(seconds, 3, kit::Zone::Offset(-3600)),
        ),
        (
            Duration { months: 1, days: 2, seconds: 3, nanoseconds: 4 }.into(),
            kit::Value::Duration(1, 2, 3, 4),
        ),
        (
            Point { srid: 7203, x: 1.5, y: 2.5, z: None }.into(),
            kit::Value::Point(kit::Point::Cartesian(1.5, 2.5)),
        ),
        (
            Point { srid: 4979, x: 1.5, y: 2.5, z: Some(3.5) }.into(),
            kit::Value::Point(kit::Point::Wgs84Height(1.5, 2.5, 3.5)),
        ),
    ]
}
