//! The other digests of a file that somebody runs: the verdict did not need them, the records do.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender};
use model::Names;
use sys::identity::{Identity, Stat};

use super::Event;
use super::control::Control;
use crate::digest::{Hashed, hash_plainly};

/// Files that may wait. They are kept open, which delays nobody.
const ROOM: usize = 256;

/// A file that was hashed in part.
pub(super) struct Partly {
    /// Opened for this, without a lease.
    pub(super) file: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) names: Names,
    pub(super) stat: Stat,
}

/// A thread that works when nobody else does.
pub(super) fn start(control: &Arc<Control>) -> Sender<Partly> {
    let (files, waiting) = crossbeam_channel::bounded(ROOM);
    let control = Arc::clone(control);
    std::thread::spawn(move || run(&waiting, &control));
    files
}

fn run(waiting: &Receiver<Partly>, control: &Control) {
    sys::process::run_when_idle();
    for partly in waiting {
        if let Some(hashed) = complete(&partly) {
            control.tell(Event::Hashed { path: partly.path, hashed });
        }
    }
}

/// All digests, if the file is still the one that was met.
fn complete(partly: &Partly) -> Option<Hashed> {
    let (digests, facts) = hash_plainly(partly.file.as_fd()).ok()?;
    let stat = Identity::of(partly.file.as_fd()).ok()?;
    let is_it = digests.sha256 == partly.names.sha256 && stat.ctime_ns == partly.stat.ctime_ns;
    is_it.then_some(Hashed { digests, facts, stat })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_that_changed_since_is_not_completed() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "met").unwrap();
        let open = || OwnedFd::from(File::open(file.path()).unwrap());
        let (digests, _) = hash_plainly(open().as_fd()).unwrap();
        let names = Names { sha1: None, md5: None, ..digests.into() };
        let stat = Identity::of(open().as_fd()).unwrap();
        let partly = Partly { file: open(), path: file.path().into(), names, stat };
        assert_eq!(complete(&partly).unwrap().digests, digests);
        std::fs::write(file.path(), "new").unwrap();
        assert!(complete(&partly).is_none());
    }
}
