//! Acts on real files and real processes. Each test guards a filesystem of its own and starts what it stops.
//!
//! ```sh
//! timeout 300 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test acts
//! ```

mod arena;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::acts::{quarantine, restore};
use model::FileId;
use model::act::{Act, CopyState, Do, Outcome, Terms};

use arena::scene::{Scene, wait_until};
use arena::{Image, KINDS, Kind, act, digests_of};

fn quarantined(scene: &Scene, act: &Act, known: &[PathBuf]) -> Outcome {
    let Do::Quarantine(file) = act.what else { panic!("{act:?}") };
    quarantine(&scene.grounds, act, file, known.to_vec(), &mut |_| {})
}

fn act_on(path: &Path) -> Act {
    act(Do::Quarantine(FileId::Sha1(digests_of(&Image::of(path).unwrap().bytes).sha1)))
}

fn succeeded(outcome: &Outcome) -> Vec<&Path> {
    assert!(outcome.copies.iter().all(|copy| copy.state == CopyState::Succeeded), "{outcome:?}");
    assert_eq!(outcome.failure, None);
    let mut paths: Vec<_> = outcome.copies.iter().map(|copy| copy.path.as_path()).collect();
    paths.sort();
    paths
}

#[test]
fn all_copies_go_and_all_processes_end_and_all_of_it_comes_back() {
    for kind in KINDS {
        let Some(mut scene) = Scene::open(kind) else { return };
        let evil = scene.program("evil", "/bin/sleep");
        let (copy, link, gone) =
            (scene.arena.path("dir/copy"), scene.arena.path("dir/link"), scene.arena.path("gone"));
        fs::create_dir(scene.arena.path("dir")).unwrap();
        fs::copy(&evil, &copy).unwrap();
        fs::hard_link(&copy, &link).unwrap();
        fs::copy(&evil, &gone).unwrap();
        let innocent = scene.program("innocent", "/bin/sleep");
        let evils: Vec<i32> =
            [&evil, &copy, &gone].into_iter().map(|program| scene.start(program, &["300"])).collect();
        let innocents = [scene.start(&innocent, &["300"]), scene.start(Path::new("/bin/sleep"), &["300"])];
        fs::remove_file(&gone).unwrap();
        let before = [&evil, &copy].map(|path| Image::of(path).unwrap());

        let act_of = act_on(&evil);
        // Nobody told of `link`, and one that was told of is something else by now.
        let known = [evil.clone(), copy.clone(), gone.clone(), innocent.clone()];
        let outcome = quarantined(&scene, &act_of, &known);
        assert_eq!(succeeded(&outcome), [&copy, &link, &evil]);
        assert_eq!(outcome.stopped, 3, "{outcome:?}");
        assert!(evils.iter().all(|pid| !scene.is_running(*pid)));
        assert!(innocents.iter().all(|pid| scene.is_running(*pid)));
        assert!(![&evil, &copy, &link, &gone].into_iter().any(|path| path.exists()));
        assert!(innocent.exists());

        // Again, as after a crash that lost the outcome.
        let again = quarantined(&scene, &act_of, &known);
        assert_eq!(succeeded(&again), succeeded(&outcome));
        assert_eq!(again.stopped, 0);
        // Another order finds nothing left.
        let none = quarantined(&scene, &act(act_of.what.clone()), &known);
        assert!(succeeded(&none).is_empty());

        let undo = act(Do::Restore(act_of.order, Terms::default()));
        let terms = Terms::default();
        let outcome = restore(&scene.grounds, &undo, act_of.order, terms, &mut |_| {});
        assert_eq!(succeeded(&outcome), [&copy, &link, &evil]);
        assert_eq!([&evil, &copy].map(|path| Image::of(path).unwrap()), before);
        let inode = |path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        assert_eq!(inode(&copy), inode(&link));
        assert_eq!(succeeded(&restore(&scene.grounds, &undo, act_of.order, terms, &mut |_| {})).len(), 3);
    }
}

#[test]
fn a_copy_that_nobody_knew_is_found_by_its_process() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let evil = scene.program("evil", "/bin/sleep");
    scene.start(&evil, &["300"]);
    let outcome = quarantined(&scene, &act_on(&evil), &[]);
    assert_eq!(succeeded(&outcome), [&evil]);
    assert_eq!(outcome.stopped, 1);
}

#[test]
fn processes_that_start_others_end_with_them() {
    let Some(mut scene) = Scene::open(Kind::Tmpfs) else { return };
    let evil = scene.program("evil", "/bin/dash");
    // Each shell forks another that runs the same file.
    scene.start(&evil, &["-c", "while :; do (/bin/sleep 0.01; :); done"]);
    scene.start(&evil, &["-c", "(/bin/sleep 300; :); :"]);
    let outcome = quarantined(&scene, &act_on(&evil), std::slice::from_ref(&evil));
    assert_eq!(succeeded(&outcome), [&evil]);
    assert!(outcome.stopped >= 3, "{outcome:?}");
    for pid in sys::processes::all() {
        let program = sys::processes::executable_path(pid).unwrap_or_default();
        assert!(!program.starts_with(scene.arena.root()), "{pid} runs {}", program.display());
    }
}

#[test]
fn a_script_is_stopped_and_who_only_reads_it_is_not() {
    for kind in KINDS {
        let Some(mut scene) = Scene::open(kind) else { return };
        let script = scene.arena.path("script");
        fs::write(&script, "#!/bin/bash\nwhile :; do read -t 1 <> <(:); done\n").unwrap();
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let evil = [
            scene.start(&script, &[]),
            scene.start(Path::new("/bin/bash"), &["script"]),
            scene.start(Path::new("/bin/bash"), &["-x", script.to_str().unwrap(), "argument"]),
        ];
        let readers = [
            scene.start(Path::new("/usr/bin/tail"), &["-f", "script"]),
            scene.start(
                Path::new("/bin/bash"),
                &["-c", "exec 5<script; while :; do /bin/sleep 1; done", "script"],
            ),
        ];
        wait_until("bash holds its script", || {
            evil.iter().all(|pid| sys::processes::open_files(*pid).any(|file| file.number == 255))
        });
        let outcome = quarantined(&scene, &act_on(&script), std::slice::from_ref(&script));
        assert_eq!(succeeded(&outcome), [&script]);
        assert!(evil.iter().all(|pid| !scene.is_running(*pid)), "{outcome:?}");
        assert!(readers.iter().all(|pid| scene.is_running(*pid)), "{outcome:?}");
    }
}

#[test]
fn a_script_whose_name_is_gone_is_known_by_what_bash_holds() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let script = scene.arena.path("script");
    fs::write(&script, "while :; do /bin/sleep 1; done\n").unwrap();
    let evil = scene.start(Path::new("/bin/bash"), &["script"]);
    wait_until("bash holds its script", || sys::processes::open_files(evil).any(|file| file.number == 255));
    let act = act_on(&script);
    fs::remove_file(&script).unwrap();
    let outcome = quarantined(&scene, &act, std::slice::from_ref(&script));
    assert!(succeeded(&outcome).is_empty());
    assert_eq!(outcome.stopped, 1);
    assert!(!scene.is_running(evil));
}

#[test]
fn our_own_processes_are_never_stopped() {
    let Some(mut scene) = Scene::open(Kind::Tmpfs) else { return };
    let evil = scene.program("evil", "/bin/sleep");
    let own = scene.start(&evil, &["300"]);
    let other = scene.start(&evil, &["300"]);
    scene.grounds.own_pids.push(own);
    let outcome = quarantined(&scene, &act_on(&evil), std::slice::from_ref(&evil));
    let failure = outcome.failure.as_ref().unwrap();
    assert!(failure.reason.contains(&format!("process {own} ")), "{failure:?}");
    assert_eq!(outcome.stopped, 1);
    assert!(scene.is_running(own) && !scene.is_running(other));
}

#[test]
fn what_is_spared_or_not_guarded_is_left_alone_and_named() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let (evil, spared) = (scene.program("evil", "/bin/sleep"), scene.program("evil-spared", "/bin/sleep"));
    let outside = scene.arena.data_dir().with_file_name("outside");
    fs::copy(&evil, &outside).unwrap();
    let runs_spared = scene.start(&spared, &["300"]);
    let runs_outside = scene.start(&outside, &["300"]);
    let spared_path = spared.clone();
    scene.grounds.spared = Arc::new(move |path, _| (path == spared_path).then(|| "package evil".to_owned()));
    let outcome = quarantined(&scene, &act_on(&evil), &[evil.clone(), spared.clone(), outside.clone()]);
    let reason = |path: &Path| {
        let copy = outcome.copies.iter().find(|copy| copy.path == path).unwrap();
        (copy.state, copy.reason.clone().unwrap_or_default())
    };
    assert_eq!(reason(&evil), (CopyState::Succeeded, String::new()));
    assert_eq!(reason(&outside), (CopyState::Failed, "not guarded".to_owned()));
    let (state, text) = reason(&spared);
    assert_eq!(state, CopyState::Failed);
    assert!(text.contains(spared.to_str().unwrap()) && text.contains("package evil"), "{text}");
    assert!(scene.is_running(runs_spared) && scene.is_running(runs_outside));
    assert_eq!(outcome.stopped, 0);
}

#[test]
fn a_copy_in_the_layers_of_a_mounted_overlay_is_told_and_left() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let directories = ["lower", "upper", "work", "merged", "apart"];
    directories.iter().for_each(|name| fs::create_dir(scene.arena.path(name)).unwrap());
    let place = |name: &str| scene.arena.path(name).display().to_string();
    let layers = format!("lowerdir={},upperdir={},workdir={}", place("lower"), place("upper"), place("work"));
    let image = scene.program("lower/evil", "/bin/sleep");
    let [written, apart] = ["upper/evil-written", "apart/evil"].map(|name| scene.arena.path(name));
    fs::copy(&image, &written).unwrap();
    fs::copy(&image, &apart).unwrap();
    let merged = scene.arena.path("merged");
    scene.arena.mount(&["-t", "overlay", "-o", &layers, "overlay"], &merged);
    let pid = scene.start(&merged.join("evil"), &["300"]);
    // What runs from an overlay runs from no filesystem that was named.
    scene.grounds.everywhere = true;

    let known = [image.clone(), written.clone(), apart.clone()];
    let outcome = quarantined(&scene, &act_on(&image), &known);
    assert!(!scene.is_running(pid), "{outcome:?}");
    let reason = |path: &Path| {
        let copy = outcome.copies.iter().find(|copy| copy.path == *path).unwrap();
        (copy.state, copy.reason.clone().unwrap_or_default())
    };
    assert_eq!(reason(&apart).0, CopyState::Succeeded);
    for (path, kind) in [(&image, "an image's layer"), (&written, "a container's writable layer")] {
        let (state, reason) = reason(path);
        assert!(state == CopyState::Failed && reason.contains(kind), "{outcome:?}");
        assert!(reason.contains(&merged.display().to_string()), "{reason}");
    }
    assert!(image.exists() && written.exists() && !apart.exists());
    assert!(merged.join("evil").exists());

    // Nobody uses them any more.
    sys::mounts::unmount_lazily(&merged).unwrap();
    let outcome = quarantined(&scene, &act_on(&image), &known);
    assert_eq!(succeeded(&outcome), [&image, &written]);
}
