//! `vm-test`: the plan, boot by boot, and what came of it.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::built::{self, Built};
use super::kernel::Kernel;
use super::machine::{Answer, Machine, Run};
use super::marks::End;
use super::order::Order;
use super::plan::{Boot, Case, PLAN};
use super::{programs, ready};
use crate::house::{House, UNSHARE};
use crate::test::tally::{Outcome, Tally};

/// Where the guest finds the programs that change files.
const HAND: &str = "/hand";

/// What to run of the plan; all of it, if nothing is named.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Only on kernels of this series (may be given several times).
    #[arg(long, value_name = "SERIES")]
    kernel: Vec<String>,
    /// Only this case (may be given several times).
    #[arg(long, value_name = "NAME")]
    case: Vec<String>,
}

impl Args {
    fn wants(&self, boot: &Boot, case: &Case) -> bool {
        (self.kernel.is_empty() || self.kernel.iter().any(|series| series == boot.series))
            && (self.case.is_empty() || self.case.iter().any(|name| name == case.name))
    }
}

/// As a task of its own; whether nothing failed.
pub(crate) fn run_alone(house: &House, args: &Args) -> Result<bool> {
    let begun = Instant::now();
    let outcome = run(house, args)?;
    let Tally { passed, failed, skipped, not_run } = &outcome.tally;
    for reason in not_run {
        println!("{reason}");
    }
    println!("{}", outcome.remark.as_deref().unwrap_or_default());
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    println!("total: {passed} passed, {failed} failed, {skipped} skipped, {minutes:.1} min");
    Ok(*failed == 0)
}

/// Runs the plan. What can't be emulated here is counted as skipped, with its reason.
pub(crate) fn run(house: &House, args: &Args) -> Result<Outcome> {
    let chosen: Vec<(&Boot, Vec<&Case>)> = PLAN
        .iter()
        .map(|boot| (boot, boot.cases.iter().filter(|case| args.wants(boot, case)).collect::<Vec<_>>()))
        .filter(|(_, cases)| !cases.is_empty())
        .collect();
    if chosen.is_empty() {
        anyhow::bail!("the plan has nothing of that name");
    }
    if let Err(why) = ready(house) {
        return Ok(Outcome::skipped(&format!("no emulated machine here: {why:#}")));
    }
    let all: Vec<&Case> = chosen.iter().flat_map(|(_, cases)| cases.iter().copied()).collect();
    let built = built::build(house, &all)?;
    let (mut tally, mut remarks, mut rows) = (Tally::default(), Vec::new(), Vec::new());
    for (boot, cases) in &chosen {
        let kernel = match Kernel::fetch(house, boot.series) {
            Ok(kernel) => kernel,
            Err(why) => {
                let reason = format!("not run: Linux {}: {why:#}", boot.series);
                tally.add(Tally { skipped: 1, not_run: vec![reason], ..Tally::default() });
                continue;
            }
        };
        println!("\n-- Linux {}", kernel.release);
        let run = boot_with(house, boot, &kernel, &built, cases)?;
        let time = if boot.counts { "its time is its instructions" } else { "two processors" };
        rows.push(format!("Linux {}, {time}, booted in {}", kernel.release, seconds(run.boot)));
        for (number, case) in cases.iter().enumerate() {
            let mut outcome = judge(run.answers.get(number), run.fault.as_deref());
            outcome.tally.add(left_out(boot, case));
            rows.push(row(case, run.answers.get(number), &outcome));
            remarks.extend(outcome.remark.map(|why| format!("{} on {}: {why}", case.name, boot.series)));
            tally.add(outcome.tally);
        }
        if let Some(fault) = &run.fault {
            println!("{}\n{fault}\nthe whole log: {}", run.tail(), run.log.display());
            remarks.push(format!("Linux {}: {fault}", boot.series));
            tally.add(Tally { failed: 1, ..Tally::default() });
        }
    }
    println!("\n{:<16}{:>8} {:>8} {:>8} {:>8}", "in the machine", "took", "passed", "failed", "skipped");
    println!("{}", rows.join("\n"));
    Ok(Outcome { tally, remark: (!remarks.is_empty()).then(|| remarks.join("; ")) })
}

fn boot_with(house: &House, boot: &Boot, kernel: &Kernel, built: &[Built], cases: &[&Case]) -> Result<Run> {
    let mut image = programs::image(kernel)?;
    if cases.iter().any(|case| case.needs_hand) {
        image.put(&built::hand(house, built)?, HAND)?;
    }
    let mut orders = Vec::new();
    for case in cases {
        let place = format!("/tests/{}-{}", case.package, case.target);
        image.put(&built::program(house, built, case)?, &place)?;
        orders.push(order(case, place));
    }
    let processors = if boot.counts { 1 } else { 2 };
    let machine = Machine { kernel, processors, megabytes: 2048, counts_instructions: boot.counts };
    machine.run(house, image, &orders)
}

fn order(case: &Case, program: String) -> Order {
    let head = UNSHARE.map(str::to_owned).into_iter().chain([program, "--nocapture".to_owned()]);
    let tail = case.arguments.iter().map(|&argument| argument.to_owned());
    let left_out = case.left_out.iter().flat_map(|(part, _)| ["--skip".to_owned(), (*part).to_owned()]);
    let tail = tail.chain(left_out);
    let pairs = [("QUELL_PRIVATE_NAMESPACE", "1")].into_iter().chain(case.environment.iter().copied());
    let hand = case.needs_hand.then_some((built::HAND_VARIABLE, HAND));
    let pairs = pairs.chain(hand);
    Order {
        name: case.name.to_owned(),
        arguments: head.chain(tail).collect(),
        environment: pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        seconds: case.seconds,
    }
}

/// What was not asked for, each with its reason.
fn left_out(boot: &Boot, case: &Case) -> Tally {
    let line =
        |(part, why): &(&str, &str)| format!("not run: {}, {part} on {}: {why}", case.name, boot.series);
    let not_run: Vec<String> = case.left_out.iter().map(line).collect();
    Tally { skipped: not_run.len(), not_run, ..Tally::default() }
}

/// The counts of one case. One that was not begun, or not ended, has failed.
fn judge(answer: Option<&Answer>, fault: Option<&str>) -> Outcome {
    let Some(answer) = answer else {
        return Outcome::failed(fault.unwrap_or("it was not begun").to_owned());
    };
    let tally = Tally::read(answer.lines.iter().map(String::as_str));
    match answer.end {
        Some(end) => Outcome::of_tests(tally, end == End::Exit(0), &format!("ended: {end}")),
        None => Outcome::of_tests(tally, false, "the machine went down in it"),
    }
}

fn row(case: &Case, answer: Option<&Answer>, outcome: &Outcome) -> String {
    let Tally { passed, failed, skipped, .. } = outcome.tally;
    let took = seconds(answer.map(|answer| answer.took));
    let remark = outcome.remark.as_deref().unwrap_or_default();
    format!("  {:<14}{took:>8} {passed:>8} {failed:>8} {skipped:>8}  {remark}", case.name)
}

fn seconds(took: Option<Duration>) -> String {
    took.map_or("never".to_owned(), |took| format!("{:.0} s", took.as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(end: Option<End>, lines: &[&str]) -> Answer {
        Answer { end, lines: lines.iter().map(|&line| line.to_owned()).collect(), took: Duration::ZERO }
    }

    #[test]
    fn whatever_did_not_end_well_has_failed() {
        let good = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let failed = |answer: Option<Answer>| judge(answer.as_ref(), Some("it hung")).tally.failed;
        assert_eq!(failed(Some(answer(Some(End::Exit(0)), &[good]))), 0);
        assert_eq!(failed(Some(answer(Some(End::Exit(101)), &[good]))), 1);
        assert_eq!(failed(Some(answer(Some(End::Late(9)), &[]))), 1);
        assert_eq!(failed(Some(answer(None, &[good]))), 1);
        // A program that runs no test proves nothing.
        assert_eq!(failed(Some(answer(Some(End::Exit(0)), &[]))), 1);
        assert_eq!(failed(None), 1);
    }

    #[test]
    fn cases_are_told_apart_by_their_names() {
        for boot in PLAN {
            let mut names: Vec<&str> = boot.cases.iter().map(|case| case.name).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), boot.cases.len(), "{}", boot.series);
        }
    }
}
