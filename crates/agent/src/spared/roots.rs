//! Where the spared set begins.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::packages::{Chosen, Packages};
use super::{linked, names};

/// Where a program without a directory may lie.
const BIN: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// A path and why it is wanted.
type Root = (PathBuf, String);

/// The programs whose loss would leave nobody a way in, or none to repair the machine, as far as they are on it, and
/// all that these need.
pub(super) fn wanted(packages: &Packages, own: Option<&Path>) -> linked::Wanted {
    let own = own.map(|own| (own.to_owned(), "Quell".to_owned()));
    let mut roots: Vec<Root> = own.into_iter().chain(named()).chain(shells()).chain(startup()).collect();
    roots.extend(
        linked::libraries(&words(names::LOADED))
            .into_iter()
            .map(|path| (path, "loaded while programs run".to_owned())),
    );
    roots.extend(hooks());
    roots.extend(programs(packages.files(&Chosen::new(&words(names::DPKG), &words(names::RPM)))));
    let found = linked::closure(roots.iter().cloned());
    let is_python =
        |path: &Path| path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"python3"));
    if !found.keys().any(|path| is_python(path)) {
        return found;
    }
    roots.extend(programs(packages.files(&Chosen::new(&words(names::PYTHON.0), &words(names::PYTHON.1)))));
    linked::closure(roots)
}

fn words(list: &str) -> Vec<&str> {
    list.split_ascii_whitespace().collect()
}

fn named() -> Vec<Root> {
    let mut found = Vec::new();
    for (why, patterns) in names::PROGRAMS {
        for pattern in patterns.split_ascii_whitespace() {
            let places = if pattern.starts_with('/') { &[""][..] } else { &BIN };
            for place in places {
                let slash = if place.is_empty() { "" } else { "/" };
                let paths = glob::glob(&format!("{place}{slash}{pattern}"));
                let paths = paths.into_iter().flatten().flatten();
                found.extend(paths.map(|path| (path, (*why).to_owned())));
            }
        }
    }
    found
}

/// Those that may be chosen, and those that users have.
fn shells() -> Vec<Root> {
    let shells = fs::read_to_string("/etc/shells").unwrap_or_default();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = shells.lines().map(str::trim);
    let had = users.lines().filter_map(|line| line.rsplit(':').next());
    let paths: BTreeSet<_> = ["/bin/sh", "/bin/bash"].into_iter().chain(listed).chain(had).collect();
    let paths = paths.into_iter().filter(|path| path.starts_with('/'));
    paths.map(|path| (PathBuf::from(path), "login shell".to_owned())).collect()
}

/// What the login shell of root reads.
fn startup() -> Vec<Root> {
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let homes = users.lines().filter_map(|line| {
        let fields: Vec<_> = line.split(':').collect();
        (fields.get(2) == Some(&"0")).then(|| fields.get(5).copied()).flatten()
    });
    let files = homes
        .filter(|home| home.starts_with('/'))
        .flat_map(|home| [".profile", ".bash_profile", ".bashrc"].map(|name| Path::new(home).join(name)));
    files.map(|path| (path, "what the login shell of root reads".to_owned())).collect()
}

/// Programs that apt runs before and after each of its own steps: it fails where they do.
fn hooks() -> Vec<Root> {
    let files = fs::read_dir("/etc/apt/apt.conf.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let texts = files.chain(["/etc/apt/apt.conf".into()]).filter_map(|file| fs::read_to_string(file).ok());
    let mut found = Vec::new();
    for text in texts {
        let is_end = |letter: char| letter.is_whitespace() || "\"';|&(){}<>=,".contains(letter);
        let paths = text.split(is_end).filter(|word| word.starts_with('/')).map(PathBuf::from);
        found.extend(paths.filter(|path| path.is_file()).map(|path| (path, "hook of apt".to_owned())));
    }
    programs(found)
}

/// Those that can be executed or loaded, by what they begin with.
fn programs(files: Vec<Root>) -> Vec<Root> {
    let is_program = |path: &Path| {
        // Looked at first: opening a pipe would wait for somebody.
        let file = if path.is_file() { File::open(path).ok() } else { None };
        let Some(file) = file else { return false };
        let mut head = [0; 4];
        let length = file.read_at(&mut head, 0).unwrap_or_default();
        head[..length].starts_with(b"\x7fELF") || head[..length].starts_with(b"#!")
    };
    files.into_iter().filter(|(path, _)| is_program(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        let (dpkg, rpm) = names::PYTHON;
        let lists = names::PROGRAMS.iter().map(|(_, patterns)| *patterns);
        for list in lists.chain([names::LOADED, names::DPKG, names::RPM, dpkg, rpm]) {
            for pattern in words(list) {
                glob::Pattern::new(pattern).unwrap();
            }
        }
    }

    #[test]
    fn only_what_can_run_is_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            fs::write(dir.path().join(name), text).unwrap();
            (dir.path().join(name), name.to_owned())
        };
        let files = vec![
            file("elf", b"\x7fELF"),
            file("script", b"#!/bin/sh"),
            file("text", b"text"),
            file("empty", b""),
            (dir.path().to_owned(), "directory".to_owned()),
        ];
        let kept: Vec<_> = programs(files).into_iter().map(|(_, name)| name).collect();
        assert_eq!(kept, ["elf", "script"]);
    }
}
