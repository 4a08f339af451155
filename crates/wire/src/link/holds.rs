//! What the brake holds and what lets it go on, in and out; and the bytes that the operator key signs.

use model::hold::{Approval, Crowd, Held, Hold, KeyChange};
use model::rule::{Identifier, Rule, Scope};
use model::{ActId, FileId, HoldId, MachineId, OrderId, OrganizationId, Sha256, Time};
use uuid::Uuid;

use super::things::{bytes_of, fixed, path_of};
use super::{Malformed, v1};

/// No reason for an approval is longer, in bytes.
pub const LONGEST_COMMENT: usize = 1000;
/// What stands before the bytes of an approval, so that its signature is one of nothing else.
const APPROVAL: &[u8] = b"quell approval 1\0";
/// The same for a change of the key.
const KEY_CHANGE: &[u8] = b"quell operator key 1\0";

/// Reads a hold's id.
///
/// # Errors
/// When it is not 16 bytes.
pub fn hold_id(bytes: &[u8]) -> Result<HoldId, Malformed> {
    guid(bytes, "hold").map(HoldId)
}

fn guid(bytes: &[u8], what: &'static str) -> Result<Uuid, Malformed> {
    fixed(bytes, what).map(Uuid::from_bytes)
}

impl From<&Hold> for v1::Hold {
    fn from(hold: &Hold) -> Self {
        Self {
            id: hold.id.0.as_bytes().to_vec(),
            what: Some((&hold.what).into()),
            since: hold.since.ticks(),
            crowds: hold.crowds.iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<&v1::Hold> for Hold {
    type Error = Malformed;

    fn try_from(hold: &v1::Hold) -> Result<Self, Malformed> {
        Ok(Self {
            id: hold_id(&hold.id)?,
            what: hold.what.as_ref().ok_or(Malformed("what"))?.try_into()?,
            since: Time::from_ticks(hold.since),
            crowds: hold.crowds.iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl From<&Held> for v1::hold::What {
    fn from(held: &Held) -> Self {
        match held {
            Held::Denial(rule) => Self::Denial(rule.into()),
            Held::Quarantine { act, order, file } => Self::Quarantine(v1::HeldQuarantine {
                act: act.0.as_bytes().to_vec(),
                order: order.0.as_bytes().to_vec(),
                file: Some((*file).into()),
            }),
        }
    }
}

impl TryFrom<&v1::hold::What> for Held {
    type Error = Malformed;

    fn try_from(what: &v1::hold::What) -> Result<Self, Malformed> {
        Ok(match what {
            v1::hold::What::Denial(rule) => Self::Denial(rule.try_into()?),
            v1::hold::What::Quarantine(held) => Self::Quarantine {
                act: ActId(guid(&held.act, "act")?),
                order: OrderId(guid(&held.order, "order")?),
                file: held.file.as_ref().ok_or(Malformed("file"))?.try_into()?,
            },
        })
    }
}

impl From<&Crowd> for v1::Crowd {
    fn from(crowd: &Crowd) -> Self {
        Self {
            sha256: crowd.sha256.0.to_vec(),
            path: bytes_of(&crowd.path),
            processes: crowd.processes,
            users: crowd.users,
            seconds: crowd.seconds,
        }
    }
}

impl TryFrom<&v1::Crowd> for Crowd {
    type Error = Malformed;

    fn try_from(crowd: &v1::Crowd) -> Result<Self, Malformed> {
        Ok(Self {
            sha256: Sha256(fixed(&crowd.sha256, "sha256")?),
            path: path_of(crowd.path.clone()),
            processes: crowd.processes,
            users: crowd.users,
            seconds: crowd.seconds,
        })
    }
}

/// Without a signature.
impl From<&Approval> for v1::SignedApproval {
    fn from(approval: &Approval) -> Self {
        let hold = v1::Hold {
            id: approval.hold.0.as_bytes().to_vec(),
            what: Some((&approval.what).into()),
            ..Default::default()
        };
        Self {
            organization: approval.organization.0.as_bytes().to_vec(),
            machine: approval.machine.0.to_vec(),
            hold: Some(hold),
            until: approval.until.ticks(),
            comment: approval.comment.clone(),
            signature: Vec::new(),
        }
    }
}

/// Whatever its signature.
impl TryFrom<&v1::SignedApproval> for Approval {
    type Error = Malformed;

    fn try_from(signed: &v1::SignedApproval) -> Result<Self, Malformed> {
        let hold = Hold::try_from(signed.hold.as_ref().ok_or(Malformed("hold"))?)?;
        if signed.comment.len() > LONGEST_COMMENT {
            return Err(Malformed("comment"));
        }
        Ok(Self {
            organization: OrganizationId(guid(&signed.organization, "organization")?),
            machine: MachineId(fixed(&signed.machine, "machine")?),
            hold: hold.id,
            what: hold.what,
            until: Time::from_ticks(signed.until),
            comment: signed.comment.clone(),
        })
    }
}

impl From<&KeyChange> for v1::OperatorKeyChange {
    fn from(change: &KeyChange) -> Self {
        Self { from: change.from.to_vec(), to: change.to.to_vec(), signature: change.signature.clone() }
    }
}

/// Whatever its signature.
impl TryFrom<&v1::OperatorKeyChange> for KeyChange {
    type Error = Malformed;

    fn try_from(change: &v1::OperatorKeyChange) -> Result<Self, Malformed> {
        Ok(Self {
            from: fixed(&change.from, "key")?,
            to: fixed(&change.to, "key")?,
            signature: change.signature.clone(),
        })
    }
}

/// A change of the operator key as a text that can be pasted.
pub fn key_change_text(change: &KeyChange) -> String {
    let bytes = prost::Message::encode_to_vec(&v1::OperatorKeyChange::from(change));
    data_encoding::BASE64URL_NOPAD.encode(&bytes)
}

/// Reads what [`key_change_text`] made.
///
/// # Errors
/// When that is none.
pub fn key_change_of_text(text: &str) -> Result<KeyChange, Malformed> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(text.trim().as_bytes());
    let bytes = bytes.map_err(|_| Malformed("change of the operator key"))?;
    let change: v1::OperatorKeyChange =
        prost::Message::decode(&*bytes).map_err(|_| Malformed("change of the operator key"))?;
    (&change).try_into()
}

/// A hold as bytes, to be kept.
pub fn hold_bytes(hold: &Hold) -> Vec<u8> {
    prost::Message::encode_to_vec(&v1::Hold::from(hold))
}

/// Reads what [`hold_bytes`] made.
///
/// # Errors
/// When that is none.
pub fn hold_of_bytes(bytes: &[u8]) -> Result<Hold, Malformed> {
    let hold: v1::Hold = prost::Message::decode(bytes).map_err(|_| Malformed("hold"))?;
    (&hold).try_into()
}

/// A signed approval as bytes, to be kept or carried.
pub fn signed_approval_bytes(signed: &v1::SignedApproval) -> Vec<u8> {
    prost::Message::encode_to_vec(signed)
}

/// Reads what [`signed_approval_bytes`] made.
///
/// # Errors
/// When that is none.
pub fn signed_approval_of_bytes(bytes: &[u8]) -> Result<v1::SignedApproval, Malformed> {
    prost::Message::decode(bytes).map_err(|_| Malformed("approval"))
}

/// As a text that can be pasted; without a signature it asks for one.
pub fn signed_approval_text(signed: &v1::SignedApproval) -> String {
    data_encoding::BASE64URL_NOPAD.encode(&signed_approval_bytes(signed))
}

/// Reads what [`signed_approval_text`] made.
///
/// # Errors
/// When that is none.
pub fn signed_approval_of_text(text: &str) -> Result<v1::SignedApproval, Malformed> {
    let bytes = data_encoding::BASE64URL_NOPAD.decode(text.trim().as_bytes());
    signed_approval_of_bytes(&bytes.map_err(|_| Malformed("approval"))?)
}

/// The bytes that are signed. Each field has a length of its own or one that stands before it, so that no two
/// approvals have the same bytes.
pub fn signed_bytes(approval: &Approval) -> Vec<u8> {
    let mut bytes = APPROVAL.to_vec();
    bytes.extend(approval.organization.0.as_bytes());
    bytes.extend(approval.machine.0);
    bytes.extend(approval.hold.0.as_bytes());
    bytes.extend(approval.until.ticks().to_be_bytes());
    match &approval.what {
        Held::Denial(rule) => {
            bytes.push(1);
            put_rule(&mut bytes, rule);
        }
        Held::Quarantine { act, order, file } => {
            bytes.push(2);
            bytes.extend(act.0.as_bytes());
            bytes.extend(order.0.as_bytes());
            match file {
                FileId::Sha1(sha1) => put(&mut bytes, 1, &sha1.0),
                FileId::Sha256(sha256) => put(&mut bytes, 2, &sha256.0),
            }
        }
    }
    bytes.extend((approval.comment.len() as u64).to_be_bytes());
    bytes.extend(approval.comment.as_bytes());
    bytes
}

/// The bytes by which one operator key says that another follows it.
pub fn key_change_bytes(organization: OrganizationId, from: &[u8; 32], to: &[u8; 32]) -> Vec<u8> {
    [KEY_CHANGE, organization.0.as_bytes(), from, to].concat()
}

fn put(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    bytes.push(content.len() as u8);
    bytes.extend(content);
}

fn put_rule(bytes: &mut Vec<u8>, rule: &Rule) {
    bytes.extend(rule.id.0.to_be_bytes());
    put(bytes, 0, rule.effect.word().as_bytes());
    match &rule.identifier {
        Identifier::Sha256(sha256) => put(bytes, 1, &sha256.0),
        Identifier::Sha1(sha1) => put(bytes, 2, &sha1.0),
        Identifier::Md5(md5) => put(bytes, 3, &md5.0),
        Identifier::Signer(thumbprint) => put(bytes, 4, &thumbprint.0),
    }
    match &rule.scope {
        Scope::Organization => put(bytes, 1, &[]),
        Scope::Group(group) => put(bytes, 2, &group.0.to_be_bytes()),
        Scope::Machine(machine) => put(bytes, 3, &machine.0),
    }
    match rule.until {
        None => put(bytes, 1, &[]),
        Some(until) => put(bytes, 2, &until.ticks().to_be_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::rule::Effect;
    use model::{GroupId, Md5, RuleId, Sha1};

    fn approval() -> Approval {
        let rule = Rule {
            id: RuleId(7),
            effect: Effect::Deny,
            identifier: Identifier::Sha1(Sha1([3; 20])),
            scope: Scope::Organization,
            until: None,
        };
        Approval {
            organization: OrganizationId::random(),
            machine: MachineId([1; 20]),
            hold: HoldId::random(),
            what: Held::Denial(rule),
            until: Time::from_ticks(9),
            comment: "known".to_owned(),
        }
    }

    #[test]
    fn holds_and_approvals_come_back_as_they_went() {
        let Approval { what, .. } = approval();
        let quarantine = Held::Quarantine {
            act: ActId::random(),
            order: OrderId::random(),
            file: FileId::Sha256(Sha256([4; 32])),
        };
        let crowd =
            Crowd { sha256: Sha256([1; 32]), path: "/opt/db".into(), processes: 9, users: 2, seconds: 4000 };
        for what in [what, quarantine] {
            let hold =
                Hold { id: HoldId::random(), what, since: Time::from_ticks(3), crowds: vec![crowd.clone()] };
            assert_eq!(Hold::try_from(&v1::Hold::from(&hold)), Ok(hold));
            let approval = Approval { what, ..approval() };
            assert_eq!(Approval::try_from(&v1::SignedApproval::from(&approval)), Ok(approval));
        }
    }

    /// Whatever is changed, the signature is one of something else.
    #[test]
    fn every_field_is_signed() {
        let one = approval();
        let rule = |change: &dyn Fn(&mut Rule)| {
            let Held::Denial(mut rule) = one.what else { panic!("a denial") };
            change(&mut rule);
            Approval { what: Held::Denial(rule), ..one.clone() }
        };
        let (act, order) = (ActId::random(), OrderId::random());
        let quarantine =
            |act, order, file| Approval { what: Held::Quarantine { act, order, file }, ..one.clone() };
        let file = FileId::Sha1(Sha1([1; 20]));
        let others = [
            Approval { organization: OrganizationId::random(), ..one.clone() },
            Approval { machine: MachineId([2; 20]), ..one.clone() },
            Approval { hold: HoldId::random(), ..one.clone() },
            Approval { until: Time::from_ticks(10), ..one.clone() },
            Approval { comment: "unknown".to_owned(), ..one.clone() },
            rule(&|rule| rule.id = RuleId(8)),
            rule(&|rule| rule.effect = Effect::DenyAndStop),
            rule(&|rule| rule.identifier = Identifier::Signer(Sha1([3; 20]))),
            rule(&|rule| rule.identifier = Identifier::Md5(Md5([3; 16]))),
            rule(&|rule| rule.scope = Scope::Group(GroupId(1))),
            rule(&|rule| rule.scope = Scope::Machine(MachineId([1; 20]))),
            rule(&|rule| rule.until = Some(Time::from_ticks(0))),
            quarantine(act, order, file),
            quarantine(ActId::random(), order, file),
            quarantine(act, OrderId::random(), file),
            quarantine(act, order, FileId::Sha256(Sha256([1; 32]))),
        ];
        let mut all: Vec<_> = others.iter().map(signed_bytes).collect();
        all.push(signed_bytes(&one));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
        let (from, to) = ([1; 32], [2; 32]);
        assert!(!all.contains(&key_change_bytes(one.organization, &from, &to)));
        assert!(
            key_change_bytes(one.organization, &from, &to) != key_change_bytes(one.organization, &to, &from)
        );
    }
}
