//! Rules and the spared set, as the kernel's maps hold them.

use std::collections::BTreeSet;

use model::rule::{Effect, Identifier, Rule, rank};
use model::{Names, Sha256, Time};
use sys::bpf::{Content, Spared, kernel_device};

use crate::guard::SparedInode;
use crate::guard::snapshot::Snapshot;

/// One moment by two clocks.
pub(super) struct Clocks {
    /// By the clock of the rules.
    pub(super) now: Time,
    /// Nanoseconds since boot.
    pub(super) since_boot: u64,
}

impl Clocks {
    /// When a rule ends, in nanoseconds since boot; 0 for one that does not.
    fn end(&self, until: Option<Time>) -> u64 {
        until.map_or(0, |until| {
            let left = u64::try_from(until.since(self.now).as_nanos()).unwrap_or(u64::MAX);
            self.since_boot.saturating_add(left)
        })
    }
}

/// The rules by SHA-256 of `now` that the kernel does not have from `before`: of those about one file the strongest.
pub(super) fn changed<'s>(
    before: Option<&'s Snapshot>,
    now: &'s Snapshot,
    clocks: &'s Clocks,
) -> impl Iterator<Item = (Content, sys::bpf::Rule)> + 's {
    sha256_rules(now).filter_map(move |(sha256, id)| {
        let rule = strongest(now, sha256, clocks.now).filter(|rule| rule.id.0 == id)?;
        let is_known = before.is_some_and(|before| strongest(before, sha256, clocks.now) == Some(rule));
        let effect = match rule.effect {
            Effect::Deny | Effect::DenyAndStop => sys::bpf::Effect::Deny,
            Effect::Watch => sys::bpf::Effect::Watch,
            // Who went past a warning is not known there: openers are asked about instead.
            Effect::Allow | Effect::Warn => sys::bpf::Effect::Permit,
        };
        let given = sys::bpf::Rule::new(rule.id.0, effect, clocks.end(rule.until));
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
        .filter(move |(sha256, _)| strongest(now, *sha256, time).is_none())
        .map(|(sha256, _)| Content::sha256(sha256.0))
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
        assert_eq!(ids(changed(Some(&before), &now, &CLOCKS)), [(2, 4, 0)]);
        let stale: Vec<_> = stale(&before, &now, CLOCKS.now).map(|content| content.digest[0]).collect();
        assert_eq!(stale, [3]);
    }
}
