//! Whether the machine is short of something, as the kernel tells by PSI.

use std::fs;
use std::time::{Duration, Instant};

/// The part of the last ten seconds, in percent, for which somebody waited: from where on it counts as pressure, and
/// below which it is over. A thread of ours that waits for its turn counts among those who wait for a processor.
const KINDS: [Kind; 3] = [
    Kind { name: "processors", path: "/proc/pressure/cpu", begins: 80.0, ends: 60.0 },
    Kind { name: "disks", path: "/proc/pressure/io", begins: 40.0, ends: 20.0 },
    Kind { name: "memory", path: "/proc/pressure/memory", begins: 10.0, ends: 5.0 },
];

/// The kernel computes it anew every two seconds.
const AGAIN: Duration = Duration::from_secs(1);
/// After so long under pressure some work is done all the same, or a busy machine would never be known.
const LONGEST: Duration = Duration::from_secs(30);
/// So long, before pressure counts again.
const RELIEF: Duration = Duration::from_secs(3);

struct Kind {
    name: &'static str,
    path: &'static str,
    begins: f64,
    ends: f64,
}

/// What it was when it was asked for last.
#[derive(Default)]
pub(crate) struct Pressure {
    asked: Option<Instant>,
    found: Option<(&'static str, Instant)>,
    relieved: Option<Instant>,
}

impl Pressure {
    /// Whether the kernel tells at all.
    pub(crate) fn is_told() -> bool {
        KINDS.iter().all(|kind| average(kind).is_some())
    }

    /// What there is pressure on, if on anything.
    pub(crate) fn now(&mut self) -> Option<&'static str> {
        if self.relieved.is_some_and(|relieved| relieved.elapsed() < RELIEF) {
            return None;
        }
        if self.asked.is_some_and(|asked| asked.elapsed() < AGAIN) {
            return self.found.map(|(name, _)| name);
        }
        self.asked = Some(Instant::now());
        let found = hard_pressed(self.found.map(|(name, _)| name), average);
        self.found = match (found, self.found) {
            (None, _) => None,
            (Some(_), Some((_, since))) if since.elapsed() > LONGEST => {
                self.relieved = Some(Instant::now());
                None
            }
            (Some(name), before) => Some((name, before.map_or_else(Instant::now, |(_, since)| since))),
        };
        self.found.map(|(name, _)| name)
    }
}

/// What was short stays so until it is clearly over.
fn hard_pressed(
    before: Option<&'static str>,
    average: impl Fn(&Kind) -> Option<f64>,
) -> Option<&'static str> {
    let is_short = |kind: &&Kind| {
        let limit = if before == Some(kind.name) { kind.ends } else { kind.begins };
        average(kind).is_some_and(|average| average >= limit)
    };
    KINDS.iter().find(is_short).map(|kind| kind.name)
}

fn average(kind: &Kind) -> Option<f64> {
    parse(&fs::read_to_string(kind.path).ok()?)
}

/// The `avg10` of the line of those of whom some waited.
fn parse(text: &str) -> Option<f64> {
    let some = text.lines().find_map(|line| line.strip_prefix("some "))?;
    some.split(' ').find_map(|word| word.strip_prefix("avg10="))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words_are_understood() {
        let text = "some avg10=56.44 avg60=71.93 avg300=62.21 total=11264143055\nfull avg10=1.00 avg60=0.00 avg300=0.00 total=0\n";
        assert_eq!(parse(text), Some(56.44));
        assert_eq!(parse(""), None);
    }

    #[test]
    fn pressure_lasts_until_it_is_clearly_over() {
        let disks = |percent: f64| move |kind: &Kind| (kind.name == "disks").then_some(percent);
        assert_eq!(hard_pressed(None, disks(39.0)), None);
        assert_eq!(hard_pressed(None, disks(41.0)), Some("disks"));
        assert_eq!(hard_pressed(Some("disks"), disks(21.0)), Some("disks"));
        assert_eq!(hard_pressed(Some("disks"), disks(19.0)), None);
        assert_eq!(hard_pressed(Some("memory"), disks(21.0)), None, "each has its own limits");
        assert_eq!(hard_pressed(None, |_| None), None, "a kernel that does not tell");
    }
}
