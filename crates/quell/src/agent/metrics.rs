//! `quell agent metrics`: the agent's figures in the text form of Prometheus, for a collector that reads files.

use std::fmt::Write as _;

use agent::local::{Status, counters};

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::say;

use super::status::ask;

/// What the verb is told.
#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    data_dir: DataDir,
}

pub(super) fn run(args: &Args) -> Result<(), Failure> {
    say::out(shape(&ask(&args.data_dir.path())?).trim_end());
    Ok(())
}

fn shape(status: &Status) -> String {
    let mut text = String::new();
    let levels = ["deny", "observe", "released", "absent", "none"];
    let _ = writeln!(
        text,
        "# HELP quell_guard_level Which level the guard is at.\n# TYPE quell_guard_level gauge"
    );
    for level in levels {
        let is = u8::from(status.guard_level == level);
        let _ = writeln!(text, "quell_guard_level{{level=\"{level}\"}} {is}");
    }
    let gauges = [
        ("quell_rules", "Rules the agent has.", status.rules),
        ("quell_rules_in_force", "Whether they are in force.", u64::from(status.in_force)),
        ("quell_generation", "Place in the organization's log.", status.position.generation.0),
        ("quell_files_known", "Copies of executable files known.", status.files_known),
        ("quell_sightings_waiting", "Sightings the server has not stored.", status.spool_waiting),
        ("quell_attached", "Whether the server is there.", u64::from(status.attached)),
        ("quell_guard_waiting", "Openers that wait now.", status.counters.waiting),
    ];
    for (name, help, value) in gauges {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    for (name, value) in counters(&status.counters) {
        let name = format!("quell_guard_{}_total", snake(name));
        let _ = writeln!(text, "# TYPE {name} counter\n{name} {value}");
    }
    histogram(&mut text, status);
    text
}

fn histogram(text: &mut String, status: &Status) {
    const NAME: &str = "quell_guard_wait_microseconds";
    let _ = writeln!(text, "# HELP {NAME} How long openers waited for the guard.\n# TYPE {NAME} histogram");
    let mut below = 0;
    let waits = &status.counters.waits;
    // The last is open above.
    for (n, count) in waits.iter().enumerate().take(waits.len().saturating_sub(1)) {
        below += count;
        let _ = writeln!(text, "{NAME}_bucket{{le=\"{}\"}} {below}", 1_u64 << n);
    }
    let all: u64 = waits.iter().sum();
    let _ = writeln!(text, "{NAME}_bucket{{le=\"+Inf\"}} {all}");
    let _ = writeln!(text, "{NAME}_sum {}\n{NAME}_count {all}", status.counters.waited_us);
}

/// `deniedLate` → `denied_late`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_counts_upwards_and_ends_with_all() {
        let mut status = Status::default();
        status.counters.waits = vec![1, 2, 3];
        status.counters.denied_late = 4;
        let text = shape(&status);
        for line in [
            "quell_guard_wait_microseconds_bucket{le=\"1\"} 1",
            "quell_guard_wait_microseconds_bucket{le=\"2\"} 3",
            "quell_guard_wait_microseconds_bucket{le=\"+Inf\"} 6",
            "quell_guard_denied_late_total 4",
        ] {
            assert!(text.lines().any(|own| own == line), "{line} in\n{text}");
        }
        assert!(!text.contains("le=\"4\""));
    }
}
