//! Who is never stopped.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use agent::running::Fate;
use model::rule::Effect;

use crate::arena::Kind;
use crate::arena::scene::{Scene, wait_until};
use crate::judge::{fate, rule, sweep};
use crate::pids;

fn is_left(fate: Option<Fate>, why: &str) -> bool {
    matches!(fate, Some(Fate::Left(reason)) if reason.contains(why))
}

#[test]
fn what_is_spared_or_not_guarded_or_ours_runs_on_and_is_told() {
    pids::inside(|| {
        let Some(mut scene) = Scene::open(Kind::Ext4) else { panic!("it is private") };
        let (evil, spared) =
            (scene.program("evil", "/bin/sleep"), scene.program("evil-spared", "/bin/sleep"));
        let outside = scene.arena.data_dir().with_file_name("outside");
        std::fs::copy(&evil, &outside).unwrap();
        let start = |scene: &mut Scene, path: &Path| scene.start(path, &["300"]);
        let [runs, runs_spared, runs_outside, own] =
            [&evil, &spared, &outside, &evil].map(|path| start(&mut scene, path));
        let at = spared.clone();
        scene.grounds.spared = Arc::new(move |path, _| (path == at).then(|| "package evil".to_owned()));
        scene.grounds.own_pids.push(own);
        let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
        assert_eq!(fate(&found, runs), Some(Fate::Ended), "{found:?}");
        assert!(is_left(fate(&found, runs_spared), "package evil"), "{found:?}");
        assert!(is_left(fate(&found, runs_outside), "not guarded"), "{found:?}");
        assert!(is_left(fate(&found, own), "ours"), "{found:?}");
        assert!([runs_spared, runs_outside, own].iter().all(|pid| scene.is_running(*pid)));

        // Its name was given to another file, and a name is no content.
        std::fs::remove_file(&spared).unwrap();
        std::fs::copy(&evil, &spared).unwrap();
        let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
        assert_eq!(fate(&found, runs_spared), Some(Fate::Ended), "{found:?}");
    });
}

#[test]
fn who_runs_this_program_is_ours() {
    let Some(mut scene) = Scene::open(Kind::Ext4) else { return };
    let own = std::env::current_exe().unwrap();
    let mut command = Command::new(&own);
    // It starts a sleep and waits for it.
    command.args(["--exact", "never::a_process_of_ours", "--nocapture"]).env("QUELL_OURS", "1");
    let ours = scene.spawn(command);
    wait_until("it runs", || sys::processes::executable_path(ours).is_ok_and(|path| path == own));
    scene.grounds.own_program = Some(own.clone());
    scene.grounds.guarded[0].device = std::os::unix::fs::MetadataExt::dev(&std::fs::metadata(&own).unwrap());
    let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &own)]);
    assert!(is_left(fate(&found, ours), "ours"), "{found:?}");
    assert!(is_left(fate(&found, std::process::id().cast_signed()), "ours"), "{found:?}");
    assert!(scene.is_running(ours));
}

#[test]
fn a_process_of_ours() {
    if std::env::var_os("QUELL_OURS").is_some() {
        std::thread::sleep(std::time::Duration::from_secs(300));
    }
}

#[test]
fn the_first_process_is_never_stopped() {
    let own = std::env::current_exe().unwrap();
    let arguments = "--exact never::the_first_process_is_never_stopped --nocapture --test-threads 1";
    // Behind its child there is something left to do, so that it does not run it in its own place.
    let script = format!("{} {arguments}; exit $?", own.display());
    let dir = tempfile::tempdir().unwrap();
    let evil = dir.path().join("evil");
    if !pids::is_inside() {
        let bytes = [&std::fs::read("/bin/dash").unwrap()[..], b"evil"].concat();
        std::fs::write(&evil, bytes).unwrap();
        std::fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let mut command = Command::new(&evil);
    command.args(["-c", &script]);
    pids::inside_with(command, || {
        let Some(mut scene) = Scene::open(Kind::Tmpfs) else { panic!("it is private") };
        scene.grounds.everywhere = true;
        let evil = sys::processes::executable_path(1).unwrap();
        assert!(evil.ends_with("evil"));
        let other = scene.start(&evil, &["-c", "/bin/sleep 300; :"]);
        let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &evil)]);
        assert!(is_left(fate(&found, 1), "init"), "{found:?}");
        assert_eq!(fate(&found, other), Some(Fate::Ended), "{found:?}");
        assert!(!scene.is_running(other));
    });
}
