//! Programs that execute what they read.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// Their names, without versions: python3.11 is python. Whoever gives a copy another name is not known by it.
pub(super) const NAMES: &[&str] = &[
    "ash", "bash", "bun", "busybox", "csh", "dash", "deno", "fish", "ksh", "lua", "luajit", "mksh", "node",
    "nodejs", "perl", "php", "pypy", "python", "rbash", "ruby", "sh", "tclsh", "tcsh", "zsh",
];

/// Those that run already: each program once, by a process that runs it.
pub(super) fn running() -> Vec<PathBuf> {
    let Ok(processes) = std::fs::read_dir("/proc") else { return Vec::new() };
    let mut found = BTreeMap::new();
    let ids = processes
        .flatten()
        .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit));
    for program in ids.map(|entry| entry.path().join("exe")) {
        let Ok(path) = std::fs::read_link(&program) else { continue };
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(is_interpreter)
            && let Ok(stat) = std::fs::metadata(&program)
        {
            found.insert((stat.dev(), stat.ino()), program);
        }
    }
    found.into_values().collect()
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
