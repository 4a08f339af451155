//! The threads that know what a filesystem holds, together, on filesystems of the tests' own.

mod elsewhere;

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use model::sighting::{Seen, Sighting};
use model::{FileId, Sha256};
use sha2::Digest;

use super::*;
use crate::clock::SystemClock;
use crate::core::Nudge;
use crate::inventory::Inventory;
use crate::pending::Pending;
use crate::places::Places;
use crate::recorder::Recorder;
use crate::spool::Spool;
use crate::watch::{Look, Marker, Watch};

/// Whether these tests may mount.
fn is_private() -> bool {
    let is_private = std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_some_and(|value| value == "1");
    if !is_private {
        eprintln!("not run: needs a private mount namespace");
    }
    is_private
}

/// A disk of its own, that can be mounted and unmounted.
struct Disk {
    dir: tempfile::TempDir,
}

fn run(program: &str, arguments: &[&std::ffi::OsStr]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

impl Disk {
    fn new() -> Self {
        let disk = Self { dir: tempfile::tempdir().unwrap() };
        fs::File::create(disk.image()).unwrap().set_len(32 << 20).unwrap();
        run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), disk.image().as_ref()]);
        disk
    }

    fn image(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    fn mount(&self, name: &str) -> PathBuf {
        let point = self.dir.path().canonicalize().unwrap().join(name);
        fs::create_dir_all(&point).unwrap();
        run("mount", &["-o".as_ref(), "loop".as_ref(), self.image().as_ref(), point.as_ref()]);
        point
    }

    fn unmount(&self, point: &Path) {
        // Somebody may be looking: it is never held for long.
        let unmounted = || Command::new("umount").arg(point).status().unwrap().success();
        let pause = || std::thread::sleep(Duration::from_millis(20));
        assert!((0..100).any(|_| unmounted() || {
            pause();
            false
        }));
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        for name in ["a", "b"] {
            let _ = sys::mounts::unmount_lazily(&self.dir.path().join(name));
        }
    }
}

/// The threads of an agent that look around.
struct Stage {
    inventory: Arc<Inventory>,
    spool: Arc<Mutex<Spool>>,
    places: Arc<Places>,
    errands: Errands,
    progress: Arc<Progress>,
    looker: Looker,
    halt: Halt,
    looks: Sender<Look>,
    marker: Option<Marker>,
    milestones: Receiver<Milestone>,
    threads: Vec<JoinHandle<()>>,
    _nudges: Receiver<Nudge>,
}

impl Stage {
    /// On these mount points, with what `data` holds from before.
    fn new(data: &Path, points: &[&Path], watches: bool, percent: u32) -> Self {
        let places = Arc::new(Places::resolve(&crate::Watched::Paths(Vec::new()), &[]).unwrap());
        places.set_for_test(points.iter().map(|point| place(point)).collect());
        let inventory = Arc::new(Inventory::open(&data.join("inventory")).unwrap());
        inventory.set_seats(places.seats());
        let spool = Spool::open(&data.join("spool"), Arc::new(SystemClock)).unwrap();
        let backlog = spool.backlog();
        let spool = Arc::new(Mutex::new(spool));
        let (noticed, notices) = bounded(4096);
        let (nudges, _nudges) = unbounded();
        let errands = Errands::default();
        let looker = Looker {
            inventory: inventory.clone(),
            noticed,
            vouched: Arc::default(),
            large: None,
            read: Arc::default(),
            gathered: None,
        };
        let (inventory_too, spool_too, errands_too) = (inventory.clone(), spool.clone(), errands.clone());
        let recorder = Recorder {
            inventory: inventory_too,
            spool: spool_too,
            origins: Arc::default(),
            nudges,
            errands: errands_too,
            lost: None,
        };
        let mut threads = vec![std::thread::spawn(move || recorder.run(&notices))];
        let (pending, ours) = (Pending::default(), Ours::new("/nowhere".into(), &[]));
        let (looks, looked) = unbounded();
        let marker = watches.then(|| {
            let (watch, marker) =
                Watch::new(places.clone(), ours.clone(), pending.clone(), looks.clone()).unwrap();
            std::thread::spawn(move || watch.run());
            marker
        });
        let (look, asked) = (looker.clone(), errands.clone());
        threads.push(std::thread::spawn(move || look.run(&looked, &pending, &asked)));
        let (progress, halt) = (Arc::new(Progress::default()), Halt::default());
        let pace = Pace::new(percent, backlog, progress.hurry.clone(), progress.held_up.clone());
        let sweep = Sweep {
            looker: Looker { gathered: Some(Arc::default()), ..looker.clone() },
            places: places.clone(),
            ours,
            progress: progress.clone(),
            pace,
            halt: halt.clone(),
            meter: Mutex::default(),
            told: AtomicU64::new(0),
            errands: errands.clone(),
        };
        let (reached, milestones) = unbounded();
        threads.push(std::thread::spawn(move || {
            sweep.run(|milestone| reached.send(milestone).unwrap());
        }));
        Self {
            inventory,
            spool,
            places,
            errands,
            progress,
            looker,
            halt,
            looks,
            marker,
            milestones,
            threads,
            _nudges,
        }
    }

    fn wait_swept(&self) {
        let wait = || self.milestones.recv_timeout(Duration::from_secs(60)).unwrap();
        while wait() != Milestone::Everything {}
        assert!(wait_recorded(&self.looker.noticed, Duration::from_secs(10)));
    }

    /// Waits for what must come.
    fn wait_for(&self, what: &str, mut is: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !is() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn read(&self) -> u64 {
        self.looker.read.load(Ordering::Relaxed)
    }

    fn copies(&self, content: &str) -> Vec<PathBuf> {
        let digest = Sha256(sha2::Sha256::digest(content).into());
        self.inventory.copies_of(&FileId::Sha256(digest)).unwrap()
    }

    /// What the server has been told since this was asked last.
    fn told(&self) -> Vec<(PathBuf, Seen)> {
        assert!(wait_recorded(&self.looker.noticed, Duration::from_secs(10)));
        let mut spool = self.spool.lock();
        let (mut told, mut sequence) = (Vec::new(), 0);
        while let Some(batch) = spool.after(sequence) {
            sequence = batch.sequence;
            let sightings = batch.sightings.into_iter().map(|one| Sighting::try_from(one).unwrap());
            told.extend(sightings.map(|one| (one.path, one.seen)));
        }
        if sequence > 0 {
            spool.stored(sequence).unwrap();
        }
        told
    }

    /// What is mounted is another.
    fn mounted(&self, points: &[&Path]) {
        let places: Vec<Place> = points.iter().map(|point| place(point)).collect();
        self.places.set_for_test(places.clone());
        self.inventory.set_seats(self.places.seats());
        if let Some(marker) = &self.marker {
            places.iter().for_each(|place| marker.mark(place));
        }
    }

    /// As the agent does; where nobody watches, the inventory can be opened again afterwards.
    fn stop(self) {
        let Self { halt, looker, inventory, looks, threads, marker, .. } = self;
        halt.now();
        assert!(wait_recorded(&looker.noticed, Duration::from_secs(10)));
        inventory.settle().unwrap();
        drop((looker, looks));
        if marker.is_none() {
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        }
    }
}

fn place(point: &Path) -> Place {
    Place::here(sys::mounts::containing(point).unwrap(), false)
}

fn script(number: usize) -> String {
    format!("#!/bin/sh\nexit {number}\n")
}

/// So many scripts in `directory`, ten to each directory below it.
fn fill(directory: &Path, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let within = directory.join((number / 10).to_string());
        fs::create_dir_all(&within).unwrap();
        fs::write(within.join(format!("script-{number}")), script(number)).unwrap();
    }
}

fn at(directory: &Path, number: usize) -> PathBuf {
    directory.join((number / 10).to_string()).join(format!("script-{number}"))
}

#[test]
fn a_directory_that_is_renamed_is_known_by_its_new_name_and_nothing_is_read() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    fill(&root.join("old/deep"), 0..300);
    let stage = Stage::new(data.path(), &[&root], true, 0);
    stage.wait_swept();
    assert_eq!((stage.inventory.len(), stage.read()), (300, 300));
    stage.told();

    fs::rename(root.join("old"), root.join("new")).unwrap();
    let new = root.join("new/deep");
    stage.wait_for("the new path", || stage.copies(&script(7)) == [at(&new, 7)]);
    assert_eq!((stage.inventory.len(), stage.read()), (300, 300));
    // And back through another, with what is written meanwhile.
    fs::write(new.join("0/late"), "#!/bin/sh\n# late\n").unwrap();
    fs::create_dir(root.join("between")).unwrap();
    fs::rename(root.join("new"), root.join("between/x")).unwrap();
    let late = root.join("between/x/deep/0/late");
    stage.wait_for("what was written", || stage.copies("#!/bin/sh\n# late\n") == [late.as_path()]);
    stage.wait_for("the path", || stage.copies(&script(7)) == [at(&root.join("between/x/deep"), 7)]);
    assert!(stage.read() <= 303, "{}", stage.read());

    let mut told = Vec::new();
    let here = |told: &Vec<(PathBuf, Seen)>| {
        let is = |told: &&(PathBuf, Seen)| told.0.starts_with(root.join("between")) && told.1 == Seen::AtRest;
        told.iter().filter(is).count()
    };
    let begun = Instant::now();
    while here(&told) < 301 {
        told.extend(stage.told());
        assert!(begun.elapsed() < Duration::from_secs(60), "{} told", here(&told));
        std::thread::sleep(Duration::from_millis(50));
    }
    let is_gone = |number| told.contains(&(at(&root.join("old/deep"), number), Seen::Gone));
    assert!((0..300).all(is_gone), "the server knew them there");
    assert!(stage.inventory.moved().is_empty());
    stage.stop();
}

#[test]
fn what_happened_while_nobody_watched_is_found_and_only_what_changed_is_read() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    fill(&root.join("a"), 0..200);
    fill(&root.join("b"), 200..400);
    let stage = Stage::new(data.path(), &[&root], false, 0);
    stage.wait_swept();
    stage.told();
    // Two directories change places, one file another content, one is gone, and a directory with ten.
    let aside = root.join("aside");
    fs::rename(root.join("a"), &aside).unwrap();
    fs::rename(root.join("b"), root.join("a")).unwrap();
    fs::rename(&aside, root.join("b")).unwrap();
    let (a, b) = (root.join("a"), root.join("b"));
    fs::write(at(&b, 5), "#!/bin/sh\n# other\n").unwrap();
    fs::remove_file(at(&b, 6)).unwrap();
    fs::remove_dir_all(b.join("2")).unwrap();
    let read = stage.read();
    stage.looks.send(Look::Everything).unwrap();
    stage.wait_for("the other content", || stage.copies("#!/bin/sh\n# other\n") == [at(&b, 5)]);
    stage.wait_for("what is gone", || stage.inventory.len() == 400 - 11);
    assert_eq!(stage.read(), read + 1);
    assert_eq!(
        (stage.copies(&script(300)), stage.copies(&script(100))),
        (vec![at(&a, 300)], vec![at(&b, 100)])
    );
    for number in [5, 6, 25] {
        assert!(stage.copies(&script(number)).is_empty(), "{number}");
    }
    stage.stop();
}

#[test]
fn a_sweep_that_was_cut_short_goes_on_where_it_was() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    fill(&root, 0..1000);
    let stage = Stage::new(data.path(), &[&root], false, 0);
    stage.wait_for("some", || stage.progress.seen.load(Ordering::Relaxed) > 200);
    stage.stop();
    let stage = Stage::new(data.path(), &[&root], false, 0);
    let known = stage.inventory.len();
    stage.wait_swept();
    assert_eq!(stage.inventory.len(), 1000);
    assert!(stage.read() <= 1000 - known, "{} of {known} known were read again", stage.read());
    assert_eq!(stage.inventory.swept_to(), None);
    stage.stop();
}

#[test]
fn the_part_behind_the_place_that_was_kept_comes_first() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    fill(&root, 0..100);
    let inventory = Inventory::open(&data.path().join("inventory")).unwrap();
    inventory.note(&[Note::SweptTo(Some(root.join("5")))]).unwrap();
    inventory.settle().unwrap();
    drop(inventory);
    let stage = Stage::new(data.path(), &[&root], false, 0);
    stage.wait_swept();
    let told: Vec<PathBuf> = stage.told().into_iter().map(|(path, _)| path).collect();
    let within = |path: &PathBuf| path.strip_prefix(&root).unwrap().iter().next().unwrap().to_owned();
    let mut order: Vec<_> = told.iter().map(within).collect();
    order.dedup();
    assert_eq!(order, ["5", "6", "7", "8", "9", "0", "1", "2", "3", "4"]);
    stage.stop();
}

#[test]
fn copies_of_an_unmounted_filesystem_are_kept_and_gone_to_the_server_until_it_is_mounted_again() {
    if !is_private() {
        return;
    }
    let (disk, other, data) = (Disk::new(), Disk::new(), tempfile::tempdir().unwrap());
    let (root, stays) = (disk.mount("a"), other.mount("a"));
    fill(&root, 0..50);
    fill(&stays, 50..60);
    let stage = Stage::new(data.path(), &[&root, &stays], true, 0);
    stage.wait_swept();
    stage.told();
    disk.unmount(&root);
    stage.mounted(&[&stays]);
    stage.errands.below(root.clone());
    stage.errands.everything();
    stage.wait_for("nothing there", || stage.copies(&script(7)).is_empty());
    let gone = RefCell::new(Vec::new());
    stage.wait_for("the server to hear of it", || {
        gone.borrow_mut().extend(stage.told());
        gone.borrow().len() >= 50
    });
    let all: HashSet<_> = gone.take().into_iter().collect();
    assert_eq!(all, (0..50).map(|number| (at(&root, number), Seen::Gone)).collect());
    // The same path leads into another filesystem now.
    fill(&root, 0..1);
    stage.errands.below(root.clone());
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(stage.inventory.len(), 60, "they are kept");
    assert!(stage.told().is_empty(), "that they are gone is told once");
    fs::remove_dir_all(root.join("0")).unwrap();

    let read = stage.read();
    let elsewhere = disk.mount("b");
    stage.mounted(&[&elsewhere, &stays]);
    stage.errands.below(elsewhere.clone());
    stage.wait_for("the other mount", || stage.copies(&script(7)) == [at(&elsewhere, 7)]);
    stage.wait_for("the server", || stage.inventory.moved().is_empty());
    let told = stage.told();
    assert_eq!(stage.read(), read);
    assert_eq!((0..50).filter(|n| told.contains(&(at(&elsewhere, *n), Seen::AtRest))).count(), 50);
    assert!(!told.iter().any(|(_, seen)| *seen == Seen::Gone), "not once more: {told:?}");
    // It is watched there.
    fs::rename(elsewhere.join("0"), elsewhere.join("zero")).unwrap();
    stage.wait_for("a rename", || stage.copies(&script(7)) == [elsewhere.join("zero/script-7")]);
    assert_eq!(stage.read(), read);
    stage.stop();
}

#[test]
fn a_bind_mount_makes_no_second_copy() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    fill(&root.join("part"), 0..20);
    let bound = disk.dir.path().canonicalize().unwrap().join("b");
    fs::create_dir(&bound).unwrap();
    run("mount", &["--bind".as_ref(), root.join("part").as_ref(), bound.as_ref()]);
    let stage = Stage::new(data.path(), &[&root], true, 0);
    stage.wait_swept();
    fs::write(bound.join("0/new"), "#!/bin/sh\n# new\n").unwrap();
    stage.wait_for("what was written there", || {
        stage.copies("#!/bin/sh\n# new\n") == [root.join("part/0/new")]
    });
    assert_eq!(stage.inventory.len(), 21);
    let read = stage.read();
    // The whole is unmounted, the part stays.
    let _ = sys::mounts::unmount_lazily(&root);
    stage.mounted(&[&bound]);
    assert_eq!(stage.copies(&script(7)), [at(&bound, 7)]);
    stage.errands.below(bound.clone());
    fs::rename(bound.join("0"), bound.join("zero")).unwrap();
    stage.wait_for("a rename", || stage.copies(&script(7)) == [bound.join("zero/script-7")]);
    assert_eq!(stage.read(), read);
    stage.stop();
}

#[test]
fn a_directory_larger_than_a_piece_is_seen_whole() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let root = disk.mount("a");
    for number in 0..2000 {
        fs::write(root.join(format!("script-{number}")), script(number)).unwrap();
    }
    let stage = Stage::new(data.path(), &[&root], false, 0);
    stage.wait_swept();
    assert_eq!((stage.inventory.len(), stage.read()), (2000, 2000));
    disk.unmount(&root);
    stage.stop();
}
