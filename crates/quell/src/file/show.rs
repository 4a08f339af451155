//! `quell file show`: what is known of a file.

use serde_json::Value;

use crate::client::target::Target;
use crate::client::{Api, text};
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

pub(super) fn run(api: &Api, format: Format, target: &Target) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/files/{}", target.id()))?;
    match format {
        Format::Json => say::out(answer.body),
        Format::Table => say::out(describe(&answer.json)),
    }
    Ok(())
}

fn describe(file: &Value) -> String {
    let get = |key| text(file, key);
    let ours = |key| text(&file["quell"], key);
    table::facts([
        ("SHA-256", get("sha256")),
        ("SHA-1", get("sha1")),
        ("MD5", get("md5")),
        ("size", format!("{} bytes", get("size"))),
        ("type", kind(file)),
        ("publisher", get("filePublisher")),
        ("product", get("fileProductName")),
        ("signer", get("signer")),
        ("determination", get("determinationType")),
        ("blocked", ours("blocked")),
        ("denials", ours("denials")),
        ("machines", get("globalPrevalence")),
        ("first seen", get("globalFirstObserved")),
        ("last seen", get("globalLastObserved")),
    ])
}

fn kind(file: &Value) -> String {
    match file["quell"]["fileSubtype"].as_str() {
        Some(finer) => format!("{} ({finer})", text(file, "fileType")),
        None => text(file, "fileType"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_unknown_is_a_dash() {
        let file = json!({ "sha1": "ab", "size": 7, "signer": null, "fileType": "Elf",
            "quell": { "fileSubtype": "Program", "blocked": true, "denials": 2 } });
        let text = describe(&file);
        let line = |name| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(line("signer").ends_with('-'));
        assert!(line("type").ends_with("Elf (Program)"));
        assert!(line("blocked").ends_with("yes"));
    }
}
