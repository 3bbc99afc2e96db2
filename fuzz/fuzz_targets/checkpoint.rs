//! Any bytes as a checkpoint file, and behind a sound header: no panic; records lie one behind the other, with their
//! checksums.
#![no_main]

use grap_neo4j::KernelVersion;
use grap_neo4j::checkpoint::CheckpointLog;
use grap_neo4j::metadata::Metadata;
use grap_neo4j::synthetic::{first_header, header_bytes, store_id};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let _ = CheckpointLog::parse(input);
    let _ = Metadata::parse(input);
    let Some(kernel) = KernelVersion::known(20) else { return };
    let mut file = header_bytes(&first_header(kernel, store_id(1))).to_vec();
    file.extend(input);
    if let Ok(log) = CheckpointLog::parse(&file) {
        let mut at = 128;
        for record in log.records {
            let bytes = &file[record.start as usize..record.end as usize];
            let (body, checksum) = bytes.split_at(bytes.len() - 4);
            assert_eq!((record.start, crc32c::crc32c(body).to_le_bytes().as_slice()), (at, checksum));
            at = record.end;
        }
    }
});
