//! The kernel's own watchdog over fanotify listeners. Its complaints are counted, and prove nothing by themselves:
//! Linux 6.18 was seen to complain, at a timeout of a second, of a bare listener that held no question longer than
//! 63 ms. What is asserted is the stopwatch of every opener on the filesystem. A control is printed beside it: a
//! listener that does nothing but answer each question after 200 ms, as a guard without its agent does.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use sys::fanotify::EventBuffer;
use sys::fanotify::permission::{About, Answer, PermissionGroup};
use tests::filesystem::Filesystem;
use tests::sample::Sample;

use crate::openers::Openers;

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

/// Names the filesystem of the control, in its process.
const CONTROL: &str = "QUELL_TEST_CONTROL";
/// How long the control holds each question, and how long it lives.
const HOLDS: Duration = Duration::from_millis(200);
const LIVES: Duration = Duration::from_secs(8);

/// Prints once what this kernel's watchdog says of the control.
pub(crate) fn control_once() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let mut watchdog = Watchdog::turn_on();
        let ground = Filesystem::tmpfs();
        let file = ground.root().join("file");
        Sample::fresh().put(&file);
        // A process of its own: who holds a group starts no other.
        let mut control = Command::new(std::env::current_exe().unwrap());
        control.args(["watchdog::control", "--exact"]).env(CONTROL, ground.root());
        let mut control = control.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        let openers = Openers::start(&file, &file);
        let ended = control.wait().unwrap();
        let seen = openers.finish();
        assert!(ended.success(), "the control has failed");
        let worst = [seen.root, seen.other, seen.denied].map(|met| met.worst).into_iter().max().unwrap();
        let complaints = watchdog.complaints(&[control.id().cast_signed()]).len();
        println!(
            "never-hang | control: a listener that answers after 200 ms: worst exec {} ms, {complaints} complaints",
            worst.as_millis(),
        );
    });
}

/// No test of its own: the control, which guards the filesystem it is told and nothing else.
#[test]
fn control() {
    let Some(root) = std::env::var_os(CONTROL) else { return };
    let group = PermissionGroup::new(About::Execs).unwrap();
    let mount = sys::mounts::containing(Path::new(&root)).unwrap();
    assert_eq!(mount.point, Path::new(&root));
    group.mark_filesystem(File::open(&root).unwrap().as_fd()).unwrap();
    let (mut buffer, mut held) = (EventBuffer::new(64), Vec::new());
    let ends = Instant::now() + LIVES;
    while Instant::now() < ends {
        let now = Instant::now();
        held.extend(group.read(&mut buffer).unwrap().map(|question| (now, question)));
        held.retain(|(since, question)| {
            let waits = since.elapsed() < HOLDS;
            if !waits {
                let _ = group.answer(question.file.as_fd(), Answer::Permit);
            }
            waits
        });
        std::thread::sleep(Duration::from_millis(2));
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            let _ = fs::write(SYSCTL, before.trim());
        }
    }
}
