//! How things look outside of the process is written in `wire` alone: the compatible JSON in `wire::rest`,
//! protobuf in `wire::link`.

use super::only::Only;
use super::tree::{Finding, Tree};

const JSON: Only = Only {
    words: &["serde", "serde_json", "Serialize", "Deserialize"],
    phrases: &[],
    homes: &[
        ("crates/wire/src/rest", "the home of the compatible JSON"),
        ("crates/wire/src/lists", "lists of digests that others publish, some of them in JSON"),
        ("crates/server/src/tokens", "claims of tokens are JSON by another standard"),
        ("crates/server/src/api/token", "the token endpoint speaks OAuth2's JSON"),
        ("crates/inspect/src/elf/rust.rs", "what `cargo auditable` leaves in programs is JSON"),
        ("crates/quell/", "the command line reads answers of the API and writes ready files"),
    ],
    mend: "write the shape in crates/wire/src/rest and convert with From or TryFrom; an exception goes into \
           xtask/src/tidy/formats.rs with its reason",
};

const PROTOBUF: Only = Only {
    words: &["prost", "prost_build", "protox"],
    phrases: &[],
    homes: &[
        ("crates/wire/src/link", "the home of the link's messages and of the records on disk"),
        ("crates/wire/build.rs", "makes the messages at build time"),
    ],
    mend: "give crates/wire/src/link a function that takes and returns types of model",
};

/// Both formats stay at home.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = JSON.check(tree);
    findings.extend(PROTOBUF.check(tree));
    findings
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    #[test]
    fn formats_stay_at_home() {
        let derive =
            "#[derive(serde::Serialize)]\nstruct A;\n#[cfg(test)]\nmod tests { use serde_json::json; }\n";
        let tree = Tree::of(&[
            ("crates/wire/src/rest/file.rs", derive),
            ("crates/server/src/tokens/claims.rs", derive),
            ("crates/model/src/file.rs", derive),
            ("crates/agent/src/ledger.rs", "// prost would do\nuse prost::Message;\n"),
            ("crates/wire/src/link.rs", "use prost::Message;\n"),
            ("tests/e2e/main.rs", "use serde_json::Value;\n"),
        ]);
        assert_eq!(at(&check(&tree)), ["crates/model/src/file.rs:1", "crates/agent/src/ledger.rs:2"]);
    }
}
