//! Looking at what changed, and at everything once: the threads that turn paths into known copies.

use std::collections::{HashMap, VecDeque};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError};
use model::sighting::Seen;
use parking_lot::Mutex;
use rustix::fs::OFlags;
use sys::identity::Stat;

use crate::examine::{Found, Within, examine};
use crate::inventory::{Directory, Inventory, Placed};
use crate::pending::{Pending, Settled};
use crate::recorder::{Noticed, wait_recorded};
use crate::sweep::Errands;
use crate::vouched::Vouched;
use crate::watch::Look;

/// Looks at paths and tells what changed.
#[derive(Clone)]
pub(crate) struct Looker {
    pub(crate) inventory: Arc<Inventory>,
    pub(crate) noticed: Sender<Noticed>,
    /// What acts need not read again.
    pub(crate) vouched: Arc<Vouched>,
    /// Where large files go, so that reading one delays no other; none for who reads these.
    pub(crate) large: Option<Sender<Large>>,
    /// Files whose content was read.
    pub(crate) read: Arc<AtomicU64>,
    /// What is not sent yet, for who notices much at a time.
    pub(crate) gathered: Option<Arc<Mutex<Vec<Noticed>>>>,
}

/// So many are sent together.
const TOGETHER: usize = 128;
/// So many messages may wait for the recorder before more are sent.
const ON_THE_WAY: usize = 8;

/// Files above this size take a second and more to be read; anybody can make one that takes days.
const LARGE: u64 = 256 << 20;
/// A large file that is to be looked at; it was written if so told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Large {
    pub(crate) path: PathBuf,
    pub(crate) is_written: bool,
}

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

/// Paths at which nothing was found a moment ago: their directory may have been moved meanwhile, which is told next.
#[derive(Default)]
struct Missed {
    /// And whether they were written.
    paths: VecDeque<(PathBuf, bool)>,
    /// More were missed than are kept.
    is_short: bool,
}

impl Missed {
    const MOST: usize = 1000;

    fn add(&mut self, path: PathBuf, is_written: bool) {
        if self.paths.len() >= Self::MOST {
            self.paths.pop_front();
            self.is_short = true;
        }
        self.paths.push_back((path, is_written));
    }
}

impl Looker {
    /// Looks at each path as it comes; a directory that was moved here, and everything after a loss of notes,
    /// is left to the sweep.
    pub(crate) fn run(&self, looks: &Receiver<Look>, pending: &Pending, errands: &Errands) {
        let mut runs = Runs::default();
        let mut missed = Missed::default();
        for look in looks {
            let is_wide = look.is_wide();
            let done =
                match look {
                    Look::At(Settled { path, executed, written }) => {
                        let done = self.look_at(path.clone(), written);
                        pending.looked(&path);
                        if matches!(done, Ok(false)) {
                            missed.add(path.clone(), written);
                        }
                        done.and_then(|_| {
                            if executed && runs.is_news(&path) { self.tell_run(path) } else { Ok(()) }
                        })
                    }
                    // The name may be back by now: what is there counts, not the note.
                    Look::Gone(path) => self.look(path).map(drop),
                    Look::Directory(path) => self.directory(path, pending, &mut missed, errands),
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
            if is_wide {
                pending.directory_done();
            }
        }
    }

    /// A directory was moved here. One whose content is known has another path from now on, and nothing in it is
    /// looked at; what was about to be looked at there is looked at here.
    fn directory(
        &self,
        path: PathBuf,
        pending: &Pending,
        missed: &mut Missed,
        errands: &Errands,
    ) -> Result<(), Stopped> {
        let Some(directory) = directory_at(&path) else { return Ok(()) };
        let before = match self.inventory.places(&directory) {
            Placed::Elsewhere(before) if errands.has_swept() => before,
            Placed::Right => return Ok(()),
            _ => {
                errands.below(path);
                return Ok(());
            }
        };
        self.tell(Noticed::Directory(directory))?;
        let Some(before) = before else {
            errands.below(path);
            return Ok(());
        };
        let moved = |old: &Path| old.strip_prefix(&before).ok().map(|below| path.join(below));
        pending.moved(moved);
        if std::mem::take(&mut missed.is_short) {
            errands.below(path.clone());
        }
        // Behind the barrier the inventory has it here.
        let again = missed.paths.iter().filter_map(|(old, is_written)| Some((moved(old)?, *is_written)));
        let again: Vec<(PathBuf, bool)> = again.collect();
        if !again.is_empty() {
            wait_recorded(&self.noticed, Duration::from_secs(1));
        }
        again.into_iter().try_for_each(|(path, is_written)| self.look_at(path, is_written).map(drop))
    }

    /// Looks at one path, and tells when it is another than it was. Returns whether there is something.
    pub(crate) fn look(&self, path: PathBuf) -> Result<bool, Stopped> {
        self.look_at(path, false)
    }

    /// The same. One that was written is read again, also when its inode looks as it did: who writes through a mapping
    /// that was written to before, or within one tick of a coarse clock, leaves the ctime as it is.
    pub(crate) fn look_at(&self, path: PathBuf, is_written: bool) -> Result<bool, Stopped> {
        match Within::of(&path) {
            Ok(Some(within)) => {
                self.place_parent(&within, &path)?;
                self.look_within(&within, path, is_written)
            }
            Ok(None) => {
                let before = self.inventory.at(&path);
                before.map_or(Ok(()), |known| self.tell(Noticed::Gone(path, known))).map(|()| false)
            }
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a directory can't be opened");
                Ok(true)
            }
        }
    }

    /// Its inode may have been another directory's, of which nobody saw the end: a copy would be put below that.
    fn place_parent(&self, within: &Within, path: &Path) -> Result<(), Stopped> {
        let Some(parent) = path.parent().and_then(directory_at) else { return Ok(()) };
        if parent.inode == within.inode && self.inventory.places(&parent).is_elsewhere() {
            self.tell(Noticed::Directory(parent))
        } else {
            Ok(())
        }
    }

    /// As [`Self::look`], at a path in a directory that is open.
    pub(crate) fn look_in(&self, within: &Within, path: PathBuf) -> Result<bool, Stopped> {
        self.look_within(within, path, false)
    }

    fn look_within(&self, within: &Within, path: PathBuf, is_written: bool) -> Result<bool, Stopped> {
        let Some(name) = path.file_name() else { return Ok(true) };
        let before = self.inventory.within(within.inode, &path);
        let believed = before.as_ref().filter(|_| !is_written);
        let largest = if self.large.is_some() { LARGE } else { u64::MAX };
        match examine(within, name, believed, largest, &self.read, &self.vouched) {
            // Read again, and the same.
            Ok(Found::Copy(known)) if before.as_ref().is_some_and(|before| before.is(&known)) => {}
            Ok(Found::Copy(known)) => self.tell(Noticed::Here(path, known))?,
            Ok(Found::Nothing) => {
                before.map_or(Ok(()), |known| self.tell(Noticed::Gone(path, known)))?;
                return Ok(false);
            }
            Ok(Found::Large) => self.leave(Large { path, is_written })?,
            Ok(Found::Unchanged | Found::Busy) => {}
            Err(error) => tracing::debug!(path = %path.display(), %error, "a file can't be read"),
        }
        Ok(true)
    }

    fn leave(&self, file: Large) -> Result<(), Stopped> {
        let Some(large) = &self.large else { return Ok(()) };
        match large.try_send(file) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(Large { path, .. })) => {
                tracing::warn!(path = %path.display(), "too many large files wait; a later sweep finds it");
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Stopped),
        }
    }

    /// Tells that a known copy was executed.
    fn tell_run(&self, path: PathBuf) -> Result<(), Stopped> {
        let Some(known) = self.inventory.at(&path) else { return Ok(()) };
        self.tell(Noticed::Run(path, known.digests, known.facts, Seen::Running))
    }

    pub(crate) fn tell(&self, noticed: Noticed) -> Result<(), Stopped> {
        let Some(gathered) = &self.gathered else { return self.noticed.send(noticed).map_err(|_| Stopped) };
        let mut gathered = gathered.lock();
        gathered.push(noticed);
        if gathered.len() >= TOGETHER { self.send(&mut gathered) } else { Ok(()) }
    }

    /// Sends what is not sent yet.
    pub(crate) fn flush(&self) -> Result<(), Stopped> {
        self.gathered.as_ref().map_or(Ok(()), |gathered| self.send(&mut gathered.lock()))
    }

    fn send(&self, gathered: &mut Vec<Noticed>) -> Result<(), Stopped> {
        if gathered.is_empty() {
            return Ok(());
        }
        let many = std::mem::replace(gathered, Vec::with_capacity(TOGETHER));
        self.noticed.send(Noticed::Many(many)).map_err(|_| Stopped)?;
        // As many and no more are on their way: they take memory there.
        while self.noticed.len() > ON_THE_WAY {
            std::thread::sleep(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// The directory that lies at a path now.
fn directory_at(path: &Path) -> Option<Directory> {
    let within = Within::of(path).ok()??;
    let itself = within.place(path.file_name()?, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW).ok()?;
    let inode = Stat::of(itself.as_fd()).ok()?.inode;
    Some(Directory { path: path.to_owned(), inode, within: within.inode })
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
        let (vouched, read) = (Arc::default(), Arc::default());
        let looker = Looker { inventory, noticed, vouched, large: Some(large), read, gathered: None };
        for is_written in [false, true] {
            looker.look_at(path.clone(), is_written).unwrap();
            assert_eq!(waiting.try_recv(), Ok(Large { path: path.clone(), is_written }));
            assert!(notices.is_empty());
        }
    }

    #[test]
    fn what_was_written_is_read_again_though_its_ctime_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("script");
        std::fs::write(&path, "#!/bin/sh\n# one\n").unwrap();
        let inventory = Arc::new(Inventory::open(&dir.path().join("inventory")).unwrap());
        let (noticed, notices) = crossbeam_channel::bounded(8);
        let (vouched, read) = (Arc::default(), Arc::default());
        let looker = Looker { inventory, noticed, vouched, large: None, read, gathered: None };
        assert!(looker.look(path.clone()).unwrap());
        let Ok(Noticed::Here(_, known)) = notices.try_recv() else { panic!("a copy is there") };
        // As a writer leaves it whom the clock did not see: another content, and the same inode, length and ctime.
        let mut before = known.clone();
        before.digests.sha256 = model::Sha256([7; 32]);
        looker.inventory.note(&[crate::inventory::Note::Here(path.clone(), before)]).unwrap();
        assert!(looker.look(path.clone()).unwrap());
        assert!(notices.is_empty(), "a sweep believes it");
        assert!(looker.look_at(path.clone(), true).unwrap());
        let Ok(Noticed::Here(_, now)) = notices.try_recv() else { panic!("it was written") };
        assert_eq!(now.digests, known.digests);
        // And nobody is told of what is the same.
        looker.inventory.note(&[crate::inventory::Note::Here(path.clone(), now)]).unwrap();
        assert!(looker.look_at(path, true).unwrap());
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
