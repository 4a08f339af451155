//! Digests that may be used again: the cache, and the conditions under which that is safe.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use model::{Kinds, Names, Time};
use sys::fanotify::EventBuffer;
use sys::fanotify::writers::{Closed, WriterGroup};
use sys::identity::{Identity, Stat};

use super::cache::{Cache, Trust};
use crate::clock;

/// A change within one tick of the kernel's clock leaves the same ctime; the slowest tick is 10 ms.
const TICK_NS: i128 = 20_000_000;
/// Where times are kept in seconds, a change within one of them does.
const SECOND_NS: i128 = 2_000_000_000;

/// As many as empty a full queue, so that nobody keeps the guard listening for ever.
const MOST_READS: usize = 512;

const TMPFS: u64 = 0x0102_1994;

/// Filesystems where every change of content leaves a ctime that nobody can choose, also after the inode was read from
/// the disk again. On all others each exec has its own hash: on vfat and msdos the ctime is the mtime, which the
/// owner sets; exfat and hfs keep no ctime on the disk; what is mapped through an overlay is a file of another
/// filesystem, and neither lease nor ctime tells who writes; ramfs is as tmpfs, without anybody who tells of its
/// writers; ntfs3, udf and zfs were never tried.
const CTIME_TELLS: [u64; 8] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // xfs
    0x9123_683e, // btrfs
    0xf2f5_2010, // f2fs
    0xca45_1a4e, // bcachefs
    0xe0f5_e1e2, // erofs
    0x7371_7368, // squashfs
    0x9660,      // iso9660
];

pub(super) struct Known {
    cache: Cache,
    writers: Option<Arc<WriterGroup>>,
    buffer: EventBuffer,
}

impl Known {
    pub(super) fn new(writers: Option<Arc<WriterGroup>>) -> Self {
        Self { cache: Cache::new(), writers, buffer: EventBuffer::new(0) }
    }

    /// The digests of a file, if those that are needed are known. **A lease on it must be held**: only then had
    /// everyone who wrote to it left before its state was seen.
    pub(super) fn names(&mut self, identity: &Identity, needed: Kinds) -> Option<Names> {
        let (names, trust) = self.cache.get(identity)?;
        let names = match trust {
            Trust::Identity => names,
            Trust::IdentityAndNews => {
                self.hear();
                self.cache.get(identity)?.0
            }
        };
        names.has(needed).then_some(names)
    }

    /// Keeps the digests of a file, if they can be told to be its digests later. The lease must have been held
    /// since before it was hashed, and be held still.
    pub(super) fn learn(&mut self, file: BorrowedFd<'_>, stat: &Stat, names: Names) {
        // A change that comes after this look, and so after the lease, is stamped with no less than this.
        let now = clock::of_stamps();
        let Some(identity) = stat.identity.filter(|_| !is_young(stat.ctime_ns, now)) else { return };
        let Some(trust) = self.trust(file) else { return };
        if trust == Trust::IdentityAndNews {
            // The news of those who wrote before are old, and must not be taken for new ones later.
            self.hear();
        }
        self.cache.insert(identity, names, trust);
    }

    /// Forgets what is known of a device, or of all: another filesystem may have its number from now on.
    pub(super) fn forget_device(&mut self, device: Option<u64>) {
        self.cache.forget_device(device);
    }

    fn trust(&self, file: BorrowedFd<'_>) -> Option<Trust> {
        let kind = rustix::fs::fstatfs(file).ok()?.f_type.cast_unsigned();
        trust(kind, self.writers.is_some())
    }

    /// Takes in who closed a file after writing.
    fn hear(&mut self) {
        let Some(writers) = &self.writers else { return };
        for _ in 0..MOST_READS {
            let mut heard = false;
            match writers.read(&mut self.buffer) {
                Ok(news) => {
                    for closed in news {
                        heard = true;
                        match closed {
                            Closed::File(handle) => self.cache.forget(&handle),
                            Closed::Any => self.cache.forget_all(),
                        }
                    }
                }
                // Not known to happen; deaf is as bad as overrun.
                Err(_) => self.cache.forget_all(),
            }
            if !heard {
                return;
            }
        }
        // They write faster than we read: nothing there is worth remembering now.
        self.cache.forget_all();
    }
}

/// Under which condition what is known of a file of a filesystem of this kind may be used again, if ever.
fn trust(kind: u64, hears_of_writers: bool) -> Option<Trust> {
    match kind {
        TMPFS => hears_of_writers.then_some(Trust::IdentityAndNews),
        _ => CTIME_TELLS.contains(&kind).then_some(Trust::Identity),
    }
}

/// Whether every change of a file's content leaves a ctime that nobody can choose, by what is known of its filesystem.
pub(crate) fn is_ctime_believed(file: BorrowedFd<'_>) -> bool {
    rustix::fs::fstatfs(file)
        .is_ok_and(|filesystem| trust(filesystem.f_type.cast_unsigned(), false) == Some(Trust::Identity))
}

/// Whether a file may change once more without another ctime.
pub(crate) fn is_young(ctime_ns: i64, now: Time) -> bool {
    let age = now.nanoseconds() - i128::from(ctime_ns);
    age < if ctime_ns % 1_000_000_000 == 0 { SECOND_NS } else { TICK_NS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_ctime_that_nobody_sets_is_trusted() {
        assert_eq!(trust(0xef53, false), Some(Trust::Identity));
        assert_eq!(trust(TMPFS, true), Some(Trust::IdentityAndNews));
        assert_eq!(trust(TMPFS, false), None);
        let (vfat, exfat, ntfs3, overlay, ramfs) =
            (0x4d44, 0x2011_bab0, 0x7366_746e, 0x794c_7630, 0x8584_58f6);
        for kind in [vfat, exfat, ntfs3, overlay, ramfs, 0] {
            assert_eq!(trust(kind, true), None, "{kind:x}");
        }
    }

    #[test]
    fn a_file_is_young_for_a_tick_or_two_seconds() {
        const SECOND: i64 = 1_000_000_000;
        let cases = [
            (5, 5 + 19_999_900, true),
            (5, 5 + 20_000_100, false),
            (7 * SECOND, 8 * SECOND, true),
            (7 * SECOND, 9 * SECOND, false),
            (7 * SECOND + 1, 8 * SECOND, false),
            // The clock was put back.
            (9 * SECOND + 1, 7 * SECOND, true),
        ];
        for (ctime, now, young) in cases {
            let now_at = Time::from_nanoseconds(i128::from(now));
            assert_eq!(is_young(ctime, now_at), young, "{ctime} at {now}");
        }
    }
}
