//! Files of records on the machine's disk: the ledger, the spool, the vault's journal.
//!
//! A record is durable when [`Journal::append`] returns. A crash can only tear the last record, which was
//! never acknowledged and is cut off at the next start; anything else that does not check out is an error,
//! because guessing would forget what is in force.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wire::link::record::{self, Next, Record};

/// How much is read, or written anew, in one piece.
const AT_A_TIME: usize = 256 << 10;

/// An open record file, locked against every other process.
#[derive(Debug)]
pub(crate) struct Journal<R> {
    path: PathBuf,
    file: File,
    length: u64,
    /// What follows `length` in the file is the rest of a failed append that could not be cut off.
    has_rest: bool,
    /// Nobody knows whether the file's name is durable: a power cut might bring back the one before.
    has_uncertain_name: bool,
    kind: PhantomData<R>,
}

impl<R: Record> Journal<R> {
    /// Opens or creates the file, with what it holds.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it open; `InvalidData`, naming file and offset, when a record
    /// other than a torn last one does not check out; what the filesystem says.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<R>)> {
        let mut records = Vec::new();
        let journal = Self::read(path, |record| {
            records.push(record);
            Ok::<_, io::Error>(())
        })?;
        Ok((journal, records))
    }

    /// Opens or creates the file, and hands over one record after the other: all of them may be more than should
    /// be in memory.
    ///
    /// # Errors
    /// As [`Self::open`], and those of `each`.
    pub(crate) fn read<E: From<io::Error>>(
        path: &Path,
        mut each: impl FnMut(R) -> Result<(), E>,
    ) -> Result<Self, E> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        lock(&file, path)?;
        // What was read and not handed over begins at `offset` of the file.
        let (mut bytes, mut start, mut offset, mut is_all) = (Vec::new(), 0, 0, false);
        loop {
            match record::next(&bytes[start..]) {
                Next::Record(record, length) => {
                    each(record)?;
                    start += length;
                    offset += length;
                }
                // More may follow.
                Next::End | Next::Torn | Next::Damaged(_) if !is_all => {
                    bytes.drain(..start);
                    start = 0;
                    let more = bytes.len().max(AT_A_TIME) as u64;
                    is_all = ((&mut file).take(more).read_to_end(&mut bytes)? as u64) < more;
                }
                Next::End => break,
                Next::Damaged(reason) if !was_never_written(&bytes[start..], offset) => {
                    return Err(damaged(path, offset, reason).into());
                }
                Next::Torn if has_record_after::<R>(&bytes[start..]) => {
                    return Err(damaged(path, offset, "its length does not fit").into());
                }
                Next::Torn | Next::Damaged(_) => {
                    tracing::warn!(path = %path.display(), offset, "a last record that a crash tore is cut off");
                    file.set_len(offset as u64)?;
                    file.sync_all()?;
                    break;
                }
            }
        }
        if offset == 0 {
            sync_parent(path)?;
        }
        let length = offset as u64;
        file.seek(SeekFrom::Start(length))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            length,
            has_rest: false,
            has_uncertain_name: false,
            kind: PhantomData,
        })
    }

    /// Adds a record; it is durable when this returns.
    ///
    /// # Errors
    /// When it could not be made durable (full disk, broken disk): the file is then as it was before.
    pub(crate) fn append(&mut self, record: &R) -> io::Result<()> {
        if self.has_rest {
            self.cut_off()?;
        }
        if self.has_uncertain_name {
            sync_parent(&self.path)?;
            self.has_uncertain_name = false;
        }
        let bytes = record::encode(record);
        if let Err(error) = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            self.has_rest = true;
            let _ = self.cut_off();
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Durably: else sectors of it could stand behind a torn record that is written over it.
    fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.sync_data()?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.has_rest = false;
        Ok(())
    }

    /// Replaces everything by `records`, in one step that a crash can't halve.
    ///
    /// # Errors
    /// When the new file could not be made durable: the old one then stands.
    pub(crate) fn rewrite(&mut self, records: impl IntoIterator<Item = R>) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let (file, length) = Self::write_new(&fresh, records).inspect_err(|_| {
            // A full disk needs its room.
            let _ = std::fs::remove_file(&fresh);
        })?;
        std::fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.length = length;
        self.has_rest = false;
        self.has_uncertain_name = true;
        sync_parent(&self.path)?;
        self.has_uncertain_name = false;
        Ok(())
    }

    fn write_new(path: &Path, records: impl IntoIterator<Item = R>) -> io::Result<(File, u64)> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        lock(&file, path)?;
        let mut length = 0;
        let mut out = BufWriter::with_capacity(AT_A_TIME, &mut file);
        for record in records {
            let bytes = record::encode(&record);
            out.write_all(&bytes)?;
            length += bytes.len() as u64;
        }
        out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok((file, length))
    }

    /// How long the file is, in bytes: when to rewrite it.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }
}

fn damaged(path: &Path, offset: usize, reason: &str) -> io::Error {
    let path = path.display();
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!(
            "{path}: the record at byte {offset} is damaged: {reason}; restore the file from a backup, or move \
             it away to start without it"
        ),
    )
}

/// Whether a whole record stands anywhere behind the start of `rest`, the end of the file: then what stands there
/// was not torn, but damaged.
fn has_record_after<R: Record>(rest: &[u8]) -> bool {
    const FARTHEST: usize = 1 << 20;
    let starts = 1..rest.len().min(FARTHEST);
    starts.into_iter().any(|start| matches!(record::next::<R>(&rest[start..]), Next::Record(..)))
}

/// Whether a power cut left the last record's length on the disk, but not all of its bytes: nothing follows
/// it, and a sector of it is still zero. Such a record was never acknowledged. `rest` is the end of the file, from
/// `offset` on.
fn was_never_written(rest: &[u8], offset: usize) -> bool {
    const SECTOR: usize = 512;
    const HEAD: usize = 9;
    let length = rest.first_chunk().map_or(0, |length| u32::from_le_bytes(*length) as usize);
    let is_last = length == 0 || length.saturating_add(HEAD) >= rest.len();
    let (first, others) = rest.split_at(rest.len().min(SECTOR - offset % SECTOR));
    is_last
        && std::iter::once(first)
            .chain(others.chunks(SECTOR))
            .any(|sector| sector.iter().all(|byte| *byte == 0))
}

fn lock(file: &File, path: &Path) -> io::Result<()> {
    file.try_lock().map_err(|error| match error {
        std::fs::TryLockError::WouldBlock => io::Error::new(
            io::ErrorKind::WouldBlock,
            format!("{} is in use by another process", path.display()),
        ),
        std::fs::TryLockError::Error(error) => error,
    })
}

fn sync_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::link::v1::{SpoolRecord, spool_record};

    fn stored(sequence: u64) -> SpoolRecord {
        SpoolRecord { record: Some(spool_record::Record::Stored(sequence)) }
    }

    #[test]
    fn what_was_appended_is_there_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let (mut journal, records) = Journal::<SpoolRecord>::open(&path).unwrap();
        assert!(records.is_empty());
        journal.append(&stored(1)).unwrap();
        journal.append(&stored(2)).unwrap();
        drop(journal);
        let (mut journal, records) = Journal::<SpoolRecord>::open(&path).unwrap();
        assert_eq!(records, [stored(1), stored(2)]);
        journal.rewrite([stored(9)]).unwrap();
        journal.append(&stored(10)).unwrap();
        drop(journal);
        assert_eq!(Journal::<SpoolRecord>::open(&path).unwrap().1, [stored(9), stored(10)]);
    }

    #[test]
    fn a_torn_end_is_cut_off_and_writing_goes_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let (mut journal, _) = Journal::<SpoolRecord>::open(&path).unwrap();
        journal.append(&stored(1)).unwrap();
        let whole = journal.length();
        journal.append(&stored(2)).unwrap();
        drop(journal);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        let (mut journal, records) = Journal::<SpoolRecord>::open(&path).unwrap();
        assert_eq!((records, journal.length()), (vec![stored(1)], whole));
        journal.append(&stored(3)).unwrap();
        drop(journal);
        assert_eq!(Journal::<SpoolRecord>::open(&path).unwrap().1, [stored(1), stored(3)]);
    }

    #[test]
    fn a_damaged_middle_is_an_error_that_names_the_place() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (mut journal, _) = Journal::<SpoolRecord>::open(&path).unwrap();
        journal.append(&stored(1)).unwrap();
        journal.append(&stored(2)).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let error = Journal::<SpoolRecord>::open(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("byte "), "{error}");
    }

    #[test]
    fn a_last_record_of_which_a_sector_is_missing_was_never_acknowledged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let (mut journal, _) = Journal::<SpoolRecord>::open(&path).unwrap();
        journal.append(&stored(1)).unwrap();
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.resize(bytes.len() + 700, 0);
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(Journal::<SpoolRecord>::open(&path).unwrap().1, [stored(1)]);
    }

    #[test]
    fn a_damaged_length_in_the_middle_is_not_taken_for_a_torn_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let (mut journal, _) = Journal::<SpoolRecord>::open(&path).unwrap();
        for sequence in 1..4 {
            journal.append(&stored(sequence)).unwrap();
        }
        let second = journal.length() as usize / 3;
        drop(journal);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[second + 3] ^= 0x40;
        std::fs::write(&path, bytes).unwrap();
        let error = Journal::<SpoolRecord>::open(&path).unwrap_err();
        assert!(error.to_string().contains(&format!("byte {second} ")), "{error}");
    }

    #[test]
    fn a_file_longer_than_what_is_read_at_a_time_is_read_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("spool");
        let (mut journal, _) = Journal::<SpoolRecord>::open(&path).unwrap();
        let long = |sequence, length: usize| {
            let path = vec![7; length];
            let sightings = vec![wire::link::v1::Sighting { path, ..Default::default() }];
            let batch = wire::link::v1::Sightings { sequence, sightings };
            SpoolRecord { record: Some(spool_record::Record::Sightings(batch)) }
        };
        let lengths = [10, AT_A_TIME - 30, 100, 3 * AT_A_TIME, 20, AT_A_TIME];
        let records: Vec<_> =
            lengths.into_iter().enumerate().map(|(n, length)| long(n as u64, length)).collect();
        journal.rewrite(records.clone()).unwrap();
        let whole = journal.length();
        drop(journal);
        let (journal, read) = Journal::<SpoolRecord>::open(&path).unwrap();
        assert!(read == records && journal.length() == whole);
        drop(journal);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(whole - 1).unwrap();
        let (_, read) = Journal::<SpoolRecord>::open(&path).unwrap();
        assert!(read == records[..records.len() - 1]);
    }

    #[test]
    fn two_processes_can_not_have_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let _open = Journal::<SpoolRecord>::open(&path).unwrap();
        assert_eq!(Journal::<SpoolRecord>::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
