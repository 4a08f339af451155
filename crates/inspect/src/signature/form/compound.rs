//! Compound files, read in place: a small file system of sectors, tables of what follows what, and a directory.
//!
//! Own code, since digests are made of the directory's own bytes, in its own order, and the file may be hostile: each
//! table is bounded by the file's length, each chain by its stream's, and each entry is visited once.

use std::io;

use crate::le;
use crate::source::Source;

pub(super) const MAGIC: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";
/// Of a file with sectors of 512 bytes; no installer is larger.
const LARGEST: u64 = 2 << 30;
const MOST_ENTRIES: usize = 65_536;
/// Length of all small sectors; no installer has more of them.
const MOST_SMALL: u64 = 64 * 1024 * 1024;
const ENTRY: usize = 128;
const HEADER: usize = 512;
const TABLES_IN_HEADER: usize = 109;
const END: u32 = 0xffff_fffa;
const FREE: u32 = 0xffff_ffff;
const SMALL_SECTOR: u64 = 64;
/// How much is read at once.
const PIECE: u64 = 256 * 1024;
const LITTLE_ENDIAN: u16 = 0xfffe;
const STORAGE: u8 = 1;
const STREAM: u8 = 2;
const ROOT: u8 = 5;

/// A compound file.
pub(super) struct Compound {
    shift: u32,
    /// What follows each sector.
    next: Vec<u32>,
    next_small: Vec<u32>,
    /// Sectors that the small sectors lie in.
    small: Vec<u32>,
    /// Streams below this length lie in small sectors.
    cutoff: u64,
    entries: Vec<Entry>,
    /// The furthest sector of the tables and the directory.
    furthest: u32,
}

/// An entry of the directory.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// UTF-16 as it stands, without the zero behind it.
    pub(super) name: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) class: [u8; 16],
    /// User flags, then the times of creation and change.
    pub(super) flags: [u8; 4],
    pub(super) times: [u8; 16],
    /// Length of a stream.
    pub(super) size: u64,
    start: u32,
    left: u32,
    right: u32,
    child: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Root,
    Storage,
    Stream,
    Unused,
}

impl Compound {
    /// The compound file in `source`; none if its tables can't be followed.
    pub(super) fn read(source: &dyn Source) -> io::Result<Option<Self>> {
        let head = source.piece(0, HEADER)?;
        let shift = le::half(&head, 30).map_or(0, u32::from);
        let has_known_form = matches!((le::half(&head, 26), shift), (Some(3), 9) | (Some(4), 12))
            && le::half(&head, 28) == Some(LITTLE_ENDIAN);
        if source.size() > LARGEST || head.len() < HEADER || !has_known_form {
            return Ok(None);
        }
        let mut file = Self {
            shift,
            next: Vec::new(),
            next_small: Vec::new(),
            small: Vec::new(),
            cutoff: 4096,
            entries: Vec::new(),
            furthest: 0,
        };
        let Some(tables) = file.tables(source, &head)? else { return Ok(None) };
        for table in tables {
            file.reach(table);
            let Some(words) = file.words(source, table)? else { return Ok(None) };
            file.next.extend(words);
        }
        let word = |at| le::word(&head, at).unwrap_or(FREE);
        let Some(directory) = file.chain(word(48), MOST_ENTRIES) else { return Ok(None) };
        for sector in directory {
            file.reach(sector);
            let bytes = source.piece(file.place(sector), file.sector())?;
            file.entries.extend(bytes.chunks_exact(ENTRY).filter_map(|entry| Entry::read(entry, shift == 9)));
            if file.entries.len() > MOST_ENTRIES {
                return Ok(None);
            }
        }
        let root = file.entries.first().filter(|root| root.kind == Kind::Root && root.size <= MOST_SMALL);
        let Some((start, size)) = root.map(|root| (root.start, root.size)) else { return Ok(None) };
        let Some(small) = file.chain(start, file.sectors_of(size)) else { return Ok(None) };
        // A small sector has four bytes in these tables, and sixty-four in the others.
        let Some(small_tables) = file.chain(word(60), small.len().div_ceil(16)) else { return Ok(None) };
        file.small = small;
        file.furthest = file.small.iter().copied().fold(file.furthest, u32::max);
        for table in small_tables {
            file.reach(table);
            let Some(words) = file.words(source, table)? else { return Ok(None) };
            file.next_small.extend(words);
        }
        Ok(Some(file))
    }

    /// The root of the directory.
    pub(super) fn root(&self) -> Option<&Entry> {
        self.entries.first()
    }

    /// The places of what a storage holds, in the order of the names' bytes. `seen` holds what was visited already; none
    /// if something is visited twice.
    pub(super) fn children(&self, storage: &Entry, seen: &mut Seen) -> Option<Vec<&Entry>> {
        let mut found = Vec::new();
        let mut waiting = vec![storage.child];
        while let Some(place) = waiting.pop() {
            if place == FREE {
                continue;
            }
            let place = usize::try_from(place).ok()?;
            let entry = self.entries.get(place)?;
            seen.visit(place)?;
            waiting.extend([entry.left, entry.right]);
            if matches!(entry.kind, Kind::Storage | Kind::Stream) {
                found.push(entry);
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Some(found)
    }

    /// Calls `take` with the pieces of a stream; false if its chain ends before it or leaves the file.
    pub(super) fn each_piece(
        &self,
        source: &dyn Source,
        stream: &Entry,
        mut take: impl FnMut(&[u8]),
    ) -> io::Result<bool> {
        let is_small = stream.size < self.cutoff;
        let length = if is_small { SMALL_SECTOR } else { 1 << self.shift };
        let next = if is_small { &self.next_small } else { &self.next };
        let mut rest = stream.size;
        let mut sector = stream.start;
        while rest > 0 {
            let place = if is_small { self.small_place(sector) } else { Some(self.place(sector)) };
            let Some(place) = place.filter(|_| sector < END) else { return Ok(false) };
            // Sectors that lie behind each other are read at once; small ones seldom do.
            let mut wanted = rest.min(length);
            let mut following = follow(next, sector);
            while !is_small && following == sector.checked_add(1) && wanted < rest.min(PIECE) {
                sector = following.unwrap_or(FREE);
                wanted = rest.min(wanted.saturating_add(length));
                following = follow(next, sector);
            }
            let piece = source.piece(place, usize::try_from(wanted).unwrap_or_default())?;
            if piece.len() as u64 != wanted {
                return Ok(false);
            }
            take(&piece);
            rest = rest.saturating_sub(wanted);
            sector = following.unwrap_or(FREE);
        }
        Ok(true)
    }

    /// The end of the last sector that the tables, the directory or these streams lie in. That the tables call a sector
    /// used says nothing: what nobody reaches was put there by anybody.
    pub(super) fn end<'e>(&self, streams: impl Iterator<Item = &'e Entry>) -> u64 {
        let large = streams.filter(|stream| stream.size >= self.cutoff);
        let sectors = large.filter_map(|stream| self.chain(stream.start, self.sectors_of(stream.size)));
        let furthest = sectors.flatten().fold(self.furthest, u32::max);
        self.place(furthest).saturating_add(1 << self.shift)
    }

    fn reach(&mut self, sector: u32) {
        self.furthest = self.furthest.max(sector);
    }

    /// The sectors that hold the tables of what follows what.
    fn tables(&mut self, source: &dyn Source, head: &[u8]) -> io::Result<Option<Vec<u32>>> {
        // A sector has four bytes in the tables; some slack, for tables that were made before the file shrank.
        let most = self.sectors_of(source.size()).div_ceil(self.sector().div_ceil(4)).saturating_add(128);
        let count = le::word(head, 44).and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        let mut tables: Vec<u32> = (0..TABLES_IN_HEADER.min(count))
            .filter_map(|place| le::word(head, place.saturating_mul(4).saturating_add(76)))
            .filter(|sector| *sector < END)
            .collect();
        let mut further = le::word(head, 68).unwrap_or(FREE);
        let mut steps: usize = 0;
        while further < END && tables.len() < count {
            steps = steps.saturating_add(1);
            let Some(mut words) = self.words(source, further)? else { return Ok(None) };
            if steps > most {
                return Ok(None);
            }
            self.reach(further);
            further = words.pop().unwrap_or(FREE);
            tables.extend(words.into_iter().filter(|sector| *sector < END));
        }
        tables.truncate(count);
        Ok((tables.len() <= most).then_some(tables))
    }

    /// The numbers in a sector.
    fn words(&self, source: &dyn Source, sector: u32) -> io::Result<Option<Vec<u32>>> {
        let bytes = source.piece(self.place(sector), self.sector())?;
        let words = bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect();
        Ok((bytes.len() == self.sector()).then_some(words))
    }

    /// The sectors from `start` on, at most `most`; none if the chain runs in a circle or out of the table.
    fn chain(&self, start: u32, most: usize) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        let mut sector = start;
        while sector < END && found.len() < most {
            (found.len() <= self.next.len()).then_some(())?;
            found.push(sector);
            sector = follow(&self.next, sector)?;
        }
        Some(found)
    }

    fn small_place(&self, sector: u32) -> Option<u64> {
        let at = u64::from(sector).checked_mul(SMALL_SECTOR)?;
        let outer = self.small.get(usize::try_from(at >> self.shift).ok()?)?;
        self.place(*outer).checked_add(at & (1_u64 << self.shift).saturating_sub(1))
    }

    fn place(&self, sector: u32) -> u64 {
        u64::from(sector).saturating_add(1) << self.shift
    }

    const fn sector(&self) -> usize {
        1 << self.shift
    }

    fn sectors_of(&self, size: u64) -> usize {
        usize::try_from(size.div_ceil(1 << self.shift)).unwrap_or(usize::MAX)
    }
}

fn follow(next: &[u32], sector: u32) -> Option<u32> {
    next.get(usize::try_from(sector).ok()?).copied()
}

impl Entry {
    /// Reads an entry. In a file with short sectors the upper half of a length is not used.
    fn read(bytes: &[u8], is_short: bool) -> Option<Self> {
        let length = usize::from(le::half(bytes, 64)?).clamp(2, 64);
        let kind = match *bytes.get(66)? {
            STORAGE => Kind::Storage,
            STREAM => Kind::Stream,
            ROOT => Kind::Root,
            _ => Kind::Unused,
        };
        let size = if is_short { le::word(bytes, 120)?.into() } else { le::long(bytes, 120)? };
        Some(Self {
            name: bytes.get(..length.checked_sub(2)?)?.to_vec(),
            kind,
            class: *bytes.get(80..)?.first_chunk()?,
            flags: *bytes.get(96..)?.first_chunk()?,
            times: *bytes.get(100..)?.first_chunk()?,
            size,
            start: le::word(bytes, 116)?,
            left: le::word(bytes, 68)?,
            right: le::word(bytes, 72)?,
            child: le::word(bytes, 76)?,
        })
    }
}

/// Entries that were visited.
#[derive(Default)]
pub(super) struct Seen(std::collections::HashSet<usize>);

impl Seen {
    fn visit(&mut self, place: usize) -> Option<()> {
        self.0.insert(place).then_some(())
    }
}
