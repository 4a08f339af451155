//! `Machine`: an enrolled host.

use model::MachineId;
use serde::Serialize;

use super::text::{Stamp, text};

/// An enrolled host, as far as the server knows it.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Its name.
    pub id: MachineId,
    /// Its name on the network.
    pub name: String,
    /// When it was enrolled.
    pub first_seen: Stamp,
    /// When it was last heard of.
    pub last_seen: Stamp,
    /// Its operating system.
    pub os_platform: String,
    /// The operating system's version.
    pub os_version: String,
    /// The machine's word for its processor: `x86_64`, `aarch64`.
    pub architecture: String,
    /// The agent's version.
    pub agent_version: String,
    /// Its addresses, the foremost first.
    pub addresses: Vec<String>,
    /// Whether its agent is attached now.
    pub attached: bool,
    /// What the contract has no key for.
    pub extras: MachineExtras,
}

/// What the contract has no key for.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineExtras {
    /// The kernel's release.
    pub kernel: String,
    /// By what means execution is denied there; null if it is not.
    pub guard_level: Option<String>,
    /// Where it is denied.
    pub guarded: Vec<String>,
    /// Whether every watched file has been seen once, so that what is not known there is not there.
    pub first_sweep_complete: bool,
    /// How far in the organization's log the machine is.
    pub generation: u64,
    /// The fingerprint of the operator key whose signature counts there; null before there is one.
    pub operator_key: Option<String>,
    /// How its guard is now; null while the machine is not attached.
    pub guard: Option<MachineGuard>,
}

/// How a machine's guard is now.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineGuard {
    /// `fanotify` or `bpf`; empty while there is no guard.
    pub mechanism: String,
    /// Why it denies nothing, for people; empty when it does.
    pub notice: String,
    /// How often it ended without being asked to since the agent was started.
    pub deaths: u64,
    /// How long nothing was denied when it last did, in milliseconds.
    pub last_gap_ms: Option<u64>,
    /// Execs refused by a rule.
    pub denied: u64,
    /// Let run by the timer and then found to be denied.
    pub denied_late: u64,
    /// Answered by policy, because nobody knew the file in time.
    pub timed_out: u64,
    /// Processes that run what is denied, and are not to be stopped or could not be.
    pub running_denied: u64,
    /// Other products there that can refuse execs.
    pub rivals: Vec<String>,
    /// Filesystems, and whether each is guarded; at most 256.
    pub filesystems: Vec<MachineFilesystem>,
}

/// One filesystem of a machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MachineFilesystem {
    /// Where it is mounted, in whichever mount namespace.
    pub path: String,
    /// `ext4`, `tmpfs`, …
    pub r#type: String,
    /// `guarded`, `watched`, `not chosen`, `not local`, or `failed: ` and why.
    pub state: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shape<'a> {
    #[serde(serialize_with = "text")]
    id: MachineId,
    computer_dns_name: &'a str,
    first_seen: Stamp,
    last_seen: Stamp,
    os_platform: &'a str,
    version: &'a str,
    os_processor: &'a str,
    os_architecture: &'static str,
    os_build: Option<u64>,
    onboarding_status: &'static str,
    last_ip_address: Option<&'a str>,
    last_external_ip_address: Option<&'a str>,
    health_status: &'static str,
    // A number on the contract's wire, whatever its pages say.
    rbac_group_id: u32,
    rbac_group_name: Option<&'a str>,
    risk_score: &'static str,
    exposure_level: &'static str,
    device_value: &'static str,
    // Clients that find a value here use it as the machine's id.
    aad_device_id: Option<&'a str>,
    is_aad_joined: bool,
    machine_tags: [&'a str; 0],
    ip_addresses: Vec<Address<'a>>,
    agent_version: &'a str,
    os_version: &'a str,
    quell: &'a MachineExtras,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Address<'a> {
    ip_address: &'a str,
    mac_address: Option<&'a str>,
    operational_status: &'static str,
    r#type: Option<&'a str>,
}

impl Serialize for Machine {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Shape {
            id: self.id,
            computer_dns_name: &self.name,
            first_seen: self.first_seen,
            last_seen: self.last_seen,
            os_platform: &self.os_platform,
            version: &self.os_version,
            os_processor: processor(&self.architecture),
            os_architecture: if self.architecture.contains("64") { "64-bit" } else { "32-bit" },
            os_build: None,
            onboarding_status: "Onboarded",
            last_ip_address: self.addresses.first().map(String::as_str),
            last_external_ip_address: None,
            health_status: if self.attached { "Active" } else { "Inactive" },
            rbac_group_id: 0,
            rbac_group_name: None,
            risk_score: "None",
            exposure_level: "None",
            device_value: "Normal",
            aad_device_id: None,
            is_aad_joined: false,
            machine_tags: [],
            ip_addresses: self.addresses.iter().map(|address| Address::up(address)).collect(),
            agent_version: &self.agent_version,
            os_version: &self.os_version,
            quell: &self.extras,
        }
        .serialize(serializer)
    }
}

impl<'a> Address<'a> {
    fn up(ip_address: &'a str) -> Self {
        Self { ip_address, mac_address: None, operational_status: "Up", r#type: None }
    }
}

/// The contract's word for a processor.
fn processor(architecture: &str) -> &str {
    match architecture {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Entity, Root, Set};
    use super::*;
    use model::Time;

    #[test]
    fn every_key_of_the_contract_is_there() {
        let machine = Machine {
            id: MachineId([0xF4; 20]),
            name: "host1.example.test".into(),
            first_seen: Stamp(Time::from_seconds(1_700_000_000)),
            last_seen: Stamp(Time::from_seconds(1_700_000_060)),
            os_platform: "Debian".into(),
            os_version: "13".into(),
            architecture: "x86_64".into(),
            agent_version: "0.1.0".into(),
            addresses: vec!["192.0.2.7".into()],
            attached: true,
            extras: MachineExtras {
                kernel: "6.12.0".into(),
                guard_level: Some("fanotify".into()),
                guarded: vec!["/".into()],
                first_sweep_complete: true,
                generation: 7,
                operator_key: Some("0f1e".into()),
                guard: Some(MachineGuard {
                    mechanism: "fanotify".into(),
                    notice: String::new(),
                    deaths: 1,
                    last_gap_ms: Some(120),
                    denied: 5,
                    denied_late: 1,
                    timed_out: 2,
                    running_denied: 0,
                    rivals: vec!["fapolicyd".into()],
                    filesystems: vec![MachineFilesystem {
                        path: "/".into(),
                        r#type: "ext4".into(),
                        state: "guarded".into(),
                    }],
                }),
            },
        };
        let answer = Entity::new("https://HOST", Root::Api, Set::Machines, machine);
        insta::assert_snapshot!(serde_json::to_string_pretty(&answer).unwrap(), @r##"
        {
          "@odata.context": "https://HOST/api/$metadata#Machines/$entity",
          "id": "f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4f4",
          "computerDnsName": "host1.example.test",
          "firstSeen": "2023-11-14T22:13:20Z",
          "lastSeen": "2023-11-14T22:14:20Z",
          "osPlatform": "Debian",
          "version": "13",
          "osProcessor": "x64",
          "osArchitecture": "64-bit",
          "osBuild": null,
          "onboardingStatus": "Onboarded",
          "lastIpAddress": "192.0.2.7",
          "lastExternalIpAddress": null,
          "healthStatus": "Active",
          "rbacGroupId": 0,
          "rbacGroupName": null,
          "riskScore": "None",
          "exposureLevel": "None",
          "deviceValue": "Normal",
          "aadDeviceId": null,
          "isAadJoined": false,
          "machineTags": [],
          "ipAddresses": [
            {
              "ipAddress": "192.0.2.7",
              "macAddress": null,
              "operationalStatus": "Up",
              "type": null
            }
          ],
          "agentVersion": "0.1.0",
          "osVersion": "13",
          "quell": {
            "kernel": "6.12.0",
            "guardLevel": "fanotify",
            "guarded": [
              "/"
            ],
            "firstSweepComplete": true,
            "generation": 7,
            "operatorKey": "0f1e",
            "guard": {
              "mechanism": "fanotify",
              "notice": "",
              "deaths": 1,
              "lastGapMs": 120,
              "denied": 5,
              "deniedLate": 1,
              "timedOut": 2,
              "runningDenied": 0,
              "rivals": [
                "fapolicyd"
              ],
              "filesystems": [
                {
                  "path": "/",
                  "type": "ext4",
                  "state": "guarded"
                }
              ]
            }
          }
        }
        "##);
    }
}
