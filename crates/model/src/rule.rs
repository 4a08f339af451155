//! Standing will: effect × identifier × scope × until.

use crate::{FileId, GroupId, Kinds, MachineId, Md5, Names, RuleId, Sha1, Sha256, Time};

/// What a rule does to a matching file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Execution is refused.
    Deny,
    /// Execution is refused and what already runs is stopped.
    DenyAndStop,
    /// Execution is refused until that user bypasses it.
    Warn,
    /// Execution is permitted and reported.
    Watch,
    /// Execution is permitted, whatever weaker rules say.
    Allow,
}

impl Effect {
    /// Every effect, strictest first.
    pub const ALL: [Self; 5] = [Self::DenyAndStop, Self::Deny, Self::Warn, Self::Allow, Self::Watch];

    /// The word in store and documents.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::DenyAndStop => "deny-and-stop",
            Self::Warn => "warn",
            Self::Watch => "watch",
            Self::Allow => "allow",
        }
    }

    /// The effect that `word` means.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|effect| effect.word() == word)
    }

    /// Whether it is reported when such a file is to run.
    pub const fn is_told(self) -> bool {
        !matches!(self, Self::Allow)
    }

    /// Whether the file may not run.
    pub const fn denies(self) -> bool {
        matches!(self, Self::Deny | Self::DenyAndStop | Self::Warn)
    }
}

/// By what a rule knows its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identifier {
    /// Files with this SHA-256: one file.
    Sha256(Sha256),
    /// Files with this SHA-1.
    Sha1(Sha1),
    /// Files with this MD5.
    Md5(Md5),
    /// Files signed by the certificate with this SHA-1 thumbprint.
    Signer(Sha1),
}

impl From<FileId> for Identifier {
    fn from(file: FileId) -> Self {
        match file {
            FileId::Sha1(sha1) => Self::Sha1(sha1),
            FileId::Sha256(sha256) => Self::Sha256(sha256),
        }
    }
}

impl Identifier {
    /// Whether a file with these names is meant. By a name that was not computed none is: ask only with
    /// names that have the [`kinds`](Self::kinds) of all rules that are asked. Signers are known only after
    /// inspection.
    pub fn matches(&self, names: &Names) -> bool {
        match self {
            Self::Sha256(sha256) => *sha256 == names.sha256,
            Self::Sha1(sha1) => Some(*sha1) == names.sha1,
            Self::Md5(md5) => Some(*md5) == names.md5,
            Self::Signer(_) => false,
        }
    }

    /// Which digests besides SHA-256 tell whether a file is meant.
    pub const fn kinds(&self) -> Kinds {
        Kinds { sha1: matches!(self, Self::Sha1(_)), md5: matches!(self, Self::Md5(_)) }
    }
}

/// Where a rule holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// On every machine of the organization.
    Organization,
    /// On the machines of one group.
    Group(GroupId),
    /// On one machine.
    Machine(MachineId),
}

/// Standing will about files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its name within the organization.
    pub id: RuleId,
    /// What it does.
    pub effect: Effect,
    /// To which files.
    pub identifier: Identifier,
    /// On which machines.
    pub scope: Scope,
    /// When it ends by itself; never, if none. Enforced by the machine too, offline.
    pub until: Option<Time>,
}

impl Rule {
    /// Whether it still holds at `now`.
    pub fn holds_at(&self, now: Time) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

/// A rule's rank among rules that match the same file: the greatest wins.
///
/// The contract's order (`reference/defender-api.md`, 3.7): the longer hash wins whatever the scope; then the
/// narrower scope; then the stricter effect. The newer rule breaks a tie, so the order is total.
pub fn rank(rule: &Rule) -> impl Ord + use<> {
    let identifier = match rule.identifier {
        Identifier::Sha256(_) => 3,
        Identifier::Sha1(_) => 2,
        Identifier::Md5(_) => 1,
        Identifier::Signer(_) => 0,
    };
    let scope = match rule.scope {
        Scope::Machine(_) => 2,
        Scope::Group(_) => 1,
        Scope::Organization => 0,
    };
    let effect = Effect::ALL.len() - Effect::ALL.iter().position(|e| *e == rule.effect).unwrap_or_default();
    (identifier, scope, effect, rule.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Digests;

    const FILE: Digests = Digests { sha256: Sha256([1; 32]), sha1: Sha1([2; 20]), md5: Md5([3; 16]) };
    const MACHINE: Scope = Scope::Machine(MachineId([9; 20]));

    fn rule(id: u64, effect: Effect, identifier: Identifier, scope: Scope) -> Rule {
        Rule { id: RuleId(id), effect, identifier, scope, until: None }
    }

    #[test]
    fn the_contract_decides_between_two_rules_for_one_file() {
        use Effect::*;
        let (long, middle, short) =
            (Identifier::Sha256(FILE.sha256), Identifier::Sha1(FILE.sha1), Identifier::Md5(FILE.md5));
        let all = Scope::Organization;
        let group = Scope::Group(GroupId(1));
        // (loser, winner): the first of the pair must lose in whatever order they are asked.
        let table = [
            ((Deny, middle, all), (Allow, long, all)),
            ((Deny, short, MACHINE), (Allow, middle, all)),
            ((Deny, long, all), (Allow, long, group)),
            ((Allow, long, group), (Deny, long, MACHINE)),
            ((Allow, middle, all), (Warn, middle, all)),
            ((Warn, middle, all), (Deny, middle, all)),
            ((Deny, middle, all), (DenyAndStop, middle, all)),
            ((Watch, middle, all), (Allow, middle, all)),
        ];
        for (loser, winner) in table {
            let (loser, winner) = (rule(2, loser.0, loser.1, loser.2), rule(1, winner.0, winner.1, winner.2));
            assert!(rank(&winner) > rank(&loser), "{winner:?} must win over {loser:?}");
        }
    }

    #[test]
    fn of_two_equal_rules_the_newer_wins() {
        let older = rule(1, Effect::Deny, Identifier::Sha1(FILE.sha1), Scope::Organization);
        assert!(rank(&Rule { id: RuleId(2), ..older }) > rank(&older));
    }

    #[test]
    fn a_rule_ends_at_its_until() {
        let mut rule = rule(1, Effect::Deny, Identifier::Sha1(FILE.sha1), Scope::Organization);
        rule.until = Some(Time::from_seconds(10));
        assert!(rule.holds_at(Time::from_seconds(9)));
        assert!(!rule.holds_at(Time::from_seconds(10)));
    }
}
