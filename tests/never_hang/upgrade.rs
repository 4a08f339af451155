//! Guard and agent are started anew, as after an upgrade: what is denied stays denied, and nobody waits for long.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tests::sample::is_denied;
use tests::up::{Options, binary, one_of};
use tests::wait_for;

use crate::crash_loop::status;
use crate::lever::{quell, with_lever};
use crate::stage::{BACK, Stage, head, signal};

/// How often in a row.
const TIMES: usize = 10;
/// How long one may take on a busy machine.
const EACH: Duration = Duration::from_secs(20);
/// Tells the warden that the program on the disk is another, and waits until guard and agent are.
fn renew(stage: &Stage) -> i32 {
    let (guard, work) = (stage.one("guard"), stage.one("work"));
    signal(stage.one("run"), Signal::HUP);
    let is_other = |verb, than| one_of(stage.up.pid(), verb).filter(|pid| *pid != than);
    wait_for("another agent", EACH, || is_other("work", work));
    wait_for("another guard", EACH, || is_other("guard", guard))
}

#[test]
fn a_guard_relieves_another_without_a_gap() {
    let Some(stage) = Stage::set() else { return };
    head();
    let upgrades = |guards: &mut Vec<i32>| guards.extend((0..TIMES).map(|_| renew(&stage)));
    let most = EACH * u32::try_from(TIMES).unwrap();
    let seen = stage.endure_for(&format!("{TIMES} upgrades, one after the other"), most, upgrades, |()| ());
    // On a busy machine the timer may permit what the next guard has not had read in time, as ever; that is told, and
    // whatever else ran was judged by nobody.
    let judged_late = || (told_late(&stage) >= seen.denied.ran).then_some(());
    wait_for("what ran to be told as judged late", Duration::from_secs(15), judged_late);
    println!("never-hang: of {} denied that ran during upgrades, all were late judgements", seen.denied.ran);
    let now = wait_for("the level", BACK, || {
        Some(status(&stage)).filter(|status| status["guardLevel"] == "deny" && status["inForce"] == true)
    });
    assert_eq!((&now["guardDeaths"], &now["guardGapMs"]), (&0.into(), &serde_json::Value::Null), "{now}");
    stage.up.kill();
}

/// How many the agent says the timer has permitted and a rule then denied.
fn told_late(stage: &Stage) -> u32 {
    let log = fs::read_to_string(stage.dir.path().join("data.log")).unwrap();
    let times = |line: &str| line.split("times=").nth(1)?.split(' ').next()?.trim().parse::<u32>().ok();
    log.lines().filter(|line| line.contains("late=true")).filter_map(times).sum()
}

#[test]
fn told_again_while_it_is_at_it_and_while_the_guard_has_fallen() {
    let Some(stage) = Stage::set() else { return };
    let (guard, work, run) = (stage.one("guard"), stage.one("work"), stage.one("run"));
    signal(run, Signal::HUP);
    wait_for("another agent", EACH, || one_of(stage.up.pid(), "work").filter(|pid| *pid != work));
    (0..5).for_each(|_| signal(run, Signal::HUP));
    let next =
        wait_for("another guard", EACH, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != guard));
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
    // It was told while it was at it, so that it begins once more.
    wait_for("one more", EACH, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != next));
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));

    // A guard that falls is started by the new program anyway; the agent is started anew.
    let (guard, work) = (stage.one("guard"), stage.one("work"));
    signal(guard, Signal::KILL);
    signal(run, Signal::HUP);
    wait_for("another agent", EACH, || one_of(stage.up.pid(), "work").filter(|pid| *pid != work));
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
    assert_eq!(stage.one("run"), run);
    stage.up.kill();
}

#[test]
fn told_while_nothing_is_denied() {
    let Some(stage) = Stage::set_with(with_lever) else { return };
    let (dir, run) = (stage.dir.path(), stage.one("run"));
    let renew_work = |level: &str| {
        let work = stage.one("work");
        signal(run, Signal::HUP);
        wait_for("another agent", EACH, || one_of(stage.up.pid(), "work").filter(|pid| *pid != work));
        wait_for("the level", BACK, || (status(&stage)["guardLevel"] == level).then_some(()));
        assert_eq!(stage.one("run"), run);
    };
    // Released while a hand-over has begun.
    signal(run, Signal::HUP);
    assert!(quell(dir, "release", None).0);
    wait_for("the release", BACK, || (status(&stage)["guardLevel"] == "released").then_some(()));
    renew_work("released");
    assert_eq!(one_of(stage.up.pid(), "guard"), None, "nothing but the agent is started");
    assert!(quell(dir, "engage", None).0);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));

    for _ in 0..3 {
        let guard = stage.one("guard");
        signal(guard, Signal::KILL);
        wait_for("another guard", BACK, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != guard));
        wait_for("its place", BACK, || (status(&stage)["guardLevel"] != "absent").then_some(()));
    }
    wait_for("the level", BACK, || (status(&stage)["guardLevel"] == "observe").then_some(()));
    let guard = stage.one("guard");
    renew_work("observe");
    wait_for("another guard", BACK, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != guard));
    tests::sample::try_run(&stage.denied).expect("it only observes");
    assert_eq!(status(&stage)["guardDeaths"], 3);
    assert!(quell(dir, "engage", None).0);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
    renew(&stage);
    wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
    stage.up.kill();
}

/// A program of the test's own to start with, which can be replaced.
fn with_program(dir: &Path, options: &mut Options) {
    let program = program(dir);
    fs::copy(binary(), &program).unwrap();
    options.program = Some(program);
}

fn program(dir: &Path) -> PathBuf {
    dir.join("quell")
}

/// Puts a program in the place of another, as a package manager does. `instead` of a guard or of all of it something
/// else runs.
fn replace(dir: &Path, instead: &str) {
    let next = dir.join("quell.new");
    fs::write(&next, format!("#!/bin/sh\n{instead}\nexec {} \"$@\"\n", binary().display())).unwrap();
    fs::set_permissions(&next, fs::Permissions::from_mode(0o755)).unwrap();
    fs::rename(next, program(dir)).unwrap();
}

#[test]
fn a_guard_that_cannot_be_relieved_goes_on() {
    head();
    for (case, instead, wait) in [
        ("upgrade to a guard that ends at once", "[ \"$2\" = guard ] && exit 1", 2),
        ("upgrade to a guard that does nothing", "[ \"$2\" = guard ] && exec sleep 600", 7),
        ("upgrade to a program that does not start", "exit 1", 2),
    ] {
        let Some(stage) = Stage::set_with(with_program) else { return };
        let guard = stage.one("guard");
        let seen = stage.endure_for(
            case,
            EACH * 2,
            |_| {
                let work = stage.one("work");
                replace(stage.dir.path(), instead);
                signal(stage.one("run"), Signal::HUP);
                wait_for("the agent to go", EACH, || {
                    (one_of(stage.up.pid(), "work") != Some(work)).then_some(())
                });
                std::thread::sleep(Duration::from_secs(wait));
            },
            |()| (),
        );
        assert_eq!((seen.denied.ran, stage.one("guard")), (0, guard), "{case}: {seen:?}");
        // Mended, it works.
        replace(stage.dir.path(), "");
        signal(stage.one("run"), Signal::HUP);
        wait_for("another guard", EACH, || one_of(stage.up.pid(), "guard").filter(|pid| *pid != guard));
        wait_for("the denial", BACK, || is_denied(&stage.denied).then_some(()));
        assert_eq!(status(&stage)["guardDeaths"], 0, "{case}: that it was relieved is no crash");
        stage.up.kill();
    }
}
