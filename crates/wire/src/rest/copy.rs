//! `Copy`, our own: a file at a path on a machine.

use std::path::PathBuf;

use model::MachineId;
use serde::{Serialize, Serializer};

use super::origin::PackageOrigin;
use super::text::{Stamp, text};

/// A file at a path on a machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Copy {
    /// The machine.
    #[serde(serialize_with = "text")]
    pub machine_id: MachineId,
    /// The machine's name on the network.
    pub computer_dns_name: String,
    /// Where it lies there.
    #[serde(serialize_with = "lossy")]
    pub path: PathBuf,
    /// Its name there: what stands behind the path's last slash.
    pub file_name: String,
    /// When it was first seen.
    pub first_seen: Stamp,
    /// When it was last seen.
    pub last_seen: Stamp,
    /// Whether it still lies there.
    pub present: bool,
    /// Whether it was running when last seen.
    pub running: bool,
    /// How often its execution was refused.
    pub denials: u64,
    /// The package that owns its path; null when none does, as far as known.
    pub origin: Option<PackageOrigin>,
}

fn lossy<S: Serializer>(path: &std::path::Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Time;

    #[test]
    fn a_copy_says_where_it_is_and_whether_it_runs() {
        let copy = Copy {
            machine_id: MachineId([0xF4; 20]),
            computer_dns_name: "host1".into(),
            path: "/opt/a".into(),
            file_name: "a".into(),
            first_seen: Stamp(Time::from_seconds(0)),
            last_seen: Stamp(Time::from_seconds(60)),
            present: true,
            running: false,
            denials: 2,
            origin: None,
        };
        insta::assert_snapshot!(serde_json::to_string_pretty(&copy).unwrap(), @r#"
        {
          "machineId": "f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4",
          "computerDnsName": "host1",
          "path": "/opt/a",
          "fileName": "a",
          "firstSeen": "1970-01-01T00:00:00Z",
          "lastSeen": "1970-01-01T00:01:00Z",
          "present": true,
          "running": false,
          "denials": 2,
          "origin": null
        }
        "#);
    }
}
