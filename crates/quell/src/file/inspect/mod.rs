//! `quell file inspect`: what the bytes of a file on this host say. No server is asked.

use std::io;
use std::path::{Path, PathBuf};

use inspect::Trust;
use model::inspection::Inspection;
use model::{Digests, Time};
use wire::rest::InspectedFile;

use crate::client::each::each;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::Format;
use crate::trust::Whom;
use crate::{clock, say};

mod describe;
mod local;

use local::LocalFile;

/// How often a file is read again that changed while it was read.
const TRIES: usize = 3;

/// Which files, and whom to trust.
#[derive(clap::Args)]
pub(super) struct Inspect {
    /// Files on this host
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    whom: Whom,
}

/// Tells of each; what cannot be read is said on stderr, and the next follows.
pub(super) fn run(args: &Inspect, format: Format) -> Result<(), Failure> {
    let trust = args.whom.trust()?;
    let now = clock::now();
    let mut told = 0_usize;
    each(&args.paths, format, |path| {
        let (digests, found) = look(path, &trust, now).map_err(|error| unreadable(path, &error))?;
        let file = InspectedFile::new(path.to_string_lossy().into_owned(), &digests, &found);
        match format {
            Format::Json => say::out(serde_json::to_string(&file).map_err(anyhow::Error::from)?),
            Format::Table => {
                if told > 0 {
                    say::out("");
                }
                say::out(describe::table(&file));
            }
        }
        told += 1;
        Ok(())
    })
}

/// Reads a file until it held still meanwhile: a record is of one content.
fn look(path: &Path, trust: &Trust, now: Time) -> io::Result<(Digests, Inspection)> {
    for _ in 0..TRIES {
        let file = LocalFile::open(path)?;
        match inspect::inspect_and_name(&file, trust, now) {
            Ok(found) if file.held_still()? => return Ok(found),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::other("it changes while it is read"))
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, format!("there is no file {name} on this host"))
        }
        io::ErrorKind::IsADirectory => Failure::new(Exit::Failed, format!("{name} is a directory"))
            .hint(format!("name the files in it: find {name} -type f -exec quell file inspect {{}} +")),
        _ => Failure::new(Exit::Failed, format!("cannot read {name}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn tried(path: &Path) -> Result<(Digests, Inspection), Failure> {
        look(path, &Trust::default(), Time::from_seconds(0)).map_err(|error| unreadable(path, &error))
    }

    #[test]
    fn what_is_no_file_is_told_and_never_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert!(tried(&pipe).unwrap_err().to_string().contains("not a regular file"));
        assert!(tried(Path::new("/dev/zero")).unwrap_err().to_string().contains("not a regular file"));
        assert!(tried(dir.path()).unwrap_err().to_string().contains("is a directory"));
        assert_eq!(tried(&dir.path().join("none")).unwrap_err().exit, Exit::NotFound);
        assert!(tried(Path::new("/proc/self/status")).unwrap_err().to_string().contains("no length"));
    }

    #[test]
    fn a_link_means_the_file_that_it_leads_to() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "abc").unwrap();
        symlink("file", dir.path().join("link")).unwrap();
        let (digests, found) = tried(&dir.path().join("link")).unwrap();
        assert_eq!(digests.sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(found.facts.size, 3);
    }

    #[test]
    fn a_file_that_cannot_be_read_does_not_spare_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "#!/bin/sh\n").unwrap();
        let paths = vec![dir.path().join("none"), file, dir.path().to_owned()];
        let ended = run(&Inspect { paths, whom: Whom::within(dir.path()) }, Format::Json);
        assert_eq!(ended.unwrap_err().exit, Exit::NotFound);
    }
}
