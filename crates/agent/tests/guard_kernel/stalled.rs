//! A disk that does not answer: what lies elsewhere is judged all the same.

use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::arena::{Arena, EPERM, Kind, PATIENCE, deny, digests, run};

const GROUPS: &str = "/sys/fs/cgroup/blkio";
const LIMIT: &str = "blkio.throttle.read_bps_device";

/// This process may read a byte in a second from one device.
struct Stalled {
    group: PathBuf,
    device: String,
}

impl Stalled {
    fn begin(ground: &Path) -> Option<Self> {
        let device = sys::mounts::containing(ground).unwrap().device;
        let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
        let group = Path::new(GROUPS).join(format!("quell-test-{}", std::process::id()));
        let stalled = Self { group, device };
        let begun = fs::create_dir(&stalled.group)
            .and_then(|()| stalled.limit("1"))
            .and_then(|()| fs::write(stalled.group.join("cgroup.procs"), std::process::id().to_string()));
        match begun {
            Ok(()) => Some(stalled),
            Err(error) => {
                eprintln!("not run: reads can't be held up here: {error}");
                None
            }
        }
    }

    fn limit(&self, bytes: &str) -> std::io::Result<()> {
        fs::write(self.group.join(LIMIT), format!("{} {bytes}", self.device))
    }
}

impl Drop for Stalled {
    fn drop(&mut self) {
        let _ = self.limit("0");
        let _ = fs::write(Path::new(GROUPS).join("cgroup.procs"), std::process::id().to_string());
        let deadline = Instant::now() + PATIENCE;
        while fs::remove_dir(&self.group).is_err() && self.group.exists() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Its content is on the disk alone.
fn forget_content(path: &Path) {
    let file = File::open(path).unwrap();
    file.sync_all().unwrap();
    rustix::fs::fadvise(file.as_fd(), 0, None, rustix::fs::Advice::DontNeed).unwrap();
}

#[test]
fn who_waits_for_a_dead_disk_keeps_nobody_else_waiting() {
    let Some(arena) = Arena::enter_all(&[Kind::Ext4, Kind::Tmpfs]) else { return };
    let other = &arena.grounds()[1];
    let dying: Vec<_> = (0..6).map(|n| arena.program(&format!("dying {n}"), &n.to_string())).collect();
    let bad: Vec<_> = (0..6).map(|n| other.join(format!("bad {n}"))).collect();
    for (number, bad) in bad.iter().enumerate() {
        fs::copy(arena.program("bad", &format!("bad {number}")), bad).unwrap();
    }
    let guarded = arena.guarded();
    guarded.adopt((1..).zip(&bad).map(|(id, bad)| deny(id, &digests(bad))));
    dying.iter().for_each(|path| forget_content(path));
    let Some(stalled) = Stalled::begin(arena.ground()) else { return };
    let waiting: Vec<_> = dying.into_iter().map(|path| thread::spawn(move || run(&path))).collect();
    thread::sleep(Duration::from_secs(1));
    for bad in &bad {
        assert_eq!(run(bad), Err(EPERM), "{}", bad.display());
    }
    let status = guarded.status(|status| status.standing_still > 0);
    println!("{} readers stand still", status.standing_still);
    assert!(status.standing_still <= 3, "{}", status.standing_still);
    drop(stalled);
    for waiting in waiting {
        assert_eq!(waiting.join().unwrap(), Ok(0));
    }
    guarded.status(|status| status.standing_still == 0);
}
