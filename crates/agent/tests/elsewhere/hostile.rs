//! Whoever rules in a container wants to lead us astray, or to keep us waiting.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use agent::vault::{Found, Refusal};
use rustix::fs::{CWD, FileType, Mode, RenameFlags};

use crate::arena::wanting;
use crate::container::Container;
use crate::scene::{Scene, evil};
use crate::{order, quarantined, succeeded};

/// Nothing here takes longer, unless it hangs.
const LONG: Duration = Duration::from_secs(60);

/// What is done must end.
fn ends<T: Send>(what: &str, does: impl FnOnce() -> T + Send) -> T {
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(move || tell.send(does()));
        told.recv_timeout(LONG).unwrap_or_else(|_| {
            eprintln!("{what}: it does not end");
            std::process::abort()
        })
    })
}

/// No thread of ours waits for somebody.
fn assert_nobody_waits() {
    let deadline = Instant::now() + Duration::from_secs(5);
    while left_behind() > 0 {
        assert!(Instant::now() < deadline, "somebody waits for one that never answers");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn left_behind() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| ["elsewhere", "mounts visit"].contains(&name.trim())).count()
}

/// Looks at a copy as an act does that is to take another file: it goes there, opens it, reads it, and leaves it. Whether
/// it was read.
fn is_read(scene: &Scene, copy: &Path) -> bool {
    let found = Found { path: copy.to_owned(), device: 0, inode: 0 };
    let refusal = scene.vault.take(found, wanting(b"no such file"), &mut |_| {}).unwrap_err();
    // What is found there is compared after it was read.
    matches!(refusal, Refusal::Gone { reason: "another file is there now", .. })
}

#[test]
fn links_lead_nowhere() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let memory = scene.directory("memory");
    scene.mount_memory(&mut container, &memory);
    scene.look(&[&memory]);
    let (inside, here) = (container.inside(&memory), scene.here(&memory));
    // What a container names is found where it is; what these name lies here, or in our own /proc.
    fs::create_dir(inside.join("real")).unwrap();
    fs::copy(scene.evil(), inside.join("real/evil")).unwrap();
    symlink(scene.arena.root(), inside.join("out")).unwrap();
    symlink("real", inside.join("relative")).unwrap();
    symlink(
        format!("/proc/{}/root{}", std::process::id(), scene.arena.root().display()),
        inside.join("proc"),
    )
    .unwrap();
    symlink(scene.evil(), inside.join("file")).unwrap();
    let up = "../".repeat(20) + scene.evil().to_str().unwrap();
    let paths = ["out/evil", "relative/evil", "proc/evil", "file", up.as_str()].map(|name| here.join(name));
    let outcome = ends("links", || quarantined(&scene, &order(), &paths.each_ref().map(PathBuf::as_path)));
    assert!(succeeded(&outcome).is_empty(), "{outcome:?}");
    assert!(scene.evil().exists() && inside.join("real/evil").exists());
    let outcome = quarantined(&scene, &order(), &[&here.join("real/evil")]);
    assert_eq!(succeeded(&outcome), [here.join("real/evil")]);
}

#[test]
fn a_filesystem_inside_that_never_answers_is_passed_by() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let memory = scene.directory("memory");
    scene.mount_memory(&mut container, &memory);
    let point = memory.display();
    container.does(&format!("mkdir '{point}/a' '{point}/mute' '{point}/z' && touch '{point}/file'"));
    container.does(&format!(
        "cp '{}' '{point}/a/evil' && ln '{point}/a/evil' '{point}/z/evil'",
        scene.evil().display()
    ));
    if !container.mount_mute(&memory.join("mute")) {
        eprintln!("not run: no FUSE here");
        return;
    }
    ends("a look", agent::elsewhere::look);
    scene.look(&[&memory]);
    let here = scene.here(&memory);
    let known = [here.join("a/evil"), here.join("mute/evil"), here.join("mute")];
    let known = known.each_ref().map(PathBuf::as_path);
    let outcome = ends("a quarantine", || quarantined(&scene, &order(), &known));
    let taken: Vec<_> =
        outcome.copies.iter().filter(|copy| copy.vault.is_some()).map(|copy| &copy.path).collect();
    assert_eq!(taken, [&here.join("a/evil"), &here.join("z/evil")], "{outcome:?}");
    assert_nobody_waits();
}

#[test]
fn what_is_mounted_over_the_way_at_any_moment_is_not_asked() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let way = scene.directory("way");
    let memory = scene.directory("way/memory");
    scene.mount_memory(&mut container, &memory);
    container.does(&format!("cp '{}' '{}/evil'", scene.evil().display(), memory.display()));
    if container.tell("exec 8<>/dev/fuse") != 0 {
        eprintln!("not run: no FUSE here");
        return;
    }
    scene.look(&[&memory]);
    let copy = scene.here(&memory).join("evil");
    // Each has a daemon of its own that lives on and never answers: whoever asks one of them waits.
    let options = "fd=9,rootmode=40000,user_id=0,group_id=0,allow_other";
    container.does(&format!(
        "(while [ ! -e '{1}' ]; do (exec 9<>/dev/fuse; \
         mount -i -t fuse -o {options} mute '{0}' && umount -l '{0}'; exec sleep 15) & sleep 0.05; done) \
         >/dev/null 2>&1 &",
        way.display(),
        scene.directory_of("enough").display()
    ));
    let (mut met, mut missed) = (0, 0);
    let begun = Instant::now();
    while (met < 100 || missed < 10) && begun.elapsed() < LONG / 3 {
        if ends("a look at a copy", || is_read(&scene, &copy)) {
            met += 1;
        } else {
            missed += 1;
            ends("a look at what is mounted", agent::elsewhere::look);
        }
    }
    fs::write(scene.directory_of("enough"), "").unwrap();
    println!("{met} looks met nothing on the way, {missed} something");
    assert!(met > 0 && missed > 0);
    assert_nobody_waits();
    // The last of them may still be there.
    let is_met = || ends("a look", agent::elsewhere::look).iter().any(|there| there.inside == memory);
    while !is_met() {
        assert!(begun.elapsed() < LONG, "the way is never clear again");
        std::thread::sleep(Duration::from_millis(50));
    }
    scene.look(&[&memory]);
    let outcome = ends("a quarantine", || quarantined(&scene, &order(), &[&copy]));
    assert_eq!(succeeded(&outcome), [&copy]);
}

#[test]
fn what_takes_the_name_of_a_file_is_not_opened() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let memory = scene.directory("memory");
    scene.mount_memory(&mut container, &memory);
    scene.look(&[&memory]);
    let (inside, copy) = (container.inside(&memory), scene.here(&memory).join("evil"));
    let (file, pipe) = (inside.join("evil"), inside.join("pipe"));
    fs::write(&file, evil()).unwrap();
    rustix::fs::mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let writes = open_writer(&pipe);
    let (ended, mut read) = (AtomicBool::new(false), 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !ended.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &file, CWD, &pipe, RenameFlags::EXCHANGE).unwrap();
            }
        });
        let begun = Instant::now();
        for _ in 0..2000 {
            read += u32::from(is_read(&scene, &copy));
        }
        println!("a look elsewhere takes {:?}", begun.elapsed() / 2000);
        ended.store(true, Ordering::Relaxed);
    });
    println!("{read} of 2000 looks met the file and not the pipe");
    assert!(read > 0 && read < 2000);
    assert!(writes.recv_timeout(Duration::ZERO).is_err(), "somebody has opened the pipe");
    // Its writer goes on when it is read.
    let real = if fs::symlink_metadata(&pipe).unwrap().is_file() { &file } else { &pipe };
    drop(OpenOptions::new().read(true).custom_flags(0o4000).open(real).unwrap());
    writes.recv_timeout(LONG).unwrap();
}

/// Waits for a reader of a pipe, wherever that is moved; tells when there was one.
fn open_writer(pipe: &Path) -> mpsc::Receiver<()> {
    const PATH: i32 = 0o10_000_000;
    let held = File::options().read(true).custom_flags(PATH).open(pipe).unwrap();
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let again = format!("/proc/self/fd/{}", held.as_raw_fd());
        let _ = OpenOptions::new().write(true).open(again);
        let _ = tell.send(());
    });
    told
}
