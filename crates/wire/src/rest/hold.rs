//! `Hold`, our own: what waits for approval on a machine, and how it may go on.

use model::hold::{Approval, Crowd, Held};
use model::rule::{Identifier, Scope};
use model::{HoldId, MachineId, OrganizationId, Time};
use serde::Serialize;
use serde_json::{Value, json};

use super::text::{Stamp, text};
use crate::link::holds::signed_approval_text;
use crate::link::v1;

/// What waits for approval on a machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    #[serde(serialize_with = "text")]
    id: HoldId,
    #[serde(serialize_with = "text")]
    machine_id: MachineId,
    computer_dns_name: String,
    since: Stamp,
    /// `denial` or `quarantine`.
    what: &'static str,
    rule: Option<u64>,
    effect: Option<&'static str>,
    /// The file, or what else the rule knows its files by.
    identifier: String,
    scope: Option<String>,
    order: Option<String>,
    act: Option<String>,
    crowds: Vec<Value>,
    /// What is to be signed, for `quell operator sign`.
    request: String,
    how_to_go_on: String,
    /// `Waiting`.
    state: &'static str,
    /// Of the last approval that was brought: `OnItsWay` or `Refused`; null if there was none.
    approval: Option<&'static str>,
    /// Why the machine did not take it.
    refused: Option<String>,
    refused_at: Option<Stamp>,
}

/// How it ended that something waited.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EndedHold {
    #[serde(serialize_with = "text")]
    id: HoldId,
    #[serde(serialize_with = "text")]
    machine_id: MachineId,
    computer_dns_name: String,
    /// `Approved`, or `Withdrawn` when nobody did: nothing is left that could go on.
    state: &'static str,
    ended: Stamp,
    approved_by: Option<String>,
}

impl EndedHold {
    /// What waited on a machine of that name, and who let it go on.
    pub fn new(id: HoldId, machine: MachineId, name: String, at: Time, approved_by: Option<String>) -> Self {
        Self {
            id,
            machine_id: machine,
            computer_dns_name: name,
            state: if approved_by.is_some() { "Approved" } else { "Withdrawn" },
            ended: Stamp(at),
            approved_by,
        }
    }
}

impl Hold {
    /// With an approval that the machine has not answered yet.
    pub fn on_its_way(self) -> Self {
        Self { approval: Some("OnItsWay"), ..self }
    }

    /// With an approval that the machine did not take.
    pub fn refused(self, at: Time, why: String) -> Self {
        Self { approval: Some("Refused"), refused: Some(why), refused_at: Some(Stamp(at)), ..self }
    }

    /// The file that is meant, or what else a rule knows its files by.
    pub fn identifier_of(what: &Held) -> String {
        match what {
            Held::Denial(rule) => match rule.identifier {
                Identifier::Sha256(sha256) => sha256.to_string(),
                Identifier::Sha1(sha1) => sha1.to_string(),
                Identifier::Md5(md5) => md5.to_string(),
                Identifier::Signer(thumbprint) => format!("signer {thumbprint}"),
            },
            Held::Quarantine { file, .. } => file.to_string(),
        }
    }

    /// One on a machine of that name.
    pub fn new(
        organization: OrganizationId,
        machine: MachineId,
        machine_name: &str,
        hold: &model::hold::Hold,
    ) -> Self {
        let shape = Self {
            id: hold.id,
            machine_id: machine,
            computer_dns_name: machine_name.to_owned(),
            since: Stamp(hold.since),
            what: "quarantine",
            rule: None,
            effect: None,
            identifier: Self::identifier_of(&hold.what),
            scope: None,
            order: None,
            act: None,
            crowds: hold.crowds.iter().map(crowd).collect(),
            request: request(organization, machine, hold),
            how_to_go_on: format!(
                "root on {machine_name}: `quell agent approve {id}`; with the operator key: `quell operator approve {id}`",
                id = hold.id
            ),
            state: "Waiting",
            approval: None,
            refused: None,
            refused_at: None,
        };
        match hold.what {
            Held::Denial(rule) => Self {
                what: "denial",
                rule: Some(rule.id.0),
                effect: Some(rule.effect.word()),
                scope: Some(match rule.scope {
                    Scope::Organization => "organization".to_owned(),
                    Scope::Group(group) => format!("group {group}"),
                    Scope::Machine(machine) => format!("machine {machine}"),
                }),
                ..shape
            },
            Held::Quarantine { act, order, .. } => {
                Self { order: Some(order.to_string()), act: Some(act.to_string()), ..shape }
            }
        }
    }
}

fn crowd(crowd: &Crowd) -> Value {
    json!({
        "sha256": crowd.sha256.to_string(),
        "path": crowd.path.to_string_lossy(),
        "processes": crowd.processes,
        "users": crowd.users,
        "seconds": crowd.seconds,
    })
}

/// What would let it go on, not signed.
fn request(organization: OrganizationId, machine: MachineId, hold: &model::hold::Hold) -> String {
    let approval = Approval {
        organization,
        machine,
        hold: hold.id,
        what: hold.what,
        until: Time::from_ticks(0),
        comment: String::new(),
    };
    signed_approval_text(&v1::SignedApproval::from(&approval))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::holds::signed_approval_of_text;
    use model::rule::{Effect, Rule};
    use model::{ActId, FileId, OrderId, RuleId, Sha1, Sha256};

    #[test]
    fn what_waits_is_named_with_how_it_goes_on() {
        let rule = Rule {
            id: RuleId(7),
            effect: Effect::Deny,
            identifier: Identifier::Sha256(Sha256([1; 32])),
            scope: Scope::Organization,
            until: None,
        };
        let crowd =
            Crowd { sha256: Sha256([1; 32]), path: "/opt/db".into(), processes: 9, users: 2, seconds: 4 };
        let hold = model::hold::Hold {
            id: HoldId::random(),
            what: Held::Denial(rule),
            since: Time::from_seconds(0),
            crowds: vec![crowd],
        };
        let (organization, machine) = (OrganizationId::random(), MachineId([2; 20]));
        let json = serde_json::to_value(Hold::new(organization, machine, "host1", &hold)).unwrap();
        assert_eq!((&json["what"], &json["rule"], &json["act"]), (&json!("denial"), &json!(7), &Value::Null));
        assert_eq!(json["crowds"][0]["processes"], 9);
        assert!(json["howToGoOn"].as_str().unwrap().contains(&format!("quell agent approve {}", hold.id)));
        let asked = signed_approval_of_text(json["request"].as_str().unwrap()).unwrap();
        let asked = Approval::try_from(&asked).unwrap();
        assert_eq!((asked.organization, asked.machine, asked.what), (organization, machine, hold.what));

        let (act, order, file) = (ActId::random(), OrderId::random(), FileId::Sha1(Sha1([3; 20])));
        let hold = model::hold::Hold { what: Held::Quarantine { act, order, file }, ..hold };
        let json = serde_json::to_value(Hold::new(organization, machine, "host1", &hold)).unwrap();
        assert_eq!(json["order"], order.to_string());
        assert_eq!(json["identifier"], file.to_string());
    }
}
