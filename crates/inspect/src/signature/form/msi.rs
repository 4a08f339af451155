//! Installer databases: compound files with a stream that holds the signature.

use std::io;

use super::compound::{Compound, Entry, Kind, Seen};
use super::{Covered, Form, LARGEST, not_zero};
use crate::signature::cms::algorithm::{Hash, Hasher};
use crate::source::Source;

pub(super) use super::compound::MAGIC;

/// How deep storages may lie in each other.
const DEEPEST: usize = 32;

/// What the signature of an installer database covers.
pub(super) struct Streams {
    file: Compound,
    /// In the order in which they are digested.
    parts: Vec<Part>,
    /// What is digested of the directory.
    directory: Vec<u8>,
    /// Digest of that, where the file has one.
    told: Option<Vec<u8>>,
}

enum Part {
    Stream(Entry),
    /// Behind what a storage holds.
    Class([u8; 16]),
}

pub(super) fn read(source: &dyn Source) -> io::Result<Form<'static>> {
    let whole = || Form::unsigned(Covered::Whole);
    let Some(file) = Compound::read(source)? else { return Ok(whole()) };
    let Some(layout) = Layout::of(&file) else { return Ok(whole()) };
    let Some(signature) = layout.signature else { return Ok(whole()) };
    // Streams do not overlap; a file that says so would cost more to digest than it is long.
    let total = layout.parts.iter().fold(0_u64, |total, part| total.saturating_add(part.size()));
    let streams = layout.parts.iter().filter_map(Part::stream);
    let streams = streams.chain([&signature]).chain(&layout.told).filter(|_| total <= source.size());
    let uncovered = not_zero(source, file.end(streams)..source.size())?;
    let told = match &layout.told {
        Some(told) => content(source, &file, told)?,
        None => None,
    };
    let bytes = content(source, &file, &signature)?.filter(|_| total <= source.size());
    let (parts, directory) = (layout.parts, layout.directory);
    let is_told = layout.told.is_none() || told.is_some();
    let covered = Covered::Msi(Streams { file, parts, directory, told });
    Ok(match bytes.filter(|_| is_told) {
        Some(bytes) => Form { signatures: vec![bytes], covered, uncovered, is_broken: false },
        None => Form::broken(covered),
    })
}

/// A stream that is small enough to be held.
fn content(source: &dyn Source, file: &Compound, stream: &Entry) -> io::Result<Option<Vec<u8>>> {
    if stream.size > LARGEST {
        return Ok(None);
    }
    let mut content = Vec::new();
    let is_whole = file.each_piece(source, stream, |piece| content.extend_from_slice(piece))?;
    Ok(is_whole.then_some(content))
}

impl Streams {
    /// The digest that is signed; none if a stream can't be read, or the directory is not what its own digest says.
    pub(super) fn digest(&self, source: &dyn Source, hash: Hash) -> io::Result<Option<Vec<u8>>> {
        let mut hasher = Hasher::new(hash);
        if let Some(told) = &self.told {
            let own = hash.of_parts(&[&self.directory]);
            if own != *told {
                return Ok(None);
            }
            hasher.update(&own);
        }
        for part in &self.parts {
            match part {
                Part::Class(class) => hasher.update(class),
                Part::Stream(stream) => {
                    if !self.file.each_piece(source, stream, |piece| hasher.update(piece))? {
                        return Ok(None);
                    }
                }
            }
        }
        Ok(Some(hasher.finish()))
    }
}

impl Part {
    const fn stream(&self) -> Option<&Entry> {
        match self {
            Self::Stream(stream) => Some(stream),
            Self::Class(_) => None,
        }
    }

    const fn size(&self) -> u64 {
        match self {
            Self::Stream(stream) => stream.size,
            Self::Class(_) => 0,
        }
    }
}

/// What is digested, found in one walk.
#[derive(Default)]
struct Layout {
    parts: Vec<Part>,
    directory: Vec<u8>,
    signature: Option<Entry>,
    told: Option<Entry>,
}

impl Layout {
    fn of(file: &Compound) -> Option<Self> {
        let mut layout = Self::default();
        layout.storage(file, file.root()?, &mut Seen::default(), 0)?;
        Some(layout)
    }

    fn storage(&mut self, file: &Compound, storage: &Entry, seen: &mut Seen, depth: usize) -> Option<()> {
        (depth < DEEPEST).then_some(())?;
        self.tell(storage);
        for entry in file.children(storage, seen)? {
            if depth == 0 && is_named(entry, "\u{5}DigitalSignature") {
                self.signature = Some(entry.clone());
            } else if depth == 0 && is_named(entry, "\u{5}MsiDigitalSignatureEx") {
                self.told = Some(entry.clone());
            } else if entry.kind == Kind::Storage {
                self.storage(file, entry, seen, depth.saturating_add(1))?;
            } else {
                self.tell(entry);
                self.parts.push(Part::Stream(entry.clone()));
            }
        }
        self.parts.push(Part::Class(storage.class));
        Some(())
    }

    /// Adds what the directory says of an entry.
    fn tell(&mut self, entry: &Entry) {
        let is_root = entry.kind == Kind::Root;
        if !is_root {
            self.directory.extend_from_slice(&entry.name);
        }
        if entry.kind == Kind::Stream {
            let size = u32::try_from(entry.size).unwrap_or(u32::MAX);
            self.directory.extend_from_slice(&size.to_le_bytes());
        } else {
            self.directory.extend_from_slice(&entry.class);
        }
        self.directory.extend_from_slice(&entry.flags);
        if !is_root {
            self.directory.extend_from_slice(&entry.times);
        }
    }
}

fn is_named(entry: &Entry, name: &str) -> bool {
    entry.kind == Kind::Stream
        && name.encode_utf16().flat_map(u16::to_le_bytes).eq(entry.name.iter().copied())
}
