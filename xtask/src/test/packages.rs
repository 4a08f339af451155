//! Programs of the system that the privileged suites call.

use crate::house::House;
use crate::live;

use super::namespace::is_root;

/// Program, Debian package.
const NEEDED: &[(&str, &str)] = &[
    ("cc", "gcc"),
    ("curl", "curl"),
    ("getfattr", "attr"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mount", "mount"),
    ("python3", "python3"),
    ("setfacl", "acl"),
    ("setfattr", "attr"),
    ("systemd-analyze", "systemd"),
    ("timeout", "coreutils"),
    ("unshare", "util-linux"),
];

/// Installs what is missing where that is possible, else says what to type. A program that stays missing is
/// left for its suite to report.
pub(super) fn provide(house: &House) {
    let missing = missing(on_path);
    if missing.is_empty() {
        return;
    }
    println!("missing programs, by package: {}", missing.join(" "));
    let typed = format!("apt-get update && apt-get install -y --no-install-recommends {}", missing.join(" "));
    let mut apt = house.command("sh");
    apt.args(["-c", &typed]).env("DEBIAN_FRONTEND", "noninteractive");
    let installed = is_root() && live::run(&mut apt).is_ok_and(|ran| ran.status.success());
    if !installed {
        println!("please type, as root: {typed}");
    }
}

/// The packages of programs that are not there, each once.
fn missing(is_there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut packages: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(system).any(|directory| directory.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_named_once() {
        assert_eq!(missing(|program| !program.ends_with("attr")), ["attr"]);
        assert!(missing(|_| true).is_empty());
    }
}
