//! Which file is meant: by its hash, or by a path on this host.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use model::{FileId, Sha1, Sha256};

use crate::exit::Exit;
use crate::failure::Failure;

use super::digest;

/// Which file is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// By the name that was given.
    Hash(FileId),
    /// By its bytes, which have both names.
    Path(PathBuf, Sha1, Sha256),
}

impl Target {
    /// Reads a hash, or the file at a path. A file whose name looks like a hash is meant by `./NAME`.
    pub(crate) fn of(text: &OsString) -> Result<Self, Failure> {
        if let Some(id) = text.to_str().and_then(|text| text.parse().ok()) {
            return Ok(Self::Hash(id));
        }
        let path = Path::new(text);
        let (sha1, sha256) = digest::of(path).map_err(|error| unreadable(path, &error))?;
        Ok(Self::Path(path.to_owned(), sha1, sha256))
    }

    /// The name that means this very file.
    pub(crate) fn id(&self) -> FileId {
        match self {
            Self::Hash(id) => *id,
            Self::Path(_, _, sha256) => FileId::Sha256(*sha256),
        }
    }

    /// The name for calls that know files by SHA-1.
    pub(crate) fn sha1_id(&self) -> FileId {
        match self {
            Self::Hash(id) => *id,
            Self::Path(_, sha1, _) => FileId::Sha1(*sha1),
        }
    }

    /// Every name under which a rule may know it.
    pub(crate) fn ids(&self) -> Vec<FileId> {
        match self {
            Self::Hash(id) => vec![*id],
            Self::Path(_, sha1, sha256) => vec![FileId::Sha256(*sha256), FileId::Sha1(*sha1)],
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let name = path.display();
    let looks_like_md5 =
        path.to_str().is_some_and(|text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    match error.kind() {
        io::ErrorKind::NotFound if looks_like_md5 => {
            Failure::usage(format!("{name} looks like an MD5, by which no file can be named"))
                .hint("give its SHA-1 or SHA-256")
        }
        io::ErrorKind::NotFound => {
            Failure::new(Exit::NotFound, format!("{name} is neither a hash nor a file on this host"))
                .hint("give 40 digits of a SHA-1, 64 of a SHA-256, or the path of a file")
        }
        _ => Failure::new(Exit::Failed, format!("cannot read {name}: {error}"))
            .hint("give its SHA-1 or SHA-256 instead, or run as somebody who may read it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_either_kind_and_case() {
        let sha1 = "4388963AAA83AFE2042A46A3C017AD50BDCDAFB3";
        let target = Target::of(&sha1.into()).unwrap();
        assert_eq!(target.id().to_string(), sha1.to_lowercase());
        assert_eq!(target.ids(), [target.sha1_id()]);
        assert!(matches!(Target::of(&"a".repeat(64).into()), Ok(Target::Hash(FileId::Sha256(_)))));
    }

    #[test]
    fn a_path_has_both_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "abc").unwrap();
        let target = Target::of(&path.into()).unwrap();
        assert!(matches!(target.id(), FileId::Sha256(_)));
        assert!(matches!(target.sha1_id(), FileId::Sha1(_)));
        assert_eq!(target.ids().len(), 2);
    }

    #[test]
    fn what_is_neither_is_told_apart() {
        assert_eq!(Target::of(&"/no/such".into()).unwrap_err().exit, Exit::NotFound);
        let md5 = Target::of(&"900150983cd24fb0d6963f7d28e17f72".into()).unwrap_err();
        assert_eq!(md5.exit, Exit::Usage);
        assert!(md5.to_string().contains("MD5"), "{md5}");
    }
}
