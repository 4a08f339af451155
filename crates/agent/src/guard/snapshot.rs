//! All that a verdict needs, as it stands at one moment. Never changed, only replaced.

use std::io;

use model::rule::Rule;
use model::verdict::{Verdict, judge};
use model::{Kinds, Names, Sha256, Time};
use sys::identity::Stat;
use wire::link::{frame, v1};

use super::SparedInode;
use crate::ruleset::RuleSet;

#[derive(Debug, Default)]
pub(super) struct Snapshot {
    /// The agent's own number for it, given back when it is in force.
    pub(super) version: u64,
    rules: RuleSet,
    /// What the rules ask for.
    kinds: Kinds,
    /// Sorted.
    spared: Vec<SparedInode>,
}

impl Snapshot {
    pub(super) fn encode(version: u64, rules: &RuleSet, spared: &[SparedInode]) -> Vec<u8> {
        frame::body(&v1::Snapshot {
            version,
            rules: rules.rules().map(v1::Rule::from).collect(),
            spared: spared
                .iter()
                .map(|spared| v1::SparedInode {
                    device: spared.device,
                    inode: spared.inode,
                    sha256: spared.sha256.0.to_vec(),
                })
                .collect(),
        })
    }

    /// # Errors
    /// When anything in it is malformed: a rule left out would be a file that runs.
    pub(super) fn decode(bytes: &[u8]) -> io::Result<Self> {
        let malformed = |error| io::Error::new(io::ErrorKind::InvalidData, error);
        let message: v1::Snapshot = frame::decode(bytes)?;
        let rules: Vec<_> =
            message.rules.iter().map(Rule::try_from).collect::<Result<_, _>>().map_err(malformed)?;
        let mut spared = Vec::with_capacity(message.spared.len());
        for inode in message.spared {
            let sha256 = Sha256::try_from(inode.sha256.as_slice())
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            spared.push(SparedInode { device: inode.device, inode: inode.inode, sha256 });
        }
        spared.sort_unstable();
        let rules = RuleSet::new(rules);
        Ok(Self { version: message.version, kinds: rules.kinds(), rules, spared })
    }

    /// Which digests besides SHA-256 a file must be known by to be judged.
    pub(super) fn kinds(&self) -> Kinds {
        self.kinds
    }

    /// What it is made of.
    pub(super) fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// Copies that are never denied.
    pub(super) fn spared(&self) -> &[SparedInode] {
        &self.spared
    }

    /// Whether a copy may run now. Neither allocates nor waits. The names must have [`Self::kinds`].
    pub(super) fn judge(&self, names: &Names, copy: &Stat, now: Time) -> Verdict {
        judge(self.rules.matching(names), now, || {
            let copy = SparedInode { device: copy.device, inode: copy.inode, sha256: names.sha256 };
            self.spared.binary_search(&copy).is_ok()
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use model::rule::{Effect, Identifier, Scope};
    use model::verdict::Because;
    use model::{Digests, RuleId};
    use sys::identity::Identity;

    use super::*;

    #[test]
    fn a_copy_is_spared_by_inode_and_content() {
        let file = tempfile::tempfile().unwrap();
        let stat = Identity::of(file.as_fd()).unwrap();
        let digests =
            Digests { sha256: Sha256([1; 32]), sha1: model::Sha1([2; 20]), md5: model::Md5([3; 16]) };
        let rules = RuleSet::new([Rule {
            id: RuleId(5),
            effect: Effect::Deny,
            identifier: Identifier::Sha1(digests.sha1),
            scope: Scope::Organization,
            until: None,
        }]);
        let spared = [
            SparedInode { device: stat.device, inode: stat.inode, sha256: digests.sha256 },
            SparedInode { device: 0, inode: 0, sha256: digests.sha256 },
        ];
        let snapshot = Snapshot::decode(&Snapshot::encode(9, &rules, &spared)).unwrap();
        assert_eq!(snapshot.version, 9);
        let because =
            |digests: &Digests, stat: &Stat| snapshot.judge(&digests.into(), stat, Time::default()).because;
        assert_eq!(because(&digests, &stat), Because::Spared(RuleId(5)));
        let copy = Stat { inode: stat.inode + 1, ..stat };
        assert_eq!(because(&digests, &copy), Because::Rule(RuleId(5), Effect::Deny));
        let trojaned = Digests { sha256: Sha256([9; 32]), ..digests };
        assert_eq!(because(&trojaned, &stat), Because::Rule(RuleId(5), Effect::Deny));
    }

    #[test]
    fn half_a_snapshot_is_none() {
        let rules = RuleSet::default();
        let spared = [SparedInode { device: 1, inode: 2, sha256: Sha256([1; 32]) }];
        let bytes = Snapshot::encode(1, &rules, &spared);
        assert!(Snapshot::decode(&bytes).is_ok());
        assert!(Snapshot::decode(&bytes[..bytes.len() - 1]).is_err());
        let short = v1::Snapshot {
            spared: vec![v1::SparedInode { device: 1, inode: 2, sha256: vec![1; 31] }],
            ..Default::default()
        };
        assert!(Snapshot::decode(&frame::body(&short)).is_err());
    }
}
