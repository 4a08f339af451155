//! Filesystems that appear while guard and agent run, here, in other mount namespaces and in users' own.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use agent::filesystems::{Filesystem, Follower, State, Told};
use agent::guard::client::{Event, Meeting};
use agent::local::{Reply, Request, Status};

use rustix::thread::CapabilitySet;

use crate::arena::{Arena, EPERM, Guarded, Kind, PATIENCE, deny, digests, run};
use crate::processes::Child;

/// A guard, and an agent that follows what is mounted below the arena's directory and nowhere else.
struct Scene {
    told: Arc<Mutex<BTreeMap<u64, Filesystem>>>,
    _follower: Follower,
    guarded: Guarded,
    /// Denied.
    bad: PathBuf,
    mounted: Vec<PathBuf>,
    arena: Arena,
}

impl Scene {
    fn open() -> Option<Self> {
        let arena = Arena::enter(Kind::Tmpfs)?;
        let dir = arena.data_dir().to_owned();
        // Also somebody without rights finds the way to it.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
        let bad = dir.join("bad program");
        fs::rename(arena.copy("/bin/true", "bad", "bad"), &bad)
            .or_else(|_| move_across(&arena.path("bad"), &bad))
            .unwrap();
        let guarded = arena.guarded_by(Child::guard_of_more(arena.data_dir(), arena.ground()));
        guarded.adopt([deny(1, &digests(&bad))]);
        let told = Arc::new(Mutex::new(BTreeMap::new()));
        let hear = {
            let told = told.clone();
            move |news: Told| *told.lock().unwrap() = news.filesystems
        };
        let follower = arena.follow(&guarded, hear);
        Some(Self { told, _follower: follower, guarded, bad, mounted: Vec::new(), arena })
    }

    /// A directory outside of what is guarded.
    fn directory(&self, name: &str) -> PathBuf {
        let path = self.arena.data_dir().join(name);
        fs::create_dir(&path).unwrap();
        path
    }

    fn mount(&mut self, point: &Path, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(point).status().unwrap();
        assert!(status.success());
        self.mounted.push(point.to_owned());
    }

    fn mount_tmpfs(&mut self, name: &str) -> PathBuf {
        let point = self.directory(name);
        self.mount(&point, &["-t", "tmpfs", "none"]);
        point
    }

    /// Not lazily: nobody may hold it open for longer than a look.
    fn unmount(&mut self, point: &Path) {
        wait_until("it can be unmounted", || Command::new("umount").arg(point).status().unwrap().success());
        self.mounted.retain(|mounted| mounted != point);
    }

    fn state(&self, point: &Path) -> Option<State> {
        let told = self.told.lock().unwrap();
        told.values().find(|filesystem| filesystem.path == point).map(|filesystem| filesystem.state.clone())
    }

    /// Waits until it is told to be guarded, and says how long that took.
    fn wait_guarded(&self, point: &Path) -> Duration {
        let since = Instant::now();
        while self.state(point) != Some(State::Guarded) {
            let told = &self.told.lock().unwrap();
            assert!(since.elapsed() < PATIENCE, "{} is never guarded: {told:#?}", point.display());
            std::thread::sleep(Duration::from_millis(1));
        }
        since.elapsed()
    }

    /// A copy of the denied program.
    fn bad_copy(&self, directory: &Path) -> PathBuf {
        let copy = directory.join("bad");
        fs::copy(&self.bad, &copy).unwrap();
        copy
    }

    fn wait_denied(&self) {
        self.guarded.event(|event| matches!(event, Event::Met(Meeting { late: false, .. })).then_some(()));
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        for point in self.mounted.iter().rev() {
            let _ = sys::mounts::unmount_lazily(point);
        }
    }
}

fn move_across(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::copy(from, to)?;
    fs::remove_file(from)
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A shell elsewhere that does one thing after the other when it is told to.
struct Elsewhere {
    child: std::process::Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Elsewhere {
    /// Runs `sh` by `command`.
    fn start(command: &[&str]) -> Self {
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .args(["sh", "-c", r#"while read -r line; do eval "$line"; echo "= $?"; done"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Does one thing; its status.
    fn tell(&mut self, line: &str) -> i32 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let said = self.lines.find_map(|line| line.unwrap().strip_prefix("= ").map(str::to_owned));
        said.expect("the shell has ended").parse().unwrap()
    }
}

impl Drop for Elsewhere {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[test]
fn mounted_here() {
    let Some(mut scene) = Scene::open() else { return };
    let point = scene.mount_tmpfs("later");
    println!("mounted here: marked after {:?}", scene.wait_guarded(&point));
    let bad = scene.bad_copy(&point);
    assert_eq!(run(&bad), Err(EPERM));
    scene.wait_denied();

    let bound = scene.directory("bound");
    scene.mount(&bound, &["--bind", point.to_str().unwrap()]);
    assert_eq!(run(&bound.join("bad")), Err(EPERM), "by whatever mount");
    scene.unmount(&bound);

    // Its device number is free now, and the next gets it.
    for round in 0..5 {
        scene.unmount(&point);
        wait_until("it is gone", || scene.state(&point).is_none() || round > 0);
        scene.mount(&point, &["-t", "tmpfs", "none"]);
        let bad = scene.bad_copy(&point);
        wait_until("what was mounted in its place is guarded", || run(&bad) == Err(EPERM));
    }
    let status = scene.guarded.status(|status| status.counters.denied > 5);
    assert_eq!((status.counters.timed_out, status.counters.failed), (0, 0));
}

#[test]
fn mounted_in_another_mount_namespace() {
    let Some(scene) = Scene::open() else { return };
    let (first, second) = (scene.directory("first"), scene.directory("second"));
    let mut elsewhere = Elsewhere::start(&["unshare", "-m", "--propagation", "private"]);
    for (point, what) in [(first, "a new namespace"), (second, "a known namespace")] {
        let (name, bad) = (point.display(), scene.bad.display());
        assert_eq!(elsewhere.tell(&format!("mount -t tmpfs none '{name}'")), 0);
        println!("mounted in {what}: marked after {:?}", scene.wait_guarded(&point));
        assert_eq!(elsewhere.tell(&format!("cp '{bad}' '{name}/bad'")), 0);
        assert_ne!(elsewhere.tell(&format!("'{name}/bad'")), 0);
        scene.wait_denied();
        assert!(!point.join("bad").exists(), "it is not mounted here");
    }
    drop(elsewhere);
    wait_until("nobody keeps it alive", || {
        scene.told.lock().unwrap().values().all(|known| !known.path.ends_with("second"))
    });
}

#[test]
fn namespaces_that_cannot_be_entered_are_told_of() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let guarded = arena.guarded_by(Child::guard_of_more(arena.data_dir(), arena.ground()));
    let _elsewhere = Elsewhere::start(&["unshare", "-m", "--propagation", "private"]);
    let (sender, told) = crossbeam_channel::unbounded();
    let follow = || {
        // The threads that it starts inherit what this one may do.
        let mut may = rustix::thread::capabilities(None).unwrap();
        may.effective.remove(CapabilitySet::SYS_CHROOT);
        rustix::thread::set_capabilities(None, may).unwrap();
        let hear = move |news: Told| drop(sender.send(news.filesystems));
        Follower::start(Some(guarded.client.marks()), false, |_| false, hear).unwrap()
    };
    let _follower = std::thread::scope(|threads| threads.spawn(follow).join().unwrap());
    let filesystems = told.recv_timeout(PATIENCE).unwrap();
    let Some(State::Failed(reason)) = filesystems.get(&0).map(|filesystem| &filesystem.state) else {
        panic!("{filesystems:?}");
    };
    assert!(reason.ends_with("CAP_SYS_CHROOT are needed"), "{reason}");
}

#[test]
fn mounted_by_somebody_without_rights() {
    let Some(scene) = Scene::open() else { return };
    let point = scene.directory("theirs");
    let nobody = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-Urm"];
    let mut elsewhere = Elsewhere::start(&nobody);
    let (name, bad) = (point.display(), scene.bad.display());
    if elsewhere.tell(&format!("mount -t tmpfs none '{name}'")) != 0 {
        eprintln!("not run: users may not mount in namespaces of their own here");
        return;
    }
    println!("mounted in a user namespace: marked after {:?}", scene.wait_guarded(&point));
    assert_eq!(elsewhere.tell(&format!("cp '{bad}' '{name}/bad'")), 0);
    assert_ne!(elsewhere.tell(&format!("'{name}/bad'")), 0);
    scene.wait_denied();
    assert_eq!(elsewhere.tell(&format!("cp /bin/true '{name}/good' && '{name}/good'")), 0);
}

#[test]
fn an_overlay_of_which_the_upper_layer_came_later() {
    let Some(mut scene) = Scene::open() else { return };
    let upper = scene.mount_tmpfs("upper");
    scene.wait_guarded(&upper);
    let lower = scene.arena.path("lower");
    fs::create_dir(&lower).unwrap();
    for name in ["up", "work"] {
        fs::create_dir(upper.join(name)).unwrap();
    }
    let over = scene.directory("over");
    let options = format!(
        "lowerdir={},upperdir={},workdir={}",
        lower.display(),
        upper.join("up").display(),
        upper.join("work").display()
    );
    scene.bad_copy(&lower);
    scene.mount(&over, &["-t", "overlay", "-o", &options, "none"]);
    scene.wait_guarded(&over);
    let asked = || scene.guarded.client.status().counters.questions;
    let before = asked();
    assert_eq!(run(&over.join("bad")), Err(EPERM), "of the lower layer");
    scene.wait_denied();
    fs::set_permissions(over.join("bad"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(upper.join("up/bad").exists(), "it was copied up");
    assert_eq!(run(&over.join("bad")), Err(EPERM), "after it was copied up");
    scene.wait_denied();
    let status = scene.guarded.status(|status| status.counters.questions >= before + 2);
    println!("questions for two execs on an overlay: {}", status.counters.questions - before);
    assert_eq!(run(&over.join("bad")), Err(EPERM));
}

#[test]
fn a_filesystem_that_never_answers_is_never_asked() {
    let Some(mut scene) = Scene::open() else { return };
    let Some(mut mute) = Mute::mount(scene.directory("mute")) else { return };
    wait_until("it is told", || scene.state(&mute.point) == Some(State::NotLocal));
    let point = scene.mount_tmpfs("later");
    scene.wait_guarded(&point);
    let bad = scene.bad_copy(&point);
    assert_eq!(run(&bad), Err(EPERM));

    mute.assert_never_asked();
}

/// A FUSE filesystem of which the daemon never replies.
struct Mute {
    fuse: File,
    point: PathBuf,
}

impl Mute {
    fn mount(point: PathBuf) -> Option<Self> {
        const NONBLOCK: i32 = 0o4000;
        let Ok(fuse) = File::options().read(true).write(true).custom_flags(NONBLOCK).open("/dev/fuse") else {
            eprintln!("not run: no /dev/fuse here");
            return None;
        };
        let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", fuse.as_raw_fd());
        let options = std::ffi::CString::new(options).unwrap();
        let flags = rustix::mount::MountFlags::empty();
        rustix::mount::mount(c"mute", &point, c"fuse", flags, options.as_c_str()).unwrap();
        Some(Self { fuse, point })
    }

    fn assert_never_asked(&mut self) {
        const INIT: u32 = 26;
        let mut request = vec![0; 1 << 17];
        let mut asked = Vec::new();
        while let Ok(length) = self.fuse.read(&mut request) {
            assert!(length > 8);
            asked.push(u32::from_ne_bytes(request[4..8].try_into().unwrap()));
        }
        assert_eq!(asked, [INIT], "only the kernel's own greeting");
    }
}

impl Drop for Mute {
    fn drop(&mut self) {
        let _ = sys::mounts::unmount_lazily(&self.point);
    }
}

#[test]
fn a_sweep_passes_by_what_never_answers() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    for name in ["a", "mute", "z"] {
        fs::create_dir(arena.path(name)).unwrap();
    }
    let Some(mut mute) = Mute::mount(arena.path("mute")) else { return };
    arena.program("a/program", "a");
    arena.program("z/program", "z");
    let _guard = Child::guard(arena.data_dir(), arena.ground());
    let _agent = Child::whole_agent(arena.data_dir(), arena.ground());
    wait_until("both are found, and the sweep has ended", || {
        let status = agent::local::ask(arena.data_dir(), Request::Status);
        matches!(status, Ok(Reply::Status(status)) if status.files_known == 2 && status.sweeping.is_none())
    });
    mute.assert_never_asked();
}

#[test]
fn a_guard_that_is_started_anew_gets_all_of_it() {
    let Some(mut scene) = Scene::open() else { return };
    let point = scene.mount_tmpfs("later");
    scene.wait_guarded(&point);
    let bad = scene.bad_copy(&point);
    assert_eq!(run(&bad), Err(EPERM));
    scene.guarded.process.kill();
    assert_eq!(run(&bad), Ok(0), "nobody guards");
    scene.guarded.process = Child::guard_of_more(scene.arena.data_dir(), scene.arena.ground());
    let since = Instant::now();
    wait_until("it is guarded again", || run(&bad) == Err(EPERM));
    println!("guarded again {:?} after the guard was started", since.elapsed());
    scene.unmount(&point);
}

#[test]
fn a_guard_of_what_was_named_takes_nothing_more() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let guarded = arena.guarded();
    let other = arena.data_dir().join("other");
    fs::create_dir(&other).unwrap();
    sys::mounts::mount_tmpfs(&other, 1 << 20).unwrap();
    let device = sys::mounts::containing(&other).unwrap().device;
    let object = File::open(&other).unwrap();
    let marks = guarded.client.marks();
    let outcome = marks.add(std::os::fd::AsFd::as_fd(&object), device, &other);
    sys::mounts::unmount_lazily(&other).unwrap();
    assert_eq!(outcome, Err("only what was named is guarded".to_owned()));
    let ground = sys::mounts::containing(arena.ground()).unwrap().device;
    assert_eq!(marks.list(), Some(BTreeSet::from([ground])));
}

#[test]
fn what_is_guarded_and_watched_can_be_unmounted() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let _guard = Child::guard(arena.data_dir(), arena.ground());
    let _agent = Child::whole_agent(arena.data_dir(), arena.ground());
    let status = || match agent::local::ask(arena.data_dir(), Request::Status) {
        Ok(Reply::Status(status)) => Some(*status),
        _ => None,
    };
    let has = |is_so: &dyn Fn(Status) -> bool| status().is_some_and(is_so);
    let state = |status: &Status| {
        let mut all = status.filesystems.iter();
        all.find(|filesystem| filesystem.path == arena.ground()).map(|filesystem| filesystem.state.clone())
    };
    wait_until("it is guarded", || has(&|status| state(&status) == Some(State::Guarded)));
    arena.program("new", "new");
    wait_until("it is watched", || has(&|status| status.files_known == 1));
    let others = status().unwrap().filesystems;
    assert!(others.iter().all(|other| other.state == State::Guarded || other.path != arena.ground()));
    assert!(others.iter().filter(|other| other.state == State::Guarded).count() == 1, "{others:?}");
    let unmount = || Command::new("umount").arg(arena.ground()).status().unwrap().success();
    wait_until("it can be unmounted", unmount);
    let forgotten =
        |status: Status| status.watched.is_empty() && status.guarded.is_empty() && status.files_known == 0;
    wait_until("it is forgotten", || has(&forgotten));
    // For the arena to unmount.
    sys::mounts::mount_tmpfs(arena.ground(), 1 << 20).unwrap();
}
