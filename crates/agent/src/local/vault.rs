//! The vault's part of what root may ask: how it travels, and how it is answered.

use model::act::Terms;
use model::{FileId, VaultId};
use wire::link::v1::{self, kept, vault_restore};
use wire::link::{Malformed, acts, things};

use super::{Back, Reply, VaultState};
use crate::vault::{End, Fate, Kept, Refusal, Returned, Vault, Which};

/// One copy with all that it carries.
pub(super) fn show(vault: &Vault, id: VaultId) -> Reply {
    match vault.all().into_iter().find(|kept| kept.resting.id == id) {
        Some(kept) => Reply::Kept(vec![kept]),
        None => Reply::Refused(Refusal::NotResting { id }.to_string()),
    }
}

/// Brings copies back. The denies of them are lifted by then.
pub(super) fn restore(vault: &Vault, which: Which, terms: Terms) -> Vec<Back> {
    let back = |id, path, outcome: Result<Returned, Refusal>| Back {
        id,
        path,
        outcome: outcome.map_err(|refusal| refusal.to_string()),
    };
    let chosen = vault.chosen(which);
    chosen
        .into_iter()
        .map(|resting| back(resting.id, resting.path, vault.restore(resting.id, terms, &mut |_| {})))
        .collect()
}

/// Why none of the copies that are meant rests.
pub(super) fn none(vault: &Vault, which: Which) -> Reply {
    let list = "`quell agent vault list --all` shows what it has and had";
    Reply::Refused(match which {
        Which::Copy(id) => match vault.resting(id) {
            Err(refusal) => refusal.to_string(),
            Ok(_) => "it came to rest just now; ask again".to_owned(),
        },
        Which::Order(order) => format!("the vault holds no copy of order {order}; {list}"),
        Which::File(file) => format!("the vault holds no copy of {file}; {list}"),
        Which::All => format!("the vault holds nothing; {list}"),
    })
}

pub(super) fn remove(vault: &Vault, id: VaultId, why: &str) -> Reply {
    match vault.remove(id, why, &mut |_| {}) {
        Ok(()) => Reply::Removed,
        Err(refusal) => Reply::Refused(refusal.to_string()),
    }
}

pub(super) fn state(vault: &Vault) -> VaultState {
    let mut state = VaultState::default();
    for kept in vault.all() {
        match kept.fate {
            Fate::Restored(_) => {}
            Fate::Removed(_) => state.removed += 1,
            Fate::Rests(_) | Fate::Between => {
                state.copies += 1;
                // Names of one inode share its bytes.
                state.bytes += if kept.resting.link_of.is_none() { kept.resting.size } else { 0 };
            }
        }
        if let Fate::Rests(Some(end)) = kept.fate {
            state.to_be_removed += 1;
            let ends = end.at.ticks();
            state.next_removal = Some(state.next_removal.map_or(ends, |next| next.min(ends)));
        }
    }
    state
}

pub(super) fn ask_restore(which: Which, terms: Terms) -> v1::VaultRestore {
    let which = match which {
        Which::Copy(id) => Some(vault_restore::Which::Copy(id.0.as_bytes().to_vec())),
        Which::Order(order) => Some(vault_restore::Which::Order(order.0.as_bytes().to_vec())),
        Which::File(file) => Some(vault_restore::Which::File(file.into())),
        Which::All => None,
    };
    v1::VaultRestore { which, terms: Some(terms.into()) }
}

pub(super) fn understand_restore(asked: v1::VaultRestore) -> Option<(Which, Terms)> {
    let which = match asked.which {
        None => Which::All,
        Some(vault_restore::Which::Copy(id)) => Which::Copy(acts::vault_id(&id).ok()?),
        Some(vault_restore::Which::Order(order)) => Which::Order(order.as_slice().try_into().ok()?),
        Some(vault_restore::Which::File(file)) => Which::File(FileId::try_from(&file).ok()?),
    };
    Some((which, asked.terms.unwrap_or_default().into()))
}

impl From<&Kept> for v1::Kept {
    fn from(kept: &Kept) -> Self {
        let (fate, end) = match kept.fate.clone() {
            Fate::Rests(end) => (Some(kept::Fate::Rests(true)), end),
            Fate::Between => (None, None),
            Fate::Restored(returned) => (Some(kept::Fate::Restored(returned.into())), None),
            Fate::Removed(end) => (Some(kept::Fate::Removed(true)), Some(end)),
        };
        let ends = end.as_ref().map(|end| end.at.ticks());
        let why = end.map(|end| end.why).unwrap_or_default();
        Self { resting: Some((&kept.resting).into()), fate, ends, why }
    }
}

impl TryFrom<v1::Kept> for Kept {
    type Error = Malformed;

    fn try_from(kept: v1::Kept) -> Result<Self, Malformed> {
        let why = kept.why;
        let end = kept.ends.map(|at| End { at: model::Time::from_ticks(at), why });
        let fate = match kept.fate {
            None => Fate::Between,
            Some(kept::Fate::Rests(_)) => Fate::Rests(end),
            Some(kept::Fate::Restored(returned)) => Fate::Restored(returned.into()),
            Some(kept::Fate::Removed(_)) => Fate::Removed(end.ok_or(Malformed("ends"))?),
        };
        let resting = kept.resting.as_ref().ok_or(Malformed("resting"))?.try_into()?;
        Ok(Self { resting, fate })
    }
}

impl From<Returned> for v1::Returned {
    fn from(returned: Returned) -> Self {
        let Returned { path, beside, dropped } = returned;
        Self { path: things::bytes_of(&path), beside, dropped }
    }
}

impl From<v1::Returned> for Returned {
    fn from(returned: v1::Returned) -> Self {
        let v1::Returned { path, beside, dropped } = returned;
        Self { path: things::path_of(path), beside, dropped }
    }
}

impl From<Back> for v1::Back {
    fn from(back: Back) -> Self {
        let outcome = match back.outcome {
            Ok(returned) => v1::back::Outcome::Returned(returned.into()),
            Err(refusal) => v1::back::Outcome::Refused(refusal),
        };
        let id = back.id.0.as_bytes().to_vec();
        Self { id, path: things::bytes_of(&back.path), outcome: Some(outcome) }
    }
}

impl TryFrom<v1::Back> for Back {
    type Error = Malformed;

    fn try_from(back: v1::Back) -> Result<Self, Malformed> {
        let outcome = match back.outcome.ok_or(Malformed("outcome"))? {
            v1::back::Outcome::Returned(returned) => Ok(returned.into()),
            v1::back::Outcome::Refused(refusal) => Err(refusal),
        };
        Ok(Self { id: acts::vault_id(&back.id)?, path: things::path_of(back.path), outcome })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::some_resting;

    #[test]
    fn what_is_told_of_copies_comes_back_as_it_went() {
        let end = End { at: model::Time::from_ticks(5), why: "old".to_owned() };
        let returned =
            Returned { path: "/a".into(), beside: true, dropped: vec!["its set-user-ID bit".to_owned()] };
        for fate in [
            Fate::Rests(None),
            Fate::Rests(Some(end.clone())),
            Fate::Between,
            Fate::Restored(returned.clone()),
            Fate::Removed(end),
        ] {
            let kept = Kept { resting: some_resting(VaultId::random()), fate };
            assert_eq!(Kept::try_from(v1::Kept::from(&kept)), Ok(kept));
        }
        for outcome in [Ok(returned), Err("no".to_owned())] {
            let back = Back { id: VaultId::random(), path: "/b".into(), outcome };
            assert_eq!(Back::try_from(v1::Back::from(back.clone())), Ok(back));
        }
        let terms = Terms { beside: true, keep_privileges: false };
        for which in [
            Which::All,
            Which::Copy(VaultId::random()),
            Which::Order(model::OrderId::random()),
            Which::File(FileId::Sha1(model::Sha1([1; 20]))),
        ] {
            assert_eq!(understand_restore(ask_restore(which, terms)), Some((which, terms)));
        }
    }
}
