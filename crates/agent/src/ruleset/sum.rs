//! What tells sets of rules apart, and follows their changes.

use model::rule::Rule;
use sha2::{Digest, Sha256};
use wire::link::{frame, v1};

/// A sum over the rules of a set: of the SHA-256 of each as it looks on the link, as numbers modulo 2^256.
///
/// Equal for equal sets, whatever the order in which they came about, and a change costs as much as the change is
/// large. It tells by accident different sets apart. Who may choose rules at will could find two sets of one sum;
/// what binds a set to its log is the chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sum([u64; 4]);

impl Sum {
    pub(super) fn add(&mut self, rule: &Rule) {
        let mut carry = false;
        for (limb, other) in self.0.iter_mut().zip(limbs(rule)) {
            let (sum, first) = limb.overflowing_add(other);
            let (sum, second) = sum.overflowing_add(u64::from(carry));
            (*limb, carry) = (sum, first || second);
        }
    }

    pub(super) fn take(&mut self, rule: &Rule) {
        let mut borrow = false;
        for (limb, other) in self.0.iter_mut().zip(limbs(rule)) {
            let (rest, first) = limb.overflowing_sub(other);
            let (rest, second) = rest.overflowing_sub(u64::from(borrow));
            (*limb, borrow) = (rest, first || second);
        }
    }

    /// The sum, its lowest byte first.
    pub(super) fn bytes(&self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (slot, limb) in bytes.chunks_exact_mut(8).zip(self.0) {
            slot.copy_from_slice(&limb.to_le_bytes());
        }
        bytes
    }
}

fn limbs(rule: &Rule) -> [u64; 4] {
    let hash: [u8; 32] = Sha256::digest(frame::body(&v1::Rule::from(rule))).into();
    let mut limbs = [0; 4];
    for (limb, bytes) in limbs.iter_mut().zip(hash.chunks_exact(8)) {
        *limb = super::layout::little(bytes);
    }
    limbs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_carries_and_borrows_through() {
        let rule = Rule {
            id: model::RuleId(1),
            effect: model::rule::Effect::Deny,
            identifier: model::rule::Identifier::Md5(model::Md5([1; 16])),
            scope: model::rule::Scope::Organization,
            until: None,
        };
        let full = Sum([u64::MAX; 4]);
        let mut sum = full;
        sum.add(&rule);
        assert_ne!(sum, full);
        let mut one = Sum::default();
        one.add(&rule);
        // 2^256 - 1 + n is n - 1.
        assert_eq!(sum.0[0], one.0[0] - 1);
        assert_eq!(sum.0[1..], one.0[1..]);
        sum.take(&rule);
        assert_eq!(sum, full);
    }
}
