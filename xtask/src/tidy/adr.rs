//! Decisions are numbered without gaps, so that one can be pointed at and none is lost.

use super::tree::{Finding, Tree};

const DIRECTORY: &str = "docs/adr/";

/// Files in docs/adr are `NNNN-title.md`, from 0001 without a gap or a double.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut expected = 1;
    for file in &tree.files {
        let Some(name) = file.path.strip_prefix(DIRECTORY).filter(|name| *name != "README.md") else {
            continue;
        };
        let Some(number) = number(name) else {
            findings.push(file.finding(
                1,
                "is no decision by its name",
                "name it NNNN-title-in-small-letters.md",
            ));
            continue;
        };
        if number != expected {
            let mend = format!("number it {expected:04}; who is merged later takes the next number");
            findings.push(file.finding(
                1,
                format!("decision {number:04} stands where {expected:04} belongs"),
                mend,
            ));
        }
        expected = number + 1;
    }
    findings
}

fn number(name: &str) -> Option<u32> {
    let (digits, title) = name.strip_suffix(".md")?.split_once('-')?;
    let tidy = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '-';
    let valid = digits.len() == 4 && !title.is_empty() && title.chars().all(tidy);
    if valid { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    fn found(names: &[&str]) -> Vec<String> {
        let paths: Vec<String> = names.iter().map(|name| format!("{DIRECTORY}{name}")).collect();
        let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
        at(&check(&Tree::of(&files)))
    }

    #[test]
    fn numbers_have_no_gap_and_no_double() {
        assert!(found(&["0001-one.md", "0002-two-things.md", "README.md"]).is_empty());
        assert_eq!(found(&["0001-one.md", "0003-three.md", "0004-four.md"]), ["docs/adr/0003-three.md:1"]);
        assert_eq!(found(&["0001-one.md", "0001-two.md"]), ["docs/adr/0001-two.md:1"]);
    }

    #[test]
    fn names_have_one_form() {
        assert_eq!(found(&["0001-One.md", "1-two.md", "notes.md"]).len(), 3);
    }
}
