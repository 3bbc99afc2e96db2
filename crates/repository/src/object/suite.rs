//! The conformance suite: what every [`ObjectStore`] has to do, whatever it is made of.

use super::{ObjectError, ObjectStore};

/// Run all of it on an empty store. Panics, naming the rule that is broken.
pub fn conformance(store: &dyn ObjectStore) {
    an_empty_store_has_nothing(store);
    what_is_put_is_there(store);
    nothing_is_replaced(store);
    ranges_end_with_the_object(store);
    a_folder_lists_what_is_below_it(store);
    what_is_deleted_is_gone(store);
    names_stay_within_the_store(store);
    threads_do_not_disturb_each_other(store);
}

fn missing<T>(result: Result<T, ObjectError>, name: &str) {
    match result {
        Err(ObjectError::NotFound { name: named }) => assert_eq!(named, name, "the error names the object"),
        Err(other) => panic!("a missing object is told apart from other failures: {other:?}"),
        Ok(_) => panic!("{name} should not be there"),
    }
}

fn an_empty_store_has_nothing(store: &dyn ObjectStore) {
    missing(store.get("config"), "config");
    missing(store.get_range("data/00/none", 0, 1), "data/00/none");
    missing(store.size("index/none"), "index/none");
    assert!(store.list("data").expect("an empty folder is listed").is_empty());
    assert!(store.list("grap/nowhere").expect("a folder that never was is listed").is_empty());
    store.delete("locks/none").expect("deleting what is not there is no error");
}

fn what_is_put_is_there(store: &dyn ObjectStore) {
    let large = vec![7; 3 << 20];
    let cases: [(&str, &[&[u8]]); 4] = [
        ("config", &[b"one ", b"two", b""]),
        ("data/ab/empty", &[]),
        ("data/ab/large", &[&large, &large]),
        ("grap/notes/2024-01-01_x.y", &[b"note"]),
    ];
    for (name, parts) in cases {
        store.put(name, parts).expect("a new object is put");
        assert_eq!(store.get(name).expect("what was put is got"), parts.concat(), "{name}");
        assert_eq!(store.size(name).expect("it has a size"), parts.concat().len() as u64, "{name}");
    }
}

fn nothing_is_replaced(store: &dyn ObjectStore) {
    store.put("keys/a", &[b"first"]).expect("a new object is put");
    match store.put("keys/a", &[b"second"]) {
        Err(ObjectError::AlreadyExists { name }) => assert_eq!(name, "keys/a"),
        other => panic!("an existing object is told apart: {other:?}"),
    }
    assert_eq!(store.get("keys/a").expect("it is still there"), b"first");
}

fn ranges_end_with_the_object(store: &dyn ObjectStore) {
    store.put("data/00/range", &[b"0123456789"]).expect("a new object is put");
    let range = |offset, length| store.get_range("data/00/range", offset, length).expect("a range is got");
    assert_eq!(range(0, 10), b"0123456789");
    assert_eq!(range(3, 4), b"3456");
    assert_eq!(range(8, 100), b"89", "a range ends with the object");
    assert_eq!(range(0, 0), b"");
    assert_eq!(range(10, 5), b"");
}

fn a_folder_lists_what_is_below_it(store: &dyn ObjectStore) {
    for name in ["index/1", "index/2", "grap/log/a/1", "grap/log/a/2", "grap/log/b/1", "grap/logs"] {
        store.put(name, &[name.as_bytes()]).expect("a new object is put");
    }
    let list = |prefix: &str| {
        let mut listed = store.list(prefix).expect("a folder is listed");
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        for info in &listed {
            assert_eq!(info.size, info.name.len() as u64, "{}", info.name);
        }
        listed.into_iter().map(|info| info.name).collect::<Vec<_>>()
    };
    assert_eq!(list("index"), ["index/1", "index/2"]);
    assert_eq!(list("grap/log"), ["grap/log/a/1", "grap/log/a/2", "grap/log/b/1"], "a folder, not a prefix");
    assert_eq!(list("grap/log/a"), ["grap/log/a/1", "grap/log/a/2"]);
}

fn what_is_deleted_is_gone(store: &dyn ObjectStore) {
    store.put("snapshots/x", &[b"x"]).expect("a new object is put");
    store.delete("snapshots/x").expect("an object is deleted");
    missing(store.get("snapshots/x"), "snapshots/x");
    assert!(store.list("snapshots").expect("a folder is listed").is_empty());
    store.put("snapshots/x", &[b"y"]).expect("a deleted name is free");
    store.delete("snapshots/x").expect("an object is deleted");
}

fn names_stay_within_the_store(store: &dyn ObjectStore) {
    for name in
        ["", "/etc/passwd", "../x", "data/../x", "data//x", "data/", "./x", "Data/x", "a b", "a\\b", "a\0"]
    {
        let refused = |result| matches!(result, Err(ObjectError::InvalidName { .. }));
        assert!(refused(store.put(name, &[b"x"])), "{name:?}");
        assert!(refused(store.get(name).map(drop)), "{name:?}");
        assert!(refused(store.list(name).map(drop)), "{name:?}");
        assert!(refused(store.delete(name)), "{name:?}");
    }
}

fn threads_do_not_disturb_each_other(store: &dyn ObjectStore) {
    std::thread::scope(|scope| {
        for thread in 0..4_u8 {
            scope.spawn(move || {
                for number in 0..20 {
                    let name = format!("data/{thread:02x}/{number}");
                    store.put(&name, &[&[thread], &[number]]).expect("a new object is put");
                    assert_eq!(store.get(&name).expect("what was put is got"), [thread, number]);
                }
            });
        }
    });
    // All at once for one name: one of them wins, with all of its bytes.
    let won = std::thread::scope(|scope| {
        let put = |thread: u8| move || store.put("grap/race", &[&vec![thread; 100_000]]).is_ok();
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(put(thread))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect::<Vec<_>>()
    });
    let stored = store.get("grap/race").expect("one was put");
    assert_eq!(won.iter().filter(|won| **won).count(), 1, "one put wins");
    assert!(won[usize::from(stored[0])] && stored == vec![stored[0]; 100_000]);
}
