//! What changes on the watched filesystems: the kernel's notes, turned into paths to look at once they have
//! settled. Nobody ever waits for this.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
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
use crate::pending::{Pending, Settled};
use crate::places::{Place, Places};

/// How long the kernel's notes are waited for at a time.
const REST: Duration = Duration::from_secs(60);
/// Notes are read at most so often: the kernel merges equal ones meanwhile.
const PACE: Duration = Duration::from_millis(10);
/// So often is read at a time: who makes changes faster than we read must not keep what has settled waiting.
const MOST_READS: usize = 64;
/// So often it is tried again to mark what could not be marked.
const TRIES: u32 = 8;

/// What there is to look at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// At this file; it was executed, or written, if so told.
    At(Settled),
    /// This name is gone.
    Gone(PathBuf),
    /// At this directory: it was moved here.
    Directory(PathBuf),
    /// At all below this directory: it was moved away, or something is mounted there.
    Below(PathBuf),
    /// At everything: notes were lost.
    Everything,
}

impl Look {
    /// Whether it is about directories.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self, Self::Directory(_) | Self::Below(_) | Self::Everything)
    }
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
    /// Copies of one image, and snapshots, may have one fsid: each of them may be meant.
    by_fsid: HashMap<[u8; 8], Vec<usize>>,
}

/// A place that is open.
struct Root {
    root: OwnedFd,
    /// The path that it has where it is mounted, and the one that it has here, if these differ.
    elsewhere: Option<(PathBuf, PathBuf)>,
}

/// Has changes noticed on more filesystems.
pub(crate) struct Marker {
    group: Arc<WatchGroup>,
    /// What could not be marked, and how often that was tried again.
    failed: Mutex<Vec<(Place, u32)>>,
}

impl Marker {
    /// Changes there are noticed from now on. It can be unmounted all the same.
    pub(crate) fn mark(&self, place: &Place) {
        let mut failed = self.failed.lock();
        failed.retain(|(other, _)| other.mount.point != place.mount.point);
        if let Err(error) = self.set(place) {
            let mount = place.mount.point.display();
            tracing::warn!(%mount, %error, "changes here are not noticed; only sweeps find new files");
            failed.push((place.clone(), 0));
        }
    }

    /// Tries once more to mark what could not be marked and is still there, a few times. Says where that has succeeded.
    pub(crate) fn try_again(&self, places: &Places) -> Vec<PathBuf> {
        let now = places.now();
        let mut marked = Vec::new();
        self.failed.lock().retain_mut(|(place, times)| {
            *times += 1;
            if !now.contains(place) {
                return false;
            }
            let is_marked = self.set(place).is_ok();
            marked.extend(is_marked.then(|| place.mount.point.clone()));
            !is_marked && *times < TRIES
        });
        marked
    }

    fn set(&self, place: &Place) -> io::Result<()> {
        // The guard's questions tell of executions where it stands.
        let mask = WatchMask { changes: !place.mount.read_only_filesystem, executions: !place.is_guarded };
        place.open().and_then(|root| self.group.mark_filesystem(root.as_fd(), mask))
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
        pending.watch(&group);
        let marker = Marker { group: group.clone(), failed: Mutex::default() };
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
            let wait = self.pending.next_due().map_or(REST, |due| due.max(PACE));
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

    /// Reads the notes there are. False when nobody listens.
    fn drain(&mut self, buffer: &mut EventBuffer) -> io::Result<bool> {
        self.pending.begin_intake();
        let drained = self.take_in(buffer);
        self.pending.end_intake(*drained.as_ref().unwrap_or(&None));
        match drained {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Returns since when there was nothing more to be read, if that is so; BrokenPipe when nobody listens.
    fn take_in(&mut self, buffer: &mut EventBuffer) -> io::Result<Option<Instant>> {
        // For so long only: what is held open can't be unmounted.
        let mut open = HashMap::new();
        self.roots.keep_up(&self.places);
        for _ in 0..MOST_READS {
            let begun = Instant::now();
            let mut any = false;
            let mut looks = Vec::new();
            for event in self.group.read(buffer)? {
                any = true;
                match event {
                    WatchEvent::Overflow => looks.push(Look::Everything),
                    WatchEvent::Change { what, fsid, dir, name, .. } => {
                        let roots = open.entry(fsid).or_insert_with(|| self.roots.open(fsid));
                        let is_certain = roots.len() < 2;
                        for path in roots.iter().filter_map(|root| self.path_of(root, &dir, name)) {
                            note(&self.pending, what, path, is_certain, &mut looks);
                        }
                    }
                }
            }
            for look in looks {
                if look.is_wide() {
                    self.pending.hand_on_directory();
                }
                self.looks.send(look).map_err(|_| io::ErrorKind::BrokenPipe)?;
            }
            if !any {
                return Ok(Some(begun));
            }
        }
        Ok(None)
    }

    /// The path of a name in a directory that is told by handle. None when the directory is gone already, or
    /// is ours.
    fn path_of(&self, root: &Root, dir: &FileHandle, name: &OsStr) -> Option<PathBuf> {
        let Root { root, elsewhere } = root;
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
        self.pending.settled().into_iter().all(|settled| self.looks.send(Look::At(settled)).is_ok())
    }
}

impl Roots {
    fn keep_up(&mut self, places: &Places) {
        let now = places.now();
        if Arc::ptr_eq(&now, &self.of) {
            return;
        }
        self.by_fsid.clear();
        for (number, place) in now.iter().enumerate() {
            if let Some(fsid) = place.fsid() {
                self.by_fsid.entry(fsid).or_default().push(number);
            }
        }
        self.of = now;
    }

    /// The roots of all that have that fsid.
    fn open(&self, fsid: [u8; 8]) -> Vec<Root> {
        let numbers = self.by_fsid.get(&fsid).map(Vec::as_slice).unwrap_or_default();
        numbers.iter().filter_map(|number| Root::open(self.of.get(*number)?)).collect()
    }
}

impl Root {
    fn open(place: &Place) -> Option<Self> {
        let root = place.open().ok()?;
        // Of what is mounted elsewhere the kernel says the path that it has there.
        let elsewhere = match &place.elsewhere {
            Some(there) => Some((sys::place::path_of(root.as_fd()).ok()?, there.mount.point.clone())),
            None => None,
        };
        Some(Self { root, elsewhere })
    }
}

/// Takes in one note. It can stand for several changes, and for the same path on another filesystem unless it is certain:
/// a look at the path tells what is there now.
fn note(pending: &Pending, what: Changes, path: PathBuf, is_certain: bool, looks: &mut Vec<Look>) {
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
    let is_gone = what.moved_from() || what.deleted();
    if is_here || (is_gone && !is_certain) {
        pending.add(path, what.executed(), what.closed_write());
    } else if is_gone {
        pending.paths().remove(&path);
        looks.push(Look::Gone(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::for_test::is_private;

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
            note(&Pending::default(), what, "/app".into(), true, &mut looks);
            assert_eq!(looks, expected, "{moved:x}");
        }
    }

    #[test]
    fn what_may_have_happened_elsewhere_is_looked_at() {
        const DELETED: u64 = 0x200;
        for (is_certain, waits) in [(true, 0), (false, 1)] {
            let (pending, mut looks) = (Pending::default(), Vec::new());
            note(&pending, Changes::from(DELETED), "/a".into(), is_certain, &mut looks);
            assert_eq!((pending.paths().len(), looks.len()), (waits, 1 - waits));
        }
    }

    /// As snapshots have, and images that were copied bit by bit.
    #[test]
    fn filesystems_with_one_fsid_are_all_watched() {
        if !is_private() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let run = |program: &str, arguments: &[&std::ffi::OsStr]| {
            let status = std::process::Command::new(program).args(arguments).status().unwrap();
            assert!(status.success(), "{program}");
        };
        let images = ["one.img", "two.img"].map(|name| root.join(name));
        std::fs::File::create(&images[0]).unwrap().set_len(16 << 20).unwrap();
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), images[0].as_ref()]);
        std::fs::copy(&images[0], &images[1]).unwrap();
        let points = ["one", "two"].map(|name| root.join(name));
        for (image, point) in images.iter().zip(&points) {
            std::fs::create_dir(point).unwrap();
            run("mount", &["-o".as_ref(), "loop".as_ref(), image.as_ref(), point.as_ref()]);
        }
        let _mounted = Mounted(points.to_vec());
        let place = |point: &PathBuf| Place::here(sys::mounts::containing(point).unwrap(), false);
        let fsid = |point: &PathBuf| sys::handle::fsid(place(point).open().unwrap().as_fd()).unwrap();
        assert_eq!(fsid(&points[0]), fsid(&points[1]), "or this shows nothing");
        let places = Arc::new(Places::resolve(&crate::Watched::Paths(Vec::new()), &[]).unwrap());
        places.set_for_test(points.iter().map(place).collect());
        let (looks, looked) = crossbeam_channel::unbounded();
        let ours = Ours::new("/nowhere".into(), &[]);
        let (watch, _) = Watch::new(places, ours, Pending::default(), looks).unwrap();
        std::thread::spawn(move || watch.run());
        for point in &points {
            let path = point.join("file");
            std::fs::write(&path, "new").unwrap();
            let wanted = Look::At(Settled { path: path.clone(), executed: false, written: true });
            let mut all = std::iter::from_fn(|| looked.recv_timeout(Duration::from_secs(10)).ok());
            assert!(all.any(|look| look == wanted), "{}", path.display());
        }
    }

    struct Mounted(Vec<PathBuf>);

    impl Drop for Mounted {
        fn drop(&mut self) {
            for point in &self.0 {
                let _ = sys::mounts::unmount_lazily(point);
            }
        }
    }

    #[test]
    fn what_is_mounted_later_is_watched_and_can_be_unmounted() {
        if !is_private() {
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
        assert_eq!(marker.try_again(&places), [] as [PathBuf; 0]);
        std::fs::write(point.join("file"), "new").unwrap();
        let look = looked.recv_timeout(Duration::from_secs(10)).unwrap();
        let settled = Settled { path: point.join("file"), executed: false, written: true };
        assert_eq!(look, Look::At(settled));
        let unmounted = || std::process::Command::new("umount").arg(&point).status().unwrap().success();
        assert!((0..20).any(|_| unmounted() || {
            std::thread::sleep(PACE);
            false
        }));
    }
}
