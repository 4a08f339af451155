//! Kernels as Debian ships them, unpacked and never installed: no boot hook of the host runs.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::house::House;
use crate::live;
use crate::packages::is_root;

/// A kernel and its modules.
pub(crate) struct Kernel {
    /// What `uname -r` says.
    pub(crate) release: String,
    directory: PathBuf,
}

impl Kernel {
    /// The newest one of a series (`6.12`) that apt knows; one that was fetched before if apt can't be asked.
    ///
    /// # Errors
    /// With the reason, if there is none.
    pub(crate) fn fetch(house: &House, series: &str) -> Result<Self> {
        let store = house.target().join("vm").join("kernels");
        std::fs::create_dir_all(&store)?;
        let mut offered = offered(series);
        let newest_kept = kept(&store, series);
        if newest_kept.is_some() && offered <= newest_kept {
            return newest_kept.context("a kernel that is kept")?.open(&store);
        }
        let mut fetched = offered.as_ref().map(|package| package.download(house, &store));
        if !matches!(fetched, Some(Ok(()))) && is_root() {
            println!("apt does not give linux-image-{series}…-cloud: asking for news");
            live::run(house.limited(120).args(["apt-get", "update"]))?;
            offered = self::offered(series);
            fetched = offered.as_ref().map(|package| package.download(house, &store));
        }
        match (fetched, offered, newest_kept) {
            (Some(Ok(())), Some(package), _) => package.open(&store),
            (_, _, Some(package)) => {
                println!("a newer kernel can't be fetched: taking {}", package.0);
                package.open(&store)
            }
            (Some(Err(why)), ..) => Err(why),
            _ => bail!("apt knows no linux-image-{series}.*-cloud-{}", architecture()),
        }
    }

    /// Where the kernel itself lies.
    pub(crate) fn image(&self) -> PathBuf {
        self.directory.join("boot").join(format!("vmlinuz-{}", self.release))
    }

    /// Its modules, with the list of who needs whom.
    pub(crate) fn modules(&self) -> PathBuf {
        self.directory.join("lib/modules").join(&self.release)
    }
}

/// Name of a package that holds a kernel.
#[derive(Clone, Debug)]
struct Package(String);

impl Package {
    fn download(&self, house: &House, store: &Path) -> Result<()> {
        let fresh = store.join("fresh");
        if fresh.exists() {
            std::fs::remove_dir_all(&fresh)?;
        }
        let packed = fresh.join("packed");
        std::fs::create_dir_all(&packed)?;
        println!("fetching {}", self.0);
        let mut get = house.limited(300);
        let ran = live::run(get.args(["apt-get", "download", &self.0]).current_dir(&packed))?;
        let file = std::fs::read_dir(&packed)?.next().transpose()?;
        let Some(file) = file.filter(|_| ran.status.success()) else { bail!("apt can't provide {}", self.0) };
        let unpacked = fresh.join("unpacked");
        let mut unpack = Command::new("dpkg-deb");
        done(unpack.arg("-x").arg(file.path()).arg(&unpacked))?;
        let release = release_in(&unpacked)?;
        done(Command::new("depmod").arg("-b").arg(&unpacked).arg(release))?;
        std::fs::rename(&unpacked, store.join(&self.0))?;
        Ok(std::fs::remove_dir_all(&fresh)?)
    }

    fn open(&self, store: &Path) -> Result<Kernel> {
        let directory = store.join(&self.0);
        Ok(Kernel { release: release_in(&directory)?, directory })
    }

    /// Its numbers: `linux-image-6.12.117+deb12-cloud-amd64` is 6, 12, 117, 12.
    fn version(&self) -> Vec<u64> {
        let version = self.0.split("-cloud").next().unwrap_or_default();
        version.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
    }
}

impl PartialEq for Package {
    fn eq(&self, other: &Self) -> bool {
        self.version() == other.version()
    }
}

impl PartialOrd for Package {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.version().partial_cmp(&other.version())
    }
}

fn done(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn release_in(directory: &Path) -> Result<String> {
    let mut releases = std::fs::read_dir(directory.join("lib/modules"))?;
    let release = releases.next().context("a kernel without modules")??;
    release.file_name().into_string().ok().context("a release that is no text")
}

/// As Debian calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        other => other,
    }
}

/// The newest package of a series that apt knows.
fn offered(series: &str) -> Option<Package> {
    let search =
        Command::new("apt-cache").args(["search", "--names-only", "^linux-image-.*-cloud"]).output().ok()?;
    let listed = String::from_utf8_lossy(&search.stdout);
    newest(listed.lines().filter_map(|line| line.split(' ').next()), series)
}

/// The newest package of a series that lies here.
fn kept(store: &Path, series: &str) -> Option<Package> {
    let names = std::fs::read_dir(store).ok()?.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let names: Vec<String> = names.collect();
    newest(names.iter().map(String::as_str), series)
}

fn newest<'a>(names: impl Iterator<Item = &'a str>, series: &str) -> Option<Package> {
    let (head, tail) = (format!("linux-image-{series}."), format!("-cloud-{}", architecture()));
    let ours = names.filter(|name| name.starts_with(&head) && name.ends_with(&tail));
    ours.map(|name| Package(name.to_owned())).max_by_key(Package::version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_chosen_by_number() {
        let tail = format!("-cloud-{}", architecture());
        let names: Vec<String> = ["6.12.9+deb12", "6.12.117+deb12", "6.12.100+deb12", "6.1.0-56", "6.1.0-9"]
            .iter()
            .map(|version| format!("linux-image-{version}{tail}"))
            .chain([format!("linux-image-6.12.999{tail}-unsigned"), "linux-image-6.12-cloud-x".to_owned()])
            .collect();
        let newest = |series| newest(names.iter().map(String::as_str), series).map(|package| package.0);
        assert_eq!(newest("6.12"), Some(format!("linux-image-6.12.117+deb12{tail}")));
        assert_eq!(newest("6.1"), Some(format!("linux-image-6.1.0-56{tail}")));
        assert_eq!(newest("5.10"), None);
    }
}
