//! A filesystem of its own for each test, and files that carry everything a file can carry.
//!
//! Nothing outside of it is touched: acts are given its device as the only guarded one, and only processes
//! that a test started run from it.

#![expect(dead_code, reason = "each test program uses a part of it")]

pub(crate) mod scene;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent::digest::hash_plainly;
use agent::vault::{Found, Refusal, Resting, Step, Taking, Vault};
use model::act::{Act, Do, Terms};
use model::log::Position;
use model::{ActId, Clock, Digests, FileId, MachineId, OrderId, Time, VaultId};
use rustix::fs::IFlags;
use tempfile::TempDir;

/// Which filesystem.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Gone with the power: copies are copied.
    Tmpfs,
    /// On a loop device: copies are renamed.
    Ext4,
}

/// As it was, in every way.
pub(crate) const KEEP: Terms = Terms { beside: false, keep_privileges: true };

/// Both of them.
pub(crate) const KINDS: [Kind; 2] = [Kind::Tmpfs, Kind::Ext4];

/// A filesystem, a data directory, and a turn: a process forked by another test would hold files open for
/// writing, and so be a writer.
pub(crate) struct Arena {
    pub(crate) kind: Kind,
    dir: TempDir,
    mounted: Vec<PathBuf>,
    _turn: MutexGuard<'static, ()>,
}

impl Arena {
    /// `None`, and a line that says so, when the test must not run here.
    pub(crate) fn enter(kind: Kind) -> Option<Self> {
        static TURN: Mutex<()> = Mutex::new(());
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            println!("not run: it mounts filesystems, which needs a mount namespace of its own");
            return None;
        }
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = tempfile::tempdir().unwrap();
        let mut arena = Self { kind, dir, mounted: Vec::new(), _turn: turn };
        fs::create_dir(arena.data_dir()).unwrap();
        fs::create_dir(arena.root()).unwrap();
        match kind {
            Kind::Tmpfs => run("mount", &["-t", "tmpfs", "-o", "mode=0755,size=64m", "tmpfs"], &arena.root()),
            Kind::Ext4 => {
                let disk = arena.dir.path().join("disk");
                File::create(&disk).unwrap().set_len(64 << 20).unwrap();
                // Room for all the attributes that a file can have.
                run("mkfs.ext4", &["-q", "-F", "-b", "4096"], &disk);
                run("mount", &["-o", "loop", disk.to_str().unwrap()], &arena.root());
            }
        }
        arena.mounted.push(arena.root());
        let mount = sys::mounts::containing(&arena.root()).unwrap();
        assert_eq!(mount.point, arena.root(), "the new filesystem is mounted");
        Some(arena)
    }

    /// Where the filesystem is mounted: in the data directory, as the demo is.
    pub(crate) fn root(&self) -> PathBuf {
        self.data_dir().join("mounted")
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join("data")
    }

    /// Mounts something else, until the end of the test.
    pub(crate) fn mount(&mut self, arguments: &[&str], point: &Path) {
        run("mount", arguments, point);
        self.mounted.push(point.to_owned());
    }

    pub(crate) fn device(&self) -> u64 {
        fs::metadata(self.root()).unwrap().dev()
    }

    pub(crate) fn vault(&self) -> Vault {
        Vault::open(&self.data_dir(), Arc::new(Standing)).unwrap()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for point in self.mounted.iter().rev() {
            let _ = sys::mounts::unmount_lazily(point);
        }
    }
}

fn run(program: &str, arguments: &[&str], last: &Path) {
    let status = Command::new(program).args(arguments).arg(last).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{program} {arguments:?} {}", last.display());
}

/// An act that may begin at any time.
pub(crate) fn act(what: Do) -> Act {
    Act {
        id: ActId::random(),
        order: OrderId::random(),
        machine: MachineId([1; 20]),
        what,
        after: Position::default(),
        deadline: Time::from_ticks(i64::MAX),
    }
}

/// A clock that stands.
pub(crate) struct Standing;

impl Clock for Standing {
    fn now(&self) -> Time {
        Time::from_seconds(1_800_000_000)
    }
}

/// All of a file that must come back.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Image {
    pub(crate) bytes: Vec<u8>,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) accessed: (i64, i64),
    pub(crate) modified: (i64, i64),
    pub(crate) attributes: Vec<(OsString, Vec<u8>)>,
}

/// Without all the bytes.
impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, mode, owner, accessed, modified, attributes } = self;
        let sha256 = digests_of(bytes).sha256;
        write!(
            f,
            "{} bytes {sha256} {mode:o} {owner:?} {accessed:?} {modified:?} {attributes:?}",
            bytes.len()
        )
    }
}

impl Image {
    /// Of the file at `path`, leaving no trace.
    pub(crate) fn of(path: &Path) -> std::io::Result<Self> {
        let mut file = open_without_trace(path)?;
        let stat = file.metadata()?;
        let mut attributes = sys::place::xattrs(file.as_fd())?;
        attributes.sort();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Self {
            bytes,
            mode: stat.mode(),
            owner: (stat.uid(), stat.gid()),
            accessed: (stat.atime(), stat.atime_nsec()),
            modified: (stat.mtime(), stat.mtime_nsec()),
            attributes,
        })
    }

    /// Makes a file like this.
    pub(crate) fn create(&self, path: &Path) {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path).unwrap();
        file.write_all(&self.bytes).unwrap();
        std::os::unix::fs::fchown(&file, Some(self.owner.0), Some(self.owner.1)).unwrap();
        sys::place::set_xattrs(file.as_fd(), &self.attributes).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(self.mode & 0o7777);
        rustix::fs::fchmod(&file, mode).unwrap();
        let nanoseconds = |(seconds, rest): (i64, i64)| seconds * 1_000_000_000 + rest;
        sys::place::set_times_ns(file.as_fd(), nanoseconds(self.accessed), nanoseconds(self.modified))
            .unwrap();
    }

    /// A program with everything: set-uid, an ACL, a capability, an odd owner, odd times.
    pub(crate) fn rich(bytes: &[u8]) -> Self {
        let entry = |tag: u16, permissions: u16, id: u32| {
            [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
        };
        let nobody = u32::MAX;
        let acl = [
            2_u32.to_le_bytes().to_vec(),
            entry(1, 7, nobody),
            entry(2, 5, 1234),
            entry(4, 1, nobody),
            entry(0x10, 5, nobody),
            entry(0x20, 1, nobody),
        ]
        .concat();
        let capability: Vec<u8> =
            [0x0200_0001_u32, 1 << 10, 0, 0, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
        Self {
            bytes: bytes.to_vec(),
            mode: 0o104_751,
            owner: (1001, 1002),
            accessed: (1_600_000_000, 123_456_789),
            modified: (1_500_000_000, 987_654_321),
            attributes: vec![
                ("security.capability".into(), capability),
                ("system.posix_acl_access".into(), acl),
                ("trusted.note".into(), vec![0, 255]),
                ("user.note".into(), b"kept".to_vec()),
            ],
        }
    }
}

/// The digests of some bytes.
pub(crate) fn digests_of(bytes: &[u8]) -> Digests {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    hash_plainly(file.as_fd()).unwrap().0
}

/// What the finder would have found at `path`.
pub(crate) fn found(path: &Path) -> Found {
    let stat = fs::symlink_metadata(path).unwrap();
    Found { path: path.to_owned(), device: stat.dev(), inode: stat.ino() }
}

/// Someone who wants the file with these bytes.
pub(crate) fn wanting(bytes: &[u8]) -> Taking {
    Taking {
        act: ActId::random(),
        order: OrderId::random(),
        wanted: FileId::Sha256(digests_of(bytes).sha256),
    }
}

/// Takes what lies at `path`, which is what is wanted.
pub(crate) fn take(vault: &Vault, path: &Path) -> Result<VaultId, Refusal> {
    let why = wanting(&Image::of(path).unwrap().bytes);
    vault.take(found(path), why, &mut |_: Step| {})
}

/// Gives a file or directory these flags and no other.
pub(crate) fn fix(path: &Path, flags: IFlags) {
    let file = File::open(path).unwrap();
    let others = rustix::fs::ioctl_getflags(&file).unwrap() - (IFlags::IMMUTABLE | IFlags::APPEND);
    rustix::fs::ioctl_setflags(&file, others | flags).unwrap();
}

/// Those of the flags that fix it.
pub(crate) fn fixed(path: &Path) -> IFlags {
    rustix::fs::ioctl_getflags(File::open(path).unwrap()).unwrap() & (IFlags::IMMUTABLE | IFlags::APPEND)
}

/// The time of access stays.
fn open_without_trace(path: &Path) -> std::io::Result<File> {
    const NO_ACCESS_TIME: i32 = 0o1_000_000;
    OpenOptions::new().read(true).custom_flags(NO_ACCESS_TIME).open(path)
}

/// The image of what rests, wherever that is.
pub(crate) fn image_of(resting: &Resting) -> Image {
    let metadata = &resting.metadata;
    let split = |ns: i64| (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    let recorded = Image {
        bytes: {
            let mut bytes = Vec::new();
            open_without_trace(&resting.rests_at).unwrap().read_to_end(&mut bytes).unwrap();
            bytes
        },
        mode: metadata.mode,
        owner: (metadata.uid, metadata.gid),
        accessed: split(metadata.accessed_ns),
        modified: split(metadata.modified_ns),
        attributes: metadata.attributes.clone(),
    };
    assert_eq!(digests_of(&recorded.bytes), resting.digests, "it is whole");
    recorded
}

/// The names in a directory.
pub(crate) fn names_in(dir: &Path) -> Vec<OsString> {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.retain(|name| name != "lost+found");
    names.sort();
    names
}

/// A name that is no text.
pub(crate) fn odd_name() -> &'static OsStr {
    OsStr::from_bytes(b"new\nline \xff\xfe -rf *")
}
