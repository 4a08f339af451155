//! The first process of the emulated machine: this very program, put into its memory as `/init`. It prepares a
//! machine that is like any other, runs the commands it finds, and switches off.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::mount::{MountFlags, mount};
use rustix::system::{RebootCommand, reboot};

use super::marks::{Mark, ORDERS, PORT};
use super::order::Order;

mod command;

const MOUNTS: &[(&str, &str, &str)] = &[
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("securityfs", "/sys/kernel/security", ""),
    ("debugfs", "/sys/kernel/debug", ""),
    ("tracefs", "/sys/kernel/tracing", ""),
    ("bpf", "/sys/fs/bpf", "mode=0700"),
    ("cgroup2", "/sys/fs/cgroup", ""),
    ("devpts", "/dev/pts", "mode=0620,ptmxmode=0666"),
    ("tmpfs", "/dev/shm", "mode=1777"),
    ("tmpfs", "/run", "mode=0755"),
    ("tmpfs", "/tmp", "mode=1777"),
];
/// Directories that a filesystem must be given before it can be mounted.
const POINTS: &[&str] = &["/dev/pts", "/dev/shm"];
/// What the kernel does not load by itself when it is needed; and an address for who serves himself.
const PREPARATIONS: &[(&str, &[&str])] =
    &[("modprobe", &["-a", "virtio_pci", "virtio_console", "loop"]), ("ip", &["link", "set", "lo", "up"])];

/// Whether this process is the first one of an emulated machine.
pub(crate) fn is_guest() -> bool {
    std::process::id() == 1 && Path::new(ORDERS).is_dir()
}

/// Does all of it. Never returns: when the first process ends, the kernel panics, and that is reported.
pub(crate) fn run() -> ! {
    if let Err(why) = work() {
        eprintln!("guest-init: {why:#}");
    }
    rustix::fs::sync();
    let _unreachable = reboot(RebootCommand::PowerOff);
    loop {
        std::thread::park();
    }
}

fn work() -> Result<()> {
    for (kind, place, data) in MOUNTS {
        if POINTS.contains(place) {
            std::fs::create_dir_all(place)?;
        }
        let data = std::ffi::CString::new(*data)?;
        mount(*kind, *place, *kind, MountFlags::empty(), data.as_c_str())
            .with_context(|| format!("cannot mount {kind} on {place}"))?;
    }
    for (program, arguments) in PREPARATIONS {
        let status = Command::new(program).args(*arguments).env("PATH", command::PATH).status();
        ensure!(status.is_ok_and(|status| status.success()), "failed: {program} {arguments:?}");
    }
    let mut output = port()?;
    let word = std::fs::read_to_string(Path::new(ORDERS).join("word"))?;
    for number in 0.. {
        let place = Path::new(ORDERS).join(number.to_string());
        if !place.is_dir() {
            break;
        }
        command::run(&Order::read(&place)?, number, &word, &mut output)?;
    }
    command::say(&mut output, Mark::Done, &word)
}

/// The port to the host, by its name. It appears a moment after its driver.
fn port() -> Result<File> {
    for _ in 0..500 {
        if let Some(device) = find_port() {
            return OpenOptions::new().write(true).open(&device).context("cannot open the port to the host");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    bail!("there is no port named {PORT}")
}

fn find_port() -> Option<PathBuf> {
    let ports = std::fs::read_dir("/sys/class/virtio-ports").ok()?;
    let named =
        |port: &PathBuf| std::fs::read_to_string(port.join("name")).is_ok_and(|name| name.trim() == PORT);
    let port = ports.filter_map(|port| Some(port.ok()?.path())).find(named)?;
    let device = Path::new("/dev").join(port.file_name()?);
    device.exists().then_some(device)
}
