//! Digests in whatever order become a file of sorted ones, in bounded memory: sorted pieces go to the disk, and are
//! merged from there.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use model::Digest;

use super::digests::{HEAD, LENGTHS, MAGIC, MOST_BITS, bucket};
use super::room::Room;

/// So many bytes of digests are sorted in memory at once.
const MEMORY: usize = 32 << 20;
/// So much of each sorted piece is in memory while they are merged.
const READ_AHEAD: usize = 64 << 10;
/// After so many bytes the disk is waited for: else all of them would be in the way of the store's next commit.
const BETWEEN_SYNCS: usize = 8 << 20;
/// How many digests share a place of the index, roughly.
const PER_BUCKET: u64 = 64;
/// No list has more digests.
const MOST: u64 = 100_000_000;

/// Sorted digests of one kind, somewhere in the scratch file.
#[derive(Clone, Copy, Debug)]
struct Run {
    at: u64,
    count: u64,
}

/// Digests on their way to be sorted.
pub(super) struct Sorting {
    sha256: Vec<[u8; 32]>,
    sha1: Vec<[u8; 20]>,
    md5: Vec<[u8; 16]>,
    /// How many bytes of them are in memory.
    held: usize,
    taken: u64,
    scratch: Out,
    runs: [Vec<Run>; 3],
    memory: usize,
}

impl Sorting {
    /// `scratch` holds what does not fit into memory.
    pub(super) fn new(scratch: File, room: Room) -> Self {
        Self::within(MEMORY, scratch, room)
    }

    fn within(memory: usize, scratch: File, room: Room) -> Self {
        let scratch = Out::new(scratch, room);
        Self {
            sha256: Vec::new(),
            sha1: Vec::new(),
            md5: Vec::new(),
            held: 0,
            taken: 0,
            scratch,
            runs: Default::default(),
            memory,
        }
    }

    pub(super) fn take(&mut self, digest: Digest) -> io::Result<()> {
        self.taken += 1;
        if self.taken > MOST {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a list has at most 100,000,000 digests",
            ));
        }
        match digest {
            Digest::Sha256(sha256) => self.sha256.push(sha256.0),
            Digest::Sha1(sha1) => self.sha1.push(sha1.0),
            Digest::Md5(md5) => self.md5.push(md5.0),
        }
        self.held += match digest {
            Digest::Sha256(_) => 32,
            Digest::Sha1(_) => 20,
            Digest::Md5(_) => 16,
        };
        if self.held >= self.memory { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        self.held = 0;
        let [long, middle, short] = &mut self.runs;
        spill(&mut self.sha256, &mut self.scratch, long)?;
        spill(&mut self.sha1, &mut self.scratch, middle)?;
        spill(&mut self.md5, &mut self.scratch, short)
    }

    /// Writes them all, each once, and makes them durable. How many there are of each kind comes back.
    pub(super) fn finish(mut self, file: File, room: Room) -> io::Result<[u64; 3]> {
        self.spill()?;
        self.scratch.buffer.flush()?;
        let scratch = self.scratch.buffer.get_ref();
        let bits = self.runs.each_ref().map(|runs| bits_for(runs.iter().map(|run| run.count).sum()));
        let indexes = bits.map(|bits| 8 * ((1u64 << bits) + 1));
        let mut out = Out::new(file, room);
        out.buffer.seek(SeekFrom::Start(HEAD + indexes.iter().sum::<u64>()))?;
        let (long, long_index) = merge::<32>(scratch, &self.runs[0], bits[0], &mut out)?;
        let (middle, middle_index) = merge::<20>(scratch, &self.runs[1], bits[1], &mut out)?;
        let (short, short_index) = merge::<16>(scratch, &self.runs[2], bits[2], &mut out)?;
        let counts = [long, middle, short];

        let mut head = MAGIC.to_vec();
        for (count, bits) in counts.into_iter().zip(bits) {
            head.extend(count.to_le_bytes());
            head.extend(u64::from(bits).to_le_bytes());
        }
        for place in [long_index, middle_index, short_index].iter().flatten() {
            head.extend(place.to_le_bytes());
        }
        out.buffer.seek(SeekFrom::Start(0))?;
        out.buffer.write_all(&head)?;
        out.buffer.flush()?;
        out.buffer.get_ref().sync_all()?;
        Ok(counts)
    }
}

fn bits_for(count: u64) -> u32 {
    (count / PER_BUCKET).checked_ilog2().unwrap_or(0).min(MOST_BITS)
}

fn spill<const N: usize>(entries: &mut Vec<[u8; N]>, out: &mut Out, runs: &mut Vec<Run>) -> io::Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    entries.sort_unstable();
    entries.dedup();
    runs.push(Run { at: out.written, count: entries.len() as u64 });
    entries.iter().try_for_each(|entry| out.write(entry))?;
    entries.clear();
    Ok(())
}

/// Writes what the runs hold, each once; the count and the index come back.
fn merge<const N: usize>(
    scratch: &File,
    runs: &[Run],
    bits: u32,
    out: &mut Out,
) -> io::Result<(u64, Vec<u64>)> {
    debug_assert!(LENGTHS.contains(&N), "a digest of a kind that there is");
    let mut readers: Vec<_> = runs.iter().map(|run| Reader::<N>::of(scratch, *run)).collect();
    let mut heads = BinaryHeap::new();
    for (number, reader) in readers.iter_mut().enumerate() {
        heads.extend(reader.next()?.map(|entry| Reverse((entry, number))));
    }
    let mut index = Vec::with_capacity((1 << bits) + 1);
    let (mut count, mut last) = (0, None);
    while let Some(Reverse((entry, number))) = heads.pop() {
        heads.extend(readers[number].next()?.map(|entry| Reverse((entry, number))));
        if last == Some(entry) {
            continue;
        }
        // Every bucket up to this one's begins here, if none before it did.
        while index.len() <= bucket(&entry, bits) {
            index.push(count);
        }
        out.write(&entry)?;
        count += 1;
        last = Some(entry);
    }
    index.resize((1 << bits) + 1, count);
    Ok((count, index))
}

/// One run, read in order.
struct Reader<'a, const N: usize> {
    scratch: &'a File,
    run: Run,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a, const N: usize> Reader<'a, N> {
    fn of(scratch: &'a File, run: Run) -> Self {
        Self { scratch, run, buffer: Vec::new(), at: 0 }
    }

    fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        if self.at == self.buffer.len() {
            let count = self.run.count.min((READ_AHEAD / N) as u64);
            self.buffer.resize(count as usize * N, 0);
            self.scratch.read_exact_at(&mut self.buffer, self.run.at)?;
            self.run.at += count * N as u64;
            self.run.count -= count;
            self.at = 0;
        }
        let entry = self.buffer[self.at..].first_chunk().copied();
        self.at += if entry.is_some() { N } else { 0 };
        Ok(entry)
    }
}

/// A file that is written steadily, and never to the last byte of the disk.
struct Out {
    buffer: BufWriter<File>,
    room: Room,
    written: u64,
    since_sync: usize,
}

impl Out {
    fn new(file: File, room: Room) -> Self {
        Self { buffer: BufWriter::with_capacity(256 << 10, file), room, written: 0, since_sync: 0 }
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.write_all(bytes)?;
        self.written += bytes.len() as u64;
        self.since_sync += bytes.len();
        if self.since_sync >= BETWEEN_SYNCS {
            self.since_sync = 0;
            self.buffer.flush()?;
            self.buffer.get_ref().sync_data()?;
            self.room.check()?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use model::{Md5, Sha1, Sha256};
    use proptest::prelude::*;

    use super::super::digests::Digests;
    use super::*;

    /// Sorted with so little memory that there are many runs.
    fn made(digests: &[Digest], memory: usize) -> (tempfile::TempDir, [u64; 3], Digests) {
        let dir = tempfile::tempdir().unwrap();
        let create = |name: &str| {
            File::options().read(true).write(true).create_new(true).open(dir.path().join(name)).unwrap()
        };
        let room = || Room::of(dir.path());
        let mut sorting = Sorting::within(memory, create("scratch"), room());
        digests.iter().try_for_each(|digest| sorting.take(*digest)).unwrap();
        let counts = sorting.finish(create("made"), room()).unwrap();
        let opened = Digests::open(&dir.path().join("made")).unwrap();
        (dir, counts, opened)
    }

    fn any_digest() -> impl Strategy<Value = Digest> {
        // Few different beginnings, so that there are doubles, neighbours and crowded places of the index.
        prop_oneof![
            (0..4u8, any::<u8>()).prop_map(|(first, last)| Digest::Sha256(Sha256(long(first * 80, last)))),
            any::<[u8; 20]>().prop_map(|bytes| Digest::Sha1(Sha1(bytes))),
            any::<[u8; 16]>().prop_map(|bytes| Digest::Md5(Md5(bytes))),
        ]
    }

    fn long(first: u8, last: u8) -> [u8; 32] {
        let mut bytes = [first; 32];
        bytes[31] = last;
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..Default::default() })]
        #[test]
        fn what_was_taken_is_found_and_nothing_else(
            digests in prop::collection::vec(any_digest(), 0..2000),
            others in prop::collection::vec(any_digest(), 0..200),
        ) {
            let (_dir, counts, opened) = made(&digests, 4000);
            let different: BTreeSet<_> = digests.iter().copied().collect();
            prop_assert_eq!(counts.iter().sum::<u64>(), different.len() as u64);
            for digest in digests.iter().chain(&others) {
                prop_assert_eq!(opened.contains(digest).unwrap(), different.contains(digest));
            }
        }
    }

    #[test]
    fn many_with_one_beginning_are_found_too() {
        let digests: Vec<_> = (0..10_000u32)
            .map(|number| {
                let mut bytes = [7; 32];
                bytes[28..].copy_from_slice(&number.to_be_bytes());
                Digest::Sha256(Sha256(bytes))
            })
            .collect();
        let (_dir, counts, opened) = made(&digests, 100_000);
        assert_eq!(counts, [10_000, 0, 0]);
        assert!(digests.iter().step_by(37).all(|digest| opened.contains(digest).unwrap()));
        assert!(!opened.contains(&Digest::Sha256(Sha256([7; 32]))).unwrap());
        assert!(!opened.contains(&Digest::Md5(Md5([7; 16]))).unwrap());
    }

    #[test]
    fn a_damaged_file_is_refused() {
        let (dir, _, _) = made(&[Digest::Md5(Md5([1; 16]))], 4000);
        let path = dir.path().join("made");
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 10, 70, whole.len() - 1] {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(Digests::open(&path).is_err(), "{length} bytes of {}", whole.len());
        }
        let mut counted = whole.clone();
        counted[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        std::fs::write(&path, counted).unwrap();
        assert!(Digests::open(&path).is_err(), "a count beyond the file");
    }
}
