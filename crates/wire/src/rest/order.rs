//! `Order`, our own: what a person asked for, whatever it is, with each copy's result.

use model::act::CopyResult;
use model::{FileId, MachineId, OrderId, VaultId};
use serde::Serialize;

use super::hold::Hold;
use super::text::{Stamp, text, text_or_null, texts};

/// What a person asked for, and how far it is.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Order {
    #[serde(serialize_with = "text")]
    id: OrderId,
    want: &'static str,
    #[serde(serialize_with = "text")]
    sha: FileId,
    #[serde(serialize_with = "text_or_null")]
    machine_id: Option<MachineId>,
    state: &'static str,
    requestor: String,
    comment: String,
    created: Stamp,
    updated: Stamp,
    #[serde(serialize_with = "text_or_null")]
    undoes: Option<OrderId>,
    /// The order that undoes it.
    #[serde(serialize_with = "text_or_null")]
    undone_by: Option<OrderId>,
    failure: Option<String>,
    error_h_result: i32,
    /// It did not succeed, and some of it is done all the same.
    partly_done: bool,
    /// Processes.
    stopped: u32,
    /// Stopped with them, as the machine would have started them again.
    services: Vec<String>,
    deadline: Option<Stamp>,
    cancellation: Option<Cancellation>,
    late: Option<Late>,
    copies: Vec<OrderCopy>,
    /// What of it waits for approval; null in lists.
    waits: Option<Vec<Hold>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    inverse: Option<Inverse>,
}

/// Who asked for an order to be withdrawn.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Cancellation {
    requestor: String,
    comment: String,
    at: Stamp,
}

/// A result that came after the order had ended otherwise.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Late {
    at: Stamp,
    state: &'static str,
    failure: Option<String>,
}

/// What the undo of an order would do now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Inverse {
    possible: bool,
    want: Option<&'static str>,
    copies: usize,
    deny_ends: bool,
    /// Orders that want the deny, too, or brought the sample.
    #[serde(serialize_with = "texts")]
    deny_kept_by: Vec<OrderId>,
    /// Why it is not possible.
    reason: Option<String>,
}

/// One copy that an order met.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OrderCopy {
    path: String,
    status: &'static str,
    reason: Option<String>,
    #[serde(serialize_with = "text_or_null")]
    vault_id: Option<VaultId>,
}

impl Order {
    /// With what of it waits for approval.
    #[must_use]
    pub fn waiting(self, waits: Vec<Hold>) -> Self {
        Self { waits: Some(waits), ..self }
    }

    /// An order, and what its undo would do, or why there is none.
    pub fn with_inverse(
        order: &model::order::Order,
        inverse: &Result<model::order::Inverse, String>,
    ) -> Self {
        let none = Inverse {
            possible: false,
            want: None,
            copies: 0,
            deny_ends: false,
            deny_kept_by: Vec::new(),
            reason: None,
        };
        let inverse = match inverse {
            Ok(inverse) => Inverse {
                possible: true,
                want: Some(inverse.want.word()),
                copies: inverse.copies,
                deny_ends: inverse.ends.is_some(),
                deny_kept_by: inverse.kept_by.clone(),
                ..none
            },
            Err(reason) => Inverse { reason: Some(reason.clone()), ..none },
        };
        Self { inverse: Some(inverse), ..order.into() }
    }
}

impl From<&model::order::Order> for Order {
    fn from(order: &model::order::Order) -> Self {
        Self {
            id: order.id,
            want: order.want.word(),
            sha: order.want.file(),
            machine_id: order.want.machine(),
            state: order.state.word(),
            requestor: order.requestor.clone(),
            comment: order.comment.clone(),
            created: Stamp(order.created),
            updated: Stamp(order.updated),
            undoes: order.undoes,
            undone_by: order.undone_by,
            failure: order.failure.as_ref().map(|failure| failure.reason.clone()),
            error_h_result: order.failure.as_ref().map_or(0, |failure| failure.code),
            partly_done: order.is_partly_done(),
            stopped: order.stopped,
            services: order.services.clone(),
            deadline: order.deadline.map(Stamp),
            cancellation: order.cancellation.as_ref().map(|cancellation| Cancellation {
                requestor: cancellation.by.clone(),
                comment: cancellation.comment.clone(),
                at: Stamp(cancellation.at),
            }),
            late: order.late.as_ref().map(|late| Late {
                at: Stamp(late.at),
                state: late.state.word(),
                failure: late.failure.as_ref().map(|failure| failure.reason.clone()),
            }),
            inverse: None,
            copies: order.copies.iter().map(OrderCopy::from).collect(),
            waits: None,
        }
    }
}

impl From<&CopyResult> for OrderCopy {
    fn from(copy: &CopyResult) -> Self {
        Self {
            path: copy.path.to_string_lossy().into_owned(),
            status: copy.state.word(),
            reason: copy.reason.clone(),
            vault_id: copy.vault,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use model::act::CopyState;
    use model::order::{State, Want};
    use model::{Generation, OrganizationId, Sha1, Time};

    /// A quarantine of two copies, one of them under a name that is not UTF-8.
    pub(in crate::rest) fn quarantine() -> model::order::Order {
        let copy = |path: &[u8], state, reason: Option<&str>| CopyResult {
            path: OsStr::from_bytes(path).into(),
            state,
            reason: reason.map(str::to_owned),
            vault: None,
        };
        model::order::Order {
            id: "6f1d364c-680c-499a-b30c-dd9265ad4c9d".parse().unwrap(),
            organization: OrganizationId::random(),
            want: Want::Quarantine(MachineId([0xF4; 20]), FileId::Sha1(Sha1([0x87; 20]))),
            undoes: None,
            requestor: "Analyst@contoso.com".into(),
            comment: "Stop and quarantine file on machine due to alert 32123".into(),
            created: Time::from_ticks(15_123_932_062_106_524),
            updated: Time::from_seconds(1_512_393_238),
            state: State::Pending,
            failure: None,
            rule: None,
            generation: Generation(1),
            copies: vec![
                copy(b"/opt/a", CopyState::InProgress, None),
                copy(b"/srv/\xff", CopyState::Failed, Some("not guarded")),
            ],
            stopped: 0,
            services: Vec::new(),
            deadline: None,
            cancellation: None,
            undone_by: None,
            late: None,
        }
    }

    #[test]
    fn an_order_shows_all_that_is_known_of_it() {
        let mut order = quarantine();
        order.copies[0].vault = Some("11111111-2222-3333-4444-555555555555".parse().unwrap());
        order.undoes = Some("6f1d364c-680c-499a-b30c-dd9265ad4c9e".parse().unwrap());
        insta::assert_snapshot!(serde_json::to_string_pretty(&Order::from(&order)).unwrap(), @r#"
        {
          "id": "6f1d364c-680c-499a-b30c-dd9265ad4c9d",
          "want": "quarantine",
          "sha": "8787878787878787878787878787878787878787",
          "machineId": "f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4",
          "state": "Pending",
          "requestor": "Analyst@contoso.com",
          "comment": "Stop and quarantine file on machine due to alert 32123",
          "created": "2017-12-04T13:13:26.2106524Z",
          "updated": "2017-12-04T13:13:58Z",
          "undoes": "6f1d364c-680c-499a-b30c-dd9265ad4c9e",
          "undoneBy": null,
          "failure": null,
          "errorHResult": 0,
          "partlyDone": false,
          "stopped": 0,
          "services": [],
          "deadline": null,
          "cancellation": null,
          "late": null,
          "copies": [
            {
              "path": "/opt/a",
              "status": "InProgress",
              "reason": null,
              "vaultId": "11111111-2222-3333-4444-555555555555"
            },
            {
              "path": "/srv/�",
              "status": "Failed",
              "reason": "not guarded",
              "vaultId": null
            }
          ],
          "waits": null
        }
        "#);
    }
}
