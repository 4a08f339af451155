//! SQL stands in the two back ends of the store, side by side, and where rpm's database is read (ADR 17).

use super::only::Only;
use super::tree::{Finding, Tree};

const HOMES: [&str; 3] = [
    "crates/server/src/store/sqlite",
    "crates/server/src/store/pg",
    "crates/agent/src/spared/packages/rpm/sqlite.rs",
];
const MEND: &str = "give the store a verb of the domain and write the SQL in store/sqlite and store/pg";

const SQL: Only = Only {
    words: &["rusqlite", "tokio_postgres"],
    phrases: &["SELECT ", "INSERT INTO ", "INSERT OR ", "DELETE FROM ", "CREATE TABLE ", "CREATE INDEX "],
    homes: &[
        (HOMES[0], "the embedded back end"),
        (HOMES[1], "the back end for many servers"),
        (HOMES[2], "rpm's database"),
    ],
    mend: MEND,
};

/// No SQL elsewhere, in Rust or in files of its own.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = SQL.check(tree);
    for file in tree.files.iter().filter(|file| file.path.ends_with(".sql")) {
        if !file.under(&HOMES) && !file.is_test() {
            findings.push(file.finding(1, "SQL outside of the store's back ends", MEND));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn sql_stays_in_the_back_ends() {
        let query = "fn f() { q(\"SELECT 1\"); }\n// SELECT 2\n";
        let tree = Tree::of(&[
            ("crates/server/src/store/sqlite/files.rs", query),
            ("crates/server/src/store/files.rs", query),
            ("crates/server/src/api/files.rs", "fn f() { say(\"please SELECT one\") }\nuse rusqlite::Row;\n"),
            ("crates/server/src/store/pg/001.sql", "SELECT 1;\n"),
            ("crates/server/migrations/001.sql", "SELECT 1;\n"),
        ]);
        let expected = [
            "crates/server/src/store/files.rs:1",
            "crates/server/src/api/files.rs:1",
            "crates/server/src/api/files.rs:2",
            "crates/server/migrations/001.sql:1",
        ];
        assert_eq!(at(&check(&tree)), expected);
    }
}
