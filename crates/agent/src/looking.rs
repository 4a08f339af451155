//! Looking at what changed, and at everything once: the threads that turn paths into known copies.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use model::sighting::Seen;

use crate::examine::{Found, examine};
use crate::inventory::Inventory;
use crate::recorder::Noticed;
use crate::sweep::Errands;
use crate::vouched::Vouched;
use crate::watch::{Look, Pending, looked};

/// Looks at paths and tells what changed.
#[derive(Clone)]
pub(crate) struct Looker {
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) noticed: Sender<Noticed>,
    /// What acts need not read again.
    pub(crate) vouched: Arc<Vouched>,
    /// Where paths of large files go, so that reading one delays no other; none for who reads these.
    pub(crate) large: Option<Sender<PathBuf>>,
}

/// Files above this size take a second and more to be read; anybody can make one that takes days.
const LARGE: u64 = 256 << 20;
/// Large files that may wait.
pub(crate) const LARGE_ROOM: usize = 4096;

/// Which paths were told as executed lately: once an hour is enough to know that a file is in use.
#[derive(Default)]
struct Runs(HashMap<PathBuf, Instant>);

impl Runs {
    const AGAIN: Duration = Duration::from_secs(3600);
    const MOST: usize = 10_000;

    fn is_news(&mut self, path: &Path) -> bool {
        if self.0.get(path).is_some_and(|told| told.elapsed() < Self::AGAIN) {
            return false;
        }
        if self.0.len() >= Self::MOST {
            self.0.clear();
        }
        self.0.insert(path.to_owned(), Instant::now());
        true
    }
}

/// Nobody takes in what is noticed any more: the agent stops.
#[derive(Debug)]
pub(crate) struct Stopped;

impl Looker {
    /// Looks at each path as it comes; a directory that was moved here, and everything after a loss of notes,
    /// is left to the sweep.
    pub(crate) fn run(&self, looks: &Receiver<Look>, pending: &Pending, errands: &Errands) {
        let mut runs = Runs::default();
        for look in looks {
            let done =
                match look {
                    Look::At { path, executed } => {
                        let done = self.look(path.clone());
                        looked(pending, &path);
                        done.and_then(|()| {
                            if executed && runs.is_news(&path) { self.tell_run(path) } else { Ok(()) }
                        })
                    }
                    // The name may be back by now: what is there counts, not the note.
                    Look::Gone(path) => self.look(path),
                    Look::Below(directory) => {
                        errands.below(directory);
                        Ok(())
                    }
                    Look::Everything => {
                        errands.everything();
                        Ok(())
                    }
                };
            if done.is_err() {
                return;
            }
        }
    }

    /// Looks at one path, and tells when it is another than it was.
    pub(crate) fn look(&self, path: PathBuf) -> Result<(), Stopped> {
        if let Some(large) = &self.large
            && std::fs::symlink_metadata(&path).is_ok_and(|stat| stat.is_file() && stat.len() > LARGE)
        {
            return match large.try_send(path) {
                Ok(()) => Ok(()),
                Err(TrySendError::Full(path)) => {
                    tracing::warn!(path = %path.display(), "too many large files wait; a later sweep finds it");
                    Ok(())
                }
                Err(TrySendError::Disconnected(_)) => Err(Stopped),
            };
        }
        let before = self.inventory.at(&path);
        match examine(&path, before.as_ref(), &self.vouched) {
            Ok(Found::Copy(known)) => self.tell(Noticed::Here(path, known)),
            Ok(Found::Nothing) => before.map_or(Ok(()), |known| self.tell(Noticed::Gone(path, known))),
            Ok(Found::Unchanged | Found::Busy) => Ok(()),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a file can't be read");
                Ok(())
            }
        }
    }

    /// Tells that a known copy was executed.
    fn tell_run(&self, path: PathBuf) -> Result<(), Stopped> {
        let Some(known) = self.inventory.at(&path) else { return Ok(()) };
        self.tell(Noticed::Run(path, known.digests, known.facts, Seen::Running))
    }

    fn tell(&self, noticed: Noticed) -> Result<(), Stopped> {
        self.noticed.send(noticed).map_err(|_| Stopped)
    }
}

/// Whether to stop, asked between two files.
#[derive(Clone, Default)]
pub(crate) struct Halt(Arc<AtomicBool>);

impl Halt {
    /// Asks everybody to stop.
    pub(crate) fn now(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether that was asked.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What is Quell's own, and nobody's business: the data directory and the vaults' holding directories.
#[derive(Clone)]
pub(crate) struct Ours {
    data_dir: PathBuf,
    /// Watched filesystems that are mounted inside it are not: the demo.
    inside: Vec<PathBuf>,
}

impl Ours {
    /// The data directory, less the watched `roots` inside it.
    pub(crate) fn new(data_dir: PathBuf, roots: &[PathBuf]) -> Self {
        let inside = roots.iter().filter(|root| root.starts_with(&data_dir)).cloned().collect();
        Self { data_dir, inside }
    }

    /// Whether a directory is one of them, or lies in one.
    pub(crate) fn holds(&self, directory: &Path) -> bool {
        let in_data_dir = directory.starts_with(&self.data_dir)
            && !self.inside.iter().any(|root| directory.starts_with(root));
        in_data_dir || crate::vault::is_holding(directory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_is_not_ours_though_it_lies_in_the_data_directory() {
        let ours = Ours::new("/data".into(), &["/data/demo".into(), "/srv".into()]);
        for directory in ["/data", "/data/vault/x"] {
            assert!(ours.holds(Path::new(directory)), "{directory}");
        }
        for directory in ["/data/demo", "/data/demo/a", "/srv", "/database"] {
            assert!(!ours.holds(Path::new(directory)), "{directory}");
        }
    }

    #[test]
    fn a_file_that_takes_days_to_read_delays_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sparse");
        std::fs::write(&path, "#!/bin/sh\n").unwrap();
        std::fs::File::options().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
        let inventory = Arc::new(Inventory::open(&dir.path().join("inventory")).unwrap());
        let (noticed, notices) = crossbeam_channel::bounded(1);
        let (large, waiting) = crossbeam_channel::bounded(1);
        let looker = Looker { inventory, noticed, vouched: Arc::default(), large: Some(large) };
        looker.look(path.clone()).unwrap();
        assert_eq!(waiting.try_recv(), Ok(path));
        assert!(notices.is_empty());
    }

    #[test]
    fn nobody_hides_copies_behind_the_name_of_a_vault() {
        use std::os::unix::fs::DirBuilderExt;
        let dir = tempfile::tempdir().unwrap();
        let ours = Ours::new("/data".into(), &[dir.path().to_owned()]);
        for (name, mode, is_ours) in
            [(".quell-vault", 0o700, true), (".quell-vault-1", 0o755, false), ("other", 0o700, false)]
        {
            let path = dir.path().join(name);
            std::fs::DirBuilder::new().mode(mode).create(&path).unwrap();
            assert_eq!(ours.holds(&path), is_ours, "{name}");
        }
    }
}
