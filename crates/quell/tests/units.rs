//! The systemd units: systemd understands them, and they keep the guard in the machine's own mount namespace.

#![cfg(feature = "agent")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const BINARY: &str = "/usr/bin/quell";

fn units() -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../packaging/systemd");
    let found: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(!found.is_empty());
    found
}

/// What `systemd-analyze verify` says of a unit; none where it is not installed.
fn verify(text: &str, name: &Path) -> Option<(bool, String)> {
    let dir = tempfile::tempdir().unwrap();
    // The binary is not installed where these tests run.
    let text = text.replace(BINARY, env!("CARGO_BIN_EXE_quell"));
    let copy = dir.path().join(name.file_name().unwrap());
    fs::write(&copy, text).unwrap();
    let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output() else {
        eprintln!("not run: systemd-analyze is not installed");
        return None;
    };
    // Not of ours: what it says of the units of the machine that runs this.
    let said = String::from_utf8_lossy(&output.stderr);
    let ours: Vec<&str> = said.lines().filter(|line| line.contains("quell-")).collect();
    Some((output.status.success() && ours.is_empty(), said.into_owned()))
}

#[test]
fn systemd_has_nothing_to_say_against_them() {
    for unit in units() {
        let text = fs::read_to_string(&unit).unwrap();
        let Some((is_good, said)) = verify(&text, &unit) else { return };
        assert!(is_good, "{said}");
        let broken = text.replace("WatchdogSec=10", "WatchdogSec=soon");
        assert!(!verify(&broken, &unit).unwrap().0, "a mistake is noticed");
    }
}

#[test]
fn the_guard_stays_in_the_machines_mount_namespace_and_has_all_the_time_it_needs() {
    const SECLUDING: [&str; 15] = [
        "Protect",
        "Private",
        "ReadOnlyPaths=",
        "ReadWritePaths=",
        "InaccessiblePaths=",
        "ExecPaths=",
        "NoExecPaths=",
        "TemporaryFileSystem=",
        "BindPaths=",
        "BindReadOnlyPaths=",
        "RootDirectory=",
        "RootImage=",
        "MountFlags=",
        "DynamicUser=",
        "CPUQuota=",
    ];
    let unit = units().into_iter().find(|unit| unit.ends_with("quell-agent.service")).unwrap();
    let text = fs::read_to_string(unit).unwrap();
    for option in SECLUDING {
        assert!(!text.lines().any(|line| line.starts_with(option)), "{option}");
    }
}

/// What the agent's three processes do with each right that is left to them. `guard_kernel` tries whether that is
/// enough.
const NEEDED: [(&str, &str); 19] = [
    ("CAP_SYS_ADMIN", "fanotify groups, other mount namespaces, trusted.* attributes"),
    ("CAP_SYS_CHROOT", "setns into other mount namespaces"),
    ("CAP_DAC_OVERRIDE", "files of all users: into the vault and back"),
    ("CAP_DAC_READ_SEARCH", "files of all users: hashing, handles"),
    ("CAP_FOWNER", "O_NOATIME, times and modes of what comes back"),
    ("CAP_CHOWN", "owners of what comes back"),
    ("CAP_FSETID", "set-uid bits of what comes back"),
    ("CAP_SETFCAP", "file capabilities of what comes back"),
    ("CAP_SETUID", "the survey of packages runs as nobody"),
    ("CAP_SETGID", "the survey of packages runs as nobody"),
    ("CAP_KILL", "ending processes that run what is denied"),
    ("CAP_SYS_PTRACE", "what processes of all users run and map"),
    ("CAP_LINUX_IMMUTABLE", "files that are immutable or append-only"),
    ("CAP_LEASE", "read leases on files of others"),
    ("CAP_IPC_LOCK", "the guard's memory stays where it is"),
    ("CAP_SYS_NICE", "guard and warden go first"),
    ("CAP_SYS_RESOURCE", "the limit of open files, spared by the OOM killer"),
    ("CAP_BPF", "the LSM programs"),
    ("CAP_PERFMON", "the LSM programs"),
];

#[test]
fn the_agent_has_the_rights_that_it_needs_and_no_others() {
    let unit = units().into_iter().find(|unit| unit.ends_with("quell-agent.service")).unwrap();
    let text = fs::read_to_string(unit).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).unwrap();
    let left: BTreeSet<&str> = line.split_whitespace().collect();
    for (capability, why) in NEEDED {
        assert!(left.contains(capability), "{capability}: {why}");
    }
    assert_eq!(left.len(), NEEDED.len(), "each has a reason: {left:?}");
    assert!(!text.lines().any(|line| line.starts_with("AmbientCapabilities=")));
}
