//! Where the spared set begins.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::linked;
use super::packages::{Chosen, Packages};

/// Where a program without a directory may lie.
const BIN: [&str; 6] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/sbin", "/usr/local/bin"];

/// What for, and the patterns of paths; a name alone is one of a program.
const PROGRAMS: &[(&str, &[&str])] = &[
    ("init", &[
        "init", "telinit", "runlevel", "shutdown", "reboot", "halt", "poweroff", "systemctl", "journalctl",
        "systemd-*", "/lib/systemd/systemd*", "/lib/systemd/system-generators/*", "/usr/lib/systemd/systemd*",
        "/usr/lib/systemd/system-generators/*", "dbus-daemon", "dbus-broker*", "/usr/lib/dbus-1.0/*",
        "/usr/libexec/dbus-1/*", "openrc*", "rc-service", "/lib/rc/bin/*", "/lib/rc/sbin/*", "runit*", "runsv*",
        "sv", "s6-*", "busybox", "/etc/init", "/etc/init.d/*", "/etc/rc", "/etc/rc.local", "/etc/rc.d/rc*",
        "/etc/rc.d/init.d/*", "/lib/init/*", "/lib/lsb/init-functions*", "/lib/lsb/init-functions.d/*",
        "start-stop-daemon", "service", "invoke-rc.d", "update-rc.d",
    ]),
    ("mounting what the machine starts from", &[
        "mount", "umount", "mount.*", "swapon", "losetup", "findmnt", "lsblk", "blkid", "fsck*", "e2fsck",
        "xfs_repair", "btrfs", "kmod", "modprobe", "insmod", "udevadm", "cryptsetup", "lvm", "mdadm", "dmsetup",
        "/lib/udev/*", "/usr/lib/udev/*",
    ]),
    ("login", &[
        "login", "agetty", "getty", "mgetty", "sulogin", "su", "runuser", "sudo", "sudoedit", "visudo", "doas",
        "nologin", "passwd", "chpasswd", "chage", "unix_chkpwd", "unix_update", "pam_*", "mkhomedir_helper",
        "faillock", "newgrp", "usermod", "sssd", "sssctl", "/usr/libexec/sssd/*", "winbindd", "nscd", "nslcd",
        "/usr/lib/sudo/*", "/usr/libexec/sudo/*", "polkitd", "/usr/lib/polkit-1/*", "/usr/libexec/polkitd",
    ]),
    ("ssh", &[
        "sshd", "ssh", "scp", "sftp", "ssh-*", "/usr/lib/openssh/*", "/usr/libexec/openssh/*", "/usr/lib/ssh/*",
        "dropbear*", "dbclient",
    ]),
    ("package manager", &[
        "dpkg", "dpkg-*", "apt", "apt-*", "aptitude*", "/usr/lib/apt/*", "/usr/lib/apt/*/*", "/usr/lib/dpkg/**/*",
        "/usr/libexec/dpkg/*", "/usr/share/debconf/*", "update-alternatives", "debconf*", "deb-system*", "ucf*",
        "gpgv*", "ldconfig*", "rpm", "rpm2*", "rpmdb*", "rpmkeys*", "rpmquery*", "rpmverify*", "/usr/lib/rpm/*",
        "/usr/lib*/rpm-plugins/*", "dnf", "dnf-*", "dnf5*", "tdnf", "yum", "microdnf", "zypper",
        "/usr/lib/zypp/*", "/usr/lib/zypper/**/*", "rpm-ostree", "ostree", "apk", "pacman", "pacman-*",
        "snap", "/usr/lib/snapd/*",
    ]),
    ("network", &[
        "ip", "ifup", "ifdown", "ifquery", "dhclient", "dhclient-script", "dhcpcd", "udhcpc", "NetworkManager",
        "nmcli", "/usr/lib*/NetworkManager/**/*", "/usr/lib/*/NetworkManager/**/*", "/usr/libexec/nm-*",
        "wpa_supplicant", "wicked*", "/usr/lib/wicked/**/*", "connmand", "netplan", "/usr/libexec/netplan/*",
        "resolvconf", "/usr/lib/resolvconf/*",
    ]),
    ("name service", &["/lib/*/libnss_*.so*", "/lib*/libnss_*.so*", "/usr/lib/*/libnss_*.so*", "/usr/lib*/libnss_*.so*"]),
    ("authentication module", &[
        "/lib/*/security/*.so", "/lib*/security/*.so", "/usr/lib/*/security/*.so", "/usr/lib*/security/*.so",
        "/usr/lib*/krb5/plugins/**/*.so", "/usr/lib/*/krb5/plugins/**/*.so",
    ]),
    ("cryptography module", &[
        "/usr/lib/*/ossl-modules/*", "/usr/lib*/ossl-modules/*", "/usr/lib/*/engines-*/*", "/usr/lib*/engines-*/*",
    ]),
    ("what each login shell reads", &[
        "/etc/profile", "/etc/profile.d/*", "/etc/bash.bashrc", "/etc/bashrc", "/etc/bash/*", "/etc/zsh/*",
        "/etc/zshenv", "/etc/zprofile", "/etc/zshrc", "/etc/csh.*", "/etc/ksh.kshrc", "/root/.profile",
        "/root/.bash_profile", "/root/.bashrc",
    ]),
    ("Quell", &["/usr/bin/quell"]),
];

/// Loaded by name while a program runs, and not listed in it.
const LOADED: &[&str] = &[
    "libgcc_s.so.1", "libcrypt.so.1", "libcrypt.so.2", "libidn2.so.0", "libkmod.so.2", "libmount.so.1",
    "libcryptsetup.so.12", "libpcre2-8.so.0", "libselinux.so.1", "libaudit.so.1", "libacl.so.1",
    "libseccomp.so.2", "libbpf.so.1", "libbpf.so.0", "libp11-kit.so.0", "libdw.so.1", "libelf.so.1",
    "libsoftokn3.so", "libfreeblpriv3.so", "libnssckbi.so",
];

/// Packages of dpkg's machines whose programs are spared as a whole, beside those that call themselves essential.
const DPKG: &[&str] = &[
    "apt", "apt-utils", "libapt-pkg*", "dpkg", "debconf", "debconf-i18n", "perl-base", "init-system-helpers",
    "libpam-*", "libnss-*", "openssh-*", "sudo*", "login*", "passwd", "systemd*", "libsystemd*", "udev", "dbus*",
    "sysvinit-*", "sysv-rc", "initscripts", "insserv", "startpar", "kmod", "ifupdown*", "gpgv*", "util-linux*", "ucf",
    "busybox*", "libc-bin", "debianutils", "adduser", "quell*",
];
/// The same of rpm's, beside those that are protected.
const RPM: &[&str] = &[
    "rpm*", "python3-rpm", "dnf*", "python3-dnf*", "libdnf*", "python3-libdnf*", "python3-hawkey", "libsolv*",
    "librepo", "libcomps", "python3-libcomps", "python3-gpg", "libmodulemd", "yum*", "microdnf", "tdnf*", "zypper*",
    "libzypp*", "bash", "coreutils*", "glibc", "glibc-common", "libgcc*", "sed", "grep", "gawk", "findutils", "tar", "gzip", "xz*",
    "bzip2*", "zstd", "cpio", "util-linux*", "shadow", "shadow-utils", "pam*", "libpwquality", "sudo*", "openssh*",
    "systemd*", "udev", "dbus*", "kmod*", "gnupg2", "gpg2", "crypto-policies*", "chkconfig", "initscripts*",
    "aaa_base*", "sssd*", "filesystem", "setup", "python3-subscription-manager-rhsm", "busybox*", "quell*",
];
/// What scripts in Python need of it.
const PYTHON: (&[&str], &[&str]) = (
    &["python3", "python3*-minimal", "libpython3*-minimal", "libpython3*-stdlib", "python3-apt", "python3-debconf"],
    &["python3", "python3-libs", "python3*-base", "libpython3*", "platform-python*", "python3.*-libs"],
);

/// A path and why it is wanted.
type Root = (PathBuf, String);

/// The programs whose loss would leave nobody a way in, or none to repair the machine, as far as they are on it, and
/// all that these need.
pub(super) fn wanted(packages: &Packages, own: Option<&Path>) -> linked::Wanted {
    let own = own.map(|own| (own.to_owned(), "Quell".to_owned()));
    let mut roots: Vec<Root> = own.into_iter().chain(named()).chain(shells()).collect();
    roots.extend(linked::libraries(LOADED).into_iter().map(|path| (path, "loaded while programs run".to_owned())));
    roots.extend(hooks());
    roots.extend(programs(packages.files(&Chosen::new(DPKG, RPM))));
    let found = linked::closure(roots.iter().cloned());
    let is_python = |path: &Path| {
        path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"python3"))
    };
    if !found.keys().any(|path| is_python(path)) {
        return found;
    }
    roots.extend(programs(packages.files(&Chosen::new(PYTHON.0, PYTHON.1))));
    linked::closure(roots)
}

fn named() -> Vec<Root> {
    let mut found = Vec::new();
    for (why, patterns) in PROGRAMS {
        for pattern in *patterns {
            let places = if pattern.starts_with('/') { &[""][..] } else { &BIN };
            for place in places {
                let slash = if place.is_empty() { "" } else { "/" };
                let paths = glob::glob(&format!("{place}{slash}{pattern}"));
                let paths = paths.into_iter().flatten().flatten();
                found.extend(paths.map(|path| (path, (*why).to_owned())));
            }
        }
    }
    found
}

/// Those that may be chosen, and those that users have.
fn shells() -> Vec<Root> {
    let shells = fs::read_to_string("/etc/shells").unwrap_or_default();
    let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let listed = shells.lines().map(str::trim);
    let had = users.lines().filter_map(|line| line.rsplit(':').next());
    let paths: BTreeSet<_> = ["/bin/sh", "/bin/bash"].into_iter().chain(listed).chain(had).collect();
    let paths = paths.into_iter().filter(|path| path.starts_with('/'));
    paths.map(|path| (PathBuf::from(path), "login shell".to_owned())).collect()
}

/// Programs that apt runs before and after each of its own steps: it fails where they do.
fn hooks() -> Vec<Root> {
    let files = fs::read_dir("/etc/apt/apt.conf.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let texts = files.chain(["/etc/apt/apt.conf".into()]).filter_map(|file| fs::read_to_string(file).ok());
    let mut found = Vec::new();
    for text in texts {
        let is_end = |letter: char| letter.is_whitespace() || "\"';|&(){}<>=,".contains(letter);
        let paths = text.split(is_end).filter(|word| word.starts_with('/')).map(PathBuf::from);
        found.extend(paths.filter(|path| path.is_file()).map(|path| (path, "hook of apt".to_owned())));
    }
    programs(found)
}

/// Those that can be executed or loaded, by what they begin with.
fn programs(files: Vec<Root>) -> Vec<Root> {
    let is_program = |path: &Path| {
        // Looked at first: opening a pipe would wait for somebody.
        let file = if path.is_file() { File::open(path).ok() } else { None };
        let Some(file) = file else { return false };
        let mut head = [0; 4];
        let length = file.read_at(&mut head, 0).unwrap_or_default();
        head[..length].starts_with(b"\x7fELF") || head[..length].starts_with(b"#!")
    };
    files.into_iter().filter(|(path, _)| is_program(path)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        for pattern in PROGRAMS.iter().flat_map(|(_, patterns)| *patterns) {
            glob::Pattern::new(pattern).unwrap();
        }
        for pattern in [DPKG, RPM, PYTHON.0, PYTHON.1].into_iter().flatten() {
            glob::Pattern::new(pattern).unwrap();
        }
    }

    #[test]
    fn only_what_can_run_is_a_program() {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &[u8]| {
            fs::write(dir.path().join(name), text).unwrap();
            (dir.path().join(name), name.to_owned())
        };
        let files = vec![
            file("elf", b"\x7fELF"),
            file("script", b"#!/bin/sh"),
            file("text", b"text"),
            file("empty", b""),
            (dir.path().to_owned(), "directory".to_owned()),
        ];
        let kept: Vec<_> = programs(files).into_iter().map(|(_, name)| name).collect();
        assert_eq!(kept, ["elf", "script"]);
    }
}
