//! The digest of a graph (`docs/format/digest.md`), computed from what Cypher answers. It shares no code with the checker
//! that it is compared with.

use std::collections::{BTreeMap, HashMap};

use neo4j::ValueReceive;
use neo4j::value::time::Tz;
use twox_hash::XxHash3_128;

use crate::bolt::{Bolt, Row};
use crate::error::{Error, Result};

/// What Cypher knows of a graph.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CypherGraph {
    pub digest: u128,
    pub nodes: u64,
    pub relationships: u64,
    pub labels: BTreeMap<String, u64>,
    pub types: BTreeMap<String, u64>,
}

/// Reads all of it. For graphs that fit into memory.
pub fn of_server(bolt: &Bolt) -> Result<CypherGraph> {
    let mut graph = CypherGraph::default();
    for Row(row) in bolt.run("MATCH (n) RETURN elementId(n), labels(n), properties(n)")? {
        let [id, labels, properties] = columns(row)?;
        let mut labels: Vec<String> =
            labels.as_list().into_iter().flatten().filter_map(ValueReceive::as_string).cloned().collect();
        labels.sort();
        let mut out = vec![b'N'];
        out.extend(number(&id)?.to_le_bytes());
        out.extend(length(labels.len()));
        for label in labels {
            text(&mut out, &label);
            *graph.labels.entry(label).or_default() += 1;
        }
        graph.nodes += 1;
        graph.digest = graph.digest.wrapping_add(finish(out, &properties)?);
    }
    let all = "MATCH (a)-[r]->(b) RETURN elementId(r), elementId(a), elementId(b), type(r), properties(r)";
    for Row(row) in bolt.run(all)? {
        let [id, start, end, kind, properties] = columns(row)?;
        let mut out = vec![b'R'];
        for part in [&id, &start, &end] {
            out.extend(number(part)?.to_le_bytes());
        }
        let kind = kind.as_string().cloned().unwrap_or_default();
        text(&mut out, &kind);
        *graph.types.entry(kind).or_default() += 1;
        graph.relationships += 1;
        graph.digest = graph.digest.wrapping_add(finish(out, &properties)?);
    }
    Ok(graph)
}

fn columns<const N: usize>(row: Vec<ValueReceive>) -> Result<[ValueReceive; N]> {
    row.try_into().map_err(|row| Error::Claim(format!("a row of another width: {row:?}")))
}

/// `4:<uuid>:<number>`
fn number(element_id: &ValueReceive) -> Result<u64> {
    let number = element_id.as_string().and_then(|text| text.rsplit(':').next()?.parse().ok());
    number.ok_or_else(|| Error::Claim(format!("no element id: {element_id:?}")))
}

fn finish(mut out: Vec<u8>, properties: &ValueReceive) -> Result<u128> {
    let none = HashMap::new();
    let properties = properties.as_map().unwrap_or(&none);
    let sorted: BTreeMap<&[u8], &ValueReceive> =
        properties.iter().map(|(key, value)| (key.as_bytes(), value)).collect();
    out.extend(length(sorted.len()));
    for (key, property) in sorted {
        sized(&mut out, key);
        value(&mut out, property)?;
    }
    Ok(XxHash3_128::oneshot(&out))
}

fn value(out: &mut Vec<u8>, value: &ValueReceive) -> Result<()> {
    match value {
        ValueReceive::Boolean(truth) => out.extend([1, u8::from(*truth)]),
        ValueReceive::Integer(number) => tag(out, 2, &number.to_le_bytes()),
        ValueReceive::Float(number) => tag(out, 3, &bits(*number)),
        ValueReceive::String(characters) => {
            out.push(4);
            text(out, characters);
        }
        ValueReceive::Bytes(bytes) => {
            out.push(5);
            sized(out, bytes);
        }
        ValueReceive::Cartesian2D(p) => point(out, p.srid(), &[p.x(), p.y()]),
        ValueReceive::Cartesian3D(p) => point(out, p.srid(), &[p.x(), p.y(), p.z()]),
        ValueReceive::WGS84_2D(p) => point(out, p.srid(), &[p.longitude(), p.latitude()]),
        ValueReceive::WGS84_3D(p) => point(out, p.srid(), &[p.longitude(), p.latitude(), p.altitude()]),
        ValueReceive::List(items) => {
            out.push(14);
            out.extend(length(items.len()));
            for item in items {
                self::value(out, item)?;
            }
        }
        other => temporal(out, other)?,
    }
    Ok(())
}

fn temporal(out: &mut Vec<u8>, value: &ValueReceive) -> Result<()> {
    match value {
        ValueReceive::Date(date) => {
            let days = date.signed_duration_since(chrono::NaiveDate::default()).num_days();
            tag(out, 6, &days.to_le_bytes());
        }
        ValueReceive::LocalTime(time) => tag(out, 7, &nanos(*time).to_le_bytes()),
        ValueReceive::Time(time) => {
            tag(out, 8, &nanos(time.time).to_le_bytes());
            out.extend(time.offset.local_minus_utc().to_le_bytes());
        }
        ValueReceive::LocalDateTime(at) => {
            instant(out, 9, at.and_utc().timestamp(), at.and_utc().timestamp_subsec_nanos());
        }
        ValueReceive::DateTimeFixed(at) => {
            instant(out, 10, at.timestamp(), at.timestamp_subsec_nanos());
            out.extend(at.offset().local_minus_utc().to_le_bytes());
        }
        ValueReceive::DateTime(at) => {
            instant(out, 11, at.timestamp(), at.timestamp_subsec_nanos());
            let zone: Tz = at.timezone();
            text(out, zone.name());
        }
        ValueReceive::Duration(duration) => {
            out.push(12);
            for part in [duration.months(), duration.days(), duration.seconds()] {
                out.extend(part.to_le_bytes());
            }
            out.extend(duration.nanoseconds().to_le_bytes());
        }
        other => return Err(Error::Claim(format!("no property value: {other:?}"))),
    }
    Ok(())
}

fn tag(out: &mut Vec<u8>, tag: u8, rest: &[u8]) {
    out.push(tag);
    out.extend_from_slice(rest);
}

fn bits(number: f64) -> [u8; 8] {
    if number.is_nan() { 0x7FF8_0000_0000_0000_u64.to_le_bytes() } else { number.to_le_bytes() }
}

fn point(out: &mut Vec<u8>, srid: i64, coordinates: &[f64]) {
    out.push(13);
    out.extend(u16::try_from(srid).unwrap_or(u16::MAX).to_le_bytes());
    out.push(if coordinates.len() == 3 { 3 } else { 2 });
    out.extend(coordinates.iter().flat_map(|coordinate| bits(*coordinate)));
}

fn nanos(time: chrono::NaiveTime) -> i64 {
    use chrono::Timelike;
    i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())
}

fn instant(out: &mut Vec<u8>, tag: u8, seconds: i64, nanos: u32) {
    out.push(tag);
    out.extend(seconds.to_le_bytes());
    out.extend(nanos.to_le_bytes());
}

fn text(out: &mut Vec<u8>, text: &str) {
    sized(out, text.as_bytes());
}

fn sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length(bytes.len()));
    out.extend_from_slice(bytes);
}

fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a property is shorter").to_le_bytes()
}
