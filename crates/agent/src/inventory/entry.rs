//! One name of the inventory as it lies on the disk: a file or a directory, below another directory.

use model::facts::{Facts, FileType};
use model::{Digests, Md5, Sha1, Sha256};

/// A name in the index. It keeps its number when its directory moves.
pub(super) type Number = u64;

/// A name and what lies there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The directory that it is in.
    pub(super) parent: Number,
    /// Its last component; of a filesystem's root what that filesystem is known by.
    pub(super) name: Vec<u8>,
    /// Its inode; 0 when nobody has looked.
    pub(super) inode: u64,
    /// None for a directory.
    pub(super) file: Option<File>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) digests: Digests,
    pub(super) facts: Facts,
    pub(super) ctime_ns: i64,
}

/// What inspection calls subtypes, by one byte each. Only ever added to.
const SUBTYPES: [&str; 4] = ["Relocatable", "Program", "SharedObject", "Core"];
const NO_SUBTYPE: u8 = 0;
/// Another one; its length and its letters follow.
const SPELT: u8 = u8::MAX;
const DIRECTORY: u8 = u8::MAX;

impl Entry {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(96 + self.name.len());
        let kind = self.file.as_ref().map_or(DIRECTORY, |file| {
            FileType::ALL.iter().position(|kind| *kind == file.facts.file_type).unwrap_or_default() as u8
        });
        bytes.push(kind);
        put(&mut bytes, self.parent);
        put(&mut bytes, self.inode);
        if let Some(File { digests, facts, ctime_ns }) = &self.file {
            put(&mut bytes, facts.size);
            bytes.extend(ctime_ns.to_le_bytes());
            bytes.extend(digests.sha256.0);
            bytes.extend(digests.sha1.0);
            bytes.extend(digests.md5.0);
            match facts.subtype.as_deref() {
                None => bytes.push(NO_SUBTYPE),
                Some(subtype) => match SUBTYPES.iter().position(|known| *known == subtype) {
                    Some(code) => bytes.push(code as u8 + 1),
                    None => {
                        bytes.push(SPELT);
                        put(&mut bytes, subtype.len() as u64);
                        bytes.extend(subtype.as_bytes());
                    }
                },
            }
        }
        bytes.extend(&self.name);
        bytes
    }

    /// None when these bytes were never written by [`Self::encode`].
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let (kind, after) = rest.split_first()?;
        rest = after;
        let (parent, inode) = (take(&mut rest)?, take(&mut rest)?);
        let file = match *kind {
            DIRECTORY => None,
            kind => Some(File::decode(*FileType::ALL.get(usize::from(kind))?, &mut rest)?),
        };
        Some(Self { parent, name: rest.to_vec(), inode, file })
    }
}

impl File {
    fn decode(file_type: FileType, rest: &mut &[u8]) -> Option<Self> {
        let size = take(rest)?;
        let (ctime, after) = rest.split_first_chunk::<8>()?;
        let (sha256, after) = after.split_first_chunk::<32>()?;
        let (sha1, after) = after.split_first_chunk::<20>()?;
        let (md5, after) = after.split_first_chunk::<16>()?;
        let (subtype, after) = after.split_first()?;
        *rest = after;
        let subtype = match *subtype {
            NO_SUBTYPE => None,
            SPELT => {
                let length = usize::try_from(take(rest)?).ok()?;
                let (letters, after) = rest.split_at_checked(length)?;
                *rest = after;
                Some(std::str::from_utf8(letters).ok()?.to_owned())
            }
            code => Some((*SUBTYPES.get(usize::from(code) - 1)?).to_owned()),
        };
        Some(Self {
            digests: Digests { sha256: Sha256(*sha256), sha1: Sha1(*sha1), md5: Md5(*md5) },
            facts: Facts { size, file_type, subtype },
            ctime_ns: i64::from_le_bytes(*ctime),
        })
    }
}

/// Seven bits a byte, the lowest first.
pub(super) fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// The reverse of [`put`].
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(
            parent: u64, inode: u64, size: u64, ctime_ns: i64, byte: u8, kind in 0..12_usize,
            subtype in proptest::option::of("(Program|Core|[a-z]{0,300})"), name: Vec<u8>, is_file: bool,
        ) {
            let file = is_file.then(|| File {
                digests: Digests { sha256: Sha256([byte; 32]), sha1: Sha1([byte; 20]), md5: Md5([byte; 16]) },
                facts: Facts { size, file_type: FileType::ALL[kind], subtype },
                ctime_ns,
            });
            let entry = Entry { parent, name, inode, file };
            prop_assert_eq!(Entry::decode(&entry.encode()), Some(entry));
        }

        #[test]
        fn no_bytes_are_too_strange(bytes: Vec<u8>) {
            let _ = Entry::decode(&bytes);
        }
    }
}
