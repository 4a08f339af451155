//! `FileAction`: a block of a file, and its end. Without context and id, as in the contract's examples.

use model::FileId;
use serde::{Serialize, Serializer};

use super::text::{Stamp, kind_of};

/// Which of the two it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ActionType {
    /// The file may not run.
    Block,
    /// It may again. The contract spells it so.
    UnBlock,
}

/// A block of a file, and its end.
#[derive(Clone, Debug)]
pub struct FileAction {
    /// The file, as it was named.
    pub file: FileId,
    /// Which of the two it is.
    pub action_type: ActionType,
    /// When the file was blocked.
    pub created: Stamp,
    /// Who blocked it.
    pub requestor: String,
    /// Why.
    pub comment: String,
    /// When the block was ended.
    pub cancelled: Option<Stamp>,
    /// Who ended it.
    pub cancellation_requestor: Option<String>,
    /// Why.
    pub cancellation_comment: Option<String>,
    /// When anything about it last changed.
    pub updated: Stamp,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    file_identifier: String,
    file_identifier_type: &'static str,
    action_type: ActionType,
    // The only value that the contract knows; it stays after the block has ended.
    file_status: &'static str,
    creation_date_time_utc: Stamp,
    requestor: &'a str,
    requestor_comment: &'a str,
    cancellation_date_time_utc: Option<Stamp>,
    cancellation_requestor: Option<&'a str>,
    cancellation_comment: Option<&'a str>,
    last_update_date_time_utc: Stamp,
}

impl Serialize for FileAction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shape {
            file_identifier: self.file.to_string(),
            file_identifier_type: kind_of(self.file),
            action_type: self.action_type,
            file_status: "Blocked",
            creation_date_time_utc: self.created,
            requestor: &self.requestor,
            requestor_comment: &self.comment,
            cancellation_date_time_utc: self.cancelled,
            cancellation_requestor: self.cancellation_requestor.as_deref(),
            cancellation_comment: self.cancellation_comment.as_deref(),
            last_update_date_time_utc: self.updated,
        }
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Sha1, Sha256, Time};

    fn block() -> FileAction {
        let at = Stamp(Time::from_ticks(15_123_927_834_502_191));
        FileAction {
            file: FileId::Sha1(Sha1([0x73; 20])),
            action_type: ActionType::Block,
            created: at,
            requestor: "Analyst@contoso.com".into(),
            comment: "test".into(),
            cancelled: None,
            cancellation_requestor: None,
            cancellation_comment: None,
            updated: at,
        }
    }

    #[test]
    fn the_keys_are_those_of_the_seed_in_its_order() {
        insta::assert_snapshot!(serde_json::to_string_pretty(&block()).unwrap(), @r#"
        {
          "fileIdentifier": "7373737373737373737373737373737373737373",
          "fileIdentifierType": "Sha1",
          "actionType": "Block",
          "fileStatus": "Blocked",
          "creationDateTimeUtc": "2017-12-04T13:06:23.4502191Z",
          "requestor": "Analyst@contoso.com",
          "requestorComment": "test",
          "cancellationDateTimeUtc": null,
          "cancellationRequestor": null,
          "cancellationComment": null,
          "lastUpdateDateTimeUtc": "2017-12-04T13:06:23.4502191Z"
        }
        "#);
    }

    #[test]
    fn an_ended_block_says_who_ended_it() {
        let ended = FileAction {
            file: FileId::Sha256(Sha256([0xAB; 32])),
            action_type: ActionType::UnBlock,
            cancelled: Some(Stamp(Time::from_seconds(1_512_392_800))),
            cancellation_requestor: Some("Other@contoso.com".into()),
            cancellation_comment: Some("false alarm".into()),
            updated: Stamp(Time::from_seconds(1_512_392_800)),
            ..block()
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&ended).unwrap(), @r#"
        {
          "fileIdentifier": "abababababababababababababababababababababababababababababababab",
          "fileIdentifierType": "Sha256",
          "actionType": "UnBlock",
          "fileStatus": "Blocked",
          "creationDateTimeUtc": "2017-12-04T13:06:23.4502191Z",
          "requestor": "Analyst@contoso.com",
          "requestorComment": "test",
          "cancellationDateTimeUtc": "2017-12-04T13:06:40Z",
          "cancellationRequestor": "Other@contoso.com",
          "cancellationComment": "false alarm",
          "lastUpdateDateTimeUtc": "2017-12-04T13:06:40Z"
        }
        "#);
    }
}
