//! The operator key: whose signature counts here, and whether one is its.

use ed25519_dalek::{Signature, VerifyingKey};
use model::OrganizationId;
use model::hold::Approval;
use wire::link::holds::{key_change_bytes, signed_bytes};
use wire::link::v1;

/// The public half.
pub(crate) type Key = [u8; 32];

/// Whether the key has signed the approval.
pub(super) fn has_signed(key: &Key, approval: &Approval, signature: &[u8]) -> bool {
    is_signature(key, &signed_bytes(approval), signature)
}

/// The key that follows `pinned` by the changes that each key before has signed, if that is `offered`.
pub(super) fn follows(
    pinned: Key,
    offered: Key,
    changes: &[v1::OperatorKeyChange],
    organization: OrganizationId,
) -> bool {
    let mut key = pinned;
    for change in changes {
        let Ok(to) = Key::try_from(change.to.as_slice()) else { return false };
        let bytes = key_change_bytes(organization, &key, &to);
        if change.from == key && is_signature(&key, &bytes, &change.signature) {
            key = to;
        }
    }
    key == offered
}

/// Whether it is a key that can sign.
pub(super) fn is_key(key: &Key) -> bool {
    VerifyingKey::from_bytes(key).is_ok_and(|key| !key.is_weak())
}

/// The key's name, as people compare it.
pub(crate) fn fingerprint(key: &Key) -> String {
    use sha2::Digest;
    data_encoding::HEXLOWER.encode(&sha2::Sha256::digest(key)[..16])
}

fn is_signature(key: &Key, bytes: &[u8], signature: &[u8]) -> bool {
    let (Ok(key), Ok(signature)) = (VerifyingKey::from_bytes(key), Signature::from_slice(signature)) else {
        return false;
    };
    key.verify_strict(bytes, &signature).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::{Signer, SigningKey};
    use model::hold::Held;
    use model::{ActId, FileId, HoldId, MachineId, OrderId, Sha1, Time};

    fn key(byte: u8) -> SigningKey {
        SigningKey::from_bytes(&[byte; 32])
    }

    fn public(key: &SigningKey) -> Key {
        key.verifying_key().to_bytes()
    }

    #[test]
    fn only_the_key_that_is_pinned_approves_and_only_what_it_signed() {
        let approval = Approval {
            organization: OrganizationId::random(),
            machine: MachineId([1; 20]),
            hold: HoldId::random(),
            what: Held::Quarantine {
                act: ActId::random(),
                order: OrderId::random(),
                file: FileId::Sha1(Sha1([1; 20])),
            },
            until: Time::from_ticks(5),
            comment: "known".to_owned(),
        };
        let signature = key(1).sign(&signed_bytes(&approval)).to_bytes();
        assert!(has_signed(&public(&key(1)), &approval, &signature));
        assert!(!has_signed(&public(&key(2)), &approval, &signature));
        let other = Approval { machine: MachineId([2; 20]), ..approval.clone() };
        assert!(!has_signed(&public(&key(1)), &other, &signature));
        for length in [0, 63] {
            assert!(!has_signed(&public(&key(1)), &approval, &signature[..length]));
        }
        let mut forged = signature;
        forged[10] ^= 1;
        assert!(!has_signed(&public(&key(1)), &approval, &forged));
        // The point that "signs" everything with an all-zero signature.
        let mut weak = [0; 32];
        weak[0] = 1;
        assert!(!is_key(&weak) && !has_signed(&weak, &approval, &[0; 64]));
    }

    #[test]
    fn a_key_is_followed_by_those_it_signed_for_alone() {
        let organization = OrganizationId::random();
        let change = |from: u8, to: u8, by: u8| {
            let (old, new) = (public(&key(from)), public(&key(to)));
            let signature = key(by).sign(&key_change_bytes(organization, &old, &new)).to_bytes().to_vec();
            v1::OperatorKeyChange { from: old.to_vec(), to: new.to_vec(), signature }
        };
        let leads = |from: u8, to: u8, changes: &[v1::OperatorKeyChange]| {
            follows(public(&key(from)), public(&key(to)), changes, organization)
        };
        let chain = [change(1, 2, 1), change(2, 3, 2)];
        assert!(leads(1, 3, &chain) && leads(2, 3, &chain) && leads(3, 3, &chain));
        assert!(!leads(1, 4, &chain) && !leads(3, 1, &chain));
        assert!(!leads(1, 2, &[]) && !leads(1, 2, &[change(1, 2, 2)]), "signed by the new one");
        assert!(!leads(1, 3, &[change(2, 3, 2), change(1, 2, 1)]), "out of order");
        // A lost key can't sign: nobody goes over that by himself, and who did so at root's word goes on from there.
        let unsigned = v1::OperatorKeyChange { signature: Vec::new(), ..change(1, 2, 1) };
        let chain = [unsigned, change(2, 3, 2)];
        assert!(!leads(1, 2, &chain[..1]) && !leads(1, 3, &chain) && leads(2, 3, &chain));
        let elsewhere = v1::OperatorKeyChange { signature: Vec::new(), ..change(1, 2, 1) };
        assert!(!leads(1, 2, &[elsewhere]));
    }
}
