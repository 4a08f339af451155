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
