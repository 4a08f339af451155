//! Harmless programs, each of its own content.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use sha1::{Digest, Sha1};
use sha2::Sha256;

/// A program that sleeps for as many seconds as it is told, and its names.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Its SHA-1.
    pub sha1: String,
    /// Its SHA-256.
    pub sha256: String,
}

impl Sample {
    /// A sample like no other: this system's `sleep` with a random end, which the loader ignores.
    ///
    /// # Panics
    /// When there is no `sleep`.
    pub fn fresh() -> Self {
        let mut bytes = fs::read("/usr/bin/sleep").expect("this system has /usr/bin/sleep");
        let mut end = [0; 32];
        getrandom::fill(&mut end).expect("randomness");
        bytes.extend_from_slice(&end);
        Self::of(bytes)
    }

    /// What these bytes are named.
    pub fn of(bytes: Vec<u8>) -> Self {
        let hex = |digest: &[u8]| digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let (sha1, sha256) = (hex(&Sha1::digest(&bytes)), hex(&Sha256::digest(&bytes)));
        Self { bytes, sha1, sha256 }
    }

    /// Puts it at `path`, executable.
    ///
    /// # Panics
    /// When it can't be written.
    pub fn put(&self, path: &Path) {
        fs::write(path, &self.bytes).expect("the sample can be written");
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("and made executable");
    }
}

/// Runs the program at `path` for no time at all; the error of the exec, if it was refused.
pub fn try_run(path: &Path) -> std::io::Result<()> {
    let mut child = Command::new(path).arg("0").stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    child.wait().map(drop)
}

/// Whether the kernel refuses to run `path` as a denied file.
pub fn is_denied(path: &Path) -> bool {
    matches!(try_run(path), Err(error) if error.raw_os_error() == Some(rustix::io::Errno::PERM.raw_os_error()))
}

/// Starts the program at `path` for ten minutes.
///
/// # Panics
/// When it does not start.
pub fn keep_running(path: &Path) -> Child {
    Command::new(path).arg("600").stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("the sample runs")
}
