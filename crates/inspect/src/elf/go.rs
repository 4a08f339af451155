//! What the Go linker leaves in a program: version, main module and what it was built with. As `go version -m` reads it.

use std::io;

use model::inspection::{GoBuild, Library};

use super::form::Form;
use super::reading::Reading;
use super::tables::{PF_W, PF_X, PT_LOAD, Tables};

const MAGIC: &[u8] = b"\xff Go buildinf:";
/// It begins at such places only.
const ALIGN: usize = 16;
/// Length of what begins with the magic, before texts that stand behind it.
const HEAD: usize = 32;
/// Numbers have the most significant byte first (until Go 1.17).
const BIG_ENDIAN: u8 = 1;
/// The texts themselves follow (since Go 1.18), not addresses.
const INLINE: u8 = 2;
/// Around what is told of modules, so that it can be found in memory.
const SENTINEL: usize = 16;

/// It is looked for no farther in a program without sections.
const LONGEST_SEARCH: usize = 1 << 20;
/// No more is read of what is told of modules; of a version.
const LONGEST: u64 = 1 << 20;
const LONGEST_VERSION: u64 = 256;
/// No more modules are kept.
const MOST: usize = 512;

/// None for what no Go linker has made.
pub(super) fn read(reading: &Reading<'_>, tables: &Tables) -> io::Result<Option<GoBuild>> {
    let Some(at) = place(reading, tables)? else { return Ok(None) };
    let head = reading.piece(at, HEAD as u64, HEAD)?;
    let (Some(length), Some(flags)) = (head.get(MAGIC.len()), head.get(MAGIC.len() + 1)) else {
        return Ok(None);
    };
    let (version, modules) = if flags & INLINE != 0 {
        let at = at.saturating_add(HEAD as u64);
        let Some((version, behind)) = inline(reading, at, LONGEST_VERSION)? else { return Ok(None) };
        (version, inline(reading, behind, LONGEST)?.map(|(text, _)| text).unwrap_or_default())
    } else {
        let form = Form { is_wide: *length == 8, is_big_endian: flags & BIG_ENDIAN != 0 };
        let text = |number: usize, most| match form.word(&head, ALIGN + number * form.word_length()) {
            Some(address) => pointed(reading, tables, form, address, most),
            None => Ok(Vec::new()),
        };
        (text(0, LONGEST_VERSION)?, text(1, LONGEST)?)
    };
    if version.is_empty() {
        return Ok(None);
    }
    Ok(Some(parse(&version, modules_of(&modules))))
}

/// Where the magic stands: in its own section, else in the first segment of data.
fn place(reading: &Reading<'_>, tables: &Tables) -> io::Result<Option<u64>> {
    let section = tables.named(".go.buildinfo").map(|section| (section.offset, section.size));
    let is_data = |flags: u32| flags & (PF_W | PF_X) == PF_W;
    let data = tables.segments.iter().find(|segment| segment.kind == PT_LOAD && is_data(segment.flags));
    let Some((offset, size)) = section.or(data.map(|data| (data.offset, data.size))) else { return Ok(None) };
    let bytes = reading.piece(offset, size, LONGEST_SEARCH)?;
    let number = bytes.chunks(ALIGN).position(|chunk| chunk.starts_with(MAGIC));
    Ok(number.and_then(|number| offset.checked_add((number * ALIGN) as u64)))
}

/// A text that stands at `at` behind its length, and where it ends.
fn inline(reading: &Reading<'_>, at: u64, most: u64) -> io::Result<Option<(Vec<u8>, u64)>> {
    let head = reading.piece(at, 10, 10)?;
    let mut length = 0_u64;
    for (byte, number) in head.iter().zip(0_u64..) {
        length |= u64::from(byte & 0x7f).checked_shl((7 * number) as u32).unwrap_or_default();
        if byte & 0x80 != 0 {
            continue;
        }
        if length > most {
            reading.too_big();
            return Ok(None);
        }
        let begin = at.saturating_add(number + 1);
        let text = reading.piece(begin, length, most as usize)?;
        return Ok(Some((text, begin.saturating_add(length))));
    }
    Ok(None)
}

/// A text whose address and length stand at an address.
fn pointed(
    reading: &Reading<'_>,
    tables: &Tables,
    form: Form,
    address: u64,
    most: u64,
) -> io::Result<Vec<u8>> {
    let Some((offset, left)) = tables.loaded_from(address) else { return Ok(Vec::new()) };
    let header = reading.piece(offset, left, 2 * form.word_length())?;
    let text = form.word(&header, 0).and_then(|address| tables.loaded_from(address));
    let (Some((offset, left)), Some(length)) = (text, form.word(&header, form.word_length())) else {
        return Ok(Vec::new());
    };
    if length > most {
        reading.too_big();
        return Ok(Vec::new());
    }
    reading.piece(offset, length.min(left), most as usize)
}

/// Without what stands around it.
fn modules_of(text: &[u8]) -> &[u8] {
    let end = text.len().saturating_sub(SENTINEL);
    let inner = text.get(SENTINEL..end).unwrap_or_default();
    if inner.ends_with(b"\n") { inner } else { b"" }
}

fn parse(version: &[u8], modules: &[u8]) -> GoBuild {
    let mut build =
        GoBuild { go_version: String::from_utf8_lossy(version).into_owned(), ..GoBuild::default() };
    let text = String::from_utf8_lossy(modules);
    // What a line that says what replaces it is about.
    let mut is_main = false;
    for line in text.lines() {
        let mut words = line.split('\t');
        let kind = words.next().unwrap_or_default();
        let (first, second) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let library = || Library { name: first.to_owned(), version: second.to_owned() };
        match kind {
            "path" => build.path = Some(first.to_owned()),
            "mod" => {
                build.module = Some(library());
                is_main = true;
            }
            "dep" => {
                is_main = false;
                if build.dependencies.len() < MOST {
                    build.dependencies.push(library());
                }
            }
            // What it was really built with.
            "=>" if is_main => build.module = Some(library()),
            "=>" => {
                if let Some(last) = build.dependencies.last_mut() {
                    *last = library();
                }
            }
            "build" => {
                if let Some(revision) = first.strip_prefix("vcs.revision=") {
                    build.revision = Some(revision.trim_matches('"').to_owned());
                }
            }
            _ => {}
        }
    }
    build
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_told_as_the_linker_wrote_them() {
        let text = "path\texample.org/tool/cmd\nmod\texample.org/tool\t(devel)\t\ndep\ta.org/a\tv1.0.0\th1:x=\n\
                    dep\tb.org/b\tv0.1.0\n=>\tc.org/b\tv0.2.0\th1:y=\nbuild\t-compiler=gc\nbuild\tvcs.revision=abc\n";
        let build = parse(b"go1.22.1", text.as_bytes());
        let library =
            |name: &str, version: &str| Library { name: name.to_owned(), version: version.to_owned() };
        assert_eq!(build.go_version, "go1.22.1");
        assert_eq!(build.path.as_deref(), Some("example.org/tool/cmd"));
        assert_eq!(build.module, Some(library("example.org/tool", "(devel)")));
        assert_eq!(build.dependencies, [library("a.org/a", "v1.0.0"), library("c.org/b", "v0.2.0")]);
        assert_eq!(build.revision.as_deref(), Some("abc"));
    }

    #[test]
    fn no_more_modules_are_kept_than_can_be_told() {
        let text = "dep\ta\tv1\n".repeat(MOST + 1) + "=>\tb\tv2\n";
        assert_eq!(parse(b"go", text.as_bytes()).dependencies.len(), MOST);
        assert_eq!(parse(b"go", b"=>\tb\tv2\nbuild\nmod\n\n\t\t").module, Some(Library::default()));
    }
}
