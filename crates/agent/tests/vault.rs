//! The vault on real filesystems: what goes in comes out, and nothing else moves.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test vault
//! ```

mod arena;

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::sync::Arc;

use agent::vault::{Refusal, Step, Vault};
use model::VaultId;
use rustix::fs::IFlags;

use arena::{
    Arena, Image, KEEP, KINDS, Kind, Standing, fix, found, image_of, names_in, odd_name, take, wanting,
};

#[test]
fn everything_comes_back_as_it_was() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path(odd_name());
        Image::rich(b"#!/bin/sh\nevil\n").create(&path);
        let before = Image::of(&path).unwrap();
        let inode = fs::metadata(&path).unwrap().ino();
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        assert!(!path.exists());
        let resting = &vault.list()[0];
        assert_eq!((resting.id, &resting.path, resting.renamed), (id, &path, kind == Kind::Ext4));
        assert_eq!(image_of(resting), before);
        assert_eq!(fs::metadata(resting.rests_at.parent().unwrap()).unwrap().mode() & 0o777, 0o700);
        drop(vault);

        let vault = arena.vault();
        assert_eq!(vault.list()[0].id, id, "it is known after a restart");
        // Somebody looks at it, which leaves a trace in the time of access.
        fs::read(&vault.list()[0].rests_at).unwrap();
        assert_eq!(vault.restore(id, KEEP, &mut |_| {}).unwrap().path, path);
        assert!(!vault.all()[0].resting.rests_at.exists());
        assert_eq!(Image::of(&path).unwrap(), before);
        assert_eq!(fs::metadata(&path).unwrap().ino() == inode, kind == Kind::Ext4);
        assert!(vault.list().is_empty());
        assert!(matches!(vault.restore(id, KEEP, &mut |_| {}), Err(Refusal::NotResting { .. })));
    }
}

#[test]
fn names_of_one_inode_rest_and_come_back_as_links() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let paths = ["a", "b", "c"].map(|name| arena.path(name));
        Image::rich(b"linked").create(&paths[0]);
        fs::hard_link(&paths[0], &paths[1]).unwrap();
        fs::hard_link(&paths[0], &paths[2]).unwrap();
        let before = Image::of(&paths[0]).unwrap();
        let vault = arena.vault();
        let why = wanting(b"linked");
        let ids: Vec<VaultId> =
            paths.iter().map(|path| vault.take(found(path), why, &mut |_| {}).unwrap()).collect();
        let resting = vault.list();
        assert_eq!(resting.iter().filter(|resting| resting.link_of.is_some()).count(), 2);
        let inodes = |files: Vec<&std::path::PathBuf>| -> std::collections::BTreeSet<u64> {
            files.iter().map(|file| fs::metadata(file).unwrap().ino()).collect()
        };
        assert_eq!(inodes(resting.iter().map(|resting| &resting.rests_at).collect()).len(), 1);
        for id in &ids[1..] {
            vault.restore(*id, KEEP, &mut |_| {}).unwrap();
        }
        assert_eq!(inodes(vec![&paths[1], &paths[2]]).len(), 1);
        // A fellow that is no longer what it was is left alone; the bytes come back all the same.
        fs::set_permissions(&paths[1], Permissions::from_mode(0o600)).unwrap();
        if kind == Kind::Tmpfs {
            vault.restore(ids[0], KEEP, &mut |_| {}).unwrap();
            assert_eq!(Image::of(&paths[0]).unwrap(), before);
            assert_eq!(inodes(paths.iter().collect()).len(), 2);
        }
    }
}

#[test]
fn nothing_is_replaced_by_a_restore() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path("file");
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        fs::write(&path, "new").unwrap();
        let refusal = vault.restore(id, KEEP, &mut |_| {}).unwrap_err();
        assert!(matches!(refusal, Refusal::Taken { .. }), "{refusal}");
        assert!(refusal.to_string().contains(path.to_str().unwrap()));
        fs::remove_file(&path).unwrap();
        // Also when it comes at the last moment.
        let late = vault.restore(id, KEEP, &mut |step| {
            if step == Step::RestoreIntended {
                fs::write(&path, "late").unwrap();
            }
        });
        assert!(matches!(late, Err(Refusal::Taken { .. })), "{late:?}");
        assert_eq!(fs::read(&path).unwrap(), b"late");
        assert_eq!(vault.list().len(), 1);
        fs::remove_file(&path).unwrap();
        vault.restore(id, KEEP, &mut |_| {}).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"evil");
        assert_eq!(names_in(&arena.root()).iter().filter(|name| *name != ".quell-vault").count(), 1);
    }
}

#[test]
fn a_name_that_was_swapped_is_put_back() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let (path, away) = (arena.path("file"), arena.path("away"));
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let swap_before = if kind == Kind::Tmpfs { Step::Copied } else { Step::Intended };
        let refusal = vault.take(found(&path), wanting(b"evil"), &mut |step| {
            if step == swap_before {
                fs::rename(&path, &away).unwrap();
                fs::write(&path, "innocent").unwrap();
            }
        });
        assert!(matches!(refusal, Err(Refusal::Swapped { returned: None, .. })), "{refusal:?}");
        assert_eq!(fs::read(&path).unwrap(), b"innocent");
        assert_eq!(fs::read(&away).unwrap(), b"evil");
        assert!(vault.list().is_empty());

        // And taken once more while it was away: both files are kept.
        let refusal = vault.take(found(&away), wanting(b"evil"), &mut |step| {
            if step == swap_before {
                fs::rename(&path, &away).unwrap();
            }
            if step == Step::Moved {
                fs::write(&away, "second").unwrap();
            }
        });
        let Err(Refusal::Swapped { returned: Some(at), .. }) = refusal else { panic!("{refusal:?}") };
        assert_eq!(fs::read(&away).unwrap(), b"second");
        assert_eq!(fs::read(&at).unwrap(), b"innocent");
        drop(vault);
        assert!(arena.vault().list().is_empty());
        assert!(names_in(&arena.data_dir().join("vault")).is_empty());
    }
}

#[test]
fn what_is_being_written_or_no_longer_the_file_stays() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path("file");
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let writer = OpenOptions::new().append(true).open(&path).unwrap();
        assert!(matches!(take(&vault, &path), Err(Refusal::Busy { .. })));
        drop(writer);
        let other = vault.take(found(&path), wanting(b"other"), &mut |_| {});
        assert!(matches!(other, Err(Refusal::Gone { .. })), "{other:?}");
        let meant = found(&path);
        fs::rename(&path, arena.path("away")).unwrap();
        assert!(matches!(
            vault.take(meant.clone(), wanting(b"evil"), &mut |_| {}),
            Err(Refusal::Gone { .. })
        ));
        fs::write(&path, "evil").unwrap();
        let other_inode = vault.take(meant.clone(), wanting(b"evil"), &mut |_| {});
        assert!(matches!(other_inode, Err(Refusal::Gone { .. })), "{other_inode:?}");
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(arena.path("away"), &path).unwrap();
        assert!(matches!(vault.take(meant, wanting(b"evil"), &mut |_| {}), Err(Refusal::Gone { .. })));
        assert_eq!(fs::read(arena.path("away")).unwrap(), b"evil");
        assert!(vault.list().is_empty());
    }
}

#[test]
fn a_writer_that_comes_meanwhile_waits() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path("file");
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let mut writer = None;
        vault
            .take(found(&path), wanting(b"evil"), &mut |step| {
                if step == Step::Intended {
                    let path = path.clone();
                    let (opening, is_opening) = std::sync::mpsc::channel();
                    writer = Some(std::thread::spawn(move || {
                        opening.send(()).unwrap();
                        drop(OpenOptions::new().append(true).open(&path));
                    }));
                    is_opening.recv().unwrap();
                }
                if step == Step::Rests {
                    assert!(matches!(vault.list().len(), 1));
                }
            })
            .unwrap();
        writer.unwrap().join().unwrap();
        assert_eq!(image_of(&vault.list()[0]).bytes, b"evil");
    }
}

#[test]
fn a_parent_that_was_made_anew_must_be_as_safe() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let (dir, path) = (arena.path("dir"), arena.path("dir/file"));
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(1001), None).unwrap();
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        let refused = || matches!(vault.restore(id, KEEP, &mut |_| {}), Err(Refusal::Parent { .. }));
        fs::remove_dir(&dir).unwrap();
        assert!(refused(), "it is gone");
        fs::create_dir(arena.path("real")).unwrap();
        std::os::unix::fs::symlink("real", &dir).unwrap();
        assert!(refused(), "a link leads to it");
        fs::remove_file(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        chown(&dir, Some(1002), None).unwrap();
        assert!(refused(), "it is somebody else's");
        chown(&dir, Some(1001), None).unwrap();
        fs::set_permissions(&dir, Permissions::from_mode(0o777)).unwrap();
        assert!(refused(), "it is everybody's");
        fs::set_permissions(&dir, Permissions::from_mode(0o1777)).unwrap();
        vault.restore(id, KEEP, &mut |_| {}).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"evil");
    }
}

#[test]
fn what_was_changed_in_the_vault_is_not_brought_back() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path("file");
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        let mut file = OpenOptions::new().append(true).open(&vault.list()[0].rests_at).unwrap();
        file.write_all(b"!").unwrap();
        assert!(matches!(vault.restore(id, KEEP, &mut |_| {}), Err(Refusal::Changed { .. })));
        assert!(!path.exists());
        assert_eq!(vault.list().len(), 1);
    }
}

#[test]
fn filesystems_that_can_not_take_it_say_so_and_keep_it() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let path = arena.path("file");
    fs::write(&path, "evil").unwrap();
    let vault = arena.vault();
    // Of a directory the flag protects other names too.
    fix(&arena.root(), IFlags::IMMUTABLE);
    let refusal = take(&vault, &path).unwrap_err();
    assert!(matches!(&refusal, Refusal::Immutable { path } if *path == arena.root()), "{refusal}");
    fix(&arena.root(), IFlags::empty());
    let remount = |how| rustix::mount::mount_remount(arena.root(), how, c"").unwrap();
    remount(rustix::mount::MountFlags::RDONLY);
    let refusal = take(&vault, &path).unwrap_err();
    assert!(refusal.to_string().contains("Read-only"), "{refusal}");
    remount(rustix::mount::MountFlags::empty());
    assert_eq!(fs::read(&path).unwrap(), b"evil");
    take(&vault, &path).unwrap();
}

#[test]
fn a_data_directory_without_room_costs_nothing() {
    let Some(mut arena) = Arena::enter(Kind::Tmpfs) else { return };
    let small_disk = arena.data_dir().with_file_name("small");
    fs::create_dir(&small_disk).unwrap();
    arena.mount(&["-t", "tmpfs", "-o", "mode=0700,size=256k", "tmpfs"], &small_disk);
    let (large, small) = (arena.path("large"), arena.path("small"));
    fs::write(&large, vec![7; 1 << 20]).unwrap();
    fs::write(&small, "small").unwrap();
    let vault = Vault::open(&small_disk, Arc::new(Standing)).unwrap();
    let refusal = take(&vault, &large).unwrap_err();
    assert!(refusal.to_string().contains("No space"), "{refusal}");
    assert_eq!(fs::metadata(&large).unwrap().len(), 1 << 20);
    assert!(vault.list().is_empty());
    take(&vault, &small).unwrap();
}

#[test]
fn where_others_could_move_the_vault_copies_are_copied() {
    let Some(mut arena) = Arena::enter(Kind::Ext4) else { return };
    let vault = arena.vault();
    // The root of the mount belongs to somebody else.
    let theirs = arena.path("theirs");
    fs::create_dir(&theirs).unwrap();
    let point = arena.path("point");
    fs::create_dir(&point).unwrap();
    arena.mount(&["--bind", theirs.to_str().unwrap()], &point);
    chown(&theirs, Some(1001), None).unwrap();
    Image::rich(b"evil").create(&point.join("file"));
    let before = Image::of(&point.join("file")).unwrap();
    let id = take(&vault, &point.join("file")).unwrap();
    assert!(!vault.list()[0].renamed);
    assert!(names_in(&theirs).is_empty());
    vault.restore(id, KEEP, &mut |_| {}).unwrap();
    assert_eq!(Image::of(&point.join("file")).unwrap(), before);
    // A file that is mounted by itself has no name that could be moved.
    let (file, over) = (arena.path("file"), arena.path("over"));
    fs::write(&file, "mounted").unwrap();
    fs::write(&over, "").unwrap();
    arena.mount(&["--bind", file.to_str().unwrap()], &over);
    assert!(matches!(take(&vault, &over), Err(Refusal::Gone { .. })));
    take(&vault, &file).unwrap();
}
