//! Stop the file and move every copy of it into the vault.

use std::path::PathBuf;

use model::FileId;
use model::act::{Act, CopyResult, Outcome};

use super::recognize::Recognizer;
use super::{Grounds, Moment, between, failed, find, stop, succeeded};
use crate::vault::{Resting, Taking};

/// Stops every process that runs `file`, and takes every copy: those among `known` that still are copies,
/// and all other names of their inodes. Its denial is in force already, so that no new process can start.
///
/// `step` hears of each part before it begins, and of the vault's steps when they are done.
pub fn quarantine(
    grounds: &Grounds,
    act: &Act,
    file: FileId,
    mut known: Vec<PathBuf>,
    step: &mut dyn FnMut(Moment),
) -> Outcome {
    step(Moment::Find);
    grounds.vault.settle();
    let rested = grounds.vault.list();
    let between = between(&grounds.vault, |resting| resting.act == act.id);
    let mut copies = find::copies(grounds, file, &known);
    let of_the_file = |resting: &&Resting| file.names(&resting.digests);
    let mut recognizer = Recognizer::new(file, rested.iter().filter(of_the_file).map(|r| r.size));
    copies.seen().for_each(|copy| recognizer.learn(copy));
    step(Moment::Stop);
    let mut stopped = stop::stop(grounds, &mut recognizer);
    let before = known.len();
    known.extend(stopped.seen.iter().filter(|path| !known.contains(path)).cloned().collect::<Vec<_>>());
    if known.len() > before {
        step(Moment::FindRunning);
        copies = find::copies(grounds, file, &known);
        copies.seen().for_each(|copy| recognizer.learn(copy));
    }
    step(Moment::Take);
    let mut results = taken_before(&rested, act);
    let is_found = |result: &CopyResult| copies.found.iter().any(|copy| copy.found.path == result.path);
    results.extend(between.into_iter().filter(|result| !is_found(result)));
    results.append(&mut copies.failed);
    let mut code = copies.code;
    let held = copies.held.into_iter();
    results.extend(held.map(|(copy, reason)| failed(copy.found.path, reason, None)));
    let why = Taking { act: act.id, order: act.order, wanted: file };
    for copy in copies.found {
        let path = copy.found.path.clone();
        results.push(match grounds.vault.take(copy.found, why, &mut |at| step(Moment::Vault(at))) {
            Ok(id) => succeeded(path, Some(id)),
            Err(refusal) => {
                code.note(&refusal);
                failed(path, refusal.to_string(), None)
            }
        });
    }
    step(Moment::StopAgain);
    let again = stop::stop(grounds, &mut recognizer);
    stopped.count += again.count;
    stopped.failures.extend(again.failures);
    stopped.services.extend(again.services);
    let failure = code.failure(&results, stopped.failures);
    Outcome { act: act.id, copies: results, stopped: stopped.count, services: stopped.services, failure }
}

/// What this same act did before the agent was interrupted.
pub(super) fn taken_before(rested: &[Resting], act: &Act) -> Vec<CopyResult> {
    rested
        .iter()
        .filter(|resting| resting.act == act.id)
        .map(|resting| succeeded(resting.path.clone(), Some(resting.id)))
        .collect()
}
