//! The kernel's own watchdog over those who owe it answers.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

const SETTING: &str = "/proc/sys/fs/fanotify/watchdog_timeout";
/// The kernel counts in seconds. Longer than anybody may take, shorter than the test.
const SECONDS: &str = "3";

/// The watchdog is on while this lives, where the kernel has one.
pub(crate) struct Watchdog {
    before: Option<String>,
    log: Option<File>,
}

impl Watchdog {
    pub(crate) fn on() -> Self {
        let before = std::fs::read_to_string(SETTING).ok();
        let before = before.filter(|_| std::fs::write(SETTING, SECONDS).is_ok());
        let mut log = File::options();
        log.read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed());
        let log = log.open("/dev/kmsg").ok().filter(|mut log| log.seek(SeekFrom::End(0)).is_ok());
        if before.is_none() || log.is_none() {
            println!("the kernel's watchdog over fanotify is not to be had here");
        }
        Self { before, log }
    }

    /// Nobody of these is complained of. Others on the host may be: the log is everybody's.
    pub(crate) fn assert_silent(mut self, pids: &[i32]) {
        let Some(log) = &mut self.log else { return };
        let mut line = [0; 8192];
        loop {
            let length = match log.read(&mut line) {
                Ok(length) => length,
                // Overwritten before it was read: what comes after is still there.
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PIPE.raw_os_error()) => {
                    continue;
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("the kernel's log can't be read: {error}"),
            };
            let line = String::from_utf8_lossy(&line[..length]);
            let is_ours = |pid: &i32| line.contains(&format!("PID {pid} "));
            assert!(!(line.contains("fanotify") && pids.iter().any(is_ours)), "{line}");
        }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = std::fs::write(SETTING, before);
        }
    }
}
