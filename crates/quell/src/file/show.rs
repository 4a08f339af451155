//! `quell file show`: what is known of a file.

use serde_json::Value;

use crate::client::target::Target;
use crate::client::{Api, text};
use crate::escape::printable_json;
use crate::failure::Failure;
use crate::output::Format;
use crate::{say, table};

use super::facts;

pub(super) fn run(api: &Api, format: Format, target: &Target) -> Result<(), Failure> {
    let answer = api.get(&format!("/api/files/{}", target.id()))?;
    match format {
        Format::Json => say::out(printable_json(&answer.body)),
        Format::Table => say::out(describe(&answer.json)),
    }
    Ok(())
}

fn describe(file: &Value) -> String {
    let get = |key| text(file, key);
    let ours = |key| text(&file["quell"], key);
    let mut lines = vec![
        ("SHA-256", get("sha256")),
        ("SHA-1", get("sha1")),
        ("MD5", get("md5")),
        ("size", format!("{} bytes", get("size"))),
        ("type", kind(file)),
        ("publisher", get("filePublisher")),
        ("product", get("fileProductName")),
        ("signer", get("signer")),
        ("issuer", get("issuer")),
        ("signer hash", get("signerHash")),
        ("signature", facts::signature(file)),
    ];
    lines.extend(facts::further(&file["quell"]["facts"]));
    lines.extend([
        ("inspected", facts::inspected(&file["quell"])),
        ("determination", determination(file)),
        ("blocked", ours("blocked")),
        ("denials", ours("denials")),
        ("machines", get("globalPrevalence")),
        ("first seen", get("globalFirstObserved")),
        ("last seen", get("globalLastObserved")),
    ]);
    table::facts(lines)
}

/// What it is judged to be, and by whom: those who say otherwise too.
fn determination(file: &Value) -> String {
    let mut told = text(file, "determinationType");
    if let Some(value) = file["determinationValue"].as_str() {
        told.push_str(&format!(" ({value})"));
    }
    for word in file["quell"]["determinations"].as_array().into_iter().flatten() {
        let (engine, kind) = (text(word, "engine"), text(word, "determinationType"));
        told.push_str(&if word["decides"] == true {
            format!(", by {engine}")
        } else {
            format!("; {engine}: {kind}")
        });
    }
    told
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
            "determinationType": "Clean", "determinationValue": null,
            "quell": { "fileSubtype": "Program", "blocked": true, "denials": 2, "determinations": [
                { "engine": "analyst", "determinationType": "Clean", "decides": true },
                { "engine": "feed", "determinationType": "Malware", "decides": false }] } });
        let text = describe(&file);
        let line = |name| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(line("signer").ends_with('-'));
        assert!(line("type").ends_with("Elf (Program)"));
        assert!(line("blocked").ends_with("yes"));
        assert!(line("determination").ends_with("Clean, by analyst; feed: Malware"));
        assert!(line("inspected").ends_with("not yet"));
    }

    #[test]
    fn what_an_author_wrote_does_not_steer_the_terminal() {
        let file = json!({ "filePublisher": "\u{1b}[2Jme", "signer": "a\u{202e}b", "quell": {
            "facts": { "originalFilename": "x\u{9b}1m" } } });
        let text = describe(&file);
        assert!(!text.chars().any(|letter| letter != '\n' && letter.is_control() || letter == '\u{202e}'));
        assert!(text.contains("\\u{1b}[2Jme") && text.contains("x\\u{9b}1m"), "{text}");
    }
}
