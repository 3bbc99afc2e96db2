//! Peers that no real server is: silent, trickling, lying. Every answer comes within the limit, and names what it was.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use grap_bolt::chunk::chunk;
use grap_bolt::client::{Connection, Limits, Options, Scope};
use grap_bolt::message::{Failure, Response};
use grap_bolt::{Error, Map};

use crate::support::{limits, options, timed};

const LIMIT: Duration = Duration::from_millis(400);
/// What a loaded machine may add.
const SLACK: Duration = Duration::from_secs(8);

/// A server of one connection that behaves as told.
fn peer(behave: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || behave(listener.accept().unwrap().0));
    address
}

/// Impatient from the beginning.
fn impatient(address: SocketAddr) -> Options {
    Options { limits: limits(LIMIT), ..options(address) }
}

/// Impatient once it is welcomed.
fn expectant(address: SocketAddr) -> Options {
    Options { limits: Limits { exchange: LIMIT, ..Limits::default() }, ..options(address) }
}

/// Takes the offer and answers with version 5.4, then takes HELLO and LOGON and lets both succeed.
fn welcome(stream: &mut TcpStream) {
    let mut offer = [0; 20];
    stream.read_exact(&mut offer).unwrap();
    stream.write_all(&[0, 0, 4, 5]).unwrap();
    let mut buffer = [0; 4096];
    assert_ne!(stream.read(&mut buffer).unwrap(), 0);
    stream.write_all(&[0, 3, 0xb1, 0x70, 0xa0, 0, 0, 0, 3, 0xb1, 0x70, 0xa0, 0, 0]).unwrap();
}

/// Reads and forgets until the client closes.
fn drain(mut stream: TcpStream) {
    let mut buffer = [0; 4096];
    while matches!(stream.read(&mut buffer), Ok(1..)) {}
}

#[test]
fn a_silent_peer_is_given_up_in_time() {
    let (error, took) = timed(|| Connection::open(&impatient(peer(drain))));
    assert!(matches!(error, Error::Timeout { limit: LIMIT, .. }), "{error}");
    assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?}");
}

#[test]
fn a_budget_is_shorter_than_the_limits() {
    let budget = Some(LIMIT);
    let options = Options { budget, ..options(peer(drain)) };
    let (error, took) = timed(|| Connection::open(&options));
    assert!(matches!(error, Error::Timeout { limit: LIMIT, .. }), "{error}");
    assert!(took < LIMIT + SLACK, "{took:?}");
}

#[test]
fn what_trickles_in_does_not_extend_the_limit() {
    let address = peer(|mut stream| {
        welcome(&mut stream);
        // NOOPs, for far too long.
        for _ in 0..500 {
            if stream.write_all(&[0, 0]).is_err() {
                break;
            }
            thread::sleep(Duration::from_millis(20));
        }
    });
    let mut connection = Connection::open(&expectant(address)).unwrap();
    let (error, took) = timed(|| connection.run(&Scope::default(), "RETURN 1").map(drop));
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert!(took >= LIMIT && took < LIMIT + SLACK, "{took:?}");
    // And nothing is asked on it any more.
    let (error, took) = timed(|| connection.reset());
    assert!(matches!(error, Error::Poisoned { .. }), "{error}");
    assert!(connection.is_poisoned() && took < LIMIT);
}

#[test]
fn a_lost_answer_leaves_a_write_in_doubt_and_a_read_not() {
    let open = || {
        let address = peer(|mut stream| {
            welcome(&mut stream);
            drain(stream);
        });
        Connection::open(&expectant(address)).unwrap()
    };
    let error = open().run(&Scope::write("neo4j"), "CREATE ()").map(drop).unwrap_err();
    assert!(
        matches!(&error, Error::CommitInDoubt { source, .. } if matches!(**source, Error::Timeout { .. }))
    );
    let error = open().run(&Scope::read("neo4j"), "RETURN 1").map(drop).unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }));
}

/// An error of the statement or of the moment is a no; one of the database itself may have come behind its log.
#[test]
fn not_every_failure_of_a_commit_says_that_it_was_none() {
    for (code, in_doubt) in [
        ("Neo.DatabaseError.Transaction.TransactionCommitFailed", true),
        ("Neo.ClientError.Schema.ConstraintValidationFailed", false),
        ("Neo.TransientError.Transaction.DeadlockDetected", false),
    ] {
        let address = peer(move |mut stream| {
            welcome(&mut stream);
            let mut answers = Vec::new();
            let failure = Failure(Map::new().with("code", code).with("message", "no"));
            for answer in [Response::Success(Map::new()), Response::Failure(failure)] {
                let mut message = Vec::new();
                answer.encode(&mut message).unwrap();
                chunk(&message, &mut answers);
            }
            let _ = stream.write_all(&answers);
            drain(stream);
        });
        let mut connection = Connection::open(&options(address)).unwrap();
        let error = connection.begin(&Scope::write("neo4j")).unwrap().commit().unwrap_err();
        assert_eq!(matches!(error, Error::CommitInDoubt { .. }), in_doubt, "{error}");
        assert_eq!(error.failure().unwrap().code(), code);
        assert!(!connection.is_poisoned());
    }
}

#[test]
fn a_web_server_is_no_bolt_server() {
    let address = peer(|mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        drain(stream);
    });
    let error = Connection::open(&options(address)).unwrap_err();
    assert!(matches!(error, Error::NotBolt { answer: [b'H', b'T', b'T', b'P'], .. }), "{error}");
}

#[test]
fn unknown_versions_are_named() {
    for (answer, expected) in [([0, 0, 0, 0], 0), ([0, 0, 9, 9], 1)] {
        let address = peer(move |mut stream| {
            let _ = stream.write_all(&answer);
            drain(stream);
        });
        let error = Connection::open(&options(address)).unwrap_err();
        let Error::NoCommonVersion { offered, .. } = error else { panic!("{error}") };
        assert_eq!(offered.len(), expected);
    }
}

#[test]
fn answers_that_make_no_sense_poison() {
    for nonsense in [
        // A row that nobody asked for, an unknown tag, no structure, half a value, an answer too many.
        &[0, 3, 0xb1, 0x71, 0x90, 0, 0][..],
        &[0, 3, 0xb1, 0x33, 0xa0, 0, 0],
        &[0, 1, 0x07, 0, 0],
        &[0, 3, 0xb1, 0x70, 0xa1, 0, 0],
        &[0, 3, 0xb1, 0x70, 0xd9, 0, 0],
    ] {
        let address = peer(move |mut stream| {
            welcome(&mut stream);
            let _ = stream.write_all(nonsense);
            drain(stream);
        });
        let mut connection = Connection::open(&options(address)).unwrap();
        let error = connection.reset().unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. }), "{nonsense:?}: {error}");
        assert!(connection.is_poisoned());
    }
}

#[test]
fn a_message_without_end_is_refused() {
    let address = peer(|mut stream| {
        welcome(&mut stream);
        let chunk = [&[0xff, 0xff][..], &vec![0; 0xffff]].concat();
        while stream.write_all(&chunk).is_ok() {}
    });
    let options = Options { message_max: 1 << 20, ..options(address) };
    let mut connection = Connection::open(&options).unwrap();
    let error = connection.reset().unwrap_err();
    assert!(matches!(error, Error::MessageTooLarge { limit: 0x0010_0000 }), "{error}");
    assert!(connection.is_poisoned());
}

#[test]
fn nobody_listens() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = Connection::open(&impatient(address)).unwrap_err();
    assert!(matches!(error, Error::Connect { .. }), "{error}");
    let mut nowhere = impatient(address);
    nowhere.address.host = "no-such-host.invalid".into();
    let (error, took) = timed(|| Connection::open(&nowhere));
    assert!(matches!(error, Error::Resolve { .. } | Error::Timeout { .. }), "{error}");
    assert!(took < LIMIT + SLACK, "{took:?}");
}
