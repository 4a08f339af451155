//! The thread that does acts, one after the other: each once, always with a result.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use model::act::{Act, CopyResult, CopyState, Do, Outcome};
use model::order::Failure;
use model::rule::Scope;
use model::{Digests, FileId, RuleId};

use crate::acts::{self, Grounds, Guarded};
use crate::behind::Behind;
use crate::brake::{self, Begin};
use crate::core::{Core, Nudge};
use crate::elsewhere;
use crate::pace::Hurry;
use crate::recorder::wait_recorded;
use crate::running;
use crate::waiting::{Attempted, Waiting};
use crate::warden::Level;

/// How long an act waits for its rules before the next one is tried.
const RULES_PATIENCE: Duration = Duration::from_secs(5);
/// How long an act waits for the first look at all that is guarded.
const SWEEP_PATIENCE: Duration = Duration::from_secs(60);
/// How long each act waits for what others have waited for in vain.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);
/// How long an act waits until what was seen before it is in the inventory.
const RECORD_PATIENCE: Duration = Duration::from_secs(5);
/// How often an act is begun before the agent believes that it ends because of it.
pub(crate) const MOST_BEGUN: u32 = 8;

/// Does what the ledger holds, whenever `taken` says that there is something, until the agent stops.
pub(crate) fn run(core: &Core, taken: &Receiver<()>) {
    let mut waiting = Waiting::default();
    loop {
        // Not in the head of the loop: the ledger would stay locked while its acts are done.
        let unfinished = unfinished(core);
        for act in &unfinished {
            if core.halt.is_asked() {
                return;
            }
            if waiting.is_due(act.id, Instant::now()) {
                let attempted = attempt(core, act, &mut waiting);
                waiting.note(act.id, &attempted, Instant::now());
            }
        }
        waiting.retain(&unfinished);
        let wait = waiting.pause(Instant::now());
        if taken.recv_timeout(wait) == Err(crossbeam_channel::RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

/// Samples are sent by a thread of its own.
fn unfinished(core: &Core) -> Vec<Act> {
    let all = core.ledger.lock().unfinished();
    all.into_iter().filter(|act| !matches!(act.what, Do::Collect(_))).collect()
}

fn attempt(core: &Core, act: &Act, waiting: &mut Waiting) -> Attempted {
    let outcome = match waiting.take_outcome(act.id) {
        Some(outcome) => outcome,
        None => match result(core, act, waiting.hindrance(act.id)) {
            Ok(outcome) => outcome,
            Err(attempted) => return attempted,
        },
    };
    let kept = core.ledger.lock().ended(outcome.clone());
    if let Err(error) = kept {
        tracing::error!(act = %act.id, %error, "an act's outcome could not be kept; it is tried again");
        return Attempted::NotKept(outcome);
    }
    core.nudge(Nudge::Ended);
    Attempted::Ended
}

/// What an act comes to without being tried once more: it was begun too often, or has not begun before its deadline.
/// `hindrance` is what kept it from beginning the last time.
pub(crate) fn given_up(core: &Core, act: &Act, hindrance: Option<&str>) -> Option<Outcome> {
    let (times_begun, waits) = {
        let ledger = core.ledger.lock();
        (ledger.times_begun(act.id), ledger.waits(act))
    };
    if times_begun >= MOST_BEGUN {
        let reason = format!(
            "the agent has ended {times_begun} times while it did this, so it does not try again; see its log for why, \
             and order it again"
        );
        return Some(Outcome { copies: acts::so_far(&core.vault, act), ..failed(act, &reason) });
    }
    if times_begun > 0 || core.server_now() <= act.deadline {
        return None;
    }
    let why = if waits {
        "while it waited for approval"
    } else {
        hindrance.unwrap_or("before this machine could begin")
    };
    let failure = Some(Failure::timed_out(format!("its deadline passed {why}; order it again")));
    Some(Outcome { failure, ..failed(act, "") })
}

/// Does the act, unless it can't begin.
fn result(core: &Core, act: &Act, hindrance: Option<&str>) -> Result<Outcome, Attempted> {
    let begun = core.ledger.lock().has_begun(act.id);
    let outcome = if let Some(outcome) = given_up(core, act, hindrance) {
        outcome
    } else if !begun && core.warden.holds_back() == Some(Level::Released) {
        failed(act, &format!("{}; engage the guard there and order it again", core.warden.notice()))
    } else {
        if !core.wait_in_force(act.after, RULES_PATIENCE) {
            tracing::warn!(act = %act.id, "an act waits for its rules to be in force");
            return Err(Attempted::RulesMissing);
        }
        let at = match brake::may_begin(core, act) {
            Ok(Begin::Now(at)) => at,
            Ok(Begin::Waits) => return Err(Attempted::Held),
            Err(error) => {
                tracing::error!(act = %act.id, %error, "an act can't begin: the ledger can't be written");
                return Err(Attempted::NotBegun);
            }
        };
        let begun = core.ledger.lock().begin_at(act.id, at);
        match begun {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!(act = %act.id, "an act was withdrawn before it began");
                return Err(Attempted::Ended);
            }
            Err(error) => {
                tracing::error!(act = %act.id, %error, "an act can't begin: the ledger can't be written; it is tried again");
                return Err(Attempted::NotBegun);
            }
        }
        core.nudge(Nudge::Begun(act.id));
        // Cut short: it goes on at the next start.
        fitting(perform(core, act).ok_or(Attempted::CutShort)?)
    };
    tracing::info!(act = %act.id, copies = outcome.copies.len(), stopped = outcome.stopped, "an act ended");
    Ok(outcome)
}

/// How much of an outcome may be paths and reasons, in bytes: it travels in one message.
const LARGEST_OUTCOME: usize = 4 << 20;

/// Leaves out copies that have no room, those that succeeded first. Anybody can make so many copies, under so long
/// names, that the link could never carry them all.
pub(crate) fn fitting(mut outcome: Outcome) -> Outcome {
    outcome.copies.sort_by_key(|copy| copy.state == CopyState::Succeeded);
    let mut room = LARGEST_OUTCOME;
    let fits = |copy: &&CopyResult| {
        let length = 100 + copy.path.as_os_str().len() + copy.reason.as_ref().map_or(0, String::len);
        room = room.saturating_sub(length);
        room > 0
    };
    let told = outcome.copies.iter().take_while(fits).count();
    let left_out = outcome.copies.split_off(told);
    if left_out.iter().any(|copy| copy.state != CopyState::Succeeded) && outcome.failure.is_none() {
        outcome.failure = Some(Failure::because(format!("{} more copies have no room here", left_out.len())));
    }
    if !left_out.is_empty() {
        tracing::warn!(act = %outcome.act, left_out = left_out.len(), "an outcome tells of some copies only");
    }
    outcome
}

/// None when the agent stops before it is done.
fn perform(core: &Core, act: &Act) -> Option<Outcome> {
    let grounds = grounds(core);
    let outcome = match &act.what {
        Do::Quarantine(file) => quarantine(core, &grounds, act, *file)?,
        Do::Restore(of, terms) => acts::restore(&grounds, act, *of, *terms, &mut |_| {}),
        Do::Collect(_) => return None,
    };
    for copy in outcome.copies.iter().filter(|copy| copy.state == CopyState::Succeeded) {
        let _ = core.looker.look(copy.path.clone());
    }
    Some(outcome)
}

/// What the inventory must have looked at before it can be said that nothing more is there.
pub(crate) struct Search {
    begun: Instant,
    behind: Behind,
    deadline: Instant,
}

impl Search {
    pub(crate) fn begin(core: &Core) -> Self {
        Self { begun: Instant::now(), behind: Behind::now(core), deadline: Instant::now() + SWEEP_PATIENCE }
    }

    /// Whether all that is guarded was looked through since the start, and so was what has changed before this began.
    pub(crate) fn is_whole(&mut self, core: &Core) -> bool {
        core.progress.guarded_complete.load(Ordering::Relaxed)
            && self.behind.waits_since(core).is_none()
            && left_out(core).is_none()
    }

    /// Why that is not waited for any more, once it is not. Acts that come later don't wait as long for the same.
    pub(crate) fn given_up(&mut self, core: &Core) -> Option<String> {
        let is_complete = core.progress.guarded_complete.load(Ordering::Relaxed);
        if !is_complete && Instant::now() > self.deadline {
            return Some(
                "the agent has not yet looked through all it guards since it started, so there may be more copies; \
                 order it again"
                    .to_owned(),
            );
        }
        if !is_complete {
            return None;
        }
        let Some(waits) = self.behind.waits_since(core) else {
            let point = left_out(core)?;
            return Some(format!(
                "the agent could not look through all of {}, so there may be more copies; order it again",
                point.display()
            ));
        };
        // Its own hurry may be what is lacking.
        let is_over = waits.elapsed() > SWEEP_PATIENCE && self.begun.elapsed() >= LEAST_PATIENCE;
        is_over.then(|| {
            "the agent has not yet looked through directories that were moved or mounted, or what changed while it lost \
             notes, so there may be more copies; order it again"
                .to_owned()
        })
    }
}

/// What is guarded and could not be looked through, so that nobody knows what lies there.
fn left_out(core: &Core) -> Option<PathBuf> {
    core.errands.left_out(|point| core.places.guards(point))
}

/// What is known goes at once. Where this agent has not yet looked through all it guards since it started, or what
/// changed a moment ago, it does so before it says that nothing is left.
fn quarantine(core: &Core, grounds: &Grounds, act: &Act, file: FileId) -> Option<Outcome> {
    let pass = || match known_copies(core, &file) {
        Ok(known) => acts::quarantine(grounds, act, file, known, &mut |step| {
            tracing::debug!(act = %act.id, ?step, "step");
        }),
        Err(error) => {
            failed(act, &format!("this machine's inventory can't be read: {error}; order it again"))
        }
    };
    let mut search = Search::begin(core);
    let is_whole = search.is_whole(core);
    let outcome = pass();
    if is_whole {
        return Some(outcome);
    }
    let _hurry = Hurry::new(&core.progress.hurry);
    while !search.is_whole(core) {
        if core.halt.is_asked() {
            return None;
        }
        if let Some(reason) = search.given_up(core) {
            let failure = outcome.failure.or_else(|| Some(Failure::because(reason)));
            return Some(Outcome { failure, ..outcome });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // The same act again: what it has taken is told with what it finds now.
    let again = pass();
    let services = outcome.services.into_iter().chain(again.services).collect();
    Some(Outcome { stopped: outcome.stopped + again.stopped, services, ..again })
}

/// Where copies of a file may lie: what is known, and what changed a moment ago.
pub(crate) fn known_copies(core: &Core, file: &FileId) -> std::io::Result<Vec<PathBuf>> {
    // In this order: what was looked at is no longer pending, and in the inventory behind the barrier.
    let mut unsettled: Vec<PathBuf> = core.pending.paths().keys().cloned().collect();
    if !wait_recorded(&core.looker.noticed, RECORD_PATIENCE) {
        tracing::warn!("the inventory lags behind what was seen on this machine");
    }
    let mut known = core.inventory.copies_of(file)?;
    // A file has one length; of other files not even the beginning needs to be read.
    let length = known.iter().find_map(|path| core.inventory.at(path)).map(|known| known.facts.size);
    known.append(&mut unsettled);
    if let Some(length) = length {
        let length_of = |path: &Path| match elsewhere::is_elsewhere(path) {
            true => elsewhere::stat(path).map(|stat| stat.stx_size),
            false => std::fs::symlink_metadata(path).map(|stat| stat.len()),
        };
        known.retain(|path| length_of(path).map_or_else(|error| !is_gone(&error), |own| own == length));
    }
    known.sort();
    known.dedup();
    Ok(known)
}

/// Whether nothing is there. What can't be looked at may be a copy.
fn is_gone(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let gone = [Errno::NOENT, Errno::NOTDIR, Errno::LOOP, Errno::NAMETOOLONG];
    Errno::from_io_error(error).is_none_or(|errno| gone.contains(&errno))
}

/// Where acts may act now, and on whom never.
pub(crate) fn grounds(core: &Core) -> Grounds {
    let own_program = std::env::current_exe().ok();
    let guarded = core.guarded().into_iter().map(|place| Guarded {
        device: place.mount.device,
        volatile: sys::mounts::is_volatile(&place.mount),
        mount: place.mount.point,
    });
    let spared = core.spared();
    Grounds {
        guarded: guarded.collect(),
        vault: core.vault.clone(),
        spared: Arc::new(move |path, sha256| spared.record(path, sha256)),
        everywhere: core.guards_everywhere,
        own_pids: own_program.as_deref().map(running::own_parents).unwrap_or_default(),
        own_program,
    }
}

/// This machine's own denies that name a file.
pub(crate) fn own_denies(core: &Core, digests: &Digests) -> Vec<RuleId> {
    let own = Scope::Machine(core.machine);
    let rules = core.ledger.lock().rules().clone();
    let denies = rules.matching(&digests.into()).filter(|rule| rule.scope == own && rule.effect.denies());
    denies.map(|rule| rule.id).collect()
}

fn failed(act: &Act, reason: &str) -> Outcome {
    Outcome {
        act: act.id,
        copies: Vec::new(),
        stopped: 0,
        services: Vec::new(),
        failure: Some(Failure::because(reason)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_fits_into_a_message_and_failures_are_told_first() {
        let copy = |number: usize, state| CopyResult {
            path: PathBuf::from(format!("/{number}{}", "x".repeat(4000))),
            state,
            reason: None,
            vault: None,
        };
        let mut copies: Vec<_> = (0..5000).map(|number| copy(number, CopyState::Succeeded)).collect();
        copies.push(copy(5000, CopyState::Failed));
        let act = model::ActId::random();
        let outcome = fitting(Outcome { act, copies, stopped: 0, services: Vec::new(), failure: None });
        assert!(outcome.copies.iter().any(|copy| copy.state == CopyState::Failed));
        assert!(outcome.copies.len() > 900 && outcome.failure.is_none());
        let message = wire::link::v1::Outcome::from(&outcome);
        assert!(wire::link::frame::encode(&message).is_ok());

        let copies = (0..5000).map(|number| copy(number, CopyState::Failed)).collect();
        let outcome = fitting(Outcome { act, copies, stopped: 0, services: Vec::new(), failure: None });
        assert!(outcome.failure.is_some(), "what is not told has failed all the same");
    }
}
