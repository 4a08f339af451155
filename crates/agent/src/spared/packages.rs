//! What the package database recorded of files: dpkg's, read directly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use model::Md5;

const DPKG: &str = "/var/lib/dpkg";

/// Package and recorded MD5 of each of `paths` that a package owns.
pub(super) fn recorded(paths: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, (String, Md5)> {
    recorded_in(&Path::new(DPKG).join("info"), paths)
}

fn recorded_in(info: &Path, paths: &BTreeSet<PathBuf>) -> BTreeMap<PathBuf, (String, Md5)> {
    let wanted = names(paths);
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(info).into_iter().flatten().flatten() {
        let file = entry.path();
        if file.extension().is_none_or(|end| end != "md5sums") {
            continue;
        }
        let Ok(bytes) = fs::read(&file) else { continue };
        let package = file.file_stem().unwrap_or_default().to_string_lossy();
        // The architecture stands behind a colon where packages of several can be installed.
        let package = package.split(':').next().unwrap_or_default();
        for line in bytes.split(|byte| *byte == b'\n') {
            let Some((md5, name)) = line.split_at_checked(32) else { continue };
            let Some(path) = wanted.get(name.trim_ascii_start()) else { continue };
            if let Some(md5) = std::str::from_utf8(md5).ok().and_then(|md5| md5.parse().ok()) {
                found.insert((*path).clone(), (package.to_owned(), md5));
            }
        }
    }
    found
}

/// Each path under the names that a package may have recorded: relative to the root, and, since `/bin`, `/lib`
/// and `/sbin` moved below `/usr` on the machine but not in every package, without that.
fn names(paths: &BTreeSet<PathBuf>) -> HashMap<&[u8], &PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    let mut names = HashMap::new();
    for path in paths {
        let name = path.as_os_str().as_bytes();
        let name = name.strip_prefix(b"/").unwrap_or(name);
        names.insert(name, path);
        if let Some(name) = name.strip_prefix(b"usr/") {
            names.insert(name, path);
        }
    }
    names
}

/// When the package database last changed; none without one.
pub(crate) fn changed() -> Option<SystemTime> {
    fs::metadata(Path::new(DPKG).join("status")).and_then(|status| status.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recorded_file_is_found_under_both_names() {
        let info = tempfile::tempdir().unwrap();
        let line = |path| format!("900150983cd24fb0d6963f7d28e17f72  {path}\n");
        fs::write(info.path().join("dash.md5sums"), line("bin/dash") + &line("usr/share/doc/dash")).unwrap();
        fs::write(info.path().join("libc6:amd64.md5sums"), line("usr/lib/libc.so.6")).unwrap();
        fs::write(info.path().join("dash.list"), "/bin/dash\n").unwrap();
        let paths = ["/usr/bin/dash", "/usr/lib/libc.so.6", "/usr/bin/other"].map(PathBuf::from).into();
        let found = recorded_in(info.path(), &paths);
        let packages: Vec<_> =
            found.iter().map(|(path, (package, _))| (path.to_str().unwrap(), package.as_str())).collect();
        assert_eq!(packages, [("/usr/bin/dash", "dash"), ("/usr/lib/libc.so.6", "libc6")]);
    }
}
