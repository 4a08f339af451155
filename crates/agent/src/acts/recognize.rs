//! Whether what a process runs is the file, whatever its name, and also when it has none any more.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::path::Path;

use model::{Digests, FileId};
use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::find::Copy;
use super::interpreter::Interpreter;
use crate::digest::hash_plainly;

/// An inode in one state. Its number alone could be given to another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) device: u64,
    pub(super) inode: u64,
    ctime_ns: i64,
    size: u64,
}

impl State {
    /// Of whatever the path leads to, asking no server and opening nothing.
    pub(super) fn of(path: &Path) -> Option<Self> {
        let flags = AtFlags::STATX_DONT_SYNC;
        let stat = rustix::fs::statx(CWD, path, flags, StatxFlags::BASIC_STATS).ok()?;
        let is_file = rustix::fs::FileType::from_raw_mode(stat.stx_mode.into()).is_file();
        is_file.then(|| Self {
            device: rustix::fs::makedev(stat.stx_dev_major, stat.stx_dev_minor),
            inode: stat.stx_ino,
            ctime_ns: stat.stx_ctime.tv_sec * 1_000_000_000 + i64::from(stat.stx_ctime.tv_nsec),
            size: stat.stx_size,
        })
    }
}

/// Knows a file again. Each inode is hashed at most once in each of its states.
#[derive(Debug)]
pub(super) struct Recognizer {
    wanted: FileId,
    /// Lengths that the file can have; empty when nobody knows it.
    sizes: HashSet<u64>,
    looked_at: HashMap<State, Option<Digests>>,
    /// Every copy that was seen is machine code, which no interpreter runs.
    pub(super) is_machine_code: bool,
    /// The interpreters that copies name.
    pub(super) interpreters: HashSet<Interpreter>,
}

impl Recognizer {
    pub(super) fn new(wanted: FileId, sizes: impl IntoIterator<Item = u64>) -> Self {
        Self {
            wanted,
            sizes: sizes.into_iter().collect(),
            looked_at: HashMap::new(),
            is_machine_code: false,
            interpreters: HashSet::new(),
        }
    }

    /// What was just hashed need not be hashed again.
    pub(super) fn learn(&mut self, copy: &Copy) {
        let stat = &copy.stat;
        let state =
            State { device: stat.device, inode: stat.inode, ctime_ns: stat.ctime_ns, size: stat.size };
        self.sizes.insert(stat.size);
        self.is_machine_code = !copy.is_interpreted;
        self.interpreters.extend(copy.interpreter.clone());
        self.looked_at.insert(state, Some(copy.digests));
    }

    /// The digests of what lies at `path`, in `state`, if it is the file.
    pub(super) fn recognize(&mut self, path: &Path, state: State) -> Option<Digests> {
        if !self.sizes.is_empty() && !self.sizes.contains(&state.size) {
            return None;
        }
        let wanted = self.wanted;
        *self.looked_at.entry(state).or_insert_with(|| {
            let file = open(path, state)?;
            let digests = hash_plainly(file.as_fd()).ok()?.0;
            wanted.names(&digests).then_some(digests)
        })
    }
}

/// Opens what lies at `path` if it still is what was looked at: a process can run another program meanwhile, and
/// what is learnt of an inode counts for all who run it. Waits for nobody, whatever lies there now.
fn open(path: &Path, state: State) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits().cast_signed();
    let file = File::options().read(true).custom_flags(flags).open(path).ok()?;
    let opened = format!("/proc/self/fd/{}", file.as_raw_fd());
    (State::of(Path::new(&opened))? == state).then_some(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_the_place_of_an_inode_says_nothing_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "innocent").unwrap();
        let state = State::of(&path).unwrap();
        std::fs::write(dir.path().join("wanted"), "nocentin").unwrap();
        let wanted = hash_plainly(File::open(dir.path().join("wanted")).unwrap().as_fd()).unwrap().0;
        std::fs::rename(dir.path().join("wanted"), &path).unwrap();
        let mut recognizer = Recognizer::new(FileId::Sha256(wanted.sha256), []);
        assert_eq!(recognizer.recognize(&path, state), None, "the innocent inode is not the file");
        let now = State::of(&path).unwrap();
        assert_eq!(recognizer.recognize(&path, now), Some(wanted));

        std::fs::remove_file(&path).unwrap();
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(CWD, &path, pipe, rustix::fs::Mode::RWXU, 0).unwrap();
        let gone = State { size: 9, ..now };
        assert_eq!(recognizer.recognize(&path, gone), None, "and a pipe holds nobody up");
    }
}
