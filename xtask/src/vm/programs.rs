//! The programs that the guest has beside those that are tested there: the host's own.

use std::path::Path;

use anyhow::{Context, Result};

use super::image::Image;
use super::kernel::Kernel;
use crate::packages::on_path;

/// By name: all of them are required.
const PROGRAMS: &[&str] = &[
    "basename",
    "bash",
    "cat",
    "chmod",
    "chroot",
    "cp",
    "cut",
    "dash",
    "date",
    "dd",
    "df",
    "dmesg",
    "echo",
    "env",
    "false",
    "find",
    "getfacl",
    "getfattr",
    "grep",
    "head",
    "id",
    "ip",
    "kill",
    "ldd",
    "ln",
    "losetup",
    "ls",
    "mkdir",
    "mkfs.ext2",
    "mkfs.ext4",
    "mknod",
    "modprobe",
    "mount",
    "mv",
    "nsenter",
    "perl",
    "ps",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "setfacl",
    "setfattr",
    "setpriv",
    "sh",
    "sleep",
    "sort",
    "stat",
    "sync",
    "tail",
    "tee",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "umount",
    "uname",
    "unshare",
    "wc",
];
const FILES: &[&str] = &[
    "/etc/group",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/mke2fs.conf",
    "/etc/nsswitch.conf",
    "/etc/passwd",
];
/// Of the kernel's modules.
const MODULES: &[&str] = &[
    "arch",
    "block",
    "crypto",
    "drivers/block",
    "drivers/char",
    "drivers/md",
    "drivers/virtio",
    "fs",
    "lib",
];

/// A guest that can do nothing yet but obey.
pub(super) fn image(kernel: &Kernel) -> Result<Image> {
    let mut image = Image::new();
    for program in PROGRAMS {
        let place = on_path(program).with_context(|| format!("the host has no {program} for the guest"))?;
        let directory =
            if place.parent().is_some_and(|parent| parent.ends_with("sbin")) { "sbin" } else { "bin" };
        image.put(&place, &format!("/usr/{directory}/{program}"))?;
    }
    for file in FILES {
        image.put(Path::new(file), file)?;
    }
    let home = format!("/lib/modules/{}", kernel.release);
    for entry in std::fs::read_dir(kernel.modules())? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            image.put(&entry.path(), &format!("{home}/{}", entry.file_name().to_string_lossy()))?;
        }
    }
    for part in MODULES {
        let from = kernel.modules().join("kernel").join(part);
        if from.is_dir() {
            image.put(&from, &format!("{home}/kernel/{part}"))?;
        }
    }
    Ok(image)
}
