//! Many calls through a bad network, at random: what succeeded is there with its own bytes, what failed is
//! there whole or not at all, and nothing is ever another's.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use grap_repository::{ObjectError, ObjectStore};
use grap_testkit::stores::{Fault, Request};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::support::{noise, patient, proxied, s3, store, unwearied};

fn seed() -> u64 {
    let seed = std::env::var("GRAP_SEED").ok().and_then(|seed| seed.parse().ok());
    seed.unwrap_or_else(|| rand::rng().random())
}

/// One request in four goes wrong.
fn bad_network(seed: u64) -> impl Fn(&Request) -> Fault + Send + Sync {
    let random = Mutex::new(StdRng::seed_from_u64(seed));
    move |_| match random.lock().unwrap().random_range(0..32) {
        0 => Fault::Answer(503, "SlowDown"),
        1 => Fault::AnswerAfter(500, "InternalError"),
        2 => Fault::Cut,
        3 => Fault::LoseAnswer,
        4 => Fault::HalfAnswer,
        5 => Fault::Late(80),
        6 => Fault::Answer(409, "ConditionalRequestConflict"),
        7 => Fault::Answer(429, "TooManyRequests"),
        _ => Fault::None,
    }
}

#[test]
fn segments_put_at_random_through_a_bad_network() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let seed = seed();
    eprintln!("GRAP_SEED={seed}");
    proxy.set(bad_network(seed));
    // Two writers of the same names, as two archivers that do not know of each other: one of them wins each.
    let won: Vec<BTreeMap<String, u64>> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2_u64)
            .map(|writer| {
                let bucket = &bucket;
                scope.spawn(move || {
                    let store = unwearied(bucket, "r");
                    let mut won = BTreeMap::new();
                    for number in 0..60_u64 {
                        let name = format!("grap/log/s/{number:04}");
                        let bytes = noise(1 + writer * 1000 + number, 20_000);
                        match store.put(&name, &[&bytes]) {
                            Ok(()) => _ = won.insert(name, 1 + writer * 1000 + number),
                            Err(ObjectError::AlreadyExists { .. }) => {}
                            Err(error) => panic!("{name}: {error:?}"),
                        }
                    }
                    won
                })
            })
            .collect();
        writers.into_iter().map(|writer| writer.join().unwrap()).collect()
    });
    let (struck, seen) = (proxy.struck(), proxy.seen());
    assert!(struck > 10, "{struck} of {seen}");
    let patient = unwearied(&bucket, "r");
    assert_eq!(patient.list("grap/log").unwrap().len(), 60);
    for number in 0..60_u64 {
        let name = format!("grap/log/s/{number:04}");
        let winners: Vec<u64> = won.iter().filter_map(|won| won.get(&name).copied()).collect();
        let [winner] = winners.as_slice() else { panic!("GRAP_SEED={seed}: {name} was won by {winners:?}") };
        assert!(patient.get(&name).unwrap() == noise(*winner, 20_000), "GRAP_SEED={seed}: {name}");
    }
    proxy.clear();
    assert_eq!(store(&bucket, "r").list("grap").unwrap().len(), 60);
    eprintln!("{struck} faults in {seen} requests");
}

/// A storage that hangs is left after the time of a request, and asked again.
#[test]
fn a_request_that_hangs_is_given_up_and_tried_again() {
    let Some(s3) = s3() else { return };
    let (proxy, bucket) = proxied(s3);
    let patient = patient(&bucket, "r", Duration::from_secs(30));
    proxy.set(|request| if request.number == 1 { Fault::Hang(20_000) } else { Fault::None });
    patient.put("config", &[b"x"]).unwrap();
    assert_eq!(proxy.seen(), 2);
    assert_eq!(patient.get("config").unwrap(), b"x");
}
