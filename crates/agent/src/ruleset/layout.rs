//! How packed rules lie in their bytes.
//!
//! A header, the table of scopes, then for each kind of identifier a section, and at the end a CRC-32C of all
//! before it. Everything is little-endian and nothing is aligned.
//!
//! An entry of a section is the digest, the rule's id, its until, the number of its scope, and a byte for effect
//! and whether there is an until. Id, until and scope take as many bytes as the set's range of them needs: of a
//! million denies for the whole organization an entry is 36 bytes.
//!
//! The entries are sorted by digest, then id. Behind them stands the section's directory: by the first bits of a
//! digest, the number of the first entry that has them.

use model::rule::{Effect, Identifier, Rule, Scope};
use model::{GroupId, MachineId, Md5, RuleId, Sha1, Sha256, Time};

const MAGIC: &[u8; 8] = b"quellrs1";
pub(super) const HEADER: usize = 48;
pub(super) const CHECKSUM: usize = 4;
/// A scope's kind and name.
pub(super) const SCOPE: usize = 21;
/// No set holds more, so that a lying header can't take the reader's memory.
pub(super) const MOST: u64 = 1 << 24;
/// Entries that share a place in the directory, on average: this many, or up to twice as many.
const IN_A_PLACE: usize = 2;
const HAS_UNTIL: u8 = 8;

/// The kinds of identifiers, in the order of their sections, which is that of [`Identifier`] itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Sha256,
    Sha1,
    Md5,
    Signer,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Sha256, Self::Sha1, Self::Md5, Self::Signer];

    pub(super) const fn of(identifier: &Identifier) -> Self {
        match identifier {
            Identifier::Sha256(_) => Self::Sha256,
            Identifier::Sha1(_) => Self::Sha1,
            Identifier::Md5(_) => Self::Md5,
            Identifier::Signer(_) => Self::Signer,
        }
    }

    const fn digest(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha1 | Self::Signer => 20,
            Self::Md5 => 16,
        }
    }

    fn identifier(self, digest: &[u8]) -> Option<Identifier> {
        Some(match self {
            Self::Sha256 => Identifier::Sha256(Sha256(digest.try_into().ok()?)),
            Self::Sha1 => Identifier::Sha1(Sha1(digest.try_into().ok()?)),
            Self::Md5 => Identifier::Md5(Md5(digest.try_into().ok()?)),
            Self::Signer => Identifier::Signer(Sha1(digest.try_into().ok()?)),
        })
    }
}

/// The bytes of what a rule knows its files by.
pub(super) fn digest(identifier: &Identifier) -> &[u8] {
    match identifier {
        Identifier::Sha256(sha256) => &sha256.0,
        Identifier::Sha1(sha1) | Identifier::Signer(sha1) => &sha1.0,
        Identifier::Md5(md5) => &md5.0,
    }
}

/// What the entries have in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Header {
    /// Rules of each kind.
    pub(super) counts: [u32; 4],
    pub(super) scopes: u32,
    pub(super) first_id: u64,
    pub(super) first_until: i64,
    pub(super) id_width: u8,
    pub(super) until_width: u8,
    pub(super) scope_width: u8,
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(MAGIC);
        for (slot, count) in bytes[8..28].chunks_exact_mut(4).zip(self.counts.iter().chain([&self.scopes])) {
            slot.copy_from_slice(&count.to_le_bytes());
        }
        bytes[28..36].copy_from_slice(&self.first_id.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.first_until.to_le_bytes());
        bytes[44..47].copy_from_slice(&[self.id_width, self.until_width, self.scope_width]);
        bytes
    }

    /// The header at the start of `bytes`, if there is one that makes sense.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..HEADER).filter(|bytes| bytes.starts_with(MAGIC) && bytes[47] == 0)?;
        let count = |at: usize| little(&bytes[at..at + 4]) as u32;
        let header = Self {
            counts: [count(8), count(12), count(16), count(20)],
            scopes: count(24),
            first_id: little(&bytes[28..36]),
            first_until: little(&bytes[36..44]).cast_signed(),
            id_width: bytes[44],
            until_width: bytes[45],
            scope_width: bytes[46],
        };
        let fits = header.id_width <= 8 && header.until_width <= 8 && header.scope_width <= 4;
        (fits && header.len() <= MOST && u64::from(header.scopes) <= MOST).then_some(header)
    }

    /// How many rules there are.
    pub(super) fn len(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// Where everything lies.
    pub(super) fn layout(&self) -> Layout {
        // At most `MOST` entries of 53 bytes, and as many scopes: no sum here comes near its type's end.
        let mut at = HEADER + self.scopes as usize * SCOPE;
        let sections = Kind::ALL.map(|kind| {
            let count = self.counts[kind as usize] as usize;
            let widths = usize::from(self.id_width + self.until_width + self.scope_width);
            let stride = kind.digest() + widths + 1;
            let directory = at + count * stride;
            let section = Section { kind, count, stride, at, directory, bits: directory_bits(count) };
            at = directory + section.places() * 4;
            section
        });
        Layout { sections, length: at + CHECKSUM }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) sections: [Section; 4],
    /// Of all, with the checksum.
    pub(super) length: usize,
}

/// Where the rules of one kind lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    pub(super) kind: Kind,
    pub(super) count: usize,
    /// The length of an entry.
    pub(super) stride: usize,
    pub(super) at: usize,
    pub(super) directory: usize,
    /// By how many bits of the digest the directory finds.
    pub(super) bits: u32,
}

impl Section {
    /// How long the directory is.
    pub(super) const fn places(&self) -> usize {
        if self.bits == 0 { 0 } else { 1 << self.bits }
    }

    /// A digest's place in the directory.
    pub(super) fn place(&self, digest: &[u8]) -> usize {
        let start = digest.first_chunk().map_or(0, |start| u32::from_be_bytes(*start));
        start.checked_shr(u32::BITS - self.bits).unwrap_or(0) as usize
    }

    pub(super) const fn digest(&self) -> usize {
        self.kind.digest()
    }
}

const fn directory_bits(count: usize) -> u32 {
    match (count / IN_A_PLACE).checked_ilog2() {
        Some(bits) => bits,
        None => 0,
    }
}

/// Writes an entry; the rule's scope is the `scope`th of the table.
pub(super) fn encode_entry(header: &Header, rule: &Rule, scope: u64, entry: &mut Vec<u8>) {
    let until = rule.until.map_or(0, |until| until.ticks().wrapping_sub(header.first_until).cast_unsigned());
    let has_until = if rule.until.is_some() { HAS_UNTIL } else { 0 };
    entry.extend_from_slice(digest(&rule.identifier));
    let numbers = [
        (rule.id.0 - header.first_id, header.id_width),
        (until, header.until_width),
        (scope, header.scope_width),
    ];
    for (number, width) in numbers {
        entry.extend_from_slice(&number.to_le_bytes()[..usize::from(width)]);
    }
    entry.push(number_of(rule.effect) | has_until);
}

/// What an entry of a section says but its scope, and the number of that.
pub(super) fn decode_entry(header: &Header, section: &Section, entry: &[u8]) -> Option<(Rule, usize)> {
    let (digest, rest) = entry.split_at_checked(section.digest())?;
    let (id, rest) = rest.split_at_checked(header.id_width.into())?;
    let (until, rest) = rest.split_at_checked(header.until_width.into())?;
    let (scope, rest) = rest.split_at_checked(header.scope_width.into())?;
    let tag = *rest.first()?;
    let until = match (tag & HAS_UNTIL != 0, little(until)) {
        (true, until) => {
            Some(Time::from_ticks(i64::try_from(i128::from(header.first_until) + i128::from(until)).ok()?))
        }
        (false, 0) => None,
        (false, _) => return None,
    };
    let rule = Rule {
        id: id_of(header, id)?,
        effect: effect_of(tag & !HAS_UNTIL)?,
        identifier: section.kind.identifier(digest)?,
        scope: Scope::Organization,
        until,
    };
    Some((rule, little(scope) as usize))
}

/// The id in an entry.
pub(super) fn id_of(header: &Header, bytes: &[u8]) -> Option<RuleId> {
    header.first_id.checked_add(little(bytes)).map(RuleId)
}

const fn number_of(effect: Effect) -> u8 {
    match effect {
        Effect::Deny => 0,
        Effect::DenyAndStop => 1,
        Effect::Warn => 2,
        Effect::Watch => 3,
        Effect::Allow => 4,
    }
}

fn effect_of(number: u8) -> Option<Effect> {
    Effect::ALL.into_iter().find(|effect| number_of(*effect) == number)
}

/// A scope as it stands in the table.
pub(super) fn encode_scope(scope: &Scope) -> [u8; SCOPE] {
    let mut bytes = [0; SCOPE];
    match scope {
        Scope::Organization => {}
        Scope::Group(group) => {
            bytes[0] = 1;
            bytes[1..9].copy_from_slice(&group.0.to_le_bytes());
        }
        Scope::Machine(machine) => {
            bytes[0] = 2;
            bytes[1..].copy_from_slice(&machine.0);
        }
    }
    bytes
}

pub(super) fn decode_scope(bytes: &[u8]) -> Option<Scope> {
    let (kind, name) = bytes.split_first()?;
    let scope = match kind {
        0 => Scope::Organization,
        1 => Scope::Group(GroupId(little(name.get(..8)?))),
        2 => Scope::Machine(MachineId(name.try_into().ok()?)),
        _ => return None,
    };
    (encode_scope(&scope) == bytes).then_some(scope)
}

/// How many bytes a number up to `largest` takes.
pub(super) const fn width(largest: u64) -> u8 {
    (u64::BITS - largest.leading_zeros()).div_ceil(8) as u8
}

/// A number of up to eight bytes.
pub(super) fn little(bytes: &[u8]) -> u64 {
    let mut number = [0; 8];
    let length = bytes.len().min(8);
    number[..length].copy_from_slice(&bytes[..length]);
    u64::from_le_bytes(number)
}
