//! Mounting and finding what is mounted.

use crate::arena::Arena;
use sys::mounts;

#[test]
fn a_tmpfs_is_found_limited_and_gone() {
    let Some(arena) = Arena::enter() else { return };
    let point = arena.path("a\tstrange\nname #1");
    std::fs::create_dir(&point).unwrap();
    mounts::mount_tmpfs(&point, 1 << 20).unwrap();
    let mount = mounts::containing(&point).unwrap();
    assert_eq!((mount.point.as_path(), mount.root.as_os_str()), (point.as_path(), "/".as_ref()));
    assert!(mounts::is_volatile(&mount) && mounts::is_local(&mount) && !mount.read_only);
    let error = std::fs::write(point.join("big"), vec![0; 2 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    mounts::unmount_lazily(&point).unwrap();
    assert_ne!(mounts::containing(&point).unwrap().id, mount.id);
    assert!(mounts::unmount_lazily(&point).is_err());
}

#[test]
fn this_process_may_guard_where_it_is_root() {
    let is_root = rustix::process::geteuid().is_root();
    if let Err(reason) = sys::process::may_guard() {
        assert!(!is_root || reason.contains("CAP_") || reason.contains("namespace"), "{reason}");
    }
}
