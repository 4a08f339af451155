//! A copy that is to be read whole: found, checked by its digest, and closed to writers for as long as none comes.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use model::act::CopyResult;
use model::{Digests, FileId, Kinds, VaultId};
use sys::identity::Identity;
use sys::lease::Lease;

use super::find::is_ours;
use super::{Grounds, failed};
use crate::digest::Hasher;
use crate::vault::{directory, mount_of, open_regular};

/// No greater file is read, whatever the server takes.
const LARGEST: u64 = 16 << 30;
/// As much is read between two looks whether somebody wants to write.
const PIECE: u64 = 1 << 20;
/// How long a writer may still take.
const PATIENCE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(10);

/// Said when somebody wants to write: he is not kept waiting.
pub(crate) const DISTURBED: &str = "somebody wants to write to it; order it again";

/// A copy that can be read.
#[derive(Debug)]
pub(crate) struct Readable {
    file: File,
    /// Where it lay, or lay before it was quarantined.
    pub(crate) path: PathBuf,
    pub(crate) vault: Option<VaultId>,
    pub(crate) digests: Digests,
    pub(crate) size: u64,
}

impl Readable {
    /// Bytes from `offset` on, no more than `most`.
    ///
    /// # Errors
    /// Those of reading; also when somebody wants to write to the file, or it ended before that.
    pub(crate) fn read(&self, offset: u64, most: usize) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; most.min(usize::try_from(self.size - offset).unwrap_or(most))];
        let mut filled = 0;
        while filled < piece.len() {
            match rustix::io::pread(&self.file, &mut piece[filled..], offset + filled as u64) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => filled += read,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.is_disturbed() { Err(io::Error::other(DISTURBED)) } else { Ok(piece) }
    }

    /// Whether somebody wants to write to it.
    pub(crate) fn is_disturbed(&self) -> bool {
        !sys::lease::is_whole(self.file.as_fd()).unwrap_or(false)
    }
}

/// The first copy that can be read: what rests in the vault first, since nobody writes there. Otherwise what came of
/// each.
pub(crate) fn open_copy(
    grounds: &Grounds,
    wanted: FileId,
    known: &[PathBuf],
) -> Result<Readable, Vec<CopyResult>> {
    let mut results = Vec::new();
    for resting in grounds.vault.list().into_iter().filter(|resting| wanted.names(&resting.digests)) {
        match open(&resting.rests_at).and_then(|file| whole(file, wanted)) {
            Ok(Some((file, digests, size))) => {
                return Ok(Readable { file, path: resting.path, vault: Some(resting.id), digests, size });
            }
            Ok(None) => results.push(failed(resting.path, "it is changed in the vault", Some(resting.id))),
            Err(error) => results.push(failed(resting.path, error.to_string(), Some(resting.id))),
        }
    }
    for path in known {
        // What is gone, or nothing that can be read, is no copy.
        let Ok(file) = open(path) else { continue };
        match in_place(grounds, path, file, wanted) {
            Ok(Some((file, digests, size))) => {
                return Ok(Readable { file, path: path.clone(), vault: None, digests, size });
            }
            Ok(None) => {}
            Err(error) => results.push(failed(path.clone(), error.to_string(), None)),
        }
    }
    Err(results)
}

fn open(path: &Path) -> io::Result<File> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    open_regular(directory(parent)?.as_fd(), Path::new(name))
}

/// As [`whole`], on guarded filesystems only; none for what is another file, or this machine's own.
fn in_place(
    grounds: &Grounds,
    path: &Path,
    file: File,
    wanted: FileId,
) -> io::Result<Option<(File, Digests, u64)>> {
    let stat = Identity::of(file.as_fd())?;
    if is_ours(grounds, path, &stat) {
        return Ok(None);
    }
    // The mount's device and not the file's: on btrfs they differ.
    if !grounds.guards(stat.device) && !grounds.guards(mount_of(file.as_fd())?.device) {
        return Err(io::Error::other("not guarded"));
    }
    whole(file, wanted)
}

/// The file with its names and length, under a lease, when it is the one wanted. Read behind all others.
fn whole(file: File, wanted: FileId) -> io::Result<Option<(File, Digests, u64)>> {
    let before = Identity::of(file.as_fd())?;
    if before.size > LARGEST {
        return Err(io::Error::other(format!(
            "it is larger than the {} GiB that are read at most",
            LARGEST >> 30
        )));
    }
    let deadline = Instant::now() + PATIENCE;
    while let Lease::Writer = sys::lease::take_read(file.as_fd())? {
        if Instant::now() >= deadline {
            return Err(io::Error::other("a writer has it open"));
        }
        std::thread::sleep(RETRY);
    }
    let hashed = std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            sys::process::step_back();
            hash(&file)
        });
        reading.join().unwrap_or_else(|_| Err(io::Error::other("reading it failed")))
    });
    let digests = hashed?;
    let after = Identity::of(file.as_fd())?;
    // Not its ctime: whoever quarantines it meanwhile gives it another name, and its content is the same.
    if before.size != after.size || !sys::lease::is_whole(file.as_fd())? {
        return Err(io::Error::other(DISTURBED));
    }
    Ok(wanted.names(&digests).then_some((file, digests, after.size)))
}

fn hash(file: &File) -> io::Result<Digests> {
    let mut hasher = Hasher::new(Kinds::ALL);
    while !hasher.read_on(file.as_fd(), PIECE)? {
        if !sys::lease::is_whole(file.as_fd())? {
            return Err(io::Error::other(DISTURBED));
        }
    }
    hasher.finish().0.all().ok_or_else(|| io::Error::other("a digest of each kind was asked for"))
}
