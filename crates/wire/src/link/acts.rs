//! Acts and their outcomes, in and out.

use model::act::{Act, CopyResult, CopyState, Do, Outcome, Terms};
use model::order::Failure;
use model::{ActId, MachineId, OrderId, Time, VaultId};
use uuid::Uuid;

use super::things::{bytes_of, fixed, path_of};
use super::{Malformed, v1};

fn guid(bytes: &[u8], what: &'static str) -> Result<Uuid, Malformed> {
    fixed(bytes, what).map(Uuid::from_bytes)
}

impl From<&Act> for v1::Act {
    fn from(act: &Act) -> Self {
        let what = match &act.what {
            Do::Quarantine(file) => v1::act::What::Quarantine((*file).into()),
            Do::Restore(order, _) => v1::act::What::Restore(order.0.as_bytes().to_vec()),
            Do::Collect(file) => v1::act::What::Collect((*file).into()),
        };
        let terms = match &act.what {
            Do::Restore(_, terms) => Some((*terms).into()),
            Do::Quarantine(_) | Do::Collect(_) => None,
        };
        Self {
            id: act.id.0.as_bytes().to_vec(),
            order: act.order.0.as_bytes().to_vec(),
            machine: act.machine.0.to_vec(),
            what: Some(what),
            after: Some(act.after.into()),
            deadline: act.deadline.ticks(),
            terms,
            // Not of the act: its sender says whether it was withdrawn.
            cancelled: false,
        }
    }
}

impl From<Terms> for v1::Terms {
    fn from(terms: Terms) -> Self {
        Self { beside: terms.beside, keep_privileges: terms.keep_privileges }
    }
}

impl From<v1::Terms> for Terms {
    fn from(terms: v1::Terms) -> Self {
        Self { beside: terms.beside, keep_privileges: terms.keep_privileges }
    }
}

impl TryFrom<&v1::Act> for Act {
    type Error = Malformed;

    fn try_from(act: &v1::Act) -> Result<Self, Malformed> {
        let what = match act.what.as_ref().ok_or(Malformed("what"))? {
            v1::act::What::Quarantine(file) => Do::Quarantine(file.try_into()?),
            v1::act::What::Restore(order) => {
                Do::Restore(OrderId(guid(order, "restore")?), act.terms.unwrap_or_default().into())
            }
            v1::act::What::Collect(file) => Do::Collect(file.try_into()?),
        };
        Ok(Self {
            id: ActId(guid(&act.id, "act")?),
            order: OrderId(guid(&act.order, "order")?),
            machine: MachineId(fixed(&act.machine, "machine")?),
            what,
            after: act.after.ok_or(Malformed("after"))?.into(),
            deadline: Time::from_ticks(act.deadline),
        })
    }
}

impl From<&CopyResult> for v1::CopyResult {
    fn from(copy: &CopyResult) -> Self {
        Self {
            path: bytes_of(&copy.path),
            state: copy.state.word().to_owned(),
            reason: copy.reason.clone(),
            vault: copy.vault.map(|id| id.0.as_bytes().to_vec()).unwrap_or_default(),
        }
    }
}

impl TryFrom<v1::CopyResult> for CopyResult {
    type Error = Malformed;

    fn try_from(copy: v1::CopyResult) -> Result<Self, Malformed> {
        let vault = if copy.vault.is_empty() { None } else { Some(VaultId(guid(&copy.vault, "vault")?)) };
        Ok(Self {
            path: path_of(copy.path),
            state: CopyState::from_word(&copy.state).ok_or(Malformed("copy state"))?,
            reason: copy.reason,
            vault,
        })
    }
}

impl From<&Outcome> for v1::Outcome {
    fn from(outcome: &Outcome) -> Self {
        Self {
            act: outcome.act.0.as_bytes().to_vec(),
            copies: outcome.copies.iter().map(Into::into).collect(),
            stopped: outcome.stopped,
            services: outcome.services.clone(),
            failure: outcome
                .failure
                .as_ref()
                .map(|failure| v1::Failure { code: failure.code, reason: failure.reason.clone() }),
        }
    }
}

impl TryFrom<v1::Outcome> for Outcome {
    type Error = Malformed;

    fn try_from(outcome: v1::Outcome) -> Result<Self, Malformed> {
        Ok(Self {
            act: ActId(guid(&outcome.act, "act")?),
            copies: outcome.copies.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            stopped: outcome.stopped,
            services: outcome.services,
            failure: outcome.failure.map(|failure| Failure { code: failure.code, reason: failure.reason }),
        })
    }
}

/// Reads an act's id.
///
/// # Errors
/// When it is not 16 bytes.
pub fn act_id(bytes: &[u8]) -> Result<ActId, Malformed> {
    guid(bytes, "act").map(ActId)
}

/// Reads a vault id.
///
/// # Errors
/// When it is not 16 bytes.
pub fn vault_id(bytes: &[u8]) -> Result<VaultId, Malformed> {
    guid(bytes, "vault id").map(VaultId)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::FileId;
    use model::log::Position;

    #[test]
    fn acts_and_outcomes_come_back_as_they_went() {
        let act = Act {
            id: ActId::random(),
            order: OrderId::random(),
            machine: MachineId([7; 20]),
            what: Do::Quarantine(FileId::Sha1(model::Sha1([1; 20]))),
            after: Position::default(),
            deadline: Time::from_seconds(4),
        };
        assert_eq!(Act::try_from(&v1::Act::from(&act)), Ok(act.clone()));
        let restores = [(false, false), (true, false), (false, true)].map(|(beside, keep_privileges)| {
            Do::Restore(OrderId::random(), Terms { beside, keep_privileges })
        });
        for what in restores.into_iter().chain([Do::Collect(FileId::Sha256(model::Sha256([2; 32])))]) {
            let act = Act { what, ..act.clone() };
            assert_eq!(Act::try_from(&v1::Act::from(&act)), Ok(act));
        }

        let outcome = Outcome {
            act: act.id,
            copies: vec![CopyResult {
                path: "/a".into(),
                state: CopyState::Failed,
                reason: Some("being written".to_owned()),
                vault: Some(VaultId::random()),
            }],
            stopped: 3,
            services: vec!["demo.service".to_owned()],
            failure: Some(Failure::because("no")),
        };
        assert_eq!(Outcome::try_from(v1::Outcome::from(&outcome)), Ok(outcome));
    }
}
