//! What goes on crashing is started with pauses, and takes nobody with it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tests::sample::{is_denied, try_run};
use tests::up::one_of;
use tests::wait_for;

use crate::stage::{BACK, Ending, Stage, head, signal};

#[test]
fn an_agent_that_goes_on_crashing_leaves_the_guard_alone() {
    let Some(stage) = Stage::set() else { return };
    head();
    let (guard, up) = (stage.one("guard"), stage.up.pid());
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let _ending = Ending(&stop);
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if let Some(work) = one_of(up, "work") {
                    signal(work, Signal::KILL);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let seen = stage.endure("agent crash loop", || (), |()| ());
        assert_eq!((seen.denied.ran, stage.one("guard")), (0, guard), "{seen:?}");
        // A guard that falls meanwhile has its rules again, but nobody to hash for it: what it has not seen since is
        // permitted by the timer until the agent lives.
        let fall = || signal(guard, Signal::KILL);
        stage.endure("agent crash loop and SIGKILL guard", fall, |()| stop.store(true, Ordering::Relaxed));
    });
    stage.up.kill();
}

#[test]
fn a_guard_that_goes_on_crashing_only_observes_until_it_is_engaged() {
    let Some(stage) = Stage::set() else { return };
    let mut gaps = Vec::new();
    for _ in 0..3 {
        assert!(is_denied(&stage.denied));
        let guard = stage.one("guard");
        signal(guard, Signal::KILL);
        wait_for("another guard", BACK, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != guard));
        wait_for("its place", BACK, || (status(&stage)["guardLevel"] != "absent").then_some(()));
        gaps.push(status(&stage)["guardGapMs"].clone());
    }
    let observing = wait_for("the level", BACK, || {
        Some(status(&stage)).filter(|status| status["guardLevel"] == "observe")
    });
    assert_eq!(observing["guardNotice"], "crashed three times in ten minutes");
    assert_eq!((&observing["guardDeaths"], &observing["inForce"]), (&3.into(), &false.into()));
    try_run(&stage.denied).expect("nothing is denied");
    let machine = stage.up.field("machineId");
    wait_for("the server to know", BACK, || {
        let (_, machine) = stage.up.api().get(&format!("/api/machines/{machine}"));
        (machine["quell"]["guardLevel"] == "observe").then_some(())
    });
    stage.up.cli(&["agent", "engage", "--data-dir", stage.up.field("dataDir")]);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
    wait_for("the level", BACK, || (status(&stage)["guardLevel"] == "deny").then_some(()));
    println!("never-hang: ms in which nothing was denied after a guard's death: {gaps:?}");
    stage.up.kill();
}

/// What the agent says of itself, once there is one to ask.
pub(crate) fn status(stage: &Stage) -> Value {
    wait_for("the agent's status", BACK, || {
        let mut command = std::process::Command::new(tests::up::binary());
        command.args(["agent", "status", "-o", "json", "--data-dir", stage.up.field("dataDir")]);
        serde_json::from_slice(&command.output().unwrap().stdout).ok()
    })
}
