//! The files of the repository, as the checks see them.

use std::fmt;

use anyhow::{Context, Result, bail};

use super::source::{Line, lines};
use crate::house::House;

/// All text files that are tracked or would be.
pub(super) struct Tree {
    /// In the order of their paths.
    pub(super) files: Vec<File>,
}

/// A text file.
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    /// As it stands.
    pub(super) text: String,
    /// Its lines, for a Rust file; else nothing.
    pub(super) lines: Vec<Line>,
}

impl Tree {
    /// Reads what git knows of; files that are no text are left out.
    pub(super) fn load(house: &House) -> Result<Self> {
        let mut git = house.command("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
        let listed = git.output().context("cannot start git")?;
        if !listed.status.success() {
            bail!("git ls-files failed: {}", String::from_utf8_lossy(&listed.stderr).trim());
        }
        let listed = String::from_utf8_lossy(&listed.stdout);
        let mut paths: Vec<&str> = listed.split('\0').filter(|path| !path.is_empty()).collect();
        paths.sort_unstable();
        paths.dedup();
        let read = |path: &str| Some(File::new(path, std::fs::read_to_string(house.root().join(path)).ok()?));
        Ok(Self { files: paths.into_iter().filter_map(read).collect() })
    }

    /// A made-up tree.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        Self { files: files.iter().map(|(path, text)| File::new(path, (*text).to_owned())).collect() }
    }

    /// The Rust files that are shipped or build what is shipped.
    pub(super) fn shipped(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust() && file.is_shipped())
    }

    /// Whether a file or a directory of this path exists.
    pub(super) fn has(&self, path: &str) -> bool {
        self.files.iter().any(|file| match file.path.strip_prefix(path) {
            Some(rest) => rest.is_empty() || rest.starts_with('/'),
            None => false,
        })
    }
}

impl File {
    fn new(path: &str, text: String) -> Self {
        let lines = if path.ends_with(".rs") { lines(&text) } else { Vec::new() };
        Self { path: path.to_owned(), text, lines }
    }

    /// Whether it is Rust source.
    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether its path starts with one of these.
    pub(super) fn under(&self, homes: &[&str]) -> bool {
        homes.iter().any(|home| self.path.starts_with(home))
    }

    /// Whether it is under crates/ and no test by its path.
    fn is_shipped(&self) -> bool {
        self.path.starts_with("crates/") && !self.is_test()
    }

    /// Whether it is a test by its path.
    pub(super) fn is_test(&self) -> bool {
        let inner = ["/tests/", "/benches/", "/examples/"];
        self.under(&["tests/", "fuzz/"])
            || inner.iter().any(|directory| self.path.contains(directory))
            || ["/tests.rs", "_test.rs", "_tests.rs"].iter().any(|name| self.path.ends_with(name))
    }

    /// The lines that are no inline test.
    pub(super) fn shipped_lines(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| !line.test)
    }

    /// A finding in this file.
    pub(super) fn finding(&self, line: usize, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), mend: mend.into() }
    }

    /// The number of the first line that holds `needle`, else 1.
    pub(super) fn line_of(&self, needle: impl Fn(&str) -> bool) -> usize {
        self.text.lines().position(needle).map_or(1, |index| index + 1)
    }
}

/// A rule broken at a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// Of the file, from the root.
    pub(super) path: String,
    /// From 1.
    pub(super) line: usize,
    /// What is wrong.
    pub(super) what: String,
    /// What to do about it.
    pub(super) mend: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {} -- {}", self.path, self.line, self.what, self.mend)
    }
}

/// The places of findings as `path:line`, for tests.
#[cfg(test)]
pub(super) fn at(findings: &[Finding]) -> Vec<String> {
    findings.iter().map(|finding| format!("{}:{}", finding.path, finding.line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_exist_by_their_files() {
        let tree = Tree::of(&[("crates/model/src/lib.rs", "")]);
        assert!(tree.has("crates/model") && tree.has("crates/model/src/lib.rs"));
        assert!(!tree.has("crates/mod") && !tree.has("crates/wire"));
    }

    #[test]
    fn tests_are_known_by_their_path() {
        let tests = [
            "tests/src/lib.rs",
            "crates/a/tests/x.rs",
            "crates/a/src/b/tests.rs",
            "crates/a/src/b_tests.rs",
            "fuzz/x.rs",
        ];
        assert!(tests.iter().all(|path| File::new(path, String::new()).is_test()));
        assert!(!File::new("crates/a/src/contest.rs", String::new()).is_test());
    }

    #[test]
    fn a_finding_says_where_what_and_how_to_mend() {
        let file = File::new("a.rs", String::new());
        assert_eq!(file.finding(7, "it is red", "paint it").to_string(), "a.rs:7: it is red -- paint it");
    }
}
