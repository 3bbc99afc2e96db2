//! A graph with everything that a store can hold, and the changes that leave traces: deletions, labels that overflow, nodes
//! that become dense, loops.

/// Statements, one after another.
pub(crate) const STATEMENTS: [&str; 22] = [
    "CREATE CONSTRAINT rich_i FOR (n:Rich) REQUIRE n.i IS UNIQUE",
    "CREATE FULLTEXT INDEX rich_words FOR (n:Rich) ON EACH [n.words]",
    "CREATE RANGE INDEX rich_w FOR ()-[x:T0]-() ON (x.w)",
    // Numbers at the edges of what their records hold.
    "UNWIND [0, 1, -1, 7, 127, -128, 32767, -32768, 2147483647, -2147483648, 34359738367, 34359738368, -34359738369,
      9223372036854775807, -9223372036854775808] AS i CREATE (:Number {i: i, list: [i, 1, i]})",
    "UNWIND [0.0, -0.0, 1.5, -1e308, 4.9e-324, 0.0/0.0, 1.0/0.0, -1.0/0.0] AS f CREATE (:Number {f: f, list: [f, 0.5]})",
    "CREATE (:Flags {a: true, b: false}), (:Number {yes: true, no: false, list: [true, false, true], none: []})",
    // Texts for each of the tables, at lengths around those that need one block more or a record of their own.
    "UNWIND ['0123 4.5-6', '2024-01-01', 'ABC DEF', 'abc def', 'a.b@c', 'http://a.b/c?d=e&f', 'AbcXyz0189_', 'Abc;xyz|:',
      'Äpfel_9', 'naïve', 'deadbeef', 'DEADBEEF', '日本語', '🦀', '', ' ', '\"', '\\u0000'] AS t
      CREATE (:Text {t: t, list: [t, t + t]}) WITH t UNWIND range(1, 14) AS n
      CREATE (:Text {t: reduce(s = '', x IN range(1, n * 3) | s + t), n: n})",
    "UNWIND [119, 120, 121, 240, 241, 5000, 70000] AS n
      CREATE (:Text {t: reduce(s = '', x IN range(1, n) | s + 'é'), n: n, bits: [x IN range(1, n) | x % 3]})",
    // Times. Zones that were renamed or came late; the ends of what there is.
    "UNWIND [date('0001-01-01'), date('1969-12-31'), date('1970-01-01'), date('9999-12-31'), date({year: -200000})] AS d
      CREATE (:Time {d: d, list: [d, date('2024-02-29')]})",
    "UNWIND [localtime('00:00'), localtime('00:00:02.147483648'), localtime('23:59:59.999999999')] AS l
      CREATE (:Time {l: l, list: [l, l], ldt: localdatetime({date: date('1969-12-31'), time: l}), lists: [localdatetime({date: date('2024-02-29'), time: l})]})",
    "UNWIND ['+00:00', '+14:00', '-11:30', '+18:00', '-18:00'] AS z
      CREATE (:Time {t: time('01:02:03.000000004' + z), list: [time('23:59:59' + z)], dt: datetime('2024-10-27T02:30:00.5' + z), dts: [datetime('0001-01-01T00:00' + z)]})",
    "UNWIND ['Europe/Kyiv', 'Europe/Kiev', 'America/Ciudad_Juarez', 'Pacific/Kanton', 'Etc/GMT+12', 'Asia/Aden', 'UTC'] AS z
      CREATE (:Time {dt: datetime({year: 2024, month: 10, day: 27, hour: 2, timezone: z}), dts: [datetime({year: 1900, timezone: z}), datetime({year: 2100, timezone: z})]})",
    "CREATE (:Time {du: duration({months: -13, days: 400, seconds: -1, nanoseconds: 999999999}), list: [duration('P1D'), duration('PT-0.5S')]})",
    "CREATE (:Place {a: point({x: 1.5, y: -0.0}), b: point({x: 1, y: 2, z: 3}), c: point({longitude: 179.9, latitude: -89.5}),
      d: point({longitude: 1, latitude: 2, height: 3}), list: [point({x: 1, y: 2}), point({x: 3, y: 4})]})",
    // Odd names; a node with nothing; more labels than fit.
    "CREATE (:`a `` b\n🦀` {`k `` \n$x`: 1}), (), (:L0:L1:L2:L3:L4:L5:L6), (:L0:L1:L2:L3:L4:L5:L6:L7:L8:L9:L10:L11 {x: 1})",
    // Dense nodes, with every direction and loops; a sparse one with a loop.
    "CREATE (:Rich {i: -1})-[:T9]->(:Rich {i: -2}) WITH 1 AS x UNWIND range(0, 199) AS i CREATE (:Rich {i: i, words: 'word ' + i})",
    "MATCH (h:Rich {i: 0}) MATCH (n:Rich) WHERE n.i >= 0 CREATE (h)-[:T0 {w: n.i}]->(n) CREATE (n)-[:T1]->(h) CREATE (n)-[:T0]->(n)",
    "MATCH (h:Rich {i: 1}) MATCH (n:Rich) WHERE n.i >= 10 CREATE (n)-[:T2 {long: 'a text that needs a record of its own, because it is longer than what fits into four blocks of a property record: ' + n.words}]->(h) CREATE (h)-[:T3]->(h)",
    // What was there leaves holes.
    "MATCH (n:Rich) WHERE n.i % 7 = 3 DETACH DELETE n",
    "MATCH ()-[x:T2]->() WITH x ORDER BY elementId(x) LIMIT 40 DELETE x",
    "MATCH (n:L0) REMOVE n:L3:L4:L5 SET n:L20:L21 REMOVE n.x",
    "MATCH (n:Text) WHERE n.n % 3 = 1 SET n.t = 'short', n.more = range(1, 100), n.words = null",
];
