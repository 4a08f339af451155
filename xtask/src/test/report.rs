//! The closing table.

use std::fmt;
use std::time::Duration;

use super::tally::Outcome;

/// One suite that has run.
pub(super) struct Row {
    /// Its name.
    pub(super) suite: &'static str,
    /// How it ended.
    pub(super) outcome: Outcome,
    /// How long it took.
    pub(super) took: Duration,
}

impl Row {
    /// The suite in one line.
    pub(super) fn line(&self) -> String {
        let tally = &self.outcome.tally;
        let word = match (tally.failed, tally.passed, tally.skipped) {
            (1.., _, _) => "FAILED",
            (0, 0, 1..) => "skipped",
            (0, _, _) => "ok",
        };
        let minutes = self.took.as_secs_f64() / 60.0;
        let remark = self.outcome.remark.as_deref().unwrap_or_default();
        format!(
            "{:<11}{word:<8}{minutes:>8.1} min {:>7} {:>7} {:>8}  {remark}",
            self.suite, tally.passed, tally.failed, tally.skipped
        )
        .trim_end()
        .to_owned()
    }
}

/// All suites that have run.
#[derive(Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a suite.
    pub(super) fn add(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// How many tests failed in all.
    pub(super) fn failed(&self) -> usize {
        self.rows.iter().map(|row| row.outcome.tally.failed).sum()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:<11}{:<8}{:>12} {:>7} {:>7} {:>8}",
            "suite", "", "took", "passed", "failed", "skipped"
        )?;
        for row in &self.rows {
            writeln!(out, "{}", row.line())?;
        }
        let count: usize = self.rows.iter().map(|row| row.outcome.tally.not_run.len()).sum();
        writeln!(out, "\n{count} not run")?;
        for row in &self.rows {
            for reason in &row.outcome.tally.not_run {
                writeln!(out, "  {:<11}{reason}", row.suite)?;
            }
        }
        let sum = |of: fn(&Row) -> usize| self.rows.iter().map(of).sum::<usize>();
        // The form of this last line is read by machines.
        write!(
            out,
            "\ntotal: {} passed, {} failed, {} skipped",
            sum(|row| row.outcome.tally.passed),
            self.failed(),
            sum(|row| row.outcome.tally.skipped)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::Tally;
    use super::*;

    #[test]
    fn the_last_line_has_the_totals() {
        let mut report = Report::default();
        let tally =
            Tally { passed: 3, failed: 1, skipped: 1, not_run: vec!["not run: no overlay".to_owned()] };
        let outcome = Outcome { tally, remark: Some("exit 101".to_owned()) };
        report.add(Row { suite: "kernel", outcome, took: Duration::from_secs(90) });
        report.add(Row { suite: "e2e", outcome: Outcome::skipped("needs root"), took: Duration::ZERO });
        let text = report.to_string();
        assert_eq!(text.lines().last(), Some("total: 3 passed, 1 failed, 2 skipped"));
        assert!(
            text.contains("kernel     FAILED       1.5 min       3       1        1  exit 101"),
            "{text}"
        );
        assert!(
            text.contains("e2e        skipped      0.0 min       0       0        1  skipped: needs root")
        );
        assert!(text.contains("1 not run\n  kernel     not run: no overlay"));
    }
}
