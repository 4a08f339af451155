//! The table of one workload.

use tests::measure::Median;

use crate::paired::Series;

/// How a time is shown.
pub(crate) struct Unit {
    pub(crate) name: &'static str,
    pub(crate) nanoseconds: f64,
}

pub(crate) const MICROSECONDS: Unit = Unit { name: "us", nanoseconds: 1e3 };
pub(crate) const MILLISECONDS: Unit = Unit { name: "ms", nanoseconds: 1e6 };

/// Prints one line for each of them, with the ratio to `baseline`.
pub(crate) fn print(title: &str, series: &[Series], baseline: &str, unit: &Unit) {
    println!("\n{title}");
    println!("  {:<38} {:>10}  ratio to {baseline} (95 %)", "", unit.name);
    let base = series.iter().find(|series| series.name == baseline);
    for series in series {
        let ratio = base.and_then(|base| series.ratio(base)).map(show).unwrap_or_default();
        match (series.time(), &series.failed) {
            (_, Some(reason)) => println!("  {:<38} not measured: {reason}", series.name),
            (Some(time), None) => {
                println!("  {:<38} {:>10.3}  {ratio}", series.name, time / unit.nanoseconds);
            }
            (None, None) => {}
        }
    }
}

fn show(ratio: Median) -> String {
    let digits = if ratio.middle < 10.0 { 3 } else { 1 };
    format!("{:.digits$} ({:.digits$} to {:.digits$})", ratio.middle, ratio.low, ratio.high)
}
