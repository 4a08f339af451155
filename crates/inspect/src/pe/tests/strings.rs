//! Version resources.

use model::inspection::VersionInfo;

use super::super::version::read;
use super::build::{block, string, version, version_of};

fn company(resource: &[u8]) -> Option<String> {
    read(resource).and_then(|version| version.company_name)
}

fn table(key: &str, name: &str) -> Vec<u8> {
    block(key, true, 0, &[], &[string("CompanyName", name)])
}

#[test]
fn all_strings_are_read() {
    let names =
        ["CompanyName", "ProductName", "ProductVersion", "FileVersion", "FileDescription", "InternalName"];
    let strings: Vec<(&str, &str)> =
        names.iter().chain(&["OriginalFilename", "LegalCopyright"]).map(|n| (*n, *n)).collect();
    let found = read(&version("040904b0", "040904b0", &strings)).unwrap();
    let word = |name: &str| Some(name.to_owned());
    let expected = VersionInfo {
        company_name: word("CompanyName"),
        product_name: word("ProductName"),
        product_version: word("ProductVersion"),
        file_version: word("FileVersion"),
        file_description: word("FileDescription"),
        internal_name: word("InternalName"),
        original_filename: word("OriginalFilename"),
        legal_copyright: word("LegalCopyright"),
    };
    assert_eq!(found, expected);
}

#[test]
fn the_translation_chooses_the_table() {
    let german = table("040704B0", "Beispiel");
    let english = table("040904B0", "Example");
    let french = table("040C04B0", "Exemple");
    let of = |tables: &[&Vec<u8>], translation| {
        company(&version_of(&tables.iter().map(|table| (*table).clone()).collect::<Vec<_>>(), translation))
    };
    assert_eq!(of(&[&english, &german], "040704b0").as_deref(), Some("Beispiel"));
    // The translation names a table that is not there.
    assert_eq!(of(&[&french, &english], "040704b0").as_deref(), Some("Example"));
    assert_eq!(of(&[&french, &german], "000004b0").as_deref(), Some("Exemple"));
    let ansi = table("040904E4", "Ansi");
    assert_eq!(of(&[&french, &ansi], "040704b0").as_deref(), Some("Ansi"));
    assert_eq!(of(&[&french, &ansi, &english], "040704b0").as_deref(), Some("Example"));
    let neutral = table("04090000", "Neutral");
    assert_eq!(of(&[&french, &neutral], "040704b0").as_deref(), Some("Neutral"));
}

#[test]
fn values_lose_their_zeros_and_nothing_else() {
    let of = |value: &str| company(&version("040904b0", "040904b0", &[("CompanyName", value)]));
    assert_eq!(of("Example\0\0").as_deref(), Some("Example"));
    assert_eq!(of("").as_deref(), None);
    assert_eq!(of(" Größe 文 ").as_deref(), Some(" Größe 文 "));
    assert_eq!(of(&"x".repeat(5_000)).unwrap().len(), 1_024);
    let mut lone = version("040904b0", "040904b0", &[("CompanyName", "Example")]);
    let at = lone.windows(4).position(|pair| pair == b"E\0x\0").unwrap();
    lone[at..at + 2].copy_from_slice(&0xd800_u16.to_le_bytes());
    assert_eq!(company(&lone).as_deref(), Some("\u{fffd}xample"));
}

#[test]
fn lengths_that_lie_are_lived_with() {
    let whole = version("040904b0", "040904b0", &[("CompanyName", "Example"), ("ProductName", "Thing")]);
    let mut short = whole.clone();
    short[..2].copy_from_slice(&60_u16.to_le_bytes());
    assert_eq!(company(&short).as_deref(), Some("Example"), "the whole resource counts too little");
    // The length of the value in bytes instead of characters, as some compilers have it.
    let mut doubled = whole.clone();
    let at = doubled.windows(4).position(|bytes| bytes == b"C\0o\0").unwrap();
    doubled[at - 4] *= 2;
    assert_eq!(company(&doubled).as_deref(), Some("Example"));
    for other in [&b""[..], b"\0\0\0\0\0\0", b"\x06\0\0\0\0\0", &whole[..40], &[0xff; 64]] {
        assert_eq!(read(other), None);
    }
}
