//! A C compiler for the guest: some tests make programs that no distribution ships.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::image::Image;
use crate::packages::on_path;

/// What the compiler calls.
const PROGRAMS: &[&str] = &["cc1", "collect2"];
const ON_PATH: &[&str] = &["as", "cc", "ld"];
/// What it links to, and reads itself.
const FILES: &[&str] = &[
    "Scrt1.o",
    "crt1.o",
    "crtbegin.o",
    "crtbeginS.o",
    "crtbeginT.o",
    "crtend.o",
    "crtendS.o",
    "crti.o",
    "crtn.o",
    "include",
    "libc.a",
    "libc.so",
    "libc.so.6",
    "libc_nonshared.a",
    "libgcc.a",
    "libgcc_eh.a",
    "libgcc_s.so",
    "libgcc_s.so.1",
    "liblto_plugin.so",
    "libpthread.a",
];
/// Packages that hold the headers of the library and of the kernel.
const HEADERS: &[&str] = &["libc6-dev", "linux-libc-dev"];

/// Puts it where it is on the host.
pub(super) fn put(image: &mut Image) -> Result<()> {
    for program in ON_PATH {
        let place = on_path(program).with_context(|| format!("the host has no {program}"))?;
        image.put(&place, &format!("/usr/bin/{program}"))?;
    }
    let programs = PROGRAMS.iter().map(|program| format!("-print-prog-name={program}"));
    let files = FILES.iter().map(|file| format!("-print-file-name={file}"));
    for question in programs.chain(files) {
        let place = asked(&question)?;
        image.put(&place, &place.to_string_lossy())?;
    }
    let listed = said(Command::new("dpkg").arg("-L").args(HEADERS))?;
    for header in listed.lines().filter(|line| line.starts_with("/usr/include/")) {
        if Path::new(header).is_file() {
            image.put(Path::new(header), header)?;
        }
    }
    Ok(())
}

/// Where the compiler finds something. Its directory without detours, its name as it is.
fn asked(question: &str) -> Result<PathBuf> {
    let answer = said(Command::new("cc").arg(question))?;
    let place = Path::new(answer.trim());
    let (Some(directory), Some(name), true) = (place.parent(), place.file_name(), place.is_absolute()) else {
        bail!("the C compiler finds nothing for {question}");
    };
    Ok(directory.canonicalize().with_context(|| format!("cannot find {}", place.display()))?.join(name))
}

fn said(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
