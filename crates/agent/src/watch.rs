//! What changes on the watched filesystems: the kernel's notes, turned into paths to look at once they have
//! settled. Nobody ever waits for this.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use parking_lot::Mutex;
use rustix::event::{PollFd, PollFlags};
use sys::OFlags;
use sys::fanotify::EventBuffer;
use sys::fanotify::watch::{Changes, WatchEvent, WatchGroup, WatchMask};
use sys::handle::FileHandle;

use crate::looking::Ours;
use crate::places::{Place, Places};

/// A file is looked at when nothing has happened to it for so long.
const SETTLED: Duration = Duration::from_millis(100);
/// How long the kernel's notes are waited for at a time.
const REST: Duration = Duration::from_secs(60);
/// Notes are read at most so often: the kernel merges equal ones meanwhile.
const PACE: Duration = Duration::from_millis(10);
/// So often is read at a time: who makes changes faster than we read must not keep what has settled waiting.
const MOST_READS: usize = 64;

/// What there is to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At this file; it was executed if so told.
    At { path: PathBuf, executed: bool },
    /// This name is gone.
    Gone(PathBuf),
    /// At this directory: it was moved here.
    Directory(PathBuf),
    /// At all below this directory: it was moved away, or something is mounted there.
    Below(PathBuf),
    /// At everything: notes were lost.
    Everything,
}

/// The watching thread's state.
pub(crate) struct Watch {
    group: Arc<WatchGroup>,
    places: Arc<Places>,
    roots: Roots,
    pending: Pending,
    looks: Sender<Look>,
    ours: Ours,
}

/// Which place is which filesystem.
#[derive(Default)]
struct Roots {
    /// Of these places.
    of: Arc<Vec<Place>>,
    by_fsid: HashMap<[u8; 8], usize>,
}

/// A place that is open.
struct Root {
    root: OwnedFd,
    /// The path that it has where it is mounted, and the one that it has here, if these differ.
    elsewhere: Option<(PathBuf, PathBuf)>,
}

/// Paths that have not settled yet, or have not been looked at since. Shared with acts, which must not miss a
/// copy that was made a moment ago.
pub(crate) type Pending = Arc<Mutex<HashMap<PathBuf, Unsettled>>>;

/// A path that changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsettled {
    /// When it will have settled; none when it was handed on to be looked at.
    due: Option<Instant>,
    executed: bool,
}

/// A path was looked at, and what was seen is on its way to the inventory. It stays if it changed again.
pub(crate) fn looked(pending: &Pending, path: &Path) {
    let mut pending = pending.lock();
    if pending.get(path).is_some_and(|unsettled| unsettled.due.is_none()) {
        pending.remove(path);
    }
}

/// A directory was moved: what waits below it waits under its new path as well.
pub(crate) fn pending_moved(pending: &Pending, moved: impl Fn(&Path) -> Option<PathBuf>) {
    let mut pending = pending.lock();
    let due = Some(Instant::now());
    let also: Vec<(PathBuf, Unsettled)> = pending
        .iter()
        .filter_map(|(path, before)| Some((moved(path)?, Unsettled { due, ..*before })))
        .collect();
    pending.extend(also);
}

/// Has changes noticed on more filesystems.
pub(crate) struct Marker(Arc<WatchGroup>);

impl Marker {
    /// Changes there are noticed from now on. It can be unmounted all the same.
    pub(crate) fn mark(&self, place: &Place) {
        // The guard's questions tell of executions where it stands.
        let mask = WatchMask { changes: !place.mount.read_only_filesystem, executions: !place.is_guarded };
        let marked = place.open().and_then(|root| self.0.mark_filesystem(root.as_fd(), mask));
        if let Err(error) = marked {
            let mount = place.mount.point.display();
            tracing::warn!(%mount, %error, "changes here are not noticed; only sweeps find new files");
        }
    }
}

impl Watch {
    /// Marks every place. What happens in `ours` is passed over.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub(crate) fn new(
        places: Arc<Places>,
        ours: Ours,
        pending: Pending,
        looks: Sender<Look>,
    ) -> io::Result<(Self, Marker)> {
        let group = Arc::new(WatchGroup::new()?);
        let marker = Marker(group.clone());
        places.now().iter().for_each(|place| marker.mark(place));
        Ok((Self { group, places, roots: Roots::default(), pending, looks, ours }, marker))
    }

    /// Watches until nobody looks any more.
    ///
    /// # Errors
    /// When the kernel's notes can't be read.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut buffer = EventBuffer::default();
        loop {
            let wait = self.next_due().map_or(REST, |due| due.max(PACE));
            let timeout =
                rustix::time::Timespec { tv_sec: wait.as_secs() as i64, tv_nsec: wait.subsec_nanos().into() };
            match rustix::event::poll(&mut [PollFd::new(&self.group, PollFlags::IN)], Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                outcome => drop(outcome?),
            }
            std::thread::sleep(PACE);
            if !self.drain(&mut buffer)? || !self.send_settled() {
                return Ok(());
            }
        }
    }

    fn next_due(&self) -> Option<Duration> {
        let now = Instant::now();
        let pending = self.pending.lock();
        pending.values().filter_map(|path| path.due).map(|due| due.saturating_duration_since(now)).min()
    }

    /// Reads the notes there are. False when nobody listens.
    fn drain(&mut self, buffer: &mut EventBuffer) -> io::Result<bool> {
        // For so long only: what is held open can't be unmounted.
        let mut open = HashMap::new();
        self.roots.keep_up(&self.places);
        for _ in 0..MOST_READS {
            let mut any = false;
            let mut looks = Vec::new();
            for event in self.group.read(buffer)? {
                any = true;
                match event {
                    WatchEvent::Overflow => looks.push(Look::Everything),
                    WatchEvent::Change { what, fsid, dir, name, .. } => {
                        let root = open.entry(fsid).or_insert_with(|| self.roots.open(fsid));
                        if let Some(path) = self.path_of(root.as_ref(), &dir, name) {
                            note(&self.pending, what, path, &mut looks);
                        }
                    }
                }
            }
            for look in looks {
                if self.looks.send(look).is_err() {
                    return Ok(false);
                }
            }
            if !any {
                break;
            }
        }
        Ok(true)
    }

    /// The path of a name in a directory that is told by handle. None when the directory is gone already, or
    /// is ours.
    fn path_of(&self, root: Option<&Root>, dir: &FileHandle, name: &OsStr) -> Option<PathBuf> {
        let Root { root, elsewhere } = root?;
        let dir = dir.open(root.as_fd(), OFlags::PATH | OFlags::CLOEXEC).ok()?;
        let mut dir = sys::place::path_of(dir.as_fd()).ok()?;
        if let Some((inside, here)) = elsewhere {
            let below = dir.strip_prefix(inside).ok()?;
            dir = if below.as_os_str().is_empty() { here.clone() } else { here.join(below) };
        }
        (!self.ours.holds(&dir)).then(|| if name == "." { dir } else { dir.join(name) })
    }

    /// Hands on what has settled. False when nobody listens.
    fn send_settled(&self) -> bool {
        let now = Instant::now();
        let mut settled = Vec::new();
        for (path, unsettled) in self.pending.lock().iter_mut() {
            if unsettled.due.is_some_and(|due| due <= now) {
                unsettled.due = None;
                settled.push((path.clone(), unsettled.executed));
            }
        }
        settled.into_iter().all(|(path, executed)| self.looks.send(Look::At { path, executed }).is_ok())
    }
}

impl Roots {
    fn keep_up(&mut self, places: &Places) {
        let now = places.now();
        if Arc::ptr_eq(&now, &self.of) {
            return;
        }
        self.by_fsid = now.iter().enumerate().filter_map(|(n, place)| Some((place.fsid()?, n))).collect();
        self.of = now;
    }

    fn open(&self, fsid: [u8; 8]) -> Option<Root> {
        let place = self.of.get(*self.by_fsid.get(&fsid)?)?;
        let root = place.open().ok()?;
        // Of what is mounted elsewhere the kernel says the path that it has there.
        let elsewhere = match &place.elsewhere {
            Some(there) => Some((sys::place::path_of(root.as_fd()).ok()?, there.mount.point.clone())),
            None => None,
        };
        Some(Root { root, elsewhere })
    }
}

/// Takes in one note. It can stand for several changes: a look at the path tells what is there now.
fn note(pending: &Pending, what: Changes, path: PathBuf, looks: &mut Vec<Look>) {
    if what.is_dir() {
        // A directory that was moved away while another took its name is one note for both.
        if what.moved_to() {
            looks.push(Look::Directory(path.clone()));
        }
        if what.moved_from() {
            looks.push(Look::Below(path));
        }
        return;
    }
    let is_here = what.closed_write() || what.moved_to() || what.created() || what.executed();
    let mut pending = pending.lock();
    if is_here {
        let executed = what.executed()
            || pending.get(&path).is_some_and(|before| before.executed && before.due.is_some());
        pending.insert(path, Unsettled { due: Some(Instant::now() + SETTLED), executed });
    } else if what.moved_from() || what.deleted() {
        pending.remove(&path);
        looks.push(Look::Gone(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_that_took_the_place_of_another_is_looked_at() {
        const ON_DIRECTORY: u64 = 0x4000_0000;
        const MOVED_FROM: u64 = 0x40;
        const MOVED_TO: u64 = 0x80;
        let (here, below) = (|| Look::Directory("/app".into()), || Look::Below("/app".into()));
        for (moved, expected) in [
            (MOVED_FROM, vec![below()]),
            (MOVED_TO, vec![here()]),
            (MOVED_FROM | MOVED_TO, vec![here(), below()]),
        ] {
            let mut looks = Vec::new();
            let what = Changes::from(moved | ON_DIRECTORY);
            note(&Pending::default(), what, "/app".into(), &mut looks);
            assert_eq!(looks, expected, "{moved:x}");
        }
    }

    #[test]
    fn what_waits_in_a_directory_that_is_moved_waits_under_both_paths() {
        let pending = Pending::default();
        for path in ["/a/x", "/ab/y"] {
            pending.lock().insert(path.into(), Unsettled { due: None, executed: true });
        }
        pending_moved(&pending, |path| Some(Path::new("/b").join(path.strip_prefix("/a").ok()?)));
        let mut paths: Vec<PathBuf> = pending.lock().keys().cloned().collect();
        paths.sort();
        assert_eq!(paths, [PathBuf::from("/a/x"), "/ab/y".into(), "/b/x".into()]);
    }

    #[test]
    fn a_path_is_pending_until_it_was_looked_at() {
        let pending = Pending::default();
        let path = Path::new("/a");
        let unsettled = Unsettled { due: Some(Instant::now()), executed: false };
        pending.lock().insert(path.to_owned(), unsettled);
        looked(&pending, path);
        assert!(pending.lock().contains_key(path), "it changed after it was handed on");
        pending.lock().insert(path.to_owned(), Unsettled { due: None, ..unsettled });
        looked(&pending, path);
        assert!(pending.lock().is_empty());
    }

    #[test]
    fn what_is_mounted_later_is_watched_and_can_be_unmounted() {
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            eprintln!("not run: needs a private mount namespace");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let point = dir.path().canonicalize().unwrap().join("later");
        std::fs::create_dir(&point).unwrap();
        let places = Arc::new(Places::resolve(&crate::Watched::Paths(Vec::new()), &[]).unwrap());
        let (looks, looked) = crossbeam_channel::unbounded();
        let ours = Ours::new("/nowhere".into(), &[]);
        let (watch, marker) = Watch::new(places.clone(), ours, Pending::default(), looks).unwrap();
        std::thread::spawn(move || watch.run());

        sys::mounts::mount_tmpfs(&point, 1 << 20).unwrap();
        let place = Place::here(sys::mounts::containing(&point).unwrap(), false);
        places.set_for_test(vec![place.clone()]);
        marker.mark(&place);
        std::fs::write(point.join("file"), "new").unwrap();
        let look = looked.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(look, Look::At { path: point.join("file"), executed: false });
        let unmounted = || std::process::Command::new("umount").arg(&point).status().unwrap().success();
        assert!((0..20).any(|_| unmounted() || {
            std::thread::sleep(PACE);
            false
        }));
    }
}
