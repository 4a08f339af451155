//! Counts of a suite, read from what the test programs print.

/// How many tests did what.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Ran and held.
    pub(crate) passed: usize,
    /// Ran and did not hold.
    pub(crate) failed: usize,
    /// Ignored, or not run for a reason that it printed.
    pub(crate) skipped: usize,
    /// The `not run: …` lines.
    pub(crate) not_run: Vec<String>,
}

impl Tally {
    /// Counts in the output of test programs. A test that cannot run here prints one line `not run: REASON`
    /// and returns; the test program takes that for a success, we do not.
    pub(crate) fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Self {
        let mut tally = Self::default();
        for line in lines {
            if let Some(result) = after(line, "test result: ") {
                tally.passed += number_before(result, " passed;");
                tally.failed += number_before(result, " failed;");
                tally.skipped += number_before(result, " ignored;");
            } else if let Some(reason) = not_run(line) {
                tally.not_run.push(reason.to_owned());
            }
        }
        tally.passed = tally.passed.saturating_sub(tally.not_run.len());
        tally.skipped += tally.not_run.len();
        tally
    }

    /// Adds another's counts.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.not_run.extend(other.not_run);
    }
}

/// The `not run: …` in a line: at its head, or after the `test NAME ... ` that the test program left open.
fn not_run(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let rest = match line.strip_prefix("test ") {
        Some(named) => after(named, " ... ")?,
        None => line,
    };
    rest.starts_with("not run:").then(|| rest.trim_end())
}

fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest)
}

fn number_before(result: &str, unit: &str) -> usize {
    let head = result.split(unit).next().filter(|head| head.len() < result.len()).unwrap_or_default();
    head.rsplit(' ').next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// How a suite ended.
pub(crate) struct Outcome {
    /// Its counts.
    pub(crate) tally: Tally,
    /// Why it failed as a whole or was skipped as a whole; printed beside the counts.
    pub(crate) remark: Option<String>,
}

impl Outcome {
    /// From a test program's output and whether it ended well. A program that failed without naming a test
    /// (it did not build, it was stopped) counts as one failure; one that ran nothing proves nothing.
    pub(crate) fn of_tests(mut tally: Tally, ended_well: bool, why_not: &str) -> Self {
        let mut remark = None;
        if !ended_well {
            tally.failed = tally.failed.max(1);
            remark = Some(why_not.to_owned());
        } else if tally.passed + tally.failed + tally.skipped == 0 {
            tally.failed = 1;
            remark = Some("no test ran".to_owned());
        }
        Self { tally, remark }
    }

    /// A suite of checks that we count ourselves.
    pub(crate) fn checks(passed: usize, failed: usize) -> Self {
        Self { tally: Tally { passed, failed, ..Tally::default() }, remark: None }
    }

    /// The suite failed before it could count.
    pub(crate) fn failed(why: String) -> Self {
        Self { tally: Tally { failed: 1, ..Tally::default() }, remark: Some(why) }
    }

    /// The suite cannot run here.
    pub(crate) fn skipped(why: &str) -> Self {
        let tally = Tally { skipped: 1, ..Tally::default() };
        Self { tally, remark: Some(format!("skipped: {why}")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RESULT: &str =
        "test result: ok. 12 passed; 0 failed; 2 ignored; 0 measured; 1 filtered out; finished in 0.01s";

    #[test]
    fn results_of_several_programs_add_up() {
        let red = "test result: FAILED. 3 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out";
        let tally = Tally::read(["running 14 tests", RESULT, "", red]);
        assert_eq!(tally, Tally { passed: 15, failed: 4, skipped: 2, not_run: Vec::new() });
    }

    #[test]
    fn a_test_that_could_not_run_is_no_success() {
        let tally = Tally::read(["not run: needs root", "test mounts ... not run: no overlay", RESULT]);
        assert_eq!((tally.passed, tally.skipped), (10, 4));
        assert_eq!(tally.not_run, ["not run: needs root", "not run: no overlay"]);
    }

    #[test]
    fn prose_about_tests_that_did_not_run_is_not_counted() {
        assert_eq!(Tally::read(["3 tests were not run: see above"]).skipped, 0);
    }

    #[test]
    fn a_program_that_fails_without_a_test_counts_as_one() {
        let outcome = Outcome::of_tests(Tally::default(), false, "did not build");
        assert_eq!((outcome.tally.failed, outcome.remark.as_deref()), (1, Some("did not build")));
        assert_eq!(Outcome::of_tests(Tally::default(), true, "").tally.failed, 1);
        assert_eq!(Outcome::of_tests(Tally::read([RESULT]), true, "").tally.failed, 0);
    }
}
