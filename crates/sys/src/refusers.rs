//! Who can refuse what other processes do: holders of a fanotify group that answers questions, and of programs
//! for the kernel's security hooks.
//!
//! Read from `/proc/PID/fd` and `/proc/PID/fdinfo` alone. Nothing is opened that could ask or wait. What has no
//! process any more (a program that is pinned in a filesystem) is not seen.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;

use crate::processes;

/// By what a process can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Means {
    /// It is asked before a file is opened, read or executed.
    Fanotify,
    /// It has loaded a BPF program for the kernel's security hooks.
    Lsm,
}

/// A process that can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refuser {
    /// The process.
    pub pid: i32,
    /// By what.
    pub means: Means,
}

/// Those that run now, by process. Init is left out: it keeps descriptors for services, and has programs of its
/// own for what their units say.
///
/// Costs a `readlink` for each open descriptor on the machine.
pub fn all() -> Vec<Refuser> {
    let mut found: Vec<Refuser> = processes::all()
        .filter(|pid| *pid != 1)
        .flat_map(|pid| means(pid).into_iter().map(move |means| Refuser { pid, means }))
        .collect();
    found.sort();
    found
}

fn means(pid: i32) -> Vec<Means> {
    let mut found = Vec::new();
    for descriptor in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
        let Ok(behind) = fs::read_link(descriptor.path()) else { continue };
        let means = match behind.as_os_str().as_bytes() {
            b"anon_inode:[fanotify]" => Means::Fanotify,
            b"anon_inode:bpf-prog" => Means::Lsm,
            _ => continue,
        };
        if !found.contains(&means) && can_refuse(pid, descriptor.file_name(), means) {
            found.push(means);
        }
    }
    found
}

fn can_refuse(pid: i32, descriptor: OsString, means: Means) -> bool {
    let path = format!("/proc/{pid}/fdinfo/{}", descriptor.to_string_lossy());
    let Ok(file) = fs::File::open(path) else { return false };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    match means {
        Means::Fanotify => answers(lines),
        Means::Lsm => is_for_security_hooks(lines),
    }
}

/// Whether a fanotify group is asked about anything. Read only as far as that needs: whoever marks each directory
/// by itself has as many lines.
fn answers(lines: impl Iterator<Item = String>) -> bool {
    /// `FAN_CLASS_CONTENT` and `FAN_CLASS_PRE_CONTENT`: no other group may answer.
    const CLASSES: u64 = 0x4 | 0x8;
    /// `FAN_OPEN_PERM`, `FAN_ACCESS_PERM`, `FAN_OPEN_EXEC_PERM`, `FAN_PRE_ACCESS`.
    const QUESTIONS: u64 = 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x10_0000;

    for line in lines {
        let field = |name: &str| {
            let value = line.split(' ').find_map(|field| field.strip_prefix(name));
            value.and_then(|value| u64::from_str_radix(value, 16).ok())
        };
        if !line.starts_with("fanotify ") {
            continue;
        }
        if field("flags:").is_some_and(|flags| flags & CLASSES == 0) {
            return false;
        }
        if field("mask:").is_some_and(|mask| mask & QUESTIONS != 0) {
            return true;
        }
    }
    false
}

fn is_for_security_hooks(mut lines: impl Iterator<Item = String>) -> bool {
    /// `BPF_PROG_TYPE_LSM`.
    const LSM: &str = "29";
    lines.find_map(|line| line.strip_prefix("prog_type:").map(|value| value.trim() == LSM)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> impl Iterator<Item = String> {
        text.lines().map(str::to_owned)
    }

    #[test]
    fn only_a_group_that_is_asked_can_refuse() {
        let head = "pos:\t0\nflags:\t02\nmnt_id:\t17\nino:\t1038\n";
        let with = |rest: &str| answers(lines(&format!("{head}{rest}")));
        let group = "fanotify flags:7 event-flags:c8000\n";
        assert!(with(&format!("{group}fanotify mnt_id:3f mflags:0 mask:50000 ignored_mask:0\n")));
        assert!(with(&format!(
            "{group}fanotify ino:2 sdev:7 mflags:0 mask:8 ignored_mask:0 fhandle-bytes:8\nfanotify sdev:800013 mflags:0 mask:40000 ignored_mask:0\n"
        )));
        assert!(!with(group), "it asks about nothing yet");
        assert!(!with(&format!("{group}fanotify sdev:7 mflags:0 mask:3b ignored_mask:40000\n")));
        let told = "fanotify flags:3 event-flags:8000\nfanotify sdev:7 mflags:0 mask:40000 ignored_mask:0\n";
        assert!(!with(told), "it is told, not asked");
        assert!(!answers(lines("")));
    }

    #[test]
    fn only_programs_for_security_hooks_count() {
        assert!(is_for_security_hooks(lines("pos:\t0\nprog_type:\t29\nprog_jited:\t1\n")));
        assert!(!is_for_security_hooks(lines("pos:\t0\nprog_type:\t26\n")));
        assert!(!is_for_security_hooks(lines("")));
    }

    #[test]
    fn this_process_refuses_nothing() {
        let own = std::process::id().cast_signed();
        assert!(all().iter().all(|refuser| refuser.pid != own && refuser.pid != 1));
    }
}
