//! On what terms copies come back, what fixes them in place, and how they leave the vault for good.

mod arena;

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use agent::vault::{Fate, Refusal, Retention, Step, Vault, Which};
use model::act::Terms;
use model::{Clock, Time};
use parking_lot::Mutex;
use rustix::fs::IFlags;

use arena::{Arena, Image, KEEP, KINDS, Kind, digests_of, fix, fixed, found, names_in, take, wanting};

const PLAIN: Terms = Terms { beside: false, keep_privileges: false };
const BESIDE: Terms = Terms { beside: true, keep_privileges: false };

/// What it is without what gives more rights than one has.
fn harmless(mut image: Image) -> Image {
    image.mode &= !0o6000;
    image.attributes.retain(|(name, _)| name != "security.capability");
    image
}

#[test]
fn privileges_come_back_only_on_demand() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let path = arena.path("file");
        Image::rich(b"evil").create(&path);
        let before = Image::of(&path).unwrap();
        assert_ne!(harmless(before.clone()), before);
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        // A try that fails takes nothing away.
        fs::write(&path, "in the way").unwrap();
        assert!(matches!(vault.restore(id, PLAIN, &mut |_| {}), Err(Refusal::Taken { .. })));
        fs::remove_file(&path).unwrap();
        let mut was_there = false;
        let late = vault.restore(id, PLAIN, &mut |step| {
            if step == Step::RestoreIntended {
                was_there = true;
                fs::write(&path, "in the way").unwrap();
            }
        });
        assert!(was_there && matches!(late, Err(Refusal::Taken { .. })));
        fs::remove_file(&path).unwrap();
        vault.restore(id, KEEP, &mut |_| {}).unwrap();
        assert_eq!(Image::of(&path).unwrap(), before);

        let id = take(&vault, &path).unwrap();
        let returned = vault.restore(id, PLAIN, &mut |_| {}).unwrap();
        assert_eq!(returned.dropped, ["its set-user-ID bit", "its file capabilities"]);
        assert!(returned.remark().unwrap().contains("only on demand"));
        assert_eq!(Image::of(&path).unwrap(), harmless(before.clone()));
        // It is told again as often as somebody asks, also after a restart.
        drop(vault);
        let vault = arena.vault();
        let order = vault.all().into_iter().find(|kept| kept.resting.id == id).unwrap().resting.order;
        assert_eq!(vault.restored(order), [returned]);
    }
}

#[test]
fn what_another_name_needs_is_not_taken_from_it() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let (path, other) = (arena.path("file"), arena.path("other"));
    Image::rich(b"evil").create(&path);
    fs::hard_link(&path, &other).unwrap();
    let vault = arena.vault();
    let id = take(&vault, &path).unwrap();
    let before = Image::of(&other).unwrap();
    let refusal = vault.restore(id, PLAIN, &mut |_| {}).unwrap_err();
    assert!(matches!(refusal, Refusal::Shared { .. }) && refusal.to_string().contains("--keep-privileges"));
    assert_eq!(Image::of(&other).unwrap(), before);
    let both = take(&vault, &other).unwrap();
    vault.restore(id, PLAIN, &mut |_| {}).unwrap();
    // The first one has dropped them for both: nothing is left to lose.
    assert!(vault.restore(both, PLAIN, &mut |_| {}).is_ok());
    assert_eq!(Image::of(&other).unwrap(), harmless(before));
}

#[test]
fn names_that_were_copied_come_back_on_the_terms_of_each() {
    let Some(arena) = Arena::enter(Kind::Tmpfs) else { return };
    let paths = ["a", "b", "c"].map(|name| arena.path(name));
    Image::rich(b"evil").create(&paths[0]);
    paths[1..].iter().for_each(|path| fs::hard_link(&paths[0], path).unwrap());
    let before = Image::of(&paths[0]).unwrap();
    let vault = arena.vault();
    let why = wanting(b"evil");
    let ids = paths.each_ref().map(|path| vault.take(found(path), why, &mut |_| {}).unwrap());
    vault.restore(ids[0], PLAIN, &mut |_| {}).unwrap();
    vault.restore(ids[1], KEEP, &mut |_| {}).unwrap();
    vault.restore(ids[2], PLAIN, &mut |_| {}).unwrap();
    let images = paths.each_ref().map(|path| Image::of(path).unwrap());
    assert_eq!(images, [harmless(before.clone()), before.clone(), harmless(before)]);
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    assert!(inode(&paths[0]) == inode(&paths[2]) && inode(&paths[0]) != inode(&paths[1]));
}

#[test]
fn where_a_name_is_taken_a_copy_comes_back_beside_it() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        for name in ["file".to_owned(), "n".repeat(255)] {
            let path = arena.path(&name);
            fs::write(&path, "evil").unwrap();
            let vault = arena.vault();
            let id = take(&vault, &path).unwrap();
            fs::write(&path, "new").unwrap();
            let returned = vault.restore(id, BESIDE, &mut |_| {}).unwrap();
            assert!(returned.beside && returned.remark().unwrap().contains("new name"));
            assert_eq!(returned.path.parent(), path.parent());
            assert!(returned.path.to_str().unwrap().contains(&id.to_string()));
            assert_eq!(fs::read(&returned.path).unwrap(), b"evil");
            assert_eq!(fs::read(&path).unwrap(), b"new");
            // Also when its name is taken at the last moment.
            fs::remove_file(&path).unwrap();
            let id = take(&vault, &returned.path).unwrap();
            let back = vault.restore(id, BESIDE, &mut |step| {
                if step == Step::RestoreIntended && !returned.path.exists() {
                    fs::write(&returned.path, "late").unwrap();
                }
            });
            let back = back.unwrap();
            assert!(back.beside && back.path != returned.path);
            assert_eq!(fs::read(&back.path).unwrap(), b"evil");
            assert_eq!(fs::read(&returned.path).unwrap(), b"late");
            // And under its own where that is free.
            fs::remove_file(&back.path).unwrap();
            fs::remove_file(&returned.path).unwrap();
            fs::write(&path, "evil").unwrap();
            let id = take(&vault, &path).unwrap();
            assert!(!vault.restore(id, BESIDE, &mut |_| {}).unwrap().beside);
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn what_is_fixed_is_taken_and_comes_back_fixed() {
    for flags in [IFlags::IMMUTABLE, IFlags::APPEND, IFlags::IMMUTABLE | IFlags::APPEND] {
        let Some(arena) = Arena::enter(Kind::Ext4) else { return };
        let (path, link) = (arena.path("file"), arena.path("link"));
        fs::write(&path, "evil").unwrap();
        fs::hard_link(&path, &link).unwrap();
        fix(&path, flags);
        let vault = arena.vault();
        // One that is swapped stays as fixed as it was, and so does what was meant.
        let away = arena.path("away");
        let swapped = vault.take(found(&path), wanting(b"evil"), &mut |step| {
            if step == Step::Intended {
                fix(&path, IFlags::empty());
                fs::rename(&path, &away).unwrap();
                fs::write(&path, "innocent").unwrap();
            }
        });
        assert!(matches!(swapped, Err(Refusal::Swapped { .. })), "{swapped:?}");
        assert_eq!((fixed(&away), fixed(&path)), (flags, IFlags::empty()));
        fix(&away, IFlags::empty());
        fs::rename(&away, &path).unwrap();
        fix(&path, flags);

        let why = wanting(b"evil");
        let ids = [&path, &link].map(|path| vault.take(found(path), why, &mut |_| {}).unwrap());
        assert!(names_in(&arena.root()).iter().all(|name| name == ".quell-vault"));
        // The first that comes back is fixed while the other rests: it can leave all the same.
        for id in ids {
            vault.restore(id, PLAIN, &mut |_| {}).unwrap();
        }
        assert_eq!((fixed(&path), fixed(&link)), (flags, flags));
        fix(&path, IFlags::empty());
    }
}

#[test]
fn the_way_home_is_in_nobody_elses_hands() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let (outer, dir) = (arena.path("outer"), arena.path("outer/dir"));
        let path = dir.join("file");
        fs::create_dir_all(&dir).unwrap();
        fs::write(&path, "evil").unwrap();
        let vault = arena.vault();
        let id = take(&vault, &path).unwrap();
        let refused = || matches!(vault.restore(id, PLAIN, &mut |_| {}), Err(Refusal::Parent { .. }));
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        // The directory itself changes hands.
        chown(&dir, Some(1002), None).unwrap();
        assert!(refused(), "somebody else owns it now");
        chown(&dir, Some(0), None).unwrap();
        fs::remove_dir(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        // It is another one: others must not be able to lead there.
        chown(&outer, Some(1002), None).unwrap();
        assert!(refused(), "somebody else can exchange it");
        chown(&outer, Some(0), None).unwrap();
        set(&outer, 0o777);
        assert!(refused(), "everybody can exchange it");
        set(&outer, 0o755);
        chown(&dir, None, Some(1003)).unwrap();
        set(&dir, 0o775);
        assert!(refused(), "a group that could not write to it can now");
        set(&dir, 0o755);
        vault.restore(id, PLAIN, &mut |_| {}).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"evil");
    }
}

#[test]
fn copies_in_other_peoples_directories_are_taken() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let (sticky, closed) = (arena.path("sticky"), arena.path("closed"));
        for (dir, mode, owner) in [(&sticky, 0o1777, 0), (&closed, 0o500, 1001)] {
            fs::create_dir(dir).unwrap();
            fs::write(dir.join("file"), "evil").unwrap();
            chown(dir.join("file"), Some(1002), Some(1002)).unwrap();
            chown(dir, Some(owner), None).unwrap();
            fs::set_permissions(dir, Permissions::from_mode(mode)).unwrap();
        }
        let vault = arena.vault();
        for dir in [&sticky, &closed] {
            let path = dir.join("file");
            let before = Image::of(&path).unwrap();
            let id = take(&vault, &path).unwrap();
            assert!(names_in(dir).is_empty());
            vault.restore(id, PLAIN, &mut |_| {}).unwrap();
            assert_eq!(Image::of(&path).unwrap(), before);
        }
    }
}

#[test]
fn what_is_removed_is_remembered_and_told() {
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let paths = ["a", "b"].map(|name| arena.path(name));
        fs::write(&paths[0], "evil").unwrap();
        fs::hard_link(&paths[0], &paths[1]).unwrap();
        let vault = arena.vault();
        let why = wanting(b"evil");
        let ids = paths.each_ref().map(|path| vault.take(found(path), why, &mut |_| {}).unwrap());
        let rests_at = vault.resting(ids[0]).unwrap().rests_at;
        vault.remove(ids[0], "no longer needed", &mut |_| {}).unwrap();
        assert!(!rests_at.exists());
        drop(vault);
        let vault = arena.vault();
        let told = vault.restore(ids[0], PLAIN, &mut |_| {}).unwrap_err().to_string();
        assert!(told.contains("no longer needed") && told.contains("2027-01-15"), "{told}");
        assert!(matches!(vault.remove(ids[0], "again", &mut |_| {}), Err(Refusal::Removed { .. })));
        assert_eq!(vault.removed(why.order).len(), 1);
        // Its fellow is whole.
        vault.restore(ids[1], PLAIN, &mut |_| {}).unwrap();
        assert_eq!(fs::read(&paths[1]).unwrap(), b"evil");
        assert!(names_in(&arena.data_dir().join("vault")).is_empty());
    }
}

#[test]
fn copies_are_chosen_by_file_and_by_order() {
    let Some(arena) = Arena::enter(Kind::Ext4) else { return };
    let paths = ["a", "b", "c"].map(|name| arena.path(name));
    for (path, content) in paths.iter().zip(["evil", "evil", "other"]) {
        fs::write(path, content).unwrap();
    }
    let vault = arena.vault();
    let orders = [wanting(b"evil"), wanting(b"evil"), wanting(b"other")];
    for (path, why) in paths.iter().zip(orders) {
        vault.take(found(path), why, &mut |_| {}).unwrap();
    }
    let count = |which| vault.chosen(which).len();
    assert_eq!(count(Which::All), 3);
    assert_eq!(count(Which::Order(orders[0].order)), 1);
    assert_eq!(count(Which::File(model::FileId::Sha1(digests_of(b"evil").sha1))), 2);
    assert_eq!(count(Which::File(model::FileId::Sha256(digests_of(b"other").sha256))), 1);
}

/// A clock that is set.
struct Set(Mutex<Time>);

impl Clock for Set {
    fn now(&self) -> Time {
        *self.0.lock()
    }
}

#[test]
fn nothing_is_removed_unless_it_was_told_before() {
    const DAY: Duration = Duration::from_secs(86_400);
    for kind in KINDS {
        let Some(arena) = Arena::enter(kind) else { return };
        let begin = Time::from_seconds(1_800_000_000);
        let clock = Arc::new(Set(Mutex::new(begin)));
        let vault = Vault::open(&arena.data_dir(), clock.clone()).unwrap();
        let path = arena.path("file");
        fs::write(&path, "evil").unwrap();
        let id = take(&vault, &path).unwrap();
        let retention = Retention { max_age: Some(DAY * 30), max_size: None, notice: DAY };
        let at = |days: u32| {
            *clock.0.lock() = begin.after(DAY * days);
            vault.retain(&retention)
        };
        let planned = || match &vault.all()[0].fate {
            Fate::Rests(end) => end.clone(),
            other => panic!("{other:?}"),
        };
        *clock.0.lock() = begin.after(DAY * 5000);
        assert_eq!(vault.retain(&Retention::default()), 0, "without bounds all stays");
        assert_eq!((at(30), planned()), (0, None));
        // A clock that jumps removes nothing by that alone.
        assert_eq!(at(400), 0);
        assert_eq!(planned().unwrap().at, begin.after(DAY * 401));
        assert_eq!(vault.retain(&Retention::default()), 0);
        assert_eq!(planned(), None, "it was called off");
        assert_eq!((at(31), at(31)), (0, 0));
        assert!(vault.list()[0].rests_at.exists());
        assert_eq!(at(32), 1);
        assert!(vault.list().is_empty());
        let told = vault.restore(id, PLAIN, &mut |_| {}).unwrap_err().to_string();
        assert!(told.contains("longer than 30 days"), "{told}");
    }
}
