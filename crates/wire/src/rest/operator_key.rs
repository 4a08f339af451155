//! `OperatorKey`, our own: the public half of the key whose signature machines take, and who knows it.

use model::OrganizationId;
use serde::Serialize;

use super::text::text;

/// The public half of the operator key.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OperatorKey {
    /// Whose machines.
    #[serde(serialize_with = "text")]
    pub organization: OrganizationId,
    /// Its name, as people compare it.
    pub fingerprint: String,
    /// Itself, in hexadecimal digits.
    pub public: String,
    /// How it came to be this one, oldest first.
    pub changes: Vec<KeyFollows>,
    /// How many machines take its signature, as they said last,
    pub machines: usize,
    /// and how many take another one's still, or none: they were away, or do not believe the change.
    pub machines_without: usize,
}

/// One key has followed another.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyFollows {
    /// The fingerprint of the one before.
    pub from: String,
    /// That of the one after.
    pub to: String,
    /// The one before has signed it. Otherwise root has to take it on each machine.
    pub signed: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_keys_are_these() {
        let follows = KeyFollows { from: "aa".into(), to: "bb".into(), signed: true };
        let key = OperatorKey {
            organization: OrganizationId::random(),
            fingerprint: "bb".into(),
            public: "00".into(),
            changes: vec![follows],
            machines: 2,
            machines_without: 1,
        };
        let json = serde_json::to_value(&key).unwrap();
        assert_eq!(json["changes"], serde_json::json!([{ "from": "aa", "to": "bb", "signed": true }]));
        assert_eq!(
            (&json["machinesWithout"], &json["organization"]),
            (&1.into(), &key.organization.to_string().into())
        );
    }
}
