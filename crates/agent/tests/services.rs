//! Stopping what a service manager starts again, on a machine of its own: systemd is process 1 of a new process
//! namespace, with an overlay over this machine's root. Nothing of this machine is written to.
//!
//! ```sh
//! timeout 120 unshare -m --propagation private env QUELL_PRIVATE_NAMESPACE=1 cargo test -p agent --test services
//! ```

mod arena;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use agent::acts::quarantine;
use model::act::{Act, CopyState, Do};
use model::log::Position;
use model::{ActId, FileId, MachineId, OrderId, Time};

use arena::scene::{Scene, wait_until};
use arena::{Image, Kind, digests_of};

/// Set for the part that runs as a service of the machine within.
const WITHIN: &str = "QUELL_TEST_WITHIN";
const LIMIT_SECONDS: &str = "60";

#[test]
fn a_service_that_would_come_back_is_stopped_as_well() {
    if std::env::var_os(WITHIN).is_some() {
        return within();
    }
    let Some(machine) = Machine::new() else { return };
    machine.boot("a_service_that_would_come_back_is_stopped_as_well");
}

fn within() {
    let scene = Scene::open(Kind::Tmpfs).unwrap();
    let evil = scene.program("evil", "/bin/sleep");
    let evil_path = evil.display();
    unit("main", &format!("ExecStart={evil_path} 300\nRestart=always\nRestartSec=0"));
    unit("once", &format!("ExecStart={evil_path} 301\nRestart=no"));
    // It outlives its parent in a service whose own program is innocent.
    let strays = format!("ExecStart=/bin/sh -c '({evil_path} 302 &); exec /bin/sleep 303'\nRestart=always");
    unit("keeper", &strays);
    systemctl(&["daemon-reload"]);
    systemctl(&["start", "main.service", "once.service", "keeper.service"]);
    let evils = || sys::processes::all().filter(|pid| runs(*pid, &evil)).count();
    wait_until("three run", || evils() == 3);

    let file = FileId::Sha256(digests_of(&Image::of(&evil).unwrap().bytes).sha256);
    let act = Act {
        id: ActId::random(),
        order: OrderId::random(),
        machine: MachineId([1; 20]),
        what: Do::Quarantine(file),
        after: Position::default(),
        deadline: Time::from_ticks(i64::MAX),
    };
    let outcome = quarantine(&scene.grounds, &act, file, vec![evil.clone()], &mut |_| {});
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.services, ["main.service"], "{outcome:?}");
    assert!(outcome.copies.iter().all(|copy| copy.state == CopyState::Succeeded), "{outcome:?}");
    assert!(outcome.stopped >= 3, "{outcome:?}");
    assert_eq!(evils(), 0);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(state_of("main.service"), "inactive", "it is not started again and again");
    assert_eq!(state_of("keeper.service"), "active");
}

fn unit(name: &str, lines: &str) {
    let text = format!("[Unit]\nDefaultDependencies=no\n[Service]\nType=exec\n{lines}\n");
    fs::write(format!("/run/systemd/system/{name}.service"), text).unwrap();
}

fn systemctl(arguments: &[&str]) {
    let status = Command::new("systemctl").args(arguments).status().unwrap();
    assert!(status.success(), "systemctl {arguments:?}: {status}");
}

fn state_of(unit: &str) -> String {
    let told = Command::new("systemctl").args(["is-active", unit]).output().unwrap();
    String::from_utf8(told.stdout).unwrap().trim().to_owned()
}

fn runs(pid: i32, program: &Path) -> bool {
    sys::processes::executable_path(pid).is_ok_and(|path| path == program)
}

/// Where systemd will be process 1.
struct Machine {
    dir: tempfile::TempDir,
    /// Of all that runs in it.
    group: PathBuf,
}

impl Machine {
    fn new() -> Option<Self> {
        if std::env::var_os("QUELL_PRIVATE_NAMESPACE").is_none_or(|value| value != "1") {
            println!("not run: it mounts filesystems, which needs a mount namespace of its own");
            return None;
        }
        if !Path::new(SYSTEMD).exists() {
            println!("not run: there is no {SYSTEMD}; install the package systemd");
            return None;
        }
        let hierarchies = sys::cgroup::hierarchies().unwrap();
        let Some(unified) = hierarchies.iter().find(|hierarchy| !hierarchy.is_old()) else {
            println!("not run: systemd needs the unified control groups, which are not mounted");
            return None;
        };
        let own = unified.group_of(std::process::id().cast_signed()).unwrap();
        let group = own.join(format!("quell-test-{}", std::process::id()));
        fs::create_dir(&group).unwrap();
        Some(Self { dir: tempfile::tempdir().unwrap(), group })
    }

    /// Runs the test of that name, of this same program, as a service there, to its end.
    fn boot(&self, test: &str) {
        let files = self.dir.path().join("files");
        fs::create_dir(&files).unwrap();
        run("mount", &["-t", "tmpfs", "-o", "size=512m", "tmpfs", files.to_str().unwrap()]);
        let part = |name: &str| files.join(name);
        ["upper", "work", "root"].iter().for_each(|name| fs::create_dir(part(name)).unwrap());
        let (upper, work, root) = (part("upper"), part("work"), part("root"));
        let layers = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
        run("mount", &["-t", "overlay", "-o", &layers, "overlay", root.to_str().unwrap()]);
        fs::copy(std::env::current_exe().unwrap(), root.join("test")).unwrap();
        fs::set_permissions(root.join("test"), PermissionsExt::from_mode(0o755)).unwrap();
        let units = root.join("etc/systemd/system");
        fs::create_dir_all(&units).unwrap();
        let service = SERVICE.replace("@TEST@", test);
        fs::write(units.join("test.service"), service).unwrap();
        fs::write(units.join("test.target"), TARGET).unwrap();

        let script = format!("echo $$ > {}/cgroup.procs; {NEW} sh -c '{BOOT}'", self.group.display());
        let mut command = Command::new("timeout");
        command.args(["-k", "5", LIMIT_SECONDS, "sh", "-ec", &script]).current_dir(&root);
        let ended = command.stdin(Stdio::null()).output().unwrap();
        let said = fs::read_to_string(root.join("said")).unwrap_or_default();
        print!("{said}");
        assert!(ended.status.success(), "{}: {}", ended.status, String::from_utf8_lossy(&ended.stderr));
        assert!(said.contains("test result: ok. 1 passed"), "it ran");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for name in ["files/root", "files"] {
            let _ = sys::mounts::unmount_lazily(&self.dir.path().join(name));
        }
        // systemd's own groups below it are empty by now.
        for _ in 0..50 {
            remove_groups(&self.group);
            if !self.group.exists() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn remove_groups(group: &Path) {
    for entry in fs::read_dir(group).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_groups(&entry.path());
        }
    }
    let _ = fs::remove_dir(group);
}

fn run(program: &str, arguments: &[&str]) {
    let status = Command::new(program).args(arguments).status().unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const NEW: &str =
    "exec unshare --pid --fork --kill-child --mount --propagation private --cgroup --uts --ipc --net";
/// In the new root. What the kernel lets be set for all machines stays as it is.
const BOOT: &str = "
set -e
mount -t proc proc proc; mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys; mount -t tmpfs tmpfs sys/fs/cgroup; mount -o remount,rw sys 2>/dev/null || true
umount sys/fs/cgroup; mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; mount -t tmpfs tmpfs dev
for file in null zero full random urandom loop-control; do
  : > dev/$file; mount --bind /dev/$file dev/$file 2>/dev/null || true
done
mkdir dev/pts dev/shm; : > dev/console
export container=other
exec chroot . /usr/lib/systemd/systemd --system --unit=test.target --log-target=null
";
const TARGET: &str = "[Unit]\nDefaultDependencies=no\nRequires=test.service\n";
const SERVICE: &str = "[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
FailureActionExitStatus=3
[Service]
Type=oneshot
ExecStart=/test --exact @TEST@ --nocapture
Environment=QUELL_PRIVATE_NAMESPACE=1 QUELL_TEST_WITHIN=1 RUST_BACKTRACE=1
StandardOutput=file:/said
StandardError=file:/said
";
