//! The conformance suite on each kind of storage, and what is theirs alone.

use std::sync::{Arc, Mutex};

use grap_repository::object::require_put_if_absent;
use grap_repository::object::suite::conformance;
use grap_repository::{ObjectError, ObjectStore};
use grap_testkit::stores::{Azurite, Bucket, FakeGcs, Fault};

use crate::support::{new_name, noise, or_skip, proxied, s3, store};

/// Two prefixes of one bucket are two stores; a bucket may be one, too.
fn conforms(bucket: &Bucket) {
    for prefix in ["", "one", "one-more/With_Case"] {
        let store = store(bucket, prefix);
        // Not at the root of a bucket that has prefixes in it.
        if prefix.is_empty() {
            assert_eq!(store.top_level().unwrap(), Vec::<String>::new());
            continue;
        }
        conformance(&store);
        require_put_if_absent(&store).unwrap();
        let folders = ["config", "data", "grap", "index", "keys"];
        assert_eq!(store.top_level().unwrap(), folders);
    }
    assert_eq!(store(bucket, "").top_level().unwrap(), ["one", "one-more"]);
    large(bucket);
}

/// More than a page of a listing, and an object as large as a pack.
fn large(bucket: &Bucket) {
    let store = store(bucket, "large");
    let pack = noise(7, 33 << 20);
    store.put("data/00/pack", &[&pack]).unwrap();
    assert!(store.get("data/00/pack").unwrap() == pack);
    let (offset, length) = (17 << 20, 2 << 20);
    assert!(store.get_range("data/00/pack", offset, length).unwrap() == pack[17 << 20..19 << 20]);
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let store = &store;
            scope.spawn(move || {
                for number in (thread..1050).step_by(4) {
                    store.put(&format!("grap/log/{number:04}"), &[b"x"]).unwrap();
                }
            });
        }
    });
    let listed = store.list("grap").unwrap();
    assert_eq!(listed.len(), 1050, "a listing goes over its pages");
    assert!(listed.iter().all(|info| info.modified.is_some() && info.size == 1));
}

fn missing_bucket_is_told_apart(bucket: &Bucket) {
    let url = bucket.url.clone() + "-none";
    let store = store(&Bucket { url, ..bucket.clone() }, "x");
    for result in [store.get("config").map(drop), store.list("keys").map(drop), store.put("config", &[b"x"])]
    {
        assert!(matches!(result, Err(ObjectError::Refused { .. })), "{result:?}");
    }
}

#[test]
fn s3_as_moto_plays_it() {
    let Some(s3) = s3() else { return };
    let bucket = s3.bucket(&new_name()).unwrap();
    conforms(&bucket);
    missing_bucket_is_told_apart(&bucket);
}

/// The servers of these tests look at no signature; S3 does, and refuses a header of its own that is not signed.
#[test]
fn every_header_of_s3_is_signed_and_every_put_has_its_condition_and_checksum() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let wrong = Arc::new(Mutex::new(Vec::new()));
    let found = Arc::clone(&wrong);
    proxy.set(move |request| {
        let signed = request.header("authorization").unwrap_or_default();
        let signed = signed.split("SignedHeaders=").nth(1).and_then(|rest| rest.split(',').next());
        let signed: Vec<&str> = signed.unwrap_or_default().split(';').collect();
        let headers = request.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        let names = headers.map(|(name, _)| name.to_lowercase());
        let unsigned = names.filter(|name| name.starts_with("x-amz-") && !signed.contains(&name.as_str()));
        let put = request.method == "PUT";
        let conditioned = request.header("if-none-match") == Some("*");
        let summed = request.header("x-amz-checksum-sha256").is_some();
        if unsigned.count() > 0 || !signed.contains(&"host") || (put && !(conditioned && summed)) {
            found.lock().unwrap().push(request.head.clone());
        }
        Fault::None
    });
    conformance(&store(&bucket, "r"));
    assert!(proxy.seen() > 50);
    assert_eq!(*wrong.lock().unwrap(), Vec::<String>::new());
}

/// Versions of what is deleted stay; its name is free.
#[test]
fn s3_with_object_lock() {
    let Some(s3) = s3() else { return };
    let bucket = s3.bucket_with_object_lock(&new_name()).unwrap();
    let store = store(&bucket, "kept");
    conformance(&store);
    require_put_if_absent(&store).unwrap();
}

#[test]
fn azure_as_azurite_plays_it() {
    let Some(azure) = or_skip("Azure (azurite)", Azurite::start()) else { return };
    let bucket = azure.bucket(&new_name()).unwrap();
    conforms(&bucket);
    missing_bucket_is_told_apart(&bucket);
}

#[test]
fn google_as_fake_gcs_server_plays_it() {
    let Some(gcs) = or_skip("Google Cloud Storage (fake-gcs-server)", FakeGcs::start()) else { return };
    conforms(&gcs.bucket(&new_name()).unwrap());
}
