//! Files of records on the machine's disk: the ledger, the spool, the vault's journal.
//!
//! A record is durable when [`Journal::append`] returns. A crash can only tear the last record, which was
//! never acknowledged and is cut off at the next start; anything else that does not check out is an error,
//! because guessing would forget what is in force.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use wire::link::record::{self, Next, Record};

/// An open record file, locked against every other process.
#[derive(Debug)]
pub(crate) struct Journal<R> {
    path: PathBuf,
    file: File,
    length: u64,
    /// What follows `length` in the file is the rest of a failed append that could not be cut off.
    has_rest: bool,
    kind: PhantomData<R>,
}

impl<R: Record> Journal<R> {
    /// Opens or creates the file, with what it holds.
    ///
    /// # Errors
    /// `WouldBlock` when another process has it open; `InvalidData`, naming file and offset, when a record
    /// other than a torn last one does not check out; what the filesystem says.
    pub(crate) fn open(path: &Path) -> io::Result<(Self, Vec<R>)> {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        lock(&file, path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let mut records = Vec::new();
        let mut offset = 0;
        loop {
            match record::next(&bytes[offset..]) {
                Next::Record(record, length) => {
                    records.push(record);
                    offset += length;
                }
                Next::End => break,
                Next::Damaged(reason) if !was_never_written(&bytes, offset) => {
                    return Err(damaged(path, offset, reason));
                }
                Next::Torn if has_record_after::<R>(&bytes, offset) => {
                    return Err(damaged(path, offset, "its length does not fit"));
                }
                Next::Torn | Next::Damaged(_) => {
                    tracing::warn!(path = %path.display(), offset, "a last record that a crash tore is cut off");
                    file.set_len(offset as u64)?;
                    file.sync_all()?;
                    break;
                }
            }
        }
        if bytes.is_empty() {
            sync_parent(path)?;
        }
        file.seek(SeekFrom::Start(offset as u64))?;
        Ok((
            Self { path: path.to_owned(), file, length: offset as u64, has_rest: false, kind: PhantomData },
            records,
        ))
    }

    /// Adds a record; it is durable when this returns.
    ///
    /// # Errors
    /// When it could not be made durable (full disk, broken disk): the file is then as it was before.
    pub(crate) fn append(&mut self, record: &R) -> io::Result<()> {
        if self.has_rest {
            self.cut_off()?;
        }
        let bytes = record::encode(record);
        if let Err(error) = self.file.write_all(&bytes).and_then(|()| self.file.sync_data()) {
            self.has_rest = true;
            self.cut_off()?;
            return Err(error);
        }
        self.length += bytes.len() as u64;
        Ok(())
    }

    fn cut_off(&mut self) -> io::Result<()> {
        self.file.set_len(self.length)?;
        self.file.seek(SeekFrom::Start(self.length))?;
        self.has_rest = false;
        Ok(())
    }

    /// Replaces everything by `records`, in one step that a crash can't halve.
    ///
    /// # Errors
    /// When the new file could not be made durable: the old one then stands.
    pub(crate) fn rewrite(&mut self, records: &[R]) -> io::Result<()> {
        let fresh = self.path.with_extension("new");
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        lock(&file, &fresh)?;
        let bytes: Vec<u8> = records.iter().flat_map(record::encode).collect();
        file.write_all(&bytes)?;
        file.sync_all()?;
        std::fs::rename(&fresh, &self.path)?;
        self.file = file;
        self.length = bytes.len() as u64;
        self.has_rest = false;
        sync_parent(&self.path)
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

/// Whether a whole record stands anywhere behind `offset`: then what stands there was not torn, but damaged.
fn has_record_after<R: Record>(bytes: &[u8], offset: usize) -> bool {
    const FARTHEST: usize = 1 << 20;
    let starts = offset + 1..bytes.len().min(offset + FARTHEST);
    starts.into_iter().any(|start| matches!(record::next::<R>(&bytes[start..]), Next::Record(..)))
}

/// Whether a power cut left the last record's length on the disk, but not all of its bytes: nothing follows
/// it, and a sector of it is still zero. Such a record was never acknowledged.
fn was_never_written(bytes: &[u8], offset: usize) -> bool {
    const SECTOR: usize = 512;
    const HEAD: usize = 9;
    let rest = &bytes[offset..];
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
        journal.rewrite(&[stored(9)]).unwrap();
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
    fn two_processes_can_not_have_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger");
        let _open = Journal::<SpoolRecord>::open(&path).unwrap();
        assert_eq!(Journal::<SpoolRecord>::open(&path).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    }
}
