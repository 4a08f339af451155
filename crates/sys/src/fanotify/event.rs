//! The records that both kinds of group are read as.

use std::fmt;

/// Length of `struct fanotify_event_metadata`, with which every record begins.
const METADATA: usize = 24;

/// Memory that events are read into, allocated once and reused.
pub struct EventBuffer {
    pub(super) bytes: Box<[u8]>,
}

impl EventBuffer {
    /// The least size that holds any one event, even with the longest name and the longest handle.
    pub const LEAST: usize = 4096;

    /// Makes a buffer of `size` bytes, or of [`Self::LEAST`] when that is more.
    ///
    /// Its pages are there afterwards: the reader of a permission group must not wait for memory.
    pub fn new(size: usize) -> Self {
        // Zeroes would come from calloc, which hands out pages that do not exist before they are touched.
        Self { bytes: vec![0xff; size.max(Self::LEAST)].into_boxed_slice() }
    }
}

impl Default for EventBuffer {
    /// 16 KiB: some 680 questions, or a hundred changes with their names.
    fn default() -> Self {
        Self::new(16 * 1024)
    }
}

impl fmt::Debug for EventBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventBuffer").field("size", &self.bytes.len()).finish()
    }
}

/// One event as the kernel wrote it, its lengths checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'b> {
    pub(super) mask: u64,
    pub(super) fd: i32,
    pub(super) pid: i32,
    /// The information records behind the metadata; none in a permission group.
    pub(super) infos: &'b [u8],
}

/// Why the rest of a buffer cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Walks the records of a buffer; after an error there is nothing more.
#[derive(Debug, Clone)]
pub(super) struct Records<'b> {
    rest: &'b [u8],
}

impl<'b> Records<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'b> Iterator for Records<'b> {
    type Item = Result<Record<'b>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = split_record(self.rest);
        self.rest = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(record, _)| record).ok_or(Malformed))
    }
}

fn split_record(bytes: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let length = u32::from_ne_bytes(field(bytes, 0)?) as usize;
    let [version] = field(bytes, 4)?;
    let metadata = usize::from(u16::from_ne_bytes(field(bytes, 6)?));
    if version != libc::FANOTIFY_METADATA_VERSION || metadata < METADATA || length < metadata {
        return None;
    }
    let (event, rest) = bytes.split_at_checked(length)?;
    let record = Record {
        mask: u64::from_ne_bytes(field(event, 8)?),
        fd: i32::from_ne_bytes(field(event, 16)?),
        pid: i32::from_ne_bytes(field(event, 20)?),
        infos: &event[metadata..],
    };
    Some((record, rest))
}

/// The `N` bytes at `at`, if they are there.
pub(super) fn field<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

#[cfg(test)]
pub(super) fn encode(mask: u64, fd: i32, pid: i32, infos: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend(((METADATA + infos.len()) as u32).to_ne_bytes());
    bytes.extend([libc::FANOTIFY_METADATA_VERSION, 0]);
    bytes.extend((METADATA as u16).to_ne_bytes());
    bytes.extend(mask.to_ne_bytes());
    bytes.extend(fd.to_ne_bytes());
    bytes.extend(pid.to_ne_bytes());
    bytes.extend(infos);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_records_of_different_lengths() {
        let bytes = [encode(1, 7, 70, b""), encode(2, 8, 80, b"some info"), encode(3, 9, 90, b"")].concat();
        let records: Result<Vec<_>, _> = Records::new(&bytes).collect();
        let seen: Vec<_> = records.unwrap().iter().map(|r| (r.mask, r.fd, r.pid, r.infos)).collect();
        assert_eq!(seen, [(1, 7, 70, &b""[..]), (2, 8, 80, b"some info"), (3, 9, 90, b"")]);
    }

    #[test]
    fn ends_at_the_first_record_it_cannot_trust() {
        let good = encode(1, 7, 70, b"");
        let spoil = |at: usize, with: &[u8]| {
            let mut bytes = [good.clone(), good.clone()].concat();
            bytes[at..at + with.len()].copy_from_slice(with);
            bytes
        };
        let cases = [
            ("length zero would never end", spoil(0, &0_u32.to_ne_bytes())),
            ("length below the metadata", spoil(0, &23_u32.to_ne_bytes())),
            ("length past the end", spoil(0, &49_u32.to_ne_bytes())),
            ("length of all ones", spoil(0, &u32::MAX.to_ne_bytes())),
            ("another version", spoil(4, &[4])),
            ("metadata too short", spoil(6, &8_u16.to_ne_bytes())),
            ("metadata past the event", spoil(6, &25_u16.to_ne_bytes())),
        ];
        for (name, bytes) in cases {
            assert_eq!(Records::new(&bytes).collect::<Vec<_>>(), [Err(Malformed)], "{name}");
        }
    }

    #[test]
    fn no_cut_of_a_record_is_taken_for_one() {
        let bytes = encode(1, 7, 70, b"info");
        for end in 1..bytes.len() {
            assert_eq!(Records::new(&bytes[..end]).collect::<Vec<_>>(), [Err(Malformed)], "cut at {end}");
        }
    }
}
