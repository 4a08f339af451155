//! `quell file sample`: a file's bytes from the server, in an archive behind a password.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::client::Api;
use crate::client::target::Target;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::say;

/// For the caller alone, and in place of nothing.
pub(super) fn run(api: &Api, target: &Target, to: &Path) -> Result<(), Failure> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to).map_err(|error| {
        let failure = Failure::new(Exit::Failed, format!("{} can't be made: {error}", to.display()));
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure.hint("name a file that is not there yet"),
            _ => failure,
        }
    })?;
    let path = format!("/api/quell/files/{}/sample", target.id());
    match api.download(&path, &mut file) {
        Ok(length) => {
            say::aside(format!("{length} bytes; the archive's password is: infected"));
            say::out(to.display());
            Ok(())
        }
        Err(failure) => {
            // A part of an archive is nothing.
            let _ = std::fs::remove_file(to);
            Err(failure)
        }
    }
}
