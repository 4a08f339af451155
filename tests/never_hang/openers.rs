//! People who run programs, with a stopwatch.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Another user than root.
const NOBODY: u32 = 65534;
const PAUSE: Duration = Duration::from_millis(3);

/// What one of them has met with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Met {
    /// The longest that an exec took.
    pub(crate) worst: Duration,
    pub(crate) ran: u32,
    pub(crate) refused: u32,
}

/// Openers at work: root and another user, of a file that may run, and of one that may not.
pub(crate) struct Openers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Met>>,
}

/// What all of them have met with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) root: Met,
    pub(crate) other: Met,
    pub(crate) denied: Met,
}

impl Openers {
    pub(crate) fn start(allowed: &Path, denied: &Path) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let opener = |path: &Path, user: Option<u32>| {
            let (path, stop): (PathBuf, _) = (path.to_owned(), stop.clone());
            thread::spawn(move || {
                let mut met = Met::default();
                while !stop.load(Ordering::Relaxed) {
                    met.count(&path, user);
                    thread::sleep(PAUSE);
                }
                met
            })
        };
        let threads = vec![opener(allowed, None), opener(allowed, Some(NOBODY)), opener(denied, None)];
        Self { stop, threads }
    }

    /// Stops them. Whoever still waits for an answer is waited for.
    pub(crate) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut met = self.threads.into_iter().map(|thread| thread.join().expect("an opener"));
        let mut next = || met.next().expect("three openers");
        Seen { root: next(), other: next(), denied: next() }
    }
}

impl Met {
    fn count(&mut self, path: &Path, user: Option<u32>) {
        let begun = Instant::now();
        let outcome = start(path, user);
        self.worst = self.worst.max(begun.elapsed());
        match outcome {
            Ok(mut child) => {
                self.ran += 1;
                let _ = child.wait();
            }
            Err(_) => self.refused += 1,
        }
    }
}

/// Returns when the exec is over; the program then runs.
fn start(path: &Path, user: Option<u32>) -> io::Result<std::process::Child> {
    let mut command = Command::new(path);
    command.arg("0").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Some(user) = user {
        command.uid(user).gid(user);
    }
    command.spawn()
}
