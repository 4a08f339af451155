//! The names of a local file, computed with a progress bar.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use indicatif::{ProgressBar, ProgressStyle};
use model::{Sha1, Sha256};
use sha2::Digest;

/// How much is read at a time.
const PIECE: usize = 256 * 1024;

/// Both names that the API knows a file by, from one pass over it. The bar is drawn on a terminal only.
pub(super) fn of(path: &Path) -> io::Result<(Sha1, Sha256)> {
    let mut file = File::open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let bar = ProgressBar::new(found.len()).with_style(style());
    let (mut sha1, mut sha256) = (sha1::Sha1::new(), sha2::Sha256::new());
    let mut piece = vec![0; PIECE];
    loop {
        match file.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => {
                sha1.update(&piece[..length]);
                sha256.update(&piece[..length]);
                bar.inc(length as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bar.finish_and_clear();
    Ok((Sha1(sha1.finalize().into()), Sha256(sha256.finalize().into())))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("reading {bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_names_come_from_one_pass() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let (sha1, sha256) = of(&path).unwrap();
        assert_eq!(sha1.to_string(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(sha256.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(of(dir.path()).is_err(), "a directory has no digest");
    }
}
