//! A machine within this one, whose first process is systemd: process, mount and control group namespaces of its own,
//! over this machine's root, to which nothing is written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::run;

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const LIMIT_SECONDS: &str = "90";

/// Whether this process runs as a service of such a machine.
pub fn is_within() -> bool {
    std::env::var_os("QUELL_TEST_WITHIN").is_some()
}

/// The machine. What is written in it is kept until it is dropped.
#[derive(Debug)]
pub struct Machine {
    dir: tempfile::TempDir,
    /// The control group of all that runs in it.
    group: PathBuf,
}

impl Machine {
    /// One with `quell` in `/usr/bin`, and a tmpfs on `/guarded`. None, and a line that says why, where that can't be.
    ///
    /// # Panics
    /// When mounting fails.
    pub fn new() -> Option<Self> {
        if !Path::new(SYSTEMD).exists() {
            println!("not run: there is no {SYSTEMD}; install the package systemd");
            return None;
        }
        let hierarchies = sys::cgroup::hierarchies().expect("the mount table");
        let Some(unified) = hierarchies.iter().find(|hierarchy| !hierarchy.is_old()) else {
            println!("not run: systemd needs the unified control groups, which are not mounted");
            return None;
        };
        let own = unified.group_of(std::process::id().cast_signed()).expect("a control group");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let name = dir.path().file_name().expect("a name").to_string_lossy().trim_matches('.').to_owned();
        let machine = Self { group: own.join(format!("machine-{name}")), dir };
        fs::create_dir(&machine.group).expect("a control group of its own");
        let files = machine.files();
        fs::create_dir(&files).expect("a mount point");
        sys::mounts::mount_tmpfs(&files, 1 << 30).expect("a tmpfs");
        let [upper, work, root] = ["upper", "work", "root"].map(|name| files.join(name));
        [&upper, &work, &root].into_iter().for_each(|part| fs::create_dir(part).expect("a directory"));
        let layers = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
        run(Command::new("mount").args(["-t", "overlay", "-o", &layers, "overlay"]).arg(&root))
            .expect("an overlay");
        for empty in ["guarded", "var/lib/quell", "etc/quell"] {
            let _ = fs::remove_dir_all(root.join(empty));
            fs::create_dir_all(root.join(empty)).expect("an empty directory");
        }
        machine.put(&crate::up::binary(), "usr/bin/quell");
        machine.put(&std::env::current_exe().expect("a path"), "test");
        Some(machine)
    }

    fn files(&self) -> PathBuf {
        self.dir.path().join("files")
    }

    /// Its root, from outside.
    pub fn root(&self) -> PathBuf {
        self.files().join("root")
    }

    fn put(&self, program: &Path, place: &str) {
        let place = self.root().join(place);
        fs::copy(program, &place).expect("a copy");
        fs::set_permissions(&place, PermissionsExt::from_mode(0o755)).expect("an executable");
    }

    /// Writes a unit.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn unit(&self, name: &str, text: &str) {
        let place = self.root().join("etc/systemd/system").join(name);
        fs::create_dir_all(place.parent().expect("a directory")).expect("a directory");
        fs::write(place, text).expect("a unit");
    }

    /// Starts it with the units of `wants`, and runs the test of that name in this same program as its last service.
    ///
    /// # Panics
    /// When that test does not pass there.
    pub fn boot(&self, test: &str, wants: &[&str]) {
        self.unit("test.service", &SERVICE.replace("@TEST@", test));
        let wants = wants.join(" ");
        self.unit("test.target", &TARGET.replace("@WANTS@", &wants));
        let said = self.root().join("said");
        let _ = fs::remove_file(&said);
        let script = format!("echo $$ > {}/cgroup.procs; {NEW} sh -c '{BOOT}'", self.group.display());
        let mut command = Command::new("timeout");
        command.args(["-k", "5", LIMIT_SECONDS, "sh", "-ec", &script]).current_dir(self.root());
        let ended = command.stdin(Stdio::null()).output().expect("sh");
        let said = fs::read_to_string(said).unwrap_or_default();
        // The inner test's own lines would be counted.
        let inner = said.lines().filter(|line| !line.is_empty()).map(|line| format!("    {line}\n"));
        let inner: String = inner.collect();
        assert!(
            ended.status.success(),
            "{}: {}\n{inner}",
            ended.status,
            String::from_utf8_lossy(&ended.stderr)
        );
        assert!(said.contains("test result: ok. 1 passed"), "it did not run:\n{inner}");
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for place in [self.root(), self.files()] {
            let _ = sys::mounts::unmount_lazily(&place);
        }
        // The groups that systemd made are empty by now, or are so in a moment.
        for _ in 0..100 {
            remove_groups(&self.group);
            if !self.group.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
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

const NEW: &str =
    "exec unshare --pid --fork --kill-child --mount --propagation private --cgroup --uts --ipc --net";

/// In the new root. What the kernel lets be set for all machines at once is not to be set there.
const BOOT: &str = "
set -e
mount -t proc proc proc; mount --bind proc/sys proc/sys; mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys; mount --bind sys sys; mount -o remount,bind,ro sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for place in run tmp dev guarded; do mount -t tmpfs tmpfs $place; done
for file in null zero full random urandom; do : > dev/$file; mount --bind /dev/$file dev/$file; done
mkdir dev/pts dev/shm; : > dev/console
export container=other
exec chroot . /usr/lib/systemd/systemd --system --unit=test.target --log-target=null
";

const TARGET: &str = "[Unit]
DefaultDependencies=no
Requires=test.service
Wants=@WANTS@
";

const SERVICE: &str = "[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
FailureActionExitStatus=3
[Service]
Type=oneshot
ExecStart=/test --exact @TEST@ --nocapture --test-threads=1
Environment=QUELL_PRIVATE_NAMESPACE=1 QUELL_TEST_WITHIN=1 QUELL_BINARY=/usr/bin/quell RUST_BACKTRACE=1
StandardOutput=file:/said
StandardError=file:/said
";
