//! The facts of a file, for people: what is known, and nothing of what is not.

use wire::rest::{FileCertificate, FileSection, FileSignature, InspectedFile};

use crate::table;

/// The facts as a table.
pub(super) fn table(file: &InspectedFile) -> String {
    let rows = rows(file);
    table::facts(rows.iter().map(|(name, value)| (*name, value.clone())))
}

fn rows(file: &InspectedFile) -> Vec<(&'static str, String)> {
    let facts = &file.facts;
    let text = |value: &Option<String>| value.clone();
    let mut rows = vec![
        ("path", Some(file.path.clone())),
        ("SHA-256", Some(file.sha256.clone())),
        ("SHA-1", Some(file.sha1.clone())),
        ("MD5", Some(file.md5.clone())),
        ("size", Some(format!("{} bytes", file.size))),
        ("type", Some(kind(file))),
        ("inspection", outcome(file)),
        ("publisher, as it claims", text(&file.file_publisher)),
        ("product, as it claims", text(&file.file_product_name)),
        ("description", text(&facts.file_description)),
        ("original name", text(&facts.original_filename)),
        ("file version", text(&facts.file_version)),
        ("product version", text(&facts.product_version)),
        ("signature", signature(file)),
        ("signer", text(&file.signer)),
        ("issuer", text(&file.issuer)),
        ("signer's certificate", text(&file.signer_hash)),
        ("signed at", facts.stamped_at.map(|stamp| stamp.to_string())),
        ("uncovered bytes", facts.uncovered_bytes.filter(|bytes| *bytes > 0).map(|bytes| bytes.to_string())),
        ("interpreter", text(&facts.script_interpreter)),
        ("machine", text(&facts.machine)),
        ("subsystem", text(&facts.subsystem)),
        ("linked at, as it claims", facts.compile_time.map(|stamp| stamp.to_string())),
        ("imphash", facts.imphash.map(|hash| hash.to_string())),
        ("Authentihash, SHA-1", facts.authentihash_sha1.map(|hash| hash.to_string())),
        ("Authentihash, SHA-256", facts.authentihash_sha256.map(|hash| hash.to_string())),
        ("overlay", facts.overlay.map(|span| format!("{} bytes at {}", span.size, span.offset))),
    ];
    rows.extend(facts.chain.iter().map(|certificate| ("certificate", Some(describe(certificate)))));
    rows.extend(
        facts.further_signatures.iter().map(|signature| ("further signature", Some(further(signature)))),
    );
    rows.extend(facts.sections.iter().map(|part| ("section", Some(section(part)))));
    rows.extend(elf(file));
    rows.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn kind(file: &InspectedFile) -> String {
    match &file.file_subtype {
        Some(finer) => format!("{} ({finer})", file.file_type),
        None => file.file_type.to_owned(),
    }
}

/// Only if it is not whole.
fn outcome(file: &InspectedFile) -> Option<String> {
    let outcome = file.facts.outcome;
    match &file.facts.outcome_reason {
        Some(reason) => Some(format!("{outcome}: {reason}")),
        None => (outcome != "whole").then(|| outcome.to_owned()),
    }
}

fn signature(file: &InspectedFile) -> Option<String> {
    Some(validity(file.is_valid_certificate?, file.facts.flaw))
}

fn validity(is_valid: bool, flaw: Option<&str>) -> String {
    match (is_valid, flaw) {
        (true, _) => "valid (revocation not checked)".to_owned(),
        (false, Some(flaw)) => format!("not valid: {flaw}"),
        (false, None) => "not valid".to_owned(),
    }
}

fn further(signature: &FileSignature) -> String {
    let signer = signature.signer.as_deref().unwrap_or("?");
    format!("{}, by {signer}: {}", signature.carrier, validity(signature.is_valid, signature.flaw))
}

fn describe(certificate: &FileCertificate) -> String {
    let FileCertificate { subject, issuer, not_before, not_after, sha1, .. } = certificate;
    format!("{subject}, by {issuer}, {not_before} to {not_after}, {sha1}")
}

fn section(section: &FileSection) -> String {
    let FileSection { name, virtual_size, raw_size, entropy, .. } = section;
    format!("{name}: {raw_size} bytes, {virtual_size} in memory, entropy {entropy:.3}")
}

fn elf(file: &InspectedFile) -> Vec<(&'static str, Option<String>)> {
    let Some(elf) = &file.facts.elf else { return Vec::new() };
    let word = |is: bool, word: &str| is.then(|| word.to_owned());
    let properties = [
        Some(format!("{} bits", elf.bits)),
        Some(elf.linkage.to_owned()),
        word(elf.is_position_independent, "position-independent"),
        word(elf.has_nx, "stack not executable"),
        Some(format!("RELRO {}", elf.relro)),
        word(elf.is_stripped, "stripped"),
    ];
    let list = |names: &[String]| (!names.is_empty()).then(|| names.join(", "));
    let go = elf.go.as_ref().map(|go| match &go.module {
        Some(module) => format!("{} {}, {}", module.name, module.version, go.go_version),
        None => go.go_version.clone(),
    });
    let rust = elf.rust.as_ref().map(|rust| match rust.crates.first() {
        Some(root) => format!("{} {}, {} crates", root.name, root.version, rust.crates.len()),
        None => rust.compiler.clone().unwrap_or_default(),
    });
    vec![
        ("properties", Some(properties.into_iter().flatten().collect::<Vec<_>>().join(", "))),
        ("build", elf.build_id.clone()),
        ("loader", elf.interpreter.clone()),
        ("library name", elf.soname.clone()),
        ("needs", list(&elf.needed)),
        ("Go", go),
        ("Rust", rust),
        ("module signature", elf.module_signature.as_ref().and_then(|module| module.signer.clone())),
    ]
}

#[cfg(test)]
mod tests {
    use model::inspection::Inspection;
    use model::{Digests, Md5, Sha1, Sha256};

    use super::*;

    fn file(path: &str, found: &Inspection) -> InspectedFile {
        let digests = Digests { sha256: Sha256([2; 32]), sha1: Sha1([1; 20]), md5: Md5([3; 16]) };
        InspectedFile::new(path.to_owned(), &digests, found)
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let mut found = Inspection { publisher: Some("\u{202e}evil\x1b[2J".into()), ..Inspection::default() };
        found.script_interpreter = Some("/bin/\u{9b}sh".into());
        let text = table(&file("/a\nb", &found));
        assert!(
            text.contains("/a\\nb")
                && text.contains("\\u{202e}evil\\u{1b}[2J")
                && text.contains("/bin/\\u{9b}sh")
        );
        assert!(!text.chars().any(|letter| letter.is_control() && letter != '\n'));
    }

    #[test]
    fn what_is_not_known_has_no_row() {
        let text = table(&file("/a", &Inspection::default()));
        assert!(
            !text.contains("signature") && !text.contains("publisher") && !text.contains("null"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 6, "{text}");
    }
}
