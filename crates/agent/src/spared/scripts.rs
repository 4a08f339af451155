//! Which program runs a script.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// What the kernel reads of the first line.
const LINE: usize = 256;
/// Where `env` looks, as far as a machine is repaired by it.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The interpreter that a script names; with the one that `env` starts for it.
pub(super) fn interpreters(file: &File) -> Vec<PathBuf> {
    let mut head = [0; LINE];
    let length = file.read_at(&mut head, 0).unwrap_or_default();
    named(&head[..length])
}

fn named(head: &[u8]) -> Vec<PathBuf> {
    let line = head.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(line) = line.strip_prefix(b"#!").and_then(|line| std::str::from_utf8(line).ok()) else {
        return Vec::new();
    };
    let mut words = line.split_ascii_whitespace();
    let Some(interpreter) = words.next().map(Path::new).filter(|path| path.is_absolute()) else {
        return Vec::new();
    };
    let mut programs = vec![interpreter.to_owned()];
    if interpreter.file_name().is_some_and(|name| name == "env")
        && let Some(name) = words.find(|word| !word.starts_with('-') && !word.contains('='))
    {
        let paths = PATH.iter().map(|place| Path::new(place).join(name));
        programs.extend(paths.filter(|path| path.exists()));
    }
    programs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_names_it() {
        let first = |line: &str| named(line.as_bytes()).into_iter().next();
        assert_eq!(first("#!/bin/sh\nexit\n"), Some("/bin/sh".into()));
        assert_eq!(first("#! \t/usr/bin/perl -w"), Some("/usr/bin/perl".into()));
        for none in ["", "#!", "#!perl\n", "# !/bin/sh", "\x7fELF", "#!\n/bin/sh\n"] {
            assert_eq!(first(none), None, "{none:?}");
        }
    }

    #[test]
    fn env_is_followed() {
        for line in ["#!/usr/bin/env sh\n", "#!/usr/bin/env -S A=b sh -e\n"] {
            let programs = named(line.as_bytes());
            assert_eq!(programs[0], Path::new("/usr/bin/env"));
            assert!(
                programs[1..].iter().all(|path| path.ends_with("sh")) && programs.len() > 1,
                "{programs:?}"
            );
        }
    }
}
