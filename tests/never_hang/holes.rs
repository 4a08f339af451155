//! What is not promised: with guard and warden both stopped, whoever runs a program waits. That can be killed, and
//! goes on when either of them does, or dies.

use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tests::sample::is_denied;
use tests::wait_for;

use crate::stage::{BACK, Stage, signal};

#[test]
fn guard_and_warden_both_stopped() {
    for release in ["warden goes on", "guard goes on", "guard is killed", "warden is killed"] {
        let Some(stage) = Stage::set() else { return };
        let (guard, warden) = (stage.one("guard"), stage.one("run"));
        // The warden first, or it would end the guard.
        signal(warden, Signal::STOP);
        signal(guard, Signal::STOP);
        let waiting = |argument: &str| {
            // A shell of its own, which is what can be killed.
            let script = format!("exec {} {argument}", stage.allowed.display());
            Command::new("sh").args(["-c", &script]).stdin(Stdio::null()).spawn().unwrap()
        };
        let (mut killed, mut waits) = (waiting("0"), waiting("0"));
        std::thread::sleep(Duration::from_millis(600));
        assert!(killed.try_wait().unwrap().is_none() && waits.try_wait().unwrap().is_none(), "they wait");
        killed.kill().unwrap();
        wait_for("one who waits to be killed", BACK, || killed.try_wait().unwrap());
        match release {
            "warden goes on" => signal(warden, Signal::CONT),
            "guard goes on" => signal(guard, Signal::CONT),
            "guard is killed" => signal(guard, Signal::KILL),
            _ => signal(warden, Signal::KILL),
        }
        let status = wait_for("one who waits to go on", BACK, || waits.try_wait().unwrap());
        assert!(status.success(), "{release}: {status}");
        signal(guard, Signal::CONT);
        signal(warden, Signal::CONT);
        wait_for("the denial again", BACK, || is_denied(&stage.denied).then_some(()));
        println!(
            "never-hang | hole: guard and warden both stopped | it waits, can be killed, and goes on when the {release}"
        );
        stage.up.kill();
    }
}
