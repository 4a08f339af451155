//! One `up` for each data directory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::exit::Exit;
use crate::failure::Failure;

/// The lock file's name; it holds the id of the process that has the lock.
pub(super) const NAME: &str = "up.lock";

/// The data directory is this process's, for as long as this lives. The kernel gives it back when the process
/// ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock at once, or says who has it.
    pub(super) fn take(data_dir: &Path) -> Result<Self, Failure> {
        let path = data_dir.join(NAME);
        let cannot = |error: io::Error| {
            Failure::new(Exit::Failed, format!("cannot lock {}: {error}", path.display()))
                .hint("run as the owner of the data directory, or name another one with --data-dir DIR")
        };
        // Not truncated on opening: it may be somebody else's.
        let mut file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(cannot)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(taken(data_dir, &path)),
            Err(error) => return Err(cannot(error.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(cannot)?;
        Ok(Self { _file: file })
    }
}

fn taken(data_dir: &Path, path: &Path) -> Failure {
    let holder = fs::read_to_string(path).unwrap_or_default();
    let holder = match holder.trim() {
        "" => "another process".to_owned(),
        pid => format!("process {pid}"),
    };
    Failure::new(Exit::Conflict, format!("{} is in use: {holder} runs `quell up` there", data_dir.display()))
        .hint("stop that one first, or name another directory with --data-dir DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let first = Lock::take(dir.path()).unwrap();
        let refused = Lock::take(dir.path()).unwrap_err();
        assert_eq!(refused.exit, Exit::Conflict);
        assert!(refused.to_string().contains(&format!("process {} ", std::process::id())), "{refused}");
        drop(first);
        Lock::take(dir.path()).unwrap();
    }
}
