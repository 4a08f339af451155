//! What inspection says of a file, in lines for people.

use serde_json::Value;

use crate::client::text;

/// Keys of `quell.facts`, and what they are called here.
const KEYS: [(&str, &str); 17] = [
    ("original name", "originalFilename"),
    ("description", "fileDescription"),
    ("file version", "fileVersion"),
    ("product version", "productVersion"),
    ("copyright", "legalCopyright"),
    ("processor", "machine"),
    ("subsystem", "subsystem"),
    ("compiled", "compileTime"),
    ("imphash", "imphash"),
    ("authentihash", "authentihashSha256"),
    ("sections", "sectionCount"),
    ("interpreter", "scriptInterpreter"),
    ("signed", "stampedAt"),
    ("catalogue", "catalogue"),
    ("uncovered bytes", "uncoveredBytes"),
    ("outcome", "outcome"),
    ("because", "outcomeReason"),
];

/// Keys of `quell.facts.elf`.
const ELF_KEYS: [(&str, &str); 7] = [
    ("build id", "buildId"),
    ("loader", "interpreter"),
    ("needs", "needed"),
    ("soname", "soname"),
    ("linked", "linkage"),
    ("RELRO", "relro"),
    ("NX stack", "hasNx"),
];

/// Whether the signature holds, and if not, why.
pub(super) fn signature(file: &Value) -> String {
    match file["isValidCertificate"].as_bool() {
        None => "-".to_owned(),
        Some(true) => "valid".to_owned(),
        Some(false) => format!("not valid ({})", text(&file["quell"]["facts"], "flaw")),
    }
}

/// When and by whose word.
pub(super) fn inspected(quell: &Value) -> String {
    let inspection = &quell["inspection"];
    if inspection.is_null() {
        return "not yet".to_owned();
    }
    let mut told = format!("{} on {}", text(inspection, "reportedAt"), text(inspection, "reportedBy"));
    let count = |key: &str| inspection[key].as_u64().unwrap_or_default();
    for (count, says) in
        [(count("machinesAgreeing"), "agree"), (count("machinesDisagreeing"), "say otherwise")]
    {
        if count > 0 {
            told.push_str(&format!(", {count} more {says}"));
        }
    }
    told
}

/// What there is to say beyond the contract's keys.
pub(super) fn further(facts: &Value) -> Vec<(&'static str, String)> {
    let of = |json: &Value, keys: &[(&'static str, &str)]| -> Vec<(&'static str, String)> {
        let is_told = |key: &str| match &json[key] {
            Value::Null => false,
            Value::Array(all) => !all.is_empty(),
            // What is as it mostly is.
            Value::String(word) if key == "outcome" => word != "whole",
            Value::Number(number) if key == "uncoveredBytes" => number.as_u64() != Some(0),
            _ => true,
        };
        keys.iter().filter(|(_, key)| is_told(key)).map(|(name, key)| (*name, text(json, key))).collect()
    };
    let mut lines = of(facts, &KEYS);
    lines.extend(of(&facts["elf"], &ELF_KEYS));
    lines.extend(of(&facts["elf"]["go"], &[("Go", "goVersion"), ("Go package", "path")]));
    lines.extend(of(&facts["elf"]["rust"], &[("Rust", "compiler")]));
    lines.extend(of(&facts["elf"]["moduleSignature"], &[("module signer", "signer")]));
    let chain = names(&facts["chain"], "subject");
    if !chain.is_empty() {
        lines.push(("chain", chain));
    }
    let further = names(&facts["furtherSignatures"], "signer");
    if !further.is_empty() {
        lines.push(("further signers", further));
    }
    lines
}

fn names(list: &Value, key: &str) -> String {
    let all = list.as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter().map(|one| text(one, key)).collect::<Vec<_>>().join(" < ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_there_is_said() {
        assert_eq!(further(&json!(null)), []);
        let facts = json!({ "outcome": "whole", "outcomeReason": null, "imphash": "ab", "uncoveredBytes": 0,
            "elf": { "needed": ["libc.so.6", "libm.so.6"], "soname": null, "hasNx": false, "go": null },
            "chain": [{ "subject": "a" }, { "subject": "b" }], "furtherSignatures": [] });
        let lines = further(&facts);
        let expected =
            [("imphash", "ab"), ("needs", "libc.so.6, libm.so.6"), ("NX stack", "no"), ("chain", "a < b")];
        assert_eq!(lines, expected.map(|(name, value)| (name, value.to_owned())));
        let cut = json!({ "outcome": "timed out" });
        assert_eq!(further(&cut), [("outcome", "timed out".to_owned())]);
    }

    #[test]
    fn a_signature_holds_or_not_or_is_none() {
        let file = |valid: Value| json!({ "isValidCertificate": valid, "quell": { "facts": { "flaw": "outOfTime" } } });
        assert_eq!(signature(&file(json!(null))), "-");
        assert_eq!(signature(&file(json!(true))), "valid");
        assert_eq!(signature(&file(json!(false))), "not valid (outOfTime)");
    }

    #[test]
    fn whose_word_it_is_is_said() {
        assert_eq!(inspected(&json!({ "inspection": null })), "not yet");
        let quell = json!({ "inspection": { "reportedAt": "2026", "reportedBy": "alpha",
            "machinesAgreeing": 0, "machinesDisagreeing": 2 } });
        assert_eq!(inspected(&quell), "2026 on alpha, 2 more say otherwise");
    }
}
