//! A filesystem whose daemon never answers, below a guarded place.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use rustix::fd::AsRawFd;
use rustix::mount::MountFlags;
use rustix::process::Signal;

use crate::stage::{Stage, head, signal};

#[test]
fn a_filesystem_that_never_answers() {
    let Some(stage) = Stage::set() else { return };
    head();
    for (case, also) in
        [("FUSE that never replies", None), ("FUSE that never replies and SIGSTOP work", Some("work"))]
    {
        let point = stage.ground.root().join("stalls");
        fs::create_dir_all(&point).unwrap();
        // Nobody reads from it, so that not even the first request is answered.
        let Ok(daemon) = File::options().read(true).write(true).open("/dev/fuse") else {
            println!("not run: no /dev/fuse here");
            return;
        };
        let fault = || {
            let options =
                format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other", daemon.as_raw_fd());
            let options = std::ffi::CString::new(options).unwrap();
            rustix::mount::mount("never", &point, "fuse", MountFlags::empty(), options.as_c_str()).unwrap();
            let mut command = Command::new("sh");
            command.args(["-c", &format!("exec {}/program", point.display())]);
            let stuck = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            also.iter().for_each(|verb| signal(stage.one(verb), Signal::STOP));
            stuck
        };
        let seen = stage.endure(case, fault, |mut stuck| {
            assert!(stuck.try_wait().unwrap().is_none(), "whoever runs something there waits for its daemon");
            stuck.kill().unwrap();
            stuck.wait().unwrap();
            also.iter().for_each(|verb| signal(stage.one(verb), Signal::CONT));
        });
        assert_eq!(seen.denied.ran, 0, "the guard goes on");
        drop(daemon);
        sys::mounts::unmount_lazily(&point).unwrap();
    }
    stage.up.kill();
}
