//! `MachineAction`: a quarantine order in the shape of the contract's current generation.

use model::order::{Order, Want};
use model::{FileId, MachineId, OrderId};
use serde::Serialize;

use super::ending::Ending;
use super::text::{Stamp, kind_of, text};

/// A quarantine order, without its copies: the current generation has no key for them.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineAction {
    #[serde(serialize_with = "text")]
    id: OrderId,
    #[serde(rename = "type")]
    kind: &'static str,
    title: Option<String>,
    requestor: String,
    requestor_comment: String,
    status: &'static str,
    #[serde(serialize_with = "text")]
    machine_id: MachineId,
    computer_dns_name: Option<String>,
    creation_date_time_utc: Stamp,
    last_update_date_time_utc: Stamp,
    cancellation_requestor: Option<String>,
    cancellation_comment: Option<String>,
    cancellation_date_time_utc: Option<Stamp>,
    error_h_result: i32,
    scope: Option<String>,
    external_id: Option<String>,
    request_source: &'static str,
    related_file_info: Option<RelatedFileInfo>,
    commands: [(); 0],
    troubleshoot_info: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quell: Option<Ending>,
}

/// The file that an action is about.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RelatedFileInfo {
    #[serde(serialize_with = "text")]
    file_identifier: FileId,
    file_identifier_type: &'static str,
}

impl MachineAction {
    /// The order, if it is one that the contract knows: a quarantine. Restores are our own and have no
    /// `type` there; they are shown as orders.
    pub fn of(order: &Order, computer_dns_name: Option<String>) -> Option<Self> {
        let Want::Quarantine(machine_id, file) = order.want else { return None };
        let cancellation = order.cancellation.as_ref();
        Some(Self {
            id: order.id,
            kind: "StopAndQuarantineFile",
            title: None,
            requestor: order.requestor.clone(),
            requestor_comment: order.comment.clone(),
            status: order.state.word(),
            machine_id,
            computer_dns_name,
            creation_date_time_utc: Stamp(order.created),
            last_update_date_time_utc: Stamp(order.updated),
            cancellation_requestor: cancellation.map(|cancellation| cancellation.by.clone()),
            cancellation_comment: cancellation.map(|cancellation| cancellation.comment.clone()),
            cancellation_date_time_utc: cancellation.map(|cancellation| Stamp(cancellation.at)),
            error_h_result: order.failure.as_ref().map_or(0, |failure| failure.code),
            scope: None,
            external_id: None,
            request_source: "PublicApi",
            related_file_info: Some(RelatedFileInfo {
                file_identifier: file,
                file_identifier_type: kind_of(file),
            }),
            commands: [],
            troubleshoot_info: None,
            quell: Ending::of(order),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::tests::quarantine;
    use super::super::{Entity, Root, Set};
    use super::*;
    use model::order::{Failure, State};

    #[test]
    fn the_keys_are_those_of_the_captures_in_their_order() {
        let action = MachineAction::of(&quarantine(), Some("host1.example.test".into())).unwrap();
        let answer = Entity::new("https://HOST", Root::Api, Set::MachineActions, action);
        insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r##"
        {
          "@odata.context": "https://HOST/api/$metadata#MachineActions/$entity",
          "id": "6f1d364c-680c-499a-b30c-dd9265ad4c9d",
          "type": "StopAndQuarantineFile",
          "title": null,
          "requestor": "Analyst@contoso.com",
          "requestorComment": "Stop and quarantine file on machine due to alert 32123",
          "status": "Pending",
          "machineId": "f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4",
          "computerDnsName": "host1.example.test",
          "creationDateTimeUtc": "2017-12-04T13:13:26.2106524Z",
          "lastUpdateDateTimeUtc": "2017-12-04T13:13:58Z",
          "cancellationRequestor": null,
          "cancellationComment": null,
          "cancellationDateTimeUtc": null,
          "errorHResult": 0,
          "scope": null,
          "externalId": null,
          "requestSource": "PublicApi",
          "relatedFileInfo": {
            "fileIdentifier": "8787878787878787878787878787878787878787",
            "fileIdentifierType": "Sha1"
          },
          "commands": [],
          "troubleshootInfo": null
        }
        "##);
    }

    #[test]
    fn a_failed_order_has_a_number_and_a_reason() {
        let order =
            Order { state: State::Failed, failure: Some(Failure::because("disk full")), ..quarantine() };
        let json = serde_json::to_value(MachineAction::of(&order, None).unwrap()).unwrap();
        assert_eq!(json["status"], "Failed");
        assert_eq!(json["errorHResult"], -2_147_467_259);
        assert_eq!(json["quell"]["failure"], "disk full");
    }
}
