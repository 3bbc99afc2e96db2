//! A damaged chunk, and a restore that goes on: exactly that chunk is missing, and no server opens what was
//! written.

use std::path::PathBuf;

use grap_testkit::damage::{Damage, Injury, inflict};
use grap_testkit::tree;

use crate::damage::pack_kinds;
use crate::support::Stopped;

#[test]
fn what_is_whole_of_a_damaged_backup_is_written_when_asked() {
    let stopped = Stopped::new();
    // One file of many chunks that do not compress, so that the middle of the pack lies in it.
    let strings = stopped.path("data/databases/neo4j/neostore.propertystore.db.strings");
    let mut bytes = std::fs::read(&strings).unwrap();
    bytes.extend(
        (0..3_u32 << 18)
            .flat_map(|number| number.wrapping_mul(0x9e37_79b1).rotate_left(number % 31).to_le_bytes()),
    );
    std::fs::write(&strings, bytes).unwrap();
    let id = stopped.backup();
    let kinds = pack_kinds(&stopped.grap);
    let pack = kinds.iter().find(|(_, kind)| *kind == "data").unwrap().0;
    let file = PathBuf::from(format!("data/{}/{pack}", &pack[..2]));
    let size = std::fs::metadata(stopped.grap.repository.join(&file)).unwrap().len();
    let damage = Damage::Flip { offset: size / 2, bit: 0 };
    inflict(&stopped.grap.repository, &Injury { file, damage }).unwrap();

    let to = stopped.path("salvage");
    let arguments = ["restore", &id, "--to", &to.display().to_string()];
    let refused = stopped.run(&arguments).refused("BACKUP_CORRUPTED", 9);
    assert!(refused.said().contains(pack) && !to.exists(), "{refused:?}");
    let ran = stopped.run(&[&arguments[..], &["--keep-going"]].concat());
    assert_eq!((ran.status, ran.code().as_str()), (3, "RESTORED_PARTLY"), "{ran:?}");
    let report = ran.json();
    let damages = report["damages"].as_array().unwrap();
    assert_eq!(report["complete"], false);
    let salvage = to.join(".grap-salvage");
    assert!(salvage.join("databases/neo4j").is_dir() && !to.join("databases").exists());
    assert!(!salvage.join("transactions").exists() && !to.join("transactions").exists());
    // The damaged chunk stands in the report by file, offset and pack, wherever it was used; all else is as
    // it was.
    let [damage] = damages.as_slice() else { panic!("{report}") };
    assert!(damage["reason"].as_str().unwrap().contains(pack), "{damage}");
    assert!(refused.said().contains(&format!("at byte {}", damage["offset"])), "{refused:?} {damage}");
    for file in tree::files(&salvage.join("databases")).unwrap() {
        let name = format!("databases/{}", file.display());
        let (mut before, after) = (
            std::fs::read(stopped.path("data").join(&name)).unwrap(),
            std::fs::read(salvage.join(&name)).unwrap(),
        );
        for damage in damages.iter().filter(|damage| damage["file"] == name.as_str()) {
            let from = usize::try_from(damage["offset"].as_u64().unwrap()).unwrap();
            let to = before.len().min(from + (64 << 10));
            before[from..to].fill(0);
        }
        assert!(before == after, "{name}");
    }
}
