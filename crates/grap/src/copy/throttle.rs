//! A limit on how fast live files are read: bytes a second over the whole copy.

use std::io::{self, Read};
use std::time::Duration;

use grap_task::{Clock, Stop};

/// Shared by all readers of one copy. Reads are let through and paid for afterwards, so that the average
/// holds whatever the size of a read.
#[derive(Debug)]
pub struct Throttle {
    bytes_per_second: Option<u64>,
    clock: Clock,
    stop: Stop,
    began: Duration,
    read: u64,
}

/// Shorter debts are carried over to the next read.
const DEBT_MIN: Duration = Duration::from_millis(20);

impl Throttle {
    pub fn new(bytes_per_second: Option<u64>, clock: &Clock, stop: &Stop) -> Self {
        Self {
            bytes_per_second,
            clock: clock.clone(),
            stop: stop.clone(),
            began: clock.since_boot(),
            read: 0,
        }
    }

    pub fn reader<'a, R: Read + 'a>(&'a mut self, inner: R) -> impl Read + 'a {
        Throttled { throttle: self, inner }
    }

    /// A stop cuts the sleep short; the writer, which asks before each chunk, ends the copy.
    fn pay(&mut self, bytes: usize) {
        self.read += bytes as u64;
        let Some(rate) = self.bytes_per_second.filter(|rate| *rate > 0) else { return };
        let due = Duration::from_secs_f64(self.read as f64 / rate as f64);
        let debt = due.saturating_sub(self.clock.since_boot().saturating_sub(self.began));
        if debt >= DEBT_MIN {
            self.clock.wait(debt, &self.stop);
        }
    }
}

struct Throttled<'a, R> {
    throttle: &'a mut Throttle,
    inner: R,
}

impl<R: Read> Read for Throttled<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.throttle.pay(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use grap_task::ManualClock;

    use super::*;

    #[test]
    fn reading_takes_as_long_as_the_rate_says() {
        let clock = Clock::Manual(ManualClock::at(jiff::Timestamp::UNIX_EPOCH));
        let began = clock.since_boot();
        let mut throttle = Throttle::new(Some(1 << 20), &clock, &Stop::new());
        let data = vec![0; 10 << 20];
        io::copy(&mut throttle.reader(data.as_slice()), &mut io::sink()).unwrap();
        let took = clock.since_boot().saturating_sub(began);
        assert!(took > Duration::from_millis(9_970) && took <= Duration::from_secs(10), "{took:?}");
    }

    #[test]
    fn a_stop_ends_the_sleep() {
        let stop = Stop::new();
        stop.request();
        let mut throttle = Throttle::new(Some(1), &Clock::System, &stop);
        assert_eq!(throttle.reader([0; 100].as_slice()).read(&mut [0; 10]).unwrap(), 10);
    }
}
