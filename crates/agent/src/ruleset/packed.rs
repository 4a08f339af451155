//! Rules as sorted bytes, in memory that processes may share: written once, then only read.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use model::rule::{Identifier, Rule};
use model::{Kinds, RuleId};
use sys::mapping::Mapping;
use sys::socket::Unsealed;

use super::layout::{
    CHECKSUM, HEADER, Header, Kind, Layout, SCOPE, Section, decode_entry, decode_scope, digest, id_of, little,
};
use super::pack;

/// A set of rules as bytes. Clones share them.
#[derive(Clone, Debug)]
pub(crate) struct Packed {
    bytes: Arc<Bytes>,
    header: Header,
    layout: Layout,
}

#[derive(Debug)]
enum Bytes {
    Own(Vec<u8>),
    Shared(Mapping, OwnedFd),
}

impl Bytes {
    fn get(&self) -> &[u8] {
        match self {
            Self::Own(bytes) => bytes,
            Self::Shared(mapping, _) => mapping,
        }
    }
}

impl Default for Packed {
    fn default() -> Self {
        let header = Header::default();
        Self { bytes: Arc::new(Bytes::Own(pack::empty())), header, layout: header.layout() }
    }
}

impl Packed {
    /// Packs rules, which are sorted by identifier and id, into memory of this process.
    ///
    /// # Errors
    /// `InvalidInput` when they are not sorted, or are more than a set may hold.
    pub(super) fn own(rules: impl Iterator<Item = Rule> + Clone) -> io::Result<Self> {
        let mut bytes = Vec::new();
        pack::write(&mut bytes, rules)?;
        Self::believed(Bytes::Own(bytes))
    }

    /// Packs rules, which are sorted by identifier and id, into memory that another process can be given.
    ///
    /// # Errors
    /// As [`Self::own`]; ENOMEM, EMFILE.
    pub(super) fn shared(rules: impl Iterator<Item = Rule> + Clone) -> io::Result<Self> {
        let mut file = io::BufWriter::with_capacity(64 << 10, Unsealed::new("quell-rules")?);
        pack::write(&mut file, rules)?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?.seal()?;
        Self::believed(Bytes::Shared(Mapping::of_sealed(file.as_fd())?, file))
    }

    /// The set that another process has packed, checked from its first byte to its last.
    ///
    /// # Errors
    /// `InvalidInput` when the file could still be changed, `InvalidData` when it holds no such set.
    pub(crate) fn received(file: OwnedFd) -> io::Result<Self> {
        Self::checked(Bytes::Shared(Mapping::of_sealed(file.as_fd())?, file))
    }

    /// As [`Self::received`], for a small set that came by itself.
    pub(crate) fn read(bytes: Vec<u8>) -> io::Result<Self> {
        Self::checked(Bytes::Own(bytes))
    }

    fn checked(bytes: Bytes) -> io::Result<Self> {
        let packed = Self::believed(bytes)?;
        packed.check().map_err(malformed)?;
        Ok(packed)
    }

    fn believed(bytes: Bytes) -> io::Result<Self> {
        let header = Header::decode(bytes.get()).ok_or_else(|| malformed("header"))?;
        let layout = header.layout();
        if layout.length != bytes.get().len() {
            return Err(malformed("length"));
        }
        Ok(Self { bytes: Arc::new(bytes), header, layout })
    }

    /// Looks at every byte. What passes here is read later without a doubt.
    fn check(&self) -> Result<(), &'static str> {
        let bytes = self.bytes();
        let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM);
        if crc32c::crc32c(content).to_le_bytes() != checksum {
            return Err("checksum");
        }
        let scopes = (0..self.header.scopes as usize).map(|scope| self.scope_bytes(scope));
        if !scopes.clone().all(|scope| decode_scope(scope).is_some()) || !scopes.is_sorted_by(|a, b| a < b) {
            return Err("scopes");
        }
        self.layout.sections.iter().try_for_each(|section| self.check_section(section))
    }

    fn check_section(&self, section: &Section) -> Result<(), &'static str> {
        let mut last = None;
        let mut place = 0;
        for index in 0..section.count {
            let entry = self.entry(section, index);
            let (rule, scope) = decode_entry(&self.header, section, entry).ok_or("entry")?;
            if scope >= self.header.scopes as usize {
                return Err("scope");
            }
            let key = (digest_of(section, entry), rule.id);
            if last.is_some_and(|last| last >= key) {
                return Err("order");
            }
            last = Some(key);
            if section.bits > 0 {
                // Every place up to this entry's begins here, unless it began before.
                while place <= section.place(key.0) {
                    if self.directory(section, place) != index {
                        return Err("directory");
                    }
                    place += 1;
                }
            }
        }
        let rest = (place..section.places()).all(|place| self.directory(section, place) == section.count);
        if rest { Ok(()) } else { Err("directory") }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get()
    }

    fn entry(&self, section: &Section, index: usize) -> &[u8] {
        let at = section.at + index * section.stride;
        &self.bytes()[at..at + section.stride]
    }

    fn directory(&self, section: &Section, place: usize) -> usize {
        let at = section.directory + place * 4;
        little(&self.bytes()[at..at + 4]) as usize
    }

    fn scope_bytes(&self, scope: usize) -> &[u8] {
        let at = HEADER + scope * SCOPE;
        &self.bytes()[at..at + SCOPE]
    }

    fn rule(&self, section: &Section, index: usize) -> Option<Rule> {
        let (rule, scope) = decode_entry(&self.header, section, self.entry(section, index))?;
        Some(Rule { scope: decode_scope(self.scope_bytes(scope))?, ..rule })
    }

    /// The rules with this identifier. Nothing is allocated.
    pub(super) fn named(&self, identifier: &Identifier) -> impl Iterator<Item = Rule> + use<'_> {
        let section = &self.layout.sections[Kind::of(identifier) as usize];
        self.range(section, digest(identifier)).filter_map(|index| self.rule(section, index))
    }

    fn range(&self, section: &Section, digest: &[u8]) -> Range<usize> {
        let place = section.place(digest);
        let (mut low, mut high) = (0, section.count);
        if place < section.places() {
            low = self.directory(section, place);
            if place + 1 < section.places() {
                high = self.directory(section, place + 1);
            }
        }
        let beyond = high;
        while low < high {
            let middle = low.midpoint(high);
            if digest_of(section, self.entry(section, middle)) < digest {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let others = |index: &usize| digest_of(section, self.entry(section, *index)) != digest;
        low..(low..beyond).find(others).unwrap_or(beyond)
    }

    /// All rules, sorted by identifier and id.
    pub(super) fn rules(&self) -> impl Iterator<Item = Rule> + Clone + use<'_> {
        let sections = self.layout.sections.iter();
        sections.flat_map(|section| (0..section.count).filter_map(|index| self.rule(section, index)))
    }

    /// The rules of these ids, which are sorted: one look at each id there is.
    pub(super) fn find(&self, ids: &[RuleId]) -> Vec<Rule> {
        let mut found = Vec::new();
        let largest = self.header.first_id.saturating_add(largest(self.header.id_width));
        let (from, to) = (RuleId(self.header.first_id), RuleId(largest));
        // Most ids that are asked for are newer than all that is here.
        if !ids.iter().any(|id| (from..=to).contains(id)) {
            return found;
        }
        for section in &self.layout.sections {
            for index in 0..section.count {
                let entry = self.entry(section, index);
                let id = &entry[section.digest()..][..self.header.id_width.into()];
                if id_of(&self.header, id).is_some_and(|id| ids.binary_search(&id).is_ok()) {
                    found.extend(self.rule(section, index));
                }
            }
        }
        found
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> usize {
        self.header.len() as usize
    }

    /// How many bytes they take.
    pub(super) fn size(&self) -> usize {
        self.layout.length
    }

    /// Which digests besides SHA-256 the rules name.
    pub(super) const fn kinds(&self) -> Kinds {
        let [_, sha1, md5, _] = self.header.counts;
        Kinds { sha1: sha1 > 0, md5: md5 > 0 }
    }

    /// The file that another process can be given; none for a set of this process alone.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        match &*self.bytes {
            Bytes::Own(_) => None,
            Bytes::Shared(_, file) => Some(file.as_fd()),
        }
    }

    /// The set as bytes, by which another process can have it.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        self.bytes().to_vec()
    }

    /// Tells sets apart that are not meant to look alike: the checksum.
    pub(crate) fn checksum(&self) -> u32 {
        let bytes = self.bytes();
        little(&bytes[bytes.len() - CHECKSUM..]) as u32
    }

    /// Whether `file` is the very file of this set, which was checked and can't have changed.
    pub(crate) fn is(&self, file: BorrowedFd<'_>) -> bool {
        let place = |file| rustix::fs::fstat(file).ok().map(|stat| (stat.st_dev, stat.st_ino));
        let own = self.file().and_then(place);
        own.is_some() && own == place(file)
    }
}

fn digest_of<'e>(section: &Section, entry: &'e [u8]) -> &'e [u8] {
    &entry[..section.digest()]
}

const fn largest(width: u8) -> u64 {
    if width == 0 { 0 } else { u64::MAX >> (u64::BITS - 8 * width as u32) }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed set of rules ({what})"))
}
