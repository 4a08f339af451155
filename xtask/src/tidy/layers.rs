//! The dependency table of the crates.

use toml::{Table, Value};

use super::tree::{File, Finding, Tree};

/// A crate's row.
struct Row {
    name: &'static str,
    /// Our crates that it may import.
    ours: &'static [&'static str],
    /// Foreign crates that it must not use.
    never: &'static [&'static str],
}

const ALL: &[&str] = &["model", "wire", "inspect", "sys", "server", "agent"];
const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "futures"];
// Where SQL may stand is a rule of its own.
const SERVERS: &[&str] = &["axum", "hyper", "tokio", "jsonwebtoken"];

const TABLE: &[Row] = &[
    Row {
        name: "model",
        ours: &[],
        never: &["serde", "serde_json", "prost", "tokio", "futures", "libc", "rustix"],
    },
    Row { name: "wire", ours: &["model"], never: RUNTIMES },
    Row { name: "inspect", ours: &["model"], never: RUNTIMES },
    Row { name: "sys", ours: &[], never: RUNTIMES },
    Row { name: "server", ours: &["model", "wire", "inspect"], never: &["libc"] },
    Row { name: "agent", ours: &["model", "wire", "inspect", "sys"], never: SERVERS },
    Row { name: "quell", ours: ALL, never: &[] },
    Row { name: "fleet", ours: ALL, never: &[] },
    Row {
        name: "tests",
        ours: &["model", "wire", "inspect", "sys", "server", "agent", "quell", "fleet"],
        never: &[],
    },
    // JSON, for what cargo says.
    Row { name: "xtask", ours: &[], never: &["serde", "prost"] },
];

/// Each manifest keeps to its row.
pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests.filter(|file| !file.path.starts_with("fuzz/")).flat_map(check_manifest).collect()
}

fn check_manifest(file: &File) -> Vec<Finding> {
    let manifest = match file.text.parse::<Table>() {
        Ok(manifest) => manifest,
        Err(why) => {
            return vec![file.finding(1, format!("cannot be read: {}", why.message()), "mend the TOML")];
        }
    };
    let name = manifest.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
    let Some(row) = TABLE.iter().find(|row| Some(row.name) == name) else {
        let mend = "give it a row here (xtask/src/tidy/layers.rs) and in ARCHITECTURE.md";
        return vec![file.finding(1, "this crate is not in the dependency table", mend)];
    };
    let mut findings = Vec::new();
    for (dependency, test_only) in dependencies(&manifest) {
        let ours = TABLE.iter().any(|row| row.name == dependency);
        let line = file.line_of(|line| is_entry(line, &dependency));
        if ours && !row.ours.contains(&dependency.as_str()) {
            let what = format!("{} must not depend on {dependency}", row.name);
            findings.push(file.finding(line, what, may(row)));
        } else if !test_only && row.never.contains(&dependency.as_str()) {
            let what = format!("{} must not use {dependency}", row.name);
            findings.push(file.finding(line, what, "do it in a crate whose task this is"));
        }
    }
    findings
}

fn may(row: &Row) -> String {
    let ours = if row.ours.is_empty() { "nothing".to_owned() } else { row.ours.join(", ") };
    format!("of ours it may import: {ours}; move what is shared down, or the caller up")
}

/// All dependencies by the name of their package, and whether only tests use them.
fn dependencies(manifest: &Table) -> Vec<(String, bool)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let mut found = Vec::new();
    for table in tables {
        for (section, test_only) in
            [("dependencies", false), ("build-dependencies", false), ("dev-dependencies", true)]
        {
            let entries = table.get(section).and_then(Value::as_table).into_iter().flatten();
            found.extend(entries.map(|(key, value)| {
                let renamed = value.get("package").and_then(Value::as_str);
                (renamed.unwrap_or(key).to_owned(), test_only)
            }));
        }
    }
    found
}

fn is_entry(line: &str, dependency: &str) -> bool {
    let key = line.trim().trim_start_matches('"').strip_prefix(dependency);
    key.is_some_and(|rest| rest.starts_with(['.', ' ', '=', '"']))
        || line.contains(&format!("\"{dependency}\""))
}

#[cfg(test)]
mod tests {
    use super::super::tree::at;
    use super::*;

    fn found(name: &str, rest: &str) -> Vec<String> {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        at(&check(&Tree::of(&[("crates/x/Cargo.toml", &text)])))
    }

    #[test]
    fn a_crate_keeps_to_its_row() {
        assert!(
            found("agent", "[dependencies]\nmodel.workspace = true\nsys = { workspace = true }\n").is_empty()
        );
        assert_eq!(
            found("agent", "[dependencies]\nmodel.workspace = true\nserver.workspace = true\n").len(),
            1
        );
        assert_eq!(found("server", "[dependencies]\nsys.workspace = true\n"), ["crates/x/Cargo.toml:4"]);
    }

    #[test]
    fn what_a_crate_must_never_use_may_still_serve_its_tests() {
        assert_eq!(found("model", "[dependencies]\nserde = \"1\"\n"), ["crates/x/Cargo.toml:4"]);
        assert!(found("model", "[dev-dependencies]\nserde = \"1\"\n").is_empty());
        assert_eq!(found("model", "[dev-dependencies]\nwire = \"1\"\n").len(), 1);
    }

    #[test]
    fn other_names_and_targets_hide_nothing() {
        assert_eq!(
            found("wire", "[dependencies]\nplane = { package = \"server\", path = \"x\" }\n").len(),
            1
        );
        assert_eq!(found("sys", "[target.'cfg(unix)'.dependencies]\nmodel = \"1\"\n").len(), 1);
    }

    #[test]
    fn an_unknown_crate_needs_a_row() {
        assert_eq!(found("utils", ""), ["crates/x/Cargo.toml:1"]);
    }
}
