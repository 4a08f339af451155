//! Rules and log entries, in and out.

use model::log::{Change, Entry, Position};
use model::rule::{Effect, Identifier, Rule, Scope};
use model::{Epoch, Generation, GroupId, MachineId, Md5, RuleId, Sha1, Sha256, Time};

use super::things::fixed;
use super::{Malformed, v1};

impl From<&Rule> for v1::Rule {
    fn from(rule: &Rule) -> Self {
        use v1::rule::{Identifier as Id, Scope as In};
        let identifier = match rule.identifier {
            Identifier::Sha256(sha256) => Id::Sha256(sha256.0.to_vec()),
            Identifier::Sha1(sha1) => Id::Sha1(sha1.0.to_vec()),
            Identifier::Md5(md5) => Id::Md5(md5.0.to_vec()),
            Identifier::Signer(thumbprint) => Id::Signer(thumbprint.0.to_vec()),
        };
        let scope = match rule.scope {
            Scope::Organization => None,
            Scope::Group(group) => Some(In::Group(group.0)),
            Scope::Machine(machine) => Some(In::Machine(machine.0.to_vec())),
        };
        Self {
            id: rule.id.0,
            effect: rule.effect.word().to_owned(),
            identifier: Some(identifier),
            scope,
            until: rule.until.map(Time::ticks),
        }
    }
}

impl TryFrom<&v1::Rule> for Rule {
    type Error = Malformed;

    fn try_from(rule: &v1::Rule) -> Result<Self, Malformed> {
        use v1::rule::{Identifier as Id, Scope as In};
        let identifier = match rule.identifier.as_ref().ok_or(Malformed("identifier"))? {
            Id::Sha256(sha256) => Identifier::Sha256(Sha256(fixed(sha256, "sha256")?)),
            Id::Sha1(sha1) => Identifier::Sha1(Sha1(fixed(sha1, "sha1")?)),
            Id::Md5(md5) => Identifier::Md5(Md5(fixed(md5, "md5")?)),
            Id::Signer(thumbprint) => Identifier::Signer(Sha1(fixed(thumbprint, "signer")?)),
        };
        let scope = match &rule.scope {
            None => Scope::Organization,
            Some(In::Group(group)) => Scope::Group(GroupId(*group)),
            Some(In::Machine(machine)) => Scope::Machine(MachineId(fixed(machine, "machine")?)),
        };
        Ok(Self {
            id: RuleId(rule.id),
            effect: Effect::from_word(&rule.effect).ok_or(Malformed("effect"))?,
            identifier,
            scope,
            until: rule.until.map(Time::from_ticks),
        })
    }
}

impl From<&Entry> for v1::Entry {
    fn from(entry: &Entry) -> Self {
        let change = match &entry.change {
            Change::Begin(rule) => v1::entry::Change::Begin(rule.into()),
            Change::End(rule) => v1::entry::Change::End(rule.0),
        };
        Self { generation: entry.generation.0, change: Some(change), chain: entry.chain.to_vec() }
    }
}

impl TryFrom<&v1::Entry> for Entry {
    type Error = Malformed;

    fn try_from(entry: &v1::Entry) -> Result<Self, Malformed> {
        let change = match entry.change.as_ref().ok_or(Malformed("change"))? {
            v1::entry::Change::Begin(rule) => Change::Begin(rule.try_into()?),
            v1::entry::Change::End(rule) => Change::End(RuleId(*rule)),
        };
        Ok(Self { generation: Generation(entry.generation), change, chain: fixed(&entry.chain, "chain")? })
    }
}

impl From<Position> for v1::Position {
    fn from(position: Position) -> Self {
        Self { epoch: position.epoch.0, generation: position.generation.0 }
    }
}

impl From<v1::Position> for Position {
    fn from(position: v1::Position) -> Self {
        Self { epoch: Epoch(position.epoch), generation: Generation(position.generation) }
    }
}

/// The bytes that a log's chain is made over: the entry without its chain value.
pub fn chained_bytes(generation: Generation, change: &Change) -> Vec<u8> {
    let entry = Entry { generation, change: *change, chain: [0; 32] };
    prost::Message::encode_to_vec(&v1::Entry { chain: Vec::new(), ..(&entry).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_comes_back_as_it_went() {
        let identifiers = [
            Identifier::Sha256(Sha256([1; 32])),
            Identifier::Sha1(Sha1([2; 20])),
            Identifier::Md5(Md5([3; 16])),
            Identifier::Signer(Sha1([4; 20])),
        ];
        let scopes = [Scope::Organization, Scope::Group(GroupId(0)), Scope::Machine(MachineId([5; 20]))];
        for effect in Effect::ALL {
            for identifier in identifiers {
                for scope in scopes {
                    for until in [None, Some(Time::from_ticks(-7))] {
                        let rule = Rule { id: RuleId(0), effect, identifier, scope, until };
                        assert_eq!(Rule::try_from(&v1::Rule::from(&rule)), Ok(rule));
                    }
                }
            }
        }
    }
}
