//! A mount namespace of others, with a shell in it that does what it is told.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// It ends with the test, and what it alone has mounted with it.
pub(crate) struct Container {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Container {
    /// Root's own.
    pub(crate) fn start() -> Self {
        Self::by(&["unshare", "-m", "--propagation", "private"])
    }

    /// One that a user without rights makes for himself, with a user namespace.
    pub(crate) fn of_user() -> Self {
        Self::by(&["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "unshare", "-Urm"])
    }

    fn by(command: &[&str]) -> Self {
        let mut child = Command::new(command[0])
            .args(&command[1..])
            .args(["sh", "-c", r#"while read -r line; do eval "$line"; echo "= $?"; done"#])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// Does one thing; its status.
    pub(crate) fn tell(&mut self, line: &str) -> i32 {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
        let said = self.lines.find_map(|line| line.unwrap().strip_prefix("= ").map(str::to_owned));
        said.expect("the shell has ended").parse().unwrap()
    }

    /// Does one thing, which must go well.
    pub(crate) fn does(&mut self, line: &str) {
        assert_eq!(self.tell(line), 0, "{line}");
    }

    /// Where the test finds what lies there at a path.
    pub(crate) fn inside(&self, path: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.child.id().to_string())
            .join("root")
            .join(path.strip_prefix("/").unwrap())
    }

    /// Mounts a filesystem of which the daemon, the shell, never answers. `false` where there is none to be had.
    pub(crate) fn mount_mute(&mut self, point: &Path) -> bool {
        let options = "fd=9,rootmode=40000,user_id=0,group_id=0,allow_other";
        let point = point.display();
        self.tell(&format!("exec 9<>/dev/fuse && mount -i -t fuse -o {options} mute '{point}'")) == 0
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
