//! The tree of resources, as far as it leads to the version resource.

use std::io;

use super::image::Image;
use crate::le;

const VERSION: u32 = 16;
const HEADER: usize = 16;
const ENTRY: usize = 8;
/// Entries that are read, of all directories together.
const MOST_ENTRIES: usize = 4_096;
/// Languages of the version resource that are looked at.
const MOST_LANGUAGES: usize = 16;
/// A version resource counts its own length in two bytes.
const LONGEST: u32 = 0xffff;
/// Set where an entry leads to a directory, or has a name instead of a number.
const HIGH: u32 = 1 << 31;

/// The version resources, in the order of their languages.
pub(super) fn versions(image: &Image<'_>) -> io::Result<Vec<Vec<u8>>> {
    let Some((root, _)) = image.layout.directory(2).filter(|(root, _)| *root != 0) else {
        return Ok(Vec::new());
    };
    let mut tree = Tree { image, root: root.into(), left: MOST_ENTRIES };
    let mut found = Vec::new();
    for kind in tree.entries(0)?.into_iter().filter(|entry| entry.id == VERSION) {
        let Some(names) = kind.directory() else { continue };
        for name in tree.entries(names)? {
            let Some(languages) = name.directory() else { continue };
            for language in tree.entries(languages)? {
                if found.len() >= MOST_LANGUAGES {
                    return Ok(found);
                }
                found.extend(tree.data(language)?);
            }
        }
    }
    Ok(found)
}

struct Tree<'a, 'b> {
    image: &'a Image<'b>,
    root: u64,
    /// How many entries may still be read.
    left: usize,
}

/// An entry of a directory.
#[derive(Clone, Copy)]
struct Entry {
    id: u32,
    to: u32,
}

impl Entry {
    /// Offset of the directory it leads to.
    fn directory(self) -> Option<u32> {
        (self.to & HIGH != 0).then_some(self.to & !HIGH)
    }
}

impl Tree<'_, '_> {
    /// The entries of the directory at `offset`.
    fn entries(&mut self, offset: u32) -> io::Result<Vec<Entry>> {
        let at = self.root.saturating_add(offset.into());
        let header = self.image.bytes(at, HEADER)?.unwrap_or_default();
        let counts = le::half(&header, 12).zip(le::half(&header, 14));
        let count = counts.map_or(0, |(named, numbered)| usize::from(named).saturating_add(numbered.into()));
        let count = count.min(self.left);
        self.left = self.left.saturating_sub(count);
        let table = self.image.bytes(at.saturating_add(HEADER as u64), count.saturating_mul(ENTRY))?;
        let table = table.unwrap_or_default();
        let entries = table.chunks_exact(ENTRY);
        Ok(entries
            .filter_map(|bytes| Some(Entry { id: le::word(bytes, 0)?, to: le::word(bytes, 4)? }))
            .collect())
    }

    /// The bytes of a resource; none if the entry leads to a directory or nowhere.
    fn data(&self, entry: Entry) -> io::Result<Option<Vec<u8>>> {
        if entry.directory().is_some() {
            return Ok(None);
        }
        let leaf = self.image.bytes(self.root.saturating_add(entry.to.into()), HEADER)?.unwrap_or_default();
        let Some((address, length)) = le::word(&leaf, 0).zip(le::word(&leaf, 4)) else { return Ok(None) };
        self.image.bytes(address.into(), length.min(LONGEST) as usize)
    }
}
