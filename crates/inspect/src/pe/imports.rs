//! What a program imports, and the digest of it that the trade calls *imphash*.
//!
//! The digest is worth only what others' digests of the same file are worth, so every rule here is one of `pefile`,
//! which made it known, with its limits and its leniency.

use std::io;

use digest::Digest;
use model::Md5;

use super::image::Image;
use super::ordinals;
use super::thunks::{self, Symbol, Tables};
use crate::le;

const DESCRIPTOR: usize = 20;
const LONGEST_LIBRARY: usize = 0x200;
/// So many descriptors without symbols end the list.
const EMPTY: u32 = 5;
/// What stands for a name that is none.
pub(super) const INVALID: &str = "*invalid*";

/// What a program imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Imports {
    /// Names of the libraries, in lower case.
    pub(super) libraries: Vec<String>,
    /// MD5 over the names; none without imports.
    pub(super) hash: Option<Md5>,
}

/// Reads the imports that the header points at.
pub(super) fn read(image: &Image<'_>) -> io::Result<Imports> {
    let Some((address, _)) = image.layout.directory(1).filter(|(address, _)| *address != 0) else {
        return Ok(Imports::default());
    };
    let mut address = u64::from(address);
    let mut tables = Tables::new(image);
    let mut found = Imports::default();
    let mut names = md5::Md5::new();
    let mut empty = 0_u32;
    let mut is_first = true;
    while let Some(descriptor) = Descriptor::read(image, address)? {
        address = address.saturating_add(DESCRIPTOR as u64);
        let most = descriptor.most(image, address);
        let symbols = thunks::symbols(&mut tables, descriptor.names, descriptor.addresses, most)?;
        if empty > EMPTY {
            break;
        }
        if symbols.is_empty() {
            empty = empty.saturating_add(1);
            continue;
        }
        let Some(library) = library(image.text(descriptor.library, LONGEST_LIBRARY)?) else { continue };
        for symbol in &symbols {
            if !is_first {
                names.update(b",");
            }
            is_first = false;
            names.update(line(&library, symbol));
        }
        found.libraries.push(library);
    }
    found.hash = (!found.libraries.is_empty()).then(|| Md5(names.finalize().into()));
    Ok(found)
}

/// The libraries' entry in the directory.
struct Descriptor {
    names: u64,
    addresses: u64,
    library: u64,
    offset: u64,
}

impl Descriptor {
    /// The one at `address`; none behind the last.
    fn read(image: &Image<'_>, address: u64) -> io::Result<Option<Self>> {
        let bytes = image.bytes(address, DESCRIPTOR)?.unwrap_or_default();
        let word = |at| le::word(&bytes, at).map(u64::from);
        if bytes.len() < DESCRIPTOR || bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let offset = image.offset(address);
        let read =
            || Some(Self { names: word(0)?, addresses: word(16)?, library: word(12)?, offset: offset? });
        Ok(read())
    }

    /// How many bytes its tables may have: they end before the descriptors if they begin before them. `next` is
    /// the address behind this one.
    fn most(&self, image: &Image<'_>, next: u64) -> u64 {
        if next > self.names || next > self.addresses {
            next.saturating_sub(self.names).max(next.saturating_sub(self.addresses))
        } else {
            image.source.size().saturating_sub(self.offset)
        }
    }
}

/// A library's name in lower case; none if it has none.
fn library(name: Vec<u8>) -> Option<String> {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'()-@^_`{}~+,.;=[]:\\/".contains(byte);
    if name.is_empty() {
        return None;
    }
    let text = String::from_utf8(name).ok().filter(|name| name.as_bytes().iter().all(allowed));
    Some(text.map_or_else(|| INVALID.to_owned(), |name| name.to_ascii_lowercase()))
}

fn line(library: &str, symbol: &Symbol) -> String {
    let stem = match library.rsplit_once('.') {
        Some((stem, "ocx" | "sys" | "dll")) => stem,
        _ => library,
    };
    let name = match symbol {
        Symbol::Name(name) => name.clone(),
        Symbol::Ordinal(ordinal) => ordinals::name(library, *ordinal),
    };
    format!("{stem}.{}", name.to_ascii_lowercase())
}
