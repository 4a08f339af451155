//! Leaving word of how to reach the server.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::profile::{self, Profile};

/// Where word is left: in the data directory, and where `--ready-file` says.
pub(super) struct ReadyFiles {
    own: PathBuf,
    asked_for: Option<PathBuf>,
}

impl ReadyFiles {
    /// Takes away what an earlier start left at `--ready-file`: it must not be taken for news.
    pub(super) fn prepare(data_dir: &Path, asked_for: Option<PathBuf>) -> Result<Self, Failure> {
        let own = data_dir.join(profile::NAME);
        let asked_for = asked_for.filter(|path| path.canonicalize().ok().as_ref() != Some(&own));
        if let Some(path) = &asked_for {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(path, &error)),
                _ => {}
            }
        }
        Ok(Self { own, asked_for })
    }

    /// What the last start left in the data directory.
    pub(super) fn last(&self) -> Option<Profile> {
        Profile::read(&self.own).ok()
    }

    /// Leaves word.
    pub(super) fn write(&self, profile: &Profile) -> Result<(), Failure> {
        [Some(&self.own), self.asked_for.as_ref()]
            .into_iter()
            .flatten()
            .try_for_each(|path| write(profile, path).map_err(|error| cannot(path, &error)))
    }
}

fn cannot(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
        .hint("name a file in a directory that you may write to: --ready-file FILE")
}

/// Writes it for the owner only; a reader finds the old file, the new one, or none, but never half of one.
fn write(profile: &Profile, path: &Path) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    // What an earlier process of the same id left behind may be open to others.
    let _ = fs::remove_file(&fresh);
    let written = write_new(profile, &fresh).and_then(|()| fs::rename(&fresh, path));
    if written.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    written
}

fn write_new(profile: &Profile, path: &Path) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(serde_json::to_string_pretty(profile)?.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt;

    pub(in crate::up) fn profile() -> Profile {
        Profile {
            base_url: "http://127.0.0.1:8440".into(),
            token_url: "http://127.0.0.1:8440/t/oauth2/v2.0/token".into(),
            tenant_id: "t".into(),
            client_id: "c".into(),
            client_secret: "s".into(),
            machine_id: "m".into(),
            data_dir: "/var/lib/quell".into(),
        }
    }

    #[test]
    fn it_has_the_fixed_keys_and_is_the_owners_only() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready.json");
        fs::write(&path, "old").unwrap();
        write(&profile(), &path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for key in ["baseUrl", "tokenUrl", "tenantId", "clientId", "clientSecret", "machineId", "dataDir"] {
            assert!(json[key].is_string(), "{key}");
        }
        assert!(Profile::read(&path).unwrap() == profile());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn old_news_is_taken_away_but_never_the_secret() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().canonicalize().unwrap();
        let ready = data_dir.join("ready.json");
        let files = ReadyFiles::prepare(&data_dir, Some(ready.clone())).unwrap();
        files.write(&profile()).unwrap();
        assert!(ready.exists());
        let files = ReadyFiles::prepare(&data_dir, Some(ready.clone())).unwrap();
        assert!(!ready.exists());
        assert!(files.last().unwrap() == profile());
        let same = ReadyFiles::prepare(&data_dir, Some(data_dir.join(profile::NAME))).unwrap();
        assert!(same.last().is_some());
    }
}
