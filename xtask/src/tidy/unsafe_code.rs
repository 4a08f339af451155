//! `unsafe` only in `sys`: an auditor reads one folder.

use super::source::has_word;
use super::tree::{File, Finding, Tree};

const HOME: &str = "crates/sys/";
const FORBID: &str = "#![forbid(unsafe_code)]";

/// No `unsafe` elsewhere, not in tests either, and every other crate forbids it at its head.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust() && !file.under(&[HOME])) {
        if is_root(file) && !file.lines.iter().any(|line| line.code.trim() == FORBID) {
            findings.push(file.finding(
                1,
                "this crate does not forbid unsafe code",
                format!("write {FORBID} at its head"),
            ));
        }
        for line in file.lines.iter().filter(|line| has_word(&line.code, "unsafe")) {
            let mend = "give crates/sys a safe function for it, with a SAFETY comment that states facts";
            findings.push(file.finding(line.number, "unsafe code outside of crates/sys", mend));
        }
    }
    findings
}

/// Whether the file is the root of a package's library or program.
fn is_root(file: &File) -> bool {
    file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs")
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn only_sys_may() {
        let tree = Tree::of(&[
            ("crates/agent/src/lib.rs", "//! Agent.\n#![forbid(unsafe_code)]\n"),
            ("crates/agent/src/guard.rs", "// unsafe to say\nfn f() { unsafe { g() } }\n"),
            ("crates/model/src/lib.rs", "//! Model.\n"),
            ("crates/sys/src/lib.rs", "fn f() { unsafe { g() } }\n"),
        ]);
        assert_eq!(at(&check(&tree)), ["crates/agent/src/guard.rs:2", "crates/model/src/lib.rs:1"]);
    }
}
