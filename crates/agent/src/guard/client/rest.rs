//! The other digests of a file that somebody runs: the verdict did not need them, the records do.

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;

use model::Names;
use sys::identity::{Identity, Stat};

use super::Event;
use super::control::Control;
use super::queue::{Crew, Queue};
use super::workers;
use crate::digest::{Hashed, hash_idly};

/// Files that may wait. They are kept open, which delays nobody.
const ROOM: usize = 256;
/// Each reads a whole file at a time.
const CREW: Crew = Crew { moving: 1, most: 4, most_still_on_one: 2, told_after: None };

/// A file that was hashed in part.
pub(super) struct Partly {
    /// Opened for this, without a lease.
    pub(super) file: OwnedFd,
    pub(super) path: PathBuf,
    pub(super) names: Names,
    pub(super) stat: Stat,
}

/// Threads that work when nobody else does, until the queue is closed.
pub(super) fn start(control: &Arc<Control>) -> Arc<Queue<Partly>> {
    let queue = Arc::new(Queue::new(ROOM, CREW));
    let control = Arc::clone(control);
    workers::start(&queue, move |queue: &Queue<Partly>| {
        sys::process::run_when_idle();
        while let Some((turn, partly)) = queue.take() {
            let hashed = complete(&partly);
            queue.served(&turn, partly.stat.size, None);
            if let Some(hashed) = hashed {
                control.tell(Event::Hashed { path: partly.path, hashed });
            }
        }
    });
    queue
}

/// All digests, if the file is still the one that was met.
fn complete(partly: &Partly) -> Option<Hashed> {
    let (digests, facts) = hash_idly(partly.file.as_fd()).ok()?;
    let stat = Identity::of(partly.file.as_fd()).ok()?;
    let is_it = digests.sha256 == partly.names.sha256 && stat.ctime_ns == partly.stat.ctime_ns;
    is_it.then_some(Hashed { digests, facts, stat })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::hash_plainly;
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
