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

/// Two backups rest on the same chunks, and it is found by reading one of them that these are damaged.
#[test]
fn what_rests_on_known_damage_is_not_good_and_what_comes_later_does_not_rest_on_it() {
    let world = World::new("5.26.30");
    world.install(100, 5);
    let first = world.good_backup();
    let second = world.backup();
    flip(&world);
    assert_eq!(verify(&world, world.access(), None, None).len(), 0, "only reading tells");
    assert_eq!(verify(&world, world.access(), Some(&first), Some(100)).len(), 1);
    assert_eq!(verdict(world.access(), &first), Some(Verdict::Failed));
    assert_eq!(verify(&world, world.access(), Some(&second), None).len(), 1);
    assert_eq!(verdict(world.access(), &second), Some(Verdict::Failed));
    // Nor does a look that would not read them end the alarm.
    assert_eq!(verify(&world, world.access(), None, None).len(), 1);
    assert_eq!(verify(&world, world.access(), Some(&first), None).len(), 1);
    // The next one stores anew what it needs of them, and so the older ones have it, too. The first was found damaged by
    // reading all of it, and has to be read again.
    let third = world.backup();
    assert_eq!(verify(&world, world.access(), Some(&third), None), Vec::<String>::new());
    assert_eq!(verify(&world, world.access(), None, None), Vec::<String>::new());
    assert_eq!(verdict(world.access(), &second), Some(Verdict::Verified));
    assert_eq!(verdict(world.access(), &first), Some(Verdict::Failed));
    // And gc keeps the sound places.
    let options = ops::GcOptions { unused_percent: 0 };
    ops::gc(&options, world.access(), &world.state(), &world.session()).unwrap();
    assert_eq!(verify(&world, world.access(), None, Some(100)), Vec::<String>::new());
    for id in [&first, &second, &third] {
        assert_eq!(verdict(world.access(), id), Some(Verdict::Verified), "{id}");
        world.restore(id).unwrap();
    }
}

/// A second pack is found later, by a look at everything: it is remembered as the first one is.
#[test]
fn what_is_found_later_is_remembered_too() {
    let world = World::new("5.26.30");
    world.install(100, 5);
    let id = world.good_backup();
    let store = LocalStore::open(world.path("repository"));
    let mut packs: Vec<_> =
        store.list("data").unwrap().into_iter().map(|info| (info.size, info.name)).collect();
    packs.sort();
    let hurt = |name: &str| {
        let path = world.path("repository").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, bytes).unwrap();
    };
    let [.., second, first] = packs.as_slice() else { panic!("{packs:?}") };
    // One of them may hold the manifest, too, which is then told beside.
    let told = |percent| {
        let problems = verify(&world, world.access(), None, percent);
        [&first.1, &second.1].map(|pack| problems.iter().any(|problem| problem.starts_with(pack.as_str())))
    };
    hurt(&first.1);
    assert_eq!(told(Some(100)), [true, false]);
    hurt(&second.1);
    assert_eq!(told(Some(100)), [true, true]);
    // Without reading the data: both are known.
    assert_eq!(told(None), [true, true]);
    let notes = || world.objects(&format!("grap/notes/neo4j/{id}")).len();
    let before = notes();
    verify(&world, world.access(), None, None);
    assert_eq!(notes(), before, "nothing new, nothing noted");
}
