//! What is promised.

use tests::measure::Median;

use crate::paired::Series;

/// A bar for one lane's ratio to another lane.
pub(crate) struct Bar {
    pub(crate) of: &'static str,
    pub(crate) to: &'static str,
    pub(crate) most: f64,
}

impl Bar {
    /// Says whether it holds: the interval's lower end is within it, and the median within it plus half of what
    /// the same measured against itself is wide. None when either was not measured.
    pub(crate) fn judge(&self, series: &[Series], noise: f64) -> Option<bool> {
        let find = |name: &str| series.iter().find(|series| series.name == name);
        let ratio = find(self.of)?.ratio(find(self.to)?)?;
        let holds = ratio.low <= self.most && ratio.middle <= self.most + noise;
        let word = if holds { "holds" } else { "FALLS SHORT" };
        println!("  bar: {} / {} <= {}: {ratio}: {word}", self.of, self.to, self.most);
        Some(holds)
    }
}

/// Prints how two of them compare, without a bar.
pub(crate) fn compare(of: &str, to: &str, series: &[Series]) {
    let find = |name: &str| series.iter().find(|series| series.name == name);
    if let Some(ratio) = find(of).zip(find(to)).and_then(|(of, to)| of.ratio(to)) {
        println!("  beside: {of} / {to}: {ratio}");
    }
}

/// Half the width of the interval of what is measured against itself.
pub(crate) fn noise(twin: Option<Median>) -> f64 {
    twin.map_or(0.0, |ratio| (ratio.high - ratio.low) / 2.0)
}

#[cfg(test)]
mod judging {
    use super::*;

    fn judged(ratio: f64, noise: f64) -> Option<bool> {
        let series = [Series::of("a", &[100.0; 31]), Series::of("b", &[100.0 * ratio; 31])];
        Bar { of: "b", to: "a", most: 1.2 }.judge(&series, noise)
    }

    #[test]
    fn noise_is_granted_to_the_median_only() {
        assert_eq!(judged(1.2, 0.0), Some(true));
        assert_eq!(judged(1.21, 0.0), Some(false));
        assert_eq!(judged(1.21, 0.1), Some(false), "the interval's lower end is beyond the bar");
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(Bar { of: "c", to: "a", most: 1.0 }.judge(&[Series::of("a", &[1.0])], 0.0), None);
    }
}
