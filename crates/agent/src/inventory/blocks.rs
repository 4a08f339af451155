//! Entries by number, some forty in one value: a value for each would cost as much again in the database's pages.

use redb::{ReadableTable, StorageError, Table, TableDefinition};

use super::entry::{Entry, Number, put, take};

/// The first number of a block → the entries from there on, each behind its length; length 0 where one was removed.
pub(super) const BLOCKS: TableDefinition<'_, Number, &[u8]> = TableDefinition::new("blocks");
/// A block fills a page of the database, with what that writes beside it.
const FULL: usize = 4000;

/// The entry of a number, if there is one.
pub(super) fn get(
    blocks: &impl ReadableTable<Number, &'static [u8]>,
    number: Number,
) -> Result<Option<Entry>, StorageError> {
    let Some(block) = blocks.range(..=number)?.next_back() else { return Ok(None) };
    let (first, bytes) = block?;
    let bytes = bytes.value();
    Ok(find(bytes, number - first.value()).and_then(|(from, to)| Entry::decode(&bytes[from..to])))
}

/// Where in a block its entry of this place lies.
fn find(block: &[u8], place: u64) -> Option<(usize, usize)> {
    let mut rest = block;
    for _ in 0..place {
        let length = usize::try_from(take(&mut rest)?).ok()?;
        rest = rest.get(length..)?;
    }
    let length = usize::try_from(take(&mut rest)?).ok()?;
    let from = block.len() - rest.len();
    (length > 0 && length <= rest.len()).then_some((from, from + length))
}

/// The blocks in a transaction that writes.
pub(super) struct Blocks<'t> {
    table: Table<'t, Number, &'static [u8]>,
    /// The last block, which is still being filled: its first number, and its bytes if they are not written yet.
    last: Option<(Number, Vec<u8>)>,
    next: Number,
}

impl<'t> Blocks<'t> {
    pub(super) fn new(table: Table<'t, Number, &'static [u8]>, next: Number) -> Self {
        Self { table, last: None, next }
    }

    pub(super) fn get(&self, number: Number) -> Result<Option<Entry>, StorageError> {
        match &self.last {
            Some((first, bytes)) if *first <= number => {
                Ok(find(bytes, number - first).and_then(|(from, to)| Entry::decode(&bytes[from..to])))
            }
            _ => get(&self.table, number),
        }
    }

    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &Entry) -> Result<Number, StorageError> {
        let encoded = entry.encode();
        if self.last.is_none() {
            self.last = self.table.last()?.map(|(first, bytes)| (first.value(), bytes.value().to_vec()));
        }
        let is_full = |bytes: &Vec<u8>| bytes.len() + encoded.len() + 2 > FULL;
        // A block is as long as it says: numbers that were given and never written would shift those behind.
        let ends = |first: Number, bytes: &[u8]| first + count(bytes) == self.next;
        if self.last.as_ref().is_none_or(|(first, bytes)| is_full(bytes) || !ends(*first, bytes)) {
            self.flush()?;
            self.last = Some((self.next, Vec::with_capacity(FULL)));
        }
        if let Some((_, bytes)) = &mut self.last {
            put(bytes, encoded.len() as u64);
            bytes.extend(encoded);
        }
        let number = self.next;
        self.next += 1;
        Ok(number)
    }

    /// Writes an entry in place of the one of that number, or nothing.
    pub(super) fn replace(&mut self, number: Number, entry: Option<&Entry>) -> Result<(), StorageError> {
        self.flush()?;
        let (first, bytes) = {
            let Some(block) = self.table.range(..=number)?.next_back() else { return Ok(()) };
            let (first, bytes) = block?;
            (first.value(), bytes.value().to_vec())
        };
        let Some((from, to)) = find(&bytes, number - first) else { return Ok(()) };
        let mut length = Vec::new();
        put(&mut length, (to - from) as u64);
        let encoded = entry.map(Entry::encode).unwrap_or_default();
        let mut changed = bytes[..from - length.len()].to_vec();
        put(&mut changed, encoded.len() as u64);
        changed.extend(encoded);
        changed.extend(&bytes[to..]);
        // Zeroes only: all of its entries are gone.
        if changed.iter().all(|byte| *byte == 0) {
            self.table.remove(first)?;
        } else {
            self.table.insert(first, changed.as_slice())?;
        }
        Ok(())
    }

    /// Writes what is not written yet. Returns the number that the next entry gets.
    pub(super) fn flush(&mut self) -> Result<Number, StorageError> {
        if let Some((first, bytes)) = self.last.take() {
            self.table.insert(first, bytes.as_slice())?;
        }
        Ok(self.next)
    }
}

fn count(block: &[u8]) -> u64 {
    let (mut rest, mut count) = (block, 0);
    while let Some(length) = take(&mut rest) {
        rest = rest.get(usize::try_from(length).unwrap_or(usize::MAX)..).unwrap_or_default();
        count += 1;
    }
    count
}
