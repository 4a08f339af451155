//! The brake: more than so many denials of widely running files, or quarantines, an hour wait for approval.
//!
//! It stands on the machine itself, since a stolen server could order anything: its numbers come from the command line, what
//! it counts and holds is in the ledger, and what lets something go on is root here or the operator key's signature.

mod approve;
mod decide;
mod later;
mod pinning;
mod signature;
mod window;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};
use model::act::{Act, Do};
use model::hold::{Crowd, Held, Hold};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{FileId, HoldId, Names, RuleId};
use parking_lot::Mutex;
use wire::link::v1;

use later::Later;

pub(crate) use approve::{approve, approve_signed};
pub(crate) use pinning::{offered, pin, trust};
pub(crate) use signature::{Key, fingerprint};
#[cfg(test)]
pub(crate) use window::HOUR;
pub(crate) use window::Window;

use crate::clock::Moment;
use crate::core::{Core, Nudge};
use crate::inventory::Inventory;
use crate::ledger::{self, Braked};
use crate::ruleset::RuleSet;
use crate::running::{AskedAbout, Census, Counted, Reading};

/// A file runs widely when processes of so many users run it,
const USERS: u32 = 2;
/// or so many processes,
const PROCESSES: u32 = 5;
/// or one process has for so long, in seconds: a service.
const SECONDS: u64 = 3600;

/// While somebody waits for rules to be in force.
const IN_A_HURRY: Reading = Reading { within: Duration::from_millis(100), largest: 8 << 20 };
/// While they wait for rules that stop what runs: what is stopped stays so.
const WITH_CARE: Reading = Reading { within: Duration::from_secs(60), largest: 4 << 30 };
/// While nobody does.
const AT_LEISURE: Reading = Reading { within: Duration::from_secs(600), largest: 4 << 30 };

/// How long after the ledger could not be written it is tried again.
const AGAIN: Duration = Duration::from_secs(5);

/// How many an hour go on without approval; 0 is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Denials of files that run widely on this machine.
    pub denials: u32,
    /// Quarantines on this machine.
    pub quarantines: u32,
}

impl Limits {
    /// Unless somebody says otherwise.
    pub const DEFAULT: Self = Self { denials: 3, quarantines: 60 };
}

/// The brake of this agent.
pub(crate) struct Brake {
    limits: Limits,
    census: Census,
    /// The rules before those that went into force when not all that ran could be read.
    unweighed: Mutex<Option<RuleSet>>,
    again: (Sender<()>, Receiver<()>),
    /// Tells the thread that does acts.
    acts: Sender<()>,
    /// The operator key that the server has, when ours has not signed it.
    offered: Mutex<Option<Key>>,
}

impl Brake {
    pub(crate) fn new(limits: Limits, inventory: Arc<Inventory>, acts: Sender<()>) -> Self {
        Self {
            limits,
            census: Census::new(inventory),
            unweighed: Mutex::default(),
            again: crossbeam_channel::bounded(1),
            acts,
            offered: Mutex::default(),
        }
    }

    fn weigh_again(&self, before: RuleSet) {
        self.unweighed.lock().get_or_insert(before);
        let _ = self.again.0.try_send(());
    }

    /// What was weighed is not done with: it stood before all that has come since.
    fn put_back(&self, before: RuleSet) {
        *self.unweighed.lock() = Some(before);
    }
}

/// Adopts the server's rules without those that must wait: durable when it returns. False for a part of a set.
///
/// # Errors
/// As [`ledger::Ledger::prepare`] and [`ledger::Ledger::adopt`].
pub(crate) fn adopt(core: &Core, rules: &v1::Rules) -> Result<bool, ledger::Refused> {
    let prepared = core.ledger.lock().prepare(rules)?;
    let mut braked = Braked::nothing(Moment::now());
    if let Some(new) = prepared.to_be_weighed() {
        let old = core.ledger.lock().rules().clone();
        let mut is_complete;
        (braked, is_complete) = weigh(core, &old, new, IN_A_HURRY);
        let stops =
            |rule: &model::rule::Rule| rule.effect == Effect::DenyAndStop && old.get(rule.id) != Some(*rule);
        if !is_complete && new.rules().any(|rule| stops(&rule)) {
            (braked, is_complete) = weigh(core, &old, new, WITH_CARE);
        }
        if !is_complete {
            braked.unweighed = Some(true);
            core.brake.weigh_again(old);
        }
    }
    let holds = braked.holds.clone();
    let adopted = core.ledger.lock().adopt(prepared, braked)?;
    tell(core, &holds);
    Ok(adopted)
}

/// Says which of the rules that `new` has and `old` has not must wait, and whether all that runs could be asked about.
fn weigh(core: &Core, old: &RuleSet, new: &RuleSet, reading: Reading) -> (Braked, bool) {
    let at = Moment::now();
    let limit = core.brake.limits.denials;
    if limit == 0 {
        return (Braked::nothing(at), true);
    }
    let about = |names: &Names| decide::newly_denies(old, new, &[], names).is_some();
    let asked = AskedAbout {
        kinds: old.kinds().union(new.kinds()),
        about: &about,
        now: model::Clock::now(&*core.clock),
        reading,
    };
    let grounds = crate::perform::grounds(core);
    let began = Instant::now();
    let counted = core.brake.census.take(&grounds, &asked, &|| core.halt.is_asked());
    let Counted { crowds, is_complete } = match counted {
        Ok(counted) => counted,
        Err(error) => {
            tracing::error!(%error, "what runs can't be counted; rules go into force, and are weighed again");
            Counted { crowds: Vec::new(), is_complete: false }
        }
    };
    tracing::debug!(crowds = crowds.len(), is_complete, took = ?began.elapsed(), "counted who runs what");
    let (passed, used) = core.ledger.lock().widely_denied(&at);
    let room = usize::try_from(limit).unwrap_or(usize::MAX).saturating_sub(used);
    let widely = crowds.into_iter().filter(|(_, crowd)| runs_widely(crowd)).collect();
    let decision = decide::decide(old, new, widely, |sha256| passed.contains(sha256), room);
    for sha256 in &decision.denied {
        tracing::warn!(%sha256, "a file that runs widely here is denied from now on");
    }
    let since = model::Clock::now(&*core.clock);
    let hold = |(rule, crowds)| Hold { id: HoldId::random(), what: Held::Denial(rule), since, crowds };
    let holds = decision.held.into_iter().map(hold).collect();
    (Braked { holds, denied: decision.denied, ..Braked::nothing(at) }, is_complete)
}

fn runs_widely(crowd: &Crowd) -> bool {
    crowd.users >= USERS || crowd.processes >= PROCESSES || crowd.seconds >= SECONDS
}

fn tell(core: &Core, holds: &[Hold]) {
    for Hold { id, what, .. } in holds {
        tracing::error!(hold = %id, ?what, "held by the brake; `quell agent approve {id}` lets it go on");
    }
    if !holds.is_empty() {
        core.nudge(Nudge::Held);
    }
}

/// Weighs again what was adopted when not all that ran could be read, until the agent stops. First of all it reads what
/// runs, so that later nobody has to wait for that.
pub(crate) fn run(core: &Core) {
    if core.brake.limits.denials == 0 {
        return;
    }
    if core.ledger.lock().is_unweighed() {
        // What stood before is not known any more. What was denied for long does not run widely.
        core.brake.weigh_again(RuleSet::default());
    } else {
        let _ = core.brake.again.0.try_send(());
    }
    let mut later = Later::default();
    while later.wait(&core.brake.again.1) && !core.halt.is_asked() {
        let before = core.brake.unweighed.lock().take();
        let now = core.ledger.lock().rules().clone();
        let (mut braked, is_complete) = weigh(core, before.as_ref().unwrap_or(&now), &now, AT_LEISURE);
        let Some(before) = before.filter(|_| !core.halt.is_asked()) else { continue };
        let is_over = is_complete || !later.again(Instant::now());
        if !is_over {
            // What can't be read now may be read later.
            core.brake.put_back(before.clone());
        } else if !is_complete {
            tracing::warn!(
                "not all that runs can be read: what it is, no rule that was just adopted waits for"
            );
        }
        let holds = braked.holds.clone();
        braked.unweighed = core.brake.unweighed.lock().is_none().then_some(false);
        let kept = core.ledger.lock().brake(braked);
        match kept {
            Ok(()) if holds.is_empty() => {}
            Ok(()) => {
                tell(core, &holds);
                if let Err(error) = core.enforce(approve::PATIENCE) {
                    tracing::warn!(%error, "a rule that waits may still deny for a moment");
                }
            }
            Err(error) => {
                tracing::error!(%error, "the ledger can't be written: rules may be in force that should wait");
                std::thread::sleep(AGAIN);
                core.brake.put_back(before);
                let _ = core.brake.again.0.try_send(());
            }
        }
    }
}

/// Whether an act may begin.
pub(crate) enum Begin {
    /// It may; with the moment at which it counts.
    Now(Option<Moment>),
    /// It waits for approval.
    Waits,
}

/// What a quarantine would deny that is not denied: its processes end like those of a denied file. A server that asks for
/// it without the deny that belongs to it must not get past the brake so.
fn weigh_quarantine(core: &Core, act: &Act, file: FileId) -> std::io::Result<Braked> {
    let identifier = Identifier::from(file);
    let (rules, is_settled) = {
        let ledger = core.ledger.lock();
        let is_settled = ledger.has_begun(act.id) || ledger.waits(act) || ledger.is_approved(act.id);
        (ledger.rules().clone(), is_settled)
    };
    let permits = |rule: &Rule| matches!(rule.effect, Effect::Allow | Effect::Watch);
    let denies = |rule: &Rule| rule.identifier == identifier && rule.effect.denies() && rule.until.is_none();
    let is_denied = || rules.rules().any(|rule| denies(&rule)) && !rules.rules().any(|rule| permits(&rule));
    if is_settled || is_denied() {
        return Ok(Braked::nothing(Moment::now()));
    }
    let scope = Scope::Machine(core.machine);
    let rule = Rule { id: RuleId(u64::MAX), effect: Effect::Deny, identifier, scope, until: None };
    // That alone: a stronger permit spares no process from an act.
    Ok(weigh(core, &rules, &RuleSet::new([rule])?, IN_A_HURRY).0)
}

/// Asks the brake about an act. What must wait is durable when this returns.
///
/// # Errors
/// When the ledger can't be written.
pub(crate) fn may_begin(core: &Core, act: &Act) -> std::io::Result<Begin> {
    let Do::Quarantine(file) = act.what else { return Ok(Begin::Now(None)) };
    let now = Moment::now();
    let weighed = weigh_quarantine(core, act, file)?;
    let hold = {
        let mut ledger = core.ledger.lock();
        if ledger.has_begun(act.id) {
            return Ok(Begin::Now(None));
        }
        if ledger.waits(act) {
            return Ok(Begin::Waits);
        }
        if ledger.is_approved(act.id) {
            return Ok(Begin::Now(None));
        }
        let begun = ledger.quarantines_begun(&now);
        let is_beyond =
            usize::try_from(core.brake.limits.quarantines).is_ok_and(|limit| limit > 0 && begun >= limit);
        if !is_beyond && weighed.holds.is_empty() {
            if !weighed.denied.is_empty() {
                ledger.brake(weighed)?;
            }
            return Ok(Begin::Now(Some(now)));
        }
        let what = Held::Quarantine { act: act.id, order: act.order, file };
        let since = model::Clock::now(&*core.clock);
        let crowds = weighed.holds.into_iter().flat_map(|hold| hold.crowds).collect();
        let hold = Hold { id: HoldId::random(), what, since, crowds };
        ledger.brake(Braked { holds: vec![hold.clone()], ..Braked::nothing(now) })?;
        hold
    };
    tell(core, &[hold]);
    Ok(Begin::Waits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widely_is_by_users_by_processes_or_for_long() {
        let crowd = |processes, users, seconds| {
            runs_widely(&Crowd {
                sha256: model::Sha256([0; 32]),
                path: "/x".into(),
                processes,
                users,
                seconds,
            })
        };
        assert!(crowd(2, 2, 0) && crowd(5, 1, 0) && crowd(1, 1, 3600));
        assert!(!crowd(4, 1, 3599) && !crowd(1, 1, 0));
    }
}
