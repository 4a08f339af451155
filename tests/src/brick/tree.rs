//! A small Debian in a directory, made once.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::command::run;

/// What a machine needs beside what every Debian has.
const PACKAGES: &str = "login,openssh-server,openssh-client";
/// A package that is kept, to be installed without a network.
const KEPT: &str = "hostname_";

/// Where it lies; made if it does not yet.
pub(super) fn debian() -> anyhow::Result<PathBuf> {
    let place = target()?.join("brick");
    let (tree, done) = (place.join("debian"), place.join("debian.is-complete"));
    if done.exists() {
        return Ok(tree);
    }
    if tree.exists() {
        fs::remove_dir_all(&tree)?;
    }
    fs::create_dir_all(&place)?;
    let (site, suite) = mirror()?;
    println!("making a Debian {suite} in {}", tree.display());
    let mut debootstrap = Command::new("debootstrap");
    debootstrap.arg("--variant=minbase").arg(format!("--include={PACKAGES}")).arg(suite).arg(&tree).arg(site);
    run(&mut debootstrap).context("debootstrap")?;
    prepare(&tree)?;
    fs::write(done, "")?;
    Ok(tree)
}

/// From where this machine has its own packages.
fn mirror() -> anyhow::Result<(String, String)> {
    let format = "$(REPO_URI) $(CODENAME) $(COMPONENT)";
    let listed =
        run(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let named = listed.lines().find_map(|line| match *line.split(' ').collect::<Vec<_>>() {
        // Updates and security alone are no system.
        [site, suite, "main"] if !suite.contains('-') => Some((site.to_owned(), suite.to_owned())),
        _ => None,
    });
    named.context("apt is not configured with a whole Debian, or has never been updated")
}

/// Smaller, with keys for a login, and with one package to install.
fn prepare(tree: &Path) -> anyhow::Result<()> {
    for package in fs::read_dir(tree.join("var/cache/apt/archives"))?.flatten() {
        let name = package.file_name();
        if name.to_string_lossy().ends_with(".deb") && !name.to_string_lossy().starts_with(KEPT) {
            fs::remove_file(package.path())?;
        }
    }
    fs::create_dir_all(tree.join("run/sshd"))?;
    fs::create_dir_all(tree.join("root/.ssh"))?;
    let mut key = Command::new("chroot");
    key.arg(tree).args(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "root/.ssh/id_ed25519"]);
    run(&mut key)?;
    fs::copy(tree.join("root/.ssh/id_ed25519.pub"), tree.join("root/.ssh/authorized_keys"))?;
    Ok(())
}

/// The directory of what is built, which is kept between runs.
fn target() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let profile = own.ancestors().find(|path| path.ends_with("debug") || path.ends_with("release"));
    let target = profile.and_then(Path::parent);
    Ok(target.context("this program lies in no target directory")?.to_owned())
}
