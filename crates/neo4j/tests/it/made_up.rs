//! Commands written from the tables of `docs/format/transaction-log.md`, section 8, with whatever the real
//! logs do not have: secondary units, every flag, every type of a map's value.

use proptest::collection::vec;
use proptest::prelude::*;

/// All codes that [`command`] makes.
pub(crate) const COMMANDS: [u8; 18] = [1, 22, 23, 3, 26, 27, 2, 24, 25, 9, 4, 8, 5, 16, 17, 18, 19, 20];

type Bytes = BoxedStrategy<Vec<u8>>;

pub(crate) fn entry(kernel: u8, code: u8, body: &[u8]) -> Vec<u8> {
    [&[kernel, 3, code], body].concat()
}

/// The code and the body of any command.
pub(crate) fn command() -> impl Strategy<Value = (u8, Vec<u8>)> {
    proptest::sample::select(COMMANDS.to_vec())
        .prop_flat_map(|code| body(code).prop_map(move |body| (code, body)))
}

fn body(code: u8) -> Bytes {
    match code {
        1 => joined([any_bytes(8), node(), node()]),
        22 | 23 => joined([any_bytes(8), node()]),
        3 => joined([any_bytes(8), relationship(), relationship()]),
        26 | 27 => joined([any_bytes(8), relationship()]),
        2 => joined([any_bytes(8), property(), property()]),
        24 | 25 => joined([any_bytes(8), property()]),
        9 => joined([any_bytes(8), group(), group()]),
        4 | 8 => joined([any_bytes(4), any_bytes(5), dynamic_records(), any_bytes(5), dynamic_records()]),
        5 => joined([any_bytes(4), any_bytes(9), dynamic_records(), any_bytes(9), dynamic_records()]),
        16 => any_bytes(20),
        17 => any_bytes(12),
        18 => schema(),
        19 => joined([any_bytes(8), any_bytes(9), any_bytes(9)]),
        20 => any_bytes(16),
        _ => unreachable!("not among the commands"),
    }
}

fn any_bytes(length: usize) -> Bytes {
    vec(any::<u8>(), length).boxed()
}

fn joined<const N: usize>(parts: [Bytes; N]) -> Bytes {
    Vec::from(parts).prop_map(|parts| parts.concat()).boxed()
}

/// An i32 count, and the elements.
fn counted(element: Bytes) -> Bytes {
    vec(element, 0..4)
        .prop_map(|elements| {
            [&i32::try_from(elements.len()).unwrap().to_le_bytes(), &elements.concat()[..]].concat()
        })
        .boxed()
}

fn text() -> Bytes {
    counted(any_bytes(1))
}

/// Flags, then what stands there if the record is in use or not, then the secondary unit if the flags say so.
fn image(used: usize, unused: usize) -> Bytes {
    any::<u8>()
        .prop_flat_map(move |flags| {
            let fixed = if flags & 1 == 1 { used } else { unused };
            let unit = if flags & 8 == 8 { 8 } else { 0 };
            any_bytes(fixed + unit).prop_map(move |rest| [&[flags], &rest[..]].concat())
        })
        .boxed()
}

fn node() -> Bytes {
    joined([image(25, 0), dynamic_records()])
}

fn relationship() -> Bytes {
    image(61, 4)
}

fn group() -> Bytes {
    image(45, 45)
}

fn property() -> Bytes {
    let block = (1..=4_u8).prop_flat_map(|longs| {
        joined([Just(vec![longs * 8]).boxed(), any_bytes(usize::from(longs) * 8), dynamic_records()])
    });
    let blocks = vec(block, 0..=4)
        .prop_map(|blocks| [&[u8::try_from(blocks.len()).unwrap()], &blocks.concat()[..]].concat());
    joined([any_bytes(25), blocks.boxed(), dynamic_records()])
}

fn dynamic_records() -> Bytes {
    let record = any::<u8>().prop_flat_map(|flags| {
        let data = if flags & 1 == 1 { used_dynamic_record() } else { any_bytes(0) };
        joined([any_bytes(12), Just(vec![flags]).boxed(), data])
    });
    counted(record.boxed())
}

fn used_dynamic_record() -> Bytes {
    (any_bytes(8), vec(any::<u8>(), 0..40))
        .prop_map(|(next, data)| {
            [&i32::try_from(data.len()).unwrap().to_le_bytes()[..], &next[..], &data[..]].concat()
        })
        .boxed()
}

fn schema() -> Bytes {
    let without = joined([any_bytes(8), Just(vec![0]).boxed(), image_of_schema(), image_of_schema()]);
    let with = joined([
        any_bytes(8),
        Just(vec![1]).boxed(),
        image_of_schema(),
        image_of_schema(),
        counted(joined([text(), map_value()])),
    ]);
    prop_oneof![1 => without, 4 => with].boxed()
}

fn image_of_schema() -> Bytes {
    any::<u8>()
        .prop_flat_map(|flags| {
            any_bytes(if flags & 1 == 1 { 9 } else { 0 }).prop_map(move |rest| [&[flags], &rest[..]].concat())
        })
        .boxed()
}

/// Types with a fixed length: their tags and lengths.
const FIXED: [(u8, usize); 8] = [(2, 1), (3, 1), (4, 2), (5, 4), (6, 8), (7, 4), (8, 8), (10, 4)];

fn map_value() -> Bytes {
    let tagged = |tag: u8, value: Bytes| joined([Just(vec![tag]).boxed(), value]);
    let fixed = proptest::sample::select(FIXED.to_vec());
    prop_oneof![
        Just(vec![0]),
        Just(vec![1]),
        fixed.clone().prop_flat_map(move |(tag, length)| tagged(tag, any_bytes(length))),
        tagged(9, text()),
        fixed.prop_flat_map(move |(tag, length)| tagged(11, array(tag, any_bytes(length)))),
        tagged(11, array(9, text())),
    ]
    .boxed()
}

fn array(tag: u8, element: Bytes) -> Bytes {
    vec(element, 0..4)
        .prop_map(move |elements| {
            [&i32::try_from(elements.len()).unwrap().to_le_bytes()[..], &[tag], &elements.concat()[..]]
                .concat()
        })
        .boxed()
}

/// A schema command, as servers write them: with the prefix of Neo4j's keys.
pub(crate) fn rule(id: i64, images: [Option<bool>; 2], properties: &[(&str, MapText<'_>)]) -> Vec<u8> {
    let mut body = [&id.to_le_bytes()[..], &[1]].concat();
    for image in images {
        match image {
            None => body.push(0),
            Some(constraint) => body.extend([&[1, u8::from(constraint)][..], &[0; 8]].concat()),
        }
    }
    body.extend(u32::try_from(properties.len()).unwrap().to_le_bytes());
    for (key, value) in properties {
        body.extend(with_length(&format!("__org.neo4j.SchemaRule.{key}")));
        match value {
            MapText::Text(text) => body.extend([&[9], &with_length(text)[..]].concat()),
            MapText::Id(id) => body.extend([&[6][..], &id.to_le_bytes()].concat()),
        }
    }
    body
}

#[derive(Clone, Copy)]
pub(crate) enum MapText<'a> {
    Text(&'a str),
    Id(i64),
}

fn with_length(text: &str) -> Vec<u8> {
    [&u32::try_from(text.len()).unwrap().to_le_bytes(), text.as_bytes()].concat()
}
