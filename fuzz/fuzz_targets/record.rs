//! Any bytes as records, as blocks of a property, as an array: no panic, no endless loop; what is decoded is no larger than
//! what it was decoded from allows.
#![no_main]

use grap_neo4j::record::{
    DynamicRecord, GroupRecord, LabelField, NodeRecord, PropertyRecord, RelationshipRecord, SchemaRecord,
    TokenRecord, Value, decode_array, decode_block, decode_long_array, dynamic_record_size,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = input.first_chunk().map(|bytes| NodeRecord::parse(bytes).labels.decode());
    let _ = input.first_chunk().map(RelationshipRecord::parse);
    let _ = input.first_chunk().map(GroupRecord::parse);
    let _ = input.first_chunk().map(SchemaRecord::parse);
    let _ = input.first_chunk().map(|bytes| LabelField(u64::from_le_bytes(*bytes)).decode());
    let _ = (TokenRecord::parse(input), dynamic_record_size(input));
    if let Some(record) = DynamicRecord::parse(input) {
        assert!(record.data().is_none_or(|data| data.len() <= input.len()));
    }
    if let Some(record) = input.first_chunk().map(PropertyRecord::parse) {
        let mut scratch = Vec::new();
        for block in record.properties().flatten() {
            let _ = decode_block(block.blocks, &mut scratch);
        }
    }
    if let Ok(Value::List(items)) = decode_array(input) {
        assert!(items.len() <= input.len() * 8);
    }
    if let Ok(longs) = decode_long_array(input) {
        assert!(longs.len() <= input.len() * 8);
    }
});
