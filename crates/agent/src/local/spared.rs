//! What may never be denied, as it is now.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

use super::Reply;
use crate::core::Core;
use crate::digest::hash_plainly;
use crate::spared::{State, Surveyed};

/// Each file is read again: it may have changed since it was looked at last.
pub(super) fn spared(core: &Core, path: Option<&Path>) -> Reply {
    let set = core.spared();
    let canonical = match path.map(Path::canonicalize).transpose() {
        Ok(canonical) => canonical,
        Err(error) => return Reply::Refused(format!("it can't be looked at: {error}")),
    };
    let meant = set.all().filter(|one| canonical.as_ref().is_none_or(|path| *path == one.path));
    Reply::Spared(meant.map(as_it_is).collect(), set.notice.clone())
}

/// Only what matched can have ceased to: what has been brought back is spared when it is looked at again.
fn as_it_is(known: &Surveyed) -> Surveyed {
    let mut known = known.clone();
    let now = File::open(&known.path).and_then(|file| hash_plainly(file.as_fd()));
    match now {
        Ok((digests, _)) if digests == known.digests => {}
        Ok((digests, _)) => (known.digests, known.state) = (digests, State::Differs),
        Err(_) => known.state = State::Differs,
    }
    known
}
