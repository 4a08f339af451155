//! `quell agent top`: what the guard does now, and what it costs.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write as _};
use std::time::{Duration, Instant};

use agent::local::{Counters, Status, counters};

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::{say, table};

use super::status::ask;
use super::waits::{between, quantile};

/// Between two looks; the guard reports once a second.
const PACE: Duration = Duration::from_secs(1);

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
    /// Look so often, then end [default: for ever on a terminal, else once]
    #[arg(short = 'n', long, value_name = "TIMES")]
    times: Option<u64>,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    let dir = args.data_dir.path();
    let terminal = std::io::stdout().is_terminal();
    let times = args.times.unwrap_or(if terminal { u64::MAX } else { 1 });
    let (mut before, mut looked) = (ask(&dir)?, Instant::now());
    for _ in 0..times {
        std::thread::sleep(PACE);
        let now = ask(&dir)?;
        let passed = looked.elapsed();
        looked = Instant::now();
        if terminal {
            let _ = write!(std::io::stdout(), "\x1b[H\x1b[2J");
        }
        say::out(describe(&before, &now, passed));
        before = now;
    }
    Ok(())
}

fn describe(before: &Status, now: &Status, passed: Duration) -> String {
    let rate = |before: u64, after: u64| {
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let rate = after.saturating_sub(before) as f64 / passed.as_secs_f64();
        format!("{rate:.1}")
    };
    let mut text = table::facts([
        ("guard", now.guard_level.clone()),
        ("rules", now.rules.to_string()),
        ("guarded", now.guarded.iter().map(|path| path.to_string_lossy()).collect::<Vec<_>>().join(", ")),
        ("waiting", now.counters.waiting.to_string()),
        ("wait, last second", spread(&between(&before.counters.waits, &now.counters.waits))),
        ("wait, since start", spread(&now.counters.waits)),
        ("mean wait", mean(&now.counters)),
    ]);
    let was = counters(&before.counters);
    let rows = counters(&now.counters)
        .into_iter()
        .zip(was)
        .map(|((name, after), (_, before))| [name.to_owned(), rate(before, after), after.to_string()]);
    let _ = write!(text, "\n\n{}", table::rows(["answers", "per second", "since start"], rows));
    let costs = now.costs.costs.iter().map(|cost| {
        let each = cost.waited_us.checked_div(cost.questions).unwrap_or_default();
        let [questions, waited, each] = [cost.questions, cost.waited_us, each].map(|count| count.to_string());
        [cost.pid.to_string(), cost.name.clone(), questions, waited, each]
    });
    let heading = ["pid", "process (its children's execs, a sample)", "questions", "waited µs", "each µs"];
    let _ = write!(text, "\n\n{}", table::rows(heading, costs));
    text
}

fn spread(waits: &[u64]) -> String {
    let bound = |share| quantile(waits, share).map_or_else(|| "-".to_owned(), |us| format!("<{us} µs"));
    format!("half {}, 99 % {}, all {}", bound(0.5), bound(0.99), bound(1.0))
}

fn mean(counters: &Counters) -> String {
    let mean = counters.waited_us.checked_div(counters.questions);
    mean.map_or_else(|| "-".to_owned(), |us| format!("{us} µs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_of_the_time_between() {
        let mut now = Status::default();
        now.counters.questions = 30;
        now.counters.waited_us = 90;
        now.counters.waits = vec![0, 0, 30];
        let text = describe(&Status::default(), &now, Duration::from_secs(2));
        let line = text.lines().find(|line| line.trim_start().starts_with("questions ")).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), ["questions", "15.0", "30"]);
        assert!(text.contains("half <4 µs") && text.contains("3 µs"), "{text}");
    }
}
