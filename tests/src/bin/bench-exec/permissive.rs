//! A responder that permits everything on a filesystem: what the mechanism costs if nobody thinks.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::Context;
use sys::fanotify::EventBuffer;
use sys::fanotify::permission::{About, Answer, PermissionGroup};

/// A process of this program that permits everything on a filesystem, until it is dropped.
pub(crate) struct Responder(std::process::Child);

impl Responder {
    pub(crate) fn start(root: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("--permit-all").arg(root).stdout(Stdio::piped()).spawn()?;
        let mut ready = [0; 1];
        let out = child.stdout.as_mut().context("no pipe")?;
        std::io::Read::read_exact(out, &mut ready).context("it never says that it is ready")?;
        Ok(Self(child))
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What that process does.
pub(crate) fn permit_all(directory: &Path) -> ! {
    let root = std::fs::File::open(directory).expect("its filesystem");
    let group = PermissionGroup::new(About::Execs).expect("the right to answer");
    group.mark_filesystem(root.as_fd()).expect("a mark");
    println!("ready");
    let mut buffer = EventBuffer::default();
    loop {
        let mut ready = [rustix::event::PollFd::new(&group, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut ready, None).expect("a poll");
        for question in group.read(&mut buffer).expect("a question") {
            group.answer(question.file.as_fd(), Answer::Permit).expect("an answer");
        }
    }
}
