//! The time of day comes from the `Clock`, so that tests need no sleeps and snapshots stay stable.

use super::tree::{Finding, Tree};

const NOWS: &[&str] = &["SystemTime::now", "Timestamp::now", "Zoned::now"];

/// Nobody asks the host for the time of day but the clocks and `sys`.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.shipped() {
        if file.under(&["crates/sys/"]) || file.path.ends_with("/clock.rs") {
            continue;
        }
        for line in file.shipped_lines() {
            if let Some(now) = NOWS.iter().find(|now| line.code.contains(**now)) {
                let mend = "take the Clock as an argument; only files named clock.rs read the host's";
                findings.push(file.finding(line.number, format!("{now} reads the host's time"), mend));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn only_clocks_read_the_time() {
        let text = "let a = Instant::now();\nlet b = jiff::Timestamp::now();\n";
        let tree = Tree::of(&[("crates/server/src/clock.rs", text), ("crates/server/src/orders.rs", text)]);
        assert_eq!(at(&check(&tree)), ["crates/server/src/orders.rs:2"]);
    }
}
