//! How a measurement counts: medians of paired rounds with their interval, and a row that measures nothing
//! against itself.

use std::time::Duration;

/// A median and the interval that holds the true one with 95 % confidence, whatever the distribution.
#[derive(Clone, Copy, Debug)]
pub struct Median {
    /// The middle.
    pub middle: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

impl Median {
    /// Of some values: the interval is that of the order statistics (a binomial's middle 95 %).
    ///
    /// # Panics
    /// Without values.
    pub fn of(values: &[f64]) -> Self {
        let mut values = values.to_vec();
        values.sort_by(f64::total_cmp);
        let count = values.len();
        let middle = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
        let reach = 1.96 * (count as f64).sqrt() / 2.0;
        let low = (count as f64 / 2.0 - reach).floor().max(0.0) as usize;
        let high = ((count as f64 / 2.0 + reach).ceil() as usize).min(count - 1);
        Self { middle, low: values[low], high: values[high] }
    }
}

impl std::fmt::Display for Median {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} (95 %: {:.3} to {:.3})", self.middle, self.low, self.high)
    }
}

/// The value below which `part` of the durations lie, in milliseconds.
///
/// # Panics
/// Without durations.
pub fn percentile(durations: &[Duration], part: f64) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort();
    let index = ((sorted.len() as f64 * part).ceil() as usize).clamp(1, sorted.len()) - 1;
    sorted[index].as_secs_f64() * 1000.0
}

/// One row of percentiles.
pub fn row(name: &str, durations: &[Duration]) -> String {
    let [p50, p90, p99, most] = [0.5, 0.9, 0.99, 1.0].map(|part| percentile(durations, part));
    format!(
        "{name:<58} n {:>4}  p50 {p50:>7.1}  p90 {p90:>7.1}  p99 {p99:>7.1}  max {most:>7.1} ms",
        durations.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_holds_the_median() {
        let median = Median::of(&(0..31).map(f64::from).collect::<Vec<_>>());
        assert_eq!((median.middle, median.low, median.high), (15.0, 10.0, 21.0));
    }

    #[test]
    fn the_last_percentile_is_the_largest() {
        let durations: Vec<_> = (1..=100).map(Duration::from_millis).collect();
        assert_eq!(percentile(&durations, 0.99), 99.0);
        assert_eq!(percentile(&durations, 1.0), 100.0);
    }
}
