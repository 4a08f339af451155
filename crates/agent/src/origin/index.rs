//! The index of what packages brought: on the disk, so that it takes no memory. By the digest of a path it finds the
//! package that owns it, and what that says the file must hold.
//!
//! Magic and stamp, the packages, the entries by ascending keys; then where each package and each bucket of entries
//! begins, how many there are of both, and a checksum of that. Numbers are little-endian.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use model::Digests;
use model::origin::{Database, Origin};
use sha2::{Digest as _, Sha256};

use crate::spared::Digest;

const MAGIC: &[u8; 16] = b"quell origins 1\n";
/// Where the packages begin.
const HEAD: u64 = 48;
/// Entries are found by the first twelve bits of their keys.
const BUCKETS: usize = 4096;
/// Length of an entry in bytes.
pub(super) const ENTRY: usize = 40;
/// No index has more.
pub(super) const MOST_FILES: u32 = 4 << 20;
const MOST_PACKAGES: usize = 100_000;
/// No more of a bucket is read: keys are evenly spread.
const LONGEST_BUCKET: usize = 1 << 20;

/// What a path is found by.
pub(super) type Key = [u8; 16];

/// The key of a canonical path.
pub(super) fn key(path: &Path) -> Key {
    let digest: [u8; 32] = Sha256::digest(path.as_os_str().as_encoded_bytes()).into();
    *digest.first_chunk().unwrap_or(&[0; 16])
}

/// That a package has a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// The number of its package.
    pub(super) package: u32,
    /// Which digest follows; 0 for none.
    kind: u8,
    /// What it must hold: the beginning of a digest.
    digest: [u8; 16],
}

impl Entry {
    pub(super) fn new(key: Key, package: u32, digest: Option<&Digest>) -> Self {
        let (kind, digest) = match digest {
            None => (0, [0; 16]),
            Some(Digest::Md5(md5)) => (1, md5.0),
            Some(Digest::Sha1(sha1)) => (2, first(&sha1.0)),
            Some(Digest::Sha256(sha256)) => (3, first(&sha256.0)),
        };
        Self { key, package, kind, digest }
    }

    pub(super) fn encode(&self) -> [u8; ENTRY] {
        let mut bytes = [0; ENTRY];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..20].copy_from_slice(&self.package.to_le_bytes());
        bytes[20] = self.kind;
        bytes[24..].copy_from_slice(&self.digest);
        bytes
    }

    fn decode(bytes: &[u8; ENTRY]) -> Self {
        Self {
            key: first(bytes),
            package: u32::from_le_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]),
            kind: bytes[20],
            digest: first(&bytes[24..]),
        }
    }

    /// Whether a file holds what it must; none where that is not recorded.
    fn matches(&self, digests: &Digests) -> Option<bool> {
        let held = match self.kind {
            1 => digests.md5.0,
            2 => first(&digests.sha1.0),
            3 => first(&digests.sha256.0),
            _ => return None,
        };
        Some(held == self.digest)
    }
}

fn first(bytes: &[u8]) -> [u8; 16] {
    *bytes.first_chunk().unwrap_or(&[0; 16])
}

fn bucket(key: &Key) -> usize {
    usize::from(u16::from_be_bytes([key[0], key[1]]) >> 4)
}

/// An index that is being written. Whoever says what stands in it is not trusted.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    stamp: [u8; 32],
    /// Where the next byte goes.
    at: u32,
    packages: Vec<u32>,
    buckets: Vec<u32>,
    files: u32,
    last: Key,
}

impl Writer {
    /// Of packages that were so.
    pub(super) fn create(path: &Path, stamp: [u8; 32]) -> io::Result<Self> {
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut file = BufWriter::new(file);
        file.write_all(MAGIC)?;
        file.write_all(&stamp)?;
        let (packages, buckets) = (Vec::new(), Vec::with_capacity(BUCKETS + 1));
        Ok(Self {
            path: path.to_owned(),
            file,
            stamp,
            at: HEAD as u32,
            packages,
            buckets,
            files: 0,
            last: [0; 16],
        })
    }

    /// The next package. All of them come before the entries.
    pub(super) fn package(&mut self, origin: &Origin) -> io::Result<()> {
        if self.packages.len() >= MOST_PACKAGES || self.files > 0 {
            return Err(senseless("too many packages, or too late"));
        }
        let texts = [origin.package.as_str(), &origin.version, origin.vendor.as_deref().unwrap_or_default()];
        let mut record = vec![match origin.database {
            Database::Dpkg => 1,
            Database::Rpm => 2,
        }];
        for text in texts {
            let length = u16::try_from(text.len()).map_err(|_| senseless("a name is too long"))?;
            record.extend(length.to_le_bytes());
            record.extend(text.as_bytes());
        }
        self.packages.push(self.at);
        self.at += record.len() as u32;
        self.file.write_all(&record)
    }

    /// The next entries.
    pub(super) fn entries(&mut self, bytes: &[u8]) -> io::Result<()> {
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(senseless("an entry breaks off"));
        }
        for bytes in entries {
            let entry = Entry::decode(bytes);
            let is_known = usize::try_from(entry.package).is_ok_and(|number| number < self.packages.len());
            if !is_known || entry.kind > 3 || entry.key < self.last || self.files >= MOST_FILES {
                return Err(senseless("an entry is out of place"));
            }
            self.begin(bucket(&entry.key));
            self.last = entry.key;
            self.files += 1;
        }
        self.file.write_all(bytes)
    }

    /// All buckets up to this one begin here, if they have not begun yet.
    fn begin(&mut self, bucket: usize) {
        while self.buckets.len() <= bucket {
            self.buckets.push(self.files);
        }
    }

    /// Makes it durable, under its own name.
    pub(super) fn finish(mut self) -> io::Result<Index> {
        self.begin(BUCKETS);
        self.packages.push(self.at);
        let mut tail = Vec::new();
        let counts = [self.packages.len() as u32 - 1, self.files];
        for number in self.packages.iter().chain(&self.buckets).chain(&counts) {
            tail.extend(number.to_le_bytes());
        }
        tail.extend(crc32c::crc32c(&tail).to_le_bytes());
        self.file.write_all(&tail)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_data()?;
        let Self { stamp, packages, buckets, .. } = self;
        Ok(Index { file, path: self.path, stamp, packages, buckets })
    }
}

/// The index as it lies on the disk.
pub(super) struct Index {
    file: File,
    path: PathBuf,
    stamp: [u8; 32],
    /// Where each package stands, and where the entries begin.
    packages: Vec<u32>,
    /// Number of the first entry of each bucket, and of all.
    buckets: Vec<u32>,
}

impl Index {
    /// Opens what was written before; none where there is nothing, or nothing that makes sense.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let file = File::open(path).ok()?;
        let length = file.metadata().ok()?.len();
        let piece = |at: u64, length: usize| {
            let mut bytes = vec![0; length];
            file.read_exact_at(&mut bytes, at).is_ok().then_some(bytes)
        };
        let head = piece(0, HEAD as usize)?;
        let stamp: [u8; 32] = *head.strip_prefix(MAGIC)?.first_chunk()?;
        let numbers = |bytes: &[u8]| -> Vec<u32> {
            bytes.as_chunks().0.iter().map(|number| u32::from_le_bytes(*number)).collect()
        };
        let [count, files, _] = numbers(&piece(length.checked_sub(12)?, 12)?)[..] else { return None };
        if usize::try_from(count).ok()? > MOST_PACKAGES || files > MOST_FILES {
            return None;
        }
        let packages = count as usize + 1;
        let tail = (packages + BUCKETS + 1 + 2) * 4;
        let begin = length.checked_sub(tail as u64 + 4)?;
        let bytes = piece(begin, tail + 4)?;
        let (tail, checksum) = bytes.split_last_chunk::<4>()?;
        if crc32c::crc32c(tail) != u32::from_le_bytes(*checksum) {
            return None;
        }
        let mut packages_then_buckets = numbers(tail);
        packages_then_buckets.truncate(packages + BUCKETS + 1);
        let buckets = packages_then_buckets.split_off(packages);
        let index = Self { file, path: path.to_owned(), stamp, packages: packages_then_buckets, buckets };
        (index.entry_at(files)? == begin).then_some(index)
    }

    /// Where the entry of a number stands.
    fn entry_at(&self, number: u32) -> Option<u64> {
        Some(u64::from(*self.packages.last()?) + u64::from(number) * ENTRY as u64)
    }

    /// Of which state of the packages it is.
    pub(super) fn stamp(&self) -> &[u8; 32] {
        &self.stamp
    }

    /// Gives it its lasting name.
    pub(super) fn rename(&self, path: &Path) -> io::Result<()> {
        fs::rename(&self.path, path)
    }

    /// The package that owns a path, and whether a file of these digests is what it brought. Of several packages it is
    /// the one whose file this is, if there is one.
    pub(super) fn find(&self, path: &Path, digests: &Digests) -> Option<Origin> {
        let key = key(path);
        let (from, to) = (*self.buckets.get(bucket(&key))?, *self.buckets.get(bucket(&key) + 1)?);
        let length = (to.checked_sub(from)? as usize * ENTRY).min(LONGEST_BUCKET);
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, self.entry_at(from)?).ok()?;
        let entries = bytes.as_chunks().0.iter().map(Entry::decode).filter(|entry| entry.key == key);
        let rank = |entry: &Entry| match entry.matches(digests) {
            Some(true) => 0,
            None => 1,
            Some(false) => 2,
        };
        let entry = entries.min_by_key(rank)?;
        Some(Origin { matches: entry.matches(digests), ..self.package(entry.package)? })
    }

    fn package(&self, number: u32) -> Option<Origin> {
        let number = usize::try_from(number).ok()?;
        let (from, to) = (*self.packages.get(number)?, *self.packages.get(number + 1)?);
        let mut record = vec![0; to.checked_sub(from)?.min(1 << 12) as usize];
        self.file.read_exact_at(&mut record, u64::from(from)).ok()?;
        let (database, mut rest) = record.split_first()?;
        let database = match database {
            1 => Database::Dpkg,
            2 => Database::Rpm,
            _ => return None,
        };
        let mut text = || {
            let (length, after) = rest.split_first_chunk::<2>()?;
            let (text, after) = after.split_at_checked(usize::from(u16::from_le_bytes(*length)))?;
            rest = after;
            String::from_utf8(text.to_vec()).ok()
        };
        let (package, version, vendor) = (text()?, text()?, text()?);
        let vendor = Some(vendor).filter(|vendor| !vendor.is_empty());
        Some(Origin { database, package, version, vendor, matches: None })
    }
}

fn senseless(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.to_owned())
}

#[cfg(test)]
mod tests {
    use model::{Md5, Sha1, Sha256 as Sha};

    use super::*;

    fn digests(byte: u8) -> Digests {
        Digests { sha256: Sha([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) }
    }

    fn origin(database: Database, package: &str, vendor: Option<&str>) -> Origin {
        let vendor = vendor.map(str::to_owned);
        Origin { database, package: package.to_owned(), version: "1:2-3".to_owned(), vendor, matches: None }
    }

    fn written(path: &Path) -> Index {
        let mut writer = Writer::create(path, [7; 32]).unwrap();
        writer.package(&origin(Database::Dpkg, "dash", Some("Somebody"))).unwrap();
        writer.package(&origin(Database::Rpm, "other", None)).unwrap();
        let mut entries: Vec<Entry> = (0..5000_u32)
            .map(|number| Entry::new(key(Path::new(&format!("/opt/{number}"))), 1, None))
            .collect();
        let md5 = Digest::Md5(Md5([1; 16]));
        let (sha1, sha256) = (Digest::Sha1(Sha1([2; 20])), Digest::Sha256(Sha([3; 32])));
        let sh = key(Path::new("/bin/sh"));
        entries.push(Entry::new(sh, 0, Some(&md5)));
        entries.push(Entry::new(sh, 1, Some(&sha1)));
        entries.push(Entry::new(key(Path::new("/bin/x")), 1, Some(&sha256)));
        entries.sort();
        for some in entries.chunks(999) {
            writer.entries(&some.iter().flat_map(Entry::encode).collect::<Vec<u8>>()).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn what_was_written_is_found_now_and_after_a_start() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("origins");
        let made = written(&path);
        for index in [made, Index::open(&path).unwrap()] {
            assert_eq!(index.stamp(), &[7; 32]);
            let find = |path: &str, byte| index.find(Path::new(path), &digests(byte));
            let told = |path: &str, byte| find(path, byte).map(|origin| (origin.package, origin.matches));
            assert_eq!(told("/bin/sh", 1), Some(("dash".to_owned(), Some(true))));
            assert_eq!(told("/bin/sh", 2), Some(("other".to_owned(), Some(true))), "the one whose it is");
            assert_eq!(told("/bin/sh", 9), Some(("dash".to_owned(), Some(false))));
            assert_eq!(told("/bin/x", 3), Some(("other".to_owned(), Some(true))));
            assert_eq!(told("/bin/y", 3), None);
            for number in [0, 1, 2500, 4999] {
                assert_eq!(told(&format!("/opt/{number}"), 1), Some(("other".to_owned(), None)));
            }
            let whole = find("/bin/sh", 1).unwrap();
            assert_eq!(
                whole,
                Origin { matches: Some(true), ..origin(Database::Dpkg, "dash", Some("Somebody")) }
            );
        }
    }

    #[test]
    fn what_is_damaged_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("origins");
        assert!(Index::open(&path).is_none());
        written(&path);
        let whole = fs::read(&path).unwrap();
        for length in [0, 12, 47, 48, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(Index::open(&path).is_none(), "{length}");
        }
        for at in [0, whole.len() - 1, whole.len() - 5, whole.len() - 9, whole.len() - 1000] {
            let mut other = whole.clone();
            other[at] ^= 0x80;
            fs::write(&path, &other).unwrap();
            assert!(Index::open(&path).is_none(), "{at}");
        }
        // What the checksum does not cover is looked at when it is asked for.
        let mut other = whole;
        other[48..3000].fill(0xff);
        fs::write(&path, &other).unwrap();
        assert_eq!(Index::open(&path).unwrap().find(Path::new("/bin/sh"), &digests(1)), None);
    }

    #[test]
    fn entries_that_make_no_sense_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let writer = || {
            let mut writer = Writer::create(&dir.path().join("origins"), [0; 32]).unwrap();
            writer.package(&origin(Database::Dpkg, "dash", None)).unwrap();
            writer
        };
        let entry = |byte, package| Entry::new([byte; 16], package, None).encode().to_vec();
        writer().entries(&[entry(1, 0), entry(1, 0), entry(2, 0)].concat()).unwrap();
        assert!(writer().entries(&[entry(2, 0), entry(1, 0)].concat()).is_err(), "not in order");
        assert!(writer().entries(&entry(1, 1)).is_err(), "of no package");
        assert!(writer().entries(&entry(1, 0)[1..]).is_err(), "not whole");
        let mut unknown = entry(1, 0);
        unknown[20] = 4;
        assert!(writer().entries(&unknown).is_err(), "no such digest");
        let mut late = writer();
        late.entries(&entry(1, 0)).unwrap();
        assert!(late.package(&origin(Database::Dpkg, "late", None)).is_err());
    }
}
