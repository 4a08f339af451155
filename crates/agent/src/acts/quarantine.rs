//! Stop the file and move every copy of it into the vault.

use std::path::PathBuf;

use model::FileId;
use model::act::{Act, CopyResult, Outcome};
use model::order::Failure;

use super::recognize::Recognizer;
use super::{Grounds, failed, find, stop, succeeded};
use crate::vault::{Resting, Taking};

/// Stops every process that runs `file`, and takes every copy: those among `known` that still are copies,
/// and all other names of their inodes. Its denial is in force already, so that no new process can start.
///
/// `step` hears of each part before it begins.
pub fn quarantine(
    grounds: &Grounds,
    act: &Act,
    file: FileId,
    mut known: Vec<PathBuf>,
    step: &mut dyn FnMut(&str),
) -> Outcome {
    step("find");
    let rested = grounds.vault.list();
    let mut copies = find::copies(grounds, file, &known);
    let of_the_file = |resting: &&Resting| file.names(&resting.digests);
    let mut recognizer = Recognizer::new(file, rested.iter().filter(of_the_file).map(|r| r.size));
    copies.seen().for_each(|copy| recognizer.learn(copy));
    step("stop");
    let mut stopped = stop::stop(grounds, &mut recognizer);
    let before = known.len();
    known.extend(stopped.seen.iter().filter(|path| !known.contains(path)).cloned().collect::<Vec<_>>());
    if known.len() > before {
        step("find what was running");
        copies = find::copies(grounds, file, &known);
        copies.seen().for_each(|copy| recognizer.learn(copy));
    }
    step("take");
    let mut results = taken_before(&rested, act);
    results.append(&mut copies.failed);
    let held = copies.held.into_iter();
    results.extend(held.map(|(copy, reason)| failed(copy.found.path, reason, None)));
    let why = Taking { act: act.id, order: act.order, wanted: file };
    for copy in copies.found {
        let path = copy.found.path.clone();
        results.push(match grounds.vault.take(copy.found, why, &mut |_| {}) {
            Ok(id) => succeeded(path, Some(id)),
            Err(refusal) => failed(path, refusal.to_string(), None),
        });
    }
    step("stop again");
    let again = stop::stop(grounds, &mut recognizer);
    stopped.count += again.count;
    stopped.failures.extend(again.failures);
    stopped.services.extend(again.services);
    Outcome {
        act: act.id,
        copies: results,
        stopped: stopped.count,
        services: stopped.services,
        failure: failure(stopped.failures.into_iter().collect()),
    }
}

/// What this same act did before the agent was interrupted.
fn taken_before(rested: &[Resting], act: &Act) -> Vec<CopyResult> {
    rested
        .iter()
        .filter(|resting| resting.act == act.id)
        .map(|resting| succeeded(resting.path.clone(), Some(resting.id)))
        .collect()
}

fn failure(reasons: Vec<String>) -> Option<Failure> {
    (!reasons.is_empty()).then(|| Failure::because(reasons.join("; ")))
}
