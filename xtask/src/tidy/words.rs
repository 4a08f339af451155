//! Words that do not belong into a finished house.

use super::source::Line;
use super::tree::{File, Finding, Tree};

const UNFINISHED: &[&str] = &["todo!", "unimplemented!", "dbg!"];
const PRINTERS: &[&str] = &["println!", "eprintln!", "print!", "eprint!"];
/// Where a person reads what is printed, or cargo does.
const SPEAKERS: &[&str] = &["crates/quell/", "xtask/", "tests/", "fuzz/"];

/// Nothing unfinished, nothing ignored without a reason, and no printing from libraries.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| file.is_rust()) {
        findings.extend(file.lines.iter().filter_map(|line| look(file, line)));
    }
    findings
}

fn look(file: &File, line: &Line) -> Option<Finding> {
    let has = |word: &&&str| has_macro(&line.code, word);
    if let Some(word) = UNFINISHED.iter().find(has) {
        return Some(file.finding(
            line.number,
            format!("{word} is unfinished work"),
            "finish it, or leave it out",
        ));
    }
    if line.code.contains("#[ignore]") {
        let mend = "write #[ignore = \"the reason, with an issue\"]";
        return Some(file.finding(line.number, "a test is ignored without a reason", mend));
    }
    let may_print = line.test || file.is_test() || file.under(SPEAKERS) || file.path.ends_with("/build.rs");
    let word = PRINTERS.iter().find(has).filter(|_| !may_print)?;
    Some(file.finding(
        line.number,
        format!("{word} in a library"),
        "use tracing, or return it to crates/quell",
    ))
}

/// Whether the macro is called: `println!` is no call of `print!`, nor `eprintln!` of `println!`.
fn has_macro(code: &str, word: &str) -> bool {
    let part_of_name = |before: char| before.is_alphanumeric() || before == '_';
    code.match_indices(word).any(|(start, _)| !code[..start].chars().next_back().is_some_and(part_of_name))
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn unfinished_work_is_found_everywhere() {
        let tree = Tree::of(&[
            ("crates/agent/src/a.rs", "fn f() { todo!() }\n// todo!\n"),
            ("tests/x.rs", "dbg!(1);\n"),
        ]);
        assert_eq!(at(&check(&tree)), ["crates/agent/src/a.rs:1", "tests/x.rs:1"]);
    }

    #[test]
    fn ignoring_needs_a_reason() {
        let tree = Tree::of(&[("tests/x.rs", "#[ignore]\nfn a() {}\n#[ignore = \"#7\"]\nfn b() {}\n")]);
        assert_eq!(at(&check(&tree)), ["tests/x.rs:1"]);
    }

    #[test]
    fn libraries_do_not_print() {
        let text = "fn f() { eprintln!(\"x\") }\n#[cfg(test)]\nmod tests { fn g() { println!() } }\n";
        let tree = Tree::of(&[("crates/agent/src/a.rs", text), ("crates/quell/src/main.rs", text)]);
        let findings = check(&tree);
        assert_eq!(at(&findings), ["crates/agent/src/a.rs:1"]);
        assert_eq!(findings[0].what, "eprintln! in a library");
    }
}
