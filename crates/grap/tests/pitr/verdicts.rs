//! That a backup is good is never said of bytes that are known to be damaged.

use grap::notes::Notes;
use grap::ops::{self, Access, VerifyOptions};
use grap_core::Verdict;
use grap_repository::{LocalStore, ObjectStore};

use crate::world::World;

/// Verify, and give what is wrong.
fn verify(world: &World, access: Access, backup: Option<&str>, percent: Option<u8>) -> Vec<String> {
    let backup = backup.map(|id| id.parse().unwrap());
    let options = VerifyOptions { backup, source: None, read_data_percent: percent };
    ops::verify(&options, access, &world.session()).unwrap().problems
}

fn verdict(access: Access, id: &str) -> Option<Verdict> {
    let repository = access.open().unwrap();
    let source = "neo4j".parse().unwrap();
    Notes::list(&repository, &source).unwrap().standing(&id.parse().unwrap()).unwrap().verdict()
}

/// Flip a bit in the first chunk of the largest pack, which is one of data.
fn flip(world: &World) {
    let store = LocalStore::open(world.path("repository"));
    let pack = store.list("data").unwrap().into_iter().max_by_key(|info| info.size).unwrap();
    let path = world.path("repository").join(&pack.name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
}

#[test]
fn a_later_backup_that_rests_on_damage_is_not_good() {
    let world = World::new("5.26.30");
    world.install(100, 5);
    let first = world.good_backup();
    flip(&world);
    assert_eq!(verify(&world, world.access(), None, None).len(), 0, "only reading tells");
    assert_eq!(verify(&world, world.access(), None, Some(100)).len(), 1);
    assert_eq!(verdict(world.access(), &first), Some(Verdict::Failed));
    // What changed since is stored, everything else is where it was.
    world.install(110, 5);
    let second = world.backup();
    assert_eq!(verify(&world, world.access(), Some(&second), None).len(), 1);
    assert_eq!(verdict(world.access(), &second), Some(Verdict::Failed));
    // Nor does a look at other parts of the data end the alarm.
    assert_eq!(verify(&world, world.access(), None, None).len(), 1);
    assert_eq!(verify(&world, world.access(), Some(&first), None).len(), 1);
    // Mended: the first was read through when it failed, and has to be again.
    flip(&world);
    assert_eq!(verify(&world, world.access(), None, None).len(), 0);
    assert_eq!(verdict(world.access(), &first), Some(Verdict::Failed));
    assert_eq!(verdict(world.access(), &second), Some(Verdict::Verified));
    assert_eq!(verify(&world, world.access(), None, Some(100)).len(), 0);
    assert_eq!(verdict(world.access(), &first), Some(Verdict::Verified));
}
