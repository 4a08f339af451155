//! The two tables of each imported library: what is imported, and where it will be put.

use std::collections::HashSet;
use std::io;

use super::image::Image;
use crate::le;

const LONGEST_NAME: usize = 0x200;
/// Symbols of one program, counted in both tables.
const MOST: u32 = 0x2000;
/// So many entries that stand twice make a table bogus.
const REPEATED: u32 = 15;
/// A table whose entries lie further apart is bogus.
const SPREAD: u64 = 128 * 1024 * 1024;
const FOUR_GIB: u64 = 1 << 32;
/// So many names that are none, and nothing else, end a table.
const NAMELESS: usize = 1_000;

/// What is imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Name(String),
    Ordinal(u16),
}

/// The tables of one program.
pub(super) struct Tables<'a, 'b> {
    image: &'a Image<'b>,
    ordinal: u64,
    width: usize,
    count: u32,
}

impl<'a, 'b> Tables<'a, 'b> {
    pub(super) fn new(image: &'a Image<'b>) -> Self {
        let (ordinal, width) = if image.layout.is_plus { (1 << 63, 8) } else { (1 << 31, 4) };
        Self { image, ordinal, width, count: 0 }
    }

    /// The entries at `start` up to an empty one; nothing if they cannot be true.
    fn read(&mut self, start: u64, most: u64) -> io::Result<Vec<u64>> {
        let mut entries = Vec::new();
        let (mut near, mut far) = (Addresses::default(), Addresses::default());
        let mut repeated = 0_u32;
        let mut address = start;
        while address != 0 && address < start.saturating_add(most) && self.count <= MOST {
            self.count = self.count.saturating_add(1);
            if repeated >= REPEATED || near.spread() > SPREAD || far.spread() > SPREAD {
                return Ok(Vec::new());
            }
            let Some(entry) = self.entry(address)? else { return Ok(Vec::new()) };
            if (start..=address).contains(&entry) || entry == 0 {
                break;
            }
            if entry & self.ordinal == 0 {
                let seen = if entry >= FOUR_GIB { &mut far } else { &mut near };
                repeated = repeated.saturating_add(seen.add(entry).into());
            } else if entry & 0x7fff_ffff > 0xffff {
                return Ok(Vec::new());
            }
            entries.push(entry);
            address = address.saturating_add(self.width as u64);
        }
        Ok(entries)
    }

    fn entry(&self, address: u64) -> io::Result<Option<u64>> {
        let bytes = self.image.bytes(address, self.width)?.unwrap_or_default();
        Ok(if self.width == 8 { le::long(&bytes, 0) } else { le::word(&bytes, 0).map(u64::from) })
    }

    /// The symbol that `entry` means; none if it points nowhere.
    fn symbol(&self, entry: u64) -> io::Result<Option<Symbol>> {
        if entry & self.ordinal != 0 {
            return Ok(Some(Symbol::Ordinal((entry & 0xffff) as u16)));
        }
        if self.image.offset(entry).is_none() {
            return Ok(None);
        }
        let name = self.image.text(entry.saturating_add(2), LONGEST_NAME)?;
        Ok(Some(Symbol::Name(String::from_utf8(name).unwrap_or_else(|_| "\u{fffd}".to_owned()))))
    }
}

/// Addresses that a table holds.
#[derive(Default)]
struct Addresses {
    all: HashSet<u64>,
    range: Option<(u64, u64)>,
}

impl Addresses {
    /// Whether it was there already.
    fn add(&mut self, address: u64) -> bool {
        let (least, most) = self.range.unwrap_or((address, address));
        self.range = Some((least.min(address), most.max(address)));
        !self.all.insert(address)
    }

    fn spread(&self) -> u64 {
        self.range.map_or(0, |(least, most)| most.saturating_sub(least))
    }
}

/// What is imported by the tables at `names` and `addresses`, each of at most `most` bytes.
pub(super) fn symbols(
    tables: &mut Tables<'_, '_>,
    names: u64,
    addresses: u64,
    most: u64,
) -> io::Result<Vec<Symbol>> {
    let first = tables.read(names, most)?;
    // Read even if it is not needed: its entries count too.
    let second = tables.read(addresses, most)?;
    let entries = if first.is_empty() { second } else { first };
    let mut symbols = Vec::new();
    let mut nameless = 0;
    for (index, entry) in entries.into_iter().enumerate() {
        match tables.symbol(entry)? {
            None => return Ok(Vec::new()),
            Some(Symbol::Name(name)) if !is_name(&name) => {
                if nameless > NAMELESS && nameless == index {
                    return Ok(Vec::new());
                }
                nameless = nameless.saturating_add(1);
            }
            Some(Symbol::Name(name)) if name.is_empty() => {}
            Some(Symbol::Ordinal(0)) => {}
            Some(symbol) => symbols.push(symbol),
        }
    }
    Ok(symbols)
}

fn is_name(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._?@$()<>".contains(&byte))
}
