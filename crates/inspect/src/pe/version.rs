//! The version resource: a tree of blocks, each with a length, a key, a value and blocks within.

use model::inspection::VersionInfo;

use crate::le;

/// Length, length of the value, type of the value.
const HEADER: usize = 6;
const LONGEST: usize = 1_024;
const MOST_BLOCKS: usize = 4_096;
/// Tables that count if none is for the language that the resource claims.
const USUAL: [&str; 3] = ["040904b0", "040904e4", "04090000"];

/// The strings of the version resource `bytes`; none if it is none or has no strings.
pub(super) fn read(bytes: &[u8]) -> Option<VersionInfo> {
    let mut reader = Reader { bytes, left: MOST_BLOCKS };
    let root = reader.block(0).filter(|root| root.key == "VS_VERSION_INFO")?;
    let mut tables = Vec::new();
    let mut languages = Vec::new();
    // The resource ends where its bytes end: its own word for its length is often wrong.
    for part in reader.blocks(root.value_end(), bytes.len()) {
        let inner = reader.blocks(part.value_end(), part.end);
        match part.key.as_str() {
            "StringFileInfo" => tables.extend(inner),
            "VarFileInfo" => languages.extend(inner.iter().flat_map(|var| reader.languages(var))),
            _ => {}
        }
    }
    let wanted = languages.iter().map(String::as_str).chain(USUAL);
    let chosen =
        wanted.filter_map(|key| tables.iter().find(|table| table.key.eq_ignore_ascii_case(key))).next();
    let table = chosen.or(tables.first())?;
    let strings = reader.blocks(table.value_end(), table.end);
    let string = |name: &str| {
        let block = strings.iter().find(|block| block.key.eq_ignore_ascii_case(name))?;
        reader.text(block)
    };
    Some(VersionInfo {
        company_name: string("CompanyName"),
        product_name: string("ProductName"),
        product_version: string("ProductVersion"),
        file_version: string("FileVersion"),
        file_description: string("FileDescription"),
        internal_name: string("InternalName"),
        original_filename: string("OriginalFilename"),
        legal_copyright: string("LegalCopyright"),
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    /// How many blocks may still be read.
    left: usize,
}

/// A block.
struct Block {
    key: String,
    /// Offset behind the block's last byte.
    end: usize,
    /// Offset of its value.
    value: usize,
    /// Length of its value, in bytes or, of text, in characters.
    value_length: usize,
    is_text: bool,
}

impl Block {
    fn value_end(&self) -> usize {
        let unit = if self.is_text { 2 } else { 1 };
        aligned(self.value.saturating_add(self.value_length.saturating_mul(unit)))
    }
}

impl Reader<'_> {
    fn block(&self, at: usize) -> Option<Block> {
        let half = |offset| le::half(self.bytes, at.checked_add(offset)?).map(usize::from);
        let length = half(0).filter(|length| *length >= HEADER)?;
        let (key, key_end) = self.units(at.checked_add(HEADER)?, LONGEST);
        // The zero behind the key belongs to it.
        let value = aligned(key_end.saturating_add(2));
        let end = at.checked_add(length)?.min(self.bytes.len());
        Some(Block { key, end, value, value_length: half(2)?, is_text: half(4)? == 1 })
    }

    /// The blocks from `at` up to `end`, one after the other.
    fn blocks(&mut self, at: usize, end: usize) -> Vec<Block> {
        let mut blocks = Vec::new();
        let mut at = aligned(at);
        while at < end && self.left > 0 {
            let Some(block) = self.block(at) else { break };
            self.left = self.left.saturating_sub(1);
            at = aligned(block.end);
            blocks.push(block);
        }
        blocks
    }

    /// Keys of the tables for the languages that `block` lists.
    fn languages(&self, block: &Block) -> Vec<String> {
        if !block.key.eq_ignore_ascii_case("Translation") {
            return Vec::new();
        }
        let value = self.bytes.get(block.value..block.end).unwrap_or_default();
        let pairs = value.get(..block.value_length).unwrap_or(value).chunks_exact(4);
        let key = |pair| Some(format!("{:04x}{:04x}", le::half(pair, 0)?, le::half(pair, 2)?));
        pairs.filter_map(key).collect()
    }

    /// The value of a string, without zeros; none if nothing is left.
    fn text(&self, block: &Block) -> Option<String> {
        let (text, _) = self.units(block.value, block.value_length.min(LONGEST));
        (!text.is_empty()).then_some(text)
    }

    /// At most `most` UTF-16 units from `at` up to a zero, and the offset of what ended them. What is no text becomes
    /// U+FFFD.
    fn units(&self, at: usize, most: usize) -> (String, usize) {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let units: Vec<u16> = rest
            .chunks_exact(2)
            .map_while(|unit| le::half(unit, 0))
            .take(most)
            .take_while(|unit| *unit != 0)
            .collect();
        let end = at.saturating_add(units.len().saturating_mul(2));
        (String::from_utf16_lossy(&units), end)
    }
}

const fn aligned(at: usize) -> usize {
    at.saturating_add(3) & !3
}
