//! Each of the three is stopped, killed, held by a debugger, frozen; and the agent together with another.

use std::io::Read;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;

use crate::freezer::Frozen;
use crate::stage::{Stage, head, signal};

/// The three, as they are started.
const ALL: [&str; 3] = ["guard", "work", "run"];

#[test]
fn stopped() {
    head();
    for verb in ALL {
        let Some(stage) = Stage::set() else { return };
        let pid = stage.one(verb);
        let undo = |()| signal(pid, Signal::CONT);
        let seen = stage.endure(&format!("SIGSTOP {verb}"), || signal(pid, Signal::STOP), undo);
        assert_eq!(seen.denied.ran > 0, verb == "guard", "{verb}: {seen:?}");
        stage.up.kill();
    }
}

#[test]
fn killed() {
    head();
    for verb in ALL {
        let Some(stage) = Stage::set() else { return };
        let pid = stage.one(verb);
        stage.endure(&format!("SIGKILL {verb}"), || signal(pid, Signal::KILL), |()| ());
        stage.up.kill();
    }
}

#[test]
fn held_by_a_debugger() {
    head();
    for verb in ALL {
        let Some(stage) = Stage::set() else { return };
        let pid = stage.one(verb);
        stage.endure(
            &format!("debugger on {verb}"),
            || attach(pid),
            |mut debugger| {
                debugger.kill().unwrap();
                debugger.wait().unwrap();
            },
        );
        stage.up.kill();
    }
}

#[test]
fn frozen() {
    head();
    for (is_old, name) in [(true, "old freezer"), (false, "unified freezer")] {
        for verb in ALL {
            let Some(stage) = Stage::set() else { return };
            let pid = stage.one(verb);
            stage.endure(&format!("{name} around {verb}"), || Frozen::freeze(pid, is_old), drop);
            stage.up.kill();
        }
    }
}

/// Nobody has been asked about for a while: the guard beats seldom, and the warden looks seldom.
#[test]
fn at_rest() {
    head();
    type Fault = (&'static str, fn(i32) -> Standing);
    let faults: [Fault; 5] = [
        ("SIGSTOP", |pid| {
            signal(pid, Signal::STOP);
            Standing::Stopped(pid)
        }),
        ("SIGKILL", |pid| {
            signal(pid, Signal::KILL);
            Standing::Stopped(pid)
        }),
        ("debugger on", |pid| Standing::Held(attach(pid))),
        ("old freezer around", |pid| Standing::Frozen(Frozen::freeze(pid, true))),
        ("unified freezer around", |pid| Standing::Frozen(Frozen::freeze(pid, false))),
    ];
    for (name, fault) in faults {
        let Some(stage) = Stage::set() else { return };
        let guard = stage.one("guard");
        stage.endure_at_rest(&format!("{name} guard at rest"), || fault(guard), drop);
        // And again, with the guard that came after it, or that goes on.
        let (guard, work) = (stage.one("guard"), stage.one("work"));
        let both = || {
            signal(work, Signal::STOP);
            fault(guard)
        };
        stage.endure_at_rest(&format!("SIGSTOP work and {name} guard at rest"), both, |standing| {
            drop(standing);
            signal(work, Signal::CONT);
        });
        stage.up.kill();
    }
}

/// What keeps a process from going on; let go of when this is dropped.
enum Standing {
    Stopped(i32),
    Held(Child),
    Frozen(#[expect(dead_code, reason = "it thaws when it is dropped")] Option<Frozen>),
}

impl Drop for Standing {
    fn drop(&mut self) {
        match self {
            Self::Stopped(pid) => signal(*pid, Signal::CONT),
            Self::Held(debugger) => {
                debugger.kill().unwrap();
                debugger.wait().unwrap();
            }
            Self::Frozen(_) => {}
        }
    }
}

#[test]
fn the_agent_and_another() {
    head();
    type Fault = (&'static str, &'static str, Signal);
    const SECOND: [Fault; 4] = [
        ("SIGSTOP guard", "guard", Signal::STOP),
        ("SIGKILL guard", "guard", Signal::KILL),
        ("SIGSTOP run", "run", Signal::STOP),
        ("SIGKILL run", "run", Signal::KILL),
    ];
    for first in [Signal::STOP, Signal::KILL] {
        for (name, verb, second) in SECOND {
            let Some(stage) = Stage::set() else { return };
            let (work, other) = (stage.one("work"), stage.one(verb));
            let fault = || {
                signal(work, first);
                signal(other, second);
            };
            let what = if first == Signal::STOP { "SIGSTOP work" } else { "SIGKILL work" };
            stage.endure(&format!("{what} and {name}"), fault, |()| {
                signal(work, Signal::CONT);
                signal(other, Signal::CONT);
            });
            stage.up.kill();
        }
    }
    for is_old in [true, false] {
        let Some(stage) = Stage::set() else { return };
        let (work, guard) = (stage.one("work"), stage.one("guard"));
        let fault = || {
            signal(work, Signal::STOP);
            Frozen::freeze(guard, is_old)
        };
        let name = if is_old { "old" } else { "unified" };
        stage.endure(&format!("SIGSTOP work and {name} freezer around guard"), fault, |frozen| {
            drop(frozen);
            signal(work, Signal::CONT);
        });
        stage.up.kill();
    }
}

/// Stops a process as a debugger does, for as long as the debugger lives.
fn attach(pid: i32) -> Child {
    let program = format!(
        "import ctypes, os, sys, time\n\
         libc = ctypes.CDLL(None, use_errno=True)\n\
         for thread in os.listdir('/proc/{pid}/task'):\n\
         \x20   if libc.ptrace(16, int(thread), None, None) != 0: sys.exit(1)\n\
         print('held', flush=True)\n\
         time.sleep(60)\n"
    );
    let mut command = Command::new("python3");
    command.args(["-c", &program]).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut debugger = command.spawn().expect("python3 is installed");
    let mut said = [0; 4];
    debugger.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("the debugger holds it");
    debugger
}
