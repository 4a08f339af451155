//! Packages of this system's own distribution, unpacked into a directory.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::command::run;

/// Where packages are kept: `QUELL_PEERS`, as `cargo xtask` says, or a directory among the temporary ones.
fn cache() -> PathBuf {
    std::env::var_os("QUELL_PEERS").map_or_else(|| std::env::temp_dir().join("quell-peers"), PathBuf::from)
}

/// The unpacked files of a package and of those libraries it needs that are not installed here. Fetched once.
///
/// # Errors
/// What is lacking: apt, a network, the package.
pub(super) fn unpacked(package: &str) -> anyhow::Result<PathBuf> {
    let root = cache().join(package);
    let done = root.join("unpacked");
    if done.exists() {
        return Ok(root);
    }
    let downloads = root.join("packages");
    std::fs::create_dir_all(&downloads).with_context(|| format!("cannot make {}", downloads.display()))?;
    fetch(&with_libraries(package)?, &downloads)?;
    for package in downloads.read_dir()? {
        run(Command::new("dpkg-deb").arg("-x").arg(package?.path()).arg(&root))?;
    }
    std::fs::write(done, "")?;
    Ok(root)
}

/// A package and the libraries it needs that are not installed, and what these need.
fn with_libraries(package: &str) -> anyhow::Result<Vec<String>> {
    let mut wanted = vec![package.to_owned()];
    let mut next = 0;
    while let Some(package) = wanted.get(next) {
        for library in libraries(package)? {
            if !wanted.contains(&library) && !is_installed(&library) {
                wanted.push(library);
            }
        }
        next += 1;
    }
    Ok(wanted)
}

/// Downloads them; with fresh lists of what there is, if the present ones won't do.
fn fetch(packages: &[String], into: &Path) -> anyhow::Result<()> {
    let download = || run(Command::new("apt-get").args(["-q", "download"]).args(packages).current_dir(into));
    download().or_else(|_| {
        run(Command::new("apt-get").args(["-q", "update"]))?;
        download()
    })?;
    Ok(())
}

/// The libraries that a package needs by itself.
fn libraries(package: &str) -> anyhow::Result<Vec<String>> {
    let listed = run(Command::new("apt-cache").args(["--important", "depends", package]))?;
    let names = listed.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
    Ok(names.filter(|name| name.starts_with("lib")).map(str::to_owned).collect())
}

fn is_installed(package: &str) -> bool {
    let status = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    status.is_ok_and(|output| output.stdout == b"installed")
}

/// The directories of shared libraries in an unpacked tree, as the loader wants them.
pub(super) fn library_path(root: &Path) -> String {
    let homes = [root.join("usr/lib"), root.join("lib")];
    let inner = homes.iter().filter_map(|home| home.read_dir().ok()).flatten().flatten();
    let dirs = inner.map(|entry| entry.path()).filter(|path| path.is_dir());
    dirs.map(|path| path.to_string_lossy().into_owned()).collect::<Vec<_>>().join(":")
}
