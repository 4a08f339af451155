//! A file does one thing: short files, measured without their inline tests.

use super::tree::{File, Finding, Tree};

const MEDIAN: usize = 150;
const P90: usize = 400;
const MAX: usize = 800;
const MEND: &str = "split off what is a thing of its own";

/// None is too long, and most are short.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let lengths = lengths(tree);
    let mut findings: Vec<Finding> = lengths
        .iter()
        .filter(|(length, _)| *length > MAX)
        .map(|(length, file)| file.finding(MAX, format!("{length} lines without tests, at most {MAX}"), MEND))
        .collect();
    for (name, part, bound) in [("median", 50, MEDIAN), ("90th percentile", 90, P90)] {
        if let Some((length, file)) = at_part(&lengths, part).filter(|(length, _)| *length > bound) {
            findings.push(file.finding(
                1,
                format!("the {name} of file lengths is {length}, at most {bound}"),
                MEND,
            ));
        }
    }
    findings
}

/// The three figures in a line.
pub(super) fn figures(tree: &Tree) -> String {
    let lengths = lengths(tree);
    let at = |part| at_part(&lengths, part).map_or(0, |(length, _)| *length);
    format!(
        "{} source files: median {} lines, p90 {}, longest {} (bounds {MEDIAN}, {P90}, {MAX})",
        lengths.len(),
        at(50),
        at(90),
        at(100)
    )
}

/// Lengths of the source files, shortest first.
fn lengths(tree: &Tree) -> Vec<(usize, &File)> {
    let files = tree.files.iter().filter(|file| file.is_rust() && !file.is_test());
    let mut lengths: Vec<(usize, &File)> = files.map(|file| (file.shipped_lines().count(), file)).collect();
    lengths.sort_by(|left, right| (left.0, &left.1.path).cmp(&(right.0, &right.1.path)));
    lengths
}

/// The smallest entry that at least `part` per cent do not exceed.
fn at_part<T>(sorted: &[T], part: usize) -> Option<&T> {
    sorted.get((sorted.len() * part).div_ceil(100).max(1) - 1)
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    fn file(lines: usize) -> String {
        "x();\n".repeat(lines)
    }

    #[test]
    fn ranks_are_nearest() {
        let sorted: Vec<usize> = (1..=10).collect();
        assert_eq!([50, 90, 100].map(|part| *at_part(&sorted, part).unwrap()), [5, 9, 10]);
        assert_eq!(at_part::<usize>(&[], 50), None);
    }

    #[test]
    fn long_files_are_found_and_tests_not_counted() {
        let tested = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", file(10), file(900));
        let short = file(10);
        let long = file(801);
        let mut files = vec![("crates/a/src/tested.rs", tested.as_str()), ("crates/a/tests/long.rs", &long)];
        files.extend(
            ["b", "c", "d", "e", "f", "g", "h", "i", "j"].map(|name| (name_of(name), short.as_str())),
        );
        assert!(check(&Tree::of(&files)).is_empty());
        files.push(("crates/a/src/long.rs", &long));
        assert_eq!(at(&check(&Tree::of(&files))), ["crates/a/src/long.rs:800"]);
        assert!(
            figures(&Tree::of(&files)).starts_with("11 source files: median 10 lines, p90 10, longest 801")
        );
    }

    fn name_of(name: &str) -> &'static str {
        String::leak(format!("crates/a/src/{name}.rs"))
    }

    #[test]
    fn most_files_must_be_short() {
        let middling = file(200);
        let tree = Tree::of(&[("crates/a/src/a.rs", &middling), ("crates/a/src/b.rs", &middling)]);
        assert!(check(&tree)[0].what.contains("median"));
    }
}
