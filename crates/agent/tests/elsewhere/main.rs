//! Acts on what only other mount namespaces have mounted: containers' own filesystems. Each test makes such a namespace
//! and guards nothing else.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test elsewhere
//! ```

#[path = "../arena/mod.rs"]
mod arena;
#[path = "../container/mod.rs"]
mod container;
mod hostile;
mod scene;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use agent::acts::{Moment, quarantine, restore};
use agent::filesystems::{Follower, Told};
use agent::vault::{Fate, Step};
use model::FileId;
use model::act::{Act, CopyState, Do, Outcome, Terms};

use arena::{Image, act, digests_of};
use container::Container;
use scene::{Scene, evil};

/// A cgroup, until the end of the test.
struct Cgroup(PathBuf);

impl Cgroup {
    fn make(name: &str) -> Option<Self> {
        // Of the second version, or one of the first that knows no limits.
        for root in ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/freezer"] {
            let root = Path::new(root);
            if root.join("cgroup.procs").exists() && fs::create_dir(root.join(name)).is_ok() {
                return Some(Self(root.join(name)));
            }
        }
        println!("not run: no cgroup can be made here");
        None
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Its processes may still be ending.
        let is_gone = || fs::remove_dir(&self.0).is_ok();
        let _ = (0..200).any(|_| {
            is_gone() || {
                std::thread::sleep(Duration::from_millis(20));
                false
            }
        });
    }
}

/// For every copy of the program.
fn order() -> Act {
    act(Do::Quarantine(FileId::Sha256(digests_of(evil()).sha256)))
}

fn quarantined(scene: &Scene, act: &Act, known: &[&Path]) -> Outcome {
    let Do::Quarantine(file) = act.what else { panic!("{act:?}") };
    let known = known.iter().map(|path| path.to_path_buf()).collect();
    quarantine(&scene.grounds(), act, file, known, &mut |_| {})
}

fn restored(scene: &Scene, of: &Act, terms: Terms) -> Outcome {
    restore(&scene.grounds(), &act(Do::Restore(of.order, terms)), of.order, terms, &mut |_| {})
}

fn succeeded(outcome: &Outcome) -> Vec<&Path> {
    assert!(outcome.copies.iter().all(|copy| copy.state == CopyState::Succeeded), "{outcome:?}");
    assert_eq!(outcome.failure, None);
    let mut paths: Vec<_> = outcome.copies.iter().map(|copy| copy.path.as_path()).collect();
    paths.sort();
    paths
}

/// Why the only copy was left where it is.
fn reason(outcome: &Outcome) -> &str {
    assert_eq!(outcome.copies.len(), 1, "{outcome:?}");
    assert_eq!(outcome.copies[0].state, CopyState::Failed);
    outcome.copies[0].reason.as_deref().unwrap()
}

#[test]
fn what_is_mounted_elsewhere_is_told_as_it_comes_and_goes() {
    let Some(scene) = Scene::open() else { return };
    let (sender, told) = crossbeam_channel::unbounded();
    let hear = move |news: Told| drop(sender.send(news));
    let _follower = Follower::start(None, true, |_| false, hear).unwrap();
    let here = scene.directory("here");
    let memory = scene.directory("memory");
    let mut container = Container::start();
    let wait = |what: &str, is_so: &dyn Fn(&Told) -> bool| loop {
        let news = told.recv_timeout(Duration::from_secs(30));
        if is_so(&news.unwrap_or_else(|_| panic!("{what}: never told"))) {
            break;
        }
    };
    let is_told = |told: &Told| told.elsewhere.iter().any(|there| there.inside == memory);
    scene.mount_memory(&mut container, &memory);
    wait("it is mounted there", &is_told);
    // What is mounted here too is known here.
    container.does(&format!("mount --bind / '{}'", here.display()));
    wait("it is still there", &|told| {
        assert!(told.elsewhere.iter().all(|there| there.inside != here), "{told:?}");
        is_told(told)
    });
    container.does(&format!("umount -l '{}'", memory.display()));
    wait("it is gone", &|told| !is_told(told));
    scene.mount_memory(&mut container, &memory);
    wait("it is there again", &is_told);
    drop(container);
    wait("its namespace is gone", &|told| !is_told(told));
}

#[test]
fn a_container_is_called_after_its_cgroup_and_what_it_makes_inside_is_told_from_it() {
    let Some(mut scene) = Scene::open() else { return };
    let id = digests_of(scene.evil().as_os_str().as_encoded_bytes()).sha256.to_string();
    let Some(cgroup) = Cgroup::make(&format!("docker-{id}.scope")) else { return };
    let (memory, nested) = (scene.directory("memory"), scene.directory("nested"));
    let mut container = Container::start();
    container.does(&format!("echo $$ > '{}'", cgroup.0.join("cgroup.procs").display()));
    scene.mount_memory(&mut container, &memory);
    container.does(&format!(
        "unshare -m sh -c 'mount -t tmpfs none \"{0}\" && touch \"{0}\"/ready && exec sleep 300' >/dev/null & \
         until [ -e /proc/$!/root'{0}'/ready ]; do sleep 0.02; done",
        nested.display()
    ));
    scene.look(&[&memory, &nested]);
    container.does("kill $!");
    let name = format!("/container:docker-{}", &id[..12]);
    // What both have is told of the one that the kernel lists first, which need not be the elder.
    let (outer, inner) = (scene.here(&memory), scene.here(&nested));
    let below = outer.to_str().unwrap().strip_prefix(&name).unwrap_or_else(|| panic!("{outer:?}"));
    assert!(below.starts_with(['/', '+']) && below.ends_with(memory.to_str().unwrap()), "{outer:?}");
    assert!(inner.to_str().unwrap().starts_with(&(name + "+")) && inner.ends_with("nested"), "{inner:?}");
}

#[test]
fn copies_go_from_a_containers_own_filesystems_and_come_back() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let (memory, disk) = (scene.directory("memory"), scene.directory("disk"));
    scene.mount_memory(&mut container, &memory);
    scene.mount_disk(&mut container, &disk);
    scene.look(&[&memory, &disk]);
    for place in [&memory, &disk] {
        container.does(&format!(
            "mkdir -p '{0}/a b' && cp '{1}' '{0}/a b/evil'",
            place.display(),
            scene.evil().display()
        ));
        container.does(&format!("ln '{0}/a b/evil' '{0}/link'", place.display()));
        container.does(&format!("chown 1001:1002 '{0}/link' && chmod 0751 '{0}/link'", place.display()));
    }
    let [memory, disk] = [&memory, &disk].map(|place| (container.inside(place), scene.here(place)));
    // A process that runs it there.
    container.does(&format!("'{}/link' 300 >/dev/null & sleep 0.2", scene.directory_of("memory").display()));
    let before = [&memory, &disk].map(|(inside, _)| Image::of(&inside.join("link")).unwrap());

    let known = [memory.1.join("a b/evil"), disk.1.join("a b/evil"), memory.1.join("no such")];
    let of = order();
    let outcome = quarantined(&scene, &of, &known.each_ref().map(PathBuf::as_path));
    let mut expected = [&memory, &disk].map(|(_, here)| [here.join("a b/evil"), here.join("link")]).concat();
    expected.sort();
    assert_eq!(succeeded(&outcome), expected, "nobody told of the other names");
    assert_eq!(outcome.stopped, 1, "{outcome:?}");
    for (inside, _) in [&memory, &disk] {
        assert!(!inside.join("a b/evil").exists() && !inside.join("link").exists());
        assert!(!inside.join(".quell-vault").exists(), "root in a container could enter it");
    }
    let resting = scene.vault.list();
    assert!(resting.iter().all(|copy| copy.rests_at.starts_with(scene.arena.data_dir().join("vault"))));

    let outcome = restored(&scene, &of, Terms::default());
    assert_eq!(succeeded(&outcome), expected);
    for ((inside, _), before) in [&memory, &disk].into_iter().zip(before) {
        assert_eq!(Image::of(&inside.join("link")).unwrap(), before);
        assert_eq!(Image::of(&inside.join("a b/evil")).unwrap(), before);
    }
}

#[test]
fn a_filesystem_is_found_again_wherever_it_is_mounted_and_one_that_is_gone_is_missed() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let (memory, disk) = (scene.directory("memory"), scene.directory("disk"));
    scene.mount_memory(&mut container, &memory);
    let image = scene.mount_disk(&mut container, &disk);
    scene.look(&[&memory, &disk]);
    let mut orders = Vec::new();
    for place in [&memory, &disk] {
        container.does(&format!(
            "mkdir '{0}/in' && cp '{1}' '{0}/in/evil'",
            place.display(),
            scene.evil().display()
        ));
        let of = order();
        assert_eq!(succeeded(&quarantined(&scene, &of, &[&scene.here(place).join("in/evil")])).len(), 1);
        orders.push(of);
    }
    drop(container);

    // A vault that is opened anew knows all of it from its journal.
    scene.open_vault_again();
    for of in &orders {
        let outcome = restored(&scene, of, Terms::default());
        let reason = reason(&outcome);
        assert!(
            reason.contains("is not mounted any more") && reason.contains("stays in the vault"),
            "{reason}"
        );
        assert_ne!(outcome.failure.unwrap().code, 0);
    }
    assert_eq!(scene.vault.list().len(), 2);

    // In another container, at another point.
    let other = scene.directory("other");
    let mut container = Container::start();
    container.does(&format!("mount -o loop '{}' '{}'", image.display(), other.display()));
    scene.look(&[&other]);
    let outcome = restored(&scene, &orders[1], Terms::default());
    let (inside, here) = (container.inside(&other), scene.here(&other));
    assert_eq!(succeeded(&outcome), [here.join("in/evil")]);
    assert_eq!(fs::read(inside.join("in/evil")).unwrap(), evil());

    // And in this namespace.
    let of = order();
    assert_eq!(succeeded(&quarantined(&scene, &of, &[&here.join("in/evil")])).len(), 1);
    drop(container);
    let mounted = scene.directory("here");
    scene.arena.mount(&["-o", "loop", image.to_str().unwrap()], &mounted);
    let outcome = restored(&scene, &of, Terms::default());
    assert_eq!(succeeded(&outcome), [mounted.join("in/evil")]);
    assert_eq!(fs::read(mounted.join("in/evil")).unwrap(), evil());
    assert!(reason(&restored(&scene, &orders[0], Terms::default())).contains("is not mounted any more"));
}

/// What can't be reached may lie in place: it must not be told as taken.
#[test]
fn a_copy_whose_taking_was_cut_short_is_not_taken_while_nobody_can_look_where_it_lay() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let way = scene.directory("way");
    let memory = scene.directory("way/memory");
    scene.mount_memory(&mut container, &memory);
    container.does(&format!("cp '{}' '{}/evil'", scene.evil().display(), memory.display()));
    scene.look(&[&memory]);
    let copy = scene.here(&memory).join("evil");
    let of = order();
    let Do::Quarantine(file) = of.what else { panic!("{of:?}") };
    let cut = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        quarantine(&scene.grounds(), &of, file, vec![copy], &mut |step| {
            assert!(!matches!(step, Moment::Vault(Step::Copied)), "the agent ends here");
        })
    }));
    assert!(cut.is_err());

    container.does(&format!("mount -t tmpfs none '{}'", way.display()));
    agent::elsewhere::look();
    scene.open_vault_again();
    assert!(scene.vault.list().is_empty(), "it lies in place, where nobody can look");
    assert!(scene.vault.all().iter().any(|kept| kept.fate == Fate::Between), "{:?}", scene.vault.all());

    container.does(&format!("umount '{}'", way.display()));
    scene.open_vault_again();
    assert!(scene.vault.all().is_empty(), "{:?}", scene.vault.all());
    assert_eq!(fs::read(container.inside(&memory).join("evil")).unwrap(), evil());
}

#[test]
fn layers_of_a_containers_own_overlay_are_told_apart() {
    let Some(mut scene) = Scene::open() else { return };
    let mut container = Container::start();
    let (memory, merged) = (scene.directory("memory"), scene.directory("merged"));
    scene.mount_memory(&mut container, &memory);
    let (from, at) = (memory.display().to_string(), merged.display().to_string());
    container.does(&format!("mkdir -p '{from}/image/bin' '{from}/up/bin' '{from}/work' '{from}/beside'"));
    for directory in ["image/bin", "beside"] {
        container.does(&format!("cp '{}' '{from}/{directory}/evil'", scene.evil().display()));
    }
    container.does(&format!(
        "mount -t overlay -o 'lowerdir={from}/image,upperdir={from}/up,workdir={from}/work' none '{at}'"
    ));
    container.does(&format!("cp '{at}/bin/evil' '{at}/bin/written'"));
    scene.look(&[&memory]);
    let here = scene.here(&memory);
    let known = ["image/bin/evil", "up/bin/written", "beside/evil"].map(|name| here.join(name));
    let outcome = quarantined(&scene, &order(), &known.each_ref().map(PathBuf::as_path));
    let result = |path: &Path| outcome.copies.iter().find(|copy| copy.path == path).unwrap();
    let (lower, upper) = (result(&known[0]), result(&known[1]));
    assert_eq!((lower.state, upper.state), (CopyState::Failed, CopyState::Failed));
    let (lower, upper) = (lower.reason.as_deref().unwrap(), upper.reason.as_deref().unwrap());
    let layer = |name: &str| here.join(name).display().to_string();
    assert!(lower.contains(&format!("an image's layer {}, of the overlay", layer("image"))), "{lower}");
    assert!(upper.contains(&format!("writable layer {}, of the overlay", layer("up"))), "{upper}");
    assert!(upper.contains(&at), "{upper}");
    assert_eq!(result(&known[2]).state, CopyState::Succeeded, "it lies in no layer");
    let inside = container.inside(&memory);
    assert!(inside.join("image/bin/evil").exists() && !inside.join("beside/evil").exists());
}

#[test]
fn where_root_has_no_id_a_copy_stays_and_that_is_said() {
    let Some(mut scene) = Scene::open() else { return };
    scene.open_to_all();
    let mut container = Container::of_user();
    let memory = scene.directory("memory");
    let point = memory.display().to_string();
    if container.tell(&format!("mount -t tmpfs none '{point}'")) != 0 {
        eprintln!("not run: users may not mount in namespaces of their own here");
        return;
    }
    container.does(&format!("cp '{}' '{point}/evil'", scene.evil().display()));
    scene.look(&[&memory]);
    let copy = scene.here(&memory).join("evil");
    let outcome = quarantined(&scene, &order(), &[&copy]);
    let reason = reason(&outcome);
    assert!(reason.contains("user namespace in which root has no id"), "{reason}");
    assert_eq!(fs::read(container.inside(&memory).join("evil")).unwrap(), evil());
    assert!(scene.vault.list().is_empty());
    let left = fs::read_dir(scene.arena.data_dir().join("vault")).unwrap().count();
    assert_eq!(left, 0, "no part of it stays in the vault");
    let left = fs::read_dir(container.inside(&memory)).unwrap().count();
    assert_eq!(left, 1, "nor of us there");
}
