//! Rules and the spared set, as the kernel's maps hold them.

use std::collections::BTreeSet;

use model::rule::{Effect, Identifier, Rule, rank};
use model::{Clock, Names, RuleId, Sha256, Time};
use sys::bpf::{Content, Spared, kernel_device};

use crate::clock::SystemClock;
use crate::guard::SparedInode;
use crate::guard::snapshot::Snapshot;

/// By how much the two clocks may part before ends are told anew.
const APART_NS: i128 = 1_000_000_000;

/// One moment by two clocks.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    /// By the clock of the rules.
    pub(super) now: Time,
    /// Nanoseconds since boot.
    pub(super) since_boot: u64,
}

impl Clocks {
    pub(super) fn read(rules: &Snapshot) -> Self {
        Self { now: rules.time(SystemClock.now()), since_boot: sys::bpf::since_boot() }
    }

    /// When a rule ends, in nanoseconds since boot; 0 for one that does not.
    fn end(&self, until: Option<Time>) -> u64 {
        until.map_or(0, |until| {
            let left = u64::try_from(until.since(self.now).as_nanos()).unwrap_or(u64::MAX);
            self.since_boot.saturating_add(left)
        })
    }

    /// Whether somebody has set the machine's clock since, so that rules end at other times since boot.
    pub(super) fn were_set_since(&self, earlier: &Self) -> bool {
        let apart = |clocks: &Self| clocks.now.nanoseconds() - i128::from(clocks.since_boot);
        (apart(self) - apart(earlier)).abs() > APART_NS
    }
}

/// What the kernel is told about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    id: RuleId,
    effect: sys::bpf::Effect,
    until: Option<Time>,
}

impl Told {
    /// By the strongest rule about the file that holds at `now`; `None` if none does. Where a weaker one goes on
    /// denying, the end is its end: nothing is permitted until somebody has put the other in its place.
    fn at(now: Time, snapshot: &Snapshot, sha256: Sha256) -> Option<Self> {
        let rule = strongest(snapshot, sha256, now)?;
        let effect = effect(&rule);
        let mut until = rule.until;
        while effect == sys::bpf::Effect::Deny
            && let Some(end) = until
            && let Some(next) = strongest(snapshot, sha256, end)
            && self::effect(&next) == effect
        {
            until = next.until;
        }
        Some(Self { id: rule.id, effect, until })
    }
}

fn effect(rule: &Rule) -> sys::bpf::Effect {
    match rule.effect {
        Effect::Deny | Effect::DenyAndStop => sys::bpf::Effect::Deny,
        Effect::Watch => sys::bpf::Effect::Watch,
        // Who went past a warning is not known there: openers are asked about instead.
        Effect::Allow | Effect::Warn => sys::bpf::Effect::Permit,
    }
}

/// The rules by SHA-256 of `now` that the kernel has not been told: of those about one file the strongest. `told` is
/// what it has, and the moment by which that was chosen.
pub(super) fn changed<'s>(
    told: Option<(&'s Snapshot, Time)>,
    now: &'s Snapshot,
    clocks: &'s Clocks,
) -> impl Iterator<Item = (Content, sys::bpf::Rule)> + 's {
    sha256_rules(now).filter_map(move |(sha256, id)| {
        let rule = Told::at(clocks.now, now, sha256).filter(|rule| rule.id.0 == id)?;
        let is_known = told.is_some_and(|(before, then)| Told::at(then, before, sha256) == Some(rule));
        let given = sys::bpf::Rule::new(rule.id.0, rule.effect, clocks.end(rule.until));
        (!is_known).then_some((Content::sha256(sha256.0), given))
    })
}

/// Files about which there was a rule and there is none now.
pub(super) fn stale<'s>(
    before: &'s Snapshot,
    now: &'s Snapshot,
    time: Time,
) -> impl Iterator<Item = Content> + 's {
    sha256_rules(before)
        .map(|(sha256, _)| Content::sha256(sha256.0))
        .filter(move |content| !is_about(now, content, time))
}

/// Whether a rule about this file holds.
pub(super) fn is_about(snapshot: &Snapshot, content: &Content, time: Time) -> bool {
    strongest(snapshot, Sha256(content.digest), time).is_some()
}

/// How many rules there are that the kernel can judge by.
pub(super) fn number(snapshot: &Snapshot) -> usize {
    sha256_rules(snapshot).count()
}

/// Whether some rule warns.
pub(super) fn warns(snapshot: &Snapshot) -> bool {
    snapshot.rules().rules().any(|rule| rule.effect == Effect::Warn)
}

/// When the next rule by SHA-256 ends.
pub(super) fn next_end(snapshot: &Snapshot, now: Time) -> Option<Time> {
    let ends = snapshot.rules().rules().filter(|rule| matches!(rule.identifier, Identifier::Sha256(_)));
    ends.filter_map(|rule| rule.until).filter(|until| *until > now).min()
}

/// The spared set. Where `stat` tells another device than the kernel knows (btrfs, some overlays), inode and content
/// must do.
pub(super) fn spared(spared: &[SparedInode]) -> std::io::Result<Vec<Spared>> {
    let known: BTreeSet<u64> = sys::mounts::current()?.iter().map(|mount| mount.device).collect();
    let device = |device| if known.contains(&device) { kernel_device(device) } else { 0 };
    let kept = |it: &SparedInode| Spared { device: device(it.device), inode: it.inode, sha256: it.sha256.0 };
    Ok(spared.iter().map(kept).collect())
}

fn sha256_rules(snapshot: &Snapshot) -> impl Iterator<Item = (Sha256, u64)> + '_ {
    snapshot.rules().rules().filter_map(|rule| match rule.identifier {
        Identifier::Sha256(sha256) => Some((sha256, rule.id.0)),
        _ => None,
    })
}

/// What the kernel is to do about a file, as far as SHA-256 goes: a rule that names it so is stronger than others.
fn strongest(snapshot: &Snapshot, sha256: Sha256, now: Time) -> Option<Rule> {
    let names = Names { sha256, sha1: None, md5: None };
    snapshot.rules().matching(&names).filter(|rule| rule.holds_at(now)).max_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::RuleSet;
    use model::rule::Scope;
    use model::{MachineId, RuleId};

    const CLOCKS: Clocks = Clocks { now: Time::from_seconds(100), since_boot: 7_000_000_000 };

    fn rule(id: u64, byte: u8, effect: Effect) -> Rule {
        let identifier = Identifier::Sha256(Sha256([byte; 32]));
        Rule { id: RuleId(id), effect, identifier, scope: Scope::Organization, until: None }
    }

    fn snapshot(rules: &[Rule]) -> Snapshot {
        let rules = RuleSet::new(rules.iter().copied()).unwrap();
        let base = rules.base().file().map(|file| file.try_clone_to_owned().unwrap());
        Snapshot::decode(&Snapshot::encode(1, &rules, &[], &[], 0), base, &Snapshot::default()).unwrap()
    }

    fn ids(changed: impl Iterator<Item = (Content, sys::bpf::Rule)>) -> Vec<(u8, u64, u64)> {
        changed.map(|(content, rule)| (content.digest[0], rule.id, rule.until)).collect()
    }

    #[test]
    fn of_rules_about_one_file_the_strongest_that_holds_is_given() {
        let own = Scope::Machine(MachineId([1; 20]));
        let ended = Rule { until: Some(CLOCKS.now), ..rule(3, 1, Effect::Allow) };
        let ends = Rule { until: Some(Time::from_seconds(102)), ..rule(5, 2, Effect::Deny) };
        let by_sha1 = Rule { identifier: Identifier::Sha1(model::Sha1([9; 20])), ..rule(6, 0, Effect::Deny) };
        let rules = [
            rule(1, 1, Effect::Deny),
            Rule { scope: own, ..rule(2, 1, Effect::Allow) },
            Rule { scope: own, ..ended },
            rule(4, 2, Effect::Watch),
            ends,
            by_sha1,
        ];
        let now = snapshot(&rules);
        assert_eq!(ids(changed(None, &now, &CLOCKS)), [(1, 2, 0), (2, 5, 9_000_000_000)]);
        assert_eq!(next_end(&now, CLOCKS.now), ends.until);
        let later = Clocks { now: Time::from_seconds(103), since_boot: 10_000_000_000 };
        assert_eq!(ids(changed(None, &now, &later)), [(1, 2, 0), (2, 4, 0)]);
    }

    #[test]
    fn only_what_changes_is_given_and_what_is_gone_is_taken() {
        let before =
            snapshot(&[rule(1, 1, Effect::Deny), rule(2, 2, Effect::Deny), rule(3, 3, Effect::Deny)]);
        let now = snapshot(&[rule(1, 1, Effect::Deny), rule(4, 2, Effect::Deny)]);
        assert_eq!(ids(changed(Some((&before, CLOCKS.now)), &now, &CLOCKS)), [(2, 4, 0)]);
        let stale: Vec<_> = stale(&before, &now, CLOCKS.now).map(|content| content.digest[0]).collect();
        assert_eq!(stale, [3]);
    }

    #[test]
    fn a_weaker_rule_is_given_when_the_stronger_has_ended() {
        let own = Scope::Machine(MachineId([1; 20]));
        let allow = Rule { scope: own, until: Some(Time::from_seconds(105)), ..rule(2, 1, Effect::Allow) };
        let rules = snapshot(&[rule(1, 1, Effect::Deny), allow]);
        assert_eq!(ids(changed(None, &rules, &CLOCKS)), [(1, 2, 12_000_000_000)]);
        let later = Clocks { now: Time::from_seconds(106), since_boot: 13_000_000_000 };
        // Whether they are still the same rules or others besides.
        let others = snapshot(&[rule(1, 1, Effect::Deny), allow, rule(3, 3, Effect::Deny)]);
        assert_eq!(ids(changed(Some((&rules, CLOCKS.now)), &rules, &later)), [(1, 1, 0)]);
        assert_eq!(ids(changed(Some((&rules, CLOCKS.now)), &others, &later)), [(1, 1, 0), (3, 3, 0)]);
        assert_eq!(ids(changed(Some((&rules, later.now)), &rules, &later)), []);
        // One that has ended alone is taken out.
        let alone = snapshot(&[allow]);
        assert_eq!(stale(&alone, &alone, CLOCKS.now).count(), 0);
        assert_eq!(stale(&alone, &alone, later.now).count(), 1);
    }

    #[test]
    fn a_denial_that_a_weaker_one_follows_has_no_end_in_between() {
        let own = Scope::Machine(MachineId([1; 20]));
        let until = |seconds, rule| Rule { until: Some(Time::from_seconds(seconds)), ..rule };
        let first = Rule { scope: own, ..until(105, rule(1, 1, Effect::Deny)) };
        let second = until(110, rule(2, 1, Effect::DenyAndStop));
        let third = rule(3, 1, Effect::Deny);
        let given = |rules: &[Rule]| ids(changed(None, &snapshot(rules), &CLOCKS));
        assert_eq!(given(&[first, second]), [(1, 1, 17_000_000_000)]);
        assert_eq!(given(&[first, second, third]), [(1, 1, 0)]);
        // What ends before it does not count, nor what permits.
        assert_eq!(given(&[first, until(104, second)]), [(1, 1, 12_000_000_000)]);
        assert_eq!(given(&[first, rule(4, 1, Effect::Allow)]), [(1, 1, 12_000_000_000)]);
        // When the first has ended, the others are told by their own names.
        let later = Clocks { now: Time::from_seconds(106), since_boot: 13_000_000_000 };
        let rules = snapshot(&[first, second, third]);
        assert_eq!(ids(changed(Some((&rules, CLOCKS.now)), &rules, &later)), [(1, 2, 0)]);
    }

    #[test]
    fn a_clock_that_was_set_is_noticed() {
        let later = |seconds, since_boot| Clocks { now: Time::from_seconds(seconds), since_boot };
        assert!(!later(160, 67_000_000_000).were_set_since(&CLOCKS));
        assert!(!later(161, 67_000_000_000).were_set_since(&CLOCKS));
        assert!(later(162, 67_000_000_000).were_set_since(&CLOCKS));
        assert!(later(40, 67_000_000_000).were_set_since(&CLOCKS));
    }
}
