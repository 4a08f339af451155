//! Programs that execute what they read.

use std::os::unix::fs::MetadataExt;

use sys::bpf::{Copy, kernel_device};

/// Their names, without versions: python3.11 is python. Whoever gives a copy another name is not known by it.
pub(super) const NAMES: &[&str] = &[
    "ash", "bash", "bun", "busybox", "csh", "dash", "deno", "fish", "ksh", "lua", "luajit", "mksh", "node",
    "nodejs", "perl", "php", "pypy", "python", "rbash", "ruby", "sh", "tclsh", "tcsh", "zsh",
];

/// Those that run already. On filesystems that tell `stat` another device than the kernel knows (btrfs) they are not
/// known before their next exec.
pub(super) fn running() -> Vec<Copy> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found: Vec<(u64, u64)> = processes
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
        .filter_map(|entry| {
            let program = entry.path().join("exe");
            let path = std::fs::read_link(&program).ok()?;
            let name = path.file_name()?.to_str()?;
            is_interpreter(name).then(|| std::fs::metadata(program).ok())?
        })
        .map(|stat| (kernel_device(stat.dev()), stat.ino()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(|(device, inode)| Copy { device, inode }).collect()
}

/// As the programs in the kernel tell.
fn is_interpreter(name: &str) -> bool {
    let end = name.find(|c: char| c.is_ascii_digit() || c == '.' || c == '-').unwrap_or(name.len());
    NAMES.contains(&&name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_do_not_matter() {
        assert!(["sh", "python3.11", "php-fpm8.2", "lua5.4", "perl"].iter().all(|name| is_interpreter(name)));
        assert!(!["shred", "pythons", "cat", ""].iter().any(|name| is_interpreter(name)));
        assert!(NAMES.iter().all(|name| name.len() < 16), "the kernel's map has room for so much");
    }
}
