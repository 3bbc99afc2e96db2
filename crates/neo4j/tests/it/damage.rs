//! Whatever happens to a log, a scan finds the transactions before the damage, all of them, and none that
//! never was.

use grap_neo4j::CommitTime;
use grap_neo4j::synthetic::{LogWriter, first_header, store_id};
use grap_neo4j::txlog::{HEADER_LENGTH, ScanError, ScanStart, Tail, Transaction};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

use crate::fixtures;
use crate::reading::{KERNELS, Pieces, entries, header, kernel, scan, scan_reader};

/// A file without its tail, and the transactions in it.
#[derive(Clone, Debug)]
struct Log {
    file: Vec<u8>,
    transactions: Vec<Transaction>,
}

impl Log {
    fn end(&self) -> usize {
        self.file.len()
    }

    /// The transactions that must be found in a damaged copy: all before the first that was changed.
    fn intact_in(&self, damaged: &[u8]) -> &[Transaction] {
        let intact = |transaction: &&Transaction| {
            let bytes = |file: &[u8]| {
                let range = offset(transaction.start.offset)..offset(transaction.end.offset);
                file.get(range).map(<[u8]>::to_vec)
            };
            bytes(damaged) == bytes(&self.file)
        };
        let count = self.transactions.iter().take_while(intact).count();
        &self.transactions[..count]
    }
}

fn offset(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}

/// Made up transactions in every layout, and the beginnings of real files.
fn logs() -> impl Strategy<Value = Log> {
    let commands = prop_oneof![
        1 => Just(Vec::new()),
        4 => vec(any::<u8>(), 1..200),
        2 => vec(prop_oneof![Just(0_u8), Just(5), 1_u8..=32], 1..400),
    ];
    let made_up = (proptest::sample::select(KERNELS.to_vec()), vec((commands, any::<i64>()), 0..8)).prop_map(
        |(byte, transactions)| {
            let kernel = kernel(byte);
            let mut writer = LogWriter::new(kernel, first_header(kernel, store_id(1)));
            let transactions = transactions
                .iter()
                .map(|(commands, time)| writer.transaction(commands, CommitTime(*time)))
                .collect();
            Log { file: writer.bytes().to_vec(), transactions }
        },
    );
    let real = proptest::sample::select(vec![
        "neo4j-5.5.0",
        "neo4j-5.13.0",
        "neo4j-5.20.0",
        "neo4j-5.26.30",
        "neo4j-2026.02.2",
        "neo4j-2026.08.1",
    ])
    .prop_map(|folder| {
        let mut file = fixtures::bytes(folder, "neostore.transaction.db.0");
        let mut transactions = scan(&file).0;
        transactions.truncate(25);
        file.truncate(offset(transactions[24].end.offset));
        Log { file, transactions }
    });
    prop_oneof![3 => made_up, 1 => real]
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    vec(prop_oneof![0..4_usize, 0..100_usize, 1000..100_000_usize], 0..10)
}

/// Scans a damaged copy in pieces; checks that exactly the intact transactions are found, and that the tail
/// begins where they end.
fn check(log: &Log, damaged: &[u8], sizes: Vec<usize>) -> Result<Result<Tail, ScanError>, TestCaseError> {
    let start = ScanStart::of_file(&header(&log.file));
    let reader = Pieces::new(entries(damaged), sizes);
    let (found, ended) = scan_reader(reader, start);
    let intact = log.intact_in(damaged);
    prop_assert_eq!(&found[..], intact);
    let end = intact.last().map_or(HEADER_LENGTH as u64, |last| last.end.offset);
    if let Ok(tail) = ended {
        prop_assert_eq!(tail.from(), end);
    }
    Ok(ended)
}

fn written_to(damaged: &[u8]) -> u64 {
    damaged.iter().rposition(|&byte| byte != 0).map_or(0, |at| at as u64 + 1)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn cut_anywhere(log in logs(), at: Index, sizes in sizes()) {
        let at = HEADER_LENGTH + at.index(log.end() - HEADER_LENGTH + 1);
        let damaged = &log.file[..at];
        let tail = check(&log, damaged, sizes)?.unwrap();
        let start = tail.from();
        let end = at as u64;
        let expected = if end == start { Tail::Eof { at: end } } else { Tail::Incomplete { start, written_to: written_to(damaged), end } };
        prop_assert_eq!(tail, expected);
    }

    #[test]
    fn zeros_from_anywhere(log in logs(), at: Index, more in 0..3000_usize, sizes in sizes()) {
        let at = HEADER_LENGTH + at.index(log.end() - HEADER_LENGTH + 1);
        let mut damaged = log.file.clone();
        damaged[at..].fill(0);
        damaged.resize(log.end() + more, 0);
        let tail = check(&log, &damaged, sizes)?.unwrap();
        let (from, to) = (tail.from(), damaged.len() as u64);
        let expected = match (written_to(&damaged) <= from, from == to) {
            (true, true) => Tail::Eof { at: to },
            (true, false) => Tail::Zeros { from, to },
            (false, _) => Tail::Incomplete { start: from, written_to: written_to(&damaged), end: to },
        };
        prop_assert_eq!(tail, expected);
    }

    #[test]
    fn a_flipped_bit(log in logs(), bit: Index, zeros in 0..100_usize, sizes in sizes()) {
        let mut damaged = log.file.clone();
        damaged.resize(log.end() + zeros, 0);
        if damaged.len() > HEADER_LENGTH {
            let bit = bit.index((damaged.len() - HEADER_LENGTH) * 8);
            damaged[HEADER_LENGTH + bit / 8] ^= 1 << (bit % 8);
            if let Ok(tail) = check(&log, &damaged, sizes)? {
                let damage = matches!(tail, Tail::Incomplete { .. } | Tail::Garbage { .. });
                prop_assert!(damage, "{:?}", tail);
            }
        }
    }

    #[test]
    fn garbage_behind(log in logs(), zeros in 0..300_usize, garbage in vec(1..=255_u8, 1..300), sizes in sizes()) {
        let mut damaged = log.file.clone();
        damaged.resize(log.end() + zeros, 0);
        damaged.extend(&garbage);
        let ended = check(&log, &damaged, sizes)?;
        match ended {
            Ok(Tail::Garbage { at, .. }) if zeros > 0 => prop_assert_eq!(at, (log.end() + zeros) as u64),
            Ok(Tail::Garbage { .. } | Tail::Incomplete { .. }) | Err(_) => prop_assert!(zeros == 0),
            Ok(tail) => prop_assert!(false, "{:?}", tail),
        }
    }

    #[test]
    fn a_transaction_lost_in_the_middle(log in logs(), lost: Index, sizes in sizes()) {
        if log.transactions.len() >= 2 {
            let lost = log.transactions[lost.index(log.transactions.len() - 1)];
            let mut damaged = log.file.clone();
            damaged.drain(offset(lost.start.offset)..offset(lost.end.offset));
            let start = ScanStart::of_file(&header(&log.file));
            let (found, ended) = scan_reader(Pieces::new(entries(&damaged), sizes), start);
            let before = log.transactions.iter().filter(|transaction| transaction.id < lost.id).count();
            prop_assert_eq!(&found[..], &log.transactions[..before]);
            let error = ended.unwrap_err();
            prop_assert!(
                matches!(error, ScanError::TransactionId { expected, found, .. } if expected == lost.id && found == lost.id.next()),
                "{}", error
            );
        }
    }

    #[test]
    fn any_bytes_at_all(bytes in vec(any::<u8>(), 0..600), byte in proptest::sample::select(KERNELS.to_vec()), sizes in sizes()) {
        let start = ScanStart::of_file(&first_header(kernel(byte), store_id(1)));
        let (found, _) = scan_reader(Pieces::new(&bytes, sizes.clone()), start);
        prop_assert_eq!(found, []);
        let mut begun = vec![byte, 1];
        begun.extend(&bytes);
        let (found, _) = scan_reader(Pieces::new(&begun, sizes), start);
        prop_assert_eq!(found, []);
    }
}

#[test]
fn garbage_behind_20_kilobytes_of_zeros_is_noticed() {
    let mut file = fixtures::bytes("neo4j-5.26.30", "neostore.transaction.db.2");
    let end = scan(&file).1.unwrap().from();
    let at = end + 20_480;
    file[offset(at)] = 1;
    let start = ScanStart::of_file(&header(&file));
    for size in [1000, 1 << 20] {
        let pieces = Pieces::new(entries(&file), vec![size]);
        let tail = scan_reader(pieces, start).1.unwrap();
        assert_eq!(tail, Tail::Garbage { from: end, at });
    }
}
