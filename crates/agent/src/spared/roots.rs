//! Where the spared set begins.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Init, login, remote login and package managers, by the paths that distributions use.
const PROGRAMS: &[&str] = &[
    "/sbin/init",
    "/lib/systemd/systemd",
    "/lib/systemd/systemd-journald",
    "/lib/systemd/systemd-logind",
    "/lib/systemd/systemd-udevd",
    "/bin/systemctl",
    "/bin/login",
    "/sbin/agetty",
    "/bin/su",
    "/usr/bin/sudo",
    "/sbin/sulogin",
    "/usr/sbin/sshd",
    "/usr/lib/openssh/sshd-session",
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sshd-session",
    "/usr/libexec/openssh/sftp-server",
    "/usr/bin/ssh",
    "/usr/bin/scp",
    "/usr/bin/dpkg",
    "/usr/bin/dpkg-deb",
    "/usr/bin/apt",
    "/usr/bin/apt-get",
    "/usr/lib/apt/methods/http",
    "/usr/lib/apt/methods/store",
    "/usr/bin/rpm",
    "/usr/bin/dnf",
    "/usr/bin/dnf5",
    "/usr/bin/yum",
    "/usr/bin/zypper",
    "/sbin/apk",
    "/usr/bin/pacman",
    "/bin/mount",
    "/bin/umount",
    "/bin/busybox",
];

/// The programs whose loss would leave nobody a way in, as far as they are on this machine.
pub(super) fn roots() -> BTreeSet<PathBuf> {
    let shells = fs::read_to_string("/etc/shells").unwrap_or_default();
    let shells = shells.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from);
    let named = PROGRAMS.iter().chain(&["/bin/sh", "/bin/bash"]).map(PathBuf::from);
    named
        .chain(shells)
        .filter(|path| path != Path::new("/"))
        .filter_map(|path| path.canonicalize().ok())
        .collect()
}
