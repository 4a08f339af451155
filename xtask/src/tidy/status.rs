//! HTTP status codes are chosen at the server's doors, from the small set of error codes.

use super::only::{Home, Only};
use super::source::{Line, has_word};
use super::tree::{Finding, Tree};

const HOMES: &[Home] = &[
    ("crates/server/src/api", "the API, with the token endpoint"),
    ("crates/server/src/console", "the console"),
    ("crates/quell/", "a client reads the numbers, it does not choose them"),
];
const MEND: &str = "return an error of the domain; crates/server/src/api turns it into a status";

const NAMED: Only = Only { words: &["StatusCode"], phrases: &[], homes: HOMES, mend: MEND };

/// The codes that the API uses or might.
const NUMBERS: &[&str] = &[
    "200", "201", "202", "204", "301", "302", "304", "400", "401", "403", "404", "405", "406", "409", "410",
    "412", "413", "415", "422", "429", "500", "501", "502", "503", "504",
];

/// Neither the type nor a number beside the word status.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let homes: Vec<&str> = HOMES.iter().map(|(path, _)| *path).collect();
    let mut findings = NAMED.check(tree);
    for file in tree.shipped().filter(|file| !file.under(&homes)) {
        for line in file.shipped_lines() {
            if let Some(number) = number(line) {
                findings.push(file.finding(
                    line.number,
                    format!("HTTP status {number} does not belong here"),
                    MEND,
                ));
            }
        }
    }
    findings
}

fn number(line: &Line) -> Option<&'static str> {
    let speaks_of_it = line.code.to_ascii_lowercase().contains("status");
    NUMBERS.iter().copied().find(|number| speaks_of_it && has_word(&line.code, number))
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn codes_stay_at_the_doors() {
        let text = "let x = StatusCode::OK;\nlet status = 404;\nlet n = 404;\nlet status = 1404;\n";
        let tree = Tree::of(&[
            ("crates/server/src/orders/submit.rs", text),
            ("crates/server/src/api/files.rs", text),
        ]);
        let expected = ["crates/server/src/orders/submit.rs:1", "crates/server/src/orders/submit.rs:2"];
        assert_eq!(at(&check(&tree)), expected);
    }
}
