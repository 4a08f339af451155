//! Which processes wait for the guard, and how much: a sample, so that counting costs less than what it counts.
//!
//! Who asks is mostly a child that lives for one exec. It is counted for its parent, which is who waits for it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use wire::link::v1;

/// One in so many answers is looked at.
const SAMPLE: u64 = 16;
/// Processes that are kept; beyond that, those that waited least go.
const ROOM: usize = 256;
/// Processes that are told.
const TOLD: usize = 20;

/// What processes have waited since the guard began.
#[derive(Debug, Default)]
pub(super) struct Costs {
    answers: AtomicU64,
    processes: Mutex<HashMap<i32, Cost>>,
}

#[derive(Debug, Default)]
struct Cost {
    name: String,
    questions: u64,
    waited: Duration,
}

impl Costs {
    /// Counts an answer to process `pid`.
    pub(super) fn count(&self, pid: i32, waited: Duration) {
        if self.answers.fetch_add(1, Ordering::Relaxed).is_multiple_of(SAMPLE)
            && let Some(parent) = parent_of(pid)
        {
            self.add(parent, waited);
        }
    }

    fn add(&self, pid: i32, waited: Duration) {
        let mut processes = self.processes.lock();
        if processes.len() >= ROOM && !processes.contains_key(&pid) {
            let least = processes.iter().min_by_key(|(_, cost)| cost.waited).map(|(pid, _)| *pid);
            least.and_then(|pid| processes.remove(&pid));
        }
        let cost = processes.entry(pid).or_insert_with(|| Cost { name: name_of(pid), ..Cost::default() });
        cost.questions += SAMPLE;
        cost.waited += waited * u32::try_from(SAMPLE).unwrap_or(1);
    }

    /// Those that waited most, first.
    pub(super) fn message(&self) -> v1::Costs {
        let processes = self.processes.lock();
        let mut costs: Vec<_> = processes
            .iter()
            .map(|(pid, cost)| v1::Cost {
                pid: *pid,
                name: cost.name.clone(),
                questions: cost.questions,
                waited_us: u64::try_from(cost.waited.as_micros()).unwrap_or(u64::MAX),
            })
            .collect();
        costs.sort_unstable_by_key(|cost| (std::cmp::Reverse(cost.waited_us), cost.pid));
        costs.truncate(TOLD);
        v1::Costs { costs }
    }
}

fn parent_of(pid: i32) -> Option<i32> {
    // The name stands in brackets and may hold anything; behind the last one: state, parent.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn name_of(pid: i32) -> String {
    std::fs::read_to_string(format!("/proc/{pid}/comm"))
        .map(|name| name.trim_end().to_owned())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_childs_wait_is_its_parents() {
        let this = std::process::id().cast_signed();
        let mut child = std::process::Command::new("/bin/sleep").arg("60").spawn().unwrap();
        let costs = Costs::default();
        for _ in 0..=SAMPLE {
            costs.count(child.id().cast_signed(), Duration::from_micros(10));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let told = costs.message().costs;
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].pid, told[0].questions, told[0].waited_us), (this, 2 * SAMPLE, 20 * SAMPLE));
        assert_eq!(told[0].name, name_of(this));
    }

    #[test]
    fn room_is_kept_for_those_that_wait_most() {
        let costs = Costs::default();
        for pid in 0..i32::try_from(ROOM).unwrap() + 5 {
            costs.add(-1 - pid, Duration::from_micros(u64::try_from(pid).unwrap() + 1));
        }
        let told = costs.message().costs;
        assert_eq!((costs.processes.lock().len(), told.len()), (ROOM, TOLD));
        assert_eq!(told[0].pid, -(i32::try_from(ROOM).unwrap() + 5));
    }
}
