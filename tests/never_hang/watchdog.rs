//! The kernel's own watchdog over fanotify listeners: on, and silent.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

const SYSCTL: &str = "/proc/sys/fs/fanotify/watchdog_timeout";
/// Seconds; what the kernel takes as its least.
const LEAST: &str = "1";

/// The watchdog while it is on. Dropped, it is as it was before.
pub(crate) struct Watchdog {
    before: Option<String>,
    log: Option<File>,
}

impl Watchdog {
    /// Turns it on, where that is possible.
    pub(crate) fn turn_on() -> Self {
        let before = fs::read_to_string(SYSCTL).ok().filter(|_| fs::write(SYSCTL, LEAST).is_ok());
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
        let log = File::options().read(true).custom_flags(nonblocking).open("/dev/kmsg").ok();
        let log = log.and_then(|mut log| log.seek(SeekFrom::End(0)).ok().map(|_| log));
        if before.is_none() || log.is_none() {
            println!("the kernel has no fanotify watchdog, or its log can't be read");
        }
        Self { before, log }
    }

    /// What it has complained of since, about one of these processes.
    pub(crate) fn complaints(&mut self, pids: &[i32]) -> Vec<String> {
        let mut found = Vec::new();
        let mut record = [0; 8192];
        while let Some(length) = self.log.as_mut().and_then(|log| log.read(&mut record).ok()) {
            let line = String::from_utf8_lossy(&record[..length]).into_owned();
            let is_ours = pids.iter().any(|pid| line.contains(&format!("PID {pid} ")));
            if length == 0 {
                break;
            }
            if line.contains("failed to respond to fanotify queue") && is_ours {
                found.push(line);
            }
        }
        found
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(SYSCTL, before.trim());
        }
    }
}
