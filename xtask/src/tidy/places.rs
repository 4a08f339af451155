//! Nothing in the repository knows one person's machine or one network's registries.

use super::tree::{File, Finding, Tree};

/// Directories of the machines that this was written on. Taken apart, or this file would break its own rule.
const DIRECTORIES: &[&str] = &[concat!("/", "work/"), concat!("/", "root/")];

/// Hosts that hand out packages: which ones are asked is the builder's affair.
const HOSTS: &[&str] = &[
    concat!("crates", ".io"),
    concat!("py", "pi.org"),
    concat!("pythonhosted", ".org"),
    concat!("npm", "js.org"),
    concat!("npm", "js.com"),
    concat!("deb.", "debian.org"),
    concat!("security.", "debian.org"),
    concat!("archive.", "ubuntu.com"),
    concat!("proxy.", "golang.org"),
];

/// No text file names them.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for (line, number) in file.text.lines().zip(1..) {
            if let Some(found) = place_in(line).filter(|_| !is_lock_entry(file, line)) {
                let mend =
                    "use a path from the root or a temporary directory; leave registries to the builder";
                findings.push(file.finding(number, format!("names {found}"), mend));
            }
        }
    }
    findings
}

fn place_in(line: &str) -> Option<&'static str> {
    let directory = || DIRECTORIES.iter().copied().find(|directory| is_absolute(line, directory));
    HOSTS.iter().copied().find(|host| line.contains(host)).or_else(directory)
}

/// Whether the directory stands at the head of a path: not in `upper/…` nor in `$HOME/…`.
fn is_absolute(line: &str, directory: &str) -> bool {
    let inside_path =
        |before: char| before.is_alphanumeric() || matches!(before, '_' | '-' | '.' | '}' | ')' | '*');
    line.match_indices(directory)
        .any(|(start, _)| !line[..start].chars().next_back().is_some_and(inside_path))
}

/// The lock file names the registry in a form that cargo prescribes.
fn is_lock_entry(file: &File, line: &str) -> bool {
    let registry = concat!("source = \"registry+https://github.com/rust-lang/crates", ".io-index\"");
    file.path.ends_with("Cargo.lock") && line == registry
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn places_of_one_machine_are_found() {
        let at_work = format!("cd {}main\n", DIRECTORIES[0]);
        let inside = "overlay/work/dir and ${TEMP}/root/x\n";
        let tree = Tree::of(&[("a.sh", &at_work), ("b.sh", inside)]);
        assert_eq!(at(&check(&tree)), ["a.sh:1"]);
    }

    #[test]
    fn registries_are_found_but_in_the_lock_file() {
        let source = format!("source = \"registry+https://github.com/rust-lang/{}-index\"\n", HOSTS[0]);
        let mirror = format!("source = \"registry+https://mirror/{}-index\"\n", HOSTS[0]);
        let tree = Tree::of(&[("Cargo.lock", &source), ("fuzz/Cargo.lock", &mirror), ("docs/x.md", &source)]);
        assert_eq!(at(&check(&tree)), ["fuzz/Cargo.lock:1", "docs/x.md:1"]);
    }
}
