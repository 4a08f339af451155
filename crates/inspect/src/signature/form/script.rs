//! Scripts: a block of comments at their end, in base64.

use std::io;

use data_encoding::BASE64;

use super::{Covered, Form};
use crate::source::Source;

/// Scripts that are larger are not looked at.
const LARGEST: u64 = 16 * 1024 * 1024;
/// How far from the end a block is looked for first, so that other files cost no more than this; as far as the kind of a
/// file is.
const TAIL: u64 = 64 * 1024;
const END: &[u8] = b"End signature block";
const BEGIN: &[u8] = b"Begin signature block";
const UTF_16: &[u8] = b"\xff\xfe";

/// How a language begins and ends the lines of the block, and what its first and last line say.
struct Style {
    open: &'static str,
    close: &'static str,
    begin: &'static str,
    end: &'static str,
}

const STYLES: [Style; 5] = [
    // PowerShell.
    Style {
        open: "# ",
        close: "",
        begin: "# SIG # Begin signature block",
        end: "# SIG # End signature block",
    },
    Style {
        open: "<!-- ",
        close: " -->",
        begin: "<!-- SIG # Begin signature block -->",
        end: "<!-- SIG # End signature block -->",
    },
    // Managed objects.
    Style {
        open: "/* ",
        close: " */",
        begin: "/* SIG # Begin signature block */",
        end: "/* SIG # End signature block */",
    },
    // VBScript.
    Style {
        open: "'' SIG '' ",
        close: "",
        begin: "'' SIG '' Begin signature block",
        end: "'' SIG '' End signature block",
    },
    // JScript.
    Style {
        open: "// SIG // ",
        close: "",
        begin: "// SIG // Begin signature block",
        end: "// SIG // End signature block",
    },
];

/// A script with a block at its end; none if it has none.
pub(super) fn read(source: &dyn Source) -> io::Result<Option<Form<'static>>> {
    let size = source.size();
    if size > LARGEST || !has(&source.piece(size.saturating_sub(TAIL), TAIL as usize)?, END) {
        return Ok(None);
    }
    let file = source.piece(0, usize::try_from(size).unwrap_or_default())?;
    let begins = has(&file, BEGIN);
    // Another encoding would be a guess, and two readings of one signature.
    let Some(mut text) = decoded(file) else {
        return Ok(begins.then(|| Form::broken(Covered::Whole)));
    };
    let found = STYLES.iter().find_map(|style| {
        let parts = style.split(&text)?;
        Some((parts.before.len(), parts.behind.is_empty(), style.signature(parts.block)))
    });
    let Some((length, is_last, signature)) = found else { return Ok(None) };
    text.truncate(length);
    // What stands behind the block runs too, and nobody signs it there.
    let covered = if is_last { Covered::Text(text) } else { Covered::Nothing };
    Ok(Some(match signature {
        Some(signature) => Form { signatures: vec![signature], ..Form::unsigned(covered) },
        None => Form::broken(covered),
    }))
}

/// Whether this mark stands in there, in UTF-8 or UTF-16.
fn has(bytes: &[u8], mark: &[u8]) -> bool {
    let wide: Vec<u8> = mark.iter().flat_map(|byte| [*byte, 0]).collect();
    [mark, &wide].iter().any(|mark| memchr::memmem::find(bytes, mark).is_some())
}

/// The text of a file in UTF-8 or UTF-16 with the byte order mark, that mark included. UTF-8 is not copied, since it may
/// be large.
fn decoded(file: Vec<u8>) -> Option<String> {
    if !file.starts_with(UTF_16) {
        return String::from_utf8(file).ok();
    }
    let (units, odd) = file.as_chunks();
    let units = units.iter().copied().map(u16::from_le_bytes);
    // A unit of two bytes has three at most.
    let mut text = String::with_capacity(file.len().div_ceil(2).saturating_mul(3));
    for one in char::decode_utf16(units) {
        text.push(one.ok()?);
    }
    odd.is_empty().then_some(text)
}

/// A script, taken apart.
struct Parts<'t> {
    /// Up to the end of the line before the block, without that line's end.
    before: &'t str,
    /// Its lines between the first and the last.
    block: &'t str,
    /// What is not blank behind it.
    behind: &'t str,
}

impl Style {
    /// The script around the first block of this style.
    fn split<'t>(&self, text: &'t str) -> Option<Parts<'t>> {
        let starts_line =
            |at: &usize| text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with('\n'));
        let at = text.match_indices(self.begin).map(|(at, _)| at).find(starts_line)?;
        let (before, rest) = text.split_at_checked(at)?;
        let before = before.strip_suffix('\n').map_or(before, |line| line.strip_suffix('\r').unwrap_or(line));
        let (block, behind) = rest.strip_prefix(self.begin)?.split_once(self.end)?;
        Some(Parts { before, block, behind: behind.trim() })
    }

    /// The signature in the lines of a block.
    fn signature(&self, block: &str) -> Option<Vec<u8>> {
        let mut digits = String::new();
        for line in block.lines().filter(|line| !line.is_empty()) {
            digits.push_str(line.strip_prefix(self.open)?.strip_suffix(self.close)?);
        }
        BASE64.decode(digits.as_bytes()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str =
        "a\r\nb\r\n# SIG # Begin signature block\r\n# AQI=\r\n# SIG # End signature block\r\n";

    fn form(file: &[u8]) -> Option<(Vec<Vec<u8>>, bool, Option<String>)> {
        let form = read(&file).unwrap()?;
        let Covered::Text(text) = form.covered else { return Some((form.signatures, form.is_broken, None)) };
        Some((form.signatures, form.is_broken, Some(text)))
    }

    #[test]
    fn a_long_text_is_digested_as_if_at_once() {
        let text = "aé😀".repeat(100_000);
        let form = read(&format!("{text}\r\n{SCRIPT}").as_bytes()).unwrap().unwrap();
        let whole: Vec<u8> = format!("{text}\r\na\r\nb").encode_utf16().flat_map(u16::to_le_bytes).collect();
        let hash = crate::signature::cms::algorithm::Hash::Sha256;
        assert_eq!(form.digest(&b"".as_slice(), hash).unwrap(), Some(hash.of_parts(&[&whole])));
    }

    #[test]
    fn a_block_is_taken_apart() {
        let covered = Some("a\r\nb".to_owned());
        assert_eq!(form(SCRIPT.as_bytes()), Some((vec![vec![1, 2]], false, covered)));
        let wide: Vec<u8> =
            "\u{feff}".encode_utf16().chain(SCRIPT.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let covered = Some("\u{feff}a\r\nb".to_owned());
        assert_eq!(form(&wide), Some((vec![vec![1, 2]], false, covered)));
    }

    #[test]
    fn nothing_may_stand_behind() {
        let more = format!("{SCRIPT}evil\r\n");
        let form = read(&more.as_bytes()).unwrap().unwrap();
        assert!(matches!(form.covered, Covered::Nothing) && !form.signatures.is_empty());
        let much = format!("{SCRIPT}{}", "evil\r\n".repeat(8_000));
        assert!(read(&much.as_bytes()).unwrap().is_some());
    }

    #[test]
    fn a_block_that_can_not_be_read_is_broken() {
        for bad in [SCRIPT.replace("AQI=", "A?I="), SCRIPT.replace("# AQI", "AQI")] {
            let (signatures, is_broken, _) = form(bad.as_bytes()).unwrap();
            assert!(signatures.is_empty() && is_broken);
        }
        let latin: Vec<u8> = [b"\xe9", SCRIPT.as_bytes()].concat();
        assert!(form(&latin).unwrap().1);
        assert_eq!(form(b"# just text"), None);
        // It only speaks of one.
        assert_eq!(form(b"\xe9 # SIG # End signature block\n"), None);
    }
}
