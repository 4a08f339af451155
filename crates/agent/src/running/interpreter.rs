//! The programs that run scripts.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Programs that run what they are given. An editor that shows a script does not run it, and awk is mostly given
/// its program as text and data as files: it counts only where a copy names it.
const KNOWN: [&str; 24] = [
    "ash", "bash", "busybox", "csh", "dash", "deno", "expect", "fish", "ksh", "lua", "luajit", "mksh",
    "node", "nodejs", "perl", "php", "pypy", "python", "ruby", "sh", "tclsh", "tcsh", "yash", "zsh",
];

/// An interpreter by its name, without directory and version: `python` for `/usr/bin/python3.11`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Interpreter(Vec<u8>);

impl Interpreter {
    /// The one that a file names in its first line.
    pub(crate) fn of(script: &File) -> Option<Self> {
        let mut head = [0; 256];
        let length = script.read_at(&mut head, 0).ok()?;
        named_in(&head[..length])
    }

    /// The one that a process's program is.
    pub(crate) fn program(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().as_bytes();
        let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
        let end = name.iter().rposition(|byte| !(byte.is_ascii_digit() || b".-".contains(byte)));
        Self(name[..end.map_or(0, |end| end + 1)].to_vec())
    }

    /// Whether it runs scripts: it is known to, or a copy of the file names it.
    pub(crate) fn runs_scripts(&self, named: &HashSet<Self>) -> bool {
        self.is_meant_by(named) || KNOWN.iter().any(|known| known.as_bytes() == self.0)
    }

    /// Whether it is one of those that copies name. `sh` is a link to some shell.
    pub(crate) fn is_meant_by(&self, named: &HashSet<Self>) -> bool {
        named.contains(self) || (self.is_shell() && named.iter().any(Self::is_shell))
    }

    /// Whether it may have its script open while it runs it. Those that are known to read and close it only have
    /// files open that they read for their users, and they are no reason to stop anybody.
    pub(crate) fn may_hold_its_script(&self) -> bool {
        const READ_AND_CLOSED: [&str; 7] = ["deno", "lua", "luajit", "node", "nodejs", "pypy", "python"];
        READ_AND_CLOSED.iter().all(|name| name.as_bytes() != self.0)
    }

    /// Whether it keeps the script open while it runs it, under a number of its own.
    pub(crate) fn is_shell(&self) -> bool {
        self.0.ends_with(b"sh")
    }
}

fn named_in(head: &[u8]) -> Option<Interpreter> {
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    let path = words.next()?;
    let program = |word: &[u8]| Interpreter::program(Path::new(OsStr::from_bytes(word)));
    if program(path).0 != b"env" {
        return Some(program(path));
    }
    // `#!/usr/bin/env -S NAME=value python3 -u`
    words.find(|word| !word.starts_with(b"-") && !word.contains(&b'=')).map(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(path: &str) -> Interpreter {
        Interpreter::program(Path::new(path))
    }

    #[test]
    fn interpreters_have_versions() {
        let none = HashSet::new();
        for name in ["/bin/sh", "/usr/bin/python3.11", "python3", "perl5.36.0", "bash (deleted)", "lua5.4"] {
            assert!(program(name).runs_scripts(&none), "{name}");
        }
        for name in ["/bin/cat", "vim", "gawk", "sshd", "/", "3.11", "less (deleted)"] {
            assert!(!program(name).runs_scripts(&none), "{name}");
        }
    }

    #[test]
    fn a_script_names_its_interpreter() {
        let cases = [
            ("#!/bin/sh\n", Some("sh")),
            ("#! /opt/odd/rscript --vanilla\nx", Some("rscript")),
            ("#!/usr/bin/env python3\n", Some("python")),
            ("#!/usr/bin/env -S A=b python3 -u\n", Some("python")),
            ("#!/usr/bin/env\n", None),
            ("#!\n", None),
            ("\u{7f}ELF", None),
        ];
        for (text, name) in cases {
            assert_eq!(named_in(text.as_bytes()), name.map(program), "{text}");
        }
    }

    #[test]
    fn who_closes_a_script_at_once_is_not_known_by_what_it_has_open() {
        assert!(!program("/usr/bin/python3.11").may_hold_its_script());
        assert!(program("/bin/bash").may_hold_its_script() && program("perl5.36").may_hold_its_script());
    }

    #[test]
    fn a_shell_may_stand_for_another() {
        let named = HashSet::from([program("/bin/sh"), program("/opt/odd")]);
        assert!(program("/bin/dash").is_meant_by(&named));
        assert!(program("odd").runs_scripts(&named));
        assert!(!program("python3").is_meant_by(&named));
    }
}
