//! The map of the house names what exists.

use super::tree::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";
const LANDS: &[&str] = &["crates/", "tests/", "xtask/", "docs/"];

/// Every path in backticks is a file or a directory.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let Some(map) = tree.files.iter().find(|file| file.path == MAP) else {
        let what = "there is no map of the house".to_owned();
        return vec![Finding { path: MAP.to_owned(), line: 1, what, mend: "write it".to_owned() }];
    };
    let mut findings = Vec::new();
    for (line, number) in map.text.lines().zip(1..) {
        // Every second part between backticks is quoted.
        for quoted in line.split('`').skip(1).step_by(2).filter(|quoted| is_path(quoted)) {
            for path in alternatives(quoted).iter().filter(|path| !exists(tree, path)) {
                let what = format!("`{path}` does not exist");
                findings.push(map.finding(
                    number,
                    what,
                    "name what is there, or say in words what is planned",
                ));
            }
        }
    }
    findings
}

fn is_path(quoted: &str) -> bool {
    LANDS.iter().any(|land| quoted.starts_with(land)) && !quoted.contains(char::is_whitespace)
}

/// `a/{b,c}/d` stands for `a/b/d` and `a/c/d`.
fn alternatives(quoted: &str) -> Vec<String> {
    let Some((head, rest)) = quoted.split_once('{') else { return vec![quoted.to_owned()] };
    let Some((choices, tail)) = rest.split_once('}') else { return vec![quoted.to_owned()] };
    choices.split(',').flat_map(|choice| alternatives(&format!("{head}{}{tail}", choice.trim()))).collect()
}

/// Up to a wildcard, a placeholder, an item's name or a line number, the path leads somewhere.
fn exists(tree: &Tree, path: &str) -> bool {
    match path.find(['*', '<', '…']) {
        Some(end) => tree.files.iter().any(|file| file.path.starts_with(&path[..end])),
        None => tree.has(path.split(':').next().unwrap_or(path).trim_end_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (MAP, text),
            ("crates/model/src/file.rs", ""),
            ("crates/server/src/store/sqlite.rs", ""),
            ("crates/server/src/store/pg.rs", ""),
        ]);
        check(&tree).into_iter().map(|finding| format!("{}: {}", finding.line, finding.what)).collect()
    }

    #[test]
    fn paths_in_backticks_exist() {
        assert!(
            found("`crates/model/`, `crates/model/src/file.rs:12`, `model::file`, `crates/*/src`\n")
                .is_empty()
        );
        assert_eq!(found("one\n`crates/gone/` and crates/other\n"), ["2: `crates/gone/` does not exist"]);
    }

    #[test]
    fn braces_stand_for_each_of_them() {
        assert!(found("`crates/server/src/store/{sqlite,pg}.rs`").is_empty());
        assert_eq!(found("`crates/server/src/store/{sqlite,lsm}.rs`").len(), 1);
    }

    #[test]
    fn a_house_has_a_map() {
        assert_eq!(check(&Tree::of(&[]))[0].path, MAP);
    }
}
