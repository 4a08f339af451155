//! Users' ways past warnings: what holds, and what the server does not know yet.

use model::bypass::Bypass;
use model::{RuleId, Time, VaultId};
use wire::link::v1;

/// What holds for one user at a time; the oldest ends when there are more.
const MOST: usize = 256;

/// A bypass, with what is told of it.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    told: v1::Bypass,
    bypass: Bypass,
    stored: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Bypasses(Vec<Noted>);

/// The record of a new one.
pub(super) fn shape(bypass: &Bypass, rule: RuleId, comment: &str) -> v1::Bypass {
    // A name of its own, by which the server says that it has it.
    let id = VaultId::random().0.as_bytes().to_vec();
    v1::Bypass { id, rule: rule.0, comment: comment.to_owned(), ..bypass.into() }
}

impl Bypasses {
    /// # Errors
    /// When the record is malformed.
    pub(super) fn note(&mut self, told: v1::Bypass) -> anyhow::Result<()> {
        let bypass = Bypass::try_from(&told)?;
        let own = |noted: &&Noted| noted.bypass.user == bypass.user;
        if self.0.iter().filter(own).count() >= MOST
            && let Some(oldest) = self.0.iter().position(|noted| noted.bypass.user == bypass.user)
        {
            self.0.remove(oldest);
        }
        self.0.push(Noted { told, bypass, stored: false });
        Ok(())
    }

    pub(super) fn note_stored(&mut self, id: &[u8]) {
        self.0.iter_mut().filter(|noted| noted.told.id == id).for_each(|noted| noted.stored = true);
    }

    /// Forgets those that are over, once the server knows of them.
    pub(super) fn forget(&mut self, now: Time) {
        self.0.retain(|noted| !noted.stored || now < noted.bypass.until);
    }

    pub(super) fn all(&self) -> Vec<Bypass> {
        self.0.iter().map(|noted| noted.bypass).collect()
    }

    pub(super) fn unsent(&self) -> Vec<v1::Bypass> {
        self.0.iter().filter(|noted| !noted.stored).map(|noted| noted.told.clone()).collect()
    }

    /// Each, and whether the server knows of it.
    pub(super) fn records(&self) -> impl Iterator<Item = (v1::Bypass, bool)> {
        self.0.iter().map(|noted| (noted.told.clone(), noted.stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Sha256;

    fn bypass(user: u32, byte: u8) -> v1::Bypass {
        let until = Time::from_seconds(100);
        shape(&Bypass { user, sha256: Sha256([byte; 32]), until }, RuleId(1), "needed")
    }

    #[test]
    fn it_is_forgotten_when_it_is_over_and_told() {
        let mut bypasses = Bypasses::default();
        let (one, two) = (bypass(1, 1), bypass(1, 2));
        bypasses.note(one.clone()).unwrap();
        bypasses.note(two.clone()).unwrap();
        bypasses.note_stored(&one.id);
        assert_eq!(bypasses.unsent(), [two]);
        bypasses.forget(Time::from_seconds(99));
        assert_eq!(bypasses.all().len(), 2);
        bypasses.forget(Time::from_seconds(100));
        assert_eq!(bypasses.all().len(), 1, "the server does not know of the other yet");
    }

    #[test]
    fn one_user_does_not_fill_the_ledger() {
        let mut bypasses = Bypasses::default();
        bypasses.note(bypass(7, 0)).unwrap();
        for n in 0..=MOST {
            bypasses.note(bypass(1, u8::try_from(n % 256).unwrap())).unwrap();
        }
        let users: Vec<_> = bypasses.all().iter().map(|bypass| bypass.user).collect();
        assert_eq!((users[0], users.len()), (7, MOST + 1));
    }
}
