//! Disks that remember what they were told, in order, and refuse what they are told to refuse.
//!
//! Each is a file in FUSE under a loop device, so that a real filesystem lies on it. What they were told can be cut
//! at any place, and mounted: what a machine finds after its power came back.

mod faults;
mod history;
mod platter;
mod serve;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::mount::MountFlags;

pub(crate) use faults::Kind;

/// In the process that is the disks: images and where to show them, by lines.
const ORDERS: &str = "QUELL_DISK_CHILD";

/// The filesystem on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Ext4,
    Xfs,
}

impl On {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
        }
    }

    fn make(self, image: &Path) {
        let (size, arguments): (u64, &[&str]) = match self {
            // Everything at once, instead of bit by bit after mounting.
            Self::Ext4 => (24 << 20, &["-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0"]),
            // It takes no less.
            Self::Xfs => (300 << 20, &["-q", "-f"]),
        };
        File::create(image).unwrap().set_len(size).unwrap();
        run(&format!("mkfs.{}", self.word()), arguments, image);
    }
}

/// What is not here, but needed.
pub(crate) fn missing() -> Option<&'static str> {
    let is_there = |program: &&str| {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = std::env::split_paths(&path);
        own.chain(["/usr/sbin".into(), "/sbin".into()]).any(|dir: PathBuf| dir.join(program).is_file())
    };
    let device = (!Path::new("/dev/fuse").exists()).then_some("/dev/fuse");
    device.or(["losetup", "mkfs.ext4", "mkfs.xfs"].into_iter().find(|program| !is_there(program)))
}

/// Some disks, and where they are mounted.
pub(crate) struct Disks {
    process: Child,
    orders: UnixStream,
    answers: BufReader<UnixStream>,
    disks: Vec<Disk>,
}

struct Disk {
    on: On,
    device: String,
    point: PathBuf,
    is_mounted: bool,
}

impl Disks {
    /// One for each of `points`, each with an empty filesystem, none mounted. `dir` is for their images.
    pub(crate) fn new(dir: &Path, on: On, points: &[PathBuf]) -> Self {
        let mut images = Vec::new();
        let mut files = Vec::new();
        for number in 0..points.len() {
            let (image, file) = (dir.join(format!("image-{number}")), dir.join(format!("disk-{number}")));
            on.make(&image);
            File::create(&file).unwrap();
            images.push(image);
            files.push(file);
        }
        let (ours, theirs) = UnixStream::pair().unwrap();
        let words: Vec<String> = images.iter().chain(&files).map(|path| path.display().to_string()).collect();
        let process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_is_the_disks", "--nocapture"])
            .env(ORDERS, words.join("\n"))
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let answers = BufReader::new(ours.try_clone().unwrap());
        let mut all = Self { process, orders: ours, answers, disks: Vec::new() };
        all.ask("ready");
        for (file, point) in files.into_iter().zip(points) {
            let device = attach(&file);
            all.ask(&format!("attached {device}"));
            all.disks.push(Disk { on, device, point: point.clone(), is_mounted: false });
        }
        all
    }

    /// Mounts all, in order; the kernel brings each filesystem's own journal to its end.
    pub(crate) fn mount(&mut self) -> io::Result<()> {
        for disk in &mut self.disks {
            let flags = MountFlags::empty();
            rustix::mount::mount(disk.device.as_str(), &disk.point, disk.on.word(), flags, c"")?;
            disk.is_mounted = true;
        }
        Ok(())
    }

    /// Unmounts all.
    pub(crate) fn unmount(&mut self) {
        for disk in self.disks.iter_mut().rev().filter(|disk| disk.is_mounted) {
            unmount(&disk.point);
            disk.is_mounted = false;
        }
    }

    /// What is there now is what a cut begins with.
    pub(crate) fn record(&mut self) {
        self.ask("record");
    }

    /// The same, until [`Self::unnest`]: then what was recorded before can be cut again.
    pub(crate) fn nest(&mut self) {
        self.ask("nest");
    }

    pub(crate) fn unnest(&mut self) {
        self.ask("unnest");
    }

    /// How many writes and flushes there were.
    pub(crate) fn length(&mut self) -> usize {
        self.ask("length").parse().unwrap()
    }

    /// What there was: `w` or `f`, and the number of the disk.
    pub(crate) fn shape(&mut self) -> Vec<String> {
        self.ask("shape").split(' ').filter(|sign| !sign.is_empty()).map(str::to_owned).collect()
    }

    /// Cuts the power after so many writes and flushes. With a seed, of what was not flushed some is lost, also
    /// before what is kept. Returns what became of what was not flushed.
    pub(crate) fn cut(&mut self, length: usize, seed: Option<u64>) -> String {
        let seed = seed.map(|seed| format!(" {seed}")).unwrap_or_default();
        self.ask(&format!("cut {length}{seed}"))
    }

    /// How many reads, writes and flushes there were, for each disk.
    pub(crate) fn counts(&mut self) -> Vec<u64> {
        self.ask("counts").split(' ').map(|count| count.parse().unwrap()).collect()
    }

    /// Where they are mounted.
    pub(crate) fn points(&self) -> Vec<PathBuf> {
        self.disks.iter().map(|disk| disk.point.clone()).collect()
    }

    /// Lets `skip` requests of a kind through, then answers `times` of them with an error.
    pub(crate) fn fail(&mut self, disk: usize, kind: Kind, skip: u64, times: u64, errno: rustix::io::Errno) {
        self.ask(&format!("fail {disk} {} {skip} {times} {}", kind.word(), errno.raw_os_error()));
    }

    /// Ends all failing. Returns how many requests were refused.
    pub(crate) fn heal(&mut self) -> u64 {
        self.ask("heal").parse().unwrap()
    }

    fn ask(&mut self, order: &str) -> String {
        self.orders.write_all(format!("{order}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        assert!(answer.ends_with('\n'), "the disks have ended at {order:?}");
        answer.trim_end_matches('\n').to_owned()
    }
}

impl Drop for Disks {
    fn drop(&mut self) {
        for disk in self.disks.iter().rev().filter(|disk| disk.is_mounted) {
            let _ = sys::mounts::unmount_lazily(&disk.point);
        }
        // The end of its orders ends it.
        let _ = self.orders.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// To be called by a test of that name in each program that has disks.
pub(crate) fn be_the_disks() {
    let Ok(orders) = std::env::var(ORDERS) else { return };
    let paths: Vec<&Path> = orders.lines().map(Path::new).collect();
    let (images, points) = paths.split_at(paths.len() / 2);
    serve::run(images, points);
}

fn attach(file: &Path) -> String {
    let mut command = Command::new("losetup");
    command.args(["--find", "--show", "--direct-io=on"]).arg(file);
    // Another test may take the free one first.
    for _ in 0..20 {
        let done = command.output().unwrap();
        if done.status.success() {
            return String::from_utf8(done.stdout).unwrap().trim().to_owned();
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("no loop device for {}", file.display());
}

fn unmount(point: &Path) {
    // Somebody may be looking at it.
    for _ in 0..200 {
        match rustix::mount::unmount(point, rustix::mount::UnmountFlags::empty()) {
            Ok(()) => return,
            Err(rustix::io::Errno::BUSY) => std::thread::sleep(std::time::Duration::from_millis(10)),
            Err(error) => panic!("unmounting {}: {error}", point.display()),
        }
    }
    panic!("{} stays busy", point.display());
}

fn run(program: &str, arguments: &[&str], last: &Path) {
    let status = Command::new(program).args(arguments).arg(last).stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{program} {arguments:?} {}", last.display());
}
