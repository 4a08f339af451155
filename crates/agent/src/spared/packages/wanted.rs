//! Which of some files a package means, whatever name of its directory it uses.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Files by their canonical paths. Directories have moved below `/usr` on machines, and not in every package.
pub(super) struct Wanted<'p> {
    by_name: HashMap<&'p OsStr, Vec<&'p Path>>,
    directories: HashMap<Vec<u8>, Option<PathBuf>>,
}

impl<'p> Wanted<'p> {
    pub(super) fn new(paths: &'p BTreeSet<PathBuf>) -> Self {
        let mut by_name: HashMap<_, Vec<&Path>> = HashMap::new();
        for path in paths {
            if let Some(name) = path.file_name() {
                by_name.entry(name).or_default().push(path);
            }
        }
        Self { by_name, directories: HashMap::new() }
    }

    /// The file that a package calls `name` in `directory`, if it is one of them.
    pub(super) fn find(&mut self, directory: &[u8], name: &[u8]) -> Option<&'p Path> {
        let named = self.by_name.get(OsStr::from_bytes(name))?;
        if !self.directories.contains_key(directory) {
            let canonical = Path::new(OsStr::from_bytes(directory)).canonicalize().ok();
            self.directories.insert(directory.to_owned(), canonical);
        }
        let directory = self.directories.get(directory)?.as_deref()?;
        named.iter().find(|path| path.parent() == Some(directory)).copied()
    }

    /// The same for a whole path.
    pub(super) fn find_path(&mut self, path: &[u8]) -> Option<&'p Path> {
        let slash = path.iter().rposition(|byte| *byte == b'/')?;
        let (directory, name) = (&path[..slash.max(1)], &path[slash + 1..]);
        self.find(directory, name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_the_name_of_before_its_directory_moved() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("usr/bin")).unwrap();
        std::os::unix::fs::symlink("usr/bin", root.join("bin")).unwrap();
        let paths = BTreeSet::from([root.join("usr/bin/dash"), root.join("usr/bin/sh")]);
        let mut wanted = Wanted::new(&paths);
        let bytes = |path: &str| root.join(path).into_os_string().into_encoded_bytes();
        let found = Some(root.join("usr/bin/dash"));
        assert_eq!(wanted.find_path(&bytes("bin/dash")).map(Path::to_owned), found);
        assert_eq!(wanted.find_path(&bytes("usr/bin/dash")).map(Path::to_owned), found);
        assert_eq!(wanted.find_path(&bytes("sbin/dash")), None);
        assert_eq!(wanted.find_path(&bytes("usr/bin/bash")), None);
        assert_eq!(wanted.find_path(b"dash"), None);
    }
}
