//! Rules, and what a sweep makes of them.

use std::path::Path;

use agent::acts::Grounds;
use agent::ruleset::RuleSet;
use agent::running::{Fate, Found, Sweeper};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{RuleId, Time};

use crate::arena::{Image, digests_of};

/// A rule against what lies at `path`.
pub(crate) fn rule(effect: Effect, path: &Path) -> Rule {
    let digests = digests_of(&Image::of(path).unwrap().bytes);
    Rule {
        id: RuleId(7),
        effect,
        identifier: Identifier::Sha256(digests.sha256),
        scope: Scope::Organization,
        until: None,
    }
}

/// Looks once at all processes, and reads what nobody knew.
pub(crate) fn sweep(grounds: &Grounds, rules: &[Rule]) -> Vec<Found> {
    sweep_again(&mut Sweeper::default(), grounds, rules)
}

pub(crate) fn sweep_again(sweeper: &mut Sweeper, grounds: &Grounds, rules: &[Rule]) -> Vec<Found> {
    sys::lease::ignore_break_signals().unwrap();
    let rules = RuleSet::new(rules.iter().copied()).unwrap();
    sweeper.sweep(grounds, &rules, Time::from_seconds(1_900_000_000), &|| false).unwrap()
}

/// What became of a process; nothing when it was not found.
pub(crate) fn fate(found: &[Found], pid: i32) -> Option<Fate> {
    found.iter().find(|found| found.pid == pid).map(|found| found.fate.clone())
}
