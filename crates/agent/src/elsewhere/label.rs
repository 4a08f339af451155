//! What a mount namespace is called in paths: after the container whose processes are in it, as their cgroups tell, or
//! else by its number.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use sys::mounts::Namespace;

use super::{CONTAINER, NAMESPACE};

/// Whoever has been given a name keeps it for as long as it is there.
static NAMES: Mutex<BTreeMap<u64, String>> = Mutex::new(BTreeMap::new());
/// A process that was seen in a namespace, by which it is found at once.
static PROCESSES: Mutex<BTreeMap<u64, i32>> = Mutex::new(BTreeMap::new());

/// As many processes of one namespace are asked which container they are of.
const ASKED: usize = 16;
/// A name that a container's maker has given it is cut at this length.
const LONGEST: usize = 64;
/// Digits of a container's id, as their tools show it.
const DIGITS: usize = 12;

/// The processes of the machine by their mount namespace, as they were at one time.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// By the number that /proc shows: the processes, and the container that they say they are of.
    namespaces: BTreeMap<u64, (Vec<i32>, Option<String>)>,
    /// The namespace of a container's first process; others are made inside.
    main: BTreeMap<String, u64>,
}

impl Census {
    pub(super) fn take() -> Self {
        let own =
            std::fs::metadata("/proc/self/ns/mnt").map(|stat| std::os::unix::fs::MetadataExt::ino(&stat));
        let mut all: Vec<i32> = sys::processes::all().collect();
        all.sort_unstable();
        let mut census = Self::default();
        for pid in all {
            // Processes end while they are looked at.
            let Ok(stat) = rustix::fs::stat(format!("/proc/{pid}/ns/mnt").as_str()) else { continue };
            if own.as_ref().is_ok_and(|own| *own == stat.st_ino) {
                continue;
            }
            let (pids, container) = census.namespaces.entry(stat.st_ino).or_default();
            if pids.len() >= ASKED {
                continue;
            }
            pids.push(pid);
            if container.is_none() {
                let cgroup = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
                container.clone_from(&self::container(&cgroup));
            }
            if let Some(container) = container {
                census.main.entry(container.clone()).or_insert(stat.st_ino);
            }
        }
        census
    }
}

/// What the namespace is called. The census is taken when it is needed.
pub(super) fn of(namespace: &Namespace, census: &mut Option<Census>) -> String {
    if let Some(name) = NAMES.lock().get(&namespace.id) {
        return name.clone();
    }
    let census = census.get_or_insert_with(Census::take);
    let (pids, container) = census.namespaces.get(&namespace.inode).cloned().unwrap_or_default();
    if let Some(pid) = pids.first() {
        PROCESSES.lock().insert(namespace.id, *pid);
    }
    let mut names = NAMES.lock();
    let plain = container.as_ref().map(|container| format!("{CONTAINER}{container}"));
    let is_main = container.is_some_and(|container| census.main.get(&container) == Some(&namespace.inode));
    let name = match plain {
        Some(plain) if is_main && !names.values().any(|taken| *taken == plain) => plain,
        Some(plain) => format!("{plain}+{}", namespace.inode),
        None => format!("{NAMESPACE}{}", namespace.inode),
    };
    names.insert(namespace.id, name.clone());
    name
}

/// A process that was seen in a namespace.
pub(super) fn process_in(namespace: u64) -> Option<i32> {
    PROCESSES.lock().get(&namespace).copied()
}

/// Forgets all but these namespaces.
pub(super) fn keep(namespaces: &BTreeSet<u64>) {
    NAMES.lock().retain(|id, _| namespaces.contains(id));
    PROCESSES.lock().retain(|id, _| namespaces.contains(id));
}

/// The container that a process is of, by the text of its `cgroup` in /proc. What a container's own processes make lies
/// below its cgroup, so that the first name counts; and users have theirs below their own, so that none can pass for a
/// container of somebody else.
fn container(text: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let mut user = String::new();
        let mut before = "";
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let number = name.strip_prefix("user-").and_then(|rest| rest.strip_suffix(".slice"));
            if let Some(number) = number.filter(|number| number.parse::<u32>().is_ok()) {
                user = format!("@{number}");
            }
            if let Some(container) = named(before, name) {
                return Some(container + &user);
            }
            before = name;
        }
        None
    })
}

/// The container that a cgroup of this name is, below one of the name `before`.
fn named(before: &str, name: &str) -> Option<String> {
    let scope = name.strip_suffix(".scope");
    for maker in ["docker-", "cri-containerd-", "crio-", "libpod-"] {
        if let Some(id) = scope.unwrap_or(name).strip_prefix(maker).and_then(id) {
            return Some(format!("{maker}{id}"));
        }
    }
    if let Some(id) = id(name) {
        let maker = if before == "docker" { "docker" } else { "id" };
        return Some(format!("{maker}-{id}"));
    }
    if let Some(machine) = scope.and_then(|scope| scope.strip_prefix("machine-")) {
        return Some(format!("machine-{}", printable(&machine.replace("\\x2d", "-"))));
    }
    let lxc = name.strip_prefix("lxc.payload.").or_else(|| (before == "lxc").then_some(name))?;
    Some(format!("lxc-{}", printable(lxc)))
}

/// The beginning of what is a container's whole id.
fn id(name: &str) -> Option<&str> {
    let is_id = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then(|| &name[..DIGITS])
}

/// Names are chosen by others, and stand in paths.
fn printable(name: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    name.chars().take(LONGEST).map(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_of_every_maker() {
        let id = "0123456789abcdef".repeat(4);
        let cases = [
            (format!("0::/system.slice/docker-{id}.scope"), Some("docker-0123456789ab")),
            (format!("0::/docker/{id}"), Some("docker-0123456789ab")),
            (format!("0::/docker/{id}/docker-{}.scope", "f".repeat(64)), Some("docker-0123456789ab")),
            (
                format!("0::/kubepods.slice/kubepods-burstable.slice/x/cri-containerd-{id}.scope"),
                Some("cri-containerd-0123456789ab"),
            ),
            (format!("0::/kubepods/besteffort/pod1-2/{id}"), Some("id-0123456789ab")),
            (format!("0::/kubepods.slice/crio-{id}.scope/container"), Some("crio-0123456789ab")),
            (format!("0::/machine.slice/libpod-{id}.scope/container"), Some("libpod-0123456789ab")),
            (format!("0::/machine.slice/libpod-conmon-{id}.scope"), None),
            (
                format!("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{id}.scope"),
                Some("libpod-0123456789ab@1000"),
            ),
            ("0::/lxc.payload.web/init.scope".to_owned(), Some("lxc-web")),
            ("12:memory:/lxc/we b\n0::/".to_owned(), Some("lxc-we_b")),
            ("0::/machine.slice/machine-deb\\x2d12.scope/payload".to_owned(), Some("machine-deb-12")),
            ("0::/system.slice/ssh.service".to_owned(), None),
            ("0::/user.slice/user-1000.slice/session-2.scope".to_owned(), None),
            (format!("0::/system.slice/docker-{}.scope", &id[1..]), None),
            ("no such line".to_owned(), None),
            (String::new(), None),
        ];
        for (text, expected) in cases {
            assert_eq!(container(&text).as_deref(), expected, "{text}");
        }
        let long = container(&format!("0::/lxc/{}", "x".repeat(300))).unwrap();
        assert_eq!(long.len(), LONGEST + 4);
    }
}
