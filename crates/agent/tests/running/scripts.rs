//! Scripts, of which the kernel knows only the interpreter.

use std::fs;
use std::path::Path;

use agent::running::Fate;
use model::rule::Effect;

use crate::arena::KINDS;
use crate::arena::scene::{Scene, wait_until};
use crate::judge::{fate, rule, sweep};
use crate::pids;

#[test]
fn who_runs_a_denied_script_is_stopped_and_who_reads_it_is_not() {
    pids::inside(|| {
        for kind in KINDS {
            let Some(mut scene) = Scene::open(kind) else { panic!("it is private") };
            let script = scene.arena.path("script");
            fs::write(&script, "#!/bin/bash\nwhile :; do read -t 1 <> <(:); done\n").unwrap();
            fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            let other = scene.arena.path("other");
            fs::write(&other, "while :; do read -t 1 <> <(:); done\n").unwrap();
            let evil = [
                scene.start(&script, &[]),
                scene.start(Path::new("/bin/bash"), &["script"]),
                scene.start(Path::new("/bin/bash"), &["-x", script.to_str().unwrap(), "argument"]),
            ];
            let innocent = [
                scene.start(Path::new("/usr/bin/tail"), &["-f", "script"]),
                scene.start(Path::new("/bin/bash"), &["other", "script"]),
            ];
            wait_until("bash holds its script", || {
                let holds = |pid: &i32| sys::processes::open_files(*pid).any(|file| file.number == 255);
                evil.iter().chain(&innocent[1..]).all(holds)
            });
            let found = sweep(&scene.grounds, &[rule(Effect::DenyAndStop, &script)]);
            assert!(evil.iter().all(|pid| fate(&found, *pid) == Some(Fate::Ended)), "{found:?}");
            assert!(evil.iter().all(|pid| !scene.is_running(*pid)));
            assert!(innocent.iter().all(|pid| scene.is_running(*pid)), "{found:?}");
            assert!(found.iter().any(|found| found.path == script));
        }
    });
}
