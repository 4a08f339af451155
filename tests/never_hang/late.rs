//! Who was let run by the timer is stopped when the verdict comes, whatever runs it then.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tests::sample::{Sample, try_run};
use tests::wait_for;

use crate::stage::{BACK, Stage, signal};

impl Stage {
    /// Starts what is denied while nobody can say what it is, and puts the agent back to work. What was started is
    /// over when this returns.
    fn run_late(&self, name: &str, sample: &Sample, arguments: &[&str], then: impl FnOnce(&Child)) {
        self.up.api().block(&sample.sha1);
        let probe = self.ground.root().join(format!("{name} probe"));
        sample.put(&probe);
        wait_for("the denial", BACK, || try_run(&probe).is_err().then_some(()));
        let path: PathBuf = self.ground.root().join(name);
        let work = self.one("work");
        signal(work, Signal::STOP);
        wait_for("it to stand still", BACK, || stands_still(work).then_some(()));
        sample.put(&path);
        let mut command = Command::new(&path);
        let mut child = command.args(arguments).stdin(Stdio::null()).spawn().expect("the timer lets it run");
        then(&child);
        assert!(child.try_wait().unwrap().is_none(), "it runs");
        signal(work, Signal::CONT);
        let status = wait_for("its end", BACK, || child.try_wait().unwrap());
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}

/// Whether a stop has reached every thread.
fn stands_still(pid: i32) -> bool {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

#[test]
fn a_script_is_stopped() {
    let Some(stage) = Stage::set() else { return };
    let nonce = stage.up.field("machineId");
    let script = Sample::of(format!("#!/bin/sh\n# {nonce}\n/bin/sleep \"$1\"\n:\n").into_bytes());
    stage.run_late("script", &script, &["60"], |_| ());
    stage.up.kill();
}

#[test]
fn a_child_that_it_has_started_meanwhile_is_stopped() {
    let Some(stage) = Stage::set() else { return };
    let shell = Sample::of([fs::read("/bin/bash").unwrap(), b"more".to_vec()].concat());
    let mut forked = None;
    stage.run_late("shell", &shell, &["-c", "(while :; do /bin/sleep 1; done) & wait"], |parent| {
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        forked = Some(wait_for("a child", Duration::from_secs(5), || {
            fs::read_to_string(&children).unwrap().split_whitespace().next()?.parse::<i32>().ok()
        }));
    });
    let forked = forked.unwrap();
    wait_for("the child's end", BACK, || sys::scheduling::is_over(forked).then_some(()));
    stage.up.kill();
}
