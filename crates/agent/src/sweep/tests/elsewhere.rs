//! What only another mount namespace has mounted.

#[expect(dead_code, reason = "the tests of acts use all of it")]
#[path = "../../../tests/container/mod.rs"]
mod container;

use super::*;
use crate::elsewhere;
use container::Container;

impl Stage {
    /// What is mounted elsewhere at these points is looked after from now on; where it lies here.
    fn mounted_elsewhere(&self, points: &[&Path]) -> Vec<PathBuf> {
        let all = elsewhere::look();
        let find = |point: &&Path| {
            let there = all.iter().find(|there| there.inside == **point);
            Place::elsewhere(there.unwrap_or_else(|| panic!("{point:?}: {all:#?}")).clone(), false)
        };
        let places: Vec<Place> = points.iter().map(find).collect();
        self.places.set_for_test(places.clone());
        self.inventory.set_seats(self.places.seats());
        for place in &places {
            self.marker.iter().for_each(|marker| marker.mark(place));
            self.errands.below(place.mount.point.clone());
        }
        places.into_iter().map(|place| place.mount.point).collect()
    }
}

#[test]
fn what_only_a_container_has_mounted_is_swept_and_watched_and_is_gone_with_it() {
    if !is_private() {
        return;
    }
    let (disk, data) = (Disk::new(), tempfile::tempdir().unwrap());
    let stage = Stage::new(data.path(), &[], true, 0);
    stage.wait_swept();
    let dir = disk.dir.path().canonicalize().unwrap();
    let [memory, volume] = ["memory", "volume"].map(|name| {
        fs::create_dir(dir.join(name)).unwrap();
        dir.join(name)
    });
    let mut container = Container::start();
    container.does(&format!("mount -t tmpfs none '{}'", memory.display()));
    container.does(&format!("mount -o loop '{}' '{}'", disk.image().display(), volume.display()));
    let inside = [&memory, &volume].map(|point| container.inside(point));
    fill(&inside[0].join("a"), 0..30);
    fill(&inside[1].join("b"), 30..60);
    // Nothing of this is a copy, and none of it is followed or waited for.
    std::os::unix::fs::symlink("/usr/bin", inside[0].join("out")).unwrap();
    fs::create_dir(inside[0].join("mute")).unwrap();
    let has_mute = container.mount_mute(&memory.join("mute"));
    fs::write(inside[0].join("a/covered"), script(99)).unwrap();
    container.does(&format!("mount --bind /proc/self/status '{}/a/covered'", memory.display()));

    let here = stage.mounted_elsewhere(&[&memory, &volume]);
    assert!(here.iter().all(|point| elsewhere::is_elsewhere(point)), "{here:?}");
    stage.wait_for("all is known", || stage.inventory.len() == 60);
    assert_eq!(stage.copies(&script(7)), [at(&here[0].join("a"), 7)]);
    assert_eq!(stage.copies(&script(37)), [at(&here[1].join("b"), 37)]);
    assert_eq!(stage.copies(&script(99)), [] as [PathBuf; 0], "what is mounted over it is not looked at");

    // What comes later, moves and goes.
    fs::write(inside[0].join("later"), script(100)).unwrap();
    fs::write(inside[1].join("b/later"), script(101)).unwrap();
    stage.wait_for("what came is known", || {
        stage.copies(&script(100)) == [here[0].join("later")]
            && stage.copies(&script(101)) == [here[1].join("b/later")]
    });
    let read = stage.read();
    fs::rename(inside[1].join("b"), inside[1].join("c")).unwrap();
    stage.wait_for("the directory is known by its new name", || {
        stage.copies(&script(37)) == [at(&here[1].join("c"), 37)]
    });
    assert_eq!(stage.read(), read, "nothing was read for that");
    fs::remove_file(inside[0].join("later")).unwrap();
    stage.wait_for("what went is gone", || stage.copies(&script(100)).is_empty());

    // Nobody holds it open: the container can unmount it.
    if has_mute {
        container.does(&format!("umount -l '{}/mute'", memory.display()));
    }
    container.does(&format!("umount '{}/a/covered'", memory.display()));
    stage.wait_for("it can be unmounted", || container.tell(&format!("umount '{}'", memory.display())) == 0);
    stage.told();
    stage.mounted_elsewhere(&[&volume]);
    stage.wait_for("it is told as gone", || {
        let gone = |(path, seen): &(PathBuf, Seen)| *seen == Seen::Gone && path.starts_with(&here[0]);
        stage.told().iter().any(gone)
    });
    assert_eq!(stage.copies(&script(7)), [] as [PathBuf; 0]);

    // The disk is known again where it is mounted then.
    drop(container);
    let point = disk.mount("a");
    let read = stage.read();
    stage.mounted(&[&point]);
    assert_eq!(stage.copies(&script(37)), [at(&point.join("c"), 37)]);
    assert_eq!(stage.read(), read);
    disk.unmount(&point);
}
