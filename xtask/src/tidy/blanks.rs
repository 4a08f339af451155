//! No blanks at line ends, and a line break at the end of the file.

use super::tree::{File, Finding, Tree};

/// By their ending; Markdown breaks lines with blanks, and snapshots are as the program wrote them.
const CODE: &[&str] =
    &[".rs", ".toml", ".proto", ".sql", ".sh", ".js", ".ts", ".css", ".html", ".py", ".yml", ".yaml"];

/// Code files are clean.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| is_code(file)) {
        for (line, number) in file.text.split('\n').zip(1..) {
            if line.ends_with([' ', '\t', '\r']) {
                findings.push(file.finding(number, "blanks at the end of the line", "delete them"));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            findings.push(file.finding(file.text.lines().count(), "the last line has no end", "end it"));
        }
    }
    findings
}

fn is_code(file: &File) -> bool {
    CODE.iter().any(|ending| file.path.ends_with(ending)) || file.text.starts_with("#!/")
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn blanks_are_found_in_code_only() {
        let tree = Tree::of(&[
            ("a.rs", "one\ntwo \n"),
            ("run", "#!/bin/sh\n\t\n"),
            ("b.md", "one  \n"),
            ("c.toml", "a = 1"),
        ]);
        assert_eq!(at(&check(&tree)), ["a.rs:2", "run:2", "c.toml:1"]);
    }
}
