//! Record decoders on any bytes: a value or an error, never a panic. What they make of real stores is seen in
//! `crates/grap/tests/check`.

use grap_neo4j::record::{
    DynamicRecord, Geometry, GroupRecord, NodeRecord, PropertyRecord, RecordStore, RelationshipRecord,
    Stored, TokenRecord, Value, ValueError, decode_array, decode_block, decode_long_array,
};
use proptest::prelude::*;

proptest! {
    #[test]
    fn any_bytes_are_a_record(bytes in prop::array::uniform32(any::<u8>()), more in prop::array::uniform9(any::<u8>())) {
        let all = [&bytes[..], &more[..]].concat();
        let _ = NodeRecord::parse(all.first_chunk().unwrap()).labels.decode();
        let _ = RelationshipRecord::parse(all.first_chunk().unwrap());
        let _ = GroupRecord::parse(all.first_chunk().unwrap());
        let _ = (TokenRecord::parse(&all[..5]), DynamicRecord::parse(&all).map(|record| record.data()));
        let record = PropertyRecord::parse(all.first_chunk().unwrap());
        let mut scratch = Vec::new();
        let blocks: Vec<_> = record.properties().collect();
        prop_assert!(blocks.len() <= 4);
        for block in blocks.into_iter().flatten() {
            let _ = decode_block(block.blocks, &mut scratch);
        }
    }

    #[test]
    fn any_bytes_are_an_array_or_an_error(kind in 0_u8..16, bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let array = [&[kind][..], &bytes[..]].concat();
        if let Ok(Value::List(items)) = decode_array(&array) {
            prop_assert!(items.len() <= array.len() * 8);
        }
        let _ = decode_long_array(&array);
    }

    #[test]
    fn any_blocks_are_a_value_or_an_error(kind in 0_u64..16, blocks in prop::collection::vec(any::<u64>(), 1..5)) {
        let mut blocks = blocks;
        blocks[0] = blocks[0] & !(0xF << 24) | kind << 24;
        let _ = decode_block(&blocks, &mut Vec::new());
    }
}

#[test]
fn a_record_lies_within_its_page() {
    for store in RecordStore::ALL {
        let geometry = Geometry::new(store.record_size().unwrap_or(64)).unwrap();
        let last = geometry.per_page() - 1;
        assert_eq!(geometry.place(0), (0, 0));
        assert_eq!(geometry.place(last + 1), (1, 0));
        assert!(geometry.place(last).1 + geometry.record_size() <= 8192);
    }
    assert_eq!(Geometry::new(0), None);
    assert_eq!(Geometry::new(8193), None);
}

#[test]
fn numbers_stand_in_one_block_or_two() {
    let decode = |blocks: &[u64]| match decode_block(blocks, &mut Vec::new()) {
        Ok(Stored::Here(Value::Long(number))) => Ok(number),
        other => Err(format!("{other:?}")),
    };
    assert_eq!(decode(&[7 << 29 | 1 << 28 | 6 << 24]), Ok(7));
    assert_eq!(decode(&[6 << 24, u64::MAX]), Ok(-1));
    assert!(decode(&[6 << 24]).is_err());
}

#[test]
fn an_unknown_time_zone_is_named() {
    // A datetime (kind 5 of type 14) with zone number 65000.
    let blocks = [5 << 28 | 14 << 24, 0, 65_000];
    assert_eq!(decode_block(&blocks, &mut Vec::new()), Err(ValueError::UnknownZone(65_000)));
}
