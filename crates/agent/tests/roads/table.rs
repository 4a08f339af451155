//! What must become of a denied file on each road, at each level. The holes are those of the kernel's mechanisms; a
//! new one needs a decision record with the kernel's reason.

use Expected::{Denied, Hole};

use crate::level::Level;
use crate::scene::{Payload, Scene, Trial};
use crate::{descriptors, loading, mounts, names, rewriting, scripts};

/// What must become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Denied,
    /// It runs, for this reason.
    Hole(&'static str),
}

pub(crate) struct Road {
    pub(crate) name: &'static str,
    /// Roads of one family that fare alike stand in one row of the table that people read.
    pub(crate) family: &'static str,
    /// A program without which it can't be tried.
    pub(crate) needs: Option<&'static str>,
    pub(crate) go: fn(&mut Scene, &Payload) -> Trial,
    /// By level, in the order of [`Level::ALL`].
    expected: [Expected; 3],
}

impl Road {
    pub(crate) fn expected(&self, level: Level) -> Expected {
        self.expected[level as usize]
    }
}

const EVERYWHERE: [Expected; 3] = [Denied; 3];
/// Nothing is executed.
const NO_EXEC: Expected = Hole("no exec");
/// It is on no filesystem that could be marked.
const NO_MARK: Expected = Hole("cannot be marked");
/// Nothing is mapped as code, and whoever reads it is no interpreter that is known.
const UNKNOWN_READER: Expected = Hole("no known interpreter reads it");

/// Exec of what lies on a guarded filesystem.
const fn road(family: &'static str, name: &'static str, go: fn(&mut Scene, &Payload) -> Trial) -> Road {
    Road { name, family, needs: None, go, expected: EVERYWHERE }
}

impl Road {
    /// Where the kernel's questions see less.
    const fn with(self, fanotify: Expected, opens: Expected, bpf: Expected) -> Self {
        Self { expected: [fanotify, opens, bpf], ..self }
    }

    const fn needing(self, program: &'static str) -> Self {
        Self { needs: Some(program), ..self }
    }
}

const NAME: &str = "exec by";
const REWRITE: &str = "content rewritten in place by";
const FD: &str = "exec by descriptor:";
const MOUNT: &str = "exec through";
const NEW: &str = "exec from";
const LOAD: &str = "loaded by";
const SCRIPT: &str = "script:";

pub(crate) const ROADS: &[Road] = &[
    road(NAME, "path", names::path),
    road(NAME, "path of a dynamic program", names::dynamic),
    road(NAME, "symbolic link", names::symbolic_link),
    road(NAME, "hard link", names::hard_link),
    road(NAME, "rename", names::rename),
    road(NAME, "copy", names::copy),
    road(REWRITE, "write", |s, p| rewriting::by("write", s, p)),
    road(REWRITE, "pwrite", |s, p| rewriting::by("pwrite", s, p)),
    road(REWRITE, "truncation and write", |s, p| rewriting::by("truncate-write", s, p)),
    road(REWRITE, "O_DIRECT", |s, p| rewriting::by("direct", s, p)),
    road(REWRITE, "shared mapping", |s, p| rewriting::by("map", s, p)),
    road(REWRITE, "splice", |s, p| rewriting::by("splice", s, p)),
    road(REWRITE, "sendfile", |s, p| rewriting::by("sendfile", s, p)),
    road(REWRITE, "copy_file_range", |s, p| rewriting::by("copy_file_range", s, p)),
    road(REWRITE, "AIO", |s, p| rewriting::by("aio", s, p)),
    road(REWRITE, "io_uring", |s, p| rewriting::by("io_uring", s, p)),
    road(REWRITE, "loop device", |s, p| rewriting::by("loop", s, p)),
    road(FD, "/proc/self/fd", |s, p| descriptors::by("proc-fd", s, p)),
    road(FD, "execveat", |s, p| descriptors::by("descriptor", s, p)),
    road(FD, "execveat in a directory", |s, p| descriptors::by("directory", s, p)),
    road(FD, "O_PATH", |s, p| descriptors::by("o-path", s, p)),
    road(FD, "deleted file", |s, p| descriptors::by("deleted", s, p)),
    road(FD, "O_TMPFILE", descriptors::tmpfile),
    road(FD, "memfd by execveat", |s, p| descriptors::memory("memfd", s, p)).with(NO_MARK, NO_MARK, Denied),
    road(FD, "memfd by /proc/self/fd", |s, p| descriptors::memory("memfd-proc", s, p))
        .with(NO_MARK, NO_MARK, Denied),
    road(MOUNT, "a bind mount", |s, p| mounts::of_guarded("bind", s, p)),
    road(MOUNT, "another mount namespace", |s, p| mounts::of_guarded("namespace", s, p)),
    road(MOUNT, "a user namespace", |s, p| mounts::of_guarded("user-namespace", s, p)),
    road(MOUNT, "a detached tree", |s, p| mounts::of_guarded("open-tree", s, p)),
    road(MOUNT, "an overlay over it (lower)", |s, p| mounts::of_guarded("overlay-lower", s, p)),
    road(MOUNT, "an overlay into it (upper)", |s, p| mounts::of_guarded("overlay-upper", s, p)),
    road(NEW, "an overlay's copy on another filesystem", mounts::copied_up),
    road(NEW, "a new tmpfs", |s, p| mounts::new("tmpfs", s, p)),
    road(NEW, "a tmpfs in a user namespace", |s, p| mounts::new("users-tmpfs", s, p)),
    road(LOAD, "`ld.so ./x`", loading::loader).with(NO_EXEC, Denied, Denied),
    road(LOAD, "LD_PRELOAD", loading::preload).with(NO_EXEC, Denied, Denied),
    road(LOAD, "dlopen", loading::dlopen).with(NO_EXEC, Denied, Denied),
    road(LOAD, "mmap(PROT_EXEC)", |s, p| loading::by("map", s, p)).with(NO_EXEC, Denied, Denied),
    road(LOAD, "mmap, then mprotect(PROT_EXEC)", |s, p| loading::by("map-protect", s, p))
        .with(NO_EXEC, Denied, Denied),
    road(LOAD, "read() into memory of its own", |s, p| loading::by("read", s, p)).with(
        NO_EXEC,
        Denied,
        UNKNOWN_READER,
    ),
    road(SCRIPT, "`./x` (shebang)", scripts::shebang),
    road(SCRIPT, "`sh x`", |s, p| scripts::given_to("sh", "run.sh", s, p)).with(NO_EXEC, Denied, Denied),
    road(SCRIPT, "`sh x`, open for writing", scripts::with_writer).with(NO_EXEC, Denied, Denied),
    road(SCRIPT, "`bash x`", |s, p| scripts::given_to("bash", "run.sh", s, p))
        .with(NO_EXEC, Denied, Denied)
        .needing("bash"),
    road(SCRIPT, "`python3 x`", |s, p| scripts::given_to("python3", "run.py", s, p))
        .with(NO_EXEC, Denied, Denied)
        .needing("python3"),
    road(SCRIPT, "`perl x`", |s, p| scripts::given_to("perl", "run.pl", s, p))
        .with(NO_EXEC, Denied, Denied)
        .needing("perl"),
    road(SCRIPT, "`node x`", |s, p| scripts::given_to("node", "run.js", s, p))
        .with(NO_EXEC, Denied, Denied)
        .needing("node"),
    road(SCRIPT, "`sh < x`", |s, p| scripts::in_shell("sh < \"$1\"", s, p)).with(NO_EXEC, Denied, Denied),
    road(SCRIPT, "`cat x | sh`", |s, p| scripts::in_shell("cat \"$1\" | sh", s, p)).with(
        NO_EXEC,
        Denied,
        UNKNOWN_READER,
    ),
];
