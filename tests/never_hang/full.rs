//! What is full or not read: the disk under the ledger, the pipe behind stderr.

use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use tests::up::Options;

use crate::stage::{Stage, head, signal};

/// A data directory on a tiny filesystem of its own.
fn on_tiny(dir: &Path, options: &mut Options) {
    fs::create_dir(&options.data_dir).unwrap();
    sys::mounts::mount_tmpfs(&options.data_dir, 24 << 20).unwrap();
    assert!(options.data_dir.starts_with(dir));
    fs::set_permissions(&options.data_dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
}

/// Takes all that is left.
fn fill(data_dir: &Path) {
    let mut file = fs::File::create(data_dir.join("filler")).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
}

#[test]
fn the_disk_under_the_ledger() {
    head();
    for (case, also) in [
        ("full disk", None),
        ("full disk and SIGKILL work", Some(("work", Signal::KILL))),
        ("full disk and SIGSTOP guard", Some(("guard", Signal::STOP))),
        ("full disk and SIGKILL guard", Some(("guard", Signal::KILL))),
    ] {
        let Some(stage) = Stage::set_with(on_tiny) else { return };
        let data_dir = stage.dir.path().join("data");
        let fault = || {
            fill(&data_dir);
            if let Some((verb, with)) = also {
                signal(stage.one(verb), with);
            }
        };
        stage.endure(case, fault, |()| ());
        stage.up.kill();
        sys::mounts::unmount_lazily(&data_dir).unwrap();
    }
}

#[test]
fn a_log_that_nobody_reads() {
    head();
    for (case, also) in [
        ("log that nobody reads", None),
        ("log that nobody reads and SIGSTOP work", Some(("work", Signal::STOP))),
        ("log that nobody reads and SIGSTOP guard", Some(("guard", Signal::STOP))),
        ("log that nobody reads and SIGKILL guard", Some(("guard", Signal::KILL))),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        let log = Arc::new(OwnedFd::from(writer.try_clone().unwrap()));
        let Some(stage) = Stage::set_with(|_, options| options.log = Some(log)) else { return };
        let fault = || {
            // The openers of the denied file, each of which is logged, need not fill it.
            rustix::io::ioctl_fionbio(&writer, true).unwrap();
            let full = loop {
                if let Err(error) = std::io::Write::write(&mut &writer, &[b'x'; 4096]) {
                    break error;
                }
            };
            assert_eq!(full.kind(), std::io::ErrorKind::WouldBlock);
            // The flag is of the pipe's end that all share.
            rustix::io::ioctl_fionbio(&writer, false).unwrap();
            if let Some((verb, with)) = also {
                signal(stage.one(verb), with);
            }
        };
        stage.endure(case, fault, |()| signal(stage.one("work"), Signal::CONT));
        stage.up.kill();
        // Open until now: to a pipe without a reader one can't write at all.
        drop(reader);
    }
}
