//! The ways in which a process can run a file.

use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use agent::running::{Fate, Sweeper};
use model::rule::Effect;

use crate::arena::scene::{Scene, wait_until};
use crate::arena::{KINDS, Kind};
use crate::judge::{fate, rule, sweep, sweep_again};
use crate::pids;

/// Whether a process runs, or has mapped, what its table calls by this name.
fn maps(pid: i32, name: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default().contains(name)
}

fn loader() -> PathBuf {
    let candidates = ["/lib64/ld-linux-x86-64.so.2", "/lib/ld-linux-aarch64.so.1"];
    candidates.into_iter().map(PathBuf::from).find(|path| path.exists()).expect("a loader")
}

fn library(name: &str) -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let line = maps.lines().find(|line| line.contains(name)).expect("this test uses it");
    line.split_ascii_whitespace().last().unwrap().into()
}

#[test]
fn a_denied_file_that_runs_is_told_and_runs_on() {
    pids::inside(|| {
        for kind in KINDS {
            let Some(mut scene) = Scene::open(kind) else { panic!("it is private") };
            let evil = scene.program("evil", "/bin/sleep");
            let runs = scene.start(&evil, &["300"]);
            for effect in [Effect::Deny, Effect::Warn] {
                let found = sweep(&scene.grounds, &[rule(effect, &evil)]);
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!((found[0].pid, &found[0].path, &found[0].fate), (runs, &evil, &Fate::Runs));
                assert_eq!((found[0].rule, found[0].effect), (model::RuleId(7), effect));
                let size = fs::metadata(&evil).unwrap().len();
                assert_eq!((found[0].facts.size, found[0].digests), (size, digests(&evil)));
            }
            for effect in [Effect::Watch, Effect::Allow] {
                assert!(sweep(&scene.grounds, &[rule(effect, &evil)]).is_empty());
            }
            assert!(scene.is_running(runs));
        }
    });
}

fn digests(path: &Path) -> model::Digests {
    crate::arena::digests_of(&fs::read(path).unwrap())
}

#[test]
fn what_is_to_be_stopped_ends_under_all_its_names_and_neighbours_live() {
    pids::inside(|| {
        for kind in KINDS {
            let Some(mut scene) = Scene::open(kind) else { panic!("it is private") };
            let (evil, gone) = (scene.program("evil", "/bin/sleep"), scene.program("evil-2", "/bin/sleep"));
            let (link, copy) = (scene.arena.path("link"), scene.arena.path("copy"));
            fs::hard_link(&evil, &link).unwrap();
            fs::copy(&evil, &copy).unwrap();
            let innocent = scene.program("innocent", "/bin/sleep");
            let all = [&evil, &link, &copy, &gone].map(|path| scene.start(path, &["300"]));
            let rule = rule(Effect::DenyAndStop, &evil);
            fs::remove_file(&gone).unwrap();
            let neighbours =
                [scene.start(&innocent, &["300"]), scene.start(Path::new("/bin/sleep"), &["300"])];
            let mut sweeper = Sweeper::default();
            let found = sweep_again(&mut sweeper, &scene.grounds, &[rule]);
            assert!(all.iter().all(|pid| fate(&found, *pid) == Some(Fate::Ended)), "{found:?}");
            assert_eq!(found.len(), all.len());
            assert!(all.iter().all(|pid| !scene.is_running(*pid)));
            assert!(found.iter().any(|found| found.path.to_string_lossy().ends_with("evil-2 (deleted)")));
            assert!(neighbours.iter().all(|pid| scene.is_running(*pid)));
            assert!(sweep_again(&mut sweeper, &scene.grounds, &[rule]).is_empty());
        }
    });
}

#[test]
fn a_stronger_rule_permits_and_an_old_one_is_over() {
    pids::inside(|| {
        let Some(mut scene) = Scene::open(Kind::Ext4) else { panic!("it is private") };
        let evil = scene.program("evil", "/bin/sleep");
        let runs = scene.start(&evil, &["300"]);
        let by_sha256 = rule(Effect::Allow, &evil);
        let identifier = model::rule::Identifier::Sha1(digests(&evil).sha1);
        let by_sha1 =
            model::rule::Rule { id: model::RuleId(8), identifier, ..rule(Effect::DenyAndStop, &evil) };
        assert!(sweep(&scene.grounds, &[by_sha256, by_sha1]).is_empty());
        let until = Some(model::Time::from_seconds(1_800_000_000));
        assert!(sweep(&scene.grounds, &[model::rule::Rule { until, ..by_sha1 }]).is_empty());
        assert!(scene.is_running(runs));
        let found = sweep(&scene.grounds, &[by_sha1]);
        assert_eq!(fate(&found, runs), Some(Fate::Ended), "{found:?}");
    });
}

#[test]
fn who_maps_it_to_be_executed_runs_it() {
    pids::inside(|| {
        for kind in KINDS {
            let Some(mut scene) = Scene::open(kind) else { panic!("it is private") };
            // Given to the loader, a program is but a library.
            let evil = scene.program("evil", "/bin/sleep");
            let loaded = scene.start(&loader(), &[evil.to_str().unwrap(), "300"]);
            let library = scene.program("evillib", library("libc.so").to_str().unwrap());
            let mut command = Command::new("/bin/sleep");
            command.arg("300").env("LD_PRELOAD", &library);
            let preloaded = scene.spawn(command);
            wait_until("both are mapped", || maps(loaded, "/evil") && maps(preloaded, "/evillib"));
            let reader = scene.start(Path::new("/usr/bin/tail"), &["-f", "evil", "evillib"]);
            let other = model::rule::Rule { id: model::RuleId(9), ..rule(Effect::Deny, &library) };
            let found = sweep(&scene.grounds, &[other, rule(Effect::DenyAndStop, &evil)]);
            assert_eq!(fate(&found, preloaded), Some(Fate::Runs), "{found:?}");
            assert_eq!(fate(&found, loaded), Some(Fate::Ended), "{found:?}");
            let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &library)]);
            assert_eq!(fate(&found, preloaded), Some(Fate::Ended), "{found:?}");
            assert_eq!(found[0].path, library);
            assert!(!scene.is_running(loaded) && !scene.is_running(preloaded));
            assert!(scene.is_running(reader), "to read is not to run");
        }
    });
}

#[test]
fn a_process_in_another_mount_namespace_is_found() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let evil = scene.program("evil", "/bin/sleep");
    let point = scene.arena.data_dir().join("elsewhere");
    fs::create_dir(&point).unwrap();
    let shell = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh"]);
        command.arg(scene.arena.root()).arg(&point);
        command
    };
    let bound = shell("mount --bind \"$1\" \"$2\" && exec \"$2/evil\" 300");
    let hidden = shell("mount -t tmpfs none \"$2\" && cp \"$1/evil\" \"$2/other\" && exec \"$2/other\" 300");
    let (bound, hidden) = (scene.spawn(bound), scene.spawn(hidden));
    let runs = |pid, name: &str| sys::processes::executable_path(pid).is_ok_and(|path| path.ends_with(name));
    wait_until("both run it", || runs(bound, "evil") && runs(hidden, "other"));
    let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
    assert_eq!(fate(&found, bound), Some(Fate::Ended), "{found:?}");
    // Its filesystem is nobody's whom we guard.
    assert_eq!(fate(&found, hidden), Some(Fate::Left("not guarded".to_owned())), "{found:?}");
    let path = &found.iter().find(|found| found.pid == hidden).unwrap().path;
    assert!(path.ends_with("elsewhere/other"), "{}", path.display());
    assert!(scene.is_running(hidden) && !scene.is_running(bound));
}

#[test]
fn what_lies_in_memory_or_on_an_unmounted_filesystem_is_stopped_where_all_is_guarded() {
    pids::inside(|| {
        let Some(mut scene) = Scene::open(Kind::Tmpfs) else { panic!("it is private") };
        let evil = scene.program("evil", "/bin/sleep");
        let memory = rustix::fs::memfd_create("evil", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let mut memory = File::from(memory);
        memory.write_all(&fs::read(&evil).unwrap()).unwrap();
        let link = format!("/proc/{}/fd/{}", std::process::id(), memory.as_raw_fd());
        // A descriptor for reading only, so that nobody writes.
        let program = File::open(link).unwrap();
        drop(memory);
        let link = format!("/proc/{}/fd/{}", std::process::id(), program.as_raw_fd());
        let runs = scene.start(Path::new(&link), &["300"]);
        let innocent = scene.start(Path::new("/bin/sleep"), &["300"]);
        let rules = [rule(Effect::DenyAndStop, &evil)];
        let found = sweep(&scene.grounds, &rules);
        assert_eq!(fate(&found, runs), Some(Fate::Left("not guarded".to_owned())), "{found:?}");
        assert!(found[0].path.to_string_lossy().starts_with("/memfd:evil"), "{found:?}");
        assert!(scene.is_running(runs));
        scene.grounds.everywhere = true;
        let found = sweep(&scene.grounds, &rules);
        assert_eq!(fate(&found, runs), Some(Fate::Ended), "{found:?}");
        assert!(!scene.is_running(runs) && scene.is_running(innocent));
    });
}
