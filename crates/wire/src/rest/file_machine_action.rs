//! `FileMachineAction`: a quarantine order in the shape of the contract's first generation.

use model::act::CopyResult;
use model::order::{Order, State, Want};
use model::{FileId, MachineId, OrderId};
use serde::Serialize;

use super::ending::Ending;
use super::text::{Stamp, text};

/// A quarantine order, with each copy's own result.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileMachineAction {
    #[serde(serialize_with = "text")]
    id: OrderId,
    #[serde(serialize_with = "text")]
    sha1: FileId,
    #[serde(rename = "type")]
    kind: &'static str,
    requestor: String,
    requestor_comment: String,
    status: &'static str,
    #[serde(serialize_with = "text")]
    file_id: FileId,
    #[serde(serialize_with = "text")]
    machine_id: MachineId,
    creation_date_time_utc: Stamp,
    last_update_date_time_utc: Stamp,
    file_instances: Vec<FileInstance>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quell: Option<Ending>,
}

/// One copy, and how it fared.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FileInstance {
    file_path: String,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    quell: Option<Reason>,
}

#[derive(Clone, Debug, Serialize)]
struct Reason {
    reason: String,
}

impl FileMachineAction {
    /// The order, if it is one that the first generation knows: a quarantine.
    pub fn of(order: &Order) -> Option<Self> {
        let Want::Quarantine(machine_id, file) = order.want else { return None };
        Some(Self {
            id: order.id,
            sha1: file,
            kind: "StopAndQuarantineFile",
            requestor: order.requestor.clone(),
            requestor_comment: order.comment.clone(),
            status: status(order.state),
            file_id: file,
            machine_id,
            creation_date_time_utc: Stamp(order.created),
            last_update_date_time_utc: Stamp(order.updated),
            file_instances: order.copies.iter().map(FileInstance::from).collect(),
            quell: Ending::of(order),
        })
    }
}

impl From<&CopyResult> for FileInstance {
    fn from(copy: &CopyResult) -> Self {
        Self {
            // JSON holds Unicode only; what else is in a path is replaced.
            file_path: copy.path.to_string_lossy().into_owned(),
            status: copy.state.word(),
            quell: copy.reason.clone().map(|reason| Reason { reason }),
        }
    }
}

/// The first generation knew neither `Pending` nor `TimeOut`.
const fn status(state: State) -> &'static str {
    match state {
        State::Pending => State::InProgress.word(),
        State::TimeOut => State::Failed.word(),
        other => other.word(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::order::tests::quarantine;
    use super::super::{Entity, Root, Set};
    use super::*;
    use model::order::Failure;

    #[test]
    fn the_keys_are_those_of_the_seed_in_its_order() {
        let action = FileMachineAction::of(&quarantine()).unwrap();
        let answer =
            Entity::new("https://graph.microsoft.com", Root::Preview, Set::FileMachineActions, action);
        insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r##"
        {
          "@odata.context": "https://graph.microsoft.com/testwdatppreview/$metadata#FileMachineActions/$entity",
          "id": "6f1d364c-680c-499a-b30c-dd9265ad4c9d",
          "sha1": "8787878787878787878787878787878787878787",
          "type": "StopAndQuarantineFile",
          "requestor": "Analyst@contoso.com",
          "requestorComment": "Stop and quarantine file on machine due to alert 32123",
          "status": "InProgress",
          "fileId": "8787878787878787878787878787878787878787",
          "machineId": "f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4",
          "creationDateTimeUtc": "2017-12-04T13:13:26.2106524Z",
          "lastUpdateDateTimeUtc": "2017-12-04T13:13:58Z",
          "fileInstances": [
            {
              "filePath": "/opt/a",
              "status": "InProgress"
            },
            {
              "filePath": "/srv/�",
              "status": "Failed",
              "quell": {
                "reason": "not guarded"
              }
            }
          ]
        }
        "##);
    }

    #[test]
    fn a_failed_order_says_why() {
        let failure = Some(Failure::because("the machine is gone"));
        let order = Order { failure, state: State::TimeOut, ..quarantine() };
        let json = serde_json::to_value(FileMachineAction::of(&order).unwrap()).unwrap();
        assert_eq!(json["status"], "Failed");
        assert_eq!(json["quell"]["failure"], "the machine is gone");
    }

    #[test]
    fn only_a_quarantine_has_this_shape() {
        let order = Order { want: Want::Block(quarantine().want.file()), ..quarantine() };
        assert!(FileMachineAction::of(&order).is_none());
    }
}
