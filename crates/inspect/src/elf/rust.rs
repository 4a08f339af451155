//! What the Rust compiler and `cargo auditable` leave in a program.

use std::io;

use miniz_oxide::inflate::decompress_to_vec_zlib_with_limit;
use model::inspection::{Library, RustBuild};
use serde::Deserialize;

use super::reading::Reading;
use super::tables::Tables;

/// No more is read of what compilers wrote.
const LONGEST_COMMENT: usize = 64 << 10;
/// Nor of the list of crates, as it stands there and when it is unpacked; real ones have some KiB.
const LONGEST_LIST: usize = 1 << 20;
const LONGEST_UNPACKED: usize = 2 << 20;
/// No more crates are kept.
const MOST: usize = 512;

/// None for what no Rust compiler has made, as far as it says.
pub(super) fn read(reading: &Reading<'_>, tables: &Tables) -> io::Result<Option<RustBuild>> {
    let mut build = RustBuild::default();
    if let Some(section) = tables.named(".comment") {
        build.compiler = compiler(&tables.content(reading, section, LONGEST_COMMENT)?);
    }
    let list = tables.named(".dep-v0");
    if let Some(section) = list {
        if section.size > LONGEST_LIST as u64 {
            reading.too_big();
        } else {
            let packed = tables.content(reading, section, LONGEST_LIST)?;
            match crates(&packed) {
                Some(crates) => build.crates = crates,
                None => reading.malformed("its list of crates can't be read"),
            }
        }
    }
    Ok((build.compiler.is_some() || list.is_some()).then_some(build))
}

fn compiler(comment: &[u8]) -> Option<String> {
    let texts = comment.split(|byte| *byte == 0);
    let named = texts.into_iter().find(|text| text.starts_with(b"rustc version "))?;
    Some(String::from_utf8_lossy(named.get(..256).unwrap_or(named)).into_owned())
}

#[derive(Deserialize)]
struct List {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    root: bool,
}

/// The crates of a list; those which only built it are not in it. None for what is no list.
fn crates(packed: &[u8]) -> Option<Vec<Library>> {
    let text = decompress_to_vec_zlib_with_limit(packed, LONGEST_UNPACKED).ok()?;
    let mut packages = serde_json::from_slice::<List>(&text).ok()?.packages;
    packages.retain(|package| package.kind.as_deref() != Some("build"));
    packages.sort_by_key(|package| !package.root);
    packages.truncate(MOST);
    let library = |package: Package| Library { name: package.name, version: package.version };
    Some(packages.into_iter().map(library).collect())
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::compress_to_vec_zlib;

    use super::*;

    #[test]
    fn the_root_comes_first_and_build_crates_are_left_out() {
        let text = br#"{"packages":[{"name":"a","version":"1.0.0","source":"registry"},
            {"name":"cc","version":"1.1.0","source":"registry","kind":"build"},
            {"name":"tool","version":"0.1.0","source":"local","dependencies":[0],"root":true}],"format":1}"#;
        let library =
            |name: &str, version: &str| Library { name: name.to_owned(), version: version.to_owned() };
        let found = crates(&compress_to_vec_zlib(text, 6)).unwrap();
        assert_eq!(found, [library("tool", "0.1.0"), library("a", "1.0.0")]);
    }

    #[test]
    fn a_bomb_is_no_list() {
        let bomb = compress_to_vec_zlib(&vec![b' '; LONGEST_UNPACKED + 1], 6);
        assert!(bomb.len() < LONGEST_LIST, "it gets as far as being unpacked");
        assert_eq!(crates(&bomb), None);
        for bytes in
            [&b""[..], b"x\x9c", &compress_to_vec_zlib(b"[]", 6), &compress_to_vec_zlib(&[b'['; 9999], 6)]
        {
            assert_eq!(crates(bytes), None);
        }
    }

    #[test]
    fn the_compiler_is_one_of_several_that_left_a_name() {
        let comment = b"GCC: (Debian 12) 12.2.0\0rustc version 1.95.0 (abc 2026-01-01)\0Linker: LLD 20\0";
        assert_eq!(compiler(comment).as_deref(), Some("rustc version 1.95.0 (abc 2026-01-01)"));
        assert_eq!(compiler(b"GCC: (rustc version 1"), None);
    }
}
