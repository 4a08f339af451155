//! A harmless program to block and quarantine, unlike any other file of the machine.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use model::OrganizationId;

/// Its name.
pub(super) const NAME: &str = "sample";

/// Writes a program that sleeps for as many seconds as it is told. Of one organization, always the same bytes:
/// a block of it holds on after a restart.
pub(super) fn write(path: &Path, organization: OrganizationId) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(path)?;
    io::Write::write_all(&mut file, &bytes(organization))
}

fn bytes(organization: OrganizationId) -> Vec<u8> {
    match ["/usr/bin/sleep", "/bin/sleep"].into_iter().find_map(|path| program(Path::new(path))) {
        Some(mut bytes) => {
            bytes.extend(format!("\nQuell sample {organization}\n").bytes());
            bytes
        }
        None => format!("#!/bin/sh\n# Quell sample {organization}\nexec sleep \"$@\"\n").into(),
    }
}

/// The program at `path`, unless it is one of many names of a program that asks for its name (busybox): under
/// ours it would not run.
fn program(path: &Path) -> Option<Vec<u8>> {
    let path = path.canonicalize().ok()?;
    let is_sleep = path.file_name()? == "sleep" && fs::metadata(&path).ok()?.nlink() == 1;
    if is_sleep { fs::read(path).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn it_runs_and_is_the_organizations_own() {
        let dir = tempfile::tempdir().unwrap();
        let (ours, theirs) = (OrganizationId::random(), OrganizationId::random());
        let path = dir.path().join(NAME);
        write(&path, ours).unwrap();
        assert!(Command::new(&path).arg("0").status().unwrap().success());
        assert_eq!(fs::read(&path).unwrap(), bytes(ours));
        assert_ne!(bytes(ours), bytes(theirs));
        assert!(write(&path, ours).is_err(), "nothing is replaced");
    }

    #[test]
    fn a_program_of_many_names_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("busybox"), "x").unwrap();
        std::os::unix::fs::symlink("busybox", dir.path().join("sleep")).unwrap();
        assert!(program(&dir.path().join("sleep")).is_none());
        fs::remove_file(dir.path().join("sleep")).unwrap();
        fs::hard_link(dir.path().join("busybox"), dir.path().join("sleep")).unwrap();
        assert!(program(&dir.path().join("sleep")).is_none());
    }
}
