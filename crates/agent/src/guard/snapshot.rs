//! All that a verdict needs, as it stands at one moment. Never changed, only replaced.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use model::bypass::Bypass;
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
    /// Sorted.
    spared: Vec<SparedInode>,
    bypasses: Vec<Bypass>,
    /// In ticks.
    ahead: i64,
}

impl Snapshot {
    /// All but the rules' base, which goes as the file that it is.
    pub(super) fn encode(
        version: u64,
        rules: &RuleSet,
        spared: &[SparedInode],
        bypasses: &[Bypass],
        ahead: i64,
    ) -> Vec<u8> {
        frame::body(&v1::Snapshot {
            version,
            beside: Some(rules.beside()),
            spared: spared
                .iter()
                .map(|spared| v1::SparedInode {
                    device: spared.device,
                    inode: spared.inode,
                    sha256: spared.sha256.0.to_vec(),
                })
                .collect(),
            bypasses: bypasses.iter().map(Into::into).collect(),
            ahead,
        })
    }

    /// What was encoded, with the base that came with it. The base of the snapshot `before` is known.
    ///
    /// # Errors
    /// When anything in it is malformed: a rule left out would be a file that runs.
    pub(super) fn decode(bytes: &[u8], base: Option<OwnedFd>, before: &Self) -> io::Result<Self> {
        let malformed = |error: &str| io::Error::new(io::ErrorKind::InvalidData, error.to_owned());
        let message: v1::Snapshot = frame::decode(bytes)?;
        let mut spared = Vec::with_capacity(message.spared.len());
        for inode in message.spared {
            let sha256 =
                Sha256::try_from(inode.sha256.as_slice()).map_err(|error| malformed(&error.to_string()))?;
            spared.push(SparedInode { device: inode.device, inode: inode.inode, sha256 });
        }
        spared.sort_unstable();
        let beside = message.beside.ok_or_else(|| malformed("no rules are named"))?;
        let rules = RuleSet::received(base, beside, &before.rules)?;
        let bypasses = message.bypasses.iter().map(Bypass::try_from).collect::<Result<_, _>>();
        let bypasses = bypasses.map_err(|error| malformed(&error.to_string()))?;
        Ok(Self { version: message.version, rules, spared, bypasses, ahead: message.ahead })
    }

    /// What the clock by which rules end says when the machine's own says `own`.
    pub(super) fn time(&self, own: Time) -> Time {
        Time::from_ticks(own.ticks().saturating_add(self.ahead))
    }

    /// Whether rules end by the same clock.
    pub(super) fn has_clock_of(&self, other: &Self) -> bool {
        self.ahead == other.ahead
    }

    /// The file that the rules' base lies in; none for an empty one.
    pub(super) fn base(&self) -> Option<BorrowedFd<'_>> {
        self.rules.base().file()
    }

    /// Which digests besides SHA-256 a file must be known by to be judged.
    pub(super) fn kinds(&self) -> Kinds {
        self.rules.kinds()
    }

    /// Whether a user went past the warning of a file.
    pub(super) fn is_bypassed(&self, user: u32, sha256: &Sha256, now: Time) -> bool {
        self.bypasses.iter().any(|bypass| bypass.covers(user, sha256, now))
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

    use model::rule::{Effect, Identifier, Rule, Scope};
    use model::verdict::Because;
    use model::{Digests, RuleId};
    use sys::identity::Identity;

    use super::*;
    use crate::ruleset::Gathering;

    const FILE: Digests =
        Digests { sha256: Sha256([1; 32]), sha1: model::Sha1([2; 20]), md5: model::Md5([3; 16]) };

    fn deny(id: u64) -> Rule {
        Rule {
            id: RuleId(id),
            effect: Effect::Deny,
            identifier: Identifier::Sha1(FILE.sha1),
            scope: Scope::Organization,
            until: None,
        }
    }

    #[test]
    fn a_copy_is_spared_by_inode_and_content() {
        let file = tempfile::tempfile().unwrap();
        let stat = Identity::of(file.as_fd()).unwrap();
        let rules = RuleSet::new([deny(5)]).unwrap();
        let spared = [
            SparedInode { device: stat.device, inode: stat.inode, sha256: FILE.sha256 },
            SparedInode { device: 0, inode: 0, sha256: FILE.sha256 },
        ];
        let bytes = Snapshot::encode(9, &rules, &spared, &[], 0);
        let snapshot = Snapshot::decode(&bytes, None, &Snapshot::default()).unwrap();
        assert_eq!(snapshot.version, 9);
        let because =
            |digests: Digests, stat: &Stat| snapshot.judge(&digests.into(), stat, Time::default()).because;
        assert_eq!(because(FILE, &stat), Because::Spared(RuleId(5)));
        let copy = Stat { inode: stat.inode + 1, ..stat };
        assert_eq!(because(FILE, &copy), Because::Rule(RuleId(5), Effect::Deny));
        let trojaned = Digests { sha256: Sha256([9; 32]), ..FILE };
        assert_eq!(because(trojaned, &stat), Because::Rule(RuleId(5), Effect::Deny));
        assert_eq!(snapshot.kinds(), Kinds { sha1: true, md5: false });
    }

    #[test]
    fn a_base_comes_with_what_is_beside_it() {
        let file = tempfile::tempfile().unwrap();
        let stat = Identity::of(file.as_fd()).unwrap();
        let mut gathering = Gathering::default();
        gathering.add(vec![deny(5)]).unwrap();
        let rules = gathering.finish().unwrap();
        let base = || rules.base().file().map(|file| file.try_clone_to_owned().unwrap());
        let because = |snapshot: &Snapshot| snapshot.judge(&FILE.into(), &stat, Time::default()).because;
        let first = Snapshot::decode(&Snapshot::encode(1, &rules, &[], &[], 0), base(), &Snapshot::default())
            .unwrap();
        assert_eq!(because(&first), Because::Rule(RuleId(5), Effect::Deny));
        let lifted = rules.changed([model::log::Change::End(RuleId(5))]).unwrap();
        let second = Snapshot::decode(&Snapshot::encode(2, &lifted, &[], &[], 0), base(), &first).unwrap();
        assert_eq!(because(&second), Because::NoRule);
        let bytes = Snapshot::encode(3, &lifted, &[], &[], 0);
        assert!(Snapshot::decode(&bytes, None, &second).is_err(), "never without its base");
    }

    #[test]
    fn a_rule_ends_by_the_clock_that_it_was_made_by() {
        let file = tempfile::tempfile().unwrap();
        let stat = Identity::of(file.as_fd()).unwrap();
        let until = Some(Time::from_seconds(100));
        let rules = RuleSet::new([Rule { until, ..deny(5) }]).unwrap();
        let permits = |ahead: i64, own: i64| {
            let bytes = Snapshot::encode(1, &rules, &[], &[], ahead * 10_000_000);
            let snapshot = Snapshot::decode(&bytes, None, &Snapshot::default()).unwrap();
            snapshot.judge(&FILE.into(), &stat, snapshot.time(Time::from_seconds(own))).permits
        };
        assert_eq!((permits(0, 99), permits(0, 100)), (false, true));
        assert_eq!((permits(-50, 149), permits(-50, 150)), (false, true), "ours is fast");
        assert_eq!((permits(50, 49), permits(50, 50)), (false, true), "ours is slow");
    }

    #[test]
    fn half_a_snapshot_is_none() {
        let rules = RuleSet::default();
        let spared = [SparedInode { device: 1, inode: 2, sha256: Sha256([1; 32]) }];
        let bytes = Snapshot::encode(1, &rules, &spared, &[], 0);
        let decode = |bytes: &[u8]| Snapshot::decode(bytes, None, &Snapshot::default());
        assert!(decode(&bytes).is_ok());
        assert!(decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(decode(&[]).is_err());
        let short = v1::Snapshot {
            spared: vec![v1::SparedInode { device: 1, inode: 2, sha256: vec![1; 31] }],
            beside: Some(rules.beside()),
            ..Default::default()
        };
        assert!(decode(&frame::body(&short)).is_err());
    }
}
