//! A distribution of durations in constant memory: buckets that grow by a twentieth, from a millisecond on.

use std::time::Duration;

const BUCKETS: usize = 320;
const GROWTH: f64 = 1.05;

#[derive(Debug, Clone)]
pub struct Latencies {
    counts: Vec<u64>,
    pub count: u64,
    pub max: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self { counts: vec![0; BUCKETS], count: 0, max: Duration::ZERO }
    }
}

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        let ms = latency.as_secs_f64() * 1000.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to the buckets")]
        let bucket = (ms.max(1.0).ln() / GROWTH.ln()).ceil().min(BUCKETS as f64 - 1.0) as usize;
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(latency);
    }

    /// The latency that so many of a hundred do not exceed, to a twentieth.
    pub fn percentile(&self, percent: f64) -> Duration {
        let wanted = self.count as f64 * percent / 100.0;
        let mut seen = 0;
        for (bucket, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen > 0 && seen as f64 >= wanted {
                let ms = GROWTH.powf(bucket as f64);
                return Duration::from_secs_f64(ms / 1000.0).min(self.max);
            }
        }
        self.max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_good_to_a_twentieth() {
        let mut latencies = Latencies::default();
        for ms in 1..=1000 {
            latencies.add(Duration::from_millis(ms));
        }
        let near = |percent, ms: f64| {
            let found = latencies.percentile(percent).as_secs_f64() * 1000.0;
            assert!((found - ms).abs() <= ms * 0.06, "{percent}: {found}");
        };
        near(50.0, 500.0);
        near(99.0, 990.0);
        assert_eq!(latencies.max, Duration::from_secs(1));
        assert_eq!(Latencies::default().percentile(50.0), Duration::ZERO);
    }
}
