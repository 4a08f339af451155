//! Mounts of other namespaces: found, reached, and not kept alive.

use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sys::fanotify::permission::{About, PermissionGroup};
use sys::mounts::{self, Changes, Mount, MountGroup, Tree, Visitor, Way};

use crate::arena::{Arena, PATIENCE};

/// A shell in a mount namespace of its own that does `script`, says so, and waits for the end of its input.
fn elsewhere(script: &str) -> Child {
    let script = format!("{script} && echo done && read end");
    let mut child = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "done\n");
    child
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    child.wait().unwrap();
}

/// What `look` makes of the mount at `point`, in the first other namespace that has one of its own there.
fn look_elsewhere<T: Send>(point: &Path, look: impl Fn(&Tree, &Mount) -> T + Sync) -> Option<T> {
    std::thread::scope(|threads| {
        let visit = || {
            let visitor = Visitor::new().unwrap();
            mounts::namespaces().unwrap().skip(1).find_map(|namespace| {
                visitor.enter(&namespace).ok()?;
                let tree = Tree::new(visitor.mounts().unwrap());
                let mount = tree.mounts().iter().find(|mount| mount.point == point)?;
                Some(look(&tree, mount))
            })
        };
        threads.spawn(visit).join().unwrap()
    })
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_mount_elsewhere_is_reached_and_marked_and_nothing_is_kept_alive() {
    let Some(arena) = Arena::enter() else { return };
    let point = arena.path("later");
    std::fs::create_dir(&point).unwrap();
    let child = elsewhere(&format!("mount -t tmpfs none '{}'", point.display()));
    let told = MountGroup::new().ok();
    for namespace in mounts::namespaces().unwrap() {
        told.iter().for_each(|told| told.add(&namespace).unwrap());
    }
    let group = PermissionGroup::new(About::Execs).unwrap();
    let device = look_elsewhere(&point, |tree, mount| {
        assert_eq!(tree.way(mount), Way::Clear);
        let dir = mounts::open(mount).unwrap();
        assert_eq!(rustix::fs::fstat(&dir).unwrap().st_dev, mount.device);
        group.mark_filesystem(dir.as_fd()).unwrap();
        let other = Mount { id: mount.id + 1, ..mount.clone() };
        assert_eq!(mounts::open(&other).unwrap_err().raw_os_error(), Some(116), "ESTALE");
        mount.device
    });
    let device = device.expect("it is seen");
    assert!(!mounts::current().unwrap().iter().any(|mount| mount.device == device), "not from here");
    assert!(group.marked().unwrap().contains(&device));
    end(child);
    wait_until("its mark is gone with it", || !group.marked().unwrap().contains(&device));
    assert!(look_elsewhere(&point, |_, _| ()).is_none());
}

#[test]
fn a_change_is_told_here_and_elsewhere() {
    let Some(arena) = Arena::enter() else { return };
    let point = arena.path("later");
    std::fs::create_dir(&point).unwrap();
    let is_told = |source: &dyn AsFd, wanted: PollFlags| {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&source.as_fd(), wanted)], Some(&now)).unwrap() > 0
    };
    let own = Changes::own().unwrap();
    assert!(!is_told(&own, PollFlags::PRI));
    mounts::mount_tmpfs(&point, 1 << 20).unwrap();
    assert!(is_told(&own, PollFlags::PRI));
    assert!(!is_told(&own, PollFlags::PRI), "once");
    mounts::unmount_lazily(&point).unwrap();
    assert!(is_told(&own, PollFlags::PRI));

    let Ok(group) = MountGroup::new() else {
        eprintln!("not run: no news of mounts elsewhere before Linux 6.15");
        return;
    };
    let mut child = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c"])
        .arg(format!("echo ready; read go; mount -t tmpfs none '{}'; echo done; read end", point.display()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let of_child = rustix::fs::stat(format!("/proc/{}/ns/mnt", child.id())).unwrap().st_ino;
    let namespace = mounts::namespaces()
        .unwrap()
        .find(|namespace| rustix::fs::fstat(namespace.as_fd()).unwrap().st_ino == of_child);
    group.add(&namespace.expect("it is listed")).unwrap();
    assert!(!is_told(&group, PollFlags::IN));
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"go\n").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    assert!(is_told(&group, PollFlags::IN));
    group.drain().unwrap();
    assert!(!is_told(&group, PollFlags::IN));
    end(child);
}
